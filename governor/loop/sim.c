// SPDX-License-Identifier: GPL-2.0-or-later
#include "sim.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>

#include "cleanup.h"
#include "guard.h"
#include "nsec.h"

/* A machine made of curves.
 *
 * In a slot from t0 to t1 a task with a grant of g ns gains g, cut at its deadline d: the part
 * min(d, t1) - t0 of the slot, rounded down. What it gains it spends evenly, so having used c of
 * its CPU time falls on the moment t0 + (c - used) * span / gain, rounded up. Rows of the curve are
 * reported at the moments they are passed. The task stops using CPU time at
 *
 *	- the row that meets its target, where it is to stop then,
 *	- its last row, after which it exits,
 *	- its deadline, where it is to stop then (else it goes on with the next slot).
 *
 * The share that comes free by that is free from the next slot: nothing else runs in its place. */

static const struct enforcer_ops enforcer_sim;
static const struct meter_ops meter_sim;
static const struct stage_ops stage_sim;

struct sim_task {
	const struct curve *curve;
	uint64_t need_ns;  /* CPU time of the row that meets the target; UINT64_MAX: never */
	uint64_t limit_ns; /* no more than this is used: the need, or the end of the curve */
	uint64_t used_ns;
	uint64_t granted_ns; /* in force, per slot */
	size_t n_told;       /* rows handed to the loop */
	/* The last stretch: from (from_ns, from_used_ns) evenly to (to_ns, used_ns). */
	uint64_t from_ns, to_ns, from_used_ns, gain_ns;
	bool is_running;
	bool has_ended; /* not yet told to the loop */
	uint64_t ended_ns;
};

struct sim {
	struct enforcer enforcer;
	struct meter meter;
	struct stage stage;
	const struct bundle *bundle;
	uint64_t now_ns;
	uint32_t n_tasks;
	struct sim_task tasks[];
};

static struct sim *of_enforcer(struct enforcer *enforcer)
{
	return (struct sim *)((char *)enforcer - offsetof(struct sim, enforcer));
}

static struct sim *of_meter(struct meter *meter)
{
	return (struct sim *)((char *)meter - offsetof(struct sim, meter));
}

static struct sim *of_stage(struct stage *stage)
{
	return (struct sim *)((char *)stage - offsetof(struct sim, stage));
}

int sim_new(struct sim **ret_sim, const struct bundle *bundle, struct fault *fault)
{
	struct sim *sim = calloc(1, sizeof(*sim) + bundle->n_tasks * sizeof(sim->tasks[0]));

	if (!sim)
		return fault_errno(fault, -ENOMEM, "simulation of %zu tasks", bundle->n_tasks);
	sim->enforcer.ops = &enforcer_sim;
	sim->enforcer.guarantee = GUARANTEE_SIM;
	sim->meter.ops = &meter_sim;
	sim->stage.ops = &stage_sim;
	sim->bundle = bundle;
	sim->n_tasks = (uint32_t)bundle->n_tasks;
	for (uint32_t i = 0; i < sim->n_tasks; i++) {
		const struct bundle_task *planned = &bundle->tasks[i];
		struct sim_task *task = &sim->tasks[i];

		task->curve = &planned->curve;
		task->need_ns = curve_need(task->curve, &planned->target);
		task->limit_ns = task->curve->rows[task->curve->n_rows - 1].cpu_ns;
		if (planned->on_target != AT_END_YIELD && task->need_ns < task->limit_ns)
			task->limit_ns = task->need_ns;
	}
	*ret_sim = sim;
	return 0;
}

struct sim *sim_free(struct sim *sim)
{
	free(sim);
	return NULL;
}

int sim_govern(struct sim *sim, const struct policy *policy, const double parameters[],
	struct recorder *const *recorders, size_t n_recorders, struct governor **ret_governor,
	struct fault *fault)
{
	_cleanup_free_ double *needs_s = NULL;
	struct governor_setup setup = {
		.bundle = sim->bundle,
		.policy = policy,
		.parameters = parameters,
		.enforcer = &sim->enforcer,
		.meter = &sim->meter,
		.stage = &sim->stage,
		.recorders = recorders,
		.n_recorders = n_recorders,
	};

	if (policy->needs_future) {
		needs_s = calloc(sim->n_tasks + 1, sizeof(needs_s[0]));
		if (!needs_s)
			return fault_errno(fault, -ENOMEM, "needs of %u tasks", sim->n_tasks);
		for (uint32_t i = 0; i < sim->n_tasks; i++)
			needs_s[i] = sim->tasks[i].need_ns == UINT64_MAX
				? INFINITY
				: nsec_to_seconds(sim->tasks[i].need_ns);
		setup.needs_s = needs_s;
	}
	return governor_new(ret_governor, &setup, fault);
}

/* The moment at which a task had used cpu_ns, in its last stretch. */
static uint64_t moment_of(const struct sim_task *task, uint64_t cpu_ns)
{
	uint64_t more_ns = nsec_sub(cpu_ns, task->from_used_ns);

	if (more_ns == 0 || task->gain_ns == 0)
		return task->from_ns;
	return task->from_ns + nsec_scale_up(more_ns, task->to_ns - task->from_ns, task->gain_ns);
}

static void end_task(struct sim_task *task, uint64_t ended_ns)
{
	task->is_running = false;
	task->has_ended = true;
	task->ended_ns = ended_ns;
}

static void advance_task(struct sim *sim, struct sim_task *task, const struct bundle_task *planned,
	uint64_t from_ns, uint64_t to_ns)
{
	uint64_t end_ns = to_ns;

	if (planned->deadline_ns > from_ns && planned->deadline_ns < to_ns)
		end_ns = planned->deadline_ns;
	task->from_ns = from_ns;
	task->to_ns = end_ns;
	task->from_used_ns = task->used_ns;
	task->gain_ns = nsec_scale(task->granted_ns, end_ns - from_ns, sim->bundle->slot_ns);
	task->used_ns += task->gain_ns;
	if (task->used_ns < task->limit_ns)
		return;
	task->used_ns = task->limit_ns;
	/* At the need it waits to be stopped; at the end of the curve it exits. */
	if (task->limit_ns == task->curve->rows[task->curve->n_rows - 1].cpu_ns)
		end_task(task, moment_of(task, task->limit_ns));
}

static void advance(struct sim *sim, uint64_t from_ns, uint64_t to_ns)
{
	for (uint32_t i = 0; i < sim->n_tasks; i++)
		if (sim->tasks[i].is_running)
			advance_task(sim, &sim->tasks[i], &sim->bundle->tasks[i], from_ns, to_ns);
	sim->now_ns = to_ns;
}

static void tell_ended(struct sim *sim, struct governor *governor)
{
	for (uint32_t i = 0; i < sim->n_tasks; i++) {
		if (!sim->tasks[i].has_ended)
			continue;
		sim->tasks[i].has_ended = false;
		governor_task_ended(governor, i, sim->tasks[i].ended_ns, &(struct task_end){0});
	}
}

int sim_run(struct sim *sim, struct governor *governor, struct fault *fault)
{
	uint64_t slot_ns = sim->bundle->slot_ns;

	while (!governor_is_decided(governor)) {
		uint64_t now_ns = sim->now_ns;
		int r = governor_slot(governor, now_ns, /* late_ns= */ 0, fault);

		if (r < 0)
			return r;
		advance(sim, now_ns, now_ns + slot_ns);
		tell_ended(sim, governor);
	}
	return 0;
}

/* The stage: curves. */

static int stage_sim_start(struct stage *stage, uint32_t id, uint64_t now_ns, struct fault *fault)
{
	struct sim_task *task = &of_stage(stage)->tasks[id];

	(void)fault;
	task->is_running = true;
	task->from_ns = task->to_ns = now_ns;
	if (task->limit_ns == 0 && task->need_ns == UINT64_MAX)
		end_task(task, now_ns);
	return 0;
}

static size_t stage_sim_reports(struct stage *stage, uint32_t id, uint64_t now_ns,
	struct report ret_reports[], size_t n_max)
{
	struct sim_task *task = &of_stage(stage)->tasks[id];
	size_t n = 0;

	(void)now_ns;
	while (n < n_max && task->n_told < task->curve->n_rows &&
		task->curve->rows[task->n_told].cpu_ns <= task->used_ns) {
		const struct curve_row *row = &task->curve->rows[task->n_told++];

		ret_reports[n++] = (struct report){
			.stamp_ns = moment_of(task, row->cpu_ns),
			.step = task->n_told,
			.value = row->loss,
			.has_cpu = true,
			.cpu_ns = row->cpu_ns,
		};
	}
	return n;
}

static void stage_sim_facts(struct stage *stage, uint32_t id, struct progress_facts *ret_facts)
{
	*ret_facts = (struct progress_facts){.n_reports = of_stage(stage)->tasks[id].n_told};
}

static void stage_sim_tell(struct stage *stage, uint32_t id, const struct stage_news *news)
{
	(void)stage;
	(void)id;
	(void)news;
}

static bool stage_sim_stop(struct stage *stage, uint32_t id, enum stop_step step)
{
	struct sim_task *task = &of_stage(stage)->tasks[id];
	bool was_running = task->is_running;

	(void)step;
	task->is_running = false;
	return was_running;
}

static void stage_sim_clear(struct stage *stage, uint32_t id)
{
	of_stage(stage)->tasks[id].granted_ns = 0;
}

static const char *stage_sim_feed_name(struct stage *stage, uint32_t id)
{
	(void)stage;
	(void)id;
	return "sim";
}

static const struct stage_ops stage_sim = {
	.max_batches = UINT32_MAX,
	.is_simulated = true,
	.start = stage_sim_start,
	.reports = stage_sim_reports,
	.facts = stage_sim_facts,
	.tell = stage_sim_tell,
	.stop = stage_sim_stop,
	.clear = stage_sim_clear,
	.feed_name = stage_sim_feed_name,
};

/* The enforcer: a grant is what the next stretch gains. */

static int enforcer_sim_probe(const struct enforcer_setup *setup, struct fault *fault)
{
	(void)setup;
	(void)fault;
	return 0;
}

static int enforcer_sim_open(
	struct enforcer **ret_enforcer, const struct enforcer_setup *setup, struct fault *fault)
{
	(void)ret_enforcer;
	(void)setup;
	return fault_set(fault, -EOPNOTSUPP, "the simulated enforcer belongs to a simulation");
}

static int enforcer_sim_task_add(struct enforcer *enforcer, uint32_t id, const char *name,
	const char *scope, struct fault *fault)
{
	(void)scope;
	(void)enforcer;
	(void)id;
	(void)name;
	(void)fault;
	return 0;
}

static int enforcer_sim_task_attach(
	struct enforcer *enforcer, uint32_t id, pid_t pid, struct fault *fault)
{
	(void)enforcer;
	(void)id;
	(void)pid;
	return fault_set(fault, -EOPNOTSUPP, "a simulation has no processes");
}

static const struct place *enforcer_sim_task_place(struct enforcer *enforcer, uint32_t id)
{
	static const struct place nowhere = {
		.cgroup2_fd = -EBADF, .cpu1_fd = -EBADF, .cpuacct_fd = -EBADF};

	(void)enforcer;
	(void)id;
	return &nowhere;
}

static int enforcer_sim_task_signal(struct enforcer *enforcer, uint32_t id, int signo)
{
	(void)enforcer;
	(void)id;
	(void)signo;
	return 0;
}

static int enforcer_sim_task_is_populated(struct enforcer *enforcer, uint32_t id)
{
	return of_enforcer(enforcer)->tasks[id].is_running;
}

static int enforcer_sim_task_remove(struct enforcer *enforcer, uint32_t id, struct fault *fault)
{
	(void)fault;
	of_enforcer(enforcer)->tasks[id].granted_ns = 0;
	return 0;
}

static int enforcer_sim_budget_set(
	struct enforcer *enforcer, double budget_cpus, struct fault *fault)
{
	(void)enforcer;
	(void)budget_cpus;
	(void)fault;
	return 0;
}

static int enforcer_sim_apply(struct enforcer *enforcer, const struct grant *grants,
	size_t n_grants, struct enforced *ret_enforced, struct fault *fault)
{
	struct sim *sim = of_enforcer(enforcer);
	struct enforced enforced = {0};

	(void)fault;
	for (size_t i = 0; i < n_grants; i++) {
		struct sim_task *task = &sim->tasks[grants[i].task];

		if (task->granted_ns == grants[i].cpu_ns)
			enforced.n_unchanged++;
		else
			enforced.n_writes++;
		task->granted_ns = grants[i].cpu_ns;
	}
	*ret_enforced = enforced;
	return 0;
}

static void enforcer_sim_tick(struct enforcer *enforcer, uint64_t now_ns)
{
	(void)enforcer;
	(void)now_ns;
}

static struct enforcer *enforcer_sim_close(struct enforcer *enforcer)
{
	(void)enforcer; /* part of the simulation, see sim_free() */
	return NULL;
}

static const struct enforcer_ops enforcer_sim = {
	.name = "sim",
	.probe = enforcer_sim_probe,
	.open = enforcer_sim_open,
	.task_add = enforcer_sim_task_add,
	.task_attach = enforcer_sim_task_attach,
	.task_place = enforcer_sim_task_place,
	.task_signal = enforcer_sim_task_signal,
	.task_is_populated = enforcer_sim_task_is_populated,
	.task_remove = enforcer_sim_task_remove,
	.budget_set = enforcer_sim_budget_set,
	.apply = enforcer_sim_apply,
	.tick = enforcer_sim_tick,
	.close = enforcer_sim_close,
};

/* The meter: what has been spent. */

static int meter_sim_probe(const struct enforcer *enforcer, struct fault *fault)
{
	(void)enforcer;
	(void)fault;
	return 0;
}

static int meter_sim_open(struct meter **ret_meter, uint32_t n_tasks_max, struct fault *fault)
{
	(void)ret_meter;
	(void)n_tasks_max;
	return fault_set(fault, -EOPNOTSUPP, "the simulated meter belongs to a simulation");
}

static int meter_sim_task_add(
	struct meter *meter, uint32_t id, const struct place *place, struct fault *fault)
{
	(void)meter;
	(void)id;
	(void)place;
	(void)fault;
	return 0;
}

static void meter_sim_task_remove(struct meter *meter, uint32_t id)
{
	(void)meter;
	(void)id;
}

static void meter_sim_refresh(struct meter *meter)
{
	(void)meter; /* what has been spent is known at any time */
}

static int meter_sim_read(struct meter *meter, uint32_t id, struct meter_reading *ret_reading)
{
	*ret_reading = (struct meter_reading){.cpu_ns = of_meter(meter)->tasks[id].used_ns};
	return 0;
}

static struct meter *meter_sim_close(struct meter *meter)
{
	(void)meter;
	return NULL;
}

static const struct meter_ops meter_sim = {
	.name = "sim",
	.probe = meter_sim_probe,
	.open = meter_sim_open,
	.task_add = meter_sim_task_add,
	.task_remove = meter_sim_task_remove,
	.refresh = meter_sim_refresh,
	.read = meter_sim_read,
	.close = meter_sim_close,
};
