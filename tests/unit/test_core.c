// SPDX-License-Identifier: GPL-2.0-or-later
#include "policy.h"

#include <math.h>
#include <string.h>

#include "suite.h"
#include "views.h"

#define SECOND UINT64_C(1000000000)
#define N_TASKS 4

static const struct policy *core;
static struct policy_state *state;
static struct views views;
static double shares[N_TASKS];
static enum why why[N_TASKS];

/* Four tasks of 10 s of window each, all begun just now, on one CPU. */
static void set_up(void)
{
	core = policy_find("core");
	ck_assert_ptr_nonnull(core);
	views_init(&views, N_TASKS);
	for (int i = 0; i < N_TASKS; i++) {
		views.tasks[i].begin_ns = 10 * SECOND;
		views.tasks[i].deadline_ns = 20 * SECOND;
	}
	state = views_state(&views, core);
}

static void tear_down(void)
{
	core->free(state);
	views_done(&views);
}

static void plan(uint32_t n_tasks)
{
	views.view.n_tasks = n_tasks;
	core->plan(state, &views.view, shares, why);
}

/* 2 (1 + i)^-0.7 + 0.3: comes to 0.5 after 27 reports, of which there have been 15. */
static void make_promising(uint32_t task)
{
	views_reports(&views, task, 15, 0.25, 0.3, 2, 0.7);
}

static void make_hopeless(uint32_t task)
{
	views_reports(&views, task, 60, 0.05, 1, 2, 2);
}

START_TEST(a_plateau_loses_against_a_slope)
{
	make_hopeless(0);
	make_promising(1);
	plan(2);
	ck_assert_double_eq(shares[0], 0);
	ck_assert_double_eq(shares[1], 1);
	ck_assert_int_eq((int)why[1], WHY_CHOSEN);
}
END_TEST

/* Task 3 of the paper's Figure 1(c) at 3 s, with `n` rows of its curve reported `late_ns` late, beside
 * task 2, which has nothing to show yet. */
static void make_figure(uint32_t n, uint64_t late_ns, uint64_t seed)
{
	for (uint32_t i = 1; i <= n; i++)
		history_add(&views.histories[0],
			i * SECOND / 64 + late_ns + (uint64_t)(views_uniform(&seed) * 6e6),
			0.3 + 2.0 * exp(-(double)i / 34.1));
	views.tasks[0].cpu_ns = views.histories[0].cpu_ns[n - 1] + 2000000;
	views.tasks[0].begin_ns = 0;
	views.tasks[0].deadline_ns = 7 * SECOND;
	views.tasks[1].begin_ns = 1 * SECOND;
	views.tasks[1].deadline_ns = 8 * SECOND;
	views.view.now_ns = 3 * SECOND;
	views.view.budget_cpus = 0.5;
}

/* Whether a report comes a few milliseconds sooner or later. */
START_TEST(noise_in_time_writes_nobody_off)
{
	make_figure(30 + (uint32_t)_i % 4, (uint64_t)_i % 5 * 2000000, (uint64_t)_i);
	plan(2);
	ck_assert_int_eq((int)why[0], WHY_CHOSEN);
	ck_assert_double_eq(shares[0], 0.5);
}
END_TEST

/* Silent for days: nothing to plan on, but CPU time that nobody wants is not kept from it. */
START_TEST(the_written_off_get_what_is_left)
{
	make_hopeless(0);
	make_promising(1);
	views.tasks[0].cpu_ns = 1000000 * SECOND;
	views.tasks[0].deadline_ns = 11 * SECOND;
	views.view.budget_cpus = 1.75;
	plan(2);
	ck_assert_double_eq(shares[1], 1);
	ck_assert_double_eq(shares[0], 0.75);
	ck_assert_int_eq((int)why[0], WHY_WRITTEN_OFF);
}
END_TEST

/* Two that are the same but for what they have been seen to use: the plan is for that. */
START_TEST(threads_that_are_not_used_are_not_counted_on)
{
	for (uint32_t i = 0; i < 2; i++) {
		make_promising(i);
		views.tasks[i].deadline_ns = views.view.now_ns + 2 * SECOND;
	}
	plan(2);
	ck_assert_double_eq(shares[0], 1);
	views.tasks[0].counted = 0.5;
	plan(2);
	ck_assert_double_eq(shares[0], 0);
	ck_assert_double_eq(shares[1], 1);
	ck_assert_int_eq((int)why[1], WHY_CHOSEN);
}
END_TEST

START_TEST(no_report_yet_is_a_fair_chance)
{
	make_hopeless(0);
	plan(2);
	ck_assert_double_eq(shares[1], 1);
	ck_assert_int_eq((int)why[1], WHY_CHOSEN);
}
END_TEST

START_TEST(the_chosen_run_by_deadline)
{
	make_promising(0);
	make_promising(1);
	views.tasks[0].deadline_ns = 80 * SECOND;
	views.tasks[1].deadline_ns = 60 * SECOND;
	plan(2);
	ck_assert_int_eq((int)why[1], WHY_CHOSEN);
	ck_assert_double_eq(shares[1], 1);
	ck_assert_int_eq((int)why[0], WHY_NONE_LEFT); /* chosen too, its turn comes */
}
END_TEST

START_TEST(too_many_are_cut_down_to_what_fits)
{
	int n_chosen = 0;

	for (uint32_t i = 0; i < N_TASKS; i++) {
		make_promising(i);
		views.tasks[i].deadline_ns = 16 * SECOND;
	}
	plan(N_TASKS);
	for (int i = 0; i < N_TASKS; i++)
		n_chosen += why[i] != WHY_WRITTEN_OFF;
	ck_assert_int_ge(n_chosen, 1);
	ck_assert_int_lt(n_chosen, N_TASKS);
}
END_TEST

START_TEST(divergence_loses_against_silence)
{
	for (uint64_t i = 1; i < 30; i++)
		history_add(&views.histories[0], i * SECOND / 100, NAN);
	views.tasks[0].cpu_ns = views.tasks[1].cpu_ns = SECOND / 3;
	plan(2);
	ck_assert_double_eq(shares[0], 0);
	ck_assert_double_eq(shares[1], 1);
}
END_TEST

START_TEST(a_good_report_brings_a_task_back)
{
	make_hopeless(0);
	make_promising(1);
	plan(2);
	ck_assert_double_eq(shares[0], 0);
	for (uint64_t i = 1; i <= 30; i++)
		history_add(&views.histories[0], views.tasks[0].cpu_ns + i * SECOND / 20,
			1 - 0.016 * (double)i);
	views.tasks[0].cpu_ns += 30 * SECOND / 20;
	views.tasks[0].deadline_ns = 19 * SECOND;
	plan(2);
	ck_assert_double_eq(shares[0], 1);
	ck_assert_int_eq((int)why[0], WHY_CHOSEN);
}
END_TEST

START_TEST(accuracy_is_the_mirror_of_loss)
{
	double lowered[20], raised[20];
	enum why lowered_why[20], raised_why[20];
	struct views many;
	struct policy_state *other;

	views_random(&many, 20, (uint64_t)_i);
	other = views_state(&many, core);
	core->plan(other, &many.view, lowered, lowered_why);
	core->free(other);
	for (uint32_t i = 0; i < 20; i++) {
		many.tasks[i].is_raised = !many.tasks[i].is_raised;
		many.tasks[i].target = -many.tasks[i].target;
		for (uint32_t p = 0; p < many.histories[i].n_points; p++)
			many.histories[i].value[p] = -many.histories[i].value[p];
	}
	other = views_state(&many, core);
	core->plan(other, &many.view, raised, raised_why);
	core->free(other);
	ck_assert_mem_eq(lowered, raised, sizeof(lowered));
	ck_assert_mem_eq(lowered_why, raised_why, sizeof(lowered_why));
	views_done(&many);
}
END_TEST

/* What is kept between slots is only what would be computed again. */
START_TEST(the_past_does_not_matter)
{
	for (uint32_t round = 0; round < 40; round++) {
		double remembered[N_TASKS];
		struct policy_state *fresh;

		views.view.now_ns = (10 + round / 5) * SECOND;
		for (uint32_t i = 0; i < N_TASKS; i++) {
			if (i % 2 == round % 2)
				history_add(&views.histories[i], (round + 1) * SECOND / 10,
					0.4 + 1.0 / (1 + i + round));
			else if (i < 2 && round > 20)
				history_add(&views.histories[i], 0, NAN);
			views.tasks[i].cpu_ns = (round + 1) * SECOND / 10;
		}
		plan(N_TASKS);
		memcpy(remembered, shares, sizeof(remembered));
		fresh = views_state(&views, core);
		core->plan(fresh, &views.view, shares, why);
		core->free(fresh);
		ck_assert_mem_eq(remembered, shares, sizeof(remembered));
	}
}
END_TEST

/* Not the place in the view nor the number in the bundle. */
START_TEST(equals_go_by_name)
{
	struct policy_task swap = views.tasks[0];

	views.tasks[0] = views.tasks[1];
	views.tasks[1] = swap;
	views.tasks[0].id = 0;
	views.tasks[1].id = 1;
	plan(2);
	ck_assert_double_eq(shares[0], 0);
	ck_assert_double_eq(shares[1], 1);
}
END_TEST

START_TEST(a_crowd_of_equals_is_planned)
{
	for (uint32_t i = 0; i < N_TASKS; i++) {
		views_threads(&views, i, 0.5);
		views.tasks[i].deadline_ns = 20 * SECOND;
	}
	views.view.budget_cpus = 100;
	plan(N_TASKS);
	for (int i = 0; i < N_TASKS; i++)
		ck_assert_double_eq(shares[i], 0.5);
}
END_TEST

/* Two that have not reported. Task 0 has 90 s of its 100 s left and has not run yet, and is due a second
 * before task 1, which has just begun: where both are chosen, task 0 has all. Each is thought to need
 * `part` of its window, hardly more or less; so task 1, with a window of 91 s, needs less, and is the one
 * where there is room for one of them. */
static void plan_by(double part, double capacity_part)
{
	double values[POLICY_PARAMETERS_MAX];

	policy_parameter_values(core, NULL, values);
	values[policy_parameter_find(core, "unseen-part") - core->parameters] = part;
	values[policy_parameter_find(core, "unseen-spread") - core->parameters] = 0.1;
	values[policy_parameter_find(core, "capacity-part") - core->parameters] = capacity_part;
	core->free(state);
	state = views_state_with(&views, core, values);
	views.tasks[0].begin_ns = 0;
	views.tasks[0].deadline_ns = 100 * SECOND;
	views.tasks[1].deadline_ns = 101 * SECOND;
	plan(2);
}

START_TEST(parameters_decide_who_is_chosen)
{
	plan_by(0.3, 0.97); /* 30 s, and 27 s more: they fit into 88 s */
	ck_assert_double_eq(shares[0], 1);
	ck_assert_int_eq((int)why[1], WHY_NONE_LEFT);
	plan_by(0.6, 0.97); /* 60 s, and 55 s more: they do not */
	ck_assert_double_eq(shares[1], 1);
	ck_assert_int_eq((int)why[0], WHY_WRITTEN_OFF);
	plan_by(0.3, 0.5); /* nor do the former into 45 s */
	ck_assert_double_eq(shares[1], 1);
	ck_assert_int_eq((int)why[0], WHY_WRITTEN_OFF);
}
END_TEST

static void make_laxity(double part, double budget_cpus)
{
	double values[POLICY_PARAMETERS_MAX];
	const struct policy_parameter *laxity = policy_parameter_find(core, "laxity-part");
	struct policy_state *lax;

	policy_parameter_values(core, /* given= */ NULL, values);
	values[laxity - core->parameters] = part;
	lax = views_state_with(&views, core, values);
	memset(views.histories, 0, N_TASKS * sizeof(views.histories[0]));
	views_reports(&views, 0, 26, 0.25, 0.3, 2, 0.7);
	make_promising(1);
	views.tasks[0].deadline_ns = 14 * SECOND;
	views.tasks[1].deadline_ns = 15 * SECOND;
	views.view.budget_cpus = budget_cpus;
	views.view.n_tasks = 2;
	core->plan(lax, &views.view, shares, why);
	ck_assert_int_eq((int)why[0], WHY_CHOSEN);
	core->free(lax);
}

/* One is nearly there; the other is due a little later, and needs most of what it can have until then. Only
 * where each can use less than the budget is the other the more urgent. */
START_TEST(little_laxity_comes_before_a_deadline)
{
	make_laxity(0, 1.5);
	ck_assert_double_eq(shares[0], 1);
	ck_assert_double_eq(shares[1], 0.5);
	make_laxity(1, 1.5);
	ck_assert_double_eq(shares[0], 0.5);
	ck_assert_double_eq(shares[1], 1);
	make_laxity(1, 1);
	ck_assert_double_eq(shares[0], 1);
	ck_assert_double_eq(shares[1], 0);
}
END_TEST

START_TEST(nobody_is_written_off_without_a_budget)
{
	make_hopeless(0);
	views.view.budget_cpus = 0;
	plan(2);
	ck_assert_int_eq((int)why[0], WHY_NONE_LEFT);
	ck_assert_int_eq((int)why[1], WHY_NONE_LEFT);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("core");
	TCase *tcase = tcase_create("all");

	tcase_add_checked_fixture(tcase, set_up, tear_down);
	tcase_add_test(tcase, a_plateau_loses_against_a_slope);
	tcase_add_loop_test(tcase, noise_in_time_writes_nobody_off, 0, 100);
	tcase_add_test(tcase, the_written_off_get_what_is_left);
	tcase_add_test(tcase, threads_that_are_not_used_are_not_counted_on);
	tcase_add_test(tcase, no_report_yet_is_a_fair_chance);
	tcase_add_test(tcase, the_chosen_run_by_deadline);
	tcase_add_test(tcase, too_many_are_cut_down_to_what_fits);
	tcase_add_test(tcase, divergence_loses_against_silence);
	tcase_add_test(tcase, a_good_report_brings_a_task_back);
	tcase_add_loop_test(tcase, accuracy_is_the_mirror_of_loss, 0, 10);
	tcase_add_test(tcase, the_past_does_not_matter);
	tcase_add_test(tcase, equals_go_by_name);
	tcase_add_test(tcase, a_crowd_of_equals_is_planned);
	tcase_add_test(tcase, parameters_decide_who_is_chosen);
	tcase_add_test(tcase, little_laxity_comes_before_a_deadline);
	tcase_add_test(tcase, nobody_is_written_off_without_a_budget);
	suite_add_tcase(suite, tcase);
	return suite_run(suite);
}
