// SPDX-License-Identifier: GPL-2.0-or-later
#include "fit.h"

#include <assert.h>
#include <math.h>
#include <string.h>

/* Two families of falling curves, each with one number that has to be searched for and others that follow
 * from it in closed form. The search is a look at a few places, evenly in the logarithm, and then a
 * golden-section search around the best of these. All is done on values scaled to [0, 1]. */

#define N_LOOKS 10
#define N_SECTIONS 12
#define GOLDEN 0.6180339887498949

#define WEIGHT_LEAST 1e-9
#define RANGE_LEAST 1e-200 /* one over it is a number, too */
#define ROOM_LEAST 1e-6    /* between a floor and the least point, in their range */

double fit_weight_decay(uint32_t i, uint32_t n, double how)
{
	return fmax(pow(how, n - 1 - i), WEIGHT_LEAST);
}

double fit_weight_thirds(uint32_t i, uint32_t n, double how)
{
	double weight = 1;

	for (uint32_t third = 3 * i / n; third > 0; third--)
		weight *= how;
	return weight;
}

static void add_point(struct fit_points *points, double x, double y, double weight)
{
	points->x[points->n] = x;
	points->y[points->n] = y;
	points->weight[points->n++] = weight;
}

/* The mean of the reports from `from` up to before `end`. */
static void add_mean(struct fit_points *points, const struct policy_task *task, uint32_t from,
	uint32_t end, fit_weight weight, double how)
{
	const struct history *history = task->history;
	double x = 0, y = 0, sum = 0;

	for (uint32_t i = from; i < end; i++) {
		double counts = weight(i, history->n_points, how);

		x += counts * (double)history->cpu_ns[i];
		y += counts * history->value[i];
		sum += counts;
	}
	add_point(points, x / sum * 1e-9 / points->newest_s, task->is_raised ? -y / sum : y / sum,
		sum);
}

bool fit_collect(const struct policy_task *task, fit_weight weight, double how,
	struct fit_points *ret_points)
{
	const uint32_t half = FIT_POINTS_MAX / 2;
	uint32_t n = task->history->n_points, n_old = n > FIT_POINTS_MAX ? n - half : 0;
	double most = -INFINITY;

	ret_points->n = 0;
	ret_points->least = INFINITY;
	if (n < 3 || task->history->cpu_ns[n - 1] == 0)
		return false;
	ret_points->newest_s = (double)task->history->cpu_ns[n - 1] * 1e-9;
	for (uint32_t i = 0; i < half && n_old > 0; i++)
		add_mean(ret_points, task, i * n_old / half, (i + 1) * n_old / half, weight, how);
	for (uint32_t i = n_old; i < n; i++)
		add_mean(ret_points, task, i, i + 1, weight, how);
	for (uint32_t i = 0; i < ret_points->n; i++) {
		ret_points->least = fmin(ret_points->least, ret_points->y[i]);
		most = fmax(most, ret_points->y[i]);
	}
	ret_points->range = most - ret_points->least;
	return isfinite(ret_points->range) && ret_points->range > RANGE_LEAST &&
		ret_points->range > 1e-12 * fmax(fabs(most), fabs(ret_points->least));
}

/* y on [0, 1]. */
static double scaled(const struct fit_points *points, uint32_t i)
{
	return (points->y[i] - points->least) / points->range;
}

/* Solves the equations of the columns in `set` by elimination; false where they are not independent. */
static bool solve(double matrix[3][3], const double right[3], unsigned int set, double ret[3])
{
	double rows[3][4];
	uint32_t columns[3], n = 0;

	for (uint32_t i = 0; i < 3; i++) {
		ret[i] = 0;
		if (set & 1U << i)
			columns[n++] = i;
	}
	for (uint32_t i = 0; i < n; i++) {
		for (uint32_t j = 0; j < n; j++)
			rows[i][j] = matrix[columns[i]][columns[j]];
		rows[i][n] = right[columns[i]];
	}
	/* Positive definite where it can be solved: the pivots are in the diagonal. */
	for (uint32_t i = 0; i < n; i++) {
		if (!(rows[i][i] > 1e-12 * matrix[columns[i]][columns[i]]))
			return false;
		for (uint32_t k = i + 1; k < n; k++) {
			double factor = rows[k][i] / rows[i][i];

			for (uint32_t j = i; j <= n; j++)
				rows[k][j] -= factor * rows[i][j];
		}
	}
	for (uint32_t i = n; i-- > 0;) {
		double value = rows[i][n];

		for (uint32_t j = i + 1; j < n; j++)
			value -= rows[i][j] * ret[columns[j]];
		ret[columns[i]] = value / rows[i][i];
	}
	return true;
}

/* Least squares with all >= 0: the best of the sets of columns whose own solution is so. Exact, and with
 * three columns there are seven. */
static bool solve_not_negative(double matrix[3][3], const double right[3], double ret[3])
{
	double best = 0;

	for (unsigned int set = 1; set < 8; set++) {
		double values[3], gain = 0;

		if (!solve(matrix, right, set, values))
			continue;
		if (values[0] < 0 || values[1] < 0 || values[2] < 0)
			continue;
		for (uint32_t i = 0; i < 3; i++)
			gain += right[i] * values[i];
		if (gain > best) {
			best = gain;
			memcpy(ret, values, sizeof(values));
		}
	}
	return best > 0;
}

/* One place of a search: the curve there, as scaled, and its error, INFINITY where there is none. */
typedef void (*fit_look)(
	const struct fit_points *points, uint32_t degree, double place, struct fit *ret_fit);

static void look_inverse(
	const struct fit_points *points, uint32_t degree, double place, struct fit *ret_fit)
{
	double below = exp(place), matrix[3][3] = {{0}}, right[3] = {0}, values[3] = {0};
	double error = 0, sum = 0;

	*ret_fit = (struct fit){.form = FIT_NONE, .error = INFINITY};
	for (uint32_t i = 0; i < points->n; i++) {
		double x = points->x[i], above = scaled(points, i) + below;
		double weight = points->weight[i] * above * above * above * above;
		const double row[3] = {degree > 1 ? x * x : 0, x, 1};

		for (uint32_t j = 0; j < 3; j++) {
			for (uint32_t k = 0; k < 3; k++)
				matrix[j][k] += weight * row[j] * row[k];
			right[j] += weight * row[j] / above;
		}
	}
	if (!solve_not_negative(matrix, right, values) || values[0] + values[1] <= 0)
		return;
	for (uint32_t i = 0; i < points->n; i++) {
		double x = points->x[i];
		double off = scaled(points, i) + below -
			1 / ((values[0] * x + values[1]) * x + values[2]);

		error += points->weight[i] * off * off;
		sum += points->weight[i];
	}
	if (!isfinite(error)) /* it is not to be had at x = 0 */
		return;
	*ret_fit = (struct fit){
		.form = FIT_INVERSE,
		.floor = -below,
		.a = values[0],
		.b = values[1],
		.c = values[2],
		.error = error / sum,
	};
}

static void look_exponential(
	const struct fit_points *points, uint32_t degree, double place, struct fit *ret_fit)
{
	double rate = exp(place), e = 0, ee = 0, y = 0, ey = 0, sum = 0, error = 0, a, floor;

	(void)degree;
	*ret_fit = (struct fit){.form = FIT_NONE, .error = INFINITY};
	for (uint32_t i = 0; i < points->n; i++) {
		double weight = points->weight[i], power = exp(-rate * points->x[i]);

		sum += weight;
		e += weight * power;
		ee += weight * power * power;
		y += weight * scaled(points, i);
		ey += weight * power * scaled(points, i);
	}
	a = (sum * ey - e * y) / (sum * ee - e * e);
	if (!(a > 0) || !isfinite(a))
		return;
	floor = (y - a * e) / sum;
	for (uint32_t i = 0; i < points->n; i++) {
		double off = scaled(points, i) - floor - a * exp(-rate * points->x[i]);

		error += points->weight[i] * off * off;
	}
	*ret_fit = (struct fit){
		.form = FIT_EXPONENTIAL,
		.floor = floor,
		.a = a,
		.b = rate,
		.error = error / sum,
	};
}

static void keep_better(const struct fit *fit, struct fit *best)
{
	if (fit->error < best->error)
		*best = *fit;
}

static void search(const struct fit_points *points, fit_look look, uint32_t degree, double least,
	double most, struct fit *ret_best)
{
	double step = (most - least) / (N_LOOKS - 1), from, to, best_error = INFINITY;
	uint32_t best = 0;
	struct fit left, right;

	*ret_best = (struct fit){.form = FIT_NONE, .error = INFINITY};
	for (uint32_t i = 0; i < N_LOOKS; i++) {
		struct fit fit;

		look(points, degree, least + i * step, &fit);
		if (fit.error < best_error) {
			best_error = fit.error;
			best = i;
		}
		keep_better(&fit, ret_best);
	}
	from = fmax(least + (best - 1.0) * step, least);
	to = fmin(least + (best + 1.0) * step, most);
	look(points, degree, to - GOLDEN * (to - from), &left);
	look(points, degree, from + GOLDEN * (to - from), &right);
	for (uint32_t i = 0; i < N_SECTIONS; i++) {
		keep_better(&left, ret_best);
		keep_better(&right, ret_best);
		if (left.error <= right.error) {
			to = from + GOLDEN * (to - from);
			right = left;
			look(points, degree, to - GOLDEN * (to - from), &left);
		} else {
			from = to - GOLDEN * (to - from);
			left = right;
			look(points, degree, from + GOLDEN * (to - from), &right);
		}
	}
}

void fit_inverse(
	const struct fit_points *points, uint32_t degree, double least_floor, struct fit *ret_fit)
{
	/* The nearest and the farthest place below the least y, in its range. */
	double nearest = 0.01, farthest = 10, room = (points->least - least_floor) / points->range;

	assert(degree == 1 || degree == 2);
	farthest = fmin(farthest, fmax(room, ROOM_LEAST));
	nearest = fmin(nearest, farthest);
	search(points, look_inverse, degree, log(nearest), log(farthest), ret_fit);
	ret_fit->newest_s = points->newest_s;
	if (ret_fit->form == FIT_NONE)
		return;
	ret_fit->floor = points->least + ret_fit->floor * points->range;
	if (room >= ROOM_LEAST) /* rounding */
		ret_fit->floor = fmax(ret_fit->floor, least_floor);
	ret_fit->a /= points->range;
	ret_fit->b /= points->range;
	ret_fit->c /= points->range;
	ret_fit->error *= points->range * points->range;
}

void fit_exponential(const struct fit_points *points, struct fit *ret_fit)
{
	search(points, look_exponential, 1, log(0.1), log(100), ret_fit);
	ret_fit->newest_s = points->newest_s;
	if (ret_fit->form == FIT_NONE)
		return;
	ret_fit->floor = points->least + ret_fit->floor * points->range;
	ret_fit->a *= points->range;
	ret_fit->error *= points->range * points->range;
}

double fit_loss(const struct fit *fit, double cpu_s)
{
	double x = cpu_s / fit->newest_s;

	assert(fit->form != FIT_NONE);
	if (fit->form == FIT_EXPONENTIAL)
		return fit->floor + fit->a * exp(-fit->b * x);
	return fit->floor + 1 / ((fit->a * x + fit->b) * x + fit->c);
}

double fit_reach(const struct fit *fit, double loss)
{
	double above = loss - fit->floor, rise, x;

	if (fit->form == FIT_NONE || above <= 0)
		return INFINITY;
	if (fit->form == FIT_EXPONENTIAL)
		return fmax(log(fit->a / above) / fit->b, 0) * fit->newest_s;
	rise = 1 / above - fit->c; /* = a x^2 + b x */
	if (rise <= 0)
		return 0;
	/* No difference of near numbers, and no division by an a of 0. */
	x = 2 * rise / (fit->b + sqrt(fit->b * fit->b + 4 * fit->a * rise));
	return x * fit->newest_s;
}
