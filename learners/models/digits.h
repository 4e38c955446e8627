/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "fault.h"

#define DIGITS_PIXELS 64
#define DIGITS_CLASSES 10
#define DIGITS_LEVELS 17 /* a pixel is 0 .. 16 */

/* Images of handwritten digits and what they show. */
struct digits_part {
	double *pixels;  /* owned; n x DIGITS_PIXELS, 0 .. 1 */
	uint8_t *levels; /* owned; the same, 0 .. 16 */
	uint8_t *labels; /* owned; 0 .. 9 */
	size_t n;
};

/* Every fourth image is held out: no model sees it in training. */
struct digits {
	struct digits_part train;
	struct digits_part held_out;
};

/* Reads digits.csv. 0, or a negative errno as numbers_read() gives. */
int digits_read(const char *directory, struct digits *ret_digits, struct fault *fault);
void digits_done(struct digits *digits); /* a zeroed one is fine */
