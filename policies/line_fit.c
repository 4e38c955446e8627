// SPDX-License-Identifier: GPL-2.0-or-later
#include "line_fit.h"

#include <assert.h>
#include <math.h>

/* V = (xx + ridge, x; x, n + ridge) and V (slope, level)' = (xr, r)'. A determinant that is lost in the
 * rounding of its two products counts as 0. */

#define ROUNDING 1e-12

void line_fit_take(struct line_fit *fit, double discount, double x, double r)
{
	fit->n = discount * fit->n + 1;
	fit->x = discount * fit->x + x;
	fit->xx = discount * fit->xx + x * x;
	fit->r = discount * fit->r + r;
	fit->xr = discount * fit->xr + x * r;
}

bool line_fit_solve(const struct line_fit *fit, double ridge, double *ret_slope, double *ret_level)
{
	double a = fit->xx + ridge, b = fit->x, d = fit->n + ridge;
	double determinant = a * d - b * b;

	if (!(determinant > ROUNDING * a * d))
		return false;
	*ret_slope = (d * fit->xr - b * fit->r) / determinant;
	*ret_level = (a * fit->r - b * fit->xr) / determinant;
	return true;
}

double line_fit_width(const struct line_fit *fit, double ridge, double x)
{
	double a = fit->xx + ridge, b = fit->x, d = fit->n + ridge;
	double determinant = fmax(a * d - b * b, ROUNDING * a * d);

	assert(ridge > 0);
	return sqrt(fmax(x * x * d - 2 * x * b + a, 0) / determinant);
}
