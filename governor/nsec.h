/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

#include <stdint.h>

/* Time is uint64_t nanoseconds everywhere: moments from the start of the bundle, spans, and CPU
 * time alike. Microseconds appear only in a quota and its period, because the kernel takes those. */

#define NSEC_PER_USEC UINT64_C(1000)
#define NSEC_PER_MSEC UINT64_C(1000000)
#define NSEC_PER_SEC UINT64_C(1000000000)
#define USEC_PER_MSEC UINT64_C(1000)
#define USEC_PER_SEC UINT64_C(1000000)

/* a - b, but 0 where that would be negative (counters that restart, clocks of two CPUs). */
static inline uint64_t nsec_sub(uint64_t a, uint64_t b)
{
	return a > b ? a - b : 0;
}

static inline double nsec_to_seconds(uint64_t ns)
{
	return (double)ns / (double)NSEC_PER_SEC;
}

/* value * numerator / denominator without overflow on the way, rounded down. denominator > 0. */
static inline uint64_t nsec_scale(uint64_t value, uint64_t numerator, uint64_t denominator)
{
	__extension__ unsigned __int128 product = value;

	return (uint64_t)(product * numerator / denominator);
}

/* The same, rounded up. */
static inline uint64_t nsec_scale_up(uint64_t value, uint64_t numerator, uint64_t denominator)
{
	__extension__ unsigned __int128 product = value;

	return (uint64_t)((product * numerator + (denominator - 1)) / denominator);
}
