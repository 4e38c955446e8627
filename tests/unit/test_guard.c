// SPDX-License-Identifier: GPL-2.0-or-later
#include "guard.h"

#include <math.h>
#include <stdint.h>
#include <stdlib.h>

#include "nsec.h"
#include "suite.h"

#define SLOT_NS NSEC_PER_SEC
#define N_MAX 40
#define N_MANY 2000

static const struct enforcer_limits anything = {0};
static const struct enforcer_limits kernel = {
	.min_quota_us = 1000,
	.min_period_us = 10000,
	.max_period_us = 1000000,
};

/* Of the test that runs: a guard with the kernel's limits, unless the test makes another. */
static struct guard *guard;
static struct grant grants[N_MANY];
static bool is_first;

static void make_guard(uint32_t n_tasks_max, const struct enforcer_limits *limits)
{
	guard_free(guard);
	ck_assert_int_eq(guard_new(&guard, n_tasks_max, limits, /* is_dry= */ false), 0);
	is_first = true;
}

static void set_up(void)
{
	make_guard(N_MAX, &kernel);
}

static void tear_down(void)
{
	guard = guard_free(guard);
}

static struct guard_input input_of(uint32_t task, double share_cpus)
{
	return (struct guard_input){.task = task, .share_cpus = share_cpus, .usable_cpus = 1};
}

/* Grants for a slot of SLOT_NS that follows on one of the same length. */
static uint64_t clip(uint64_t budget_ns, const struct guard_input inputs[], size_t n)
{
	uint64_t elapsed_ns = is_first ? 0 : SLOT_NS;

	is_first = false;
	return guard_clip(guard, elapsed_ns, SLOT_NS, budget_ns, inputs, n, grants);
}

static uint64_t sum_of(size_t n)
{
	uint64_t sum = 0;

	for (size_t i = 0; i < n; i++)
		sum += grants[i].cpu_ns;
	return sum;
}

START_TEST(no_tasks_no_budget)
{
	struct guard_input input = {.share_cpus = 0.5, .usable_cpus = 1};

	ck_assert_uint_eq(clip(0, NULL, 0), 0);
	ck_assert_uint_eq(clip(0, &input, 1), 0);
	ck_assert_uint_eq(grants[0].quota_us, 0);
}
END_TEST

START_TEST(decimal_shares_are_exact)
{
	/* 0.3 - 0.1 is a hair below 0.2. */
	ck_assert_uint_eq(share_to_ns(0.3 - 0.1, NSEC_PER_SEC), 200000000);
	ck_assert_uint_eq(share_to_ns(1.0 / 3, NSEC_PER_SEC), 333333333);
	ck_assert_uint_eq(share_to_ns(0, NSEC_PER_SEC), 0);
}
END_TEST

START_TEST(shares_above_the_budget_are_scaled)
{
	struct guard_input inputs[3];
	uint64_t sum;

	make_guard(N_MAX, &anything);
	for (uint32_t i = 0; i < 3; i++)
		inputs[i] = input_of(i, 1);
	sum = clip(SLOT_NS, inputs, 3);
	ck_assert_uint_eq(sum, sum_of(3));
	ck_assert_uint_le(sum, SLOT_NS);
	ck_assert_uint_ge(sum, SLOT_NS - 3);
	ck_assert_uint_eq(grants[0].cpu_ns, 333333333);
}
END_TEST

/* What is used beyond a share is taken back from it, whatever the reason. */
START_TEST(a_leak_is_paid_back)
{
	struct guard_input inputs[2] = {input_of(0, 0.4), input_of(1, 0.6)};
	uint64_t used[2] = {0};

	for (int slot = 0; slot < 100; slot++) {
		clip(SLOT_NS, inputs, 2);
		/* The first leaks a fifth, the second gets what the parent leaves. */
		used[0] += grants[0].cpu_ns * 6 / 5;
		used[1] += SLOT_NS - grants[0].cpu_ns * 6 / 5;
		inputs[0].cpu_ns = used[0];
		inputs[1].cpu_ns = used[1];
	}
	ck_assert_double_eq_tol((double)used[0] / (100.0 * SLOT_NS), 0.4, 0.004);
	ck_assert_double_eq_tol((double)used[1] / (100.0 * SLOT_NS), 0.6, 0.006);
}
END_TEST

START_TEST(a_sleeper_saves_nothing_up)
{
	struct guard_input inputs[2] = {input_of(0, 0.2), input_of(1, 0.2)};

	for (int slot = 0; slot < 50; slot++)
		clip(2 * SLOT_NS, inputs, 2);
	/* At most one slot is owed, after fifty in which nothing was used. */
	ck_assert_uint_le(grants[0].cpu_ns, 2 * SLOT_NS / 5);
}
END_TEST

/* A meter that knows of waiting: who did not wait is owed nothing, who did is owed that. */
START_TEST(who_did_not_wait_is_owed_nothing)
{
	struct guard_input inputs[3] = {
		{.task = 0, .share_cpus = 0.2, .usable_cpus = 1, .has_wait = true},
		{.task = 1, .share_cpus = 0.2, .usable_cpus = 1, .has_wait = true},
		{.task = 2, .share_cpus = 0.2, .usable_cpus = 1, .has_wait = true},
	};

	clip(2 * SLOT_NS, inputs, 3);
	inputs[0].cpu_ns = SLOT_NS / 10;
	inputs[1].cpu_ns = SLOT_NS / 10;
	inputs[1].wait_ns = SLOT_NS / 20;
	inputs[2].wait_ns = SLOT_NS;
	clip(2 * SLOT_NS, inputs, 3);
	ck_assert_uint_eq(grants[0].cpu_ns, SLOT_NS / 5);
	ck_assert_uint_eq(grants[1].cpu_ns, SLOT_NS / 5 + SLOT_NS / 20);
	ck_assert_uint_eq(grants[2].cpu_ns, 2 * SLOT_NS / 5);
}
END_TEST

/* A share below the least quota: frozen in most slots, a real quota in some, right on average. */
START_TEST(small_shares_are_given_in_turns)
{
	/* A frozen task does not wait. */
	struct guard_input input = {
		.task = 0, .share_cpus = 0.0005, .usable_cpus = 1, .has_wait = _i == 1};
	uint64_t used = 0;
	unsigned n_frozen = 0;

	for (int slot = 0; slot < 200; slot++) {
		input.cpu_ns = used;
		clip(SLOT_NS, &input, 1);
		if (grants[0].quota_us == 0)
			n_frozen++;
		else
			ck_assert_uint_ge(grants[0].quota_us, kernel.min_quota_us);
		used += grants[0].cpu_ns;
		input.wait_ns += grants[0].cpu_ns > 0 && _i == 1 ? SLOT_NS : 0;
	}
	ck_assert_uint_gt(n_frozen, 100);
	ck_assert_uint_lt(n_frozen, 200);
	ck_assert_double_eq_tol((double)used / (200.0 * SLOT_NS), 0.0005, 0.00005);
}
END_TEST

/* Equal shares come to their least quotas in the same slot, where they do not fit. */
START_TEST(a_hundred_equal_shares_take_turns)
{
	enum { N = 100, SLOTS = 400 };
	const uint64_t slot_ns = 50 * NSEC_PER_MSEC;
	struct guard_input inputs[N];

	make_guard(N, &kernel);
	for (uint32_t i = 0; i < N; i++)
		inputs[i] = input_of(i, 0.005);
	for (int slot = 0; slot < SLOTS; slot++) {
		ck_assert_uint_le(guard_clip(guard, slot == 0 ? 0 : slot_ns, slot_ns, slot_ns / 2,
					  inputs, N, grants),
			slot_ns / 2);
		for (int i = 0; i < N; i++)
			inputs[i].cpu_ns += grants[i].cpu_ns;
	}
	for (int i = 0; i < N; i++)
		ck_assert_double_eq_tol(
			(double)inputs[i].cpu_ns, 0.005 * SLOTS * (double)slot_ns, 5e6);
}
END_TEST

START_TEST(no_share_is_a_freeze_whatever_is_owed)
{
	struct guard_input input = input_of(0, 0.5);

	clip(SLOT_NS, &input, 1);
	ck_assert_uint_gt(grants[0].quota_us, 0);
	input.share_cpus = 0; /* and nothing of the half CPU was used */
	clip(SLOT_NS, &input, 1);
	ck_assert_uint_eq(grants[0].quota_us, 0);
	ck_assert_uint_eq(grants[0].cpu_ns, 0);
}
END_TEST

/* A controller that does not hold: the excess shrinks the next budgets until it is paid. */
START_TEST(excess_is_taken_back)
{
	struct guard_input input = {.task = 0, .share_cpus = 1, .usable_cpus = 4};

	clip(SLOT_NS, &input, 1);
	input.cpu_ns = 3 * SLOT_NS;
	clip(SLOT_NS, &input, 1);
	ck_assert_uint_eq(guard_excess_ns(guard), 2 * SLOT_NS);
	ck_assert_uint_eq(grants[0].cpu_ns, 0);
	clip(SLOT_NS, &input, 1);
	ck_assert_uint_eq(guard_excess_ns(guard), SLOT_NS);
	clip(SLOT_NS, &input, 1);
	ck_assert_uint_eq(guard_excess_ns(guard), 0);
}
END_TEST

START_TEST(the_period_follows_the_smallest_share)
{
	struct guard_input inputs[2] = {input_of(0, 0.5), input_of(1, 0.5)};
	uint32_t short_us;

	guard_clip(guard, 0, SLOT_NS, SLOT_NS, inputs, 2, grants);
	short_us = grants[0].period_us;
	inputs[1].share_cpus = 0.02;
	guard_clip(guard, 0, SLOT_NS, SLOT_NS, inputs, 2, grants);
	ck_assert_uint_gt(grants[0].period_us, short_us);
	ck_assert_uint_eq(grants[0].period_us, grants[1].period_us);
	ck_assert_uint_ge(grants[1].quota_us, 2 * kernel.min_quota_us);
	/* One slot with larger shares does not shorten it again, many do. */
	inputs[1].share_cpus = 0.5;
	guard_clip(guard, 0, SLOT_NS, SLOT_NS, inputs, 2, grants);
	ck_assert_uint_gt(grants[0].period_us, short_us);
	for (int slot = 0; slot < 10; slot++)
		guard_clip(guard, 0, SLOT_NS, SLOT_NS, inputs, 2, grants);
	ck_assert_uint_eq(grants[0].period_us, short_us);
}
END_TEST

static const uint32_t no_limit_us = 1000000;

/* The period of the first slot, for one task. */
static uint32_t period_of(
	double share_cpus, uint64_t slot_ns, uint32_t min_period_us, uint32_t max_period_us)
{
	const struct enforcer_limits limits = {
		.min_quota_us = 1000,
		.min_period_us = min_period_us,
		.max_period_us = max_period_us,
	};
	struct guard_input input = input_of(0, share_cpus);

	make_guard(N_MAX, &limits);
	guard_clip(guard, 0, slot_ns, slot_ns, &input, 1, grants);
	return grants[0].period_us;
}

START_TEST(the_period_keeps_to_its_limits)
{
	/* The shortest with two least quotas in the share. */
	ck_assert_uint_eq(period_of(0.5, SLOT_NS, 1000, no_limit_us), 10000);
	ck_assert_uint_eq(period_of(0.2, SLOT_NS, 1000, no_limit_us), 10000);
	ck_assert_uint_eq(period_of(0.19, SLOT_NS, 1000, no_limit_us), 20000);
	ck_assert_uint_eq(period_of(0.02, SLOT_NS, 1000, no_limit_us), 100000);
	/* Half a slot at most, and what the enforcer can. */
	ck_assert_uint_eq(period_of(0.02, 50 * NSEC_PER_MSEC, 1000, no_limit_us), 20000);
	ck_assert_uint_eq(period_of(0.02, SLOT_NS, 1000, 50000), 50000);
	ck_assert_uint_eq(period_of(0.5, SLOT_NS, 50000, no_limit_us), 50000);
	ck_assert_uint_eq(period_of(0.02, 50 * NSEC_PER_MSEC, 100000, no_limit_us), 100000);
}
END_TEST

START_TEST(what_is_owed_is_paid_up_to_the_threads)
{
	struct guard_input input = input_of(0, 0.8);

	clip(2 * SLOT_NS, &input, 1);
	clip(2 * SLOT_NS, &input, 1);
	ck_assert_uint_eq(grants[0].cpu_ns, SLOT_NS);
}
END_TEST

START_TEST(a_debt_is_ten_slots_at_most)
{
	struct guard_input input = input_of(0, 1);

	clip(4 * SLOT_NS, &input, 1);
	input.cpu_ns = 400 * SLOT_NS;
	guard_clip(guard, 100 * SLOT_NS, SLOT_NS, 4 * SLOT_NS, &input, 1, grants);
	for (int slot = 1; slot < 10; slot++) {
		ck_assert_uint_eq(grants[0].cpu_ns, 0);
		clip(4 * SLOT_NS, &input, 1);
	}
	ck_assert_uint_eq(grants[0].cpu_ns, 0);
	clip(4 * SLOT_NS, &input, 1);
	ck_assert_uint_eq(grants[0].cpu_ns, SLOT_NS);
}
END_TEST

/* A slot in which less was used excuses no more than two periods of the next. */
START_TEST(idle_time_is_soon_forgotten)
{
	struct guard_input input = {.task = 0, .share_cpus = 1, .usable_cpus = 4};

	clip(SLOT_NS, &input, 1);
	clip(SLOT_NS, &input, 1);
	ck_assert_uint_eq(guard_excess_ns(guard), 0);
	input.cpu_ns = 3 * SLOT_NS / 2;
	clip(SLOT_NS, &input, 1);
	ck_assert_uint_eq(guard_excess_ns(guard), 300 * NSEC_PER_MSEC);
}
END_TEST

START_TEST(a_task_that_comes_back_owes_nothing)
{
	struct guard_input input = input_of(0, 0.5);

	clip(4 * SLOT_NS, &input, 1);
	input.cpu_ns = SLOT_NS;
	clip(4 * SLOT_NS, &input, 1);
	ck_assert_uint_eq(grants[0].cpu_ns, 0);
	clip(4 * SLOT_NS, NULL, 0);
	clip(4 * SLOT_NS, &input, 1);
	ck_assert_uint_eq(grants[0].cpu_ns, SLOT_NS / 2);
}
END_TEST

/* What was scaled away is not owed. */
START_TEST(a_scaled_share_is_the_share)
{
	struct guard_input inputs[2] = {input_of(0, 1), input_of(1, 1)};

	clip(SLOT_NS, inputs, 2);
	for (size_t i = 0; i < 2; i++) {
		ck_assert_uint_eq(grants[i].cpu_ns, SLOT_NS / 2);
		inputs[i].cpu_ns = SLOT_NS / 2;
		inputs[i].share_cpus = 0.4;
	}
	clip(SLOT_NS, inputs, 2);
	ck_assert_uint_eq(grants[0].cpu_ns, 2 * SLOT_NS / 5);
	ck_assert_uint_eq(grants[1].cpu_ns, 2 * SLOT_NS / 5);
}
END_TEST

/* So many that 1/1000 ns of each, rounded up, is a ns of all. */
START_TEST(a_thousand_roundings_are_within_the_budget)
{
	static struct guard_input inputs[N_MANY];
	uint64_t budget_ns = N_MANY * UINT64_C(1000) - 1;

	make_guard(N_MANY, &anything);
	for (uint32_t i = 0; i < N_MANY; i++)
		inputs[i] = input_of(i, 1);
	ck_assert_uint_eq(clip(budget_ns, inputs, N_MANY), budget_ns);
	ck_assert_uint_eq(grants[0].cpu_ns, 1000);
	ck_assert_uint_eq(grants[N_MANY - 1].cpu_ns, 999);
	ck_assert_uint_eq(sum_of(N_MANY), budget_ns);
}
END_TEST

static double random_part(unsigned *seed)
{
	return (double)rand_r(seed) / RAND_MAX;
}

/* Condition (1), on integers, whatever comes: shares above the budget, use that has nothing to do
 * with the grants, tasks that come and go, counters that go back. */
START_TEST(never_above_the_budget)
{
	const struct enforcer_limits *limits = _i % 2 == 0 ? &anything : &kernel;
	struct guard_input inputs[N_MAX];
	unsigned seed = (unsigned)_i;

	make_guard(N_MAX, limits);
	for (int slot = 0; slot < 300; slot++) {
		uint64_t slot_ns = 50 * NSEC_PER_MSEC + (uint64_t)rand_r(&seed) % SLOT_NS;
		uint64_t budget_ns = (uint64_t)(random_part(&seed) * 2 * (double)slot_ns);
		uint64_t elapsed_ns = (uint64_t)rand_r(&seed) % (2 * SLOT_NS), sum;
		size_t n = 0;

		for (uint32_t task = 0; task < N_MAX; task++) {
			if (rand_r(&seed) % 3 == 0)
				continue;
			inputs[n++] = (struct guard_input){
				.task = task,
				.share_cpus = rand_r(&seed) % 5 == 0 ? 0 : random_part(&seed) / 4,
				.usable_cpus = 1 + rand_r(&seed) % 3,
				.cpu_ns = (uint64_t)(random_part(&seed) * 1e10),
			};
		}
		sum = guard_clip(guard, elapsed_ns, slot_ns, budget_ns, inputs, n, grants);
		ck_assert_uint_eq(sum, sum_of(n));
		ck_assert_uint_le(sum, budget_ns);
		for (size_t i = 0; i < n; i++) {
			ck_assert_uint_eq(grants[i].task, inputs[i].task);
			if (limits->min_quota_us == 0)
				continue;
			ck_assert(grants[i].quota_us == 0 ||
				grants[i].quota_us >= limits->min_quota_us);
			ck_assert_uint_ge(grants[i].period_us, limits->min_period_us);
			ck_assert_uint_le(grants[i].period_us, limits->max_period_us);
		}
	}
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("guard");
	TCase *tcase = tcase_create("all");

	tcase_add_checked_fixture(tcase, set_up, tear_down);
	tcase_add_test(tcase, no_tasks_no_budget);
	tcase_add_test(tcase, decimal_shares_are_exact);
	tcase_add_test(tcase, shares_above_the_budget_are_scaled);
	tcase_add_test(tcase, a_leak_is_paid_back);
	tcase_add_test(tcase, a_sleeper_saves_nothing_up);
	tcase_add_test(tcase, who_did_not_wait_is_owed_nothing);
	tcase_add_loop_test(tcase, small_shares_are_given_in_turns, 0, 2);
	tcase_add_test(tcase, a_hundred_equal_shares_take_turns);
	tcase_add_test(tcase, no_share_is_a_freeze_whatever_is_owed);
	tcase_add_test(tcase, excess_is_taken_back);
	tcase_add_test(tcase, the_period_follows_the_smallest_share);
	tcase_add_test(tcase, the_period_keeps_to_its_limits);
	tcase_add_test(tcase, what_is_owed_is_paid_up_to_the_threads);
	tcase_add_test(tcase, a_debt_is_ten_slots_at_most);
	tcase_add_test(tcase, idle_time_is_soon_forgotten);
	tcase_add_test(tcase, a_task_that_comes_back_owes_nothing);
	tcase_add_test(tcase, a_scaled_share_is_the_share);
	tcase_add_test(tcase, a_thousand_roundings_are_within_the_budget);
	tcase_add_loop_test(tcase, never_above_the_budget, 0, 50);
	suite_add_tcase(suite, tcase);
	return suite_run(suite);
}
