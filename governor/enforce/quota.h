/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

#include <stdbool.h>
#include <stdint.h>

/* What the kernel calls bandwidth: so much CPU time in each period. Pure arithmetic on integers,
 * without I/O. */

#define QUOTA_UNLIMITED UINT64_MAX

/* The kernel's own limits (min_cfs_quota_period, max_cfs_quota_period in kernel/sched/core.c). */
#define QUOTA_MIN_US UINT64_C(1000)
#define PERIOD_MIN_US 1000u
#define PERIOD_MAX_US 1000000u

struct quota {
	uint64_t quota_us;  /* QUOTA_MIN_US or more, or QUOTA_UNLIMITED */
	uint32_t period_us; /* PERIOD_MIN_US .. PERIOD_MAX_US */
};

/* < 0, 0 or > 0 as `a` allows less CPU than `b`, the same, or more. Exact. */
int quota_compare(const struct quota *a, const struct quota *b);

/* True where `asked` is not worth a write while `in_force` holds: nearer than the dead band, in a
 * period less than twice as long or short. */
bool quota_is_near(const struct quota *in_force, const struct quota *asked);

/* `asked`, or what of it fits below `parent` in the same period, rounded down (v1 refuses a child
 * that may use more than its parent); where that would be less than QUOTA_MIN_US, quota_least(). */
struct quota quota_cap(const struct quota *asked, const struct quota *parent);

/* v1 has one file for the quota and one for the period. True where the period is to be written
 * first, so that what holds between the two writes is not more than the larger of old and new. */
bool quota_period_goes_first(const struct quota *from, const struct quota *to);

/* The least quota, in the shortest period (10 ms or more) in which it fits below `parent`. For a new
 * group: a period that is already running goes to its end before a new one counts, so a long one
 * would hold up the first grant. */
struct quota quota_least(const struct quota *parent);

/* The quota that is a budget, rounded down. 0, or -ERANGE where it is too small to be written. */
int quota_of_budget(double cpus, struct quota *ret_quota);
