// SPDX-License-Identifier: GPL-2.0-or-later
#include "give.h"
#include "plain.h"
#include "policy_internal.h"

/* Everyone the same: the budget is filled evenly into the alive set, each task up to what it can
 * use.
 * What a machine without a governor does, and the first thing to be better than. */

static void equal_plan(struct policy_state *state, const struct policy_view *view,
	double ret_shares[], enum why ret_why[])
{
	view_check(view);
	give_evenly(view, view->budget_cpus, state->order, state->scratch, ret_shares, ret_why);
}

const struct policy policy_equal = {
	.name = "equal",
	.summary = "every alive task gets the same, up to its threads",
	.new = plain_new,
	.plan = equal_plan,
	.free = plain_free,
};
