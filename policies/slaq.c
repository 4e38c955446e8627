// SPDX-License-Identifier: GPL-2.0-or-later
#include "fit.h"
#include "give.h"
#include "policy_internal.h"

#include <assert.h>
#include <errno.h>
#include <math.h>
#include <stdlib.h>

/* SLAQ: Zhang, Stafman, Or, Freedman, "SLAQ: Quality-Driven Scheduling for Distributed Machine Learning",
 * SoCC 2017. Each slot's CPUs go, unit by unit, to the task whose loss is predicted to fall most by it in the
 * slot, as a part of the greatest fall between two of its reports so far (its section on normalised quality),
 * so that losses of different size compare.
 *
 * The prediction is a curve through the reports, newer ones weighted exponentially more: of two families,
 * 1 / (a k^2 + b k + c) + d for algorithms that converge sublinearly, and mu^(k - b) + c for those that
 * converge linearly or faster, k being the iteration. There are no targets and no deadlines in it.
 *
 * What had to be guessed. SLAQ knows the family by the algorithm; here the one with the smaller weighted
 * error counts. Iterations are taken to cost the same CPU time, so that k is CPU time in other units, for
 * which the families are the same; and CPU time to be shared without loss, where SLAQ asks a second model how
 * fast a job is on so many machines. It gives each job one CPU first so that none starves: here that is an
 * even part of the budget, least-part, since there are more tasks than CPUs. Of a task that has not reported
 * enough for a fit nothing is predicted: it comes first, as its greatest fall is ahead, for trial-part of its
 * window of CPU time, and then is one that falls no more. What no fall is predicted for goes in order of
 * arrival. The weights' base and the unit are not published. */

enum { UNIT, LEAST_PART, DECAY, TRIAL_PART, N_PARAMETERS };

/* clang-format off */
static const struct policy_parameter parameters[] = {
	[UNIT] = { "unit",
	  "What is given at a time; less divides the budget among more tasks.",
	  "cpu", 0.05, 16, 1 },
	[LEAST_PART] = { "least-part",
	  "The part of the budget that is given evenly first; more starves less and favours less.",
	  "", 0, 1, 0 },
	[DECAY] = { "decay",
	  "What a report counts for against the one after it; less looks less far back.",
	  "", 0.5, 1, 0.9 },
	[TRIAL_PART] = { "trial-part",
	  "How much CPU time a task without enough reports is given first, as a part of its window.",
	  "", 0, 1, 0.005 },
	[N_PARAMETERS] = { .name = NULL },
};
/* clang-format on */

struct learned {
	uint64_t n_reports; /* when it was made; 0: never */
	double greatest;    /* fall between two reports */
	struct fit fit;
};

struct policy_state {
	uint32_t n_bundle;
	double unit, least_part, decay, trial_part;
	const struct policy_view *view; /* during a plan */
	double *gains;                  /* n_bundle */
	uint32_t *order, *scratch;      /* n_bundle */
	struct learned learned[];       /* n_bundle, by id */
};

static void slaq_free(struct policy_state *state)
{
	if (!state)
		return;
	free(state->gains);
	free(state->order);
	free(state->scratch);
	free(state);
}

static int slaq_new(struct policy_state **ret_state, const struct policy_setup *setup)
{
	double values[POLICY_PARAMETERS_MAX];
	size_t n = setup->n_bundle > 0 ? setup->n_bundle : 1;
	struct policy_state *state = calloc(1, sizeof(*state) + n * sizeof(state->learned[0]));

	if (!state)
		return -ENOMEM;
	policy_parameter_values(&policy_slaq, setup->parameters, values);
	state->n_bundle = setup->n_bundle;
	state->unit = values[UNIT];
	state->least_part = values[LEAST_PART];
	state->decay = values[DECAY];
	state->trial_part = values[TRIAL_PART];
	state->gains = calloc(n, sizeof(state->gains[0]));
	state->order = calloc(n, sizeof(state->order[0]));
	state->scratch = calloc(n, sizeof(state->scratch[0]));
	if (!state->gains || !state->order || !state->scratch) {
		slaq_free(state);
		return -ENOMEM;
	}
	*ret_state = state;
	return 0;
}

static void slaq_forget(struct policy_state *state, uint32_t id)
{
	assert(id < state->n_bundle);
	state->learned[id] = (struct learned){0};
}

/* The greatest fall between two reports that are on record; the record may lose some, so it only grows. */
static double greatest_fall(const struct policy_task *task, double so_far)
{
	const struct history *history = task->history;

	for (uint32_t i = 1; i < history->n_points; i++) {
		double rise = history->value[i] - history->value[i - 1];

		so_far = fmax(so_far, task->is_raised ? rise : -rise);
	}
	return so_far;
}

static void learn(
	const struct policy_state *state, const struct policy_task *task, struct learned *learned)
{
	struct fit_points points;
	struct fit exponential;

	if (learned->n_reports == task->history->n_reports)
		return;
	learned->n_reports = task->history->n_reports;
	learned->greatest = greatest_fall(task, learned->greatest);
	learned->fit = (struct fit){.form = FIT_NONE};
	if (!fit_collect(task, fit_weight_decay, state->decay, &points))
		return;
	fit_inverse(&points, 2, -INFINITY, &learned->fit);
	fit_exponential(&points, &exponential);
	if (exponential.form != FIT_NONE &&
		(learned->fit.form == FIT_NONE || exponential.error < learned->fit.error))
		learned->fit = exponential;
}

/* give_gain: the predicted normalised fall. */
static double fall(const void *context, uint32_t at, double share, double more)
{
	const struct policy_state *state = context;
	const struct policy_task *task = &state->view->tasks[at];
	const struct learned *learned = &state->learned[task->id];
	double slot_s = (double)state->view->slot_ns * 1e-9;
	double window_s = (double)(task->deadline_ns - task->begin_ns) * 1e-9;
	double cpu_s = (double)task->cpu_ns * 1e-9;
	double from_s = cpu_s + share * slot_s;

	if (task->history->n_points < 3)
		return cpu_s < state->trial_part * window_s * task->counted ? INFINITY : 0;
	if (learned->fit.form == FIT_NONE || !(learned->greatest > 0))
		return 0;
	return fmax(fit_loss(&learned->fit, from_s) -
			       fit_loss(&learned->fit, from_s + more * slot_s),
		       0) /
		learned->greatest;
}

static void slaq_plan(struct policy_state *state, const struct policy_view *view,
	double ret_shares[], enum why ret_why[])
{
	double left = view->budget_cpus;

	view_check(view);
	assert(view->n_bundle == state->n_bundle);
	state->view = view;
	for (uint32_t i = 0; i < view->n_tasks; i++)
		learn(state, &view->tasks[i], &state->learned[view->tasks[i].id]);
	give_evenly(view, state->least_part * view->budget_cpus, state->order, state->scratch,
		ret_shares, ret_why);
	for (uint32_t i = 0; i < view->n_tasks; i++)
		left -= ret_shares[i];
	give_by_gain(view, left, state->unit, fall, state, state->order, state->gains, ret_shares,
		ret_why);
	state->view = NULL;
}

const struct policy policy_slaq = {
	.name = "slaq",
	.summary = "to whose loss is predicted to fall most, in parts of its greatest fall",
	.parameters = parameters,
	.new = slaq_new,
	.plan = slaq_plan,
	.forget = slaq_forget,
	.free = slaq_free,
};
