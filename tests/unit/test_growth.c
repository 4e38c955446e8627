// SPDX-License-Identifier: GPL-2.0-or-later
#include "policy.h"

#include <math.h>
#include <string.h>

#include "suite.h"
#include "views.h"

/* `flowcon` and `tradl`: two tasks A and B, one CPU, worked by hand. */

#define SECOND UINT64_C(1000000000)

static struct views views;
static const struct policy *policy;
static struct policy_state *state;
static double shares[8];
static enum why why[8];

/* Threshold 0.01, floor 1 / (2 n), interval 10 slots, back-off to 2. */
static void set_up(const char *name, uint32_t n, uint32_t n_alive)
{
	static const double values[POLICY_PARAMETERS_MAX] = {0.01, 2, 10, 2};

	policy = policy_find(name);
	ck_assert_str_eq(policy->parameters[0].name, "threshold");
	ck_assert_str_eq(policy->parameters[1].name, "floor-part");
	ck_assert_str_eq(policy->parameters[2].name, "interval");
	ck_assert_str_eq(policy->parameters[3].name, "back-off-most");
	views_init(&views, n);
	views.view.n_tasks = n_alive;
	state = views_state_with(&views, policy, values);
}

static void tear_down(void)
{
	policy->free(state);
	views_done(&views);
}

/* 5 s of CPU time later the task has reported that. */
static void report(uint32_t task, double value)
{
	views.tasks[task].cpu_ns += 5 * SECOND;
	history_add(&views.histories[task], views.tasks[task].cpu_ns, value);
}

static void expect_at(uint64_t now_s, double a, double b)
{
	views.view.now_ns = now_s * SECOND;
	policy->plan(state, &views.view, shares, why);
	ck_assert_double_eq_tol(shares[0], a, 1e-9);
	ck_assert_double_eq_tol(shares[1], b, 1e-9);
	ck_assert_str_eq(why_to_string(why[0]), "equal");
}

/* A goes 4, 2, 1 and B 1, 0.98, 0.97: of the largest values 1/2 and 1/50, then 1/4 and 1/100, in 5 s. So G is
 * 0.1 and 0.004 at 30 s, 0.05 and 0.002 at 40 s. B is watched first, without another limit; then it converges:
 * its part would be 0.002 / 0.052, the floor is 1/4. Which way they go
 * does not matter. */
START_TEST(flowcon_limits_what_converges)
{
	double sign = _i == 0 ? 1 : -1;

	set_up("flowcon", 2, 2);
	expect_at(10, 0.5, 0.5);
	report(0, sign * 4);
	report(1, sign * 1);
	expect_at(20, 0.5, 0.5);
	report(0, sign * 2);
	report(1, sign * 0.98);
	expect_at(30, 0.5, 0.5);
	report(0, sign * 1);
	report(1, sign * 0.97);
	expect_at(39, 0.5, 0.5); /* the interval is not over */
	expect_at(40, 0.75, 0.25);
	expect_at(49, 0.75, 0.25);
	tear_down();
}
END_TEST

/* Both stand still: watched, then converging, then without limits, for two intervals. */
START_TEST(flowcon_backs_off_when_all_converge)
{
	set_up("flowcon", 2, 2);
	for (uint64_t now_s = 10; now_s <= 40; now_s += 10) {
		expect_at(now_s, 0.5, 0.5);
		report(0, 1);
		report(1, 1);
	}
	views.view.budget_cpus = 3;
	views_threads(&views, 0, 3);
	expect_at(50, 2, 1); /* no limits, B has one thread */
	views.view.budget_cpus = 1;
	report(0, 0.2);
	report(1, 1);
	expect_at(59, 0.5, 0.5);
	expect_at(60, 0.75, 0.25); /* A has moved: its mean is 0.6 */
	report(0, 0.1);
	report(1, 0.1);
	expect_at(69, 0.75, 0.25);
	expect_at(70, 5.0 / 14, 9.0 / 14); /* 0.5 and 0.9; the interval is as at first */
	tear_down();
}
END_TEST

START_TEST(flowcon_takes_no_report_for_no_news)
{
	set_up("flowcon", 2, 2);
	expect_at(10, 0.5, 0.5);
	report(0, 4);
	report(1, 4);
	expect_at(20, 0.5, 0.5);
	report(0, 3);
	report(1, 1);
	expect_at(30, 0.25, 0.75);
	expect_at(40, 0.25, 0.75);
	expect_at(100, 0.25, 0.75);
	tear_down();
}
END_TEST

/* Both lose a quarter in 5 s, before which A has run 5 s without a report: those were in the interval before. */
START_TEST(flowcon_counts_the_cpu_time_of_the_interval)
{
	set_up("flowcon", 2, 2);
	expect_at(10, 0.5, 0.5);
	report(0, 4);
	report(1, 4);
	views.tasks[0].cpu_ns += 5 * SECOND;
	expect_at(20, 0.5, 0.5);
	report(0, 3);
	report(1, 3);
	expect_at(30, 0.5, 0.5); /* not 1/3 and 2/3 */
	tear_down();
}
END_TEST

/* It has no limit, and is not waited for. */
START_TEST(flowcon_sees_a_newcomer_at_once)
{
	set_up("flowcon", 3, 2);
	expect_at(10, 0.5, 0.5);
	report(0, 4);
	report(1, 4);
	expect_at(20, 0.5, 0.5);
	report(0, 3);
	report(1, 1);
	expect_at(25, 0.5, 0.5);
	views.view.n_tasks = 3;
	expect_at(26, 0.25, 0.375); /* limits of 1/4, 3/4 and 1 */
	ck_assert_double_eq_tol(shares[2], 0.375, 1e-9);
	tear_down();
}
END_TEST

START_TEST(what_is_forgotten_is_new)
{
	set_up("flowcon", 2, 2);
	expect_at(10, 0.5, 0.5);
	report(0, 4);
	report(1, 4);
	expect_at(20, 0.5, 0.5);
	report(0, 3);
	report(1, 1);
	expect_at(30, 0.25, 0.75);
	policy->forget(state, 0);
	memset(&views.histories[0], 0, sizeof(views.histories[0]));
	views.tasks[0].cpu_ns = 0;
	expect_at(31, 0.5, 0.5);
	tear_down();
}
END_TEST

/* To a target of 0.5. A goes 4, 2: 2 of the 1.5 that are left. B goes 1, 0.75: 0.25 of the 0.25. In 5 s each
 * G is 4/15 and 1/5, whatever the size of the losses is. Mirrored it is the same. */
START_TEST(tradl_goes_by_the_distance)
{
	double sign = _i == 0 ? 1 : -1;

	set_up("tradl", 2, 2);
	for (int i = 0; i < 2; i++) {
		views.tasks[i].target = sign * 0.5;
		views.tasks[i].is_raised = _i == 1;
	}
	expect_at(10, 0.5, 0.5);
	report(0, sign * 4);
	report(1, sign * 1);
	expect_at(20, 0.5, 0.5);
	report(0, sign * 2);
	report(1, sign * 0.75);
	expect_at(30, 4.0 / 7, 3.0 / 7);
	tear_down();
}
END_TEST

/* What moves away does not grow, which `flowcon` thinks it does. */
START_TEST(tradl_knows_the_direction)
{
	set_up("tradl", 2, 2);
	expect_at(10, 0.5, 0.5);
	report(0, 1);
	report(1, 4);
	expect_at(20, 0.5, 0.5);
	report(0, 2);
	report(1, 2);
	expect_at(30, 0.5, 0.5);
	report(0, 4);
	report(1, 1);
	expect_at(40, 0.25, 0.75);
	tear_down();
}
END_TEST

/* At its target, but for reports in a row: a hundredth of its first distance is left at least. */
START_TEST(tradl_gives_no_task_everything)
{
	set_up("tradl", 2, 2);
	expect_at(10, 0.5, 0.5);
	report(0, 1.5);
	report(1, 1.5);
	expect_at(20, 0.5, 0.5);
	report(0, 0.4); /* 1.1 of 0.01 */
	report(1, 0.6); /* 0.9 of 0.1: G is 9 to 110 */
	expect_at(30, 110.0 / 119, 9.0 / 119);
	tear_down();
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("growth");
	TCase *tcase = tcase_create("all");

	tcase_add_loop_test(tcase, flowcon_limits_what_converges, 0, 2);
	tcase_add_test(tcase, flowcon_backs_off_when_all_converge);
	tcase_add_test(tcase, flowcon_takes_no_report_for_no_news);
	tcase_add_test(tcase, flowcon_counts_the_cpu_time_of_the_interval);
	tcase_add_test(tcase, flowcon_sees_a_newcomer_at_once);
	tcase_add_test(tcase, what_is_forgotten_is_new);
	tcase_add_loop_test(tcase, tradl_goes_by_the_distance, 0, 2);
	tcase_add_test(tcase, tradl_knows_the_direction);
	tcase_add_test(tcase, tradl_gives_no_task_everything);
	suite_add_tcase(suite, tcase);
	return suite_run(suite);
}
