/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

#include <stdbool.h>
#include <stdint.h>

/* Whether a set of amounts of CPU time, each due at a moment, can all be given. */

struct feasible_moment {
	double due_s;   /* from now; strictly rising */
	double slack_s; /* CPU-seconds before it that nothing in the set needs */
};

struct feasible {
	uint32_t n_moments;
	struct feasible_moment *moments; /* of the caller; room for one a task */
};

/* An empty set. Then feasible_add_moment() for every deadline that will occur, earliest first (the
 * same one again is ignored). cpus: what there is at any time, >= 0. */
void feasible_init(struct feasible *feasible, struct feasible_moment *moments);
void feasible_add_moment(struct feasible *feasible, double due_s, double cpus);

/* Raises the amount of one task, due at due_s and able to use `threads` CPUs at once, from from_s to
 * to_s CPU-seconds (0 <= from_s <= to_s <= threads * due_s), if the whole set stays feasible. False,
 * and nothing changed, if not. Linear in the moments. */
bool feasible_raise(
	struct feasible *feasible, double due_s, double threads, double from_s, double to_s);

/* Takes amount_s, which one task has in the set, out of it again. Linear in the moments. */
void feasible_take_out(struct feasible *feasible, double due_s, double threads, double amount_s);
