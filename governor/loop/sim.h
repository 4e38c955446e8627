/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

#include <stdint.h>

#include "bundle.h"
#include "enforcer.h"
#include "fault.h"
#include "governor.h"
#include "meter.h"
#include "stage.h"

/* The simulated machine: all seams of the loop over recorded curves, by the rules of simulated time
 * in coregov.bundle(5). A task is its curve; CPU time is integer nanoseconds; no clock, no
 * randomness: the same input gives the same output. */

struct sim;

/* `bundle` is resolved, every task has a curve; kept by pointer. 0 or -ENOMEM. */
int sim_new(struct sim **ret_sim, const struct bundle *bundle, struct fault *fault);
struct sim *sim_free(struct sim *sim);

struct enforcer *sim_enforcer(struct sim *sim);
struct meter *sim_meter(struct sim *sim);
struct stage *sim_stage(struct sim *sim);

/* Runs a governor over this machine until every task has ended. 0 or a negative errno. */
int sim_run(struct sim *sim, struct governor *governor, struct fault *fault);
