// SPDX-License-Identifier: GPL-2.0-or-later
#include "fuzz.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* fuzz-seeds MODE COUNT LENGTH: feeds COUNT random inputs of up to LENGTH bytes, made from the seeds
 * 1 .. COUNT, so that a failure can be had again: a fourth argument names the one seed to run. */

/* splitmix64, as published by Vigna (2015). */
static uint64_t draw(uint64_t *state)
{
	uint64_t z = *state += UINT64_C(0x9e3779b97f4a7c15);

	z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
	z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
	return z ^ (z >> 31);
}

static void run(uint64_t seed, uint8_t *data, size_t most)
{
	uint64_t state = seed;
	const size_t length = (size_t)(draw(&state) % (most + 1));

	/* Half the bytes are small: large numbers alone are all refused for the same reason. */
	for (size_t i = 0; i < length; i++) {
		const uint64_t bits = draw(&state);

		data[i] = (uint8_t)((bits & 0x100) != 0 ? bits : bits % 4);
	}
	(void)LLVMFuzzerTestOneInput(data, length);
}

int main(int argc, char *argv[])
{
	const uint64_t n_seeds = argc > 2 ? strtoull(argv[2], NULL, 10) : 0;
	const size_t most = argc > 3 ? (size_t)strtoull(argv[3], NULL, 10) : 0;
	const uint64_t only = argc > 4 ? strtoull(argv[4], NULL, 10) : 0;
	uint8_t *data;

	if (n_seeds == 0 || most == 0 || fuzz_choose(argv[1]) < 0) {
		(void)fputs("usage: fuzz-seeds MODE COUNT LENGTH [SEED]\n", stderr);
		return 64;
	}
	data = malloc(most);
	if (!data)
		return EXIT_FAILURE;
	for (uint64_t seed = 1; seed <= n_seeds; seed++) {
		if (only != 0 && seed != only)
			continue;
		(void)fprintf(stderr, "\rseed %llu", (unsigned long long)seed);
		run(seed, data, most);
	}
	(void)fputs("\n", stderr);
	free(data);
	return EXIT_SUCCESS;
}
