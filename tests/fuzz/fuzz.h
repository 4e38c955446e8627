/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

/* What every driver is made of: the modes that it tests (fuzz_readers.c, fuzz_feeds.c, fuzz_page.c),
 * and something that feeds them (libFuzzer, fuzz_corpus.c, fuzz_seeds.c). */

struct fuzz_mode {
	const char *name;
	/* Reads one input; aborts where a contract is broken. `data` is never NULL. */
	void (*run)(const char *data, size_t length);
};

/* The driver's, ended by one without a name. */
extern const struct fuzz_mode fuzz_modes[];

/* Chooses the mode. 0, or -EINVAL. */
int fuzz_choose(const char *mode);

/* Feeds one input to the mode (libFuzzer's entry). Returns 0. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t length);

/* libFuzzer's start: takes the mode from the environment variable FUZZ_MODE; a driver with a single
 * mode needs none. */
int LLVMFuzzerInitialize(int *argc, char ***argv);

#define CHECK(fact)                                                           \
	do {                                                                  \
		if (!(fact)) {                                                \
			(void)fprintf(stderr, "broken promise: %s\n", #fact); \
			abort();                                              \
		}                                                             \
	} while (0)
