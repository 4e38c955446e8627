/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

#include "shape.h"
#include "policy.h"

/* How much CPU time a task still needs to meet its target, as a distribution that includes "never".
 *
 * The chance that `need_s[i]` more CPU-seconds, counted from the moment when the task had used
 * `used_s`, are enough is `chance[i]`; both rise strictly (weakly: chance), start from an unwritten
 * (0, 0), and are linear in between. What chance[n_points - 1] lacks to 1 is "never". */

#define FORECAST_POINTS_MAX 24

struct forecast {
	double used_s;
	uint32_t n_points; /* >= 1 */
	double need_s[FORECAST_POINTS_MAX];
	double chance[FORECAST_POINTS_MAX];
};

/* What is thought of a task that has reported nothing: its need is log-normal around `part` of its window,
 * with `spread` as the standard deviation of log(need), and it gets there at all with `chance`. */
struct forecast_unseen {
	double part;   /* > 0 */
	double spread; /* > 0 */
	double chance; /* in [0, 1] */
};

/* What holds where no policy says otherwise. */
#define UNSEEN_PART_USUAL 0.18
#define UNSEEN_SPREAD_USUAL 1.6
#define UNSEEN_CHANCE_USUAL 0.875

/* From the task's reports; from its window alone where there is none (or none after any CPU time).
 * Depends on the history, the target and the window, not on the CPU time used since the newest
 * report: it is good until the next report. Linear in the points of the history. */
void forecast_make(const struct policy_task *task, const struct forecast_unseen *unseen,
	struct forecast *ret_forecast);

/* Multiplies the odds of "never" by a number > 0, the odds among the rest staying what they are. */
void forecast_doubt(struct forecast *forecast, double odds);

/* The CPU time from now, of at most cap_s, with which `part` of the chance is won that there is up to cap_s;
 * 0 where there is none. part: in (0, 1]. */
double forecast_quantile(const struct forecast *forecast, double cpu_s, double cap_s, double part);

/* The forecast given that the task has used cpu_s and is not there yet, cut at cap_s (> 0) of more
 * CPU time: ret_need_s and ret_chance get up to FORECAST_POINTS_MAX points as in the struct, with
 * need_s counted from now. Returns how many: 0 where the forecast sees no chance at all. */
uint32_t forecast_from_now(const struct forecast *forecast, double cpu_s, double cap_s,
	double ret_need_s[static FORECAST_POINTS_MAX],
	double ret_chance[static FORECAST_POINTS_MAX]);
