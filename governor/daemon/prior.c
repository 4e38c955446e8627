// SPDX-License-Identifier: GPL-2.0-or-later
#include "prior.h"

#include <math.h>
#include <string.h>

/* Less than 0, 0 or more as `a` is easier to reach than `b`, as hard, or harder. */
static int compare(const struct target *a, const struct target *b)
{
	double harder = a->is_raised ? a->value - b->value : b->value - a->value;

	if (harder > 0 || harder < 0)
		return harder > 0 ? 1 : -1;
	return (a->in_a_row > b->in_a_row) - (a->in_a_row < b->in_a_row);
}

bool prior_of_run(const struct prior_run *run, const struct target *wanted, struct prior *ret_prior)
{
	int harder = compare(&run->target, wanted);

	*ret_prior = (struct prior){0};
	if (strcmp(run->target.metric, wanted->metric) != 0 ||
		run->target.is_raised != wanted->is_raised || !(run->cpu_s > 0))
		return false;
	if (run->outcome == OUTCOME_LEARNED && harder >= 0)
		ret_prior->enough_s = run->cpu_s;
	else if (run->outcome == OUTCOME_MISSED_DEADLINE && harder <= 0)
		ret_prior->tried_s = run->cpu_s;
	else if (run->outcome == OUTCOME_MISSED_TARGET && harder <= 0)
		ret_prior->tried_s = INFINITY;
	else
		return false;
	return true;
}

enum prospect prior_prospect(const struct prior *prior, double left_s)
{
	if (prior->enough_s > 0)
		return left_s >= prior->enough_s ? PROSPECT_LIKELY : PROSPECT_UNLIKELY;
	return prior->tried_s > 0 && left_s <= prior->tried_s ? PROSPECT_UNLIKELY
							      : PROSPECT_UNKNOWN;
}
