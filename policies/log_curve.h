/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

#include "policy.h"

/* A task's reports on logarithmic axes, taken in one by one, each once.
 *
 * x = ln(c / c_1) of the CPU time c, counted in that of the first report; r = ln((y + h) / (y_1 + h)) of
 * the value y, mirrored (-y) where the metric is to be raised, so that it always falls to its target. The
 * shift h is 0 as long as the target and all reports are positive. Where one of them is not, there is no
 * logarithm, and h is what puts the least of them at a tenth of the first report's distance to the
 * target. */

struct log_curve {
	uint64_t n_reports;         /* of the history when it was looked at last */
	uint32_t n_taken;           /* points taken since the curve was begun; 0: none yet */
	uint64_t first_ns, last_ns; /* CPU time of the first and the last one taken */
	double last_value;
	double shift;
	double first_log; /* ln(y_1 + h) */
	double now;       /* r of the last one */
	double target;    /* r of the target */
};

/* Looks for reports that have not been taken. Returns the index of the first of them in the history,
 * n_points where there is none. Sets ret_anew where all that was made of earlier ones is void: for the
 * first time, where the newest report was replaced, and where the shift has to be another. Reports before
 * any CPU time have no logarithm and are left out. Linear in what is new, or in the history. */
uint32_t log_curve_look(struct log_curve *curve, const struct policy_task *task, bool *ret_anew);

/* Takes the point at the index `at`, from what log_curve_look() has returned on, one after the other.
 * Finite, x in [0, 50], |r| < 2000. */
void log_curve_take(struct log_curve *curve, const struct policy_task *task, uint32_t at,
	double *ret_x, double *ret_r);

/* x of a CPU time, in seconds. Only after a point has been taken. */
double log_curve_x(const struct log_curve *curve, double cpu_s);
