// SPDX-License-Identifier: GPL-2.0-or-later
#include "log_curve.h"

#include <assert.h>
#include <math.h>

/* From reports to points of a line in logarithms. Units are the task's own, so that nothing that is fitted
 * depends on how a loss is scaled or how long a step takes. */

#define VALUE_MOST 1e150 /* beyond it a report is taken for this; differences stay finite */
#define LEAST 1e-300
#define MARGIN 0.1 /* of the first distance to the target: where the least value comes to lie */

static double bounded(double value)
{
	return fmin(fmax(value, -VALUE_MOST), VALUE_MOST);
}

static double falling(const struct policy_task *task, double value)
{
	return bounded(task->is_raised ? -value : value);
}

static double log_of(double value, double shift)
{
	return log(fmax(value + shift, LEAST));
}

static uint32_t first_with_cpu(const struct history *history)
{
	return history->n_points > 0 && history->cpu_ns[0] == 0 ? 1 : 0;
}

static void begin(struct log_curve *curve, const struct policy_task *task, uint32_t first)
{
	const struct history *history = task->history;
	double target = falling(task, task->target), one = falling(task, history->value[first]);
	double least = target, most = fabs(target), gap;

	for (uint32_t i = first; i < history->n_points; i++) {
		double value = falling(task, history->value[i]);

		least = fmin(least, value);
		most = fmax(most, fabs(value));
	}
	gap = fmax(fmax(fabs(one - target), 1e-3 * most), LEAST);
	*curve = (struct log_curve){
		.shift = least > 0 ? 0 : MARGIN * gap - least,
		.first_ns = history->cpu_ns[first],
	};
	curve->first_log = log_of(one, curve->shift);
	curve->target = log_of(target, curve->shift) - curve->first_log;
}

static bool is_replaced(const struct log_curve *curve, const struct history *history, uint32_t next)
{
	double value;

	if (next == 0 || history->cpu_ns[next - 1] != curve->last_ns)
		return false;
	value = history->value[next - 1];
	return value < curve->last_value || value > curve->last_value;
}

uint32_t log_curve_look(struct log_curve *curve, const struct policy_task *task, bool *ret_anew)
{
	const struct history *history = task->history;
	uint32_t first = first_with_cpu(history), next = history->n_points;

	*ret_anew = false;
	if (curve->n_reports == history->n_reports || first == history->n_points)
		return history->n_points;
	if (curve->n_taken > 0) {
		bool is_void;

		while (next > first && history->cpu_ns[next - 1] > curve->last_ns)
			next--;
		is_void = is_replaced(curve, history, next);
		for (uint32_t i = next; i < history->n_points && !is_void; i++)
			is_void = falling(task, history->value[i]) + curve->shift <= 0;
		if (!is_void) {
			curve->n_reports = history->n_reports;
			return next;
		}
	}
	begin(curve, task, first);
	curve->n_reports = history->n_reports;
	*ret_anew = true;
	return first;
}

void log_curve_take(struct log_curve *curve, const struct policy_task *task, uint32_t at,
	double *ret_x, double *ret_r)
{
	const struct history *history = task->history;

	assert(at < history->n_points && curve->first_ns > 0);
	curve->last_ns = history->cpu_ns[at];
	curve->last_value = history->value[at];
	curve->now = log_of(falling(task, history->value[at]), curve->shift) - curve->first_log;
	curve->n_taken++;
	*ret_x = log((double)curve->last_ns / (double)curve->first_ns);
	*ret_r = curve->now;
}

double log_curve_x(const struct log_curve *curve, double cpu_s)
{
	assert(curve->first_ns > 0);
	return log(fmax(cpu_s * 1e9 / (double)curve->first_ns, 1));
}
