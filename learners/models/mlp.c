// SPDX-License-Identifier: GPL-2.0-or-later
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "cleanup.h"
#include "descent.h"
#include "digits.h"
#include "model.h"
#include "net.h"
#include "rng.h"

/* A multi-layer perceptron on the digits, small batches in a new random order each epoch, momentum.
 * With several logistic layers and small starting weights it is the textbook case of a plateau: all
 * outputs are alike, the gradient that reaches the first layer is next to nothing, the loss stands
 * at log 10 for a long while and then falls. */

enum { LEARNING_RATE, BATCH, HIDDEN, LAYERS, ACTIVATION, START };

static const char *const activations[] = {"tanh", "logistic", NULL};

static const struct setting settings[] = {
	[LEARNING_RATE] = {.name = "learning-rate",
		.about = "size of a step",
		.least = 1e-9,
		.most = 100,
		.standard = 0.003},
	[BATCH] = {.name = "batch",
		.about = "images in a step",
		.least = 1,
		.most = 1000,
		.standard = 32,
		.is_whole = true},
	[HIDDEN] = {.name = "hidden",
		.about = "units in each hidden layer",
		.least = 1,
		.most = 4096,
		.standard = 64,
		.is_whole = true},
	[LAYERS] = {.name = "layers",
		.about = "hidden layers",
		.least = 1,
		.most = NET_LAYERS_MAX - 1,
		.standard = 1,
		.is_whole = true},
	[ACTIVATION] = {.name = "activation",
		.about = "of the hidden units",
		.choices = activations},
	[START] = {.name = "start",
		.about = "scale of the starting weights",
		.least = 0,
		.most = 100,
		.standard = 1},
};

struct mlp {
	struct learner learner; /* first: the model's functions get it */
	struct digits digits;
	struct net net;
	struct descent descent;
	struct rng rng;
	double *gradient;
	size_t batch;
	uint32_t *order; /* of the training images in this epoch */
	size_t n_taken;  /* of the order */
	double *inputs;  /* of the batch */
	uint8_t *labels; /* of the batch */
};

static struct learner *mlp_close(struct learner *learner)
{
	struct mlp *mlp = (struct mlp *)learner;

	if (!mlp)
		return NULL;
	digits_done(&mlp->digits);
	net_done(&mlp->net);
	descent_done(&mlp->descent);
	free(mlp->learner.weights);
	free(mlp->gradient);
	free(mlp->order);
	free(mlp->inputs);
	free(mlp->labels);
	free(mlp);
	return NULL;
}

static int make_net(struct mlp *mlp, const struct options *options)
{
	size_t sizes[NET_LAYERS_MAX + 1] = {DIGITS_PIXELS};
	size_t n_hidden = (size_t)options->values[LAYERS];
	int r;

	for (size_t i = 1; i <= n_hidden; i++)
		sizes[i] = (size_t)options->values[HIDDEN];
	sizes[n_hidden + 1] = DIGITS_CLASSES;
	r = net_init(&mlp->net, sizes, n_hidden + 1,
		(enum net_activation)options->values[ACTIVATION], mlp->batch);
	if (r < 0)
		return r;
	mlp->learner.n_weights = mlp->net.n_weights;
	mlp->learner.weights = calloc(mlp->net.n_weights, sizeof(double));
	mlp->gradient = calloc(mlp->net.n_weights, sizeof(double));
	if (!mlp->learner.weights || !mlp->gradient)
		return -ENOMEM;
	net_start(&mlp->net, mlp->learner.weights, &mlp->rng, options->values[START]);
	return descent_init(&mlp->descent, DESCENT_MOMENTUM, options->values[LEARNING_RATE],
		mlp->net.n_weights);
}

static int make_batches(struct mlp *mlp)
{
	size_t n = mlp->digits.train.n;

	mlp->order = calloc(n, sizeof(mlp->order[0]));
	mlp->inputs = calloc(mlp->batch * DIGITS_PIXELS, sizeof(mlp->inputs[0]));
	mlp->labels = calloc(mlp->batch, sizeof(mlp->labels[0]));
	if (!mlp->order || !mlp->inputs || !mlp->labels)
		return -ENOMEM;
	for (size_t i = 0; i < n; i++)
		mlp->order[i] = (uint32_t)i;
	mlp->n_taken = n;
	return 0;
}

static int mlp_init(struct mlp *mlp, const struct options *options, struct fault *fault)
{
	int r;

	r = digits_read(options->data, &mlp->digits, fault);
	if (r < 0)
		return r;
	rng_init(&mlp->rng, options->seed);
	mlp->batch = (size_t)options->values[BATCH];
	if (mlp->batch > mlp->digits.train.n)
		mlp->batch = mlp->digits.train.n;
	r = make_batches(mlp);
	if (r == 0)
		r = make_net(mlp, options);
	if (r < 0)
		return fault_errno(fault, r, "make the net");
	return 0;
}

static int mlp_open(
	const struct options *options, struct learner **ret_learner, struct fault *fault)
{
	struct mlp *mlp = calloc(1, sizeof(*mlp));
	int r;

	if (!mlp)
		return fault_errno(fault, -ENOMEM, "start");
	r = mlp_init(mlp, options, fault);
	if (r < 0) {
		mlp_close(&mlp->learner);
		return r;
	}
	*ret_learner = &mlp->learner;
	return 0;
}

/* The next images in this epoch's order; the last batch of an epoch may be short. */
static size_t take_batch(struct mlp *mlp)
{
	const struct digits_part *train = &mlp->digits.train;
	size_t n;

	if (mlp->n_taken == train->n) {
		rng_shuffle(&mlp->rng, mlp->order, train->n);
		mlp->n_taken = 0;
	}
	n = train->n - mlp->n_taken < mlp->batch ? train->n - mlp->n_taken : mlp->batch;
	for (size_t i = 0; i < n; i++) {
		size_t image = mlp->order[mlp->n_taken++];

		memcpy(mlp->inputs + i * DIGITS_PIXELS, train->pixels + image * DIGITS_PIXELS,
			DIGITS_PIXELS * sizeof(mlp->inputs[0]));
		mlp->labels[i] = train->labels[image];
	}
	return n;
}

static void mlp_step(struct learner *learner)
{
	struct mlp *mlp = (struct mlp *)learner;
	size_t n = take_batch(mlp);

	(void)net_gradient(&mlp->net, learner->weights, mlp->inputs, mlp->labels, n, mlp->gradient,
		/* ret_input_gradient= */ NULL);
	descent_update(&mlp->descent, learner->weights, mlp->gradient);
}

static double mlp_loss(struct learner *learner)
{
	struct mlp *mlp = (struct mlp *)learner;
	const struct digits_part *held_out = &mlp->digits.held_out;

	return net_loss(
		&mlp->net, learner->weights, held_out->pixels, held_out->labels, held_out->n);
}

static double mlp_probe(struct learner *learner, double ret_gradient[])
{
	struct mlp *mlp = (struct mlp *)learner;
	const struct digits_part *train = &mlp->digits.train;

	return net_gradient(&mlp->net, learner->weights, train->pixels, train->labels, mlp->batch,
		ret_gradient, /* ret_input_gradient= */ NULL);
}

const struct model model_mlp = {
	.name = "mlp",
	.about = "multi-layer perceptron on handwritten digits, small batches with momentum",
	.steps = 20000,
	.report_every = 1000,
	.settings = settings,
	.n_settings = ARRAY_LENGTH(settings),
	.open = mlp_open,
	.step = mlp_step,
	.loss = mlp_loss,
	.probe = mlp_probe,
	.close = mlp_close,
};
