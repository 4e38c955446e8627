/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "enforcer.h"
#include "slot.h"

/* The guard: shares in, grants out. The one place where a share becomes an integer, and the one
 * that sees to condition (1): the sum of the grants of a slot is at most its budget. Pure: no I/O,
 * no clock. */

struct guard;

/* What the guard is told of one task for the next slot. */
struct guard_input {
	uint32_t task;      /* id, 0 .. n_tasks_max - 1 */
	double share_cpus;  /* what it is to have; >= 0, finite */
	double usable_cpus; /* the most it can use; what is owed to it is paid up to here */
	enum why why;
	uint64_t cpu_ns;  /* used so far, as observed at the start of this slot */
	bool has_wait;    /* is it known how long it has waited for a CPU? */
	uint64_t wait_ns; /* so far, all threads together; no more than that is owed to it */
};

/* `limits` says what the enforcer can express (copied). `is_dry`: nothing is enforced, so what is used
 * is held against nobody. 0 or -ENOMEM. */
int guard_new(struct guard **ret_guard, uint32_t n_tasks_max, const struct enforcer_limits *limits,
	bool is_dry);
struct guard *guard_free(struct guard *guard);

/* Grants for one slot.
 *
 * elapsed_ns  time since the previous call (0 at the first): the previous shares were in force for
 *             that long, and what was used beyond or below them is settled now.
 * slot_ns     length of the coming slot, > 0.
 * budget_ns   what may be granted in it, in all.
 * inputs      the tasks that run; a task that is missing here is forgotten.
 * ret_grants  caller's array of n_inputs, in the same order.
 *
 * Returns the sum of the grants in CPU time, <= budget_ns. Shares that together exceed the budget
 * are scaled down. Allocates nothing. */
uint64_t guard_clip(struct guard *guard, uint64_t elapsed_ns, uint64_t slot_ns, uint64_t budget_ns,
	const struct guard_input inputs[], size_t n_inputs, struct grant ret_grants[]);

/* A task has ended, having used cpu_ns: what of that is new counts in the excess of the next clip. */
void guard_task_ended(struct guard *guard, uint32_t task, uint64_t cpu_ns);

/* CPU time used beyond the budget that has not been taken back yet, as of the last guard_clip(). */
uint64_t guard_excess_ns(const struct guard *guard);

/* A share as integer CPU time of a span, rounded down. A share is a quotient of decimal numbers: a
 * value within 1/1000 ns below an integer is that integer. */
uint64_t share_to_ns(double share_cpus, uint64_t span_ns);
