/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

#include <limits.h>
#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

#include "fault.h"
#include "marks.h"

/* The only file that includes libcgroup is cgroup.c: discovery, attaching, removal everywhere, and
 * creation on v1. Its errors are translated there into errno and a sentence; none of its types get
 * out. The per-slot values do not pass here: enforcers hold descriptors and pwrite(2). To be called
 * from one thread only. */

/* Where this process may put its groups in the hierarchy of one controller. A group is named by its
 * path below the mount point, without a slash at either end; "" is the root. */
struct cgroup_base {
	char mount[PATH_MAX]; /* mount point, without a slash at the end */
	char own[PATH_MAX];   /* the calling process's own group; "" where it is the root, and where
	                         it cannot be seen below this mount point (a container) */
	bool is_unified;      /* cgroup v2 */
	bool is_own_above;    /* our own group is not below the root of our cgroup namespace */
};

/* Finds the hierarchy that has `controller` ("cpu", "cpuacct", "freezer"). 0; -ENOENT where it is
 * mounted nowhere; another negative errno. */
int cgroup_find(const char *controller, struct cgroup_base *ret_base, struct fault *fault);

/* Creates a group in a v1 hierarchy. The group above it must exist. -EEXIST where the group is
 * there already; -EACCES, -EPERM, -EROFS where that is not allowed; -EOPNOTSUPP on v2. */
int cgroup_create(const char *controller, const char *group, struct fault *fault);

/* Moves a process that has one thread. -ESRCH where it has ended, -ENOENT where the group is
 * gone. */
int cgroup_attach(const char *controller, const char *group, pid_t pid, struct fault *fault);

/* Removes an empty group. 0 also where it is gone already; -EBUSY where something is in it. Never
 * moves a process out of a group: that would free it of its quota. */
int cgroup_remove(const char *controller, const char *group, struct fault *fault);

/* The names of runs that have groups on this machine, in any hierarchy; each once. *ret_runs is one
 * allocation, given back by free(); NULL where there is none. */
int cgroup_runs(char (**ret_runs)[RUN_NAME_MAX], size_t *ret_n_runs, struct fault *fault);

/* 1 where a living governor holds one of the groups of that run (group_hold()), in whatever
 * namespace it is; 0 where none does, or a negative errno. */
int cgroup_run_is_held(const char *run, struct fault *fault);

/* Removes the groups of a run in which nothing is left, in all hierarchies; ends nothing. Returns how many
 * it had, or a negative errno. */
int cgroup_run_sweep(const char *run, struct fault *fault);

/* Thaws and kills all that is in the groups of a run, waits for it to be gone (at most a second),
 * and removes the groups in all hierarchies. Returns how many groups there were, or a negative
 * errno. */
int cgroup_run_end(const char *run, struct fault *fault);

/* What is frozen in the groups of a run runs on, under the limits that are set there. */
int cgroup_run_thaw(const char *run, struct fault *fault);
