// SPDX-License-Identifier: GPL-2.0-or-later
#include "growth.h"

#include <assert.h>
#include <errno.h>
#include <float.h>
#include <math.h>
#include <stdlib.h>

#include "give.h"
#include "policy_internal.h"

/* The lists are gone through when the interval is over or a task has come that was not there before; in
 * between the limits stay. A second look at the same moment changes nothing. */

#define CPU_LEAST_S \
	1e-6 /* of an interval: what is less is a report without a reading of the meter */

static const double *of(const struct policy_task *task)
{
	return task->history->value;
}

double growth_scale(const struct policy_task *task)
{
	double scale = fmax(fabs(task->target), DBL_MIN);

	for (uint32_t i = 0; i < task->history->n_points; i++)
		scale = fmax(scale, fabs(of(task)[i]));
	return scale;
}

/* The mean of what was reported after mark_ns of CPU time; false where nothing was. */
static bool mean_since(const struct policy_task *task, uint64_t mark_ns, double *ret_mean)
{
	const struct history *history = task->history;
	double scale = growth_scale(task), sum = 0;
	uint32_t i = history->n_points;

	while (i > 0 && history->cpu_ns[i - 1] > mark_ns)
		sum += of(task)[--i] / scale;
	if (i == history->n_points)
		return false;
	*ret_mean = sum / (history->n_points - i) * scale;
	return true;
}

/* Takes the interval into account. True where its growth is known: it and an earlier one had reports. */
static bool measure(struct growth_task *own, const struct policy_task *task, double budget,
	growth_between between)
{
	double mean, used_s = (double)(task->cpu_ns - own->mark_ns) * 1e-9;
	bool is_measured = own->has_mean;

	if (task->cpu_ns < own->mark_ns || !mean_since(task, own->mark_ns, &mean))
		return false;
	if (is_measured) {
		own->efficiency = between(task, own->mean, mean) / fmax(used_s, CPU_LEAST_S) *
			budget;
		own->has_efficiency = true;
	}
	own->has_mean = true;
	own->mean = mean;
	own->mark_ns = task->history->cpu_ns[task->history->n_points - 1];
	if (task->cpu_ns > own->mark_ns)
		own->mark_ns = task->cpu_ns;
	return is_measured;
}

static void move(struct growth_task *own, double threshold)
{
	if (own->efficiency >= threshold)
		own->list = GROWTH_NEW;
	else if (own->list == GROWTH_NEW)
		own->list = GROWTH_WATCHING;
	else
		own->list = GROWTH_COMPLETING;
}

static void limit(struct policy_state *state, const struct policy_view *view, double sum)
{
	double floor = 1 / (state->floor_part * view->n_tasks);

	for (uint32_t i = 0; i < view->n_tasks; i++) {
		struct growth_task *own = &state->tasks[view->tasks[i].id];
		double part = sum > 0 ? own->efficiency / sum : 0;

		if (!own->has_efficiency || own->list == GROWTH_WATCHING)
			continue;
		own->limit = own->list == GROWTH_COMPLETING ? fmax(part, floor) : part;
	}
}

static void go_through(
	struct policy_state *state, const struct policy_view *view, growth_between between)
{
	bool is_all_completing = true;
	double sum = 0;

	for (uint32_t i = 0; i < view->n_tasks; i++) {
		const struct policy_task *task = &view->tasks[i];
		struct growth_task *own = &state->tasks[task->id];

		if (!own->is_known)
			*own = (struct growth_task){.is_known = true, .limit = 1};
		else if (measure(own, task, view->budget_cpus, between))
			move(own, state->threshold);
		if (own->has_efficiency)
			sum += own->efficiency;
		is_all_completing = is_all_completing && own->list == GROWTH_COMPLETING;
	}
	if (is_all_completing) {
		for (uint32_t i = 0; i < view->n_tasks; i++)
			state->tasks[view->tasks[i].id].limit = 1;
		state->stretch = fmin(2 * state->stretch, state->back_off_most);
	} else {
		limit(state, view, sum);
		state->stretch = 1;
	}
	state->next_ns = view->now_ns +
		(uint64_t)(state->stretch * state->interval * (double)view->slot_ns);
}

static bool has_newcomer(const struct policy_state *state, const struct policy_view *view)
{
	for (uint32_t i = 0; i < view->n_tasks; i++)
		if (!state->tasks[view->tasks[i].id].is_known)
			return true;
	return false;
}

void growth_plan(struct policy_state *state, const struct policy_view *view, growth_between between,
	double ret_shares[], enum why ret_why[])
{
	view_check(view);
	assert(view->n_bundle == state->n_bundle);
	if (view->n_tasks > 0 && view->budget_cpus > 0 &&
		(view->now_ns >= state->next_ns || has_newcomer(state, view)))
		go_through(state, view, between);
	for (uint32_t i = 0; i < view->n_tasks; i++)
		state->limits[i] = state->tasks[view->tasks[i].id].limit * view->budget_cpus;
	give_limited(view, state->limits, view->budget_cpus, state->order, state->scratch,
		ret_shares, ret_why);
}

int growth_new(
	struct policy_state **ret_state, const struct policy_setup *setup, const double values[])
{
	struct policy_state *state = calloc(1, sizeof(*state));
	size_t n = setup->n_bundle > 0 ? setup->n_bundle : 1;

	if (!state)
		return -ENOMEM;
	*state = (struct policy_state){
		.n_bundle = setup->n_bundle,
		.threshold = values[GROWTH_THRESHOLD],
		.floor_part = values[GROWTH_FLOOR_PART],
		.interval = values[GROWTH_INTERVAL],
		.back_off_most = values[GROWTH_BACK_OFF],
		.stretch = 1,
		.tasks = calloc(n, sizeof(state->tasks[0])),
		.limits = calloc(n, sizeof(state->limits[0])),
		.order = calloc(n, sizeof(state->order[0])),
		.scratch = calloc(n, sizeof(state->scratch[0])),
	};
	if (!state->tasks || !state->limits || !state->order || !state->scratch) {
		growth_free(state);
		return -ENOMEM;
	}
	*ret_state = state;
	return 0;
}

void growth_forget(struct policy_state *state, uint32_t id)
{
	assert(id < state->n_bundle);
	state->tasks[id] = (struct growth_task){0};
}

void growth_free(struct policy_state *state)
{
	if (!state)
		return;
	free(state->tasks);
	free(state->limits);
	free(state->order);
	free(state->scratch);
	free(state);
}
