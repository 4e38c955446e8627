/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "fault.h"

#define TEXT_SYMBOLS_MAX 64

/* A text as numbers: symbols[i] is the index of its character among those that occur, in the order
 * of their codes. */
struct text {
	uint8_t *symbols; /* owned */
	size_t n;
	size_t n_train;   /* the first n_train are for training, the others are held out */
	size_t n_symbols; /* 2 .. TEXT_SYMBOLS_MAX */
};

#define TEXT_BYTES_MAX (64u << 20)
#define TEXT_BYTES_MIN 20000 /* windows of the models fit on both sides */

/* Reads opticks.txt; a line's end counts as a blank. 0, or -ENOENT, -EACCES, ... (cannot be read),
 * -EBADMSG (too short, too long or too many different characters), -ENOMEM. */
int text_read(const char *directory, struct text *ret_text, struct fault *fault);
void text_done(struct text *text); /* a zeroed one is fine */
