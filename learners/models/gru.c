// SPDX-License-Identifier: GPL-2.0-or-later
#include <assert.h>
#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "cleanup.h"
#include "descent.h"
#include "exact.h"
#include "matrix.h"
#include "model.h"
#include "net.h"
#include "rng.h"
#include "text.h"

/* A recurrent language model of characters: a layer of gated recurrent units (Cho and others 2014,
 * in the variant of cuDNN and PyTorch) and a softmax.  For the character x after the state h,
 *
 *     r = logistic(A_r[x] + h U_r)        z = logistic(A_z[x] + h U_z)
 *     q = h U_n + c                       n = tanh(A_n[x] + r q)
 *     h' = (1 - z) n + z h                p = softmax(h' V + d)
 *
 * with A a table of 3H values a character (its biases are in it), U of H x 3H, c of H, V of H x
 * symbols, d of symbols: one vector of weights in this order.
 *
 * A step takes a batch of random windows of the text, runs each from a state of 0 and goes back
 * through time over the whole window.  Everything a moment needs for that is kept in struct moment:
 * arrays of batch rows. */

#define HELD_OUT_BATCHES 2

enum { LEARNING_RATE, BATCH, HIDDEN, WINDOW };

static const struct setting settings[] = {
	[LEARNING_RATE] = {.name = "learning-rate",
		.about = "size of a step",
		.least = 1e-9,
		.most = 100,
		.standard = 0.002},
	[BATCH] = {.name = "batch",
		.about = "windows in a step",
		.least = 1,
		.most = 256,
		.standard = 16,
		.is_whole = true},
	[HIDDEN] = {.name = "hidden",
		.about = "recurrent units",
		.least = 1,
		.most = 1024,
		.standard = 64,
		.is_whole = true},
	[WINDOW] = {.name = "window",
		.about = "characters that are guessed in a row",
		.least = 2,
		.most = 256,
		.standard = 40,
		.is_whole = true},
};

/* One place of each window; batch rows each. */
struct moment {
	uint8_t *from;         /* the character that is read */
	uint8_t *to;           /* the next one, that is guessed */
	double *gates;         /* 3H: r, z, n */
	double *q;             /* H */
	double *state;         /* H: h' */
	double *probabilities; /* symbols */
};

struct gru {
	struct learner learner; /* first: the model's functions get it */
	struct text text;
	struct descent descent;
	struct rng rng;
	size_t batch, hidden, window, symbols;
	struct moment *moments; /* owned; of the window */
	uint8_t *characters;    /* owned; behind the moments' from and to */
	double *values;         /* owned; behind the moments' other arrays and the next five */
	double *zero;           /* batch x H: the state before the window */
	double *sums;           /* batch x 3H: h U */
	double *sum_deltas;     /* batch x 3H: the loss by h U */
	double *state_delta;    /* batch x H: the loss by h' */
	double *earlier_delta;  /* batch x H: the loss by h */
	size_t *places;         /* owned; batch: where the windows start */
	double *gradient;
};

/* Where the parts of the weights begin. */
struct layout {
	size_t a, u, c, v, d, n;
};

static struct layout layout(const struct gru *gru)
{
	struct layout at = {.a = 0};

	at.u = at.a + gru->symbols * 3 * gru->hidden;
	at.c = at.u + gru->hidden * 3 * gru->hidden;
	at.v = at.c + gru->hidden;
	at.d = at.v + gru->hidden * gru->symbols;
	at.n = at.d + gru->symbols;
	return at;
}

static struct learner *gru_close(struct learner *learner)
{
	struct gru *gru = (struct gru *)learner;

	if (!gru)
		return NULL;
	text_done(&gru->text);
	descent_done(&gru->descent);
	free(gru->moments);
	free(gru->characters);
	free(gru->values);
	free(gru->places);
	free(gru->gradient);
	free(gru->learner.weights);
	free(gru);
	return NULL;
}

static double *take(double **rest, size_t n)
{
	double *taken = *rest;

	*rest += n;
	return taken;
}

static int make_moments(struct gru *gru)
{
	size_t rows = gru->batch, hidden = rows * gru->hidden;
	size_t n_moment = 5 * hidden + rows * gru->symbols;
	size_t n_values = gru->window * n_moment + 9 * hidden;
	double *rest;

	gru->moments = calloc(gru->window, sizeof(gru->moments[0]));
	gru->characters = calloc(gru->window, 2 * rows);
	gru->values = rest = calloc(n_values, sizeof(gru->values[0]));
	gru->places = calloc(rows, sizeof(gru->places[0]));
	if (!gru->moments || !gru->characters || !gru->values || !gru->places)
		return -ENOMEM;
	for (size_t t = 0; t < gru->window; t++)
		gru->moments[t] = (struct moment){
			.from = gru->characters + 2 * t * rows,
			.to = gru->characters + (2 * t + 1) * rows,
			.gates = take(&rest, 3 * hidden),
			.q = take(&rest, hidden),
			.state = take(&rest, hidden),
			.probabilities = take(&rest, rows * gru->symbols),
		};
	gru->zero = take(&rest, hidden);
	gru->sums = take(&rest, 3 * hidden);
	gru->sum_deltas = take(&rest, 3 * hidden);
	gru->state_delta = take(&rest, hidden);
	gru->earlier_delta = take(&rest, hidden);
	assert(rest == gru->values + n_values);
	return 0;
}

static int make_weights(struct gru *gru, double rate)
{
	struct layout at = layout(gru);
	double *weights = calloc(at.n, sizeof(weights[0]));

	gru->learner.weights = weights;
	gru->learner.n_weights = at.n;
	gru->gradient = calloc(at.n, sizeof(gru->gradient[0]));
	if (!weights || !gru->gradient)
		return -ENOMEM;
	/* PyTorch's start: all even in +-1/sqrt(H). */
	rng_fill(&gru->rng, weights, at.n, 1 / sqrt((double)gru->hidden));
	return descent_init(&gru->descent, DESCENT_ADAM, rate, at.n);
}

static int gru_init(struct gru *gru, const struct options *options, struct fault *fault)
{
	int r;

	r = text_read(options->data, &gru->text, fault);
	if (r < 0)
		return r;
	rng_init(&gru->rng, options->seed);
	gru->batch = (size_t)options->values[BATCH];
	gru->hidden = (size_t)options->values[HIDDEN];
	gru->window = (size_t)options->values[WINDOW];
	gru->symbols = gru->text.n_symbols;
	r = make_moments(gru);
	if (r == 0)
		r = make_weights(gru, options->values[LEARNING_RATE]);
	if (r < 0)
		return fault_errno(fault, r, "make the net");
	return 0;
}

static int gru_open(
	const struct options *options, struct learner **ret_learner, struct fault *fault)
{
	struct gru *gru = calloc(1, sizeof(*gru));
	int r;

	if (!gru)
		return fault_errno(fault, -ENOMEM, "start");
	r = gru_init(gru, options, fault);
	if (r < 0) {
		gru_close(&gru->learner);
		return r;
	}
	*ret_learner = &gru->learner;
	return 0;
}

/* Fills the moments' characters from the places. */
static void read_windows(struct gru *gru)
{
	for (size_t t = 0; t < gru->window; t++)
		for (size_t row = 0; row < gru->batch; row++) {
			const uint8_t *at = gru->text.symbols + gru->places[row] + t;

			gru->moments[t].from[row] = at[0];
			gru->moments[t].to[row] = at[1];
		}
}

/* One row of gates and of the state, from its row of h U. */
static void gate(const struct gru *gru, const double sums[], const double a[], const double c[],
	const double earlier[], double gates[], double q[], double state[])
{
	size_t hidden = gru->hidden;

	for (size_t i = 0; i < hidden; i++) {
		double r = exact_logistic(a[i] + sums[i]);
		double z = exact_logistic(a[hidden + i] + sums[hidden + i]);
		double n;

		q[i] = sums[2 * hidden + i] + c[i];
		n = exact_tanh(a[2 * hidden + i] + r * q[i]);
		gates[i] = r;
		gates[hidden + i] = z;
		gates[2 * hidden + i] = n;
		state[i] = (1 - z) * n + z * earlier[i];
	}
}

/* One moment forwards; returns the sum of the losses of its rows. */
static double forward(struct gru *gru, struct moment *moment, const double earlier[])
{
	const double *weights = gru->learner.weights;
	struct layout at = layout(gru);
	size_t hidden = gru->hidden;

	memset(gru->sums, 0, gru->batch * 3 * hidden * sizeof(gru->sums[0]));
	matrix_ab(gru->sums, earlier, weights + at.u, gru->batch, hidden, 3 * hidden);
	for (size_t row = 0; row < gru->batch; row++) {
		gate(gru, gru->sums + row * 3 * hidden,
			weights + at.a + moment->from[row] * 3 * hidden, weights + at.c,
			earlier + row * hidden, moment->gates + row * 3 * hidden,
			moment->q + row * hidden, moment->state + row * hidden);
		memcpy(moment->probabilities + row * gru->symbols, weights + at.d,
			gru->symbols * sizeof(weights[0]));
	}
	matrix_ab(moment->probabilities, moment->state, weights + at.v, gru->batch, hidden,
		gru->symbols);
	return net_softmax(moment->probabilities, moment->to, gru->batch, gru->symbols);
}

/* The mean loss over the windows at the places. */
static double run_windows(struct gru *gru)
{
	const double *earlier = gru->zero;
	double loss = 0;

	read_windows(gru);
	for (size_t t = 0; t < gru->window; t++) {
		loss += forward(gru, &gru->moments[t], earlier);
		earlier = gru->moments[t].state;
	}
	return loss / (double)(gru->window * gru->batch);
}

/* The softmax backwards: its gradient, and its part of the loss by the state. The probabilities
 * become the loss by the scores. */
static void output_backward(struct gru *gru, struct moment *moment, double gradient[])
{
	struct layout at = layout(gru);
	double count = (double)(gru->window * gru->batch);
	double *deltas = moment->probabilities;

	for (size_t row = 0; row < gru->batch; row++)
		deltas[row * gru->symbols + moment->to[row]] -= 1;
	for (size_t i = 0; i < gru->batch * gru->symbols; i++)
		deltas[i] /= count;
	matrix_atb(gradient + at.v, moment->state, deltas, gru->batch, gru->hidden, gru->symbols);
	matrix_add_rows(gradient + at.d, deltas, gru->batch, gru->symbols);
	matrix_abt(gru->state_delta, deltas, gru->learner.weights + at.v, gru->batch, gru->hidden,
		gru->symbols);
}

/* One row of gate() backwards: the loss by h U, and directly by h; a's and c's gradients. */
static void gate_backward(const struct gru *gru, const double gates[], const double q[],
	const double earlier[], const double state_delta[], double sum_deltas[],
	double earlier_delta[], double a_gradient[], double c_gradient[])
{
	size_t hidden = gru->hidden;

	for (size_t i = 0; i < hidden; i++) {
		double r = gates[i], z = gates[hidden + i], n = gates[2 * hidden + i];
		double delta = state_delta[i];
		double n_delta = delta * (1 - z) * (1 - n * n);
		double z_delta = delta * (earlier[i] - n) * z * (1 - z);
		double r_delta = n_delta * q[i] * r * (1 - r);

		a_gradient[i] += r_delta;
		a_gradient[hidden + i] += z_delta;
		a_gradient[2 * hidden + i] += n_delta;
		c_gradient[i] += n_delta * r;
		sum_deltas[i] = r_delta;
		sum_deltas[hidden + i] = z_delta;
		sum_deltas[2 * hidden + i] = n_delta * r;
		earlier_delta[i] = delta * z;
	}
}

/* One moment backwards: from the loss by its state to the loss by the state before it. */
static void backward(
	struct gru *gru, struct moment *moment, const double earlier[], double gradient[])
{
	struct layout at = layout(gru);
	size_t hidden = gru->hidden;
	double *swap = gru->state_delta;

	output_backward(gru, moment, gradient);
	for (size_t row = 0; row < gru->batch; row++)
		gate_backward(gru, moment->gates + row * 3 * hidden, moment->q + row * hidden,
			earlier + row * hidden, gru->state_delta + row * hidden,
			gru->sum_deltas + row * 3 * hidden, gru->earlier_delta + row * hidden,
			gradient + at.a + moment->from[row] * 3 * hidden, gradient + at.c);
	matrix_atb(gradient + at.u, earlier, gru->sum_deltas, gru->batch, hidden, 3 * hidden);
	matrix_abt(gru->earlier_delta, gru->sum_deltas, gru->learner.weights + at.u, gru->batch,
		hidden, 3 * hidden);
	gru->state_delta = gru->earlier_delta;
	gru->earlier_delta = swap;
}

static double batch_gradient(struct gru *gru, double gradient[])
{
	double loss = run_windows(gru);

	memset(gradient, 0, gru->learner.n_weights * sizeof(gradient[0]));
	memset(gru->state_delta, 0, gru->batch * gru->hidden * sizeof(gru->state_delta[0]));
	for (size_t t = gru->window; t-- > 0;)
		backward(
			gru, &gru->moments[t], t ? gru->moments[t - 1].state : gru->zero, gradient);
	return loss;
}

static void gru_step(struct learner *learner)
{
	struct gru *gru = (struct gru *)learner;

	for (size_t row = 0; row < gru->batch; row++)
		gru->places[row] = rng_below(&gru->rng, gru->text.n_train - gru->window);
	(void)batch_gradient(gru, gru->gradient);
	descent_update(&gru->descent, learner->weights, gru->gradient);
}

/* On windows evenly spread over the held-out part. */
static double gru_loss(struct learner *learner)
{
	struct gru *gru = (struct gru *)learner;
	size_t n = HELD_OUT_BATCHES * gru->batch, from = gru->text.n_train;
	size_t stride = (gru->text.n - from - gru->window - 1) / n;
	double loss = 0;

	for (size_t i = 0; i < HELD_OUT_BATCHES; i++) {
		for (size_t row = 0; row < gru->batch; row++)
			gru->places[row] = from + (i * gru->batch + row) * stride;
		loss += run_windows(gru);
	}
	return loss / HELD_OUT_BATCHES;
}

static double gru_probe(struct learner *learner, double ret_gradient[])
{
	struct gru *gru = (struct gru *)learner;

	for (size_t row = 0; row < gru->batch; row++)
		gru->places[row] = row * gru->window;
	return batch_gradient(gru, ret_gradient);
}

const struct model model_gru = {
	.name = "gru",
	.about = "recurrent model of the characters of Newton's Opticks, with Adam",
	.steps = 3500,
	.report_every = 10,
	.settings = settings,
	.n_settings = ARRAY_LENGTH(settings),
	.open = gru_open,
	.step = gru_step,
	.loss = gru_loss,
	.probe = gru_probe,
	.close = gru_close,
};
