// SPDX-License-Identifier: GPL-2.0-or-later
#include <assert.h>
#include <inttypes.h>
#include <math.h>
#include <string.h>

#include "governor_internal.h"
#include "nsec.h"

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

void governor_past(const struct governor *governor, uint32_t id, struct task_past *ret_past)
{
	const struct task *task = &governor->tasks[id];

	assert(task_is_running(task));
	*ret_past = (struct task_past){
		.phase = task->phase,
		.outcome = task->outcome,
		.is_paused = task->is_paused,
		.is_background = task->is_background,
		.begin_ns = governor->setup.bundle->tasks[id].begin_ns,
		.finish_ns = task->finish_ns,
		.cpu_ns = task->cpu_ns,
		.read_ns = task->read_ns,
		.outcome_cpu_ns = task->outcome_cpu_ns,
		.wait_ns = task->wait_ns,
		.history = task->history,
		.n_in_a_row = task->n_in_a_row,
		.n_reports = task->n_reports,
		.value = task->value,
		.best = task->best,
		.stop_step = task->stop_step,
		.stop_since_ns = task->stop_since_ns,
	};
}

/* What it has used and reported while nobody looked is not of the coming slot. */
static void catch_up(struct governor *governor, uint32_t id, uint64_t now_ns)
{
	struct task *task = &governor->tasks[id];
	uint64_t used_ns = governor->used_ns;

	governor->setup.meter->ops->refresh(governor->setup.meter);
	task_observe(governor, id, now_ns);
	governor->slot_used_ns += governor->used_ns - used_ns;
	task->slot_cpu_ns = task->demand_cpu_ns = task->cpu_ns;
	task->slot_wait_ns = task->demand_wait_ns = task->wait_ns;
}

void governor_seat_again(struct governor *governor, uint32_t id, uint64_t now_ns,
	const struct task_past *past, uint64_t used_ns)
{
	bool is_from_birth = governor->setup.meter->ops->is_from_birth;
	struct task *task = &governor->tasks[id];

	assert(governor->setup.is_open && id < governor->n_tasks && task->phase == PHASE_VACANT);
	governor_admit(governor, now_ns);
	forget(governor, id);
	*task = (struct task){
		.phase = past->phase,
		.outcome = past->outcome,
		.was_started = true,
		.is_paused = past->is_paused,
		.is_background = past->is_background,
		.finish_ns = past->finish_ns,
		.past_cpu_ns = is_from_birth ? 0 : used_ns,
		.past_wait_ns = past->wait_ns,
		.cpu_ns = past->cpu_ns,
		.wait_ns = past->wait_ns,
		.read_ns = past->read_ns < now_ns ? past->read_ns : now_ns,
		.outcome_cpu_ns = past->outcome_cpu_ns,
		.history = past->history,
		.n_in_a_row = past->n_in_a_row,
		.n_reports = past->n_reports,
		.value = past->value,
		.best = past->best,
		.stop_step = past->stop_step,
		.stop_since_ns = past->stop_since_ns,
	};
	demand_init(&task->demand, governor->setup.bundle->tasks[id].threads,
		governor->setup.bundle->tasks[id].finds_threads);
	insert(governor, id);
	governor->n_admitted++;
	governor->n_decided += task->outcome != OUTCOME_NONE;
	governor->has_news = true;
	record_event(governor, now_ns, id, "adopted",
		"taken over from the governor before, after %.3f CPU-seconds and %" PRIu64
		" reports",
		nsec_to_seconds(task->cpu_ns), task->n_reports);
	catch_up(governor, id, now_ns);
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
