/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "fault.h"

/* kappa*: the most tasks that any schedule, knowing all, could bring to their targets in time.
 *
 * Each of these gets its need between its begin and its deadline, no task more than its threads (nor than the
 * budget) at any moment, and all together never more than the budget. Schedules may interrupt and share CPUs,
 * and know no slots: so no psi can do better, and one that is bound to slots may not get so far. */

struct optimum_job {
	uint64_t begin_ns, deadline_ns;
	uint64_t need_ns; /* CPU time; UINT64_MAX: no amount is enough */
	double threads;   /* > 0 */
};

/* From here on the budget is so many CPUs, until the next one. */
struct optimum_budget {
	uint64_t from_ns;
	double cpus; /* >= 0 */
};

struct optimum {
	size_t n_best; /* of a schedule that was found */
	size_t n_bound; /* more than these are not possible; n_best where it is proved to be the best */
};

/* budget: n_steps >= 1, sorted by from_ns, the first at 0. Amounts are whole nanoseconds of CPU time, rounded
 * down, and so is what the answer goes by. n_nodes: how many of the search tree to look at; beyond, n_bound may be above n_best.
 * Thousands of jobs are not looked at: 0 and n_jobs is the answer then. ret_is_chosen: n_jobs, which make up n_best, or NULL. 0, -ENOMEM, or -EIO where the solver of
 * linear programs is not there or gives up, with a sentence. */
int optimum_find(const struct optimum_job jobs[], size_t n_jobs,
	const struct optimum_budget budget[], size_t n_steps, int n_nodes,
	struct optimum *ret_optimum, bool ret_is_chosen[], struct fault *fault);
