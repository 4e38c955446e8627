// SPDX-License-Identifier: GPL-2.0-or-later
#include "plain.h"
#include "policy_internal.h"

#include <math.h>

/* One at a time, in order of arrival, as a queue in front of a machine has it: the task in front gets
 * the whole budget, as far as its threads can use it, until it ends; the others wait, even for CPUs
 * that it leaves idle, for want of threads or while it sleeps. The task that arrived first among the alive is the one that is running: no
 * later arrival comes before it in the order of (begin, name), so nothing needs to be remembered. */

static void exclusive_plan(struct policy_state *state, const struct policy_view *view,
	double ret_shares[], enum why ret_why[])
{
	(void)state;
	view_check(view);
	for (uint32_t i = 0; i < view->n_tasks; i++) {
		ret_shares[i] = i == 0 ? fmin(view->tasks[0].threads, view->budget_cpus) : 0;
		ret_why[i] = i == 0 ? WHY_FIRST : WHY_NONE_LEFT;
	}
}

const struct policy policy_exclusive = {
	.name = "exclusive",
	.summary = "one task at a time, in order of arrival, until it ends",
	.has_reserve = true,
	.new = plain_new,
	.plan = exclusive_plan,
	.free = plain_free,
};
