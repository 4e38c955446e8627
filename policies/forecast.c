// SPDX-License-Identifier: GPL-2.0-or-later
#include "forecast.h"

#include <assert.h>
#include <math.h>

#include "net.h"

/* From a learning curve to a distribution of the remaining need.
 *
 * A small calibrated model turns the features of the curve into the chance of each class of
 * log(need / used). Working in units of the CPU time used so far makes one table serve tasks of
 * seconds and of weeks. The table was fitted to recorded curves by calibrate/calibrate.c.
 *
 * Before the first report nothing is known but the window that the user thought fit. Users allow
 * several times the need, so its median is put at a part of the window, with a wide spread: "a
 * little try is cheap, a long one is not". A task that uses CPU time and reports nothing loses worth
 * by itself, since all that lies behind it is taken out of the distribution.
 *
 * The same conditioning serves between reports. It stops at CERTAIN_MOST, so that a forecast that
 * was sure and wrong is not divided by nothing.
 *
 * A curve with reports that are not finite may have diverged for good or have skipped a beat. Its
 * chance is multiplied by the share of finite reports: soft, and mended by good reports. */

#define UNSEEN_Z_FIRST (-2.0)
#define UNSEEN_Z_STEP 0.3
#define UNSEEN_POINTS 14
#define CERTAIN_MOST 0.98
#define LAST_NEED 6.0 /* log(need / used) where the open bin is closed */
#define WINDOW_LEAST_S 1e-9

static_assert(UNSEEN_POINTS < FORECAST_POINTS_MAX && N_BINS < FORECAST_POINTS_MAX, "one to spare");

static double seconds(uint64_t ns)
{
	return (double)ns * 1e-9;
}

static double window_of(const struct policy_task *task)
{
	return fmax(seconds(task->deadline_ns - task->begin_ns), WINDOW_LEAST_S);
}

static void make_unseen(const struct policy_task *task, const struct forecast_unseen *unseen,
	struct forecast *forecast)
{
	double middle = log(unseen->part * window_of(task));

	forecast->used_s = 0;
	forecast->n_points = UNSEEN_POINTS;
	for (int i = 0; i < UNSEEN_POINTS; i++) {
		double z = UNSEEN_Z_FIRST + i * UNSEEN_Z_STEP;

		forecast->need_s[i] = exp(middle + unseen->spread * z);
		forecast->chance[i] = unseen->chance * erfc(-z / sqrt(2)) / 2;
	}
}

static double share_finite(const struct history *history)
{
	double finite = 1 + (double)history->n_reports;

	return finite / (finite + (double)history->n_not_finite);
}

void forecast_make(const struct policy_task *task, const struct forecast_unseen *unseen,
	struct forecast *forecast)
{
	const struct history *history = task->history;
	double features[N_FEATURES], sum = 0, streak_s;
	float narrow[N_FEATURES];
	struct net_answer answer;

	if (history->n_points == 0 || history->cpu_ns[history->n_points - 1] == 0) {
		make_unseen(task, unseen, forecast);
	} else {
		forecast->used_s = seconds(history->cpu_ns[history->n_points - 1]);
		forecast->n_points = N_BINS;
		shape_of(history, task->target, task->is_raised, window_of(task), features);
		for (int i = 0; i < N_FEATURES; i++)
			narrow[i] = (float)features[i];
		net_ask(&forecast_net, narrow, &answer);
		/* The class is about the first report that meets the target; the others follow. */
		streak_s = (task->in_a_row - 1) * forecast->used_s / (double)history->n_reports;
		for (int i = 0; i < N_BINS; i++) {
			double edge = i < N_BINS - 1 ? FIRST_EDGE + i * EDGE_STEP : LAST_NEED;

			sum += (double)answer.chance[i];
			forecast->need_s[i] = forecast->used_s * exp(edge) + streak_s;
			forecast->chance[i] = sum;
		}
	}
	for (uint32_t i = 0; i < forecast->n_points; i++)
		forecast->chance[i] *= share_finite(history);
}

void forecast_doubt(struct forecast *forecast, double odds)
{
	double likely = forecast->chance[forecast->n_points - 1];
	double scale = likely + (1 - likely) * odds;

	assert(odds > 0);
	for (uint32_t i = 0; i < forecast->n_points; i++)
		forecast->chance[i] /= scale;
}

/* The chance that `need_s` is enough, point i being the first that lies beyond it. */
static double chance_before(const struct forecast *forecast, uint32_t i, double need_s)
{
	double from_s = i > 0 ? forecast->need_s[i - 1] : 0;
	double from = i > 0 ? forecast->chance[i - 1] : 0;

	if (i == forecast->n_points)
		return from;
	return from +
		(forecast->chance[i] - from) * (need_s - from_s) / (forecast->need_s[i] - from_s);
}

static uint32_t first_beyond(const struct forecast *forecast, uint32_t i, double need_s)
{
	while (i < forecast->n_points && forecast->need_s[i] <= need_s)
		i++;
	return i;
}

uint32_t forecast_from_now(const struct forecast *forecast, double cpu_s, double cap_s,
	double ret_need_s[static FORECAST_POINTS_MAX],
	double ret_chance[static FORECAST_POINTS_MAX])
{
	double since_s = fmax(cpu_s - forecast->used_s, 0);
	uint32_t i = first_beyond(forecast, 0, since_s);
	uint32_t end = first_beyond(forecast, i, since_s + cap_s), n = 0;
	double behind = fmin(chance_before(forecast, i, since_s), CERTAIN_MOST);

	if (i == forecast->n_points)
		return 0;
	for (; i < end; i++, n++) {
		ret_need_s[n] = forecast->need_s[i] - since_s;
		ret_chance[n] = fmax(forecast->chance[i] - behind, 0) / (1 - behind);
	}
	if (end < forecast->n_points && (n == 0 || ret_need_s[n - 1] < cap_s)) {
		double at_cap = chance_before(forecast, end, since_s + cap_s);

		ret_need_s[n] = cap_s;
		ret_chance[n++] = fmax(at_cap - behind, 0) / (1 - behind);
	}
	return n;
}

double forecast_quantile(const struct forecast *forecast, double cpu_s, double cap_s, double part)
{
	double need_s[FORECAST_POINTS_MAX], chance[FORECAST_POINTS_MAX];
	uint32_t n = forecast_from_now(forecast, cpu_s, cap_s, need_s, chance), i = 0;
	double wanted, from_s, from;

	if (n == 0)
		return 0;
	wanted = part * chance[n - 1];
	while (i + 1 < n && chance[i] < wanted)
		i++;
	from_s = i > 0 ? need_s[i - 1] : 0;
	from = i > 0 ? chance[i - 1] : 0;
	if (chance[i] <= from)
		return need_s[i];
	return from_s + (need_s[i] - from_s) * fmin((wanted - from) / (chance[i] - from), 1);
}
