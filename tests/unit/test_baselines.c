// SPDX-License-Identifier: GPL-2.0-or-later
#include "policy.h"

#include <math.h>
#include <stdlib.h>

#include "feasible.h"
#include "fit.h"
#include "give.h"
#include "remaining.h"
#include "suite.h"
#include "views.h"

/* The policies of others: what each decides in cases worked by hand, and the fits that they are made of on
 * curves that are what is fitted. */

#define SECOND UINT64_C(1000000000)
#define N_MAX 8

static double shares[N_MAX];
static enum why why[N_MAX];

static void plan(const char *name, struct policy_state *state, const struct views *views)
{
	policy_find(name)->plan(state, &views->view, shares, why);
}

static void plan_afresh(const char *name, const struct views *views)
{
	const struct policy *policy = policy_find(name);
	struct policy_state *state;

	ck_assert_ptr_nonnull(policy);
	state = views_state(views, policy);
	plan(name, state, views);
	policy->free(state);
}

/* By the usual parameters but one. */
static struct policy_state *state_with(
	const struct views *views, const char *name, const char *parameter, double value)
{
	const struct policy *policy = policy_find(name);
	const struct policy_parameter *found = policy_parameter_find(policy, parameter);
	double values[POLICY_PARAMETERS_MAX];

	ck_assert_ptr_nonnull(found);
	policy_parameter_values(policy, NULL, values);
	values[found - policy->parameters] = value;
	return views_state_with(views, policy, values);
}

static void expect(const double want[], uint32_t n)
{
	for (uint32_t i = 0; i < n; i++)
		ck_assert_msg(fabs(shares[i] - want[i]) < 1e-9, "share %u is %.9g, not %.9g", i,
			shares[i], want[i]);
}

/* One report. */
static void report(struct views *views, uint32_t task, double cpu_s, double value)
{
	history_add(&views->histories[task], (uint64_t)(cpu_s * 1e9), value);
	views->tasks[task].cpu_ns = (uint64_t)(cpu_s * 1e9);
}

/* Round robin. */

static void next_slot(const char *name, struct policy_state *state, struct views *views)
{
	views->view.slot++;
	views->view.now_ns += views->view.slot_ns;
	plan(name, state, views);
}

START_TEST(rr_takes_turns)
{
	struct views views;
	struct policy_state *state;

	views_init(&views, 3);
	state = views_state(&views, policy_find("rr"));
	plan("rr", state, &views);
	expect((double[]){1, 0, 0}, 3);
	ck_assert_int_eq((int)why[0], WHY_FIRST);
	ck_assert_int_eq((int)why[1], WHY_NONE_LEFT);
	plan("rr", state, &views); /* asked again in the slot: nobody's turn is over */
	expect((double[]){1, 0, 0}, 3);
	next_slot("rr", state, &views);
	expect((double[]){0, 1, 0}, 3);
	next_slot("rr", state, &views);
	expect((double[]){0, 0, 1}, 3);
	next_slot("rr", state, &views);
	expect((double[]){1, 0, 0}, 3);
	policy_find("rr")->free(state);
	views_done(&views);
}
END_TEST

/* 1.5 CPUs for three: 0 and half of 1; 1 goes on in front, then 2 has half, and so on. */
START_TEST(rr_part_of_a_turn_goes_on)
{
	struct views views;
	struct policy_state *state;

	views_init(&views, 3);
	views.view.budget_cpus = 1.5;
	state = views_state(&views, policy_find("rr"));
	plan("rr", state, &views);
	expect((double[]){1, 0.5, 0}, 3);
	ck_assert_int_eq((int)why[1], WHY_REST);
	next_slot("rr", state, &views);
	expect((double[]){0, 1, 0.5}, 3);
	next_slot("rr", state, &views);
	expect((double[]){0.5, 0, 1}, 3);
	next_slot("rr", state, &views);
	expect((double[]){1, 0.5, 0}, 3);
	policy_find("rr")->free(state);
	views_done(&views);
}
END_TEST

START_TEST(rr_turns_may_be_longer)
{
	struct views views;
	struct policy_state *state;

	views_init(&views, 2);
	state = state_with(&views, "rr", "turn", 2);
	plan("rr", state, &views);
	expect((double[]){1, 0}, 2);
	next_slot("rr", state, &views);
	expect((double[]){1, 0}, 2);
	next_slot("rr", state, &views);
	expect((double[]){0, 1}, 2);
	policy_find("rr")->free(state);
	views_done(&views);
}
END_TEST

/* 0 has had its turn as 2 comes, which is before it then; 1 ends in its turn; another takes the id of 1. */
START_TEST(rr_tasks_come_and_go)
{
	struct views views;
	struct policy_state *state;
	struct policy_task first;

	views_init(&views, 3);
	views.view.n_tasks = 2;
	state = views_state(&views, policy_find("rr"));
	plan("rr", state, &views);
	expect((double[]){1, 0}, 2);
	views.view.n_tasks = 3;
	next_slot("rr", state, &views);
	expect((double[]){0, 1, 0}, 3);
	/* 1 is gone. */
	first = views.tasks[1];
	views.tasks[1] = views.tasks[2];
	views.view.n_tasks = 2;
	next_slot("rr", state, &views);
	expect((double[]){0, 1}, 2);
	/* Its id comes again, last in the view and the queue; 0 is in front of it, and 2 has had its turn. */
	policy_find("rr")->forget(state, 1);
	views.tasks[2] = first;
	views.view.n_tasks = 3;
	next_slot("rr", state, &views);
	expect((double[]){1, 0, 0}, 3);
	next_slot("rr", state, &views);
	expect((double[]){0, 0, 1}, 3); /* it came before 2 went to the end */
	next_slot("rr", state, &views);
	expect((double[]){0, 1, 0}, 3);
	policy_find("rr")->free(state);
	views_done(&views);
}
END_TEST

/* 1 is gone while it waits, and its id is another's two slots later: behind 0, which was behind the first. */
START_TEST(rr_forgets_a_place)
{
	struct views views;
	struct policy_state *state;
	struct policy_task second;

	views_init(&views, 3);
	state = views_state(&views, policy_find("rr"));
	plan("rr", state, &views);
	expect((double[]){1, 0, 0}, 3);
	policy_find("rr")->forget(state, 1);
	second = views.tasks[1];
	views.tasks[1] = views.tasks[2];
	views.view.n_tasks = 2;
	next_slot("rr", state, &views);
	expect((double[]){0, 1}, 2);
	views.tasks[2] = second;
	views.view.n_tasks = 3;
	next_slot("rr", state, &views);
	expect((double[]){1, 0, 0}, 3);
	policy_find("rr")->free(state);
	views_done(&views);
}
END_TEST

/* Fits. */

static bool collect(struct views *views, struct fit_points *points)
{
	return fit_collect(&views->tasks[0], fit_weight_decay, 1, points);
}

START_TEST(fit_finds_the_inverse_it_is)
{
	struct views views;
	struct fit_points points;
	struct fit fit;

	views_init(&views, 1);
	for (int i = 1; i <= 20; i++)
		report(&views, 0, i, 0.2 + 1 / (0.5 * i + 1));
	ck_assert(collect(&views, &points));
	ck_assert_uint_eq(points.n, 20);
	fit_inverse(&points, 1, 0, &fit);
	ck_assert_int_eq((int)fit.form, FIT_INVERSE);
	ck_assert_double_eq_tol(fit.floor, 0.2, 2e-3);
	ck_assert_double_eq_tol(fit_loss(&fit, 10), 0.2 + 1 / 6.0, 1e-4);
	ck_assert_double_eq_tol(fit_loss(&fit, 60), 0.2 + 1 / 31.0, 2e-3);
	ck_assert_double_eq_tol(fit_reach(&fit, 0.25), 38, 2); /* 1 / 0.05 = 0.5 c + 1 */
	ck_assert(isinf(fit_reach(&fit, 0.19)));
	/* With its form the floor may not be below 0.21: then nothing is met there. */
	fit_inverse(&points, 1, 0.21, &fit);
	ck_assert_double_ge(fit.floor, 0.21);
	ck_assert(isinf(fit_reach(&fit, 0.2)));
	views_done(&views);
}
END_TEST

START_TEST(fit_finds_the_square_it_is)
{
	struct views views;
	struct fit_points points;
	struct fit fit, line;

	views_init(&views, 1);
	for (int i = 1; i <= 20; i++)
		report(&views, 0, i, 1 / (0.02 * i * i + 1));
	ck_assert(collect(&views, &points));
	fit_inverse(&points, 2, -INFINITY, &fit);
	ck_assert_double_eq_tol(fit_loss(&fit, 40), 1 / 33.0, 5e-3);
	ck_assert_double_eq_tol(fit_loss(&fit, 7), 1 / 1.98, 1e-3);
	ck_assert_double_eq_tol(fit_loss(&fit, fit_reach(&fit, 0.4)), 0.4, 1e-9);
	fit_inverse(&points, 1, -INFINITY, &line);
	ck_assert_double_lt(fit.error, line.error / 10);
	views_done(&views);
}
END_TEST

START_TEST(fit_finds_the_exponential_it_is)
{
	struct views views;
	struct fit_points points;
	struct fit fit, inverse;

	views_init(&views, 1);
	for (int i = 1; i <= 20; i++)
		report(&views, 0, i, 0.1 + 2 * pow(0.8, i));
	ck_assert(collect(&views, &points));
	fit_exponential(&points, &fit);
	ck_assert_int_eq((int)fit.form, FIT_EXPONENTIAL);
	ck_assert_double_eq_tol(fit.floor, 0.1, 1e-3);
	ck_assert_double_eq_tol(fit_loss(&fit, 30), 0.1 + 2 * pow(0.8, 30), 1e-3);
	ck_assert_double_eq_tol(fit_reach(&fit, 0.11), log(0.005) / log(0.8), 1.5);
	ck_assert(isinf(fit_reach(&fit, 0.05)));
	fit_inverse(&points, 2, -INFINITY, &inverse);
	ck_assert_double_lt(fit.error, inverse.error);
	views_done(&views);
}
END_TEST

START_TEST(fit_has_nothing_without_a_fall)
{
	struct views views;
	struct fit_points points;
	struct fit fit;

	views_init(&views, 1);
	ck_assert(!collect(&views, &points));
	report(&views, 0, 1, 1);
	report(&views, 0, 2, 0.9);
	ck_assert(!collect(&views, &points)); /* two */
	report(&views, 0, 3, 0.8);
	ck_assert(collect(&views, &points));
	for (uint32_t i = 0; i < 3; i++)
		views.histories[0].value[i] = 5;
	ck_assert(!collect(&views, &points)); /* all the same */
	for (uint32_t i = 0; i < 3; i++)
		views.histories[0].value[i] = 1 + i;
	ck_assert(collect(&views, &points)); /* it rises */
	fit_inverse(&points, 2, -INFINITY, &fit);
	ck_assert_int_eq((int)fit.form, FIT_NONE);
	ck_assert(isinf(fit_reach(&fit, 0)));
	fit_exponential(&points, &fit);
	ck_assert_int_eq((int)fit.form, FIT_NONE);
	views_done(&views);
}
END_TEST

/* 100 reports are 32 groups, of 2 or 3 each, and the last 32. Half of a report before the next: the sums of the
 * weights are those of all. */
START_TEST(fit_groups_the_older_half)
{
	struct views views;
	struct fit_points points;
	double sum = 0;

	views_init(&views, 1);
	views.tasks[0].is_raised = true;
	for (int i = 1; i <= 100; i++)
		report(&views, 0, i, i);
	ck_assert(fit_collect(&views.tasks[0], fit_weight_thirds, 2, &points));
	ck_assert_uint_eq(points.n, FIT_POINTS_MAX);
	ck_assert_double_eq_tol(points.x[0], 0.015, 1e-12); /* 1 and 2 */
	ck_assert_double_eq_tol(points.y[0], -1.5, 1e-12);
	ck_assert_double_eq_tol(points.weight[0], 2, 1e-12);
	ck_assert_double_eq_tol(points.x[32], 0.69, 1e-12);
	ck_assert_double_eq_tol(points.y[63], -100, 1e-12);
	ck_assert_double_eq_tol(points.weight[63], 4, 1e-12);
	ck_assert_double_eq_tol(points.newest_s, 100, 1e-12);
	for (uint32_t i = 0; i < points.n; i++) {
		ck_assert(i == 0 || points.x[i] > points.x[i - 1]);
		sum += points.weight[i];
	}
	ck_assert_double_eq_tol(sum, 34 + 2 * 33 + 4 * 33, 1e-9);
	ck_assert_double_eq_tol(fit_weight_decay(97, 100, 0.5), 0.25, 1e-12);
	views_done(&views);
}
END_TEST

/* 0.2 + 1 / (c / 2 + 1) is 0.25 at 38 s; 20 have been used. */
START_TEST(remaining_need_is_what_the_fit_says)
{
	struct views views;
	struct remaining remaining = {0};

	views_init(&views, 1);
	views.tasks[0].target = 0.25;
	for (int i = 1; i <= 20; i++)
		report(&views, 0, i, 0.2 + 1 / (0.5 * i + 1));
	remaining_learn(&remaining, &views.tasks[0], 4);
	ck_assert_double_eq_tol(remaining_need(&remaining, &views.tasks[0]), 18, 2);
	views.tasks[0].target = 0.1;
	ck_assert(isinf(remaining_need(&remaining, &views.tasks[0])));
	/* Met by the curve, not by a report: one more of these, a second each. */
	views.tasks[0].target = 0.5;
	ck_assert_double_eq_tol(remaining_need(&remaining, &views.tasks[0]), 1, 1e-9);
	/* A line, which 1 / (b0 c + b1) + b2 is far below 0: but a loss has its floor there. With a target below
	 * 0 it is none. */
	for (uint32_t i = 0; i < 20; i++)
		views.histories[0].value[i] = 1 - 0.02 * i;
	remaining = (struct remaining){0};
	remaining_learn(&remaining, &views.tasks[0], 4);
	ck_assert_double_ge(remaining.fit.floor, 0);
	views.tasks[0].target = -0.5;
	remaining = (struct remaining){0};
	remaining_learn(&remaining, &views.tasks[0], 4);
	ck_assert_double_lt(remaining.fit.floor, -0.1);
	views_done(&views);
}
END_TEST

/* The mirror image of a loss has the same fit, and its floor may be below 0. */
START_TEST(remaining_need_of_a_metric_to_be_raised)
{
	struct views views;
	struct remaining remaining = {0};

	views_init(&views, 1);
	views.tasks[0].is_raised = true;
	views.tasks[0].target = 0.95;
	for (int i = 1; i <= 20; i++)
		report(&views, 0, i, 1 - 1 / (0.5 * i + 1));
	remaining_learn(&remaining, &views.tasks[0], 4);
	ck_assert_double_eq_tol(remaining_need(&remaining, &views.tasks[0]), 18, 2);
	views_done(&views);
}
END_TEST

/* Giving by gain. */

struct gains {
	double first[3],
		falls[3]; /* gain of the first unit, and how much less each further one is */
};

static double gain_of(const void *context, uint32_t at, double share, double more)
{
	const struct gains *gains = context;

	(void)more;
	return gains->first[at] - gains->falls[at] * share;
}

START_TEST(gives_unit_by_unit)
{
	/* Units of 1: 5, 3 and 1 for task 0, 4 and 3.5 for task 1, whose usable 1.5 ends there; none for 2. */
	const struct gains gains = {.first = {5, 4, 0}, .falls = {2, 0.5, 0}};
	struct views views;
	uint32_t order[3];
	double room[3];

	views_init(&views, 3);
	views_threads(&views, 0, 4);
	views_threads(&views, 1, 1.5);
	views_threads(&views, 2, 1);
	for (uint32_t i = 0; i < 3; i++)
		shares[i] = 0;
	give_by_gain(&views.view, 3, 1, gain_of, &gains, order, room, shares, why);
	expect((double[]){1.5, 1.5, 0}, 3); /* 5, 4, 3.5, then half a unit is left for 3 */
	ck_assert_int_eq((int)why[0], WHY_REST);
	ck_assert_int_eq((int)why[1], WHY_FIRST);
	ck_assert_int_eq((int)why[2], WHY_NONE_LEFT);
	/* What gains nobody anything goes in order; what they have already stays. */
	shares[0] = 0.5;
	shares[1] = 1;
	shares[2] = 0;
	give_by_gain(&views.view, 4.5, 1, gain_of, &gains, order, room, shares, why);
	expect((double[]){4, 1.5, 0.5}, 3);
	views_done(&views);
}
END_TEST

/* Shortest first. Each has reported along the same curve, but 1 has the nearest target, 0 one out of reach. */
START_TEST(srpt_runs_the_shortest)
{
	struct views views;

	views_init(&views, 3);
	for (uint32_t i = 0; i < 3; i++)
		views_reports(&views, i, 40, 0.25, 0, 1, 0.5); /* at 0.158 now */
	views.tasks[0].target = -1;
	views.tasks[1].target = 0.15;
	views.tasks[2].target = 0.1;
	views.view.budget_cpus = 1.5;
	plan_afresh("srpt", &views);
	expect((double[]){0, 1, 0.5}, 3);
	views_done(&views);
}
END_TEST

/* One that has not reported needs 0.18 exp(1.6 z) of its window w, with the chance 0.875. At the quantile of a
 * half, where z is 0.18, that is 0.24 w: the shorter window is first, whatever the order of the view. */
START_TEST(srpt_goes_by_the_window_before_reports)
{
	struct views views;
	struct policy_state *state;

	views_init(&views, 2);
	views.tasks[1].deadline_ns = 90 * SECOND;
	plan_afresh("srpt", &views);
	expect((double[]){0, 1}, 2);
	/* 0 has used 10 s in vain; given that, there is more to come. With 1 equally long it is behind. */
	views.tasks[1].deadline_ns = 100 * SECOND;
	views.tasks[0].cpu_ns = 10 * SECOND;
	state = state_with(&views, "srpt", "quantile", 0.5);
	plan("srpt", state, &views);
	expect((double[]){0, 1}, 2);
	policy_find("srpt")->free(state);
	views_done(&views);
}
END_TEST

/* 0.2 + 1 / (c / 2 + 1): with 10 s more, 20 in all, 0.29; with 80 more 0.22. */
START_TEST(edf_drop_drops_the_hopeless)
{
	struct views views;
	struct policy_state *state;

	views_init(&views, 2);
	for (uint32_t task = 0; task < 2; task++)
		for (int i = 1; i <= 10; i++)
			report(&views, task, i, 0.2 + 1 / (0.5 * i + 1));
	views.tasks[0].deadline_ns = 20 * SECOND;
	views.tasks[0].target = 0.25; /* 0.04 above it, of a way of 0.62: 0.07 */
	views.tasks[1].target = 0.25;
	state = state_with(&views, "edf-drop", "margin", 0.02);
	plan("edf-drop", state, &views);
	expect((double[]){0, 1}, 2);
	ck_assert_int_eq((int)why[0], WHY_WRITTEN_OFF);
	ck_assert_int_eq((int)why[1], WHY_FIRST);
	/* On leftovers; and a deadline that is later lets it in again. */
	views.view.budget_cpus = 1.25;
	plan("edf-drop", state, &views);
	expect((double[]){0.25, 1}, 2);
	views.tasks[0].deadline_ns = 99 * SECOND;
	plan("edf-drop", state, &views);
	expect((double[]){1, 0.25}, 2);
	policy_find("edf-drop")->free(state);
	/* Whoever wants to be surer keeps it. */
	views.tasks[0].deadline_ns = 20 * SECOND;
	state = state_with(&views, "edf-drop", "margin", 0.12);
	plan("edf-drop", state, &views);
	expect((double[]){1, 0.25}, 2);
	policy_find("edf-drop")->free(state);
	/* 0.79 above a target out of reach, of a way of 1.37: with the usual half of that, too. But not yet. */
	views.tasks[0].target = -0.5;
	plan_afresh("edf-drop", &views);
	expect((double[]){0.25, 1}, 2);
	state = state_with(&views, "edf-drop", "reports", 11);
	plan("edf-drop", state, &views);
	expect((double[]){1, 0.25}, 2);
	policy_find("edf-drop")->free(state);
	views_done(&views);
}
END_TEST

/* Seven tasks with windows of 100 s; the lowest rung at 2 s, the next at 6 s. */
static struct policy_state *rungs(struct views *views)
{
	views_init(views, 7);
	for (uint32_t i = 0; i < 7; i++)
		views->tasks[i].target = 0;
	return state_with(views, "halving", "first-rung", 0.02);
}

START_TEST(halving_lets_the_best_third_go_on)
{
	struct views views;
	struct policy_state *state = rungs(&views);

	/* 0 and 1 stand at the rung with 0.5 and 0.9 of their way; of two a third is none: 2 is begun. */
	report(&views, 0, 1, 1);
	report(&views, 0, 2, 0.5);
	report(&views, 1, 1, 10);
	report(&views, 1, 2, 9);
	plan("halving", state, &views);
	expect((double[]){0, 0, 1, 0, 0, 0, 0}, 7);
	ck_assert_int_eq((int)why[0], WHY_WRITTEN_OFF);
	/* 2 is there, with 0.6: one of three, the best, goes on. */
	report(&views, 2, 1, 1);
	report(&views, 2, 2, 0.6);
	plan("halving", state, &views);
	expect((double[]){1, 0, 0, 0, 0, 0, 0}, 7);
	ck_assert_int_eq((int)why[0], WHY_FIRST);
	/* It goes on up to the next rung, and stands there; below the best third has gone on. */
	report(&views, 0, 5, 0.45);
	plan("halving", state, &views);
	expect((double[]){1, 0, 0, 0, 0, 0, 0}, 7);
	report(&views, 0, 6, 0.4);
	plan("halving", state, &views);
	expect((double[]){0, 0, 0, 1, 0, 0, 0}, 7);
	ck_assert_int_eq((int)why[0], WHY_WRITTEN_OFF);
	/* 3 is the best of four there. */
	report(&views, 3, 1, 1);
	report(&views, 3, 2, 0.1);
	plan("halving", state, &views);
	expect((double[]){0, 0, 0, 1, 0, 0, 0}, 7);
	ck_assert_int_eq((int)why[3], WHY_FIRST);
	/* Beside it a new one has what is left. */
	views.view.budget_cpus = 1.5;
	plan("halving", state, &views);
	expect((double[]){0, 0, 0, 1, 0.5, 0, 0}, 7);
	policy_find("halving")->free(state);
	views_done(&views);
}
END_TEST

/* What ASHA leaves idle: two at a rung, of which nobody may go on, by deadline; who has reported nothing is the
 * worst; and whose id goes to another has no rank any more. */
START_TEST(halving_leaves_nothing_idle)
{
	struct views views;
	struct policy_state *state = rungs(&views);

	views.view.n_tasks = 3;
	report(&views, 0, 1, 1);
	report(&views, 0, 2, 0.5);
	report(&views, 1, 1, 1);
	report(&views, 1, 2, 0.4);
	views.tasks[2].cpu_ns = 2 * SECOND;
	views.tasks[1].deadline_ns = 99 * SECOND;
	views.view.n_tasks = 2;
	plan("halving", state, &views);
	expect((double[]){0, 1}, 2);
	ck_assert_int_eq((int)why[1], WHY_WRITTEN_OFF);
	/* 2 makes them three, and the best of them may go on. */
	views.view.n_tasks = 3;
	views.view.budget_cpus = 2.5;
	plan("halving", state, &views);
	expect((double[]){1, 1, 0.5}, 3);
	ck_assert_int_eq((int)why[1], WHY_FIRST);
	ck_assert_int_eq((int)why[0], WHY_WRITTEN_OFF);
	/* Its id is another's now, which is new: before those that stand. */
	policy_find("halving")->forget(state, 2);
	views.tasks[2].cpu_ns = 0;
	views.view.budget_cpus = 2;
	plan("halving", state, &views);
	expect((double[]){0, 1, 1}, 3);
	policy_find("halving")->free(state);
	views_done(&views);
}
END_TEST

/* 0, 1 and 2 are at the second rung, with 0.5, 0.6 and 0.7, of which 0 may go on; at the first there are three more,
 * with 0.4, 0.8 and 0.9, and of these six 3 is among the best two. The higher rung is first. */
START_TEST(halving_goes_from_the_highest_rung_down)
{
	static const double left[] = {0.5, 0.6, 0.7, 0.4, 0.8, 0.9};
	struct views views;
	struct policy_state *state = rungs(&views);

	for (uint32_t i = 0; i < 6; i++) {
		report(&views, i, 1, 1);
		report(&views, i, i < 3 ? 6 : 2, left[i]);
	}
	plan("halving", state, &views);
	expect((double[]){1, 0, 0, 0, 0, 0, 0}, 7);
	views.view.budget_cpus = 2.5;
	plan("halving", state, &views);
	expect((double[]){1, 0, 0, 1, 0, 0, 0.5}, 7);
	policy_find("halving")->free(state);
	views_done(&views);
}
END_TEST

/* Of two nobody goes on, and of another two with the same ids neither: the first are no longer in the ranks. */
START_TEST(halving_forgets_ranks)
{
	struct views views;
	struct policy_state *state = rungs(&views);

	views.view.n_tasks = 2;
	for (uint32_t i = 0; i < 2; i++) {
		report(&views, i, 1, 1);
		report(&views, i, 2, 0.5);
	}
	plan("halving", state, &views);
	ck_assert_int_eq((int)why[0], WHY_WRITTEN_OFF);
	for (uint32_t i = 0; i < 2; i++)
		policy_find("halving")->forget(state, i);
	plan("halving", state, &views);
	ck_assert_int_eq((int)why[0], WHY_WRITTEN_OFF);
	ck_assert_int_eq((int)why[1], WHY_WRITTEN_OFF);
	policy_find("halving")->free(state);
	views_done(&views);
}
END_TEST

/* All fall as 1 / (c / 2 + 1), first by .33 in a second, 2 in numbers ten times as large. 0 and 2 have come far and
 * are predicted to fall by .013 of .33 in the next second; 1, from 3 s on, by .067. */
START_TEST(slaq_runs_what_falls_most)
{
	struct views views;
	struct policy_state *state;

	views_init(&views, 3);
	for (int i = 0; i <= 10; i++)
		report(&views, 0, 0.001 + i, 1 / (0.5 * i + 1));
	for (int i = 0; i <= 3; i++)
		report(&views, 1, 0.001 + i, 1 / (0.5 * i + 1));
	for (int i = 0; i <= 10; i++)
		report(&views, 2, 0.001 + i, 10 / (0.5 * i + 1));
	plan_afresh("slaq", &views);
	expect((double[]){0, 1, 0}, 3);
	/* The second unit goes to 0 or 2, which are the same: to the first. */
	views.view.budget_cpus = 2;
	plan_afresh("slaq", &views);
	expect((double[]){1, 1, 0}, 3);
	/* A part of it evenly first. */
	views.view.budget_cpus = 1.2;
	state = state_with(&views, "slaq", "least-part", 0.5);
	plan("slaq", state, &views);
	expect((double[]){0.2, 0.8, 0.2}, 3);
	policy_find("slaq")->free(state);
	views_done(&views);
}
END_TEST

/* What falls by a fifth each second, 0.8^c, falls by .0023 in the second from 20 s on, of .2, which is .012; what
 * falls as 1 / (c / 2 + 1), by .0053 of .33 from 17 s on, .016. By the best 1 / (a k^2 + b k + c) + d the first would
 * fall by .021. */
START_TEST(slaq_takes_the_curve_that_fits)
{
	struct views views;

	views_init(&views, 2);
	for (int i = 0; i <= 20; i++)
		report(&views, 0, 0.001 + i, pow(0.8, i));
	for (int i = 0; i <= 17; i++)
		report(&views, 1, 0.001 + i, 1 / (0.5 * i + 1));
	plan_afresh("slaq", &views);
	expect((double[]){0, 1}, 2);
	views_done(&views);
}
END_TEST

/* It comes first, for its trial-part of 100 s, and after that is one that does not fall. */
START_TEST(slaq_tries_what_has_not_reported)
{
	struct views views;
	struct policy_state *state;

	views_init(&views, 2);
	for (int i = 0; i <= 10; i++)
		report(&views, 0, 0.001 + i, 1 / (0.5 * i + 1));
	state = state_with(&views, "slaq", "trial-part", 0.02);
	plan("slaq", state, &views);
	expect((double[]){0, 1}, 2);
	views.tasks[1].cpu_ns = 2 * SECOND;
	plan("slaq", state, &views);
	expect((double[]){1, 0}, 2);
	policy_find("slaq")->free(state);
	views_done(&views);
}
END_TEST

/* Predicted to need 18 s, 58 s and for ever; fresh nobody. One unit each, then those that gain most. */
START_TEST(optimus_shortens_what_it_can)
{
	static const double targets[] = {0.225, 0.25, 0.1};
	struct views views;
	struct policy_state *state;

	views_init(&views, 3);
	for (uint32_t task = 0; task < 3; task++) {
		views_threads(&views, task, 4);
		views.tasks[task].target = targets[task];
		for (int i = 1; i <= 20; i++)
			report(&views, task, i, 0.2 + 1 / (0.5 * i + 1));
	}
	plan_afresh("optimus", &views); /* not one each: the shortest */
	expect((double[]){0, 1, 0}, 3);
	views.view.budget_cpus = 2;
	plan_afresh("optimus", &views);
	expect((double[]){1, 1, 0}, 3);
	/* A second CPU: 58 / 2 s sooner, or 18 / 2; a third: 58 / 6, or 18 / 2 for the other's second. */
	views.view.budget_cpus = 4;
	plan_afresh("optimus", &views);
	expect((double[]){3, 1, 0}, 3);
	/* Then 58 / 12, and 18 / 2. */
	views.view.budget_cpus = 5;
	plan_afresh("optimus", &views);
	expect((double[]){3, 2, 0}, 3);
	/* Whoever never gets there has what nobody can use. */
	views.view.budget_cpus = 9;
	plan_afresh("optimus", &views);
	expect((double[]){4, 4, 1}, 3);
	/* With everybody fresh and a gain of less it is the same, with a unit of all it is the shortest. */
	views.view.budget_cpus = 4;
	state = state_with(&views, "optimus", "unit", 4);
	plan("optimus", state, &views);
	expect((double[]){0, 4, 0}, 3);
	policy_find("optimus")->free(state);
	views_done(&views);
}
END_TEST

/* Without reports it is the window that counts, half of it, less what was used. */
START_TEST(optimus_guesses_before_there_is_a_fit)
{
	struct views views;

	views_init(&views, 2);
	views.tasks[1].cpu_ns = 10 * SECOND;
	plan_afresh("optimus", &views);
	expect((double[]){0, 1}, 2);
	views.tasks[0].deadline_ns = 70 * SECOND;
	plan_afresh("optimus", &views);
	expect((double[]){1, 0}, 2);
	views_done(&views);
}
END_TEST

/* Needs are those of `needs`, with all deadlines and threads given; the chosen are those with CPUs or with
 * WHY_CHOSEN or WHY_NONE_LEFT. */
static void oracle(const struct views *views, const double needs_s[], const bool want[], uint32_t n)
{
	const struct policy *policy = policy_find("oracle");
	const struct policy_setup setup = {.n_bundle = views->view.n_bundle, .needs_s = needs_s};
	struct policy_state *state = NULL;

	ck_assert(policy->needs_future);
	ck_assert_int_eq(policy->new (&state, &setup), 0);
	plan("oracle", state, views);
	for (uint32_t i = 0; i < n; i++)
		ck_assert_msg((why[i] != WHY_WRITTEN_OFF) == want[i], "task %u: %s", i,
			why_to_string(why[i]));
	policy->free(state);
}

/* Moore and Hodgson on one CPU: from now 10, 20, 30, 40 s are left, needed 6, 10, 11, 12. The third makes 27,
 * the fourth 39: all make it. With 9 for the first it is 9, 19, 30, and 42 at the fourth: out with the longest,
 * which is the fourth itself. With a fourth of 10.5 the third is out, which has 11. */
START_TEST(oracle_drops_the_longest)
{
	const double fit[] = {6, 10, 11, 12}, last[] = {9, 10, 11, 12}, third[] = {9, 10, 11, 10.5};
	struct views views;

	views_init(&views, 4);
	for (uint32_t i = 0; i < 4; i++)
		views.tasks[i].deadline_ns = (20 + 10 * i) * SECOND;
	oracle(&views, fit, (bool[]){true, true, true, true}, 4);
	expect((double[]){1, 0, 0, 0}, 4);
	oracle(&views, last, (bool[]){true, true, true, false}, 4);
	oracle(&views, third, (bool[]){true, true, false, true}, 4);
	/* What has been used counts: now all of these make it. */
	views.tasks[2].cpu_ns = 2 * SECOND;
	oracle(&views, last, (bool[]){true, true, true, true}, 4);
	views_done(&views);
}
END_TEST

/* Two CPUs, one thread each: 10 s left for all, needed 10, 6, 5, 4. The first fills a CPU; 6 and 5 are too much
 * for the other, so the longest is out, and then 6 + 5 + 4 fit on two. */
START_TEST(oracle_knows_what_several_cpus_carry)
{
	const double needs[] = {10, 6, 5, 4}, late[] = {INFINITY, 11, 5, 4};
	struct views views;

	views_init(&views, 4);
	for (uint32_t i = 0; i < 4; i++)
		views.tasks[i].deadline_ns = 20 * SECOND;
	views.view.budget_cpus = 2;
	oracle(&views, needs, (bool[]){false, true, true, true}, 4);
	expect((double[]){0, 1, 1, 0}, 4);
	/* Never, and never in time: behind the others, the one that gets there at all first. */
	views.view.budget_cpus = 3.5;
	oracle(&views, late, (bool[]){false, false, true, true}, 4);
	expect((double[]){0.5, 1, 1, 1}, 4);
	views_done(&views);
}
END_TEST

/* 21 s for two CPUs, the last of which needs all the 11 s it has: it goes first, though it is due last. With 13 s it
 * has 2 to spare, and waits. */
START_TEST(oracle_does_not_let_the_last_moment_pass)
{
	const double needs[] = {5, 5, 11};
	struct views views;

	views_init(&views, 3);
	views.tasks[0].deadline_ns = views.tasks[1].deadline_ns = 20 * SECOND;
	views.tasks[2].deadline_ns = 21 * SECOND;
	views.view.budget_cpus = 2;
	oracle(&views, needs, (bool[]){true, true, true}, 3);
	expect((double[]){1, 0, 1}, 3);
	views.tasks[2].deadline_ns = 23 * SECOND;
	oracle(&views, needs, (bool[]){true, true, true}, 3);
	expect((double[]){1, 1, 0}, 3);
	views_done(&views);
}
END_TEST

/* What is taken out leaves as much as there was. */
START_TEST(feasible_forgets_what_is_taken_out)
{
	struct feasible_moment moments[3];
	struct feasible feasible;

	feasible_init(&feasible, moments);
	for (uint32_t i = 0; i < 3; i++)
		feasible_add_moment(&feasible, 10 * (i + 1), 2);
	ck_assert(feasible_raise(&feasible, 20, 1, 0, 15));
	ck_assert(feasible_raise(&feasible, 30, 2, 0, 40));
	ck_assert(!feasible_raise(&feasible, 10, 2, 0, 18));
	feasible_take_out(&feasible, 30, 2, 40);
	feasible_take_out(&feasible, 20, 1, 15);
	for (uint32_t i = 0; i < 3; i++)
		ck_assert_double_eq_tol(moments[i].slack_s, 20 * (i + 1), 1e-9);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("baselines");
	TCase *tcase = tcase_create("all");

	tcase_add_test(tcase, rr_takes_turns);
	tcase_add_test(tcase, rr_part_of_a_turn_goes_on);
	tcase_add_test(tcase, rr_turns_may_be_longer);
	tcase_add_test(tcase, rr_tasks_come_and_go);
	tcase_add_test(tcase, rr_forgets_a_place);
	tcase_add_test(tcase, fit_finds_the_inverse_it_is);
	tcase_add_test(tcase, fit_finds_the_square_it_is);
	tcase_add_test(tcase, fit_finds_the_exponential_it_is);
	tcase_add_test(tcase, fit_has_nothing_without_a_fall);
	tcase_add_test(tcase, fit_groups_the_older_half);
	tcase_add_test(tcase, remaining_need_is_what_the_fit_says);
	tcase_add_test(tcase, remaining_need_of_a_metric_to_be_raised);
	tcase_add_test(tcase, gives_unit_by_unit);
	tcase_add_test(tcase, srpt_runs_the_shortest);
	tcase_add_test(tcase, srpt_goes_by_the_window_before_reports);
	tcase_add_test(tcase, edf_drop_drops_the_hopeless);
	tcase_add_test(tcase, halving_lets_the_best_third_go_on);
	tcase_add_test(tcase, halving_leaves_nothing_idle);
	tcase_add_test(tcase, halving_goes_from_the_highest_rung_down);
	tcase_add_test(tcase, halving_forgets_ranks);
	tcase_add_test(tcase, slaq_runs_what_falls_most);
	tcase_add_test(tcase, slaq_takes_the_curve_that_fits);
	tcase_add_test(tcase, slaq_tries_what_has_not_reported);
	tcase_add_test(tcase, optimus_shortens_what_it_can);
	tcase_add_test(tcase, optimus_guesses_before_there_is_a_fit);
	tcase_add_test(tcase, oracle_drops_the_longest);
	tcase_add_test(tcase, oracle_knows_what_several_cpus_carry);
	tcase_add_test(tcase, oracle_does_not_let_the_last_moment_pass);
	tcase_add_test(tcase, feasible_forgets_what_is_taken_out);
	suite_add_tcase(suite, tcase);
	return suite_run(suite);
}
