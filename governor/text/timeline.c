// SPDX-License-Identifier: GPL-2.0-or-later
#include "bundle_internal.h"

#include <assert.h>
#include <errno.h>
#include <math.h>
#include <stdlib.h>

/* Capacity and budget over time: step functions, and what they mean in CPUs.
 *
 * A timeline that is read has a step at 0 (the key in [bundle], or a line `0s = ...`) and no two at
 * one moment. A budget in per cent follows the capacity, so resolving it joins the steps of both:
 * at every moment where either changes the budget gets a step in CPUs.
 *
 *   capacity   4cpu ────────┐ 2cpu ──────────        budget    50% ──────────┐ 25% ────
 *   budget     2cpu ────────┐ 1cpu ──┐ 0.5cpu        (resolved)
 */

/* A budget may be above the capacity by this part of it: 0.1 x 3 is not 0.3 in binary. */
#define BUDGET_TOLERANCE 1e-9

void timeline_done(struct timeline *timeline)
{
	free(timeline->steps);
	*timeline = (struct timeline){0};
}

static int append(
	struct timeline *timeline, uint64_t from_ns, const struct share *share, unsigned line)
{
	size_t n = timeline->n_steps;

	/* Powers of two: grows when n is one. */
	if ((n & (n - 1)) == 0) {
		struct timeline_step *steps = reallocarray(
			timeline->steps, n == 0 ? 1 : n * 2, sizeof(*steps));

		if (!steps)
			return -ENOMEM;
		timeline->steps = steps;
	}
	timeline->steps[n] = (struct timeline_step){
		.from_ns = from_ns, .share = *share, .line = line};
	timeline->n_steps = n + 1;
	return 0;
}

int timeline_set_start(struct timeline *timeline, const struct share *share, unsigned line)
{
	if (timeline->n_steps == 0 || timeline->steps[0].from_ns != 0)
		return append(timeline, 0, share, line);
	timeline->steps[0].share = *share;
	timeline->steps[0].line = line;
	return 0;
}

static int compare_steps(const void *a, const void *b)
{
	const struct timeline_step *left = a, *right = b;

	if (left->from_ns != right->from_ns)
		return left->from_ns < right->from_ns ? -1 : 1;
	return left->line < right->line ? -1 : left->line > right->line;
}

static int read_step(
	struct timeline *timeline, const struct ini_key *key, bool *has_start, struct fault *fault)
{
	struct share share;
	uint64_t from_ns;
	int r;

	r = parse_span(key->key, &from_ns, fault);
	if (r < 0)
		return fault_wrap(fault, r, "expected a line such as '60s = 0.5cpu'");
	r = parse_share(key->value, &share, fault);
	if (r < 0)
		return fault_wrap(fault, r, "%s", key->key);
	if (from_ns > 0)
		return append(timeline, from_ns, &share, key->line);
	if (*has_start)
		return fault_set(fault, -EINVAL,
			"%s: a line above says already what holds from 0s on; keep one of them",
			key->key);
	*has_start = true;
	return timeline_set_start(timeline, &share, key->line);
}

int timeline_read(struct timeline *timeline, const struct ini *ini,
	const struct ini_section *section, struct fault *fault)
{
	bool has_start = false;
	int r;

	for (size_t i = 0; i < section->n_keys; i++) {
		const struct ini_key *key = &section->keys[i];

		r = read_step(timeline, key, &has_start, fault);
		if (r == -ENOMEM)
			return fault_errno(fault, r, "%s:%u", ini->path, key->line);
		if (r < 0)
			return fault_wrap(fault, -EBADMSG, "%s:%u", ini->path, key->line);
	}
	if (timeline->n_steps > 0)
		qsort(timeline->steps, timeline->n_steps, sizeof(*timeline->steps), compare_steps);
	for (size_t i = 1; i < timeline->n_steps; i++)
		if (timeline->steps[i - 1].from_ns == timeline->steps[i].from_ns)
			return fault_set(fault, -EBADMSG,
				"%s:%u: the same moment as in line %u; keep one of them", ini->path,
				timeline->steps[i].line, timeline->steps[i - 1].line);
	return 0;
}

int timeline_check_capacity(const struct timeline *timeline, const char *path, struct fault *fault)
{
	for (size_t i = 0; i < timeline->n_steps; i++) {
		const struct timeline_step *step = &timeline->steps[i];

		if (step->share.is_percent)
			return fault_set(fault, -EBADMSG,
				"%s:%u: the capacity cannot be a share of itself; expected "
				"CPUs such as 2cpu",
				path, step->line);
		if (step->share.number <= 0)
			return fault_set(fault, -EBADMSG, "%s:%u: the capacity must be above 0cpu",
				path, step->line);
	}
	if (timeline->n_steps > 0 && timeline->steps[0].from_ns > 0)
		return fault_set(fault, -EBADMSG,
			"%s:%u: no capacity before this moment; put 'capacity' into [bundle]", path,
			timeline->steps[0].line);
	return 0;
}

/* The step in force at that moment. */
static size_t step_at(const struct timeline *timeline, uint64_t at_ns)
{
	size_t low = 0, high = timeline->n_steps;

	while (high - low > 1) {
		size_t middle = low + (high - low) / 2;

		if (timeline->steps[middle].from_ns <= at_ns)
			low = middle;
		else
			high = middle;
	}
	return low;
}

double timeline_least(const struct timeline *timeline, uint64_t from_ns, uint64_t to_ns)
{
	size_t i = step_at(timeline, from_ns);
	double least = timeline->steps[i].share.number;

	for (i++; i < timeline->n_steps && timeline->steps[i].from_ns < to_ns; i++)
		if (timeline->steps[i].share.number < least)
			least = timeline->steps[i].share.number;
	return least;
}

double timeline_most(const struct timeline *timeline)
{
	double most = 0;

	for (size_t i = 0; i < timeline->n_steps; i++)
		if (timeline->steps[i].share.number > most)
			most = timeline->steps[i].share.number;
	return most;
}

/* The step after `i`, or UINT64_MAX where there is none. */
static uint64_t next_ns(const struct timeline *timeline, size_t i)
{
	return i + 1 < timeline->n_steps ? timeline->steps[i + 1].from_ns : UINT64_MAX;
}

/* One moment of the budget in CPUs, checked. machine_cpus: INFINITY in a simulation, where the
 * capacity bounds nothing either. */
static int resolve_step(const struct bundle *bundle, const struct timeline_step *budget,
	double capacity_cpus, double machine_cpus, double *ret_cpus, struct fault *fault)
{
	double cpus = budget->share.is_percent ? budget->share.number / 100.0 * capacity_cpus
					       : budget->share.number;

	if (cpus > SHARE_NUMBER_MAX)
		return fault_set(fault, -EBADMSG, "%s:%u: a budget of %g CPUs; the most is %g",
			bundle->path, budget->line, cpus, SHARE_NUMBER_MAX);
	if (cpus > machine_cpus * (1 + BUDGET_TOLERANCE))
		return fault_set(fault, -EBADMSG,
			"%s:%u: the budget of %g CPUs is above what can be used of this machine, "
			"%g; lower it, or use a larger machine",
			bundle->path, budget->line, cpus, machine_cpus);
	if (!isinf(machine_cpus) && cpus > capacity_cpus * (1 + BUDGET_TOLERANCE))
		return fault_set(fault, -EBADMSG,
			"%s:%u: the budget of %g CPUs is above the capacity of %g; lower it, or "
			"raise the capacity",
			bundle->path, budget->line, cpus, capacity_cpus);
	*ret_cpus = cpus;
	return 0;
}

/* Both timelines side by side, from step to step. */
static int resolve_budget(const struct bundle *bundle, double machine_cpus, struct timeline *joined,
	struct fault *fault)
{
	const struct timeline *budget = &bundle->budget, *capacity = &bundle->capacity;
	struct share share = {0};
	uint64_t now_ns = 0, next_budget_ns, next_capacity_ns;
	size_t i = 0, j = 0;
	int r;

	while (now_ns != UINT64_MAX) {
		const struct timeline_step *step = &budget->steps[i];

		r = resolve_step(bundle, step, capacity->steps[j].share.number, machine_cpus,
			&share.number, fault);
		if (r < 0)
			return r;
		if (step->share.is_percent || step->from_ns == now_ns) {
			r = append(joined, now_ns, &share, step->line);
			if (r < 0)
				return fault_errno(fault, r, "%s", bundle->path);
		}
		next_budget_ns = next_ns(budget, i);
		next_capacity_ns = next_ns(capacity, j);
		now_ns = next_budget_ns < next_capacity_ns ? next_budget_ns : next_capacity_ns;
		i += now_ns != UINT64_MAX && next_budget_ns == now_ns;
		j += now_ns != UINT64_MAX && next_capacity_ns == now_ns;
	}
	return 0;
}

/* The capacity that the bundle does not name. */
static int default_capacity(
	struct bundle *bundle, enum bundle_use use, double machine_cpus, struct fault *fault)
{
	const struct share machine = {.number = machine_cpus};
	int r = 0;

	if (use == BUNDLE_REAL)
		r = timeline_set_start(&bundle->capacity, &machine, 0);
	for (size_t i = 0; use == BUNDLE_SIMULATED && r == 0 && i < bundle->budget.n_steps; i++) {
		const struct timeline_step *step = &bundle->budget.steps[i];

		if (step->share.is_percent)
			return fault_set(fault, -EBADMSG,
				"%s:%u: %g%% of what? A simulation of a budget in %% needs "
				"'capacity' in [bundle]",
				bundle->path, step->line, step->share.number);
		r = append(&bundle->capacity, step->from_ns, &step->share, step->line);
	}
	return r < 0 ? fault_errno(fault, r, "%s", bundle->path) : 0;
}

int bundle_resolve(
	struct bundle *bundle, enum bundle_use use, double machine_cpus, struct fault *fault)
{
	struct timeline joined = {0};
	int r = 0;

	assert(use == BUNDLE_SIMULATED || machine_cpus > 0);
	for (size_t i = 0; use == BUNDLE_SIMULATED && i < bundle->n_tasks; i++)
		if (!bundle->tasks[i].curve_path)
			return fault_set(fault, -EBADMSG,
				"%s:%u: [task %s] has no 'curve' and cannot be simulated; add "
				"a recorded curve, or run the bundle for real",
				bundle->path, bundle->tasks[i].line, bundle->tasks[i].name);
	if (!bundle->has_capacity)
		r = default_capacity(bundle, use, machine_cpus, fault);
	if (r == 0)
		r = resolve_budget(bundle, use == BUNDLE_REAL ? machine_cpus : (double)INFINITY,
			&joined, fault);
	if (r < 0) {
		timeline_done(&joined);
		return r;
	}
	timeline_done(&bundle->budget);
	bundle->budget = joined;
	return 0;
}

/* One value, for good. */
static int timeline_set_only(struct timeline *timeline, double cpus)
{
	const struct share share = {.number = cpus};

	timeline_done(timeline);
	return timeline_set_start(timeline, &share, /* line= */ 0);
}

int bundle_leave_to(struct bundle *bundle, double capacity_cpus, double budget_cpus,
	uint64_t slot_ns, struct fault *fault)
{
	int r = timeline_set_only(&bundle->capacity, capacity_cpus);

	if (r == 0)
		r = timeline_set_only(&bundle->budget, budget_cpus);
	if (r < 0)
		return fault_errno(fault, r, "%s", bundle->path);
	bundle->slot_ns = slot_ns;
	return 0;
}
