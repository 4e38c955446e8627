// SPDX-License-Identifier: GPL-2.0-or-later
#include "growth.h"
#include "policy_internal.h"

#include <assert.h>
#include <math.h>

/* FlowCon: W. Zheng, M. Tynes, H. Gorelick, Y. Mao, L. Cheng, Y. Hou, "FlowCon: Elastic Flow Configuration
 * for Containerized Deep Learning Applications", ICPP 2019. Targets and deadlines are unknown to it: it
 * takes CPU time from trainings that converge, and gives it to those that still grow.
 *
 * In each interval, of task i with the mean E_i of its reports:
 *
 *	progress            P_i = |E_i - E_i'| / interval, E_i' the mean of the interval before
 *	growth efficiency   G_i = P_i / R_i, R_i the part of the machine that it has used
 *
 * which is |E_i - E_i'| / (CPU time used / budget): that is how it is reckoned here. The lists:
 *
 *	G_i < threshold once        new -> watching    the limit stays
 *	G_i < threshold again       -> completing      limit max(G_i / sum G, 1 / (beta n))
 *	G_i >= threshold            -> new             limit G_i / sum G
 *	all n tasks are completing                     no limits, and the interval doubles (back-off)
 *
 * A task that comes has no limit, and has the lists gone through at once. Within limits, which are upper
 * ones, tasks compete as processes do: evenly.
 *
 * From the paper's abstract and outline, and from public programs made after it, of which nothing is
 * taken over but how they read it: the rule of the lists; that a metric is divided by the largest size of
 * it seen so far, or the scale of a loss would decide; that an interval without a report changes nothing
 * for the task; a threshold of 0.05 and an interval of 30 s. Guessed: the end of the back-off with the first
 * task that is no longer completing, and its bound; that an interval of a task lasts until it has reports;
 * that what the limits leave unused goes evenly to all (limits of containers are hard, but psi conserves
 * work). */

/* The usual ones were chosen coarsely on 144 simulated bundles of recorded curves, of thresholds from 0 to 1,
 * intervals from 2 to 60 slots and floor-parts from 1 to 100. All are within 0.45 to 0.47 in mean kappa;
 * shorter intervals are better. Growth is per second of the whole budget, so that the threshold is below
 * that of others. */
/* clang-format off */
static const struct policy_parameter parameters[] = {
	[GROWTH_THRESHOLD] = { "threshold",
	  "The growth efficiency, in parts of its largest value per second, below which a task converges.",
	  "", 0, 1, 0.001 },
	[GROWTH_FLOOR_PART] = { "floor-part",
	  "What the even share is divided by for the floor of a task that converges; more leaves it less.",
	  "", 1, 100, 2 },
	[GROWTH_INTERVAL] = { "interval",
	  "How long limits hold, in slots.",
	  "", 1, 10000, 2 },
	[GROWTH_BACK_OFF] = { "back-off-most",
	  "How many times as long the interval gets at most while all tasks converge.",
	  "", 1, 1024, 16 },
	[GROWTH_N_PARAMETERS] = { .name = NULL },
};
/* clang-format on */

static double flowcon_between(const struct policy_task *task, double before, double now)
{
	double scale = growth_scale(task);

	return fabs(before / scale - now / scale);
}

static int flowcon_new(struct policy_state **ret_state, const struct policy_setup *setup)
{
	double values[POLICY_PARAMETERS_MAX];

	policy_parameter_values(&policy_flowcon, setup->parameters, values);
	return growth_new(ret_state, setup, values);
}

static void flowcon_plan(struct policy_state *state, const struct policy_view *view,
	double ret_shares[], enum why ret_why[])
{
	growth_plan(state, view, flowcon_between, ret_shares, ret_why);
}

const struct policy policy_flowcon = {
	.name = "flowcon",
	.summary = "limits in proportion to growth, less for what converges (FlowCon)",
	.parameters = parameters,
	.new = flowcon_new,
	.plan = flowcon_plan,
	.forget = growth_forget,
	.free = growth_free,
};
