/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

#include <limits.h>
#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

#include "marks.h"
#include "quantity.h"

struct scene;

/* Where a task is that a process belongs to, in the hierarchy with the cpu controller, whoever governs it:
 *
 *	HOME/RUN/3-mlp                                  of a run, or of a coregovd without systemd
 *	HOME/coregov.slice/coregov-mlp-3f.scope/3-mlp   of a coregovd under systemd
 */
struct task_group {
	/* Of the task, below the mount point, without a slash at its end. */
	char path[PATH_MAX];
	size_t budget_length;         /* so much of it is the group with the budget */
	size_t scope_length;          /* and so much its scope; 0: it has none */
	char run[RUN_NAME_MAX];       /* the last part of the group with the budget */
	bool is_of_service;           /* of a coregovd */
	char name[TASK_NAME_MAX + 1]; /* of the task */
};

/* False where the process is gone, or in no such group. */
bool task_group_find(const struct scene *scene, pid_t pid, struct task_group *ret_group);

/* The quota of the first `length` bytes of the path, in CPUs; 0: it has none. 0, or a negative errno where there is no
 * such group. */
int task_group_cpus(
	const struct scene *scene, const struct task_group *group, size_t length, double *ret_cpus);
