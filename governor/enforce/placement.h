/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "fault.h"
#include "quota.h"
#include "slot.h"

/* What is in force in each task's group, and how new grants are put into force. Shared by the
 * enforcers that write quotas; how a value is written and read is theirs (placement_ops). */

struct placement {
	bool is_used;
	struct quota quota; /* in force: written by us, or read back */
	bool is_frozen;     /* in force */
	struct quota asked; /* the last grant that was taken; its quota is 0 for a freeze */
	bool is_foreign;    /* somebody rewrote it: left alone until another grant is asked */
	bool is_gone;       /* the group vanished under our hands */
	bool is_killed;     /* got SIGKILL: never frozen again, or it could not die */
};

/* The enforcer's side. All return 0 or a negative errno with a sentence; -ENODEV and -ENOENT say
 * that the group is gone. */
struct placement_ops {
	int (*write_quota)(void *enforcer, uint32_t task, const struct quota *from,
		const struct quota *to, uint32_t *n_writes, struct fault *fault);
	int (*write_freeze)(void *enforcer, uint32_t task, bool is_frozen, struct fault *fault);
	int (*read)(void *enforcer, uint32_t task, struct quota *ret_quota, bool *ret_is_frozen);
};

struct placements {
	const struct placement_ops *ops;
	void *enforcer;
	struct placement *tasks; /* n_tasks of them, owned by the enforcer */
	uint32_t n_tasks;
	uint32_t next_look; /* whose values are read back next */
	bool is_round_over; /* the last call came to the end of the tasks: time to look at the
			       parent, which is the enforcer's */
};

/* Puts grants into force below a parent that has `budget`, by the contract of enforcer_ops.apply.
 * One task's values are read back in each call, so each is seen once in as many slots as there are
 * tasks: a read costs half a write, and the guard against strangers must not double the price. */
int placements_apply(struct placements *placements, const struct quota *budget,
	const struct grant *grants, size_t n_grants, struct enforced *ret_enforced,
	struct fault *fault);

/* Lowers what is above a budget that is about to fall: the quota of a task that is frozen, or that
 * had no grant. */
int placements_lower(
	struct placements *placements, const struct quota *budget, struct fault *fault);
