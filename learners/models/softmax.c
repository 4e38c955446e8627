// SPDX-License-Identifier: GPL-2.0-or-later
#include <errno.h>
#include <stdlib.h>

#include "cleanup.h"
#include "descent.h"
#include "digits.h"
#include "model.h"
#include "net.h"

/* Softmax regression on the digits: a net without a hidden layer, all training images in every
 * step.  The objective is the mean cross-entropy plus decay/2 times the sum of the squared weights
 * (biases are free), which is convex: whatever the seed, it ends at the same loss.  That makes it
 * the model to aim a target at that no learning rate can reach. */

enum { LEARNING_RATE, DECAY };

static const struct setting settings[] = {
	[LEARNING_RATE] = {.name = "learning-rate",
		.about = "size of a step",
		.least = 1e-9,
		.most = 100,
		.standard = 0.002},
	[DECAY] = {.name = "decay",
		.about = "pull of the weights towards 0",
		.least = 0,
		.most = 100,
		.standard = 1e-4},
};

struct softmax {
	struct learner learner; /* first: the model's functions get it */
	struct digits digits;
	struct net net;
	struct descent descent;
	double *gradient;
	double decay;
};

static struct learner *softmax_close(struct learner *learner)
{
	struct softmax *softmax = (struct softmax *)learner;

	if (!softmax)
		return NULL;
	digits_done(&softmax->digits);
	net_done(&softmax->net);
	descent_done(&softmax->descent);
	free(softmax->learner.weights);
	free(softmax->gradient);
	free(softmax);
	return NULL;
}

static int softmax_init(struct softmax *softmax, const struct options *options, struct fault *fault)
{
	static const size_t sizes[] = {DIGITS_PIXELS, DIGITS_CLASSES};
	int r;

	r = digits_read(options->data, &softmax->digits, fault);
	if (r < 0)
		return r;
	r = net_init(&softmax->net, sizes, 1, NET_TANH, softmax->digits.train.n);
	if (r < 0)
		return fault_errno(fault, r, "make the net");
	/* Starts at 0: a convex objective needs no luck. */
	softmax->learner.n_weights = softmax->net.n_weights;
	softmax->learner.weights = calloc(softmax->net.n_weights, sizeof(double));
	softmax->gradient = calloc(softmax->net.n_weights, sizeof(double));
	softmax->decay = options->values[DECAY];
	r = descent_init(&softmax->descent, DESCENT_MOMENTUM, options->values[LEARNING_RATE],
		softmax->net.n_weights);
	if (r < 0 || !softmax->learner.weights || !softmax->gradient)
		return fault_errno(fault, -ENOMEM, "make the weights");
	return 0;
}

static int softmax_open(
	const struct options *options, struct learner **ret_learner, struct fault *fault)
{
	struct softmax *softmax = calloc(1, sizeof(*softmax));
	int r;

	if (!softmax)
		return fault_errno(fault, -ENOMEM, "start");
	r = softmax_init(softmax, options, fault);
	if (r < 0) {
		softmax_close(&softmax->learner);
		return r;
	}
	*ret_learner = &softmax->learner;
	return 0;
}

static double softmax_probe(struct learner *learner, double ret_gradient[])
{
	struct softmax *softmax = (struct softmax *)learner;
	const struct digits_part *train = &softmax->digits.train;
	double objective;

	objective = net_gradient(&softmax->net, learner->weights, train->pixels, train->labels,
		train->n, ret_gradient, /* ret_input_gradient= */ NULL);
	for (size_t i = 0; i < DIGITS_PIXELS * DIGITS_CLASSES; i++) {
		double weight = learner->weights[i];

		objective += 0.5 * softmax->decay * weight * weight;
		ret_gradient[i] += softmax->decay * weight;
	}
	return objective;
}

static void softmax_step(struct learner *learner)
{
	struct softmax *softmax = (struct softmax *)learner;

	(void)softmax_probe(learner, softmax->gradient);
	descent_update(&softmax->descent, learner->weights, softmax->gradient);
}

static double softmax_loss(struct learner *learner)
{
	struct softmax *softmax = (struct softmax *)learner;
	const struct digits_part *held_out = &softmax->digits.held_out;

	return net_loss(
		&softmax->net, learner->weights, held_out->pixels, held_out->labels, held_out->n);
}

const struct model model_softmax = {
	.name = "softmax",
	.about = "softmax regression on handwritten digits, whole batches with momentum",
	.steps = 24000,
	.report_every = 200,
	.settings = settings,
	.n_settings = ARRAY_LENGTH(settings),
	.open = softmax_open,
	.step = softmax_step,
	.loss = softmax_loss,
	.probe = softmax_probe,
	.close = softmax_close,
};
