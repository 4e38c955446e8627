// SPDX-License-Identifier: GPL-2.0-or-later
#include "summary.h"

#include <assert.h>
#include <errno.h>
#include <math.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "cleanup.h"

/* Sums up a study.
 *
 * A bundle is what is drawn: tasks of one bundle share its budget and are not independent, so that means
 * and intervals are over bundles, each with the same weight, however many tasks it has. For the same
 * reason a part (used / budget) is that of each bundle first, and the mean of those.
 *
 * Policies are compared on the same bundles: the interval of the mean difference is much narrower than
 * the two intervals of the means let one think. Times to target are comparable only for tasks that
 * every policy gets there; those that only one reaches are mostly long. So this mean is over
 * tasks, and all that is kept of a bundle for it is a sum. */

/* What is kept of one bundle under one policy. */
struct entry {
	double kappa, kappa_star, data_throughput, used_part, learned_part;
};

struct summary {
	size_t n_policies, n_room; /* entries: bundles times policies */
	size_t n_added;
	uint64_t n_tasks, n_common;
	struct entry *entries;
	double *to_target; /* sums over the common tasks, by policy */
	/* Of the bundle that is being added: n_policies times the times of its tasks. */
	double *times;
	size_t times_room;
};

int summary_new(struct summary **ret_summary, size_t n_bundles, size_t n_policies)
{
	struct summary *summary = calloc(1, sizeof(*summary));

	assert(n_policies > 0);
	if (!summary)
		return -ENOMEM;
	summary->n_policies = n_policies;
	summary->n_room = n_bundles * n_policies;
	summary->entries = calloc(
		summary->n_room > 0 ? summary->n_room : 1, sizeof(summary->entries[0]));
	summary->to_target = calloc(n_policies, sizeof(summary->to_target[0]));
	if (!summary->entries || !summary->to_target) {
		(void)summary_free(summary);
		return -ENOMEM;
	}
	*ret_summary = summary;
	return 0;
}

struct summary *summary_free(struct summary *summary)
{
	if (!summary)
		return NULL;
	free(summary->entries);
	free(summary->to_target);
	free(summary->times);
	free(summary);
	return NULL;
}

static double part(double some, double all)
{
	return all > 0 ? some / all : NAN;
}

static int keep_times(struct summary *summary, const struct summary_figures *figures, size_t policy)
{
	size_t n = summary->n_policies * figures->n_tasks;

	if (n > summary->times_room) {
		double *times = reallocarray(summary->times, n, sizeof(times[0]));

		if (!times)
			return -ENOMEM;
		summary->times = times;
		summary->times_room = n;
	}
	if (figures->n_tasks > 0)
		memcpy(summary->times + policy * figures->n_tasks, figures->to_target,
			figures->n_tasks * sizeof(summary->times[0]));
	return 0;
}

/* The bundle is there under every policy. */
static void count_common(struct summary *summary, uint32_t n_tasks)
{
	for (uint32_t task = 0; task < n_tasks; task++) {
		bool is_common = true;

		for (size_t p = 0; p < summary->n_policies; p++)
			is_common &= !isnan(summary->times[p * n_tasks + task]);
		if (!is_common)
			continue;
		summary->n_common++;
		for (size_t p = 0; p < summary->n_policies; p++)
			summary->to_target[p] += summary->times[p * n_tasks + task];
	}
	summary->n_tasks += n_tasks;
}

int summary_add(struct summary *summary, const struct summary_figures *figures)
{
	size_t policy = summary->n_added % summary->n_policies;

	assert(summary->n_added < summary->n_room);
	if (keep_times(summary, figures, policy) < 0)
		return -ENOMEM;
	summary->entries[summary->n_added++] = (struct entry){
		.kappa = part(figures->n_learned, figures->n_tasks),
		.kappa_star = figures->kappa_star,
		.data_throughput = figures->data_throughput,
		.used_part = part(figures->used_seconds, figures->budget_seconds),
		.learned_part = part(figures->learned_seconds, figures->used_seconds),
	};
	if (policy == summary->n_policies - 1)
		count_common(summary, figures->n_tasks);
	return 0;
}

size_t summary_n_bundles(const struct summary *summary)
{
	return summary->n_added / summary->n_policies;
}

uint64_t summary_n_tasks(const struct summary *summary)
{
	return summary->n_tasks;
}

uint64_t summary_n_common(const struct summary *summary)
{
	return summary->n_common;
}

static const struct entry *entry_at(const struct summary *summary, size_t bundle, size_t policy)
{
	return &summary->entries[bundle * summary->n_policies + policy];
}

/* A mean in the making, of what is a number. */
struct mean {
	double sum;
	size_t n;
};

static void mean_add(struct mean *mean, double value)
{
	if (isnan(value))
		return;
	mean->sum += value;
	mean->n++;
}

static double mean_get(const struct mean *mean)
{
	return mean->n > 0 ? mean->sum / (double)mean->n : NAN;
}

/* The numbers among the values of a policy's bundles, and against those of the first. */
static int row_intervals(
	const struct summary *summary, size_t policy, double scratch[], struct summary_row *row)
{
	size_t n_bundles = summary_n_bundles(summary), n = 0;

	for (size_t i = 0; i < n_bundles; i++)
		if (!isnan(entry_at(summary, i, policy)->kappa))
			scratch[n++] = entry_at(summary, i, policy)->kappa;
	row->n_bundles = n;
	if (bootstrap_mean(scratch, n, &row->kappa) < 0)
		return -ENOMEM;
	n = 0;
	for (size_t i = 0; i < n_bundles; i++) {
		double difference = entry_at(summary, i, policy)->kappa -
			entry_at(summary, i, 0)->kappa;

		if (isnan(difference))
			continue;
		scratch[n++] = difference;
		row->n_better += difference > 0;
		row->n_worse += difference < 0;
	}
	row->n_equal = n - row->n_better - row->n_worse;
	return bootstrap_mean(scratch, n, &row->difference);
}

static void row_means(const struct summary *summary, size_t policy, struct summary_row *row)
{
	struct mean star = {0}, of_known = {0}, throughput = {0}, used = {0}, learned = {0};

	for (size_t i = 0; i < summary_n_bundles(summary); i++) {
		const struct entry *entry = entry_at(summary, i, policy);

		mean_add(&throughput, entry->data_throughput);
		mean_add(&used, entry->used_part);
		mean_add(&learned, entry->learned_part);
		mean_add(&star, entry->kappa_star);
		if (!isnan(entry->kappa_star))
			mean_add(&of_known, entry->kappa);
	}
	row->kappa_star = mean_get(&star);
	row->part_of_star = part(mean_get(&of_known), row->kappa_star);
	row->data_throughput = mean_get(&throughput);
	row->used_part = mean_get(&used);
	row->learned_part = mean_get(&learned);
	row->to_target = part(summary->to_target[policy], (double)summary->n_common);
}

int summary_rows(const struct summary *summary, struct summary_row ret_rows[])
{
	size_t n_bundles = summary_n_bundles(summary);
	_cleanup_free_ double *scratch = calloc(n_bundles > 0 ? n_bundles : 1, sizeof(scratch[0]));

	if (!scratch)
		return -ENOMEM;
	for (size_t p = 0; p < summary->n_policies; p++) {
		struct summary_row row = {0};

		if (row_intervals(summary, p, scratch, &row) < 0)
			return -ENOMEM;
		row_means(summary, p, &row);
		ret_rows[p] = row;
	}
	return 0;
}
