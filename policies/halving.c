// SPDX-License-Identifier: GPL-2.0-or-later
#include "due.h"
#include "give.h"
#include "order.h"
#include "policy_internal.h"

#include <assert.h>
#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

/* Successive halving (Jamieson, Talwalkar, "Non-stochastic Best Arm Identification and Hyperparameter
 * Optimization", AISTATS 2016) in its asynchronous form, ASHA (Li, Jamieson, Rostamizadeh, Gonina, Ben-tzur,
 * Hardt, Recht, Talwalkar, "A System for Massively Parallel Hyperparameter Tuning", MLSys 2020, algorithm 2).
 *
 * There are rungs, each `keep` times as much training as the one below. Who reaches one is measured there and
 * stands still. Of all that have been measured at a rung, whether they have gone on or ended meanwhile, the
 * best 1 / keep (rounded down) may go on to the next. What can be given goes to who may go on, from the
 * highest rung down; where there are not enough of these, one more is begun at the bottom; nobody waits for
 * a rung to be full.
 *
 * How it is mapped, since ASHA looks for one best configuration of one model and knows neither targets nor
 * deadlines: the training is CPU time, and a task's greatest is all that it can have in its window from begin
 * to deadline, so that the rungs of tasks of different length compare; the lowest rung is first-rung of that, and
 * the top one the last below all of it. The measure is how much of the way from its first loss to its target is
 * left, by the newest report at the rung. One that has not reported by then is measured as the worst, once it has
 * had trial-part. A task that has left gives up its place in the ranks only when its id goes to another.
 *
 * Deadlines decide where ASHA decides nothing: among those to be begun, which it draws at random, and among those
 * that stand still, to which goes what it would leave idle, as all have been begun and nobody may go on. On 144
 * bundles this is better by .005 than the order of arrival and of the measure. */

enum { KEEP, FIRST_RUNG, TRIAL_PART, N_PARAMETERS };

/* clang-format off */
static const struct policy_parameter parameters[] = {
	[KEEP] = { "keep",
	  "Of how many tasks at a rung one may go on, and how far apart rungs are; more stops more.",
	  "", 1.5, 10, 3 },
	[FIRST_RUNG] = { "first-rung",
	  "The lowest rung, as a part of all the CPU time a task can have; less stops sooner.",
	  "", 0.0001, 0.5, 0.001 },
	[TRIAL_PART] = { "trial-part",
	  "How much of that a task may use until its first report before it is measured as the worst.",
	  "", 0, 1, 0 },
	[N_PARAMETERS] = { .name = NULL },
};
/* clang-format on */

/* 0.0001 times 1.5^23 is more than all. */
#define RUNGS_MAX 23

struct standing {
	uint32_t n_rungs;       /* measured at so many, the lowest first */
	uint32_t n_promoted;    /* may go on from so many */
	double left[RUNGS_MAX]; /* of its way, when it was measured */
};

struct rung {
	uint32_t n;
	double *left; /* n_bundle; of all that were measured there, rising */
};

struct policy_state {
	uint32_t n_bundle;
	double keep, first_rung, trial_part;
	const struct policy_view *view; /* during a plan */
	struct rung rungs[RUNGS_MAX];
	uint32_t *order, *scratch;   /* n_bundle */
	struct standing standings[]; /* n_bundle, by id */
};

static void halving_free(struct policy_state *state)
{
	if (!state)
		return;
	for (uint32_t i = 0; i < RUNGS_MAX; i++)
		free(state->rungs[i].left);
	free(state->order);
	free(state->scratch);
	free(state);
}

static int halving_new(struct policy_state **ret_state, const struct policy_setup *setup)
{
	double values[POLICY_PARAMETERS_MAX];
	size_t n = setup->n_bundle > 0 ? setup->n_bundle : 1;
	struct policy_state *state = calloc(1, sizeof(*state) + n * sizeof(state->standings[0]));
	bool is_whole = state != NULL;

	if (!state)
		return -ENOMEM;
	policy_parameter_values(&policy_halving, setup->parameters, values);
	state->n_bundle = setup->n_bundle;
	state->keep = values[KEEP];
	state->first_rung = values[FIRST_RUNG];
	state->trial_part = values[TRIAL_PART];
	for (uint32_t i = 0; i < RUNGS_MAX; i++) {
		state->rungs[i].left = calloc(n, sizeof(double));
		is_whole = is_whole && state->rungs[i].left;
	}
	state->order = calloc(n, sizeof(state->order[0]));
	state->scratch = calloc(n, sizeof(state->scratch[0]));
	if (!is_whole || !state->order || !state->scratch) {
		halving_free(state);
		return -ENOMEM;
	}
	*ret_state = state;
	return 0;
}

/* Where in the rung a measure is, or would be put: behind those that are better, or, with `is_behind`, behind
 * those that are the same, too. */
static uint32_t place_in(const struct rung *rung, double left, bool is_behind)
{
	uint32_t from = 0, to = rung->n;

	while (from < to) {
		uint32_t middle = from + (to - from) / 2;

		if (is_behind ? rung->left[middle] <= left : rung->left[middle] < left)
			from = middle + 1;
		else
			to = middle;
	}
	return from;
}

static void halving_forget(struct policy_state *state, uint32_t id)
{
	struct standing *standing = &state->standings[id];

	assert(id < state->n_bundle);
	for (uint32_t i = 0; i < standing->n_rungs; i++) {
		struct rung *rung = &state->rungs[i];
		uint32_t at = place_in(rung, standing->left[i], /* is_behind= */ false);

		memmove(&rung->left[at], &rung->left[at + 1],
			(rung->n - at - 1) * sizeof(rung->left[0]));
		rung->n--;
	}
	*standing = (struct standing){0};
}

/* The part of the way from the first report to the target that is left by the newest; 1 where there is no way.
 * INFINITY without a report. */
static double left_of(const struct policy_task *task)
{
	const struct history *history = task->history;
	double way, left;

	if (history->n_points == 0)
		return INFINITY;
	way = history->value[0] - task->target;
	left = history->value[history->n_points - 1] - task->target;
	if (task->is_raised) {
		way = -way;
		left = -left;
	}
	return way > 0 && isfinite(left / way) ? left / way : 1;
}

/* Measures it at the rungs that it has reached, the top one at most its whole window. */
static void measure(struct policy_state *state, const struct policy_task *task)
{
	struct standing *standing = &state->standings[task->id];
	double all_ns = (double)(task->deadline_ns - task->begin_ns) * task->counted;
	double part = state->first_rung * pow(state->keep, standing->n_rungs);

	if (task->history->n_points == 0 && (double)task->cpu_ns < state->trial_part * all_ns)
		return;
	for (; standing->n_rungs < RUNGS_MAX && part < 1 && (double)task->cpu_ns >= part * all_ns;
		part *= state->keep) {
		struct rung *rung = &state->rungs[standing->n_rungs];
		double left = left_of(task);
		uint32_t at = place_in(rung, left, /* is_behind= */ true);

		memmove(&rung->left[at + 1], &rung->left[at],
			(rung->n - at) * sizeof(rung->left[0]));
		rung->left[at] = left;
		rung->n++;
		standing->left[standing->n_rungs++] = left;
	}
}

/* Is it, at its highest rung, among those that may go on? */
static void promote(struct policy_state *state, struct standing *standing)
{
	const struct rung *rung;
	uint32_t top = standing->n_rungs;

	if (top == 0 || standing->n_promoted == top)
		return;
	rung = &state->rungs[top - 1];
	if (isfinite(standing->left[top - 1]) &&
		place_in(rung, standing->left[top - 1], /* is_behind= */ false) <
			(uint32_t)(rung->n / state->keep))
		standing->n_promoted = top;
}

enum class {
	CLASS_GOES_ON,
	CLASS_IS_NEW,
	CLASS_STANDS,
};

static enum class class_of(const struct standing *standing) {
	if (standing->n_rungs == 0) return CLASS_IS_NEW;
	return standing->n_promoted == standing->n_rungs ? CLASS_GOES_ON : CLASS_STANDS;
}

static bool runs_before(const void *context, uint32_t a, uint32_t b)
{
	const struct policy_state *state = context;
	const struct standing *one = &state->standings[state->view->tasks[a].id];
	const struct standing *other = &state->standings[state->view->tasks[b].id];
	uint32_t top = one->n_rungs;

	if (class_of(one) != class_of(other))
		return class_of(one) < class_of(other);
	if (class_of(one) != CLASS_GOES_ON)
		return false; /* they stay in the order of deadlines */
	if (top != other->n_rungs)
		return top > other->n_rungs;
	return one->left[top - 1] < other->left[top - 1];
}

static void halving_plan(struct policy_state *state, const struct policy_view *view,
	double ret_shares[], enum why ret_why[])
{
	view_check(view);
	assert(view->n_bundle == state->n_bundle);
	state->view = view;
	for (uint32_t i = 0; i < view->n_tasks; i++)
		measure(state, &view->tasks[i]);
	for (uint32_t i = 0; i < view->n_tasks; i++)
		promote(state, &state->standings[view->tasks[i].id]);
	due_order(view, state->order, state->scratch);
	order_sort(state->order, state->scratch, view->n_tasks, runs_before, state);
	give_in_order(view, state->order, view->budget_cpus, ret_shares, ret_why);
	for (uint32_t i = 0; i < view->n_tasks && view->budget_cpus > 0; i++)
		if (class_of(&state->standings[view->tasks[i].id]) == CLASS_STANDS)
			ret_why[i] = WHY_WRITTEN_OFF;
	state->view = NULL;
}

const struct policy policy_halving = {
	.name = "halving",
	.summary = "successive halving: the best third at each rung goes on",
	.parameters = parameters,
	.new = halving_new,
	.plan = halving_plan,
	.forget = halving_forget,
	.free = halving_free,
};
