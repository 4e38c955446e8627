/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

#include "forecast.h"

/* What a task offers for CPU time: a rising, concave staircase of chances to succeed. */

/* One step of it: quota_s of CPU time from now make a success by `chance`. */
struct step {
	double quota_s;
	double charge_s; /* what the plan sets aside for the quota */
	double chance;
	double worth; /* of taking this step after those before it; the plan goes by it */
	uint32_t task;
};

/* What a step costs and how it is valued. */
struct offer_terms {
	double charge_unused; /* part of what the need is expected to leave of a quota that is charged,
	                       * in [0, 1] */
	double charge_due; /* part of the time to the deadline that is added to a step's charge, >= 0 */
	double chance_power; /* exponent of a step's chance, >= 0 */
	double room_power;   /* exponent of what the task can get over its quota, >= 0 */
};

/* The steps of the forecast from now on, all slopes chance / charge_s falling; returns how many.
 *
 * cpu_s   CPU time the task has used.
 * due_s   time to its deadline, > 0.
 * cap_s   the most CPU time it can get until then, > 0.
 * task    copied into each step. */
uint32_t offer_make(const struct forecast *forecast, const struct offer_terms *terms, double cpu_s,
	double due_s, double cap_s, uint32_t task,
	struct step ret_steps[static FORECAST_POINTS_MAX]);

/* The charges, rising, of what the task could make do with instead of its first step: all points of the
 * forecast with a chance of slope_least or more for each charged second. Returns how many; the rest as
 * above. */
uint32_t offer_parts(const struct forecast *forecast, const struct offer_terms *terms, double cpu_s,
	double cap_s, double slope_least, double ret_charge_s[static FORECAST_POINTS_MAX]);
