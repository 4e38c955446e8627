// SPDX-License-Identifier: GPL-2.0-or-later
#include <assert.h>
#include <inttypes.h>
#include <math.h>
#include <string.h>

#include "governor_internal.h"

/* Tasks that come and go while the slots go on. An open governor has seats instead of tasks: a seat is an
 * id, with room for a task in all that is kept by id; a task has it from governor_seat() on until it has
 * ended and governor_vacate() is called. The order of arrival holds those that are seated, those whose
 * begin has come first. */

static uint32_t position_of(const struct governor *governor, uint32_t id)
{
	uint32_t position = 0;

	while (position < governor->n_seated && governor->order[position] != id)
		position++;
	assert(position < governor->n_seated);
	return position;
}

static void insert(struct governor *governor, uint32_t id)
{
	uint32_t position = governor->n_seated;

	while (position > 0 &&
		compare_arrival(
			&id, &governor->order[position - 1], (void *)governor->setup.bundle) < 0)
		position--;
	memmove(&governor->order[position + 1], &governor->order[position],
		(governor->n_seated - position) * sizeof(governor->order[0]));
	governor->order[position] = id;
	governor->n_seated++;
}

static double best_of(const struct history *history, bool is_raised)
{
	double best = NAN;

	for (uint32_t i = 0; i < history->n_points; i++)
		if (isnan(best) ||
			(is_raised ? history->value[i] > best : history->value[i] < best))
			best = history->value[i];
	return best;
}

static void forget(struct governor *governor, uint32_t id)
{
	const struct policy *policy = governor->setup.policy;

	if (policy->forget)
		policy->forget(governor->policy_state, id);
}

void governor_seat(struct governor *governor, uint32_t id, uint64_t now_ns)
{
	struct task *task = &governor->tasks[id];

	assert(governor->setup.is_open && id < governor->n_tasks && task->phase == PHASE_VACANT);
	/* Then whoever has begun stands before one that is to begin, and the new one after the former. */
	governor_admit(governor, now_ns);
	memset(task, 0, sizeof(*task));
	task_init(task);
	forget(governor, id);
	insert(governor, id);
	if (governor->setup.bundle->tasks[id].begin_ns > now_ns)
		return;
	governor->n_admitted++;
	task_start(governor, id, now_ns);
	governor->has_news = true;
}

void governor_vacate(struct governor *governor, uint32_t id)
{
	uint32_t position = position_of(governor, id);

	assert(governor->setup.is_open && governor->tasks[id].phase == PHASE_ENDED);
	governor->n_seated--;
	memmove(&governor->order[position], &governor->order[position + 1],
		(governor->n_seated - position) * sizeof(governor->order[0]));
	if (position < governor->n_admitted)
		governor->n_admitted--;
	governor->n_decided--;
	governor->n_ended--;
	governor->tasks[id].phase = PHASE_VACANT;
}

void governor_replan(struct governor *governor, uint32_t id, uint64_t now_ns)
{
	const struct bundle_task *planned = &governor->setup.bundle->tasks[id];
	struct task *task = &governor->tasks[id];

	assert(task->outcome == OUTCOME_NONE);
	if (task_is_running(task))
		demand_init(&task->demand, planned->threads, planned->finds_threads);
	forget(governor, id);
	governor->has_news = true;
	record_event(governor, now_ns, id, "set", "deadline %.3f s, threads %s%g",
		(double)planned->deadline_ns * 1e-9, planned->finds_threads ? "auto, at most " : "",
		planned->threads);
}

void governor_retarget(
	struct governor *governor, uint32_t id, uint64_t now_ns, bool is_other_metric)
{
	const struct target *target = &governor->setup.bundle->tasks[id].target;
	struct task *task = &governor->tasks[id];

	assert(task->outcome == OUTCOME_NONE);
	task->n_in_a_row = 0;
	task->is_background = false;
	if (is_other_metric) {
		task->history = (struct history){0};
		task->value = NAN;
	}
	task->best = best_of(&task->history, target->is_raised);
	forget(governor, id);
	governor->has_news = true;
	record_event(governor, now_ns, id, "set", "target %s %s %.6g for %" PRIu32, target->metric,
		target->is_raised ? ">=" : "<=", target->value, target->in_a_row);
}

void governor_untarget(struct governor *governor, uint32_t id, uint64_t now_ns)
{
	struct task *task = &governor->tasks[id];

	assert(task->outcome == OUTCOME_NONE);
	task->is_background = true;
	governor->has_news = true;
	record_event(governor, now_ns, id, "set", "no target: it runs on what others leave");
}

void governor_pause(struct governor *governor, uint32_t id, uint64_t now_ns, bool is_paused)
{
	struct task *task = &governor->tasks[id];

	if (!task_is_running(task) || task->phase == PHASE_STOPPING || task->is_paused == is_paused)
		return;
	task->is_paused = is_paused;
	governor->has_news = true;
	record_event(governor, now_ns, id, is_paused ? "paused" : "resumed", "%s",
		is_paused ? "paused: it gets no CPU time until it is resumed"
			  : "resumed: it has its part in the plan again");
}

void governor_cancel_task(
	struct governor *governor, uint32_t id, uint64_t now_ns, enum stop_step step)
{
	if (governor->tasks[id].phase != PHASE_VACANT)
		task_cancel(governor, id, now_ns, step);
}
