// SPDX-License-Identifier: GPL-2.0-or-later
#include "plain.h"
#include "policy_internal.h"

#include <math.h>

/* A K-th of the budget each, for life, whether the others are alive or not: static partitioning, as
 * containers with a fixed quota have it. Not work-conserving, on purpose: neither what the
 * absent leave nor what the alive cannot use goes to others. What it wastes is what time-sharing is
 * there to win. */

static void fixed_plan(struct policy_state *state, const struct policy_view *view,
	double ret_shares[], enum why ret_why[])
{
	(void)state;
	view_check(view);
	for (uint32_t i = 0; i < view->n_tasks; i++) {
		ret_shares[i] = fmin(view->tasks[i].threads, view->budget_cpus / view->n_bundle);
		ret_why[i] = WHY_FIXED;
	}
}

const struct policy policy_fixed = {
	.name = "fixed",
	.summary = "every task has the same part of the budget for life, alive or not",
	.has_reserve = true,
	.new = plain_new,
	.plan = fixed_plan,
	.free = plain_free,
};
