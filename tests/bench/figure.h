/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "nsec.h"

/* What the benchmarks share: the clock, the median, and the one line a figure that they print,
 * `name value limit ok|short`. */

static inline uint64_t bench_now_ns(void)
{
	struct timespec now;

	(void)clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * NSEC_PER_SEC + (uint64_t)now.tv_nsec;
}

static inline int bench_compare(const void *a, const void *b)
{
	const double x = *(const double *)a, y = *(const double *)b;

	return (x > y) - (x < y);
}

/* Sorts the values. n > 0. */
static inline double bench_median(double values[], size_t n)
{
	qsort(values, n, sizeof(values[0]), bench_compare);
	return values[n / 2];
}

/* Prints a figure that must not be above its limit; true where it is not. */
static inline bool bench_at_most(const char *name, double value, double limit, const char *unit)
{
	bool is_ok = value <= limit;

	(void)printf(
		"%s %.4g%s %.4g%s %s\n", name, value, unit, limit, unit, is_ok ? "ok" : "short");
	(void)fflush(stdout);
	return is_ok;
}

/* The same for one that must not be below it. */
static inline bool bench_at_least(const char *name, double value, double limit, const char *unit)
{
	bool is_ok = value >= limit;

	(void)printf(
		"%s %.4g%s %.4g%s %s\n", name, value, unit, limit, unit, is_ok ? "ok" : "short");
	(void)fflush(stdout);
	return is_ok;
}
