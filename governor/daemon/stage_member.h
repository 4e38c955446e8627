/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

#include "enforcer.h"
#include "member.h"
#include "meter.h"
#include "stage.h"

/* The stage of the daemon: processes that others have started and that wait at their gate. A task is put
 * into its place, and its progress comes through its page and nothing else. */

struct stage_member {
	struct stage stage;
	struct enforcer *enforcer;
	struct meter *meter;
	struct member **seats; /* by id; NULL: vacant */
	bool *is_held;         /* by id: vacant, but its place could not be removed yet */
	uint64_t epoch_ns;     /* CLOCK_MONOTONIC at loop time 0 */
	struct fault fault;    /* of the start that failed last */
	int error;             /* likewise: a negative errno */
	/* Called when a task is made to stop, or made to by a stronger means; or NULL. */
	void (*stopping)(struct stage_member *self, uint32_t id, enum stop_step step);
};

/* The member in that seat runs already, under a governor that has ended: it is found in its place, or put into
 * one where it has none any more. 0, or a negative errno with a sentence in self->fault. */
int stage_member_adopt(struct stage_member *self, uint32_t id);

/* The seam's pointers are set, the rest is the caller's. */
void stage_member_init(struct stage_member *self);
