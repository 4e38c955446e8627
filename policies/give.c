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

/* What a task can take in a pass: up to its limit in the first, then what it can use beyond that. */
struct takers {
	const struct policy_view *view;
	const double *limits; /* NULL: no limits, one pass */
	bool is_beyond;
};

static double room(const struct takers *takers, uint32_t at)
{
	double usable = takers->view->tasks[at].usable, limited;

	if (!takers->limits)
		return usable;
	limited = fmin(usable, takers->limits[at]);
	return takers->is_beyond ? usable - limited : limited;
}

static bool has_less_room(const void *context, uint32_t a, uint32_t b)
{
	return room(context, a) < room(context, b);
}

/* Adds to the shares, and returns what is left. */
static double fill(const struct takers *takers, double cpus, uint32_t order[], uint32_t scratch[],
	double shares[])
{
	uint32_t n = takers->view->n_tasks;
	double left = cpus, level = 0;
	bool is_final = false;

	order_init(order, n);
	order_sort(order, scratch, n, has_less_room, takers);
	for (uint32_t i = 0; i < n; i++) {
		double most = room(takers, order[i]), share;

		if (!is_final) {
			level = left > 0 ? left / (n - i) : 0;
			is_final = level < most;
		}
		share = fmin(most, level);
		shares[order[i]] += share;
		left -= share;
	}
	return left;
}

static void give_nothing(const struct policy_view *view, double ret_shares[], enum why ret_why[])
{
	for (uint32_t i = 0; i < view->n_tasks; i++) {
		ret_shares[i] = 0;
		ret_why[i] = WHY_EQUAL;
	}
}

void give_evenly(const struct policy_view *view, double cpus, uint32_t order[], uint32_t scratch[],
	double ret_shares[], enum why ret_why[])
{
	const struct takers takers = {.view = view};

	give_nothing(view, ret_shares, ret_why);
	fill(&takers, cpus, order, scratch, ret_shares);
}

void give_limited(const struct policy_view *view, const double limits[], double cpus,
	uint32_t order[], uint32_t scratch[], double ret_shares[], enum why ret_why[])
{
	struct takers takers = {.view = view, .limits = limits};
	double left;

	give_nothing(view, ret_shares, ret_why);
	left = fill(&takers, cpus, order, scratch, ret_shares);
	takers.is_beyond = true;
	fill(&takers, fmax(left, 0), order, scratch, ret_shares);
	for (uint32_t i = 0; i < view->n_tasks; i++) /* a sum of two parts may round up */
		ret_shares[i] = fmin(ret_shares[i], view->tasks[i].usable);
}
