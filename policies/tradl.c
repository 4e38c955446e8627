// SPDX-License-Identifier: GPL-2.0-or-later
#include "growth.h"
#include "policy_internal.h"

#include <math.h>

/* TRADL: W. Zheng, Y. Song, Z. Guo, Y. Cui, S. Gu, Y. Mao, L. Cheng, "Target-based Resource Allocation for
 * Deep Learning Applications in a Multi-tenancy System", HPEC 2019. By the authors of FlowCon, with a
 * target that the user names: until it is met a training is favoured by how it gets there, after that it
 * runs on for quality.
 *
 * Only its abstract is at hand, so this is FlowCon (see there: intervals, lists, limits, back-off) with
 * growth towards the target g in place of growth as such:
 *
 *	G_i = max(0, E_i' - E_i) / (E_i - g) / (CPU time used / budget)
 *
 * for a metric to be lowered; the other way round for one to be raised. 1 / G_i is the time to the target
 * at the present pace with the whole budget: limits in proportion to G_i give most to who is there
 * soonest, and one that moves away, or whose target is out of reach at its pace, converges. All of this
 * formula is guessed. A distance of less than a hundredth of the first one counts as that, or a task at
 * its target would have everything.
 *
 * The second tier, running on with what others leave, is that of any task which has its outcome; no policy
 * is asked for it. */

#define DISTANCE_LEAST 0.01 /* of the first report's */
#define DISTANCE_TINY 1e-4  /* of the largest value */

/* The usual ones were chosen coarsely on 144 simulated bundles of recorded curves, of thresholds from 0 to 1,
 * intervals from 1 to 60 slots and floor-parts from 1 to 100: mean kappa is 0.46 to 0.49. */
/* clang-format off */
static const struct policy_parameter parameters[] = {
	[GROWTH_THRESHOLD] = { "threshold",
	  "The growth efficiency, in parts of its distance to the target per second, below which a task converges.",
	  "", 0, 1, 0.001 },
	[GROWTH_FLOOR_PART] = { "floor-part",
	  "What the even share is divided by for the floor of a task that converges; more leaves it less.",
	  "", 1, 100, 2 },
	[GROWTH_INTERVAL] = { "interval",
	  "How long limits hold, in slots.",
	  "", 1, 10000, 10 },
	[GROWTH_BACK_OFF] = { "back-off-most",
	  "How many times as long the interval gets at most while all tasks converge.",
	  "", 1, 1024, 16 },
	[GROWTH_N_PARAMETERS] = { .name = NULL },
};
/* clang-format on */

/* How far above its target, in parts of the scale; below 0 where it is past it. */
static double distance(const struct policy_task *task, double value, double scale)
{
	double above = value / scale - task->target / scale;

	return task->is_raised ? -above : above;
}

static double tradl_between(const struct policy_task *task, double before, double now)
{
	double scale = growth_scale(task);
	double first = fabs(distance(task, task->history->value[0], scale));
	double least = fmax(DISTANCE_LEAST * first, DISTANCE_TINY);
	double left = distance(task, now, scale);

	return fmax(distance(task, before, scale) - left, 0) / fmax(left, least);
}

static int tradl_new(struct policy_state **ret_state, const struct policy_setup *setup)
{
	double values[POLICY_PARAMETERS_MAX];

	policy_parameter_values(&policy_tradl, setup->parameters, values);
	return growth_new(ret_state, setup, values);
}

static void tradl_plan(struct policy_state *state, const struct policy_view *view,
	double ret_shares[], enum why ret_why[])
{
	growth_plan(state, view, tradl_between, ret_shares, ret_why);
}

const struct policy policy_tradl = {
	.name = "tradl",
	.summary = "limits in proportion to growth towards the target (TRADL)",
	.parameters = parameters,
	.new = tradl_new,
	.plan = tradl_plan,
	.forget = growth_forget,
	.free = growth_free,
};
