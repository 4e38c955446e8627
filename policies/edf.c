// SPDX-License-Identifier: GPL-2.0-or-later
#include "give.h"
#include "order.h"
#include "plain.h"
#include "policy_internal.h"

#include <string.h>

/* Earliest deadline first, ties by name: best on one CPU whenever all can be done, and blind to what
 * cannot. It predicts nothing, so no noise in the reports can mislead it. */

static bool is_due_before(const void *context, uint32_t a, uint32_t b)
{
	const struct policy_view *view = context;
	const struct policy_task *one = &view->tasks[a], *other = &view->tasks[b];

	if (one->deadline_ns != other->deadline_ns)
		return one->deadline_ns < other->deadline_ns;
	return strcmp(one->name, other->name) < 0;
}

static void edf_plan(struct policy_state *state, const struct policy_view *view,
	double ret_shares[], enum why ret_why[])
{
	view_check(view);
	order_init(state->order, view->n_tasks);
	order_sort(state->order, state->scratch, view->n_tasks, is_due_before, view);
	give_in_order(view, state->order, view->budget_cpus, ret_shares, ret_why);
}

const struct policy policy_edf = {
	.name = "edf",
	.summary = "earliest deadline first, each all it can use",
	.new = plain_new,
	.plan = edf_plan,
	.free = plain_free,
};
