/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

#include <stdio.h>

#include "bundle.h"
#include "governor.h"

/* The result of a run, real or simulated: the JSON object of coregov.bundle(5), and the table that a
 * person reads. */

struct result_setup {
	const struct bundle *bundle;
	const struct governor *governor; /* NULL: somebody else's had the tasks, so here is told */
	const struct task_status *tasks; /* what became of each, */
	const struct governor_totals *totals; /* and the sums; what is not known is nan, or 0 */
	const char *policy, *enforcer, *meter, *guarantee;
	const double
		*parameters; /* of the policy, beside its table; NULL: the usual, or not known */
	const double *kappa_star; /* the best there could have been; NULL, or nan: not known */
};

/* Thread throughput: learned / tasks; NAN for no tasks. */
double result_kappa(const struct result_setup *setup);
/* used / (capacity x slots x slot length); NAN for no slots. */
double result_data_throughput(const struct result_setup *setup);
/* How many learned. */
size_t result_learned(const struct result_setup *setup);

/* The JSON text on one line without a newline; given back by free(). NULL: out of memory. */
char *result_json(const struct result_setup *setup);

/* The table, and a line of sums. */
void result_print(const struct result_setup *setup, FILE *to);
