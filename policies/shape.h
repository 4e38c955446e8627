/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

#include <stdbool.h>

#include "history.h"

#define N_FEATURES 30

/* What a forecast knows of a learning curve: numbers without a unit that say how far and how fast it
 * has come towards the target, how noisy it is, and where simple curves through it would arrive.
 *
 * history    at least one point, the newest after some CPU time (> 0).
 * target     finite; with is_raised the metric is to be raised: the mirror image of a loss.
 * window_s   from begin to deadline, > 0.
 * ret        each finite, whatever the history holds; the same for a curve and target that are both
 *            scaled by a positive number, and for CPU times and window scaled together.
 *
 * Linear in the points, no allocation. */
void shape_of(const struct history *history, double target, bool is_raised, double window_s,
	double ret[static N_FEATURES]);
