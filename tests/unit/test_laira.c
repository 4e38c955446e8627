// SPDX-License-Identifier: GPL-2.0-or-later
#include "policy.h"

#include <math.h>
#include <string.h>

#include "suite.h"
#include "views.h"

/* `laira` on few tasks and one CPU at 10 s. Losses are 4 / s at s = 1, 2, 3, 4 s of CPU time, if nothing else is
 * said; with a target of 4 / x the need is x - 4 more. */

#define SECOND UINT64_C(1000000000)

static struct views views;
static const struct policy *policy;
static struct policy_state *state;
static double values[POLICY_PARAMETERS_MAX];
static double shares[8];
static enum why why[8];

static void set(const char *name, double value)
{
	const struct policy_parameter *parameter = policy_parameter_find(policy, name);

	ck_assert_ptr_nonnull(parameter);
	values[parameter - policy->parameters] = value;
}

/* Slices of three slots that stay so, no look-ahead. */
static void set_up(uint32_t n)
{
	policy = policy_find("laira");
	policy_parameter_values(policy, NULL, values);
	set("slice-first", 3);
	set("gain", 0);
	set("gain-change", 0);
	set("check-reports", 1000);
	set("explore-part", 0.1);
	set("size", 1);
	set("ridge", 1);
	views_init(&views, n);
	state = NULL;
}

static void tear_down(void)
{
	policy->free(state);
	views_done(&views);
}

static void report(uint32_t task, double value)
{
	views.tasks[task].cpu_ns += SECOND;
	history_add(&views.histories[task], views.tasks[task].cpu_ns, value);
}

static void power_law(uint32_t task, double need_s, uint64_t due_s)
{
	for (int i = 1; i <= 4; i++)
		report(task, 4.0 / i);
	views.tasks[task].target = 4 / (4 + need_s);
	views.tasks[task].deadline_ns = (10 + due_s) * SECOND;
}

static void plan_at(uint64_t now_s)
{
	views.view.now_ns = now_s * SECOND;
	if (!state)
		state = views_state_with(&views, policy, values);
	policy->plan(state, &views.view, shares, why);
}

static void expect(uint32_t task, double share, const char *reason)
{
	ck_assert_double_eq_tol(shares[task], share, 1e-9);
	ck_assert_str_eq(why_to_string(why[task]), reason);
}

/* The same curve, so the same prediction: the lower required rate has the larger ratio, ln(10 / 4) to
 * ln(64 / 4) for the same time. */
START_TEST(the_nearer_target_wins)
{
	set_up(2);
	power_law(0, 60, 90);
	power_law(1, 6, 90);
	plan_at(10);
	expect(0, 0, "none-left");
	expect(1, 1, "chosen");
	tear_down();
}
END_TEST

/* ... and ln(24 / 4) to ln(84 / 4) of what the time lets each have, for the same target. */
START_TEST(the_later_deadline_wins)
{
	set_up(2);
	power_law(0, 6, 20);
	power_law(1, 6, 80);
	plan_at(10);
	expect(0, 0, "none-left");
	expect(1, 1, "chosen");
	tear_down();
}
END_TEST

/* The same curve, known by one report of it instead of four: the prediction is flat. What it may be by the
 * bound decides. */
START_TEST(what_little_is_known_of_is_explored)
{
	set_up(2);
	set("ridge", 0.01);
	set("size", _i == 1 ? 10 : 0);
	set("noise", _i == 2 ? 1 : 1e-4);
	power_law(0, 6, 90);
	report(1, 4);
	views.tasks[1].target = 0.4;
	plan_at(10);
	expect(0, _i == 0 ? 1 : 0, _i == 0 ? "chosen" : "none-left");
	expect(1, _i == 0 ? 0 : 1, _i == 0 ? "none-left" : "chosen");
	tear_down();
}
END_TEST

/* It fell as the other does, and has stood still since: what counts is how old that is. */
START_TEST(old_reports_count_less)
{
	set_up(2);
	set("ridge", 1e-4);
	set("noise", 1e-4);
	set("size", 0);
	set("discount", _i == 0 ? 0.9999 : 0.5);
	power_law(0, 60, 90);
	for (int i = 1; i <= 4; i++)
		report(1, 4 / pow(i, 1.5));
	for (int i = 0; i < 8; i++)
		report(1, 0.5);
	views.tasks[1].target = 0.25;
	plan_at(10);
	expect(0, _i == 0 ? 0 : 1, _i == 0 ? "none-left" : "chosen");
	tear_down();
}
END_TEST

/* One that stands still hardly above its target needs next to no rate, and the bound promises it some; that
 * it never gets there is what the filter sees. */
START_TEST(the_look_ahead_finds_who_cannot)
{
	set_up(2);
	set("check-reports", _i == 0 ? 1000 : 1);
	power_law(0, 6, 90);
	for (int i = 1; i <= 4; i++)
		report(1, 4);
	views.tasks[1].target = 3.9;
	plan_at(10);
	expect(0, _i == 0 ? 0 : 1, _i == 0 ? "none-left" : "chosen");
	expect(1, _i == 0 ? 1 : 0, _i == 0 ? "chosen" : "written-off");
	tear_down();
}
END_TEST

/* Above 0.5 by 0.5 / s: -0.5 down to -1 where it is mirrored. It falls by itself, and nobody else is there. */
START_TEST(a_raised_metric_is_followed)
{
	set_up(2);
	set("check-reports", 1);
	for (int i = 1; i <= 8; i++) {
		report(0, 1 - 0.5 / i);
		report(1, 1 - 0.5 / i);
		views.tasks[0].is_raised = views.tasks[1].is_raised = true;
	}
	views.tasks[0].target = 5;
	views.tasks[1].target = 0.95;
	plan_at(10);
	expect(0, 0, "written-off");
	expect(1, 1, "chosen");
	tear_down();
}
END_TEST

START_TEST(a_slice_lasts)
{
	set_up(2);
	power_law(0, 60, 90);
	power_law(1, 6, 90);
	plan_at(10);
	expect(1, 1, "chosen");
	report(0, 0.06); /* at its target, but for a second report */
	plan_at(12);
	expect(1, 1, "chosen");
	plan_at(13);
	expect(0, 1, "chosen");
	tear_down();
}
END_TEST

START_TEST(a_slice_ends_with_who_has_won_it)
{
	set_up(4);
	views.view.n_tasks = 3;
	views.view.tasks = views.tasks + 1;
	power_law(0, 1, 90);
	power_law(1, 30, 90);
	power_law(2, 6, 90);
	power_law(3, 60, 90);
	plan_at(10);
	ck_assert_double_eq(shares[1], 1); /* the task 2 */
	report(1, 0.1);                    /* would win a new slice; but the slice goes on, */
	views.view.n_tasks = 2;
	plan_at(11); /* though one that had nothing is gone, */
	ck_assert_double_eq(shares[1], 1);
	views.view.n_tasks = 3; /* and who comes waits for the next slice, */
	views.view.tasks = views.tasks;
	plan_at(11);
	expect(0, 0, "none-left");
	expect(2, 1, "chosen");
	views.view.n_tasks = 2; /* or until the winner is gone. */
	plan_at(11);
	expect(0, 0, "none-left");
	expect(1, 1, "chosen");
	tear_down();
}
END_TEST

/* It is not known what it needs, for a tenth of its window of 100 s. */
START_TEST(who_has_not_reported_comes_first_for_a_while)
{
	set_up(2);
	power_law(0, 6, 90);
	plan_at(10);
	expect(0, 0, "none-left");
	expect(1, 1, "chosen");
	views.tasks[1].cpu_ns = 10 * SECOND;
	plan_at(13);
	expect(0, 1, "chosen");
	expect(1, 0, "none-left");
	tear_down();
}
END_TEST

START_TEST(what_the_winner_leaves_the_next_ones_win)
{
	set_up(4);
	set("check-reports", 1);
	views.view.budget_cpus = 2.5;
	power_law(0, 8, 90);
	power_law(1, 7, 90);
	power_law(2, 6, 90);
	for (int i = 1; i <= 4; i++)
		report(3, 4);
	plan_at(10);
	expect(0, 0.5, "chosen");
	expect(1, 1, "chosen");
	expect(2, 1, "chosen");
	expect(3, 0, "written-off");
	views.view.budget_cpus = 4;
	plan_at(13);
	expect(3, 1, "written-off"); /* leftovers */
	tear_down();
}
END_TEST

/* Slices of 4 slots from 10, 14 and 18 s; what the third has brought was not predicted. From 22 s on it is
 * one slot for who waits until it is seen that it is at its target, or four. */
START_TEST(bad_predictions_make_slices_short)
{
	bool is_short = _i > 0;
	uint32_t waits;

	set_up(2);
	set("slice-first", 4);
	set("slice-most", 4);
	set("gain", _i == 1 ? 1000 : 0);
	set("gain-change", _i == 2 ? 1000 : 0);
	power_law(0, 60, 90);
	power_law(1, 6, 90);
	for (uint64_t now_s = 10; now_s <= 18; now_s += 4) {
		plan_at(now_s);
		expect(1, 1, "chosen");
		report(1, now_s < 18 ? 4.0 / (double)(5 + (now_s - 10) / 4) : 1);
	}
	plan_at(22);
	waits = shares[0] > 0 ? 1 : 0;
	report(waits, 0.01);
	plan_at(23);
	expect(waits, is_short ? 1 : 0, is_short ? "chosen" : "none-left");
	plan_at(26);
	expect(waits, 1, "chosen");
	tear_down();
}
END_TEST

START_TEST(what_is_forgotten_is_unseen)
{
	set_up(2);
	power_law(0, 60, 90);
	power_law(1, 6, 90);
	plan_at(10);
	expect(1, 1, "chosen");
	policy->forget(state, 0);
	memset(&views.histories[0], 0, sizeof(views.histories[0]));
	views.tasks[0].cpu_ns = 0;
	plan_at(13);
	expect(0, 1, "chosen");
	policy->forget(state, 0); /* and it was the winner: the slice is over */
	for (int i = 1; i <= 4; i++)
		report(0, 4);
	plan_at(14);
	expect(0, 0, "none-left");
	expect(1, 1, "chosen");
	tear_down();
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("laira");
	TCase *tcase = tcase_create("all");

	tcase_add_test(tcase, the_nearer_target_wins);
	tcase_add_test(tcase, the_later_deadline_wins);
	tcase_add_loop_test(tcase, what_little_is_known_of_is_explored, 0, 3);
	tcase_add_loop_test(tcase, old_reports_count_less, 0, 2);
	tcase_add_loop_test(tcase, the_look_ahead_finds_who_cannot, 0, 2);
	tcase_add_test(tcase, a_raised_metric_is_followed);
	tcase_add_test(tcase, a_slice_lasts);
	tcase_add_test(tcase, a_slice_ends_with_who_has_won_it);
	tcase_add_test(tcase, who_has_not_reported_comes_first_for_a_while);
	tcase_add_test(tcase, what_the_winner_leaves_the_next_ones_win);
	tcase_add_loop_test(tcase, bad_predictions_make_slices_short, 0, 3);
	tcase_add_test(tcase, what_is_forgotten_is_unseen);
	suite_add_tcase(suite, tcase);
	return suite_run(suite);
}
