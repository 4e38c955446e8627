// SPDX-License-Identifier: GPL-2.0-or-later
#include "policy.h"

#include <math.h>
#include <string.h>

#include "suite.h"
#include "views.h"

/* `lara` on power laws that it can know exactly: losses 4 / s at s = 1, 2, 3, 4 s of CPU time. With a target of
 * 4 / x the need is x - 4 more. At 10 s, one CPU. */

#define SECOND UINT64_C(1000000000)

static struct views views;
static const struct policy *policy;
static struct policy_state *state;
static double shares[8];
static enum why why[8];

static void power_law(uint32_t task, double need_s, uint64_t due_s)
{
	for (int i = 1; i <= 4; i++)
		history_add(&views.histories[task], (uint64_t)i * SECOND, 4.0 / i);
	views.tasks[task].cpu_ns = 4 * SECOND;
	views.tasks[task].target = 4 / (4 + need_s);
	views.tasks[task].deadline_ns = (10 + due_s) * SECOND;
}

static void set_up(uint32_t n, double explore_part)
{
	double values[POLICY_PARAMETERS_MAX] = {0.9, explore_part};

	policy = policy_find("lara");
	ck_assert_str_eq(policy->parameters[0].name, "discount");
	ck_assert_str_eq(policy->parameters[1].name, "explore-part");
	views_init(&views, n);
	state = views_state_with(&views, policy, values);
}

static void tear_down(void)
{
	policy->free(state);
	views_done(&views);
}

static void expect(uint32_t task, double share, const char *reason)
{
	ck_assert_double_eq_tol(shares[task], share, 1e-9);
	ck_assert_str_eq(why_to_string(why[task]), reason);
}

static void plan(void)
{
	policy->plan(state, &views.view, shares, why);
}

/* 6 s by 50 s, 16 s by 20 s, and one that stands still and is due first. */
START_TEST(the_chosen_run_by_deadline)
{
	set_up(3, 0);
	power_law(0, 6, 50);
	power_law(1, 16, 20);
	for (int i = 1; i <= 4; i++)
		history_add(&views.histories[2], (uint64_t)i * SECOND, 4);
	views.tasks[2].cpu_ns = 4 * SECOND;
	views.tasks[2].deadline_ns = 15 * SECOND;
	plan();
	expect(0, 0, "none-left");
	expect(1, 1, "chosen");
	expect(2, 0, "written-off");
	/* 16 s do not fit into 15 s: whoever waits is first now. */
	views.tasks[1].deadline_ns = 25 * SECOND;
	plan();
	expect(0, 1, "chosen");
	expect(1, 0, "written-off");
	/* Leftovers go by deadline. */
	views.view.budget_cpus = 1.5;
	plan();
	expect(2, 0.5, "written-off");
	tear_down();
}
END_TEST

/* 12 s by 13 s is due before two of 6 s by 14 s, and with it neither can be done. */
START_TEST(two_short_ones_are_more_than_a_long_one)
{
	set_up(3, 0);
	power_law(0, 12, 13);
	power_law(1, 6, 14);
	power_law(2, 6, 14);
	plan();
	expect(0, 0, "written-off");
	expect(1, 1, "chosen");
	expect(2, 0, "none-left");
	tear_down();
}
END_TEST

/* Of 2 CPUs no task can use more than one: 12 s each, by 13 s, two fit, and a third does not. */
START_TEST(threads_bound_what_fits)
{
	set_up(3, 0);
	views.view.budget_cpus = 2;
	for (uint32_t i = 0; i < 3; i++)
		power_law(i, 12, 13);
	plan();
	expect(0, 1, "chosen");
	expect(1, 1, "chosen");
	expect(2, 0, "written-off");
	tear_down();
}
END_TEST

/* A tenth of a window of 200 s is not over at 10 s; of one of 60 s it is. */
START_TEST(the_first_part_of_a_window_is_for_exploration)
{
	set_up(4, 0.1);
	power_law(0, 12, 190);
	power_law(1, 12, 190);
	power_law(2, 12, 50);
	power_law(3, 300, 50);
	plan();
	expect(0, 0.25, "equal");
	expect(1, 0.25, "equal");
	expect(2, 0.5, "chosen");
	expect(3, 0, "written-off");
	tear_down();
}
END_TEST

/* 0.2 a second, mirrored and shifted (log_curve.h), to a target that is near and one that is not. */
START_TEST(a_raised_metric_is_followed)
{
	set_up(2, 0);
	for (uint32_t task = 0; task < 2; task++) {
		for (int i = 1; i <= 4; i++)
			history_add(&views.histories[task], (uint64_t)i * SECOND, 0.2 * i);
		views.tasks[task].cpu_ns = 4 * SECOND;
		views.tasks[task].is_raised = true;
	}
	views.tasks[0].target = 10000;
	views.tasks[1].target = 0.9;
	plan();
	expect(0, 0, "written-off");
	expect(1, 1, "chosen");
	tear_down();
}
END_TEST

/* One that was at its target by the line needs a slot more, so it goes before one that needs 6 s. */
START_TEST(what_should_have_been_there_is_nearly)
{
	set_up(2, 0);
	power_law(0, 6, 7);
	power_law(1, -2, 7); /* needs 1 s, and both fit */
	views.tasks[1].deadline_ns -= SECOND / 2;
	plan();
	expect(0, 0, "none-left");
	expect(1, 1, "chosen");
	views.view.slot_ns = 2 * SECOND; /* 2 s: one of them, the shorter */
	plan();
	expect(0, 0, "written-off");
	expect(1, 1, "chosen");
	tear_down();
}
END_TEST

/* Another value within one reading of the meter: the line is that of the reports that stand. */
START_TEST(a_replaced_report_is_out_of_the_line)
{
	set_up(1, 0);
	power_law(0, 6, 7);
	history_add(&views.histories[0], 4 * SECOND, 3.9);
	plan();
	expect(0, 1, "written-off");
	history_add(&views.histories[0], 4 * SECOND, 1);
	plan();
	expect(0, 1, "chosen");
	tear_down();
}
END_TEST

START_TEST(what_is_forgotten_has_no_line)
{
	set_up(2, 0);
	power_law(0, 12, 13);
	power_law(1, 12, 90);
	plan();
	expect(0, 1, "chosen");
	policy->forget(state, 0);
	memset(&views.histories[0], 0, sizeof(views.histories[0]));
	plan();
	expect(0, 0, "written-off");
	expect(1, 1, "chosen");
	tear_down();
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("lara");
	TCase *tcase = tcase_create("all");

	tcase_add_test(tcase, the_chosen_run_by_deadline);
	tcase_add_test(tcase, two_short_ones_are_more_than_a_long_one);
	tcase_add_test(tcase, threads_bound_what_fits);
	tcase_add_test(tcase, the_first_part_of_a_window_is_for_exploration);
	tcase_add_test(tcase, a_raised_metric_is_followed);
	tcase_add_test(tcase, what_should_have_been_there_is_nearly);
	tcase_add_test(tcase, a_replaced_report_is_out_of_the_line);
	tcase_add_test(tcase, what_is_forgotten_has_no_line);
	suite_add_tcase(suite, tcase);
	return suite_run(suite);
}
