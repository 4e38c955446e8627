/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

#include <stddef.h>
#include <stdint.h>

/* Random numbers with a fixed seed: the same sequence on every machine. */
struct rng {
	uint64_t state;
};

void rng_init(struct rng *rng, uint64_t seed);
uint64_t rng_next(struct rng *rng);
double rng_uniform(struct rng *rng, double least, double most); /* [least, most) */
size_t rng_below(struct rng *rng, size_t n);                    /* 0 .. n - 1; n > 0 */

/* values[0 .. n) evenly from [-range, range). */
void rng_fill(struct rng *rng, double values[], size_t n, double range);
/* Puts order[0 .. n) into a random order (Fisher and Yates). */
void rng_shuffle(struct rng *rng, uint32_t order[], size_t n);
