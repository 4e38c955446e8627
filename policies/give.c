// SPDX-License-Identifier: GPL-2.0-or-later
#include "give.h"

#include <math.h>

#include "order.h"

/* Giving out a budget, in order or evenly.
 *
 * Water-filling needs no search for the level: with the tasks sorted by what they can use, the least
 * first, each gets min(usable, left / tasks still to come). A task that is cut by it leaves more for
 * the later ones; the first that is not cut has the final level, and so have all after it: to the
 * last bit, or the rounding of a grant would make them unequal. */

static enum why why_in_order(double share, double usable)
{
	if (share >= usable)
		return WHY_FIRST;
	return share > 0 ? WHY_REST : WHY_NONE_LEFT;
}

void give_in_order(const struct policy_view *view, const uint32_t order[], double cpus,
	double ret_shares[], enum why ret_why[])
{
	double left = cpus;

	for (uint32_t i = 0; i < view->n_tasks; i++) {
		uint32_t at = order ? order[i] : i;
		double usable = view->tasks[at].usable;

		ret_shares[at] = fmin(usable, left);
		ret_why[at] = why_in_order(ret_shares[at], usable);
		left -= ret_shares[at];
	}
}

static bool can_use_less(const void *context, uint32_t a, uint32_t b)
{
	const struct policy_view *view = context;

	return view->tasks[a].usable < view->tasks[b].usable;
}

void give_evenly(const struct policy_view *view, double cpus, uint32_t order[], uint32_t scratch[],
	double ret_shares[], enum why ret_why[])
{
	double left = cpus, level = 0;
	bool is_final = false;

	order_init(order, view->n_tasks);
	order_sort(order, scratch, view->n_tasks, can_use_less, view);
	for (uint32_t i = 0; i < view->n_tasks; i++) {
		double usable = view->tasks[order[i]].usable;

		if (!is_final) {
			level = left > 0 ? left / (view->n_tasks - i) : 0;
			is_final = level < usable;
		}
		ret_shares[order[i]] = fmin(usable, level);
		ret_why[order[i]] = WHY_EQUAL;
		left -= ret_shares[order[i]];
	}
}
