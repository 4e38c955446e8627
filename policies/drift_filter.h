/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

#include <stdbool.h>

/* A Kalman filter of a line r = slope x + level whose slope and level drift, with a speed and a constant
 * acceleration of their own: six numbers, with the covariance of what is not known of them. */

#define DRIFT_STATES 6 /* slope, level, their speeds, their accelerations */

struct drift_terms {
	double step;          /* of time between two reports, > 0 */
	double noise;         /* variance of a report, > 0 */
	double wander;        /* variance that a step adds to each number, >= 0 */
	double spread_line;   /* variance of slope and level before the first report, > 0 */
	double spread_speed;  /* ... of their speeds, >= 0 */
	double spread_change; /* ... of their accelerations, >= 0 */
};

struct drift_filter {
	double state[DRIFT_STATES];
	double covariance[DRIFT_STATES][DRIFT_STATES];
};

/* Nothing known but the spreads: a flat line through 0. */
void drift_filter_init(struct drift_filter *filter, const struct drift_terms *terms);

/* One step further, then one report. What is not finite afterwards begins anew: then false. */
bool drift_filter_take(
	struct drift_filter *filter, const struct drift_terms *terms, double x, double r);

/* What is expected to be reported at x, n_steps (>= 0) further: may be infinite, never nan. */
double drift_filter_ahead(const struct drift_filter *filter, const struct drift_terms *terms,
	double n_steps, double x);
