// SPDX-License-Identifier: GPL-2.0-or-later
#include "samples.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "../shape.h"
#include "../history.h"

/* Tasks to learn from, made of recorded curves.
 *
 * Few workloads have recorded curves, so most tasks get a bent copy of one: its CPU time and its way
 * down are raised to a random power, and half are cut short. Reports are spaced evenly, their number
 * is log-uniform and their noise multiplicative, so neither tells where the curve came from. The
 * target is the best loss up to a random point of the curve; a quarter of the tasks get one that lies
 * below all that the curve reaches. The window is what users may allow: a little more than the need,
 * or some part of a much longer horizon. One task in eight is moved below 0, as an accuracy is that
 * has been negated. */

#define REPORTS_LEAST 50
#define REPORTS_MOST 500
#define PLAIN_PART 0.12 /* of the tasks keep their curve as recorded */
#define CPU_BEND 0.35   /* standard deviation of the log of the power */
#define LOSS_BEND 0.4
#define NEVER_PART 0.25
#define NEGATIVE_PART 0.125
#define NEED_MIDDLE_S 30.0
#define NEED_SPREAD 0.8
#define HORIZON_LEAST_S 60.0
#define HORIZON_MOST_S 800.0

struct task {
	size_t n, need; /* reports; the one that meets the target, n where none does */
	double cpu_s[REPORTS_MOST], loss[REPORTS_MOST];
	double target, window_s;
};

double chance_uniform(struct chance *chance, double least, double most)
{
	chance->state = chance->state * UINT64_C(6364136223846793005) +
		UINT64_C(1442695040888963407);
	return least + (most - least) * ((double)(chance->state >> 11) + 0.5) / 9007199254740992.0;
}

double chance_normal(struct chance *chance, double mean, double deviation)
{
	double radius = sqrt(-2 * log(chance_uniform(chance, 0, 1)));

	return mean + deviation * radius * cos(2 * M_PI * chance_uniform(chance, 0, 1));
}

static double log_uniform(struct chance *chance, double least, double most)
{
	return exp(chance_uniform(chance, log(least), log(most)));
}

static double loss_at(const struct recorded *curve, double cpu_s)
{
	size_t i = 1;
	double part;

	while (i + 1 < curve->n_rows && curve->cpu_s[i] < cpu_s)
		i++;
	part = (cpu_s - curve->cpu_s[i - 1]) / (curve->cpu_s[i] - curve->cpu_s[i - 1]);
	part = fmin(fmax(part, 0), 1);
	return curve->loss[i - 1] + part * (curve->loss[i] - curve->loss[i - 1]);
}

static double least(const double values[], size_t n)
{
	double best = values[0];

	for (size_t i = 1; i < n; i++)
		best = fmin(best, values[i]);
	return best;
}

/* Even reports along the curve, bent. */
static void report(struct task *task, const struct recorded *curve, struct chance *chance)
{
	bool is_plain = chance_uniform(chance, 0, 1) < PLAIN_PART;
	double end = curve->cpu_s[curve->n_rows - 1], lowest = least(curve->loss, curve->n_rows);
	double cpu_power = is_plain ? 1 : exp(chance_normal(chance, 0, CPU_BEND));
	double loss_power = is_plain ? 1 : exp(chance_normal(chance, 0, LOSS_BEND));
	double shift = chance_uniform(chance, -0.6, 1) * lowest, first = curve->loss[0] + shift;
	double cut = !is_plain && chance_uniform(chance, 0, 1) < 0.5
		? chance_uniform(chance, 0.5, 1)
		: 1;
	double noise = chance_uniform(chance, 0, 1) < 0.5 ? 0.01 : log_uniform(chance, 1e-5, 0.05);

	task->n = (size_t)lround(log_uniform(chance, REPORTS_LEAST, REPORTS_MOST));
	for (size_t i = 0; i < task->n; i++) {
		double z = (double)(i + 1) / (double)task->n;
		double loss = loss_at(curve, end * pow(z * cut, 1 / cpu_power));

		if (!is_plain && lowest > 0)
			loss = first * pow((loss + shift) / first, loss_power);
		task->cpu_s[i] = z;
		task->loss[i] = loss * exp(chance_normal(chance, 0, noise));
	}
}

/* False where the point to reach is hardly below the start: no user would call that a target. */
static bool set_target(struct task *task, struct chance *chance)
{
	size_t goal = (size_t)((double)task->n * chance_uniform(chance, 0.1, 0.95));

	task->target = least(task->loss, goal + 1);
	for (task->need = 0; task->loss[task->need] > task->target;)
		task->need++;
	return task->target < 0.95 * task->loss[0];
}

static void set_times(struct task *task, struct chance *chance)
{
	double need_s = exp(chance_normal(chance, log(NEED_MIDDLE_S), NEED_SPREAD));
	double scale = need_s / task->cpu_s[task->need];
	double horizon_s = log_uniform(chance, HORIZON_LEAST_S, HORIZON_MOST_S);

	for (size_t i = 0; i < task->n; i++)
		task->cpu_s[i] *= scale;
	task->window_s = fmax(chance_uniform(chance, 1.05, 2) * need_s + 2,
		chance_uniform(chance, 0.25, 1) * horizon_s);
}

static bool task_make(struct task *task, const struct recorded *curve, struct chance *chance)
{
	report(task, curve, chance);
	if (!set_target(task, chance))
		return false;
	set_times(task, chance);
	if (chance_uniform(chance, 0, 1) < NEVER_PART) {
		task->target = 0.97 * least(task->loss, task->n);
		task->need = task->n;
	}
	if (chance_uniform(chance, 0, 1) < NEGATIVE_PART) {
		double shift = chance_uniform(chance, 1, 2) * task->loss[0];

		task->target -= shift;
		for (size_t i = 0; i < task->n; i++)
			task->loss[i] -= shift;
	}
	return true;
}

static uint8_t class_of(const struct task *task, size_t stage)
{
	double used_s = task->cpu_s[stage - 1], edge;

	if (task->need == task->n)
		return N_BINS;
	edge = log((task->cpu_s[task->need] - used_s) / used_s);
	edge = ceil((edge - FIRST_EDGE) / EDGE_STEP);
	return (uint8_t)fmin(fmax(edge, 0), N_BINS - 1);
}

static int by_size(const void *a, const void *b)
{
	size_t one = *(const size_t *)a, other = *(const size_t *)b;

	return one < other ? -1 : one > other;
}

size_t samples_of_task(const struct recorded *curve, struct chance *chance,
	struct sample ret[static SAMPLES_A_TASK])
{
	struct history history = {0};
	struct task task;
	size_t stages[SAMPLES_A_TASK], most, n_reported = 0, n = 0;
	double features[N_FEATURES];

	if (!task_make(&task, curve, chance))
		return 0;
	most = task.need < task.n ? task.need : task.n - 1;
	if (most < 1)
		return 0;
	/* Half uniform and half log-uniform: early forecasts matter as much as late ones. */
	for (size_t i = 0; i < SAMPLES_A_TASK; i++) {
		double stage = i % 2 == 0 ? chance_uniform(chance, 1, (double)most + 1)
					  : log_uniform(chance, 1, (double)most + 1);

		stages[i] = (size_t)fmin(stage, (double)most);
	}
	qsort(stages, SAMPLES_A_TASK, sizeof(stages[0]), by_size);
	for (size_t i = 0; i < SAMPLES_A_TASK; i++) {
		if (i > 0 && stages[i] == stages[i - 1])
			continue;
		for (; n_reported < stages[i]; n_reported++)
			history_add(&history, (uint64_t)(task.cpu_s[n_reported] * 1e9),
				task.loss[n_reported]);
		shape_of(&history, task.target, /* is_raised= */ false, task.window_s, features);
		for (int f = 0; f < N_FEATURES; f++)
			ret[n].feature[f] = (float)features[f];
		ret[n++].class = class_of(&task, stages[i]);
	}
	return n;
}
