// SPDX-License-Identifier: GPL-2.0-or-later
#include "give.h"

#include <math.h>

#include "order.h"

/* Giving out a budget, in order, evenly or by gain.
 *
 * Water-filling needs no search for the level: with the tasks sorted by what they can use, the least
 * first, each gets min(usable, left / tasks still to come). A task that is cut by it leaves more for
 * the later ones; the first that is not cut has the final level, and so have all after it: to the
 * last bit, or the rounding of a grant would make them unequal.
 *
 * By gain: the tasks are a heap with the one that gains most on top, which gets a unit and sinks to where
 * its next one belongs. */

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

/* How little is nothing any more: rounding must not make a unit. */
#define NOTHING_CPUS 1e-12

struct heap {
	uint32_t n;
	uint32_t *at;        /* places in the view, the top first */
	const double *gains; /* by place */
};

static bool gains_more(const struct heap *heap, uint32_t one, uint32_t other)
{
	double a = heap->gains[heap->at[one]], b = heap->gains[heap->at[other]];

	return a > b || (a >= b && heap->at[one] < heap->at[other]);
}

static void sink(struct heap *heap, uint32_t i)
{
	for (;;) {
		uint32_t top = i, swap;

		for (uint32_t child = 2 * i + 1; child <= 2 * i + 2 && child < heap->n; child++)
			if (gains_more(heap, child, top))
				top = child;
		if (top == i)
			return;
		swap = heap->at[i];
		heap->at[i] = heap->at[top];
		heap->at[top] = swap;
		i = top;
	}
}

void give_by_gain(const struct policy_view *view, double cpus, double unit, give_gain gain,
	const void *context, uint32_t order[], double gains[], double shares[], enum why ret_why[])
{
	struct heap heap = {.at = order, .gains = gains};
	double left = cpus;

	for (uint32_t i = 0; i < view->n_tasks; i++) {
		double room = view->tasks[i].usable - shares[i];

		if (room <= NOTHING_CPUS)
			continue;
		order[heap.n++] = i;
		gains[i] = gain(context, i, shares[i], fmin(unit, room));
	}
	for (uint32_t i = heap.n / 2; i-- > 0;)
		sink(&heap, i);
	while (heap.n > 0 && left > NOTHING_CPUS && gains[order[0]] > 0) {
		uint32_t at = order[0];
		double usable = view->tasks[at].usable, room = usable - shares[at];
		double more = fmin(fmin(unit, room), left);

		shares[at] = more < room ? fmin(shares[at] + more, usable) : usable;
		left -= more;
		room = usable - shares[at];
		if (room > NOTHING_CPUS)
			gains[at] = gain(context, at, shares[at], fmin(unit, room));
		else
			order[0] = order[--heap.n];
		sink(&heap, 0);
	}
	for (uint32_t i = 0; i < view->n_tasks; i++) {
		double usable = view->tasks[i].usable;
		double more = fmin(usable - shares[i], fmax(left, 0));

		shares[i] = fmin(shares[i] + more, usable);
		left -= more;
		ret_why[i] = why_in_order(shares[i], usable);
	}
}
