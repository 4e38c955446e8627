/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

#include <stddef.h>
#include <stdint.h>

/* The readers under test, each fed with bytes as a file or an argument would hold them. */

/* Chooses the reader: ini, bundle, curve, schedule or quantity. 0, or -EINVAL. */
int fuzz_choose(const char *mode);

/* Reads one input with the chosen reader (libFuzzer's entry). Returns 0; aborts where a reader
 * breaks its contract. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t length);

/* libFuzzer's start: takes the mode from the environment variable FUZZ_MODE. */
int LLVMFuzzerInitialize(int *argc, char ***argv);
