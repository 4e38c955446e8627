// SPDX-License-Identifier: GPL-2.0-or-later
#include "due.h"
#include "give.h"
#include "plain.h"
#include "policy_internal.h"

/* Earliest deadline first, ties by name: best on one CPU whenever all can be done, and blind to what
 * cannot. It predicts nothing, so no noise in the reports can mislead it. */

static void edf_plan(struct policy_state *state, const struct policy_view *view,
	double ret_shares[], enum why ret_why[])
{
	view_check(view);
	due_order(view, state->order, state->scratch);
	give_in_order(view, state->order, view->budget_cpus, ret_shares, ret_why);
}

const struct policy policy_edf = {
	.name = "edf",
	.summary = "earliest deadline first, each all it can use",
	.new = plain_new,
	.plan = edf_plan,
	.free = plain_free,
};
