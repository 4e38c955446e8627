// SPDX-License-Identifier: GPL-2.0-or-later
#include "quota.h"

#include <assert.h>
#include <errno.h>
#include <math.h>

/* Arithmetic around quota and period.
 *
 * Ratios are compared by cross multiplication: a quota below 2^40 us and a period of at most 2^20
 * us stay within 64 bits, so that "not more than" is exact, as condition (1) wants it.
 *
 * The dead band exists because each write to a quota refills the group's runtime for the current
 * period, even with the same value: a write that changes the share by less than it gives away is
 * worse than none. 1 % is a fifth of the error that a task's use may have over ten seconds, and
 * whoever feeds back the error of one slot into the next crosses it when it adds up.
 *
 * Period and quota are two files on v1. Of the two intermediate states, old quota with new period
 * and new quota with old period, one is never larger than both ends: a longer period goes first, a
 * shorter one last.
 *
 * The kernel does not restart a period that is running: after a change from 1 s to 20 ms the group
 * got its first new quota when the old second was over. */

/* One part in this many. */
#define DEAD_BAND 100

/* The parent's period: short against a slot, long against the kernel's slices of 5 ms per CPU, so
 * that what is left in them at the end of a period is little. */
#define BUDGET_PERIOD_US 100000u

/* Of a group that waits for its first grant. */
#define LEAST_PERIOD_US 10000u

/* Above any real one, and small enough for the products. */
#define QUOTA_SANE_MAX (UINT64_C(1) << 40)

static uint64_t sane(uint64_t quota_us)
{
	return quota_us < QUOTA_SANE_MAX ? quota_us : QUOTA_SANE_MAX;
}

int quota_compare(const struct quota *a, const struct quota *b)
{
	uint64_t left, right;

	assert(a->period_us > 0 && b->period_us > 0);
	if (a->quota_us == QUOTA_UNLIMITED || b->quota_us == QUOTA_UNLIMITED)
		return (a->quota_us == QUOTA_UNLIMITED) - (b->quota_us == QUOTA_UNLIMITED);
	left = sane(a->quota_us) * b->period_us;
	right = sane(b->quota_us) * a->period_us;
	return (left > right) - (left < right);
}

bool quota_is_near(const struct quota *in_force, const struct quota *asked)
{
	uint64_t left, right, difference;

	if (in_force->quota_us == QUOTA_UNLIMITED || asked->quota_us == QUOTA_UNLIMITED)
		return in_force->quota_us == asked->quota_us;
	if (in_force->period_us / 2 >= asked->period_us ||
		asked->period_us / 2 >= in_force->period_us)
		return false;
	left = sane(in_force->quota_us) * asked->period_us;
	right = sane(asked->quota_us) * in_force->period_us;
	difference = left > right ? left - right : right - left;
	return difference <= right / DEAD_BAND;
}

bool quota_period_goes_first(const struct quota *from, const struct quota *to)
{
	return to->period_us > from->period_us;
}

struct quota quota_least(const struct quota *parent)
{
	uint64_t period_us = LEAST_PERIOD_US;

	if (parent->quota_us != QUOTA_UNLIMITED) {
		uint64_t fits_us = (QUOTA_MIN_US * parent->period_us + parent->quota_us - 1) /
			parent->quota_us;

		if (fits_us > period_us)
			period_us = fits_us < PERIOD_MAX_US ? fits_us : PERIOD_MAX_US;
	}
	return (struct quota){.quota_us = QUOTA_MIN_US, .period_us = (uint32_t)period_us};
}

struct quota quota_cap(const struct quota *asked, const struct quota *parent)
{
	struct quota capped = *asked;

	if (quota_compare(asked, parent) <= 0)
		return capped;
	capped.quota_us = sane(parent->quota_us) * asked->period_us / parent->period_us;
	return capped.quota_us < QUOTA_MIN_US ? quota_least(parent) : capped;
}

int quota_of_budget(double cpus, struct quota *ret_quota)
{
	uint32_t period_us = BUDGET_PERIOD_US;
	double quota_us;

	assert(isfinite(cpus) && cpus > 0);
	if (cpus * period_us < (double)QUOTA_MIN_US)
		period_us = PERIOD_MAX_US;
	/* 0.3 * 100000 is a little less than 30000 in binary: not to be rounded down to 29999. */
	quota_us = floor(cpus * period_us + 1e-6);
	if (quota_us < (double)QUOTA_MIN_US)
		return -ERANGE;
	if (quota_us > (double)QUOTA_SANE_MAX)
		quota_us = (double)QUOTA_SANE_MAX;
	*ret_quota = (struct quota){.quota_us = (uint64_t)quota_us, .period_us = period_us};
	return 0;
}
