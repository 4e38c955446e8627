/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "bootstrap.h"

/* What many bundles under one or more policies come to. Pure: figures go in, rows of a table come out. */

/* One bundle under one policy. */
struct summary_figures {
	uint32_t n_tasks, n_learned;
	double kappa_star;      /* the best that any policy could reach, nan where not known */
	double data_throughput; /* nan where nothing was there */
	double used_seconds,
		budget_seconds; /* CPU time, of all tasks, until the last had its outcome */
	double learned_seconds; /* of that, used by tasks that learned, up to their target */
	const double *
		to_target; /* n_tasks: seconds from a task's begin to its target, nan where it did not
	                          * learn */
};

/* A mean below is nan where there is nothing that it could be the mean of. */
struct summary_row {
	size_t n_bundles;                /* that have tasks: the others count in no mean */
	struct bootstrap_interval kappa; /* over these */
	double kappa_star;               /* mean over those for which it is known */
	double part_of_star;             /* the mean kappa of those / that */
	/* Means over the bundles for which there is such a number. */
	double data_throughput;
	double used_part;    /* used / budget */
	double learned_part; /* of what was used, by tasks that learned */
	double to_target;    /* seconds, mean over the tasks that learn under every policy */
	/* Against the first policy, bundle by bundle: kappa - kappa of the first. Of the first itself 0. */
	struct bootstrap_interval difference;
	size_t n_better, n_equal, n_worse;
};

struct summary;

/* 0 or -ENOMEM. n_policies > 0. */
int summary_new(struct summary **ret_summary, size_t n_bundles, size_t n_policies);
struct summary *summary_free(struct summary *summary);

/* The figures of the next: of the first bundle under the first policy, the second, ..., then of the second
 * bundle. A bundle has as many tasks under each. Copied. 0 or -ENOMEM. */
int summary_add(struct summary *summary, const struct summary_figures *figures);

/* Of all bundles that were added under every policy: into one row for each policy. 0 or -ENOMEM. */
int summary_rows(const struct summary *summary, struct summary_row ret_rows[]);
/* How many bundles these are, how many tasks they have, and how many of these learn under every policy. */
size_t summary_n_bundles(const struct summary *summary);
uint64_t summary_n_tasks(const struct summary *summary);
uint64_t summary_n_common(const struct summary *summary);
