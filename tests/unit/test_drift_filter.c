// SPDX-License-Identifier: GPL-2.0-or-later
#include "drift_filter.h"

#include <math.h>

#include "suite.h"
#include "views.h"

static const struct drift_terms plain = {.step = 1, .noise = 1, .spread_line = 1};
static struct drift_filter filter;

static void expect_ahead(const struct drift_terms *terms, double n_steps, double x, double want)
{
	ck_assert_double_eq_tol(drift_filter_ahead(&filter, terms, n_steps, x), want, 1e-9);
}

/* P = I, H = (1, 1): gain 1/3 each, so 3 makes slope = level = 1, and P = (2/3, -1/3; -1/3, 2/3). */
START_TEST(a_line_without_drift)
{
	drift_filter_init(&filter, &plain);
	expect_ahead(&plain, 7, 5, 0);
	ck_assert(drift_filter_take(&filter, &plain, 1, 3));
	expect_ahead(&plain, 0, 1, 2);
	expect_ahead(&plain, 100, 2, 3);
	ck_assert_double_eq_tol(filter.covariance[0][0], 2.0 / 3, 1e-12);
	ck_assert_double_eq_tol(filter.covariance[0][1], -1.0 / 3, 1e-12);
	/* P H = (-1/3, 2/3), spread 5/3: a surprise of 5 moves slope by -1, level by 2. */
	ck_assert(drift_filter_take(&filter, &plain, 0, 6));
	ck_assert_double_eq_tol(filter.state[0], 0, 1e-12);
	ck_assert_double_eq_tol(filter.state[1], 3, 1e-12);
}
END_TEST

/* A step makes the level's variance 2, 1 of it with the speed; noise 2: gains 1/2 and 1/4. */
START_TEST(a_speed_goes_on)
{
	const struct drift_terms terms = {
		.step = 1, .noise = 2, .spread_line = 1, .spread_speed = 1};

	drift_filter_init(&filter, &terms);
	ck_assert(drift_filter_take(&filter, &terms, 0, 4));
	expect_ahead(&terms, 0, 0, 2);
	expect_ahead(&terms, 3, 0, 5);
}
END_TEST

/* The change c adds c/2 to the level and c to the speed: variance 1 + 4/4 of the level, 2 of it with each of
 * the others; noise 2: all three become 2. Two steps on: 2 + 2 2 + 2^2/2 2. */
START_TEST(a_change_goes_on)
{
	const struct drift_terms terms = {
		.step = 1, .noise = 2, .spread_line = 1, .spread_change = 4};

	drift_filter_init(&filter, &terms);
	ck_assert(drift_filter_take(&filter, &terms, 0, 4));
	expect_ahead(&terms, 0, 0, 2);
	expect_ahead(&terms, 2, 0, 10);
}
END_TEST

/* Reports along a parabola of the time that the steps make are followed. */
START_TEST(steps_have_a_size)
{
	const struct drift_terms terms = {.step = 0.5,
		.noise = 1e-6,
		.spread_line = 10,
		.spread_speed = 10,
		.spread_change = 10};

	drift_filter_init(&filter, &terms);
	for (int i = 0; i < 30; i++) {
		double at = 0.5 * i;

		ck_assert(drift_filter_take(&filter, &terms, 0, 3 + 2 * at - 0.25 * at * at));
	}
	for (int i = 30; i < 40; i++) {
		double at = 0.5 * i, want = 3 + 2 * at - 0.25 * at * at;

		ck_assert_double_eq_tol(drift_filter_ahead(&filter, &terms, i - 29, 0), want, 1e-2);
	}
}
END_TEST

START_TEST(a_covariance_stays_one)
{
	uint64_t seed = (uint64_t)_i + 1;
	struct drift_terms terms = {
		.step = pow(10, -4 * views_uniform(&seed)),
		.noise = pow(10, -8 * views_uniform(&seed)),
		.wander = views_uniform(&seed) < 0.5 ? 0 : views_uniform(&seed),
		.spread_line = pow(10, 8 * views_uniform(&seed) - 6),
		.spread_speed = views_uniform(&seed) * 100,
		.spread_change = views_uniform(&seed) * 100,
	};

	drift_filter_init(&filter, &terms);
	for (int n = 1; n < 600; n++) {
		double r = 4000 * views_uniform(&seed) - 2000;

		drift_filter_take(&filter, &terms, log(n), r);
		for (int i = 0; i < DRIFT_STATES; i++) {
			ck_assert(isfinite(filter.state[i]));
			ck_assert(filter.covariance[i][i] >= 0);
			for (int j = 0; j < i; j++)
				ck_assert_double_eq(
					filter.covariance[i][j], filter.covariance[j][i]);
		}
		ck_assert(!isnan(drift_filter_ahead(&filter, &terms, 1e300, 50)));
	}
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("drift_filter");
	TCase *tcase = tcase_create("all");

	tcase_add_test(tcase, a_line_without_drift);
	tcase_add_test(tcase, a_speed_goes_on);
	tcase_add_test(tcase, a_change_goes_on);
	tcase_add_test(tcase, steps_have_a_size);
	tcase_add_loop_test(tcase, a_covariance_stays_one, 0, 40);
	suite_add_tcase(suite, tcase);
	return suite_run(suite);
}
