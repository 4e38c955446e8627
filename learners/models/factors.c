// SPDX-License-Identifier: GPL-2.0-or-later
#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "cleanup.h"
#include "model.h"
#include "ratings.h"
#include "rng.h"

/* Matrix factorisation of ratings (Koren, Bell, Volinsky 2009): a rating is guessed as
 * mean + bias of the student + bias of the lecturer + product of their factors, and each rating in
 * turn pulls its own few weights along the gradient of
 *
 *     (error^2 + decay (the squares of the weights that took part)) / 2
 *
 * A step is 1/16 of the training ratings, in a new random order each epoch.  The loss is the root of
 * the mean squared error on the held-out ratings.
 *
 * A row of weights, for a student or a lecturer: the bias, then the factors.  Students come first. */

#define STEPS_PER_EPOCH 16
#define START_RANGE 0.1
#define PROBE_RATINGS 50

enum { LEARNING_RATE, DECAY, RANK };

static const struct setting settings[] = {
	[LEARNING_RATE] = {.name = "learning-rate",
		.about = "size of a step",
		.least = 1e-9,
		.most = 1,
		.standard = 0.0003},
	[DECAY] = {.name = "decay",
		.about = "pull of the weights towards 0",
		.least = 0,
		.most = 100,
		.standard = 0.05},
	[RANK] = {.name = "rank",
		.about = "factors of each student and lecturer",
		.least = 1,
		.most = 512,
		.standard = 64,
		.is_whole = true},
};

struct factors {
	struct learner learner; /* first: the model's functions get it */
	struct ratings ratings;
	struct rng rng;
	double rate, decay;
	size_t row;      /* weights in a row: 1 + rank */
	uint32_t *order; /* of the training ratings in this epoch */
	size_t n_taken;  /* of the order */
};

static struct learner *factors_close(struct learner *learner)
{
	struct factors *factors = (struct factors *)learner;

	if (!factors)
		return NULL;
	ratings_done(&factors->ratings);
	free(factors->order);
	free(factors->learner.weights);
	free(factors);
	return NULL;
}

static int make_weights(struct factors *factors)
{
	size_t n_rows = factors->ratings.n_students + factors->ratings.n_lecturers;
	double *weights = calloc(n_rows * factors->row, sizeof(weights[0]));

	if (!weights)
		return -ENOMEM;
	for (size_t i = 0; i < n_rows; i++) /* the biases start at 0 */
		rng_fill(&factors->rng, weights + i * factors->row + 1, factors->row - 1,
			START_RANGE);
	factors->learner.weights = weights;
	factors->learner.n_weights = n_rows * factors->row;
	return 0;
}

static int factors_init(struct factors *factors, const struct options *options, struct fault *fault)
{
	size_t n;
	int r;

	r = ratings_read(options->data, &factors->ratings, fault);
	if (r < 0)
		return r;
	rng_init(&factors->rng, options->seed);
	factors->rate = options->values[LEARNING_RATE];
	factors->decay = options->values[DECAY];
	factors->row = 1 + (size_t)options->values[RANK];
	n = factors->ratings.n_train;
	factors->order = calloc(n, sizeof(factors->order[0]));
	if (!factors->order || make_weights(factors) < 0)
		return fault_errno(fault, -ENOMEM, "make the weights");
	for (size_t i = 0; i < n; i++)
		factors->order[i] = (uint32_t)i;
	factors->n_taken = n;
	return 0;
}

static int factors_open(
	const struct options *options, struct learner **ret_learner, struct fault *fault)
{
	struct factors *factors = calloc(1, sizeof(*factors));
	int r;

	if (!factors)
		return fault_errno(fault, -ENOMEM, "start");
	r = factors_init(factors, options, fault);
	if (r < 0) {
		factors_close(&factors->learner);
		return r;
	}
	*ret_learner = &factors->learner;
	return 0;
}

static size_t student_at(const struct factors *factors, const struct rating *rating)
{
	return rating->student * factors->row;
}

static size_t lecturer_at(const struct factors *factors, const struct rating *rating)
{
	return (factors->ratings.n_students + rating->lecturer) * factors->row;
}

/* What is guessed, less what it is. */
static double error_of(const struct factors *factors, const struct rating *rating)
{
	const double *student = factors->learner.weights + student_at(factors, rating);
	const double *lecturer = factors->learner.weights + lecturer_at(factors, rating);
	double guess = factors->ratings.mean + student[0] + lecturer[0];

	for (size_t i = 1; i < factors->row; i++)
		guess += student[i] * lecturer[i];
	return guess - rating->value;
}

/* Adds the gradient of one rating's objective, times `factor`, to a student's and a lecturer's row.
 * With the weights themselves as rows it is a step of descent. */
static void add_gradient(const struct factors *factors, const struct rating *rating, double error,
	double factor, double to_student[], double to_lecturer[])
{
	const double *student = factors->learner.weights + student_at(factors, rating);
	const double *lecturer = factors->learner.weights + lecturer_at(factors, rating);

	to_student[0] += factor * (error + factors->decay * student[0]);
	to_lecturer[0] += factor * (error + factors->decay * lecturer[0]);
	for (size_t i = 1; i < factors->row; i++) {
		double s = student[i], l = lecturer[i];

		to_student[i] += factor * (error * l + factors->decay * s);
		to_lecturer[i] += factor * (error * s + factors->decay * l);
	}
}

static void factors_step(struct learner *learner)
{
	struct factors *factors = (struct factors *)learner;
	size_t n = factors->ratings.n_train, until;

	if (factors->n_taken == n) {
		rng_shuffle(&factors->rng, factors->order, n);
		factors->n_taken = 0;
	}
	until = factors->n_taken + (n + STEPS_PER_EPOCH - 1) / STEPS_PER_EPOCH;
	for (until = until < n ? until : n; factors->n_taken < until; factors->n_taken++) {
		const struct rating *rating = factors->ratings.train +
			factors->order[factors->n_taken];

		add_gradient(factors, rating, error_of(factors, rating), -factors->rate,
			learner->weights + student_at(factors, rating),
			learner->weights + lecturer_at(factors, rating));
	}
}

static double factors_loss(struct learner *learner)
{
	struct factors *factors = (struct factors *)learner;
	double sum = 0;

	for (size_t i = 0; i < factors->ratings.n_held_out; i++) {
		double error = error_of(factors, &factors->ratings.held_out[i]);

		sum += error * error;
	}
	return sqrt(sum / (double)factors->ratings.n_held_out);
}

static double squares(const double values[], size_t n)
{
	double sum = 0;

	for (size_t i = 0; i < n; i++)
		sum += values[i] * values[i];
	return sum;
}

static double factors_probe(struct learner *learner, double ret_gradient[])
{
	struct factors *factors = (struct factors *)learner;
	double objective = 0;

	memset(ret_gradient, 0, learner->n_weights * sizeof(ret_gradient[0]));
	for (size_t i = 0; i < PROBE_RATINGS; i++) {
		const struct rating *rating = &factors->ratings.train[i];
		double error = error_of(factors, rating);
		size_t student = student_at(factors, rating);
		size_t lecturer = lecturer_at(factors, rating);

		objective += 0.5 *
			(error * error +
				factors->decay *
					(squares(learner->weights + student, factors->row) +
						squares(learner->weights + lecturer,
							factors->row)));
		add_gradient(
			factors, rating, error, 1, ret_gradient + student, ret_gradient + lecturer);
	}
	return objective;
}

const struct model model_factors = {
	.name = "factors",
	.about = "matrix factorisation of students' ratings of lecturers, one rating at a time",
	.steps = 3200,
	.report_every = 160,
	.settings = settings,
	.n_settings = ARRAY_LENGTH(settings),
	.open = factors_open,
	.step = factors_step,
	.loss = factors_loss,
	.probe = factors_probe,
	.close = factors_close,
};
