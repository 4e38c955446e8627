/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "fault.h"

/* A table of small whole numbers, read from CSV with a header line. */
struct numbers {
	uint16_t *values; /* owned; n_rows x n_columns */
	size_t n_rows;    /* >= 1 */
	size_t n_columns; /* as asked for */
};

#define NUMBERS_ROWS_MAX 1000000
#define NUMBERS_VALUE_MAX 9999

/* Reads directory/name. 0, or -ENOENT, -EACCES, ... (cannot be read), -EBADMSG (a row that has not
 * n_columns whole numbers 0 .. NUMBERS_VALUE_MAX: the sentence has file:line), -ENOMEM. */
int numbers_read(const char *directory, const char *name, size_t n_columns,
	struct numbers *ret_numbers, struct fault *fault);

void numbers_done(struct numbers *numbers); /* a zeroed one is fine */
