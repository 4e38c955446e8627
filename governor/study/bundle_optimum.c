// SPDX-License-Identifier: GPL-2.0-or-later
#include "bundle_optimum.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>

#include "cleanup.h"
#include "optimum.h"

/* Of the search tree: twenty tasks take a few, a hundred these in seconds. */
#define NODES_MAX 1000

int bundle_optimum(const struct bundle *bundle, double *ret_kappa_star, struct fault *fault)
{
	size_t n_steps = bundle->budget.n_steps;
	_cleanup_free_ struct optimum_job *jobs = calloc(bundle->n_tasks + 1, sizeof(jobs[0]));
	_cleanup_free_ struct optimum_budget *budget = calloc(n_steps + 1, sizeof(budget[0]));
	struct optimum optimum;
	int r;

	*ret_kappa_star = NAN;
	if (!jobs || !budget)
		return fault_errno(fault, -ENOMEM, "optimum of '%s'", bundle->path);
	if (bundle->n_tasks == 0)
		return 0;
	for (size_t i = 0; i < bundle->n_tasks; i++) {
		const struct bundle_task *task = &bundle->tasks[i];

		jobs[i] = (struct optimum_job){
			.begin_ns = task->begin_ns,
			.deadline_ns = task->deadline_ns,
			.need_ns = curve_need(&task->curve, &task->target),
			.threads = task->threads,
		};
	}
	for (size_t i = 0; i < n_steps; i++)
		budget[i] = (struct optimum_budget){
			.from_ns = bundle->budget.steps[i].from_ns,
			.cpus = bundle->budget.steps[i].share.number,
		};
	r = optimum_find(jobs, bundle->n_tasks, budget, n_steps, NODES_MAX, &optimum,
		/* ret_is_chosen= */ NULL, fault);
	if (r < 0)
		return r == -EIO ? 0 : r; /* the solver could not say: it is not known, then */
	if (optimum.n_best == optimum.n_bound)
		*ret_kappa_star = (double)optimum.n_best / (double)bundle->n_tasks;
	return 0;
}
