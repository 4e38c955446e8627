// SPDX-License-Identifier: GPL-2.0-or-later
#include "due.h"
#include "give.h"
#include "order.h"
#include "policy_internal.h"
#include "remaining.h"

#include <assert.h>
#include <errno.h>
#include <math.h>
#include <stdlib.h>

/* Earliest deadline first, but behind all others whom one parametric fit calls hopeless: what EDF lacks where
 * there is more work than time, mended in the plainest way. Hopeless is a task whose need, as predicted, is
 * more than `sure` times all that it can have until its deadline. It is judged anew with each report, and
 * runs on what the others leave.
 *
 * The fit is that of Optimus (remaining.h): of the closed forms in use it is the one that needs no metric
 * above 0 and has a floor, so that "never" is one of its answers. */

enum { MARGIN, REPORTS, THIRD_WEIGHT, N_PARAMETERS };

/* clang-format off */
static const struct policy_parameter parameters[] = {
	[MARGIN] = { "margin",
	  "What a task must be predicted to miss its target by to be dropped, as a part of its way there.",
	  "", 0, 1, 0.5 },
	[REPORTS] = { "reports",
	  "How many reports a task must have made to be dropped.",
	  "", 3, 500, 10 },
	[THIRD_WEIGHT] = { "third-weight",
	  "What a third of the reports counts for against the third before it; more looks less far back.",
	  "", 1, 16, 1 },
	[N_PARAMETERS] = { .name = NULL },
};
/* clang-format on */

struct policy_state {
	uint32_t n_bundle;
	double margin, reports, third_weight;
	uint32_t *order, *scratch;    /* n_bundle */
	bool *is_hopeless;            /* n_bundle, by place in the view */
	uint32_t *rank;               /* by place in the view: by (deadline, name) */
	struct remaining remaining[]; /* n_bundle, by id */
};

static void edf_drop_free(struct policy_state *state)
{
	if (!state)
		return;
	free(state->order);
	free(state->scratch);
	free(state->is_hopeless);
	free(state->rank);
	free(state);
}

static int edf_drop_new(struct policy_state **ret_state, const struct policy_setup *setup)
{
	double values[POLICY_PARAMETERS_MAX];
	size_t n = setup->n_bundle > 0 ? setup->n_bundle : 1;
	struct policy_state *state = calloc(1, sizeof(*state) + n * sizeof(state->remaining[0]));

	if (!state)
		return -ENOMEM;
	policy_parameter_values(&policy_edf_drop, setup->parameters, values);
	state->n_bundle = setup->n_bundle;
	state->margin = values[MARGIN];
	state->reports = values[REPORTS];
	state->third_weight = values[THIRD_WEIGHT];
	state->order = calloc(n, sizeof(state->order[0]));
	state->scratch = calloc(n, sizeof(state->scratch[0]));
	state->is_hopeless = calloc(n, sizeof(state->is_hopeless[0]));
	state->rank = calloc(n, sizeof(state->rank[0]));
	if (!state->order || !state->scratch || !state->is_hopeless || !state->rank) {
		edf_drop_free(state);
		return -ENOMEM;
	}
	*ret_state = state;
	return 0;
}

static void edf_drop_forget(struct policy_state *state, uint32_t id)
{
	assert(id < state->n_bundle);
	state->remaining[id] = (struct remaining){0};
}

static bool is_hopeless(
	struct policy_state *state, const struct policy_view *view, const struct policy_task *task)
{
	struct remaining *remaining = &state->remaining[task->id];
	double due_s = (double)(task->deadline_ns - view->now_ns) * 1e-9;
	double most_s = (double)task->cpu_ns * 1e-9 +
		due_s * fmin(task->counted, view->budget_cpus);
	double way;

	remaining_learn(remaining, task, state->third_weight);
	/* Where nothing falls there is no fit that could judge. */
	if ((double)task->history->n_reports < state->reports || remaining->fit.form == FIT_NONE)
		return false;
	way = remaining_loss(task, task->history->value[0]) - remaining_loss(task, task->target);
	return fit_loss(&remaining->fit, most_s) >
		remaining_loss(task, task->target) + state->margin * fmax(way, 0);
}

static bool runs_before(const void *context, uint32_t a, uint32_t b)
{
	const struct policy_state *state = context;

	if (state->is_hopeless[a] != state->is_hopeless[b])
		return state->is_hopeless[b];
	return state->rank[a] < state->rank[b];
}

static void edf_drop_plan(struct policy_state *state, const struct policy_view *view,
	double ret_shares[], enum why ret_why[])
{
	view_check(view);
	assert(view->n_bundle == state->n_bundle);
	due_order(view, state->order, state->scratch);
	for (uint32_t i = 0; i < view->n_tasks; i++) {
		uint32_t at = state->order[i];

		state->rank[at] = i;
		state->is_hopeless[at] = is_hopeless(state, view, &view->tasks[at]);
	}
	order_init(state->order, view->n_tasks);
	order_sort(state->order, state->scratch, view->n_tasks, runs_before, state);
	give_in_order(view, state->order, view->budget_cpus, ret_shares, ret_why);
	for (uint32_t i = 0; i < view->n_tasks && view->budget_cpus > 0; i++)
		if (state->is_hopeless[i])
			ret_why[i] = WHY_WRITTEN_OFF;
}

const struct policy policy_edf_drop = {
	.name = "edf-drop",
	.summary = "earliest deadline first, those behind that a fit calls hopeless",
	.parameters = parameters,
	.new = edf_drop_new,
	.plan = edf_drop_plan,
	.forget = edf_drop_forget,
	.free = edf_drop_free,
};
