/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

#include <limits.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "fault.h"

/* A cgroup v2 group of our own, from the manager that owns the tree: systemd's system manager for
 * root, the user's own manager otherwise. */

/* True where systemd runs this machine: then its groups are its own. */
bool unit_bus_is_booted(void);

/* Was the unit that this process runs in made with Delegate=? 1, 0, or a negative errno where nobody
 * could be asked. */
int unit_bus_is_delegated(void);

/* Can the manager be reached? 0 and the group below which it makes its own, without a slash at either
 * end ("" for the root of the tree), or a negative errno with a sentence. */
int unit_bus_probe(char ret_group[static PATH_MAX], struct fault *fault);

/* The version of the systemd that runs this machine, "252.39-1~deb12u1". 0, or a negative errno where
 * it cannot be asked. */
int unit_bus_version(char ret_version[], size_t size);

/* Makes the transient scope "RUN.scope" with Delegate=cpu out of the given processes, and waits
 * until they are in it, at most five seconds. It is in the slice that this process is in. The scope
 * ends by itself with its last process. */
int unit_bus_make_scope(const char *run, const pid_t pids[], size_t n_pids, struct fault *fault);

/* The slice in which each task of a daemon has a scope of its own, and whose CPUQuota= is the budget of all:
 * it outlives the daemon. */
#define UNIT_SLICE "coregov.slice"

/* Sets the quota of UNIT_SLICE, until the machine is started again, whether it is active or not. Both in
 * microseconds. systemd answers before it is in force. At most five seconds. */
int unit_bus_set_quota(uint64_t quota_us, uint32_t period_us, struct fault *fault);

/* Starts UNIT_SLICE, with that quota; keeps_quota: where it has one, that stands. Its group, without a slash at
 * either end. At most five seconds for each of both. */
int unit_bus_open_slice(uint64_t quota_us, uint32_t period_us, bool keeps_quota,
	char ret_group[static PATH_MAX], struct fault *fault);
