/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

#include <sys/types.h>

#include "fault.h"
#include "marks.h"

/* What runs leave on the machine, found again by name: groups called after the run, and processes
 * with COREGOV_RUN=<run> in their environment (marks.h). */

/* "coregov-PID-STARTTIME" of the calling process (start time in clock ticks since boot, field 22
 * of /proc/PID/stat, so that a recycled pid is not taken for the old run). */
int run_name_make(char ret_name[static RUN_NAME_MAX], struct fault *fault);
/* The same for the service: "coregovd-PID-STARTTIME". */
int run_name_make_of_service(char ret_name[static RUN_NAME_MAX], struct fault *fault);
/* 1 where the run's governor is alive, 0 where it is dead, -EINVAL where that is no run's name. */
int run_name_is_alive(const char *run);

/* Continues, thaws and kills every process of a run and removes its groups, in all hierarchies.
 * Returns how many groups and processes it had to deal with, or a negative errno. */
int leftover_end_run(const char *run, struct fault *fault);

/* The same for every run whose governor is dead. Of a dead service, whose tasks run on, only what is empty
 * is removed. Called at each start. */
int leftover_clear(struct fault *fault);

/* What stands still in the groups of a service that is dead, and is nobody's any more, runs on under the limits that
 * are set there. Of a service's start only: it has taken over what it could. 0 or a negative errno. */
int leftover_thaw(struct fault *fault);

/* How many dead runs there are that leftover_clear() would clear up after; `ret_names` are theirs, cut
 * at `size` (where some that are cut off may be counted twice). Looks only. Or a negative errno. */
int leftover_find(char ret_names[], size_t size, struct fault *fault);
