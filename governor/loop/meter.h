/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "enforcer.h"
#include "fault.h"

/* The seam that says how much CPU time a task has really used, and how much it would have used. */

/* What a meter knows of everything in a task's place, ended processes included as far as it can see
 * them. The counters begin at 0 with task_add(). */
struct meter_reading {
	uint64_t cpu_ns;  /* CPU time, user and system; never goes back */
	bool has_wait;    /* does the meter know the following? Else they are 0 */
	uint64_t wait_ns; /* time its threads were runnable without a CPU, summed over the threads:
	                      * behind others, or held back by the quota; never goes back. A meter
	                      * that cannot see the latter has no wait. */
	uint64_t n_switches; /* how often one of its threads was given a CPU */
	uint32_t n_runnable; /* threads that run or wait for a CPU at this moment */
};

struct meter_ops;

struct meter {
	const struct meter_ops *ops;
};

struct meter_ops {
	const char *name; /* "bpf", "cgroup", "proc", "sim" */
	bool is_from_birth; /* counts what processes have used since they began, not since task_add() */

	/* Works with the places that this enforcer makes? 0, or a negative errno and a sentence. */
	int (*probe)(const struct enforcer *enforcer, struct fault *fault);
	int (*open)(struct meter **ret_meter, uint32_t n_tasks_max, struct fault *fault);

	/* From here on the task is counted. `place` stays valid until task_remove(). */
	int (*task_add)(
		struct meter *meter, uint32_t task, const struct place *place, struct fault *fault);
	void (*task_remove)(struct meter *meter, uint32_t task);

	/* Called once before the tasks of a slot are read: what can be had for all of them in one
	 * go is got here. Allocates nothing. */
	void (*refresh)(struct meter *meter);
	/* The task's counters, as of the last refresh() or later. Allocates nothing. 0 or a negative
	 * errno, -ENOENT for a task that was not added; ret_reading is untouched on failure. */
	int (*read)(struct meter *meter, uint32_t task, struct meter_reading *ret_reading);

	/* Threads and moves between places that it could not count to the end since it was opened: what
	 * they used lacks in a task's counters. NULL where the meter cannot know. */
	uint64_t (*n_missed)(const struct meter *meter);

	struct meter *(*close)(struct meter *meter);
};

extern const struct meter_ops meter_bpf;
extern const struct meter_ops meter_cgroup;
extern const struct meter_ops meter_proc;

/* In order of preference, ended by NULL; without `sim`. */
extern const struct meter_ops *const meters[];
