// SPDX-License-Identifier: GPL-2.0-or-later
#include "due.h"
#include "fit.h"
#include "give.h"
#include "policy_internal.h"
#include "remaining.h"

#include <assert.h>
#include <errno.h>
#include <math.h>
#include <stdlib.h>

/* Optimus: Peng, Bao, Chen, Wu, Guo, "Optimus: An Efficient Dynamic Resource Scheduler for Deep Learning
 * Clusters", EuroSys 2018. It wants the mean time to completion least: each job has one unit, and every
 * further one goes to the job whose remaining time falls most by it (its greedy by marginal gain), remaining
 * time being the remaining work over the speed.
 *
 * The remaining work comes of the fit in remaining.h, loss = 1 / (b0 k + b1) + b2, the authors' own. The gain
 * of a job that is new, whose fit is not to be relied on yet, counts fresh-factor of what it is, the paper's
 * 0.95.
 *
 * What had to be guessed. Work is the CPU time up to the target, where the paper has that up to convergence;
 * CPU time can be shared without loss, so the speed is the share. Where there is not a unit for each, the
 * first units go to the shortest: of all ways to give one machine's time that is the one with the least mean
 * time to completion, which is what is wanted. Without a fit the work is taken for unseen-part of the window,
 * less what has been used, and not below a tenth of that. Who is predicted never to get there comes behind
 * all others, in the order of deadlines. Fresh is who has fewer than fresh-reports reports. */

/* A need that cannot be told from more; what the first units gain, over a need: more than all others; and those
 * of who never gets there, over the time to the deadline: less than all others. */
#define NEED_MOST_S 1e9
#define FIRST_UNIT 1e30
#define NEVER_UNIT 1e-30

enum { UNIT, THIRD_WEIGHT, FRESH_REPORTS, FRESH_FACTOR, UNSEEN_PART, N_PARAMETERS };

/* clang-format off */
static const struct policy_parameter parameters[] = {
	[UNIT] = { "unit",
	  "What is given at a time; less divides the budget among more tasks.",
	  "cpu", 0.05, 16, 1 },
	[THIRD_WEIGHT] = { "third-weight",
	  "What a third of the reports counts for against the third before it; more looks less far back.",
	  "", 1, 16, 4 },
	[FRESH_REPORTS] = { "fresh-reports",
	  "With how many reports a task is no longer fresh.",
	  "", 0, 100, 10 },
	[FRESH_FACTOR] = { "fresh-factor",
	  "What a fresh task's gain counts for; less puts it behind the others.",
	  "", 0.1, 2, 0.95 },
	[UNSEEN_PART] = { "unseen-part",
	  "The part of its window that a task without a fit needs; less tries it sooner.",
	  "", 0.001, 1, 0.5 },
	[N_PARAMETERS] = { .name = NULL },
};
/* clang-format on */

struct policy_state {
	uint32_t n_bundle;
	double unit, third_weight, fresh_reports, fresh_factor, unseen_part;
	const struct policy_view *view; /* during a plan */
	double *gains, *need_s;         /* n_bundle, by place in the view; INFINITY: never */
	uint32_t *order, *scratch;      /* n_bundle */
	struct remaining remaining[];   /* n_bundle, by id */
};

static void optimus_free(struct policy_state *state)
{
	if (!state)
		return;
	free(state->gains);
	free(state->need_s);
	free(state->order);
	free(state->scratch);
	free(state);
}

static int optimus_new(struct policy_state **ret_state, const struct policy_setup *setup)
{
	double values[POLICY_PARAMETERS_MAX];
	size_t n = setup->n_bundle > 0 ? setup->n_bundle : 1;
	struct policy_state *state = calloc(1, sizeof(*state) + n * sizeof(state->remaining[0]));

	if (!state)
		return -ENOMEM;
	policy_parameter_values(&policy_optimus, setup->parameters, values);
	state->n_bundle = setup->n_bundle;
	state->unit = values[UNIT];
	state->third_weight = values[THIRD_WEIGHT];
	state->fresh_reports = values[FRESH_REPORTS];
	state->fresh_factor = values[FRESH_FACTOR];
	state->unseen_part = values[UNSEEN_PART];
	state->gains = calloc(n, sizeof(state->gains[0]));
	state->need_s = calloc(n, sizeof(state->need_s[0]));
	state->order = calloc(n, sizeof(state->order[0]));
	state->scratch = calloc(n, sizeof(state->scratch[0]));
	if (!state->gains || !state->need_s || !state->order || !state->scratch) {
		optimus_free(state);
		return -ENOMEM;
	}
	*ret_state = state;
	return 0;
}

static void optimus_forget(struct policy_state *state, uint32_t id)
{
	assert(id < state->n_bundle);
	state->remaining[id] = (struct remaining){0};
}

static double need_of(struct policy_state *state, const struct policy_task *task)
{
	struct remaining *remaining = &state->remaining[task->id];
	double window_s = (double)(task->deadline_ns - task->begin_ns) * 1e-9;
	double unseen_s = state->unseen_part * window_s;

	remaining_learn(remaining, task, state->third_weight);
	if (remaining->fit.form != FIT_NONE) {
		double need_s = remaining_need(remaining, task);

		return isinf(need_s) ? need_s : fmin(need_s, NEED_MOST_S);
	}
	if (task->history->n_points >= 3) /* there is no fall that could be fitted */
		return INFINITY;
	return fmax(unseen_s - (double)task->cpu_ns * 1e-9, unseen_s / 10);
}

/* give_gain: how much sooner it is done, for each CPU. The first unit has no time to compare with. */
static double sooner(const void *context, uint32_t at, double share, double more)
{
	const struct policy_state *state = context;
	const struct policy_task *task = &state->view->tasks[at];
	double need_s = state->need_s[at], gain;
	bool is_fresh = (double)task->history->n_reports < state->fresh_reports;

	if (isinf(need_s))
		return NEVER_UNIT / (double)(task->deadline_ns - state->view->now_ns);
	/* The shortest first, and in any case before all second units. */
	if (share <= 0)
		gain = FIRST_UNIT / need_s;
	else
		gain = (need_s / share - need_s / (share + more)) / more;
	return is_fresh ? gain * state->fresh_factor : gain;
}

static void optimus_plan(struct policy_state *state, const struct policy_view *view,
	double ret_shares[], enum why ret_why[])
{
	double left = view->budget_cpus;

	view_check(view);
	assert(view->n_bundle == state->n_bundle);
	state->view = view;
	for (uint32_t i = 0; i < view->n_tasks; i++) {
		state->need_s[i] = need_of(state, &view->tasks[i]);
		ret_shares[i] = 0;
	}
	give_by_gain(view, left, state->unit, sooner, state, state->order, state->gains, ret_shares,
		ret_why);
	state->view = NULL;
}

const struct policy policy_optimus = {
	.name = "optimus",
	.summary = "to whose remaining time falls most by it, by a fit of 1 / (b0 k + b1) + b2",
	.parameters = parameters,
	.new = optimus_new,
	.plan = optimus_plan,
	.forget = optimus_forget,
	.free = optimus_free,
};
