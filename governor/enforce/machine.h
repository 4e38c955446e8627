/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

#include <limits.h>

#include "cgroup.h"
#include "fault.h"

/* What this process may use of the machine, in CPUs: the least of CPU affinity, cpuset and the
 * quotas of all enclosing groups (v1 and v2). > 0, or a negative errno. */
int machine_capacity(double *ret_cpus, struct fault *fault);

/* The quota of one group, in CPUs; 0 where it has none. */
double machine_group_cpus(int dir_fd);

/* The least quota on the way from our own group in that hierarchy to its root; `cpus` where none is
 * below that. `ret_path`: the directory of the group that has it, "" for none. */
double machine_least_quota(
	const struct cgroup_base *base, double cpus, char ret_path[static PATH_MAX]);
