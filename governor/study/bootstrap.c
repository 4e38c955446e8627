// SPDX-License-Identifier: GPL-2.0-or-later
#include "bootstrap.h"

#include <assert.h>
#include <errno.h>
#include <math.h>
#include <stdlib.h>

#include "cleanup.h"

/* Percentile bootstrap of a mean.
 *
 * The numbers are those of splitmix64 (G. Steele, D. Lea, C. Flood, Fast splittable pseudorandom number
 * generators, OOPSLA 2014): small enough to be written down, and the same on every machine, which those of
 * a C library are not. The upper half of one, times n, is the place that is drawn: with fewer than 2^32
 * values no place is likelier than another by more than n / 2^32.
 *
 * A point of the sorted means that falls between two of them is on the line between them, at
 * (resamples - 1) times its part from the first. */

#define SEED UINT64_C(20241)

uint64_t bootstrap_next(uint64_t *state)
{
	uint64_t z = *state += UINT64_C(0x9e3779b97f4a7c15);

	z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
	z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
	return z ^ (z >> 31);
}

static double mean_of(const double values[], size_t n)
{
	double sum = 0;

	for (size_t i = 0; i < n; i++)
		sum += values[i];
	return sum / (double)n;
}

static double resampled_mean(const double values[], size_t n, uint64_t *state)
{
	double sum = 0;

	for (size_t i = 0; i < n; i++)
		sum += values[((bootstrap_next(state) >> 32) * n) >> 32];
	return sum / (double)n;
}

static int compare(const void *a, const void *b)
{
	const double x = *(const double *)a, y = *(const double *)b;

	return (x > y) - (x < y);
}

static double point_of(const double sorted[], size_t n, double part)
{
	double at = part * (double)(n - 1);
	size_t below = (size_t)at;

	if (below + 1 >= n)
		return sorted[n - 1];
	return sorted[below] + (at - (double)below) * (sorted[below + 1] - sorted[below]);
}

int bootstrap_mean(const double values[], size_t n, struct bootstrap_interval *ret_interval)
{
	struct bootstrap_interval interval = {.mean = NAN, .low = NAN, .high = NAN};
	_cleanup_free_ double *means = NULL;
	uint64_t state = SEED;

	assert(n <= UINT32_MAX);
	if (n > 0)
		interval.mean = mean_of(values, n);
	if (n > 1) {
		means = malloc(BOOTSTRAP_RESAMPLES * sizeof(means[0]));
		if (!means)
			return -ENOMEM;
		for (size_t i = 0; i < BOOTSTRAP_RESAMPLES; i++)
			means[i] = resampled_mean(values, n, &state);
		qsort(means, BOOTSTRAP_RESAMPLES, sizeof(means[0]), compare);
		interval.low = point_of(means, BOOTSTRAP_RESAMPLES, (1 - BOOTSTRAP_CONFIDENCE) / 2);
		interval.high = point_of(
			means, BOOTSTRAP_RESAMPLES, (1 + BOOTSTRAP_CONFIDENCE) / 2);
	}
	*ret_interval = interval;
	return 0;
}
