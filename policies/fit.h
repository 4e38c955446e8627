/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "policy.h"

/* Simple curves through what a task has reported, for the policies of others that are made of them. A
 * fixed number of steps, no allocation. */

#define FIT_POINTS_MAX 64

/* The reports as a loss over CPU time: a metric to be raised is negated. Where there are more than
 * FIT_POINTS_MAX, the newer half of the points are single reports, and each of the older half is the mean of
 * as many neighbours as it takes. */
struct fit_points {
	uint32_t n;
	double newest_s;               /* CPU time of the newest, > 0 */
	double x[FIT_POINTS_MAX];      /* CPU time as a part of that: rising, the last is 1 */
	double y[FIT_POINTS_MAX];      /* loss */
	double weight[FIT_POINTS_MAX]; /* > 0, of the squared error */
	double least, range;           /* the least y, and how far the greatest is above it */
};

/* What report i of n counts for, i from 0, the oldest; > 0. */
typedef double (*fit_weight)(uint32_t i, uint32_t n, double how);

/* `how` of the weight of the report before, the newest 1; not below 1e-9. */
double fit_weight_decay(uint32_t i, uint32_t n, double how);
/* The oldest third counts 1, the second `how`, the last how^2. */
double fit_weight_thirds(uint32_t i, uint32_t n, double how);

/* False where there is nothing to fit: fewer than three reports, none after any CPU time, or all the same. */
bool fit_collect(const struct policy_task *task, fit_weight weight, double how,
	struct fit_points *ret_points);

enum fit_form {
	FIT_NONE,        /* nothing fits: no fall to be seen */
	FIT_INVERSE,     /* floor + 1 / (a x^2 + b x + c); a, b, c >= 0, a + b > 0 */
	FIT_EXPONENTIAL, /* floor + a exp(-b x); a, b > 0 */
};

struct fit {
	enum fit_form form;
	double newest_s; /* CPU time where x is 1 */
	double floor, a, b, c;
	double error; /* weighted mean of the squared errors */
};

/* The best 1 / (a x^2 + b x + c) + floor, or with degree 1 the best 1 / (b x + c) + floor, with a, b, c
 * >= 0, floor >= least_floor (may be -INFINITY) and floor below all points: where the least of them is at
 * least_floor or below it, a millionth of their range below it.
 *
 * For a given floor 1 / (y - floor) is linear in a, b, c: least squares under a, b, c >= 0, each weighted
 * with (y - floor)^4 so that the errors are about those of y. The floor itself is looked for by its distance
 * below the least y. */
void fit_inverse(
	const struct fit_points *points, uint32_t degree, double least_floor, struct fit *ret_fit);

/* The best a exp(-b x) + floor: linear in a and floor for a given b, which is looked for. */
void fit_exponential(const struct fit_points *points, struct fit *ret_fit);

/* The loss at cpu_s of CPU time; falls. Not of FIT_NONE. */
double fit_loss(const struct fit *fit, double cpu_s);

/* The CPU time at which the loss is met, INFINITY where it never is; of FIT_NONE, too. May be before
 * newest_s, never below 0. */
double fit_reach(const struct fit *fit, double loss);
