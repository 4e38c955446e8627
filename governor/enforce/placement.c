// SPDX-License-Identifier: GPL-2.0-or-later
#include "placement.h"

#include <assert.h>
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>

/* Two passes over the grants: first all that fall (a freeze is the lowest fall), then what rises.
 * Between any two writes the sum of what is in force is therefore at most the larger of the old
 * and the new sum, and where a fall cannot be written nothing rises at all.
 *
 * A zero grant is a freeze and leaves the quota as it is; a thaw back to the same quota then needs
 * no write to it, and a write to a quota is what gives CPU time away (it refills the group).
 * Where a quota must change together with a thaw, it is written while the group is still frozen.
 *
 * A value that is not what we wrote was written by somebody else. It is counted once, taken for
 * what is in force, and left alone until the grant of that task changes: two governors that fight
 * over one knob refill it at every blow.
 *
 * A group that vanishes in the middle belongs to a task that has just ended; that is counted, and
 * no error. After a failed write nobody knows what is in force, so it is read back. */

static bool is_gone(int error)
{
	return error == -ENODEV || error == -ENOENT;
}

static int mark_gone(struct placement *placement, struct enforced *enforced)
{
	placement->is_gone = true;
	enforced->n_gone++;
	return 0;
}

static bool same_quota(const struct quota *a, const struct quota *b)
{
	return a->quota_us == b->quota_us && a->period_us == b->period_us;
}

/* Reads back one task's values and adopts what a stranger wrote. */
static void look_at(struct placements *placements, uint32_t task, struct enforced *enforced,
	struct fault *fault)
{
	struct placement *placement = &placements->tasks[task];
	char limit[64] = "no limit";
	struct quota quota;
	bool is_frozen;
	int r = placements->ops->read(placements->enforcer, task, &quota, &is_frozen);

	if (is_gone(r)) {
		(void)mark_gone(placement, enforced);
		return;
	}
	if (r < 0) /* a value that cannot be read is written all the same when it changes */
		return;
	if (same_quota(&quota, &placement->quota) && is_frozen == placement->is_frozen)
		return;
	if (quota.quota_us != QUOTA_UNLIMITED)
		(void)snprintf(limit, sizeof(limit), "%" PRIu64 " us in %" PRIu32 " us",
			quota.quota_us, quota.period_us);
	if (enforced->n_foreign++ == 0)
		(void)fault_set(fault, -EEXIST,
			"task %u: somebody else set its group to %s, %s; left alone until its "
			"grant changes",
			task, limit, is_frozen ? "frozen" : "not frozen");
	placement->quota = quota;
	placement->is_frozen = is_frozen;
	placement->is_foreign = true;
}

static void look_around(
	struct placements *placements, struct enforced *enforced, struct fault *fault)
{
	placements->is_round_over = placements->n_tasks == 0;
	for (uint32_t i = 0; i < placements->n_tasks; i++) {
		uint32_t task = placements->next_look;

		placements->next_look = (task + 1) % placements->n_tasks;
		if (placements->next_look == 0)
			placements->is_round_over = true;
		if (!placements->tasks[task].is_used || placements->tasks[task].is_gone)
			continue;
		look_at(placements, task, enforced, fault);
		return;
	}
}

static bool is_asked_again(const struct quota *asked, const struct quota *quota)
{
	if (asked->quota_us == 0 || quota->quota_us == 0)
		return asked->quota_us == quota->quota_us;
	return quota_is_near(asked, quota);
}

/* True where what is in force is near enough to what is wanted. */
static bool is_in_force(const struct placement *placement, const struct quota *wanted)
{
	if (placement->is_killed && wanted->quota_us == 0)
		return true;
	if (placement->is_foreign)
		return is_asked_again(&placement->asked, wanted);
	if (wanted->quota_us == 0)
		return placement->is_frozen;
	return !placement->is_frozen && quota_is_near(&placement->quota, wanted);
}

/* What is left alone with a grant: freeze, and the quota as it is. */
static bool is_fall(const struct placement *placement, const struct quota *wanted)
{
	if (wanted->quota_us == 0)
		return true;
	return !placement->is_frozen && quota_compare(wanted, &placement->quota) <= 0;
}

static int write_wanted(struct placements *placements, uint32_t task, const struct quota *wanted,
	struct enforced *enforced, struct fault *fault)
{
	const struct placement_ops *ops = placements->ops;
	struct placement *placement = &placements->tasks[task];
	bool is_frozen = wanted->quota_us == 0;
	int r;

	if (wanted->quota_us > 0 && !quota_is_near(&placement->quota, wanted)) {
		r = ops->write_quota(placements->enforcer, task, &placement->quota, wanted,
			&enforced->n_writes, fault);
		if (r < 0)
			return r;
		placement->quota = *wanted;
	}
	if (is_frozen != placement->is_frozen) {
		r = ops->write_freeze(placements->enforcer, task, is_frozen, fault);
		if (r < 0)
			return r;
		enforced->n_writes++;
		placement->is_frozen = is_frozen;
	}
	placement->asked = *wanted;
	placement->is_foreign = false;
	return 0;
}

/* 0 also for a group that is gone. */
static int put_into_force(struct placements *placements, uint32_t task, const struct quota *wanted,
	struct enforced *enforced, struct fault *fault)
{
	struct placement *placement = &placements->tasks[task];
	int r = write_wanted(placements, task, wanted, enforced, fault);

	if (is_gone(r))
		return mark_gone(placement, enforced);
	if (r < 0) /* keeps what it believed where that cannot be read either */
		(void)placements->ops->read(
			placements->enforcer, task, &placement->quota, &placement->is_frozen);
	return r;
}

static struct quota wanted_of(const struct grant *grant, const struct quota *budget)
{
	const struct quota asked = {.quota_us = grant->quota_us, .period_us = grant->period_us};

	return asked.quota_us == 0 ? asked : quota_cap(&asked, budget);
}

/* One pass over the grants; the first error is kept, and the first sentence with it. */
static int pass(struct placements *placements, const struct quota *budget,
	const struct grant *grants, size_t n_grants, bool is_falling, struct enforced *enforced,
	struct fault *fault)
{
	int first = 0;

	for (size_t i = 0; i < n_grants; i++) {
		struct quota wanted = wanted_of(&grants[i], budget);
		struct placement *placement;
		int r;

		assert(grants[i].task < placements->n_tasks);
		placement = &placements->tasks[grants[i].task];
		if (!placement->is_used || placement->is_gone || is_in_force(placement, &wanted) ||
			is_fall(placement, &wanted) != is_falling)
			continue;
		r = put_into_force(
			placements, grants[i].task, &wanted, enforced, first == 0 ? fault : NULL);
		if (r < 0 && first == 0)
			first = r;
	}
	return first;
}

static uint32_t count_in_force(const struct placements *placements, const struct quota *budget,
	const struct grant *grants, size_t n_grants)
{
	uint32_t n = 0;

	for (size_t i = 0; i < n_grants; i++) {
		const struct placement *placement = &placements->tasks[grants[i].task];
		struct quota wanted = wanted_of(&grants[i], budget);

		assert(grants[i].task < placements->n_tasks);
		if (placement->is_used && !placement->is_gone && is_in_force(placement, &wanted))
			n++;
	}
	return n;
}

int placements_apply(struct placements *placements, const struct quota *budget,
	const struct grant *grants, size_t n_grants, struct enforced *ret_enforced,
	struct fault *fault)
{
	struct enforced enforced = {0};
	int r;

	look_around(placements, &enforced, fault);
	enforced.n_unchanged = count_in_force(placements, budget, grants, n_grants);
	r = pass(placements, budget, grants, n_grants, /* is_falling= */ true, &enforced, fault);
	if (r == 0)
		r = pass(placements, budget, grants, n_grants, /* is_falling= */ false, &enforced,
			fault);
	*ret_enforced = enforced;
	return r;
}

int placements_lower(struct placements *placements, const struct quota *budget, struct fault *fault)
{
	for (uint32_t task = 0; task < placements->n_tasks; task++) {
		struct placement *placement = &placements->tasks[task];
		struct quota capped;
		uint32_t n_writes = 0;
		int r;

		if (!placement->is_used || placement->is_gone ||
			quota_compare(&placement->quota, budget) <= 0)
			continue;
		capped = quota_cap(&placement->quota, budget);
		r = placements->ops->write_quota(
			placements->enforcer, task, &placement->quota, &capped, &n_writes, fault);
		if (is_gone(r))
			continue;
		if (r < 0)
			return r;
		placement->quota = capped;
	}
	return 0;
}
