/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

#include <stddef.h>
#include <sys/types.h>

#include "fault.h"
#include "leftover.h"

/* The only file that includes libcgroup is cgroup.c: discovery, attaching, removal everywhere, and
 * creation on v1. Its errors are translated there into errno and a sentence; none of its types get
 * out. The per-slot values do not pass here: enforcers hold descriptors and pwrite(2). */

/* The names of runs that have groups on this machine, in any hierarchy; each once. *ret_runs is one
 * allocation, given back by free(). */
int cgroup_runs(char (**ret_runs)[RUN_NAME_MAX], size_t *ret_n_runs, struct fault *fault);

/* Thaws and kills all that is in the groups of a run, waits for it to be gone (at most a second),
 * and removes the groups in all hierarchies. Returns how many groups there were, or a negative
 * errno. */
int cgroup_run_end(const char *run, struct fault *fault);
