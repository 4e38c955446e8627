// SPDX-License-Identifier: GPL-2.0-or-later
#include "remaining.h"

#include <math.h>

/* The fit of Optimus, and how far along it the target is. */

double remaining_loss(const struct policy_task *task, double value)
{
	return task->is_raised ? -value : value;
}

static double least_floor(const struct policy_task *task, const struct fit_points *points)
{
	double target = remaining_loss(task, task->target);

	if (!task->is_raised && points->least >= 0 && target >= 0)
		return 0;
	return fmin(points->least, target) - points->range;
}

void remaining_learn(
	struct remaining *remaining, const struct policy_task *task, double third_weight)
{
	struct fit_points points;

	if (remaining->n_reports == task->history->n_reports)
		return;
	remaining->n_reports = task->history->n_reports;
	remaining->fit = (struct fit){.form = FIT_NONE};
	if (fit_collect(task, fit_weight_thirds, third_weight, &points))
		fit_inverse(&points, 1, least_floor(task, &points), &remaining->fit);
}

double remaining_need(const struct remaining *remaining, const struct policy_task *task)
{
	double cpu_s = (double)task->cpu_ns * 1e-9;
	double each_s = remaining->fit.newest_s / (double)task->history->n_reports;

	return fmax(fit_reach(&remaining->fit, remaining_loss(task, task->target)) - cpu_s, each_s);
}
