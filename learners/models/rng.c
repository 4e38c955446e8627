// SPDX-License-Identifier: GPL-2.0-or-later
#include "rng.h"

#include <assert.h>

/* SplitMix64 (Steele, Lea, Flood 2014): a counter and a mixing function, 64 bits of state, good
 * enough for starting weights and the order of samples.  Any seed is fine, 0 too.  Doubles take the
 * upper 53 bits, so no rounding happens on the way. */

#define TWO_TO_MINUS_53 0x1p-53

void rng_init(struct rng *rng, uint64_t seed)
{
	rng->state = seed;
}

uint64_t rng_next(struct rng *rng)
{
	uint64_t z = rng->state += 0x9e3779b97f4a7c15u;

	z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
	z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
	return z ^ (z >> 31);
}

double rng_uniform(struct rng *rng, double least, double most)
{
	return least + (most - least) * ((double)(rng_next(rng) >> 11) * TWO_TO_MINUS_53);
}

size_t rng_below(struct rng *rng, size_t n)
{
	assert(n > 0);
	/* The bias of the remainder is n / 2^64: nothing here can see it. */
	return (size_t)(rng_next(rng) % n);
}

void rng_fill(struct rng *rng, double values[], size_t n, double range)
{
	for (size_t i = 0; i < n; i++)
		values[i] = rng_uniform(rng, -range, range);
}

void rng_shuffle(struct rng *rng, uint32_t order[], size_t n)
{
	for (size_t i = n; i > 1; i--) {
		size_t j = rng_below(rng, i);
		uint32_t kept = order[i - 1];

		order[i - 1] = order[j];
		order[j] = kept;
	}
}
