// SPDX-License-Identifier: GPL-2.0-or-later
#include "offer.h"

#include <math.h>

/* From a forecast to the steps that are worth planning.
 *
 * Charge. A quota x for a task whose need R is uncertain costs E[min(R, x)] on average, since a task
 * that gets there stops; but a plan that counts on the average breaks when several run long. So the
 * charge is the average plus charge_unused of the part that would be left over.
 *
 * Hull. Only the points on the upper concave hull of (charge, chance) from (0, 0) are worth stopping
 * at: between two of them a mix of the two gives more. Each edge of the hull is a step.
 *
 * Parts. One task cannot be mixed with itself: where the room that is left ends within its first edge,
 * it has the points below that edge. A point hardly below it is nearly as good, and with a little
 * noise would have been a corner of its own.
 *
 * Worth of a step: chance won for CPU time charged. Three corrections, each small and found on
 * recorded curves: the exponent favours small steps a little, charge in proportion to the time left
 * puts off what can wait, and a quota near the most that the task can get is risky. */

#define CHANCE_LEAST 1e-6

static uint32_t hull(const double charge_s[], const double chance[], uint32_t n, uint32_t ret[])
{
	uint32_t top = 0;

	for (uint32_t i = 0; i < n; i++) {
		while (top > 0) {
			uint32_t last = ret[top - 1];
			double charge_from = top > 1 ? charge_s[ret[top - 2]] : 0;
			double chance_from = top > 1 ? chance[ret[top - 2]] : 0;

			/* Keep the last while the slope falls behind it. */
			if ((chance[last] - chance_from) * (charge_s[i] - charge_s[last]) >
				(chance[i] - chance[last]) * (charge_s[last] - charge_from))
				break;
			top--;
		}
		ret[top++] = i;
	}
	return top;
}

static double worth_of(
	const struct offer_terms *terms, double chance, double charge_s, double due_s, double room)
{
	return pow(chance, terms->chance_power) * pow(room, terms->room_power) /
		(charge_s + terms->charge_due * due_s);
}

/* All points of the forecast; returns how many. */
static uint32_t charges(const struct forecast *forecast, const struct offer_terms *terms,
	double cpu_s, double cap_s, double ret_need_s[static FORECAST_POINTS_MAX],
	double ret_chance[static FORECAST_POINTS_MAX],
	double ret_charge_s[static FORECAST_POINTS_MAX])
{
	uint32_t n = forecast_from_now(forecast, cpu_s, cap_s, ret_need_s, ret_chance);
	double mean_s = 0;

	for (uint32_t i = 0; i < n; i++) {
		double from_s = i > 0 ? ret_need_s[i - 1] : 0, from = i > 0 ? ret_chance[i - 1] : 0;

		mean_s += (ret_need_s[i] - from_s) * (1 - (from + ret_chance[i]) / 2);
		ret_charge_s[i] = mean_s + terms->charge_unused * (ret_need_s[i] - mean_s);
	}
	return n;
}

uint32_t offer_make(const struct forecast *forecast, const struct offer_terms *terms, double cpu_s,
	double due_s, double cap_s, uint32_t task,
	struct step ret_steps[static FORECAST_POINTS_MAX])
{
	double need_s[FORECAST_POINTS_MAX], chance[FORECAST_POINTS_MAX];
	double charge_s[FORECAST_POINTS_MAX];
	double charge_before = 0, chance_before = 0;
	uint32_t corners[FORECAST_POINTS_MAX], n, n_corners, n_steps = 0;

	n = charges(forecast, terms, cpu_s, cap_s, need_s, chance, charge_s);
	n_corners = hull(charge_s, chance, n, corners);
	for (uint32_t i = 0; i < n_corners; i++) {
		uint32_t at = corners[i];
		double more = chance[at] - chance_before;
		double more_s = charge_s[at] - charge_before;

		if (more < CHANCE_LEAST)
			break;
		ret_steps[n_steps++] = (struct step){
			.quota_s = need_s[at],
			.charge_s = charge_s[at],
			.chance = chance[at],
			.worth = worth_of(terms, more, more_s, due_s, cap_s / need_s[at]),
			.task = task,
		};
		charge_before = charge_s[at];
		chance_before = chance[at];
	}
	return n_steps;
}

uint32_t offer_parts(const struct forecast *forecast, const struct offer_terms *terms, double cpu_s,
	double cap_s, double slope_least, double ret_charge_s[static FORECAST_POINTS_MAX])
{
	double need_s[FORECAST_POINTS_MAX], chance[FORECAST_POINTS_MAX];
	uint32_t n = charges(forecast, terms, cpu_s, cap_s, need_s, chance, ret_charge_s),
		 n_parts = 0;

	for (uint32_t i = 0; i < n; i++)
		if (chance[i] >= slope_least * ret_charge_s[i])
			ret_charge_s[n_parts++] = ret_charge_s[i];
	return n_parts;
}
