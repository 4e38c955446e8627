// SPDX-License-Identifier: GPL-2.0-or-later
#include "quota.h"

#include <errno.h>

#include "suite.h"

static uint64_t seed;

static uint64_t random_up_to(uint64_t most)
{
	seed = seed * UINT64_C(6364136223846793005) + 1442695040888963407;
	return (seed >> 20) % (most + 1);
}

static struct quota random_quota(void)
{
	static const uint32_t periods[] = {1000, 10000, 20000, 33333, 100000, 500000, 1000000};
	struct quota quota = {
		.quota_us = QUOTA_MIN_US + random_up_to(200000),
		.period_us = periods[random_up_to(6)],
	};

	return quota;
}

static const struct quota *larger(const struct quota *a, const struct quota *b)
{
	return quota_compare(a, b) >= 0 ? a : b;
}

START_TEST(compares_exactly)
{
	const struct quota third = {33333, 100000}, more = {333334, 1000000},
			   same = {66666, 200000};
	const struct quota none = {QUOTA_UNLIMITED, 100000}, huge = {UINT64_MAX / 2, 1000};

	ck_assert_int_lt(quota_compare(&third, &more), 0);
	ck_assert_int_gt(quota_compare(&more, &third), 0);
	ck_assert_int_eq(quota_compare(&third, &same), 0);
	ck_assert_int_gt(quota_compare(&none, &huge), 0);
	ck_assert_int_lt(quota_compare(&huge, &none), 0);
	ck_assert_int_eq(quota_compare(&none, &none), 0);
}
END_TEST

START_TEST(dead_band)
{
	const struct quota base = {20000, 100000};
	static const struct {
		struct quota asked;
		bool is_near;
	} cases[] = {
		{{20000, 100000}, true},
		{{20199, 100000}, true},
		{{19803, 100000}, true},
		{{20300, 100000}, false},
		{{19700, 100000}, false},
		{{30000, 150000}, true}, /* the same share in nearly the same period */
		{{40000, 200000}, false},
		{{10000, 50000}, false},
		{{QUOTA_UNLIMITED, 100000}, false},
	};

	ck_assert_int_eq(quota_is_near(&base, &cases[_i].asked), cases[_i].is_near);
}
END_TEST

/* Whatever two values follow each other on v1, what holds between the two writes is not more than
 * the larger of them. */
START_TEST(no_larger_value_in_between)
{
	seed = (uint64_t)_i;
	for (int i = 0; i < 1000; i++) {
		struct quota from = random_quota(), to = random_quota(), between = from;

		if (quota_period_goes_first(&from, &to))
			between.period_us = to.period_us;
		else
			between.quota_us = to.quota_us;
		ck_assert_int_le(quota_compare(&between, larger(&from, &to)), 0);
	}
}
END_TEST

START_TEST(a_capped_child_fits_its_parent)
{
	seed = (uint64_t)_i + 100;
	for (int i = 0; i < 1000; i++) {
		struct quota asked = random_quota(), parent = random_quota();
		struct quota capped = quota_cap(&asked, &parent);

		ck_assert_uint_ge(capped.quota_us, QUOTA_MIN_US);
		ck_assert_int_le(quota_compare(&capped, &parent), 0);
		if (capped.quota_us > QUOTA_MIN_US)
			ck_assert_uint_eq(capped.period_us, asked.period_us);
		if (quota_compare(&asked, &parent) <= 0)
			ck_assert_uint_eq(capped.quota_us, asked.quota_us);
	}
}
END_TEST

START_TEST(budgets)
{
	static const struct {
		double cpus;
		int r;
		struct quota quota;
	} cases[] = {
		{0.3, 0, {30000, 100000}},
		{0.29, 0, {29000, 100000}}, /* 28999.999... in binary */
		{0.01, 0, {1000, 100000}},
		{0.0099, 0, {9900, 1000000}},
		{0.001, 0, {1000, 1000000}},
		{0.0009, -ERANGE, {0, 0}},
		{1.0 / 3, 0, {33333, 100000}},
		{64, 0, {6400000, 100000}},
	};
	struct quota quota = {0};

	ck_assert_int_eq(quota_of_budget(cases[_i].cpus, &quota), cases[_i].r);
	ck_assert_uint_eq(quota.quota_us, cases[_i].quota.quota_us);
	ck_assert_uint_eq(quota.period_us, cases[_i].quota.period_us);
}
END_TEST

START_TEST(the_least_quota_fits_any_budget)
{
	static const double cpus[] = {0.001, 0.0033, 0.01, 0.07, 0.1, 0.5, 64};
	struct quota budget, least;

	ck_assert_int_eq(quota_of_budget(cpus[_i], &budget), 0);
	least = quota_least(&budget);
	ck_assert_uint_eq(least.quota_us, QUOTA_MIN_US);
	ck_assert_int_le(quota_compare(&least, &budget), 0);
	ck_assert_uint_ge(least.period_us, 10000);
	ck_assert_uint_le(least.period_us, PERIOD_MAX_US);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("quota");
	TCase *tcase = tcase_create("all");

	tcase_add_test(tcase, compares_exactly);
	tcase_add_loop_test(tcase, dead_band, 0, 9);
	tcase_add_loop_test(tcase, no_larger_value_in_between, 0, 10);
	tcase_add_loop_test(tcase, a_capped_child_fits_its_parent, 0, 10);
	tcase_add_loop_test(tcase, budgets, 0, 8);
	tcase_add_loop_test(tcase, the_least_quota_fits_any_budget, 0, 7);
	suite_add_tcase(suite, tcase);
	return suite_run(suite);
}
