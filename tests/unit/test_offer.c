// SPDX-License-Identifier: GPL-2.0-or-later
#include "offer.h"

#include <math.h>

#include "suite.h"
#include "views.h"

static struct step steps[FORECAST_POINTS_MAX];
static const struct offer_terms terms = {
	.charge_unused = 0.7, .charge_due = 0.03, .chance_power = 0.9, .room_power = 0.1};
static const struct forecast_unseen unseen = {.part = 0.18, .spread = 1.6, .chance = 0.875};

/* More for more, at ever worse terms, within what the task can get. */
static void expect_staircase(uint32_t n, double cap_s)
{
	double quota_s = 0, charge_s = 0, chance = 0, slope = INFINITY;

	for (uint32_t i = 0; i < n; i++) {
		double next;

		ck_assert(steps[i].quota_s > quota_s && steps[i].quota_s <= cap_s);
		ck_assert(steps[i].charge_s > charge_s);
		ck_assert_double_le(steps[i].charge_s, steps[i].quota_s + 1e-9);
		ck_assert(steps[i].chance > chance && steps[i].chance <= 1 + 1e-9);
		ck_assert(isfinite(steps[i].worth) && steps[i].worth > 0);
		ck_assert_uint_eq(steps[i].task, 17);
		next = (steps[i].chance - chance) / (steps[i].charge_s - charge_s);
		ck_assert_double_le(next, slope * (1 + 1e-9));
		slope = next;
		quota_s = steps[i].quota_s;
		charge_s = steps[i].charge_s;
		chance = steps[i].chance;
	}
}

/* On the usual terms, and on those in the corners. */
START_TEST(offers_are_staircases)
{
	struct offer_terms these = _i % 2 == 0 ? terms
					       : (struct offer_terms){
							 .charge_unused = _i & 2 ? 1 : 0,
							 .charge_due = _i & 4 ? 1 : 0,
							 .chance_power = _i & 8 ? 2 : 0,
							 .room_power = _i & 16 ? 2 : 0,
						 };
	struct views views;
	struct forecast forecast;
	uint64_t seed = (uint64_t)_i;

	views_random(&views, 30, seed);
	for (uint32_t i = 0; i < 30; i++) {
		double due_s = 1e-3 + 100 * views_uniform(&seed);
		double cap_s = due_s * (0.01 + views_uniform(&seed));

		forecast_make(&views.tasks[i], &unseen, &forecast);
		expect_staircase(offer_make(&forecast, &these, (double)views.tasks[i].cpu_ns * 1e-9,
					 due_s, cap_s, 17, steps),
			cap_s);
	}
	views_done(&views);
}
END_TEST

/* Half a chance at 1 s of need, the other half at 3 s. Worked by hand: between the points the need is
 * spread evenly, so E[min(R, 1)] = 1 - 1/4 and E[min(R, 3)] = 3/4 + 2 * 1/4. */
START_TEST(charge_is_between_mean_and_quota)
{
	struct forecast forecast = {.n_points = 2, .need_s = {1, 3}, .chance = {0.5, 1}};
	uint32_t n = offer_make(&forecast, &terms, 0, 10, 10, 17, steps);

	ck_assert_uint_eq(n, 2);
	ck_assert_double_eq_tol(steps[0].charge_s, 0.75 + 0.7 * (1 - 0.75), 1e-12);
	ck_assert_double_eq_tol(steps[1].charge_s, 1.25 + 0.7 * (3 - 1.25), 1e-12);
}
END_TEST

/* The same on other terms: the mean alone, and the whole quota. */
START_TEST(what_is_charged_and_worth_goes_by_the_terms)
{
	struct forecast forecast = {.n_points = 2, .need_s = {1, 3}, .chance = {0.5, 1}};
	struct offer_terms these = {.charge_unused = 0, .charge_due = 0, .chance_power = 1};
	uint32_t n = offer_make(&forecast, &these, 0, 10, 10, 17, steps);

	ck_assert_uint_eq(n, 1); /* the second half is the cheaper one, then */
	ck_assert_double_eq_tol(steps[0].charge_s, 1.25, 1e-12);
	ck_assert_double_eq_tol(steps[0].worth, 1 / 1.25, 1e-12);
	these = (struct offer_terms){.charge_unused = 1, .charge_due = 0.1, .chance_power = 2};
	ck_assert_uint_eq(offer_make(&forecast, &these, 0, 10, 10, 17, steps), 2);
	ck_assert_double_eq_tol(steps[0].charge_s, 1, 1e-12);
	ck_assert_double_eq_tol(steps[1].charge_s, 3, 1e-12);
	ck_assert_double_eq_tol(steps[0].worth, 0.25 / (1 + 1), 1e-12);
	these.room_power = 1;
	ck_assert_uint_eq(offer_make(&forecast, &these, 0, 10, 10, 17, steps), 2);
	ck_assert_double_eq_tol(steps[1].worth, 0.25 * (10.0 / 3) / (2 + 1), 1e-12);
}
END_TEST

START_TEST(a_dent_is_bridged)
{
	struct forecast forecast = {
		.n_points = 3, .need_s = {1, 2, 3}, .chance = {0.01, 0.02, 0.9}};
	uint32_t n = offer_make(&forecast, &terms, 0, 10, 10, 17, steps);

	ck_assert_uint_eq(n, 1);
	ck_assert_double_eq_tol(steps[0].quota_s, 3, 1e-12);
}
END_TEST

START_TEST(parts_are_the_points_that_are_good_enough)
{
	struct forecast forecast = {
		.n_points = 3, .need_s = {1, 2, 3}, .chance = {0.01, 0.55, 0.9}};
	double charges_s[FORECAST_POINTS_MAX];
	uint32_t n = offer_make(&forecast, &terms, 0, 10, 10, 17, steps);
	double slope = steps[0].chance / steps[0].charge_s;

	ck_assert_uint_eq(n, 1);
	ck_assert_uint_eq(offer_parts(&forecast, &terms, 0, 10, 0.85 * slope, charges_s), 2);
	ck_assert_double_lt(charges_s[0], charges_s[1]);
	ck_assert_double_eq(charges_s[1], steps[0].charge_s);
	ck_assert_uint_eq(offer_parts(&forecast, &terms, 0, 10, 0, charges_s), 3);
	ck_assert_uint_eq(offer_parts(&forecast, &terms, 0, 10, 0.99 * slope, charges_s), 1);
	/* Within what it can get. */
	ck_assert_uint_eq(offer_parts(&forecast, &terms, 0, 2, 0.85 * slope, charges_s), 1);
	ck_assert_double_lt(charges_s[0], 2);
}
END_TEST

START_TEST(no_chance_no_offer)
{
	struct forecast forecast = {.n_points = 2, .need_s = {1, 3}, .chance = {0, 0}};

	ck_assert_uint_eq(offer_make(&forecast, &terms, 0, 10, 10, 17, steps), 0);
	forecast.chance[1] = 1;
	ck_assert_uint_eq(
		offer_make(&forecast, &terms, 4, 10, 10, 17, steps), 0); /* all behind it */
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("offer");
	TCase *tcase = tcase_create("all");

	tcase_add_loop_test(tcase, offers_are_staircases, 0, 64);
	tcase_add_test(tcase, charge_is_between_mean_and_quota);
	tcase_add_test(tcase, what_is_charged_and_worth_goes_by_the_terms);
	tcase_add_test(tcase, a_dent_is_bridged);
	tcase_add_test(tcase, parts_are_the_points_that_are_good_enough);
	tcase_add_test(tcase, no_chance_no_offer);
	suite_add_tcase(suite, tcase);
	return suite_run(suite);
}
