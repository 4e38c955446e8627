// SPDX-License-Identifier: GPL-2.0-or-later
#include "ratings.h"

#include <errno.h>
#include <stdlib.h>

#include "numbers.h"

/* 73,421 ratings 1 to 5 of 1,128 lecturers by 2,972 students (learners/data/README.md), sorted by
 * student: every tenth one held out leaves nearly all students and lecturers in training. */

#define HELD_OUT_EVERY 10
#define RATING_LEAST 1
#define RATING_MOST 5

enum { STUDENT, LECTURER, RATING, N_COLUMNS };

static void add(struct ratings *ratings, const uint16_t row[], size_t index)
{
	struct rating rating = {row[STUDENT], row[LECTURER], row[RATING]};

	if (rating.student >= ratings->n_students)
		ratings->n_students = rating.student + 1u;
	if (rating.lecturer >= ratings->n_lecturers)
		ratings->n_lecturers = rating.lecturer + 1u;
	if (index % HELD_OUT_EVERY == HELD_OUT_EVERY - 1) {
		ratings->held_out[ratings->n_held_out++] = rating;
	} else {
		ratings->train[ratings->n_train++] = rating;
		ratings->mean += rating.value;
	}
}

static int split(struct ratings *ratings, const struct numbers *numbers, struct fault *fault)
{
	ratings->train = calloc(numbers->n_rows, sizeof(ratings->train[0]));
	ratings->held_out = calloc(numbers->n_rows, sizeof(ratings->held_out[0]));
	if (!ratings->train || !ratings->held_out)
		return fault_errno(fault, -ENOMEM, "keep the ratings");
	for (size_t i = 0; i < numbers->n_rows; i++) {
		const uint16_t *row = numbers->values + i * N_COLUMNS;

		if (row[RATING] < RATING_LEAST || row[RATING] > RATING_MOST)
			return fault_set(fault, -EBADMSG,
				"ratings.csv:%zu: a rating is %d to %d, not %u", i + 2,
				RATING_LEAST, RATING_MOST, row[RATING]);
		add(ratings, row, i);
	}
	if (ratings->n_held_out == 0)
		return fault_set(fault, -EBADMSG, "ratings.csv: too few ratings to hold any out");
	ratings->mean /= (double)ratings->n_train;
	return 0;
}

int ratings_read(const char *directory, struct ratings *ret_ratings, struct fault *fault)
{
	struct ratings ratings = {0};
	struct numbers numbers;
	int r;

	r = numbers_read(directory, "ratings.csv", N_COLUMNS, &numbers, fault);
	if (r < 0)
		return r;
	r = split(&ratings, &numbers, fault);
	numbers_done(&numbers);
	if (r < 0) {
		ratings_done(&ratings);
		return r;
	}
	*ret_ratings = ratings;
	return 0;
}

void ratings_done(struct ratings *ratings)
{
	free(ratings->train);
	free(ratings->held_out);
	*ratings = (struct ratings){0};
}
