/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "fault.h"

struct rating {
	uint16_t student;
	uint16_t lecturer;
	double value; /* 1 .. 5 */
};

/* Ratings of lecturers by students; every tenth one is held out. */
struct ratings {
	struct rating *train; /* owned */
	size_t n_train;
	struct rating *held_out; /* owned */
	size_t n_held_out;
	size_t n_students;
	size_t n_lecturers;
	double mean; /* of the training part */
};

/* Reads ratings.csv. 0, or a negative errno as numbers_read() gives. */
int ratings_read(const char *directory, struct ratings *ret_ratings, struct fault *fault);
void ratings_done(struct ratings *ratings); /* a zeroed one is fine */
