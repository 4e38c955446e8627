// SPDX-License-Identifier: GPL-2.0-or-later
#include "placement.h"

#include <errno.h>
#include <string.h>

#include "suite.h"

/* The order of writes, on a kernel made of an array: what holds in it after every single write is
 * looked at, and any write can be made to fail. */

#define N_TASKS 6
#define PERIOD_US 100000

struct fake_kernel {
	struct quota quota[N_TASKS];
	bool is_frozen[N_TASKS];
	int fail_at; /* the n-th write from now fails, counted from 1; 0: none */
	int error;
	bool is_torn; /* a write that fails has its effect all the same */
	int n_writes;
	uint64_t most_us; /* the largest sum that was in force after any write */
};

static struct fake_kernel kernel;
static struct placement tasks[N_TASKS];
static struct placements placements;
static struct enforced enforced;
static struct fault fault;
static const struct quota budget = {PERIOD_US, PERIOD_US};

static uint64_t sum_us(void)
{
	uint64_t sum = 0;

	for (int i = 0; i < N_TASKS; i++)
		if (!kernel.is_frozen[i])
			sum += kernel.quota[i].quota_us;
	return sum;
}

static int count_write(void)
{
	kernel.n_writes++;
	if (kernel.fail_at > 0 && --kernel.fail_at == 0)
		return kernel.error;
	return 0;
}

static void note_sum(void)
{
	if (sum_us() > kernel.most_us)
		kernel.most_us = sum_us();
}

static int fake_write_quota(void *enforcer, uint32_t task, const struct quota *from,
	const struct quota *to, uint32_t *n_writes, struct fault *reterr)
{
	int r = count_write();

	(void)enforcer;
	ck_assert_uint_eq(from->quota_us, kernel.quota[task].quota_us);
	*n_writes += 1;
	if (r < 0 && kernel.is_torn)
		kernel.quota[task] = *to;
	if (r < 0)
		return fault_set(reterr, r, "write %u", task);
	kernel.quota[task] = *to;
	note_sum();
	return 0;
}

static int fake_write_freeze(void *enforcer, uint32_t task, bool is_frozen, struct fault *reterr)
{
	int r = count_write();

	(void)enforcer;
	if (r < 0)
		return fault_set(reterr, r, "freeze %u", task);
	kernel.is_frozen[task] = is_frozen;
	note_sum();
	return 0;
}

static int fake_read(void *enforcer, uint32_t task, struct quota *ret_quota, bool *ret_is_frozen)
{
	(void)enforcer;
	*ret_quota = kernel.quota[task];
	*ret_is_frozen = kernel.is_frozen[task];
	return 0;
}

static const struct placement_ops fake_ops = {
	.write_quota = fake_write_quota,
	.write_freeze = fake_write_freeze,
	.read = fake_read,
};

static void setup(void)
{
	const struct quota least = {QUOTA_MIN_US, PERIOD_US};

	kernel = (struct fake_kernel){.error = -EIO};
	for (int i = 0; i < N_TASKS; i++) {
		kernel.quota[i] = least;
		kernel.is_frozen[i] = true;
		tasks[i] = (struct placement){.is_used = true, .quota = least, .is_frozen = true};
	}
	placements = (struct placements){.ops = &fake_ops, .tasks = tasks, .n_tasks = N_TASKS};
	fault = FAULT_INIT;
}

static void deal(struct grant grants[N_TASKS], const uint64_t quota_us[N_TASKS])
{
	for (uint32_t i = 0; i < N_TASKS; i++)
		grants[i] = (struct grant){
			.task = i, .period_us = PERIOD_US, .quota_us = quota_us[i]};
}

static int apply(const uint64_t quota_us[N_TASKS])
{
	struct grant grants[N_TASKS];

	deal(grants, quota_us);
	kernel.n_writes = 0;
	kernel.most_us = 0;
	return placements_apply(&placements, &budget, grants, N_TASKS, &enforced, &fault);
}

static void assert_in_force(const uint64_t quota_us[N_TASKS])
{
	for (int i = 0; i < N_TASKS; i++) {
		ck_assert_int_eq(kernel.is_frozen[i], quota_us[i] == 0);
		if (quota_us[i] > 0)
			ck_assert_uint_eq(kernel.quota[i].quota_us, quota_us[i]);
	}
}

static const uint64_t first[N_TASKS] = {50000, 30000, 10000, 5000, 5000, 0};
static const uint64_t second[N_TASKS] = {5000, 30100, 40000, 0, 14900, 10000};

START_TEST(falls_before_it_raises)
{
	ck_assert_int_eq(apply(first), 0);
	assert_in_force(first);
	ck_assert_uint_eq(enforced.n_unchanged, 1);
	ck_assert_uint_eq(enforced.n_writes, 10);

	ck_assert_int_eq(apply(second), 0);
	ck_assert_uint_le(kernel.most_us, 100000);
	ck_assert_uint_eq(enforced.n_unchanged, 1); /* 30100 is within the dead band of 30000 */
	ck_assert_uint_eq(kernel.quota[1].quota_us, 30000);
	ck_assert_uint_eq(kernel.quota[3].quota_us, 5000); /* frozen: the quota is not touched */
	ck_assert_uint_eq(enforced.n_writes, 6); /* 3 quotas, a freeze, a quota and a thaw */
	ck_assert_uint_eq((unsigned)kernel.n_writes, enforced.n_writes);
}
END_TEST

START_TEST(a_thaw_to_the_same_quota_writes_no_quota)
{
	uint64_t quota_us[N_TASKS] = {50000};

	ck_assert_int_eq(apply(quota_us), 0);
	quota_us[0] = 0;
	ck_assert_int_eq(apply(quota_us), 0);
	quota_us[0] = 50000;
	ck_assert_int_eq(apply(quota_us), 0);
	ck_assert_uint_eq(enforced.n_writes, 1);
	assert_in_force(quota_us);
}
END_TEST

/* For every n: the n-th write fails. Then nothing that rose is in force unless all that fell are,
 * the sum was never above the budget, and the next slot mends it. */
START_TEST(a_failed_write_never_exceeds_the_budget)
{
	bool did_all_fall;

	ck_assert_int_eq(apply(first), 0);
	kernel.fail_at = _i + 1;
	ck_assert_int_eq(apply(second), -EIO);
	ck_assert_uint_gt(strlen(fault.text), 0);
	ck_assert_uint_le(kernel.most_us, 100000);
	did_all_fall = kernel.quota[0].quota_us == 5000 && kernel.is_frozen[3];
	if (!did_all_fall) {
		ck_assert_uint_eq(kernel.quota[2].quota_us, 10000);
		ck_assert_uint_eq(kernel.quota[4].quota_us, 5000);
		ck_assert(kernel.is_frozen[5]);
	}
	ck_assert_int_eq(did_all_fall, _i >= 2);
	/* Every other fall was tried. */
	ck_assert_int_eq((kernel.quota[0].quota_us == 5000) + kernel.is_frozen[3], _i < 2 ? 1 : 2);

	ck_assert_int_eq(apply(second), 0);
	ck_assert_uint_le(kernel.most_us, 100000);
	ck_assert_int_eq(apply(second), 0);
	ck_assert_uint_eq(enforced.n_writes, 0);
	ck_assert_uint_eq(enforced.n_unchanged, N_TASKS);
}
END_TEST

START_TEST(after_a_failure_it_looks)
{
	ck_assert_int_eq(apply(first), 0);
	kernel.fail_at = 1;
	kernel.is_torn = true;
	ck_assert_int_eq(apply(second), -EIO);
	ck_assert_int_eq(apply(second), 0);
	ck_assert_uint_eq(enforced.n_writes, 4); /* not the torn one again, nor the freeze */
}
END_TEST

/* Random grants within the budget, random failures: the sum holds after every write. */
START_TEST(the_sum_holds_whatever_happens)
{
	uint64_t seed = (uint64_t)_i + 1, quota_us[N_TASKS];

	for (int round = 0; round < 500; round++) {
		uint64_t left_us = 100000, before_us = sum_us();

		for (int i = 0; i < N_TASKS; i++) {
			seed = seed * UINT64_C(6364136223846793005) + 1442695040888963407;
			quota_us[i] = (seed >> 33) % 40000;
			if (quota_us[i] < QUOTA_MIN_US || quota_us[i] > left_us)
				quota_us[i] = 0;
			left_us -= quota_us[i];
		}
		kernel.fail_at = seed % 3 == 0 ? (int)(seed >> 40) % 10 : 0;
		(void)apply(quota_us);
		/* The dead band leaves at most a hundredth. */
		ck_assert_uint_le(
			kernel.most_us, (before_us > 100000 ? before_us : 100000) + 100000 / 100);
	}
}
END_TEST

START_TEST(a_stranger_is_reported_and_left_alone)
{
	uint32_t n_foreign = 0;

	ck_assert_int_eq(apply(first), 0);
	kernel.quota[1].quota_us = 77000;
	for (int slot = 0; slot < N_TASKS; slot++) {
		ck_assert_int_eq(apply(first), 0);
		n_foreign += enforced.n_foreign;
		if (enforced.n_foreign > 0)
			ck_assert_ptr_nonnull(strstr(fault.text, "task 1"));
	}
	ck_assert_uint_eq(n_foreign, 1);
	ck_assert_uint_eq(kernel.quota[1].quota_us, 77000);
	for (int slot = 0; slot < 2 * N_TASKS; slot++) {
		ck_assert_int_eq(apply(first), 0);
		ck_assert_uint_eq(enforced.n_foreign, 0);
		ck_assert_uint_eq(enforced.n_writes, 0);
	}
	ck_assert_int_eq(apply((uint64_t[N_TASKS]){50000, 20000}), 0);
	ck_assert_uint_eq(kernel.quota[1].quota_us, 20000);
}
END_TEST

START_TEST(a_foreign_thaw_is_left_alone_too)
{
	ck_assert_int_eq(apply(first), 0);
	kernel.is_frozen[5] = false;
	for (int slot = 0; slot < N_TASKS; slot++)
		ck_assert_int_eq(apply(first), 0);
	ck_assert(!kernel.is_frozen[5]);
	ck_assert_int_eq(apply((uint64_t[N_TASKS]){0, 0, 0, 0, 0, 5000}), 0);
	ck_assert_int_eq(apply((uint64_t[N_TASKS]){0}), 0);
	ck_assert(kernel.is_frozen[5]);
}
END_TEST

START_TEST(a_vanished_group_is_no_error)
{
	ck_assert_int_eq(apply(first), 0);
	kernel.fail_at = 1;
	kernel.error = -ENODEV;
	ck_assert_int_eq(apply(second), 0);
	ck_assert_uint_eq(enforced.n_gone, 1);
	ck_assert_uint_eq(kernel.quota[2].quota_us, 40000); /* the others got theirs */
	ck_assert_int_eq(apply(second), 0);
	ck_assert_uint_eq(enforced.n_gone, 0);
}
END_TEST

START_TEST(the_killed_are_not_frozen)
{
	ck_assert_int_eq(apply(first), 0);
	tasks[0].is_killed = true;
	ck_assert_int_eq(apply((uint64_t[N_TASKS]){0}), 0);
	ck_assert(!kernel.is_frozen[0]);
	ck_assert(kernel.is_frozen[1]);
	tasks[0].is_foreign = true;
	ck_assert_int_eq(apply((uint64_t[N_TASKS]){0}), 0);
	ck_assert(!kernel.is_frozen[0]);
}
END_TEST

START_TEST(idle_quotas_are_lowered_before_the_budget)
{
	const struct quota half = {20000, PERIOD_US};

	ck_assert_int_eq(apply(first), 0);
	ck_assert_int_eq(apply((uint64_t[N_TASKS]){0, 0, 10000}), 0);
	ck_assert_uint_eq(kernel.quota[0].quota_us, 50000);
	ck_assert_int_eq(placements_lower(&placements, &half, &fault), 0);
	ck_assert_uint_eq(kernel.quota[0].quota_us, 20000);
	ck_assert_uint_eq(kernel.quota[1].quota_us, 20000);
	ck_assert_uint_eq(kernel.quota[2].quota_us, 10000);
	kernel.fail_at = 1;
	ck_assert_int_eq(
		placements_lower(&placements, &(struct quota){5000, PERIOD_US}, &fault), -EIO);
}
END_TEST

START_TEST(no_grants_no_tasks)
{
	struct placements none = {.ops = &fake_ops};

	ck_assert_int_eq(placements_apply(&none, &budget, NULL, 0, &enforced, &fault), 0);
	ck_assert_uint_eq(enforced.n_writes + enforced.n_unchanged, 0);
	ck_assert_int_eq(placements_apply(&placements, &budget, NULL, 0, &enforced, &fault), 0);
	ck_assert_uint_eq(enforced.n_writes, 0);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("placement");
	TCase *tcase = tcase_create("all");

	tcase_add_checked_fixture(tcase, setup, NULL);
	tcase_add_test(tcase, falls_before_it_raises);
	tcase_add_test(tcase, a_thaw_to_the_same_quota_writes_no_quota);
	tcase_add_loop_test(tcase, a_failed_write_never_exceeds_the_budget, 0, 6);
	tcase_add_test(tcase, after_a_failure_it_looks);
	tcase_add_loop_test(tcase, the_sum_holds_whatever_happens, 0, 10);
	tcase_add_test(tcase, a_stranger_is_reported_and_left_alone);
	tcase_add_test(tcase, a_foreign_thaw_is_left_alone_too);
	tcase_add_test(tcase, a_vanished_group_is_no_error);
	tcase_add_test(tcase, the_killed_are_not_frozen);
	tcase_add_test(tcase, idle_quotas_are_lowered_before_the_budget);
	tcase_add_test(tcase, no_grants_no_tasks);
	suite_add_tcase(suite, tcase);
	return suite_run(suite);
}
