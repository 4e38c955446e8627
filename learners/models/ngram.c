// SPDX-License-Identifier: GPL-2.0-or-later
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "cleanup.h"
#include "descent.h"
#include "model.h"
#include "net.h"
#include "rng.h"
#include "text.h"

/* A neural n-gram language model of characters (Bengio and others 2003): the last `context`
 * characters are each looked up in one table of embeddings, the embeddings side by side are the
 * input of a perceptron that gives the probabilities of the next character.  The table and the
 * perceptron are one vector of weights, the table first.  Each step takes a batch of random places
 * of the text. */

#define HELD_OUT_PLACES 1000
#define EMBEDDING 12

enum { LEARNING_RATE, BATCH, HIDDEN, CONTEXT };

static const struct setting settings[] = {
	[LEARNING_RATE] = {.name = "learning-rate",
		.about = "size of a step",
		.least = 1e-9,
		.most = 100,
		.standard = 0.001},
	[BATCH] = {.name = "batch",
		.about = "places in a step",
		.least = 1,
		.most = 1000,
		.standard = 64,
		.is_whole = true},
	[HIDDEN] = {.name = "hidden",
		.about = "units in the hidden layer",
		.least = 1,
		.most = 4096,
		.standard = 128,
		.is_whole = true},
	[CONTEXT] = {.name = "context",
		.about = "characters that the next one is guessed from",
		.least = 1,
		.most = 64,
		.standard = 8,
		.is_whole = true},
};

struct ngram {
	struct learner learner; /* first: the model's functions get it */
	struct text text;
	struct net net;
	struct descent descent;
	struct rng rng;
	size_t batch;
	size_t context;
	size_t *places;         /* of the batch; each at least context */
	uint8_t *labels;        /* of the batch: the symbol at each place */
	double *inputs;         /* of the batch: the embeddings before it */
	double *input_gradient; /* of the batch */
	double *gradient;
};

static size_t n_embedded(const struct ngram *ngram)
{
	return ngram->text.n_symbols * EMBEDDING;
}

static struct learner *ngram_close(struct learner *learner)
{
	struct ngram *ngram = (struct ngram *)learner;

	if (!ngram)
		return NULL;
	text_done(&ngram->text);
	net_done(&ngram->net);
	descent_done(&ngram->descent);
	free(ngram->places);
	free(ngram->labels);
	free(ngram->inputs);
	free(ngram->input_gradient);
	free(ngram->gradient);
	free(ngram->learner.weights);
	free(ngram);
	return NULL;
}

static int make_net(struct ngram *ngram, const struct options *options)
{
	size_t sizes[] = {
		ngram->context * EMBEDDING, (size_t)options->values[HIDDEN], ngram->text.n_symbols};
	size_t n;
	int r;

	r = net_init(&ngram->net, sizes, 2, NET_TANH, ngram->batch);
	if (r < 0)
		return r;
	n = n_embedded(ngram) + ngram->net.n_weights;
	ngram->learner.n_weights = n;
	ngram->learner.weights = calloc(n, sizeof(double));
	ngram->gradient = calloc(n, sizeof(double));
	if (!ngram->learner.weights || !ngram->gradient)
		return -ENOMEM;
	rng_fill(&ngram->rng, ngram->learner.weights, n_embedded(ngram), 1);
	net_start(&ngram->net, ngram->learner.weights + n_embedded(ngram), &ngram->rng, 1);
	return descent_init(&ngram->descent, DESCENT_ADAM, options->values[LEARNING_RATE], n);
}

static int make_batches(struct ngram *ngram)
{
	size_t n_inputs = ngram->batch * ngram->context * EMBEDDING;

	ngram->places = calloc(ngram->batch, sizeof(ngram->places[0]));
	ngram->labels = calloc(ngram->batch, sizeof(ngram->labels[0]));
	ngram->inputs = calloc(n_inputs, sizeof(ngram->inputs[0]));
	ngram->input_gradient = calloc(n_inputs, sizeof(ngram->input_gradient[0]));
	return ngram->places && ngram->labels && ngram->inputs && ngram->input_gradient ? 0
											: -ENOMEM;
}

static int ngram_init(struct ngram *ngram, const struct options *options, struct fault *fault)
{
	int r;

	r = text_read(options->data, &ngram->text, fault);
	if (r < 0)
		return r;
	rng_init(&ngram->rng, options->seed);
	ngram->batch = (size_t)options->values[BATCH];
	ngram->context = (size_t)options->values[CONTEXT];
	r = make_batches(ngram);
	if (r == 0)
		r = make_net(ngram, options);
	if (r < 0)
		return fault_errno(fault, r, "make the net");
	return 0;
}

static int ngram_open(
	const struct options *options, struct learner **ret_learner, struct fault *fault)
{
	struct ngram *ngram = calloc(1, sizeof(*ngram));
	int r;

	if (!ngram)
		return fault_errno(fault, -ENOMEM, "start");
	r = ngram_init(ngram, options, fault);
	if (r < 0) {
		ngram_close(&ngram->learner);
		return r;
	}
	*ret_learner = &ngram->learner;
	return 0;
}

/* From places[0 .. n) to labels and inputs. */
static void look_up(struct ngram *ngram, size_t n)
{
	double *input = ngram->inputs;

	for (size_t i = 0; i < n; i++) {
		const uint8_t *at = ngram->text.symbols + ngram->places[i];

		ngram->labels[i] = at[0];
		for (size_t back = ngram->context; back > 0; back--, input += EMBEDDING)
			memcpy(input, ngram->learner.weights + at[-(ptrdiff_t)back] * EMBEDDING,
				EMBEDDING * sizeof(input[0]));
	}
}

/* The embeddings' part of the gradient from the inputs' gradient: look_up() backwards. */
static void look_up_gradient(struct ngram *ngram, size_t n, double gradient[])
{
	const double *input = ngram->input_gradient;

	memset(gradient, 0, n_embedded(ngram) * sizeof(gradient[0]));
	for (size_t i = 0; i < n; i++) {
		const uint8_t *at = ngram->text.symbols + ngram->places[i];

		for (size_t back = ngram->context; back > 0; back--, input += EMBEDDING)
			for (size_t j = 0; j < EMBEDDING; j++)
				gradient[at[-(ptrdiff_t)back] * EMBEDDING + j] += input[j];
	}
}

static double batch_gradient(struct ngram *ngram, double gradient[])
{
	double loss;

	look_up(ngram, ngram->batch);
	loss = net_gradient(&ngram->net, ngram->learner.weights + n_embedded(ngram), ngram->inputs,
		ngram->labels, ngram->batch, gradient + n_embedded(ngram), ngram->input_gradient);
	look_up_gradient(ngram, ngram->batch, gradient);
	return loss;
}

static void ngram_step(struct learner *learner)
{
	struct ngram *ngram = (struct ngram *)learner;

	for (size_t i = 0; i < ngram->batch; i++)
		ngram->places[i] = ngram->context +
			rng_below(&ngram->rng, ngram->text.n_train - ngram->context);
	(void)batch_gradient(ngram, ngram->gradient);
	descent_update(&ngram->descent, learner->weights, ngram->gradient);
}

/* At places evenly spread over the held-out part. */
static double ngram_loss(struct learner *learner)
{
	struct ngram *ngram = (struct ngram *)learner;
	size_t from = ngram->text.n_train + ngram->context;
	size_t stride = (ngram->text.n - from) / HELD_OUT_PLACES;
	double loss = 0;

	for (size_t done = 0; done < HELD_OUT_PLACES;) {
		size_t n = HELD_OUT_PLACES - done < ngram->batch ? HELD_OUT_PLACES - done
								 : ngram->batch;

		for (size_t i = 0; i < n; i++)
			ngram->places[i] = from + stride * (done + i);
		look_up(ngram, n);
		loss += (double)n *
			net_loss(&ngram->net, learner->weights + n_embedded(ngram), ngram->inputs,
				ngram->labels, n);
		done += n;
	}
	return loss / HELD_OUT_PLACES;
}

static double ngram_probe(struct learner *learner, double ret_gradient[])
{
	struct ngram *ngram = (struct ngram *)learner;

	for (size_t i = 0; i < ngram->batch; i++)
		ngram->places[i] = ngram->context + i;
	return batch_gradient(ngram, ret_gradient);
}

const struct model model_ngram = {
	.name = "ngram",
	.about = "neural n-gram model of the characters of Newton's Opticks, with Adam",
	.steps = 24000,
	.report_every = 200,
	.settings = settings,
	.n_settings = ARRAY_LENGTH(settings),
	.open = ngram_open,
	.step = ngram_step,
	.loss = ngram_loss,
	.probe = ngram_probe,
	.close = ngram_close,
};
