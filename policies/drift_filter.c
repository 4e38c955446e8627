// SPDX-License-Identifier: GPL-2.0-or-later
#include "drift_filter.h"

#include <math.h>
#include <string.h>

/* The usual filter (Welch and Bishop 1995) with the transition
 *
 *	F = ( I  step I  step^2/2 I )
 *	    ( 0       I      step I )
 *	    ( 0       0           I )
 *
 * of 2x2 blocks, and the observation H = (x, 1, 0, 0, 0, 0). F has three entries a row at most, so F P F'
 * is written out by rows and columns. The covariance stays symmetric: both halves are written alike. */

#define PAIR 2 /* slope and level: what is beside a number in the blocks */

/* v <- F v, for six numbers that lie `stride` apart. */
static void advance(double v[], unsigned stride, double step)
{
	for (unsigned i = 0; i < PAIR; i++) {
		double *line = v + stride * i, *speed = line + stride * PAIR,
		       *change = speed + stride * PAIR;

		*line += step * *speed + step * step / 2 * *change;
		*speed += step * *change;
	}
}

void drift_filter_init(struct drift_filter *filter, const struct drift_terms *terms)
{
	memset(filter, 0, sizeof(*filter));
	for (unsigned i = 0; i < PAIR; i++) {
		filter->covariance[i][i] = terms->spread_line;
		filter->covariance[PAIR + i][PAIR + i] = terms->spread_speed;
		filter->covariance[2 * PAIR + i][2 * PAIR + i] = terms->spread_change;
	}
}

static void predict(struct drift_filter *filter, const struct drift_terms *terms)
{
	advance(filter->state, 1, terms->step);
	for (unsigned i = 0; i < DRIFT_STATES; i++)
		advance(filter->covariance[i], 1, terms->step);
	for (unsigned i = 0; i < DRIFT_STATES; i++)
		advance(&filter->covariance[0][i], DRIFT_STATES, terms->step);
	for (unsigned i = 0; i < DRIFT_STATES; i++)
		filter->covariance[i][i] += terms->wander;
}

static bool update(struct drift_filter *filter, const struct drift_terms *terms, double x, double r)
{
	double reach[DRIFT_STATES], spread, surprise;
	bool is_finite = true;

	for (unsigned i = 0; i < DRIFT_STATES; i++) /* P H */
		reach[i] = filter->covariance[i][0] * x + filter->covariance[i][1];
	spread = terms->noise + fmax(x * reach[0] + reach[1], 0);
	surprise = r - (x * filter->state[0] + filter->state[1]);
	for (unsigned i = 0; i < DRIFT_STATES; i++) {
		filter->state[i] += reach[i] / spread * surprise;
		is_finite = is_finite && isfinite(filter->state[i]);
		for (unsigned j = 0; j <= i; j++) {
			filter->covariance[i][j] -= reach[i] * reach[j] / spread;
			filter->covariance[j][i] = filter->covariance[i][j];
			is_finite = is_finite && isfinite(filter->covariance[i][j]);
		}
		filter->covariance[i][i] = fmax(filter->covariance[i][i], 0);
	}
	return is_finite;
}

bool drift_filter_take(
	struct drift_filter *filter, const struct drift_terms *terms, double x, double r)
{
	predict(filter, terms);
	if (update(filter, terms, x, r))
		return true;
	drift_filter_init(filter, terms);
	return false;
}

double drift_filter_ahead(const struct drift_filter *filter, const struct drift_terms *terms,
	double n_steps, double x)
{
	double ahead[DRIFT_STATES], expected;

	memcpy(ahead, filter->state, sizeof(ahead));
	advance(ahead, 1, n_steps * terms->step); /* F^n is F with n steps in one */
	expected = x * ahead[0] + ahead[1];
	return isnan(expected) ? 0 : expected;
}
