/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "enforcer.h"
#include "fault.h"

/* The seam that says how much CPU time a task has really used. */

struct meter_ops;

struct meter {
	const struct meter_ops *ops;
};

struct meter_ops {
	const char *name; /* "cgroup", "proc", "sim" */

	/* Works with the places that this enforcer makes? 0, or a negative errno and a sentence. */
	int (*probe)(const struct enforcer *enforcer, struct fault *fault);
	int (*open)(struct meter **ret_meter, uint32_t n_tasks_max, struct fault *fault);

	/* From here on the task is counted. `place` stays valid until task_remove(). */
	int (*task_add)(
		struct meter *meter, uint32_t task, const struct place *place, struct fault *fault);
	void (*task_remove)(struct meter *meter, uint32_t task);

	/* CPU time used by everything in the task's place since task_add(), user and system, ended
	 * processes included as far as the meter can see them. Never goes back. Allocates nothing.
	 * 0 or a negative errno; ret_cpu_ns is untouched on failure. */
	int (*read)(struct meter *meter, uint32_t task, uint64_t *ret_cpu_ns);

	struct meter *(*close)(struct meter *meter);
};

extern const struct meter_ops meter_cgroup;
extern const struct meter_ops meter_proc;

/* In order of preference, ended by NULL; without `sim`. */
extern const struct meter_ops *const meters[];
