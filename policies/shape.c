// SPDX-License-Identifier: GPL-2.0-or-later
#include "shape.h"

#include <assert.h>
#include <float.h>
#include <math.h>

/* Features of a learning curve on its way to a target.
 *
 * No single curve family extrapolates well: a straight line is too hopeful in one place and a power
 * law in another. So several are fitted in closed form, and where each arrives is offered to the
 * calibrated model (forecast.c) beside plain facts: the distance to the target in units of what has
 * been covered and of the noise, slopes of the last tenth, fifth and half, the best value and how
 * long ago it was.
 *
 * Scales: CPU time in units of what has been used so far (z = cpu / used, so now is 1), values in
 * units of the whole way from the first report to the target, or of the noise. Parts of the curve are
 * counted in CPU time, not in reports, so a thinned history looks like a whole one. A metric to be
 * raised is negated with its target: everything below may think of a loss.
 *
 * All is clipped to the range in which it was calibrated, and what is not finite after all (values
 * near the end of what a double can hold) becomes 0: an odd curve gets an odd forecast, not a nan. */

struct points {
	uint32_t n;
	double z[HISTORY_MAX];     /* CPU time / CPU time of the newest report */
	uint32_t fitted;           /* the first of the points that curves are fitted to */
	double log_z[HISTORY_MAX]; /* from there on */
	double y[HISTORY_MAX];     /* lower is better */
	double target;
	double way;   /* from the first report to the target, > 0 */
	double noise; /* of one report, > 0 */
};

struct line {
	double end; /* its value at z = 1 */
	double slope, slope_error;
};

#define Z_LEAST 1e-6 /* a first report after next to nothing is not put further away */
#define NOISE_POINTS_MAX 40
#define NOISE_PRIOR 0.01 /* of the newest value, ... */
#define NOISE_PRIOR_N 3  /* ... worth this many differences */

static double clip(double x, double least, double most)
{
	return fmin(fmax(x, least), most);
}

static double median(double values[], uint32_t n)
{
	for (uint32_t i = 1; i < n; i++) {
		double value = values[i];
		uint32_t to = i;

		for (; to > 0 && values[to - 1] > value; to--)
			values[to] = values[to - 1];
		values[to] = value;
	}
	return n % 2 == 1 ? values[n / 2] : (values[n / 2 - 1] + values[n / 2]) / 2;
}

/* How far points lie from the middle of their neighbours: the curve itself nearly cancels out. The
 * median times 1.4826 is the standard deviation of a normal; the difference has 1.5 the variance. */
static double noise_of(const struct points *points)
{
	double distance[NOISE_POINTS_MAX], spread = 0;
	double prior = NOISE_PRIOR * points->y[points->n - 1];
	uint32_t n = 0;

	for (uint32_t i = points->n; i-- > 2 && n < NOISE_POINTS_MAX; n++)
		distance[n] = fabs(points->y[i - 1] - (points->y[i] + points->y[i - 2]) / 2);
	if (n > 0)
		spread = median(distance, n) * 1.4826 / sqrt(1.5);
	return sqrt((n * spread * spread + NOISE_PRIOR_N * prior * prior) / (n + NOISE_PRIOR_N));
}

/* The first of the points in the last `part` of the CPU time, but of `n_least` points at least. */
static uint32_t last_part(const struct points *points, double part, uint32_t n_least)
{
	uint32_t first = points->n - 1;

	while (first > 0 && (points->z[first - 1] > 1 - part || points->n - first < n_least))
		first--;
	return first;
}

static void points_read(
	struct points *points, const struct history *history, double target, bool is_raised)
{
	uint32_t n = history->n_points;
	double used, sign = is_raised ? -1 : 1;

	assert(n > 0 && n <= HISTORY_MAX);
	used = (double)history->cpu_ns[n - 1];
	assert(used > 0);
	points->n = n;
	points->target = sign * target;
	for (uint32_t i = 0; i < n; i++) {
		points->z[i] = (double)history->cpu_ns[i] / used;
		points->y[i] = sign * history->value[i];
	}
	points->way = fmax(points->y[0] - points->target,
		fmax(0.02 * fmax(fabs(points->y[0]), fabs(points->target)), DBL_MIN));
	points->noise = fmax(noise_of(points), 1e-9 * points->way);
	points->fitted = last_part(points, 2.0 / 3, 3);
	for (uint32_t i = points->fitted; i < n; i++)
		points->log_z[i] = log(fmax(points->z[i], Z_LEAST));
}

static double mean_from(const struct points *points, uint32_t first)
{
	double sum = 0;

	for (uint32_t i = first; i < points->n; i++)
		sum += points->y[i];
	return sum / (points->n - first);
}

static struct line line_through_last(const struct points *points, double part)
{
	uint32_t first = last_part(points, part, 4);
	double n = points->n - first, mean_y = mean_from(points, first);
	double mean_z = 0, zz = 0, zy = 0;
	struct line line = {.end = mean_y, .slope_error = INFINITY};

	for (uint32_t i = first; i < points->n; i++)
		mean_z += points->z[i] / n;
	for (uint32_t i = first; i < points->n; i++) {
		zz += (points->z[i] - mean_z) * (points->z[i] - mean_z);
		zy += (points->z[i] - mean_z) * (points->y[i] - mean_y);
	}
	if (zz > 0) {
		line.slope = zy / zz;
		line.slope_error = points->noise / sqrt(zz);
		line.end = mean_y + line.slope * (1 - mean_z);
	}
	return line;
}

/* log of the CPU time still to go, in units of the time used, where the target is met at z. */
static double log_to_go(double z)
{
	return z > 1 ? clip(log(z - 1), -5, 5) : -5;
}

static double line_to_go(const struct points *points, const struct line *line, double gap)
{
	if (line->slope >= 0)
		return 5;
	return clip(log(gap / (-line->slope / points->way)), -5, 5);
}

/* The families y = a + b phi(z), all falling for b > 0. */
enum family { LOGARITHM, ROOT, INVERSE, SQUARE, EXPONENTIAL, N_FAMILIES };

static void families_at(double z, double log_z, double ret_phi[static N_FAMILIES])
{
	ret_phi[LOGARITHM] = -log_z;
	ret_phi[ROOT] = 1 / sqrt(z);
	ret_phi[INVERSE] = 1 / z;
	ret_phi[SQUARE] = 1 / (z * z);
	ret_phi[EXPONENTIAL] = exp(-3 * z);
}

/* Where phi(z) = value; infinite where it never is. */
static double family_inverse(enum family family, double value)
{
	if (family == LOGARITHM)
		return exp(-value);
	if (value <= 0)
		return INFINITY;
	switch (family) {
	case ROOT:
		return 1 / (value * value);
	case INVERSE:
		return 1 / value;
	case SQUARE:
		return 1 / sqrt(value);
	default:
		return log(value) / -3;
	}
}

struct fit {
	double sum, y, phi[N_FAMILIES], phi_phi[N_FAMILIES], phi_y[N_FAMILIES];
};

static void fit_to_go(const struct points *points, const struct fit *fit, enum family family,
	double *ret_to_go, double *ret_limit)
{
	double mean_phi = fit->phi[family] / fit->sum, mean_y = fit->y / fit->sum;
	double variance = fit->phi_phi[family] / fit->sum - mean_phi * mean_phi;
	double b = 0, a = mean_y;

	if (variance > 1e-12 * mean_phi * mean_phi) {
		b = (fit->phi_y[family] / fit->sum - mean_phi * mean_y) / variance;
		a = mean_y - b * mean_phi;
	}
	*ret_to_go = 5;
	if (b > 0)
		*ret_to_go = log_to_go(family_inverse(family, (points->target - a) / b));
	*ret_limit = asinh((a - points->target) / points->noise) / 2;
}

/* Least squares over the last two thirds, the newer points weighing more; all families in one pass.
 * Where their limit means something, it is a feature too: it says "never" earlier. */
static void fit_families(const struct points *points, double ret[static 8])
{
	struct fit fit = {0};
	double limit[N_FAMILIES], to_go[N_FAMILIES];

	for (uint32_t i = points->fitted; i < points->n; i++) {
		double weight = 0.25 + points->z[i], phi[N_FAMILIES];

		families_at(fmax(points->z[i], Z_LEAST), points->log_z[i], phi);
		fit.sum += weight;
		fit.y += weight * points->y[i];
		for (int f = 0; f < N_FAMILIES; f++) {
			fit.phi[f] += weight * phi[f];
			fit.phi_phi[f] += weight * phi[f] * phi[f];
			fit.phi_y[f] += weight * phi[f] * points->y[i];
		}
	}
	for (int f = 0; f < N_FAMILIES; f++)
		fit_to_go(points, &fit, (enum family)f, &to_go[f], &limit[f]);
	ret[0] = to_go[LOGARITHM];
	ret[1] = to_go[ROOT];
	ret[2] = limit[ROOT];
	ret[3] = to_go[INVERSE];
	ret[4] = limit[INVERSE];
	ret[5] = to_go[SQUARE];
	ret[6] = to_go[EXPONENTIAL];
	ret[7] = limit[EXPONENTIAL];
}

/* A power law towards 0: a line in log-log coordinates. Only for positive values. */
static double power_to_go(const struct points *points, double level)
{
	double n = points->n - points->fitted, sum_x = 0, sum_y = 0, xx = 0, xy = 0;

	if (points->target <= 0 || level <= 0)
		return 5;
	for (uint32_t i = points->fitted; i < points->n; i++) {
		double x = points->log_z[i], y;

		if (points->y[i] <= 0)
			return 5;
		y = log(points->y[i] / level);
		sum_x += x;
		sum_y += y;
		xx += x * x;
		xy += x * y;
	}
	xx -= sum_x * sum_x / n;
	xy -= sum_x * sum_y / n;
	if (!(xy < -1e-6 * xx))
		return 5;
	return log_to_go(exp(clip(log(level / points->target) * xx / -xy, -20, 20)));
}

/* The mean of what was reported around z, by the nearest point where there was nothing. */
static double mean_around(const struct points *points, double z)
{
	double sum = 0, nearest = points->y[0], distance = INFINITY;
	uint32_t n = 0;

	for (uint32_t i = 0; i < points->n && points->z[i] <= z + 0.05; i++) {
		if (points->z[i] >= z - 0.05) {
			sum += points->y[i];
			n++;
		}
		if (fabs(points->z[i] - z) < distance) {
			distance = fabs(points->z[i] - z);
			nearest = points->y[i];
		}
	}
	return n > 0 ? sum / n : nearest;
}

static uint32_t best_of(const struct points *points)
{
	uint32_t best = 0;

	for (uint32_t i = 1; i < points->n; i++)
		if (points->y[i] < points->y[best])
			best = i;
	return best;
}

void shape_of(const struct history *history, double target, bool is_raised, double window_s,
	double ret[static N_FEATURES])
{
	struct points points;
	struct line tenth, fifth, half;
	double level, gap, covered;
	uint32_t n, best;

	points_read(&points, history, target, is_raised);
	n = points.n;
	best = best_of(&points);
	tenth = line_through_last(&points, 0.1);
	fifth = line_through_last(&points, 0.2);
	half = line_through_last(&points, 0.5);
	level = mean_from(&points, last_part(&points, 0.1, 3));
	if (n >= 8)
		level = (level + fifth.end) / 2;
	gap = fmax((level - points.target) / points.way, 0.2 * points.noise / points.way);
	covered = clip(1 - gap, -3, 0.9999);

	ret[0] = log(n);
	ret[1] = clip(log(window_s / ((double)history->cpu_ns[n - 1] * 1e-9)), -3, 6);
	ret[2] = covered;
	ret[3] = log(fmax(gap, 0.001));
	ret[4] = covered <= 0.0067 ? 5 : log(fmax(gap, 0.001) / covered);
	ret[5] = line_to_go(&points, &fifth, gap);
	ret[6] = line_to_go(&points, &half, gap);
	ret[7] = line_to_go(&points, &tenth, gap);
	ret[8] = clip(-fifth.slope / fifth.slope_error, -10, 20);
	ret[9] = clip(-half.slope / half.slope_error, -10, 30);
	ret[10] = log(points.noise / points.way);
	ret[11] = asinh((level - points.target) / points.noise);
	ret[12] = asinh((points.y[best] - points.target) / points.noise);
	ret[13] = (double)(n - 1 - best) / n;
	ret[14] = clip(log(fabs(points.target) / fabs(points.y[0])), -6, 1);
	fit_families(&points, &ret[15]);
	ret[23] = power_to_go(&points, level);
	ret[24] = clip((mean_around(&points, 0.1) - level) / points.way, -1, 3);
	ret[25] = clip((mean_around(&points, 0.25) - level) / points.way, -1, 3);
	ret[26] = clip((mean_around(&points, 0.5) - level) / points.way, -1, 3);
	ret[27] = clip((mean_around(&points, 0.75) - level) / points.way, -1, 3);
	ret[28] = clip((half.end - fifth.end) / points.noise, -5, 5);
	ret[29] = clip((points.y[n - 1] - level) / points.noise, -4, 4);
	for (int i = 0; i < N_FEATURES; i++)
		if (!isfinite(ret[i]))
			ret[i] = 0;
}
