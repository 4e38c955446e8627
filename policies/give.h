/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

#include "policy.h"

/* Ways of giving out a budget. They write every share, each in [0, usable], with a sum of at
 * most `cpus` (up to rounding), and leave nothing over that some task could use. */

/* In the order of the indices order[n_tasks] (NULL: the order of the view): each min(usable, what
 * is left). Reasons: WHY_FIRST (all it can use), WHY_REST, WHY_NONE_LEFT. */
void give_in_order(const struct policy_view *view, const uint32_t order[], double cpus,
	double ret_shares[], enum why ret_why[]);

/* The same level for all, except that no task gets more than it can use (water-filling). order and
 * scratch: n_tasks each, overwritten. n log n. Reason: WHY_EQUAL. */
void give_evenly(const struct policy_view *view, double cpus, uint32_t order[], uint32_t scratch[],
	double ret_shares[], enum why ret_why[]);

/* What the task at that place of the view gains if it has `more` (> 0) CPUs in the slot beyond `share`; never
 * nan, may be INFINITY; does not rise with the share. */
typedef double (*give_gain)(const void *context, uint32_t at, double share, double more);

/* In units of `unit` CPUs (> 0), each to the task that gains most by it; the first in the view where they gain
 * the same, and the last unit of a task, or of the budget, is what is left. Nothing more to who gains nothing
 * (<= 0): what remains so goes in the order of the view. `cpus` (at least 0 up to rounding) comes on top of
 * what `shares` says already. order and gains: n_tasks each, overwritten. n + u log n for u units. Reasons as
 * give_in_order(). */
void give_by_gain(const struct policy_view *view, double cpus, double unit, give_gain gain,
	const void *context, uint32_t order[], double gains[], double shares[], enum why ret_why[]);

/* As give_evenly(), but no task gets more than limits[n_tasks] (by place in the view, >= 0) as long as
 * another has not reached its own; what is left when all have theirs is given evenly beyond them. */
void give_limited(const struct policy_view *view, const double limits[], double cpus,
	uint32_t order[], uint32_t scratch[], double ret_shares[], enum why ret_why[]);
