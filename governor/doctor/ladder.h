/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

#include <stddef.h>

#include "fault.h"

/* Which enforcer, and which meter, a run would take, and what each better one is missing: the rungs that
 * were tried, the last of them the one that works. */

#define LADDER_RUNGS_MAX 8

struct rung {
	const char *name;
	int error; /* 0: it works */
	char why[FAULT_TEXT_MAX];
};

struct ladder {
	struct rung rungs[LADDER_RUNGS_MAX];
	size_t n_rungs;
};

/* Asks the enforcers, as a run does before it opens one; each changes nothing that outlives the call. */
void ladder_of_enforcers(struct ladder *ret_ladder, double capacity_cpus);

/* Opens the meters for groups (or processes) of that enforcer, and closes them at once. */
void ladder_of_meters(struct ladder *ret_ladder, const char *enforcer);

/* The name of the one that works, or NULL. */
const char *ladder_choice(const struct ladder *ladder);

/* The rung of that name, or NULL where it was not tried. */
const struct rung *ladder_rung(const struct ladder *ladder, const char *name);

/* "NAME: why; NAME: why" of those that do not work; "" where the best one does. Cut at `size`. */
void ladder_reasons(const struct ladder *ladder, char ret_text[], size_t size);
