/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

#include "policy.h"

/* Two ways of giving out a budget. Both write every share, each in [0, usable], with a sum of at
 * most `cpus` (up to rounding), and leave nothing over that some task could use. */

/* In the order of the indices order[n_tasks] (NULL: the order of the view): each min(usable, what
 * is left). Reasons: WHY_FIRST (all it can use), WHY_REST, WHY_NONE_LEFT. */
void give_in_order(const struct policy_view *view, const uint32_t order[], double cpus,
	double ret_shares[], enum why ret_why[]);

/* The same level for all, except that no task gets more than it can use (water-filling). order and
 * scratch: n_tasks each, overwritten. n log n. Reason: WHY_EQUAL. */
void give_evenly(const struct policy_view *view, double cpus, uint32_t order[], uint32_t scratch[],
	double ret_shares[], enum why ret_why[]);
