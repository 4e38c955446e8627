// SPDX-License-Identifier: GPL-2.0-or-later
#include "due.h"
#include "feasible.h"
#include "give.h"
#include "order.h"
#include "policy_internal.h"

#include <assert.h>
#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

/* What could be had by somebody who knows what each task needs, in simulations only: Moore's algorithm (Moore,
 * Management Science 15, 1968; the form with one pass is Hodgson's, in the same paper), which on one machine and
 * with all tasks there makes as few late as can be. The tasks are added in order of deadline; where those added
 * cannot all make it, the one with the longest remaining need is taken out again. The others run by deadline.
 *
 * Three things are more than its one machine. Whether all can make it is asked of feasible.h, the exact condition
 * for several CPUs and tasks that can use only so many of them. There it does not always help to take out the
 * longest, so whose need is next is tried, a few times, before the newcomer is left out instead. And deadlines
 * alone do not do there what can be done: one that has just the time it needs must not wait for another that is
 * due earlier. So whoever would be late by a slot without a CPU goes before all others (zero laxity: Lee, IEEE
 * TENCON 1994), which is worth .018 of mean kappa on 144 bundles, all of it where there are 4 CPUs.
 *
 * Tasks come later, and what they need is known when they have come, not before; the plan is made afresh in each
 * slot. So it is no bound. What is left over goes to the others that get there at all, the shortest first, then to
 * those that never do. */

/* How many may be taken out on trial for one newcomer. */
#define TRIALS_MAX 8

/* By place in the view. */
struct stake {
	uint32_t rank; /* by (deadline, name) */
	double due_s, threads;
	double left_s;    /* CPU time to its target; INFINITY: never */
	bool cannot_wait; /* with nothing in the coming slot it is late */
	bool is_chosen;
};

struct policy_state {
	uint32_t n_bundle;
	struct stake *stakes;            /* n_bundle */
	struct feasible_moment *moments; /* n_bundle */
	uint32_t *order, *scratch;       /* n_bundle */
	uint32_t *chosen;                /* n_bundle: places, the longest last */
	double needs_s[];                /* n_bundle, by id */
};

static void oracle_free(struct policy_state *state)
{
	if (!state)
		return;
	free(state->stakes);
	free(state->moments);
	free(state->order);
	free(state->scratch);
	free(state->chosen);
	free(state);
}

static int oracle_new(struct policy_state **ret_state, const struct policy_setup *setup)
{
	size_t n = setup->n_bundle > 0 ? setup->n_bundle : 1;
	struct policy_state *state = calloc(1, sizeof(*state) + n * sizeof(state->needs_s[0]));

	assert(setup->needs_s || setup->n_bundle == 0);
	if (!state)
		return -ENOMEM;
	state->n_bundle = setup->n_bundle;
	for (uint32_t i = 0; i < setup->n_bundle; i++) {
		assert(setup->needs_s[i] >= 0);
		state->needs_s[i] = setup->needs_s[i];
	}
	state->stakes = calloc(n, sizeof(state->stakes[0]));
	state->moments = calloc(n, sizeof(state->moments[0]));
	state->order = calloc(n, sizeof(state->order[0]));
	state->scratch = calloc(n, sizeof(state->scratch[0]));
	state->chosen = calloc(n, sizeof(state->chosen[0]));
	if (!state->stakes || !state->moments || !state->order || !state->scratch ||
		!state->chosen) {
		oracle_free(state);
		return -ENOMEM;
	}
	*ret_state = state;
	return 0;
}

/* Ranks the tasks by deadline and lays out the moments. */
static void stakes_init(
	struct policy_state *state, const struct policy_view *view, struct feasible *feasible)
{
	double slot_s = (double)view->slot_ns * 1e-9;

	due_order(view, state->order, state->scratch);
	feasible_init(feasible, state->moments);
	for (uint32_t i = 0; i < view->n_tasks; i++) {
		const struct policy_task *task = &view->tasks[state->order[i]];
		struct stake *stake = &state->stakes[state->order[i]];
		double due_s = (double)(task->deadline_ns - view->now_ns) * 1e-9;

		*stake = (struct stake){
			.rank = i,
			.due_s = due_s,
			.threads = fmin(task->counted, view->budget_cpus),
			.left_s = fmax(state->needs_s[task->id] - (double)task->cpu_ns * 1e-9, 0),
		};
		stake->cannot_wait = due_s - stake->left_s / stake->threads < slot_s;
		feasible_add_moment(feasible, due_s, view->budget_cpus);
	}
}

static bool put_in(struct feasible *feasible, const struct stake *stake)
{
	return feasible_raise(feasible, stake->due_s, stake->threads, 0, stake->left_s);
}

static void take_out(struct feasible *feasible, const struct stake *stake)
{
	feasible_take_out(feasible, stake->due_s, stake->threads, stake->left_s);
}

/* The newcomer in the place of one of the longest that are longer than it. True, and that one is out, or
 * nothing has changed. */
static bool put_in_instead(struct policy_state *state, struct feasible *feasible,
	const struct stake *stake, uint32_t *n_chosen)
{
	for (uint32_t i = *n_chosen; i-- > 0 && i + TRIALS_MAX >= *n_chosen;) {
		struct stake *longer = &state->stakes[state->chosen[i]];

		if (longer->left_s <= stake->left_s)
			return false;
		take_out(feasible, longer);
		if (put_in(feasible, stake)) {
			longer->is_chosen = false;
			memmove(&state->chosen[i], &state->chosen[i + 1],
				(*n_chosen - i - 1) * sizeof(state->chosen[0]));
			--*n_chosen;
			return true;
		}
		(void)put_in(feasible, longer); /* it was there before */
	}
	return false;
}

static void choose(struct policy_state *state, uint32_t n_tasks, struct feasible *feasible)
{
	uint32_t n_chosen = 0;

	for (uint32_t i = 0; i < n_tasks; i++) {
		struct stake *stake = &state->stakes[state->order[i]];
		uint32_t at;

		if (stake->left_s > stake->threads * stake->due_s)
			continue;
		if (!put_in(feasible, stake) && !put_in_instead(state, feasible, stake, &n_chosen))
			continue;
		stake->is_chosen = true;
		for (at = n_chosen++; at > 0; at--) {
			if (state->stakes[state->chosen[at - 1]].left_s <= stake->left_s)
				break;
			state->chosen[at] = state->chosen[at - 1];
		}
		state->chosen[at] = state->order[i];
	}
}

static bool runs_before(const void *context, uint32_t a, uint32_t b)
{
	const struct policy_state *state = context;
	const struct stake *one = &state->stakes[a], *other = &state->stakes[b];

	if (one->is_chosen != other->is_chosen)
		return one->is_chosen;
	if (one->is_chosen && one->cannot_wait != other->cannot_wait)
		return one->cannot_wait;
	if (!one->is_chosen && (one->left_s < other->left_s || one->left_s > other->left_s))
		return one->left_s < other->left_s;
	return one->rank < other->rank;
}

static void oracle_plan(struct policy_state *state, const struct policy_view *view,
	double ret_shares[], enum why ret_why[])
{
	struct feasible feasible;

	view_check(view);
	assert(view->n_bundle == state->n_bundle);
	if (!(view->budget_cpus > 0)) { /* nothing to plan with, nobody to write off */
		give_in_order(view, /* order= */ NULL, 0, ret_shares, ret_why);
		return;
	}
	stakes_init(state, view, &feasible);
	choose(state, view->n_tasks, &feasible);
	order_init(state->order, view->n_tasks);
	order_sort(state->order, state->scratch, view->n_tasks, runs_before, state);
	give_in_order(view, state->order, view->budget_cpus, ret_shares, ret_why);
	for (uint32_t i = 0; i < view->n_tasks; i++) {
		if (!state->stakes[i].is_chosen)
			ret_why[i] = WHY_WRITTEN_OFF;
		else if (ret_shares[i] > 0)
			ret_why[i] = WHY_CHOSEN;
	}
}

const struct policy policy_oracle = {
	.name = "oracle",
	.summary = "knows what each task needs: the most that can make it, by deadline",
	.needs_future = true,
	.new = oracle_new,
	.plan = oracle_plan,
	.free = oracle_free,
};
