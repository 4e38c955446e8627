/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

#include <stddef.h>

#include "bundle.h"
#include "fault.h"
#include "governor.h"

/* The simulated machine: all seams of the loop over recorded curves, by the rules of simulated time
 * in coregov.bundle(5). A task is its curve; CPU time is integer nanoseconds; no clock, no
 * randomness: the same input gives the same output. */

struct sim;

/* `bundle` is resolved, every task has a curve; kept by pointer. 0 or -ENOMEM. */
int sim_new(struct sim **ret_sim, const struct bundle *bundle, struct fault *fault);
struct sim *sim_free(struct sim *sim);

/* A governor of that machine by a policy and its parameters (NULL: the usual ones), with recorders (NULL
 * where n_recorders is 0; kept by pointer). Given back by governor_free(), before sim_free(). 0 or -ENOMEM. */
int sim_govern(struct sim *sim, const struct policy *policy, const double parameters[],
	struct recorder *const *recorders, size_t n_recorders, struct governor **ret_governor,
	struct fault *fault);

/* Runs a governor over this machine until every task has ended. 0 or a negative errno. */
int sim_run(struct sim *sim, struct governor *governor, struct fault *fault);
