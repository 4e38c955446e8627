/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Which amounts can all be given, in whole numbers: a flow from jobs through intervals of time.
 *
 * Interval i has room[i] for all jobs together, and most[k * n_intervals + i] for job k, 0 where it is not
 * there. A job is in with all that it needs, or not at all. */

struct fit_all;

/* Both arrays are kept by pointer. need: n_jobs. 0 or -ENOMEM. */
int fit_all_new(struct fit_all **ret_fit, size_t n_jobs, size_t n_intervals, const uint64_t need[],
	const uint64_t most[], const uint64_t room[]);
struct fit_all *fit_all_free(struct fit_all *fit);

/* Empty again. */
void fit_all_clear(struct fit_all *fit);

/* Takes the job in as well, if then all that are in can still be given. Where not, it is left out, and
 * ret_conflict (n_jobs, or NULL) are jobs of which not all can be given: itself and some that are in. */
bool fit_all_add(struct fit_all *fit, size_t job, bool ret_conflict[]);
