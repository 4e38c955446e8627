// SPDX-License-Identifier: GPL-2.0-or-later
#include "give.h"
#include "plain.h"
#include "policy_internal.h"

/* First come, first served: in the order of (begin, name), which is the order of the view, each task
 * all it can use, as long as there is something left. */

static void fifo_plan(struct policy_state *state, const struct policy_view *view,
	double ret_shares[], enum why ret_why[])
{
	(void)state;
	view_check(view);
	give_in_order(view, /* order= */ NULL, view->budget_cpus, ret_shares, ret_why);
}

const struct policy policy_fifo = {
	.name = "fifo",
	.summary = "in order of arrival, each all it can use",
	.new = plain_new,
	.plan = fifo_plan,
	.free = plain_free,
};
