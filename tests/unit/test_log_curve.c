// SPDX-License-Identifier: GPL-2.0-or-later
#include "log_curve.h"

#include <math.h>

#include "suite.h"
#include "views.h"

#define SECOND UINT64_C(1000000000)

static struct views views;
static struct log_curve curve;
static double x, r;

static void set_up(double target)
{
	views_init(&views, 1);
	views.tasks[0].target = target;
	curve = (struct log_curve){0};
}

static void tear_down(void)
{
	views_done(&views);
}

static void report(double cpu_s, double value)
{
	history_add(&views.histories[0], (uint64_t)(cpu_s * 1e9), value);
}

/* Takes what is new; returns how many points that were. x and r are those of the last. */
static uint32_t take(bool want_anew)
{
	bool is_anew;
	uint32_t at = log_curve_look(&curve, &views.tasks[0], &is_anew), n = 0;

	ck_assert_int_eq(is_anew, want_anew);
	for (; at < views.histories[0].n_points; at++, n++)
		log_curve_take(&curve, &views.tasks[0], at, &x, &r);
	return n;
}

START_TEST(each_report_is_taken_once)
{
	set_up(1);
	ck_assert_uint_eq(take(false), 0);
	report(2, 8);
	ck_assert_uint_eq(take(true), 1);
	ck_assert_double_eq_tol(x, 0, 1e-12);
	ck_assert_double_eq_tol(r, 0, 1e-12);
	ck_assert_uint_eq(take(false), 0);
	report(4, 4);
	report(6, 2);
	ck_assert_uint_eq(take(false), 2);
	ck_assert_double_eq_tol(x, log(3), 1e-12);
	ck_assert_double_eq_tol(r, log(0.25), 1e-12);
	ck_assert_double_eq_tol(curve.now, log(0.25), 1e-12);
	ck_assert_double_eq_tol(curve.target, log(0.125), 1e-12);
	ck_assert_double_eq_tol(log_curve_x(&curve, 20), log(10), 1e-12);
	ck_assert_uint_eq(curve.n_taken, 3);
	tear_down();
}
END_TEST

/* 0.1 and 0.5 on the way up to 0.9 are -0.1 and -0.5 on the way down to -0.9, 0.8 away from the first: the
 * target comes to lie at 0.08, all others 0.98 higher, too. */
START_TEST(what_is_not_positive_is_shifted)
{
	set_up(0.9);
	views.tasks[0].is_raised = true;
	report(1, 0.1);
	report(2, 0.5);
	ck_assert_uint_eq(take(true), 2);
	ck_assert_double_eq_tol(curve.shift, 0.98, 1e-12);
	ck_assert_double_eq_tol(r, log(0.48 / 0.88), 1e-12);
	ck_assert_double_eq_tol(curve.target, log(0.08 / 0.88), 1e-12);
	tear_down();
}
END_TEST

/* From 2 down to a target of 1, then -3: where it was on its way to, nobody can say in logarithms; all is
 * reckoned anew with -3 at 0.1. */
START_TEST(the_first_value_below_zero_begins_anew)
{
	set_up(1);
	report(1, 2);
	report(2, 1.5);
	ck_assert_uint_eq(take(true), 2);
	ck_assert_double_eq(curve.shift, 0);
	report(3, -3);
	ck_assert_uint_eq(take(true), 3);
	ck_assert_double_eq_tol(curve.shift, 3.1, 1e-12);
	ck_assert_double_eq_tol(r, log(0.1 / 5.1), 1e-12);
	report(4, -2.9); /* above that: the same */
	ck_assert_uint_eq(take(false), 1);
	tear_down();
}
END_TEST

START_TEST(a_replaced_report_begins_anew)
{
	set_up(1);
	report(1, 4);
	report(2, 3);
	ck_assert_uint_eq(take(true), 2);
	report(2, 2); /* within one reading of the meter */
	ck_assert_uint_eq(take(true), 2);
	ck_assert_double_eq_tol(r, log(0.5), 1e-12);
	report(2, 2); /* by itself */
	ck_assert_uint_eq(take(false), 0);
	tear_down();
}
END_TEST

START_TEST(a_report_before_any_cpu_time_is_left_out)
{
	set_up(1);
	report(0, 100);
	ck_assert_uint_eq(take(false), 0);
	report(5, 4);
	ck_assert_uint_eq(take(true), 1);
	ck_assert_double_eq_tol(x, 0, 1e-12);
	report(10, 2);
	ck_assert_uint_eq(take(false), 1);
	ck_assert_double_eq_tol(x, log(2), 1e-12);
	tear_down();
}
END_TEST

/* A thinned history has dropped points that were taken before; none is taken twice. */
START_TEST(thinning_repeats_nothing)
{
	uint32_t n = 0;

	set_up(1e-9);
	for (int i = 1; i <= 5000; i++) {
		report(i, 1 + 1.0 / i);
		if (i % 7 == 0)
			n += take(n == 0);
	}
	ck_assert_uint_eq(n, 4998);
	tear_down();
}
END_TEST

START_TEST(wild_values_stay_in_bounds)
{
	static const double wild[] = {
		0, 1, -1, 1e300, -1e300, 1e-300, -1e-300, 1.7e308, -1.7e308, 5e-324, 0.5, 2};
	const uint32_t n_wild = sizeof(wild) / sizeof(wild[0]);
	uint64_t seed = (uint64_t)_i;

	set_up(wild[_i % n_wild]);
	views.tasks[0].is_raised = _i % 2;
	for (int i = 1; i < 40; i++) {
		bool is_anew;
		uint32_t at;

		history_add(&views.histories[0], (uint64_t)i,
			wild[(uint32_t)(views_uniform(&seed) * n_wild)]);
		at = log_curve_look(&curve, &views.tasks[0], &is_anew);
		for (; at < views.histories[0].n_points; at++) {
			log_curve_take(&curve, &views.tasks[0], at, &x, &r);
			ck_assert(x >= 0 && x <= 50);
			ck_assert(fabs(r) < 2000 && fabs(curve.target) < 2000);
		}
	}
	ck_assert(log_curve_x(&curve, 1e9) <= 50);
	tear_down();
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("log_curve");
	TCase *tcase = tcase_create("all");

	tcase_add_test(tcase, each_report_is_taken_once);
	tcase_add_test(tcase, what_is_not_positive_is_shifted);
	tcase_add_test(tcase, the_first_value_below_zero_begins_anew);
	tcase_add_test(tcase, a_replaced_report_begins_anew);
	tcase_add_test(tcase, a_report_before_any_cpu_time_is_left_out);
	tcase_add_test(tcase, thinning_repeats_nothing);
	tcase_add_loop_test(tcase, wild_values_stay_in_bounds, 0, 100);
	suite_add_tcase(suite, tcase);
	return suite_run(suite);
}
