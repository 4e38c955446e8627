// SPDX-License-Identifier: GPL-2.0-or-later
#include "due.h"
#include "forecast.h"
#include "give.h"
#include "order.h"
#include "policy_internal.h"

#include <assert.h>
#include <errno.h>
#include <math.h>
#include <stdlib.h>

/* Shortest remaining processing time first (Schrage, Operations Research 16, 1968: with known times it has
 * the least mean time to the end on one machine), with the times forecast: a quantile, the median as usual,
 * of the distribution of the remaining need that core plans with, given what has been used in vain since the
 * newest report. Deadlines decide only where forecasts are the same.
 *
 * What the source leaves open: a task with too little chance to get there at all has no such quantile. These
 * come behind all that have one, the likeliest first. */

enum { QUANTILE, N_PARAMETERS };

/* clang-format off */
static const struct policy_parameter parameters[] = {
	[QUANTILE] = { "quantile",
	  "The chance with which the predicted need is enough; more puts behind what is less sure.",
	  "", 0.05, 0.95, 0.2 },
	[N_PARAMETERS] = { .name = NULL },
};
/* clang-format on */

struct seen {
	bool is_made;
	uint64_t n_reports, n_not_finite; /* when it was made */
	struct forecast forecast;
};

/* By place in the view. */
struct prediction {
	uint32_t rank; /* by (deadline, name) */
	double need_s; /* INFINITY: no such quantile */
	double chance; /* that it gets there at all */
};

struct policy_state {
	uint32_t n_bundle;
	double quantile;
	struct seen *seen;              /* n_bundle, by id */
	struct prediction *predictions; /* n_bundle */
	uint32_t *order, *scratch;      /* n_bundle */
};

static void srpt_free(struct policy_state *state)
{
	if (!state)
		return;
	free(state->seen);
	free(state->predictions);
	free(state->order);
	free(state->scratch);
	free(state);
}

static int srpt_new(struct policy_state **ret_state, const struct policy_setup *setup)
{
	struct policy_state *state = calloc(1, sizeof(*state));
	double values[POLICY_PARAMETERS_MAX];
	size_t n = setup->n_bundle > 0 ? setup->n_bundle : 1;

	if (!state)
		return -ENOMEM;
	policy_parameter_values(&policy_srpt, setup->parameters, values);
	state->n_bundle = setup->n_bundle;
	state->quantile = values[QUANTILE];
	state->seen = calloc(n, sizeof(state->seen[0]));
	state->predictions = calloc(n, sizeof(state->predictions[0]));
	state->order = calloc(n, sizeof(state->order[0]));
	state->scratch = calloc(n, sizeof(state->scratch[0]));
	if (!state->seen || !state->predictions || !state->order || !state->scratch) {
		srpt_free(state);
		return -ENOMEM;
	}
	*ret_state = state;
	return 0;
}

static void srpt_forget(struct policy_state *state, uint32_t id)
{
	assert(id < state->n_bundle);
	state->seen[id].is_made = false;
}

static const struct forecast *forecast_of(
	struct policy_state *state, const struct policy_task *task)
{
	static const struct forecast_unseen unseen = {
		.part = UNSEEN_PART_USUAL,
		.spread = UNSEEN_SPREAD_USUAL,
		.chance = UNSEEN_CHANCE_USUAL,
	};
	struct seen *seen = &state->seen[task->id];
	const struct history *history = task->history;

	if (!seen->is_made || seen->n_reports != history->n_reports ||
		seen->n_not_finite != history->n_not_finite) {
		forecast_make(task, &unseen, &seen->forecast);
		seen->is_made = true;
		seen->n_reports = history->n_reports;
		seen->n_not_finite = history->n_not_finite;
	}
	return &seen->forecast;
}

static void predict(
	const struct forecast *forecast, double cpu_s, double quantile, struct prediction *ret)
{
	double need_s[FORECAST_POINTS_MAX], chance[FORECAST_POINTS_MAX];
	double from_s = 0, from = 0;
	/* Far beyond all points, but not so far that a sum with it is lost. */
	double cap_s = 2 * forecast->need_s[forecast->n_points - 1];
	uint32_t n = forecast_from_now(forecast, cpu_s, cap_s, need_s, chance);

	ret->need_s = INFINITY;
	ret->chance = n > 0 ? chance[n - 1] : 0;
	for (uint32_t i = 0; i < n; i++) {
		if (chance[i] >= quantile) {
			ret->need_s = from_s +
				(need_s[i] - from_s) * (quantile - from) / (chance[i] - from);
			return;
		}
		from_s = need_s[i];
		from = chance[i];
	}
}

static bool is_shorter(const void *context, uint32_t a, uint32_t b)
{
	const struct policy_state *state = context;
	const struct prediction *one = &state->predictions[a], *other = &state->predictions[b];

	if (one->need_s < other->need_s || one->need_s > other->need_s)
		return one->need_s < other->need_s;
	if (isinf(one->need_s) && (one->chance > other->chance || one->chance < other->chance))
		return one->chance > other->chance;
	return one->rank < other->rank;
}

static void srpt_plan(struct policy_state *state, const struct policy_view *view,
	double ret_shares[], enum why ret_why[])
{
	view_check(view);
	assert(view->n_bundle == state->n_bundle);
	due_order(view, state->order, state->scratch);
	for (uint32_t i = 0; i < view->n_tasks; i++) {
		uint32_t at = state->order[i];
		const struct policy_task *task = &view->tasks[at];

		state->predictions[at].rank = i;
		predict(forecast_of(state, task), (double)task->cpu_ns * 1e-9, state->quantile,
			&state->predictions[at]);
	}
	order_init(state->order, view->n_tasks);
	order_sort(state->order, state->scratch, view->n_tasks, is_shorter, state);
	give_in_order(view, state->order, view->budget_cpus, ret_shares, ret_why);
}

const struct policy policy_srpt = {
	.name = "srpt",
	.summary = "shortest forecast remaining need first, each all it can use",
	.parameters = parameters,
	.new = srpt_new,
	.plan = srpt_plan,
	.forget = srpt_forget,
	.free = srpt_free,
};
