/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

#include <stdbool.h>

/* A line r = slope x + level by discounted least squares, in one pass: each point counts `discount` times
 * as much as the next one, and is not needed again. Zeroed: no points. */

struct line_fit {
	double n, x, xx, r, xr; /* discounted sums of 1, x, x^2, r, x r */
};

void line_fit_take(struct line_fit *fit, double discount, double x, double r);

/* With ridge |(slope, level)|^2 added to the squares, ridge >= 0. False where there is no one line: fewer
 * than two points of weight at different x, and no ridge. */
bool line_fit_solve(const struct line_fit *fit, double ridge, double *ret_slope, double *ret_level);

/* The length of X = (x, 1) by V^-1, V = ridge I + discounted sum of X X': how little is known of the line
 * there. ridge > 0. */
double line_fit_width(const struct line_fit *fit, double ridge, double x);
