// SPDX-License-Identifier: GPL-2.0-or-later
#include <math.h>

#include "governor_internal.h"

/* The shares of a slot: the policy's for the alive set, and of what it leaves something for the others.
 *
 * A task outside the alive set can still be running: it yields (its outcome is known, it lives on
 * leftovers) or it is stopping. A stopping task needs CPU time to save its checkpoint, and a frozen
 * one could not even take the signal, so a little of the budget is set aside for stopping tasks
 * before the policy plans with the rest.
 *
 * Around the policy stand two rules that are not its own: the floor, which every alive task has, and the
 * caps of parties, which are the users that share the machine. */

/* What a stopping task gets, and the most that all of them get, and all of a party of its cap. */
#define STOPPING_CPUS 0.05
#define STOPPING_PART 0.2

/* The least that a policy may be told of what a task can use, and what sums may be off by. */
#define TINY_CPUS 1e-9

/* Who is stopping has been woken to save what it has. */
double governor_usable_cpus(const struct governor *governor, uint32_t id)
{
	const struct task *task = &governor->tasks[id];

	return task->phase == PHASE_STOPPING ? governor->setup.bundle->tasks[id].threads
					     : task->demand.usable_cpus;
}

static void fill_view_task(const struct governor *governor, uint32_t id, struct policy_task *view)
{
	const struct bundle_task *planned = &governor->setup.bundle->tasks[id];
	const struct task *task = &governor->tasks[id];

	*view = (struct policy_task){
		.id = id,
		.name = planned->name,
		.begin_ns = planned->begin_ns,
		.deadline_ns = planned->deadline_ns,
		.threads = planned->threads,
		.counted = task->demand.counted_cpus,
		.usable = governor_usable_cpus(governor, id),
		.target = planned->target.value,
		.is_raised = planned->target.is_raised,
		.in_a_row = planned->target.in_a_row,
		.cpu_ns = task->cpu_ns,
		.steps_done = task->facts.steps_done,
		.steps_total = task->facts.steps_total,
		.history = &task->history,
	};
}

void governor_forecast(
	const struct governor *governor, uint32_t task, struct forecast *ret_forecast)
{
	static const struct forecast_unseen unseen = {
		.part = UNSEEN_PART_USUAL,
		.spread = UNSEEN_SPREAD_USUAL,
		.chance = UNSEEN_CHANCE_USUAL,
	};
	struct policy_task view;

	fill_view_task(governor, task, &view);
	forecast_make(&view, &unseen, ret_forecast);
}

/* Puts the tasks for which `is_wanted` into the view, in the order of arrival. */
static void fill_view(struct governor *governor, uint64_t now_ns, double budget_cpus,
	bool (*is_wanted)(const struct task *), struct policy_view *ret_view)
{
	uint32_t n_tasks = 0;

	for (uint32_t i = 0; i < governor->n_seated; i++)
		if (is_wanted(&governor->tasks[governor->order[i]]))
			fill_view_task(
				governor, governor->order[i], &governor->view_tasks[n_tasks++]);
	*ret_view = (struct policy_view){
		.slot = governor->n_slots,
		.now_ns = now_ns,
		.slot_ns = governor->setup.bundle->slot_ns,
		.budget_cpus = budget_cpus,
		.n_bundle = governor->n_tasks,
		.n_tasks = n_tasks,
		.tasks = governor->view_tasks,
	};
}

/* What a task has at least because it is to stop. */
static double least_of(const struct governor *governor, uint32_t id, double least_cpus)
{
	uint32_t party = governor->setup.bundle->tasks[id].party;

	if (governor->tasks[id].phase != PHASE_STOPPING)
		return 0;
	return party < governor->n_caps ? fmin(least_cpus, governor->party_least[party])
					: least_cpus;
}

/* Sets aside what those that stop need, from the budget and from their party's cap. Returns what each
 * has at least, where its party has so much. */
static double reserve_least(struct governor *governor, double budget_cpus, double *ret_left_cpus)
{
	const struct bundle_task *planned = governor->setup.bundle->tasks;
	double *n_of_party = governor->party_cpus, least_cpus = 0;
	size_t n_stopping = 0;

	*ret_left_cpus = budget_cpus;
	for (uint32_t party = 0; party < governor->n_caps; party++)
		n_of_party[party] = governor->party_taken[party] = 0;
	for (uint32_t id = 0; id < governor->n_tasks; id++) {
		if (governor->tasks[id].phase != PHASE_STOPPING)
			continue;
		n_stopping++;
		if (planned[id].party < governor->n_caps)
			n_of_party[planned[id].party]++;
	}
	if (n_stopping == 0)
		return 0;
	least_cpus = fmin(STOPPING_CPUS, STOPPING_PART * budget_cpus / (double)n_stopping);
	for (uint32_t party = 0; party < governor->n_caps; party++)
		governor->party_least[party] = STOPPING_PART * governor->caps[party] /
			fmax(n_of_party[party], 1);
	for (uint32_t id = 0; id < governor->n_tasks; id++) {
		double least = least_of(governor, id, least_cpus);

		*ret_left_cpus -= least;
		if (planned[id].party < governor->n_caps)
			governor->party_taken[planned[id].party] += least;
	}
	return least_cpus;
}

/* The view's tasks with their shares, behind the n_inputs that are there. What is left of
 * *left_cpus stands there afterwards. Returns how many inputs there are now. */
static size_t add_inputs(struct governor *governor, const struct policy_view *view, size_t n_inputs,
	double least_cpus, double *left_cpus)
{
	for (uint32_t i = 0; i < view->n_tasks; i++) {
		uint32_t id = view->tasks[i].id;
		double share_cpus = fmax(governor->shares[i], least_of(governor, id, least_cpus));

		*left_cpus = fmax(*left_cpus - governor->shares[i], 0);
		governor->inputs[n_inputs++] = (struct guard_input){
			.task = id,
			.share_cpus = share_cpus,
			/* A policy that reserves may give more. */
			.usable_cpus = fmax(view->tasks[i].usable, share_cpus),
			.why = governor->whys[i],
			.cpu_ns = governor->tasks[id].cpu_ns,
			.has_wait = governor->tasks[id].has_wait,
			.wait_ns = governor->tasks[id].wait_ns,
		};
	}
	return n_inputs;
}

/* A policy's shares, each at least the floor: it plans with what is left when all have that. */
static void plan_above_floor(struct governor *governor, const struct policy *policy,
	struct policy_state *state, const struct policy_view *view)
{
	struct policy_view above = *view;
	double floor_cpus = governor->setup.floor_cpus;

	if (!(floor_cpus > 0) || view->n_tasks == 0) {
		policy->plan(state, view, governor->shares, governor->whys);
		return;
	}
	floor_cpus = fmin(floor_cpus, view->budget_cpus / view->n_tasks);
	above.budget_cpus = fmax(view->budget_cpus - floor_cpus * view->n_tasks, 0);
	policy->plan(state, &above, governor->shares, governor->whys);
	for (uint32_t i = 0; i < view->n_tasks; i++)
		governor->shares[i] = fmin(governor->shares[i] + floor_cpus, view->tasks[i].usable);
}

/* What this plan gives each party. */
static void sum_parties(struct governor *governor, const struct policy_view *view)
{
	const struct bundle_task *planned = governor->setup.bundle->tasks;

	for (uint32_t party = 0; party < governor->n_caps; party++)
		governor->party_cpus[party] = 0;
	for (uint32_t i = 0; i < view->n_tasks; i++)
		if (planned[view->tasks[i].id].party < governor->n_caps)
			governor->party_cpus[planned[view->tasks[i].id].party] +=
				governor->shares[i];
}

/* Where a party has more than its cap, none of its tasks can use more than its part of that. True where
 * there was one. */
static bool cut_to_caps(struct governor *governor, const struct policy_view *view)
{
	bool is_cut = false;

	sum_parties(governor, view);
	for (uint32_t i = 0; i < view->n_tasks; i++) {
		uint32_t party = governor->setup.bundle->tasks[view->tasks[i].id].party;
		double cap_cpus;

		if (party >= governor->n_caps)
			continue;
		cap_cpus = fmax(governor->caps[party] - governor->party_taken[party], 0);
		if (governor->party_cpus[party] <= cap_cpus + TINY_CPUS)
			continue;
		governor->view_tasks[i].usable = fmax(
			governor->shares[i] * cap_cpus / governor->party_cpus[party], TINY_CPUS);
		is_cut = true;
	}
	return is_cut;
}

/* What a party may not have goes to the others, by another plan, which may bring one more of them to its
 * cap: as often, at most, as there are parties. */
static void plan_within_caps(struct governor *governor, const struct policy *policy,
	struct policy_state *state, const struct policy_view *view)
{
	uint32_t n_rounds = 0;

	plan_above_floor(governor, policy, state, view);
	while (n_rounds++ <= governor->n_caps && cut_to_caps(governor, view))
		plan_above_floor(governor, policy, state, view);
	sum_parties(governor, view);
	for (uint32_t party = 0; party < governor->n_caps; party++)
		governor->party_taken[party] += governor->party_cpus[party];
}

size_t governor_plan(struct governor *governor, uint64_t now_ns, double budget_cpus)
{
	double left_cpus, least_cpus = reserve_least(governor, budget_cpus, &left_cpus);
	struct policy_view view;
	size_t n_inputs;

	fill_view(governor, now_ns, left_cpus, task_is_planned, &view);
	plan_within_caps(governor, governor->setup.policy, governor->policy_state, &view);
	n_inputs = add_inputs(governor, &view, 0, 0, &left_cpus);

	fill_view(governor, now_ns, left_cpus, task_has_leftovers, &view);
	plan_within_caps(governor, governor->leftovers, governor->leftovers_state, &view);
	n_inputs = add_inputs(governor, &view, n_inputs, least_cpus, &left_cpus);

	fill_view(governor, now_ns, 0, task_is_paused, &view);
	for (uint32_t i = 0; i < view.n_tasks; i++) {
		governor->shares[i] = 0;
		governor->whys[i] = WHY_PAUSED;
	}
	return add_inputs(governor, &view, n_inputs, 0, &left_cpus);
}
