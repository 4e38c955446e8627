// SPDX-License-Identifier: GPL-2.0-or-later
#include <assert.h>
#include <errno.h>
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "governor_internal.h"
#include "nsec.h"

/* The life of a task:
 *
 *	waiting -> alive -> (outcome) -> yielded or stopping -> ended
 *
 * An outcome is given once. `learned` counts from the moment of the report that met the target; a
 * report made before the deadline counts even if it is read after it. The deadline gives
 * `missed-deadline`, an end without the target `missed-target` or `failed`.
 *
 * Reports carry the moment they were made, the meter is read once a slot: the CPU time at a report
 * is interpolated between the two readings around it. A simulation knows it exactly.
 *
 * Stopping goes by steps, each with the grace time of the bundle: "please stop" in the page (only
 * where the task has claimed one, nobody else would read it), SIGTERM, SIGKILL. */

/* Failed readings of the meter in a row that are worth an event. One may be a task that has just
 * ended. */
#define UNREAD_MAX 3

void task_init(struct task *task)
{
	task->value = NAN;
	task->best = NAN;
}

bool task_is_alive(const struct task *task)
{
	return task->phase == PHASE_ALIVE;
}

bool task_is_leftover(const struct task *task)
{
	return task->phase == PHASE_YIELDED || task->phase == PHASE_STOPPING;
}

bool task_is_running(const struct task *task)
{
	return task_is_alive(task) || task_is_leftover(task);
}

bool task_is_planned(const struct task *task)
{
	return task_is_alive(task) && !task->is_background && !task->is_paused;
}

bool task_has_leftovers(const struct task *task)
{
	return (task_is_leftover(task) || (task_is_alive(task) && task->is_background)) &&
		!task->is_paused;
}

bool task_is_paused(const struct task *task)
{
	return task_is_running(task) && task->is_paused;
}

void record_event(struct governor *governor, uint64_t now_ns, uint32_t task, const char *kind,
	const char *format, ...)
{
	char text[FAULT_TEXT_MAX];
	va_list args;

	va_start(args, format);
	(void)vsnprintf(text, sizeof(text), format, args);
	va_end(args);
	for (size_t i = 0; i < governor->setup.n_recorders; i++)
		governor->setup.recorders[i]->ops->event(
			governor->setup.recorders[i], now_ns, task, kind, text);
}

static void end(struct governor *governor, uint32_t id)
{
	if (governor->tasks[id].share_cpus > 0)
		governor->has_news = true;
	guard_task_ended(governor->guard, id, governor->tasks[id].cpu_ns);
	governor->tasks[id].phase = PHASE_ENDED;
	governor->n_ended++;
}

static void stop(struct governor *governor, uint32_t id, uint64_t now_ns, enum stop_step step)
{
	struct task *task = &governor->tasks[id];
	struct stage *stage = governor->setup.stage;

	if (step == STOP_ASK && !task->facts.speaks_page)
		step = STOP_TERM;
	task->phase = PHASE_STOPPING;
	task->is_paused = false; /* it needs CPU time to stop */
	task->stop_step = step;
	task->stop_since_ns = now_ns;
	if (!stage->ops->stop(stage, id, step))
		return;
	stage->ops->clear(stage, id);
	end(governor, id);
}

/* What follows an outcome of a task that still runs. */
static void stop_or_yield(
	struct governor *governor, uint32_t id, uint64_t now_ns, enum at_end at_end)
{
	struct task *task = &governor->tasks[id];
	bool is_curve = governor->setup.stage->ops->is_simulated ||
		!governor->setup.bundle->tasks[id].argv;

	if (at_end == AT_END_DEFAULT)
		at_end = is_curve || task->facts.speaks_page ? AT_END_STOP : AT_END_YIELD;
	if (at_end == AT_END_STOP)
		stop(governor, id, now_ns, STOP_ASK);
	else
		task->phase = PHASE_YIELDED;
}

static void give_outcome(struct governor *governor, uint32_t id, enum outcome outcome,
	uint64_t finish_ns, uint64_t cpu_ns)
{
	struct task *task = &governor->tasks[id];

	assert(task->outcome == OUTCOME_NONE);
	task->outcome = outcome;
	task->finish_ns = finish_ns;
	task->outcome_cpu_ns = cpu_ns;
	governor->n_decided++;
	if (task->share_cpus > 0)
		governor->has_news = true;
	governor->has_unsettled = true;
}

/* CPU time used at a moment between the reading before (cpu, at) and the one now. */
static uint64_t interpolate(
	uint64_t cpu0_ns, uint64_t at0_ns, uint64_t cpu1_ns, uint64_t at1_ns, uint64_t stamp_ns)
{
	if (stamp_ns <= at0_ns || at1_ns <= at0_ns)
		return cpu0_ns;
	if (stamp_ns >= at1_ns)
		return cpu1_ns;
	return cpu0_ns + nsec_scale(cpu1_ns - cpu0_ns, stamp_ns - at0_ns, at1_ns - at0_ns);
}

static bool is_better(const struct target *target, double value, double best)
{
	if (!isfinite(value))
		return false;
	return isnan(best) || (target->is_raised ? value > best : value < best);
}

static void take_report(
	struct governor *governor, uint32_t id, const struct report *report, uint64_t now_ns)
{
	const struct bundle_task *planned = &governor->setup.bundle->tasks[id];
	struct task *task = &governor->tasks[id];

	task->n_reports++;
	task->n_new_reports++;
	task->value = report->value;
	if (is_better(&planned->target, report->value, task->best))
		task->best = report->value;
	history_add(&task->history, report->cpu_ns, report->value);
	for (size_t i = 0; i < governor->setup.n_recorders; i++)
		governor->setup.recorders[i]->ops->report(governor->setup.recorders[i], id, report);

	if (!target_is_met(&planned->target, report->value)) {
		task->n_in_a_row = 0;
		return;
	}
	if (task->n_in_a_row < planned->target.in_a_row)
		task->n_in_a_row++;
	if (task->n_in_a_row < planned->target.in_a_row || task->outcome != OUTCOME_NONE ||
		report->stamp_ns > planned->deadline_ns)
		return;
	give_outcome(governor, id, OUTCOME_LEARNED, report->stamp_ns, report->cpu_ns);
	record_event(governor, now_ns, id, "learned", "%s %.6g after %.3f CPU-seconds at %.3f s",
		planned->target.metric, report->value, nsec_to_seconds(report->cpu_ns),
		nsec_to_seconds(report->stamp_ns));
}

void task_observe(struct governor *governor, uint32_t id, uint64_t now_ns)
{
	struct task *task = &governor->tasks[id];
	struct stage *stage = governor->setup.stage;
	struct meter *meter = governor->setup.meter;
	struct report reports[REPORTS_BATCH];
	struct meter_reading reading;
	uint64_t cpu0_ns = task->cpu_ns, at0_ns = task->read_ns;
	enum outcome before = task->outcome;
	size_t n_reports;
	int r;

	/* A meter that fails for once keeps the last reading. */
	r = meter->ops->read(meter, id, &reading);
	if (r == 0) {
		reading.cpu_ns += task->past_cpu_ns;
		reading.wait_ns += task->past_wait_ns;
	}
	if (r == 0 && reading.cpu_ns > task->cpu_ns)
		task->cpu_ns = reading.cpu_ns;
	if (r == 0 && reading.has_wait && reading.wait_ns > task->wait_ns)
		task->wait_ns = reading.wait_ns;
	task->has_wait = r == 0 && reading.has_wait;
	task->n_runnable = task->has_wait ? reading.n_runnable : 0;
	/* One whose place is gone has used all that it will. */
	task->n_unread = r < 0 && r != -ENOENT ? task->n_unread + 1 : 0;
	if (task->n_unread == UNREAD_MAX)
		record_event(governor, now_ns, id, "meter",
			"its CPU time cannot be read, the last reading stands: %s", strerror(-r));
	if (task->final_cpu_ns > task->cpu_ns)
		task->cpu_ns = task->final_cpu_ns;
	task->read_ns = now_ns;
	governor->used_ns += task->cpu_ns - cpu0_ns;

	for (uint32_t batch = 0; batch < stage->ops->max_batches; batch++) {
		n_reports = stage->ops->reports(stage, id, now_ns, reports, REPORTS_BATCH);
		for (size_t i = 0; i < n_reports; i++) {
			if (!reports[i].has_cpu)
				reports[i].cpu_ns = interpolate(
					cpu0_ns, at0_ns, task->cpu_ns, now_ns, reports[i].stamp_ns);
			take_report(governor, id, &reports[i], now_ns);
		}
		if (n_reports < REPORTS_BATCH)
			break;
	}
	stage->ops->facts(stage, id, &task->facts);
	if (before == OUTCOME_NONE && task->outcome == OUTCOME_LEARNED)
		stop_or_yield(governor, id, now_ns, governor->setup.bundle->tasks[id].on_target);
}

void task_start(struct governor *governor, uint32_t id, uint64_t now_ns)
{
	struct task *task = &governor->tasks[id];
	struct stage *stage = governor->setup.stage;
	struct fault fault = FAULT_INIT;

	if (stage->ops->start(stage, id, now_ns, &fault) < 0) {
		give_outcome(governor, id, OUTCOME_FAILED, now_ns, 0);
		record_event(governor, now_ns, id, "failed", "%s", fault.text);
		end(governor, id);
		return;
	}
	task->phase = PHASE_ALIVE;
	task->is_background = governor->setup.bundle->tasks[id].is_background;
	task->was_started = true;
	task->read_ns = now_ns;
	demand_init(&task->demand, governor->setup.bundle->tasks[id].threads,
		governor->setup.bundle->tasks[id].finds_threads);
	record_event(governor, now_ns, id, "start", "begun");
	/* What it has to say before it has run: a curve's row at 0 CPU-seconds. */
	task_observe(governor, id, now_ns);
}

void task_too_late(struct governor *governor, uint32_t id, uint64_t now_ns)
{
	const struct bundle_task *planned = &governor->setup.bundle->tasks[id];
	struct task *task = &governor->tasks[id];

	if (task_is_running(task)) {
		governor->setup.meter->ops->refresh(governor->setup.meter);
		task_observe(governor, id, now_ns);
	}
	if (task->outcome != OUTCOME_NONE)
		return;
	give_outcome(governor, id, OUTCOME_MISSED_DEADLINE, planned->deadline_ns, task->cpu_ns);
	record_event(governor, now_ns, id, "missed-deadline",
		"deadline %.3f s passed at %s %.6g, target %.6g",
		nsec_to_seconds(planned->deadline_ns), planned->target.metric, task->value,
		planned->target.value);
	if (task_is_running(task))
		stop_or_yield(governor, id, now_ns, planned->on_deadline);
	else if (task->phase == PHASE_WAITING)
		end(governor, id);
}

void task_stop_further(struct governor *governor, uint32_t id, uint64_t now_ns)
{
	const struct task *task = &governor->tasks[id];
	uint64_t grace_ns = governor->setup.bundle->tasks[id].grace_ns;

	if (nsec_sub(now_ns, task->stop_since_ns) < grace_ns)
		return;
	stop(governor, id, now_ns, task->stop_step == STOP_ASK ? STOP_TERM : STOP_KILL);
}

void task_cancel(struct governor *governor, uint32_t id, uint64_t now_ns, enum stop_step step)
{
	struct task *task = &governor->tasks[id];

	if (task->outcome == OUTCOME_NONE) {
		give_outcome(governor, id, OUTCOME_CANCELLED, now_ns, task->cpu_ns);
		record_event(governor, now_ns, id, "cancelled", "cancelled");
	}
	if (task->phase == PHASE_WAITING)
		end(governor, id);
	else if (task_is_running(task) && (task->phase != PHASE_STOPPING || step > task->stop_step))
		stop(governor, id, now_ns, step);
}

/* What an end without an outcome means. */
static enum outcome outcome_of_end(
	const struct bundle_task *planned, uint64_t now_ns, const struct task_end *how)
{
	if (how->reason)
		return OUTCOME_FAILED;
	if (now_ns > planned->deadline_ns)
		return OUTCOME_MISSED_DEADLINE;
	return how->exit_status == 0 ? OUTCOME_MISSED_TARGET : OUTCOME_FAILED;
}

void governor_task_ended(
	struct governor *governor, uint32_t id, uint64_t now_ns, const struct task_end *how)
{
	const struct bundle_task *planned = &governor->setup.bundle->tasks[id];
	struct task *task = &governor->tasks[id];
	struct stage *stage = governor->setup.stage;
	const char *kind = "end";

	if (!task_is_running(task))
		return;
	task->final_cpu_ns = how->cpu_ns;
	governor->setup.meter->ops->refresh(governor->setup.meter);
	task_observe(governor, id, now_ns);
	if (how->reason)
		task->was_started = false;
	if (task->outcome == OUTCOME_NONE) {
		give_outcome(
			governor, id, outcome_of_end(planned, now_ns, how), now_ns, task->cpu_ns);
		kind = outcome_to_string(task->outcome);
	} else if (task->outcome != OUTCOME_LEARNED) {
		task->finish_ns = now_ns;
	}
	if (how->reason)
		record_event(governor, now_ns, id, kind, "%s", how->reason);
	else if (how->is_untold)
		record_event(
			governor, now_ns, id, kind, "ended, and nobody said with which status");
	else
		record_event(governor, now_ns, id, kind, "ended with status %d", how->exit_status);
	stage->ops->clear(stage, id);
	end(governor, id);
}

void governor_task_status(
	const struct governor *governor, uint32_t id, struct task_status *ret_status)
{
	const struct task *task = &governor->tasks[id];
	struct stage *stage = governor->setup.stage;

	*ret_status = (struct task_status){
		.phase = task->phase,
		.is_paused = task->is_paused,
		.outcome = task->outcome,
		.was_started = task->was_started,
		.finish_ns = task->finish_ns,
		.cpu_ns = task->outcome != OUTCOME_NONE ? task->outcome_cpu_ns : task->cpu_ns,
		.value = task->value,
		.n_reports = task->n_reports,
		.n_not_finite = task->history.n_not_finite,
		.share_cpus = task_is_running(task) ? task->share_cpus : 0,
		.counted_cpus = task->demand.counted_cpus,
		.why = task->why,
		.granted_ns = task_is_running(task) ? task->granted_ns : 0,
		.feed = stage->ops->feed_name(stage, id),
	};
}
