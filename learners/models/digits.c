// SPDX-License-Identifier: GPL-2.0-or-later
#include "digits.h"

#include <errno.h>
#include <stdlib.h>

#include "numbers.h"

/* The 1,797 images of the optdigits test set, 8 x 8 pixels of 17 levels (learners/data/README.md).
 * The images come in the order in which 13 people wrote them, so every fourth one is held out
 * instead of the last quarter: all writers are on both sides. */

#define HELD_OUT_EVERY 4

static int part_init(struct digits_part *part, size_t n_most)
{
	part->pixels = calloc(n_most * DIGITS_PIXELS, sizeof(part->pixels[0]));
	part->levels = calloc(n_most * DIGITS_PIXELS, sizeof(part->levels[0]));
	part->labels = calloc(n_most, sizeof(part->labels[0]));
	return part->pixels && part->levels && part->labels ? 0 : -ENOMEM;
}

static void part_done(struct digits_part *part)
{
	free(part->pixels);
	free(part->levels);
	free(part->labels);
	*part = (struct digits_part){0};
}

static int part_add(struct digits_part *part, const uint16_t row[])
{
	if (row[DIGITS_PIXELS] >= DIGITS_CLASSES)
		return -EBADMSG;
	for (size_t i = 0; i < DIGITS_PIXELS; i++) {
		if (row[i] >= DIGITS_LEVELS)
			return -EBADMSG;
		part->levels[part->n * DIGITS_PIXELS + i] = (uint8_t)row[i];
		part->pixels[part->n * DIGITS_PIXELS + i] = row[i] / (DIGITS_LEVELS - 1.0);
	}
	part->labels[part->n++] = (uint8_t)row[DIGITS_PIXELS];
	return 0;
}

static int split(struct digits *digits, const struct numbers *numbers, struct fault *fault)
{
	if (part_init(&digits->train, numbers->n_rows) < 0 ||
		part_init(&digits->held_out, numbers->n_rows) < 0)
		return fault_errno(fault, -ENOMEM, "keep the digits");
	for (size_t i = 0; i < numbers->n_rows; i++) {
		struct digits_part *part = i % HELD_OUT_EVERY == HELD_OUT_EVERY - 1
			? &digits->held_out
			: &digits->train;

		if (part_add(part, numbers->values + i * numbers->n_columns) < 0)
			return fault_set(fault, -EBADMSG,
				"digits.csv:%zu: a pixel is 0 to 16, a digit 0 to 9", i + 2);
	}
	if (digits->held_out.n == 0)
		return fault_set(fault, -EBADMSG, "digits.csv: too few images to hold any out");
	return 0;
}

int digits_read(const char *directory, struct digits *ret_digits, struct fault *fault)
{
	struct numbers numbers;
	struct digits digits = {0};
	int r;

	r = numbers_read(directory, "digits.csv", DIGITS_PIXELS + 1, &numbers, fault);
	if (r < 0)
		return r;
	r = split(&digits, &numbers, fault);
	numbers_done(&numbers);
	if (r < 0) {
		digits_done(&digits);
		return r;
	}
	*ret_digits = digits;
	return 0;
}

void digits_done(struct digits *digits)
{
	part_done(&digits->train);
	part_done(&digits->held_out);
}
