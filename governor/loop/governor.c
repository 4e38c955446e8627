// SPDX-License-Identifier: GPL-2.0-or-later
#include "governor.h"

#include <assert.h>
#include <errno.h>
#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "governor_internal.h"
#include "guard.h"
#include "nsec.h"

/* One slot, one direction:
 *
 *	observe   CPU time from the meter, reports from the stage; who has learned, who is too late;
 *	          what each can use, by what it did with what it had (demand.c)
 *	plan      the policy's shares for the alive set; what is left goes to those that yield
 *	guard     shares become grants, their sum at most the budget
 *	enforce   the grants, and the budget around them
 *	record    to the trace and the views
 *
 * This file is that order and nothing else. What a task goes through is in task.c. Everything a slot
 * needs is allocated by governor_new(): the arrays below have room for every task of the bundle. */

/* Excess worth an event: more than this part of a slot's budget, and more than a fork costs. */
#define EXCESS_PART 0.1
#define EXCESS_LEAST_NS (5 * NSEC_PER_MSEC)

int compare_arrival(const void *a, const void *b, void *context)
{
	const struct bundle *bundle = context;
	const struct bundle_task *x = &bundle->tasks[*(const uint32_t *)a];
	const struct bundle_task *y = &bundle->tasks[*(const uint32_t *)b];

	if (x->begin_ns != y->begin_ns)
		return x->begin_ns < y->begin_ns ? -1 : 1;
	return strcmp(x->name, y->name);
}

static int allocate(struct governor *governor, uint32_t n_tasks)
{
	/* A bundle may be empty; calloc() of nothing may be NULL. */
	size_t n = n_tasks > 0 ? n_tasks : 1;

	governor->tasks = calloc(n, sizeof(*governor->tasks));
	governor->order = calloc(n, sizeof(*governor->order));
	governor->view_tasks = calloc(n, sizeof(*governor->view_tasks));
	governor->shares = calloc(n, sizeof(*governor->shares));
	governor->party_cpus = calloc(n, sizeof(*governor->party_cpus));
	governor->party_taken = calloc(n, sizeof(*governor->party_taken));
	governor->party_least = calloc(n, sizeof(*governor->party_least));
	governor->whys = calloc(n, sizeof(*governor->whys));
	governor->inputs = calloc(n, sizeof(*governor->inputs));
	governor->grants = calloc(n, sizeof(*governor->grants));
	governor->rows = calloc(n, sizeof(*governor->rows));
	if (!governor->tasks || !governor->order || !governor->view_tasks || !governor->shares ||
		!governor->party_cpus || !governor->party_taken || !governor->party_least ||
		!governor->whys || !governor->inputs || !governor->grants || !governor->rows)
		return -ENOMEM;
	return 0;
}

static int new_policy(const struct bundle *bundle, const struct policy *policy,
	const double parameters[], const double needs_s[], struct policy_state **ret_state)
{
	const struct policy_setup setup = {
		.n_bundle = (uint32_t)bundle->n_tasks,
		.schedule = bundle->schedule,
		.n_schedule = bundle->n_schedule,
		.needs_s = needs_s,
		.parameters = parameters,
	};

	return policy->new (ret_state, &setup);
}

int governor_new(
	struct governor **ret_governor, const struct governor_setup *setup, struct fault *fault)
{
	const struct bundle *bundle = setup->bundle;
	uint32_t n_tasks = (uint32_t)bundle->n_tasks;
	_cleanup_(cleanup_governor_free) struct governor *governor = calloc(1, sizeof(*governor));

	if (!governor)
		return fault_errno(fault, -ENOMEM, "loop");
	governor->setup = *setup;
	governor->setup.parameters = NULL;
	governor->setup.needs_s = NULL;
	governor->n_tasks = n_tasks;
	governor->leftovers = policy_find("equal");
	if (allocate(governor, n_tasks) < 0 ||
		guard_new(&governor->guard, n_tasks, &setup->enforcer->limits,
			setup->enforcer->guarantee == GUARANTEE_NONE) < 0 ||
		new_policy(bundle, setup->policy, setup->parameters, setup->needs_s,
			&governor->policy_state) < 0 ||
		new_policy(bundle, governor->leftovers, /* parameters= */ NULL,
			/* needs_s= */ NULL, &governor->leftovers_state) < 0)
		return fault_errno(fault, -ENOMEM, "loop of %u tasks", n_tasks);

	for (uint32_t i = 0; i < n_tasks; i++) {
		governor->order[i] = i;
		task_init(&governor->tasks[i]);
		if (setup->is_open)
			governor->tasks[i].phase = PHASE_VACANT;
	}
	governor->n_seated = setup->is_open ? 0 : n_tasks;
	qsort_r(governor->order, governor->n_seated, sizeof(governor->order[0]), compare_arrival,
		(void *)bundle);
	*ret_governor = TAKE_PTR(governor);
	return 0;
}

int governor_set_policy(struct governor *governor, const struct policy *policy,
	const double parameters[], struct fault *fault)
{
	struct policy_state *state;

	if (new_policy(governor->setup.bundle, policy, parameters, /* needs_s= */ NULL, &state) < 0)
		return fault_errno(fault, -ENOMEM, "policy %s", policy->name);
	governor->setup.policy->free(governor->policy_state);
	governor->setup.policy = policy;
	governor->policy_state = state;
	governor->has_news = true;
	return 0;
}

void governor_set_caps(struct governor *governor, const double caps[], uint32_t n_caps)
{
	assert(n_caps <= governor->n_tasks);
	governor->caps = caps;
	governor->n_caps = n_caps;
	governor->has_news = true;
}

void governor_set_floor(struct governor *governor, double floor_cpus)
{
	governor->setup.floor_cpus = floor_cpus;
	governor->has_news = true;
}

struct governor *governor_free(struct governor *governor)
{
	if (!governor)
		return NULL;
	governor->setup.policy->free(governor->policy_state);
	governor->leftovers->free(governor->leftovers_state);
	guard_free(governor->guard);
	free(governor->tasks);
	free(governor->order);
	free(governor->view_tasks);
	free(governor->shares);
	free(governor->party_cpus);
	free(governor->party_taken);
	free(governor->party_least);
	free(governor->whys);
	free(governor->inputs);
	free(governor->grants);
	free(governor->rows);
	free(governor);
	return NULL;
}

/* Observe. */

/* At the first, and then whenever it has doubled. */
static void tell_missed(struct governor *governor, uint64_t now_ns)
{
	const struct meter *meter = governor->setup.meter;
	uint64_t n_missed = meter->ops->n_missed ? meter->ops->n_missed(meter) : 0;

	if (n_missed == 0 || n_missed / 2 < governor->n_missed_told)
		return;
	governor->n_missed_told = n_missed;
	record_event(governor, now_ns, RECORD_NO_TASK, "meter",
		"the meter %s could not count %" PRIu64
		" threads to their end so far: a little more CPU time was used than it says",
		meter->ops->name, n_missed);
}

static void observe(struct governor *governor, uint64_t now_ns)
{
	governor->setup.meter->ops->refresh(governor->setup.meter);
	tell_missed(governor, now_ns);
	for (uint32_t task = 0; task < governor->n_tasks; task++)
		if (task_is_running(&governor->tasks[task]))
			task_observe(governor, task, now_ns);
	governor_deadlines(governor, now_ns);
	totals_settle(governor);
	for (uint32_t task = 0; task < governor->n_tasks; task++)
		if (governor->tasks[task].phase == PHASE_STOPPING)
			task_stop_further(governor, task, now_ns);
}

void governor_admit(struct governor *governor, uint64_t now_ns)
{
	while (governor->n_admitted < governor->n_seated) {
		uint32_t task = governor->order[governor->n_admitted];

		if (governor->setup.bundle->tasks[task].begin_ns > now_ns)
			break;
		governor->n_admitted++;
		if (governor->tasks[task].phase == PHASE_WAITING)
			task_start(governor, task, now_ns);
	}
}

/* What the grants in force have given until now. */
static void count_given(struct governor *governor, uint64_t now_ns)
{
	uint64_t elapsed_ns = nsec_sub(now_ns, governor->decided_ns);

	for (uint32_t id = 0; id < governor->n_tasks; id++) {
		struct task *task = &governor->tasks[id];

		if (!task_is_running(task) || task->granted_ns == 0)
			continue;
		task->given_ns += elapsed_ns;
		task->given_cpu_ns += nsec_scale(
			task->granted_ns, elapsed_ns, governor->setup.bundle->slot_ns);
	}
}

/* What each task can use, by the slot that has passed. In simulated time a share stays with its task
 * (coregov.bundle(5)), and what a meter could not read says nothing. */
static void look_at_demand(struct governor *governor, uint64_t now_ns)
{
	uint64_t elapsed_ns = nsec_sub(now_ns, governor->demand_ns);

	governor->demand_ns = now_ns;
	for (uint32_t id = 0; id < governor->n_tasks; id++) {
		struct task *task = &governor->tasks[id];
		struct demand_sample sample = {
			.elapsed_ns = elapsed_ns,
			.given_ns = task->given_ns,
			.granted_ns = task->given_cpu_ns,
			.used_ns = task->cpu_ns - task->demand_cpu_ns,
			.has_wait = task->has_wait,
			.wait_ns = task->wait_ns - task->demand_wait_ns,
			.n_runnable = task->n_runnable,
		};

		if (!task_is_running(task) || task->n_unread > 0 ||
			governor->setup.stage->ops->is_simulated)
			continue;
		demand_observe(&task->demand, &sample);
		task->given_ns = task->given_cpu_ns = 0;
		task->demand_cpu_ns = task->cpu_ns;
		task->demand_wait_ns = task->wait_ns;
	}
}

/* Enforce. */

static int change_budget(struct governor *governor, double budget_cpus, struct fault *fault)
{
	struct enforcer *enforcer = governor->setup.enforcer;
	int r = enforcer->ops->budget_set(enforcer, budget_cpus, fault);

	if (r == 0)
		governor->budget_cpus = budget_cpus;
	return r;
}

static int enforce(struct governor *governor, uint64_t now_ns, size_t n_grants, double budget_cpus,
	struct enforced *ret_enforced, struct fault *fault)
{
	struct enforcer *enforcer = governor->setup.enforcer;
	bool has_risen = budget_cpus > governor->budget_cpus;
	/* A budget of 0 cannot be written; with every task frozen it need not be. */
	bool has_changed = budget_cpus > 0 && fabs(budget_cpus - governor->budget_cpus) > 1e-9;
	struct fault reason = FAULT_INIT;
	int r = 0, lowered = 0;

	/* Parent before child when raising, child before parent when lowering. */
	if (has_changed && has_risen)
		r = change_budget(governor, budget_cpus, &reason);
	if (r == 0)
		r = enforcer->ops->apply(
			enforcer, governor->grants, n_grants, ret_enforced, &reason);
	governor->n_foreign += ret_enforced->n_foreign;
	/* Also where a grant could not be lowered: the group around them holds it back then. */
	if (has_changed && !has_risen)
		lowered = change_budget(governor, budget_cpus, r < 0 ? /* fault= */ NULL : &reason);
	if (r == 0)
		r = lowered;
	if (r < 0) {
		record_event(governor, now_ns, RECORD_NO_TASK, "enforce", "%s", reason.text);
		return fault_set(fault, r, "%s", reason.text);
	}
	if (ret_enforced->n_foreign > 0)
		record_event(governor, now_ns, RECORD_NO_TASK, "foreign", "%s", reason.text);
	return 0;
}

static void tell_tasks(struct governor *governor, size_t n_inputs)
{
	struct stage *stage = governor->setup.stage;

	for (size_t i = 0; i < n_inputs; i++) {
		struct task *task = &governor->tasks[governor->inputs[i].task];
		double share_cpus = governor->inputs[i].share_cpus;
		struct stage_news news = {
			.share_cpus = share_cpus,
			.advised_threads = share_cpus > 1 ? (uint32_t)ceil(share_cpus - 1e-9) : 1,
		};

		if (fabs(task->share_cpus - share_cpus) > 1e-9)
			governor->n_grant_changes++;
		task->share_cpus = share_cpus;
		task->why = governor->inputs[i].why;
		task->granted_ns = governor->grants[i].cpu_ns;
		stage->ops->tell(stage, governor->inputs[i].task, &news);
	}
}

/* Record. */

static void watch_excess(struct governor *governor, uint64_t now_ns, uint64_t budget_ns)
{
	uint64_t excess_ns = guard_excess_ns(governor->guard);

	if (governor->setup.enforcer->guarantee == GUARANTEE_NONE)
		return;
	if (excess_ns > governor->excess_seen_ns)
		governor->excess_ns += excess_ns - governor->excess_seen_ns;
	governor->excess_seen_ns = excess_ns;
	if ((double)excess_ns <= EXCESS_PART * (double)budget_ns || excess_ns <= EXCESS_LEAST_NS)
		return;
	governor->n_excess_slots++;
	record_event(governor, now_ns, RECORD_NO_TASK, "excess",
		"the tasks have used %.3f CPU-seconds beyond the budget; taken back from the next "
		"slots",
		nsec_to_seconds(excess_ns));
}

static void record(struct governor *governor, struct slot_record *record, size_t n_inputs)
{
	record->n_tasks = n_inputs;
	record->tasks = governor->rows;
	for (size_t i = 0; i < n_inputs; i++) {
		uint32_t id = governor->inputs[i].task;
		struct task *task = &governor->tasks[id];

		governor->rows[i] = (struct slot_task){
			.seen =
				{
					.task = id,
					.phase = task->phase,
					.cpu_ns = task->cpu_ns,
					.used_ns = task->cpu_ns - task->slot_cpu_ns,
					.has_wait = task->has_wait,
					.wait_ns = task->wait_ns - task->slot_wait_ns,
					.n_runnable = task->n_runnable,
					.usable_cpus = governor_usable_cpus(governor, id),
					.n_new_reports = task->n_new_reports,
					.value = task->value,
					.best = task->best,
					.steps_done = task->facts.steps_done,
					.steps_total = task->facts.steps_total,
				},
			.share_cpus = governor->inputs[i].share_cpus,
			.why = governor->inputs[i].why,
			.grant = governor->grants[i],
		};
		task->slot_cpu_ns = task->cpu_ns;
		task->slot_wait_ns = task->wait_ns;
		task->n_new_reports = 0;
	}
	for (size_t i = 0; i < governor->setup.n_recorders; i++)
		governor->setup.recorders[i]->ops->slot(governor->setup.recorders[i], record);
}

/* Plan, guard, enforce: new grants for the running tasks, in force until the next ones. */
static int decide(struct governor *governor, uint64_t now_ns, double budget_cpus,
	struct slot_record *slot, size_t *ret_n_inputs, struct fault *fault)
{
	size_t n_inputs = governor_plan(governor, now_ns, budget_cpus);
	int r;

	slot->granted_ns = guard_clip(governor->guard, nsec_sub(now_ns, governor->decided_ns),
		slot->slot_ns, slot->budget_ns, governor->inputs, n_inputs, governor->grants);
	slot->excess_ns = guard_excess_ns(governor->guard);
	governor->decided_ns = now_ns;
	governor->has_news = false;
	r = enforce(governor, now_ns, n_inputs, budget_cpus, &slot->enforced, fault);
	tell_tasks(governor, n_inputs);
	*ret_n_inputs = n_inputs;
	return r;
}

int governor_slot(struct governor *governor, uint64_t now_ns, uint64_t late_ns, struct fault *fault)
{
	const struct bundle *bundle = governor->setup.bundle;
	uint64_t slot_ns = bundle->slot_ns;
	double budget_cpus = timeline_least(&bundle->budget, now_ns, now_ns + slot_ns);
	struct slot_record slot = {
		.now_ns = now_ns,
		.late_ns = late_ns,
		.slot_ns = slot_ns,
		.budget_ns = share_to_ns(budget_cpus, slot_ns),
	};
	size_t n_inputs;
	int r;

	totals_miss(governor, now_ns / slot_ns);
	slot.slot = governor->n_slots;
	observe(governor, now_ns);
	slot.used_ns = governor->used_ns - governor->slot_used_ns;
	governor->slot_used_ns = governor->used_ns;
	count_given(governor, now_ns);
	look_at_demand(governor, now_ns);
	governor_admit(governor, now_ns);
	r = decide(governor, now_ns, budget_cpus, &slot, &n_inputs, fault);
	governor->slot_budget_cpus = budget_cpus;

	watch_excess(governor, now_ns, slot.budget_ns);
	record(governor, &slot, n_inputs);
	totals_count(governor, &slot);
	governor->n_slots++;
	return r;
}

int governor_give_on(struct governor *governor, uint64_t now_ns, struct fault *fault)
{
	uint64_t slot_ns = governor->setup.bundle->slot_ns;
	struct slot_record slot = {
		.slot_ns = slot_ns,
		.budget_ns = share_to_ns(governor->slot_budget_cpus, slot_ns),
	};
	size_t n_inputs;
	int r;

	if (!governor->has_news || governor->n_slots == 0)
		return 0;
	observe(governor, now_ns);
	count_given(governor, now_ns);
	/* The slot's own number: nothing new for a schedule. */
	governor->n_slots--;
	r = decide(governor, now_ns, governor->slot_budget_cpus, &slot, &n_inputs, fault);
	governor->n_slots++;
	record_event(governor, now_ns, RECORD_NO_TASK, "given-on",
		"a share came free and was given to the %zu tasks that run: %.3f CPUs granted",
		n_inputs, (double)slot.granted_ns / (double)slot_ns);
	return r;
}

void governor_deadlines(struct governor *governor, uint64_t now_ns)
{
	for (uint32_t task = 0; task < governor->n_tasks; task++)
		if (governor->tasks[task].outcome == OUTCOME_NONE &&
			governor->tasks[task].phase != PHASE_VACANT &&
			governor->setup.bundle->tasks[task].deadline_ns <= now_ns)
			task_too_late(governor, task, now_ns);
}

uint64_t governor_next_deadline(const struct governor *governor, uint64_t now_ns)
{
	uint64_t next_ns = UINT64_MAX;

	for (uint32_t task = 0; task < governor->n_tasks; task++) {
		uint64_t deadline_ns = governor->setup.bundle->tasks[task].deadline_ns;

		if (governor->tasks[task].phase == PHASE_ALIVE && deadline_ns > now_ns &&
			deadline_ns < next_ns)
			next_ns = deadline_ns;
	}
	return next_ns;
}

void governor_cancel(struct governor *governor, uint64_t now_ns, enum stop_step step)
{
	for (uint32_t task = 0; task < governor->n_tasks; task++)
		if (governor->tasks[task].phase != PHASE_VACANT)
			task_cancel(governor, task, now_ns, step);
}

bool governor_is_decided(const struct governor *governor)
{
	return governor->n_decided == governor->n_seated;
}

bool governor_is_done(const struct governor *governor)
{
	return governor->n_ended == governor->n_seated;
}
