// SPDX-License-Identifier: GPL-2.0-or-later
#include "net.h"

#include <assert.h>
#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "exact.h"
#include "matrix.h"

/* Forward: every layer's output = activation(input x W + b), the last one's a softmax.  Backward:
 * for a softmax under cross-entropy the loss by the last sums is (probability - right) / n; below,
 * delta of a layer = (delta of the next x its W^T) times the derivative of the activation, which
 * for tanh and the logistic function follows from the output alone.  A net without a hidden layer is
 * softmax regression. */

/* Below this a probability counts as this: its logarithm stays finite. */
#define PROBABILITY_LEAST 1e-300

static size_t layer_weights(const struct net *net, size_t layer)
{
	return (net->sizes[layer] + 1) * net->sizes[layer + 1];
}

int net_init(struct net *net, const size_t sizes[], size_t n_layers, enum net_activation activation,
	size_t batch_most)
{
	assert(n_layers >= 1 && n_layers <= NET_LAYERS_MAX);
	*net = (struct net){
		.n_layers = n_layers, .activation = activation, .batch_most = batch_most};
	memcpy(net->sizes, sizes, (n_layers + 1) * sizeof(sizes[0]));
	for (size_t i = 0; i < n_layers; i++) {
		size_t n = batch_most * sizes[i + 1];

		net->n_weights += layer_weights(net, i);
		net->outputs[i] = calloc(n, sizeof(net->outputs[i][0]));
		net->deltas[i] = calloc(n, sizeof(net->deltas[i][0]));
		if (!net->outputs[i] || !net->deltas[i]) {
			net_done(net);
			return -ENOMEM;
		}
	}
	return 0;
}

void net_done(struct net *net)
{
	for (size_t i = 0; i < net->n_layers; i++) {
		free(net->outputs[i]);
		free(net->deltas[i]);
	}
	*net = (struct net){0};
}

void net_start(const struct net *net, double weights[], struct rng *rng, double scale)
{
	for (size_t i = 0; i < net->n_layers; i++) {
		size_t in = net->sizes[i], out = net->sizes[i + 1];

		rng_fill(rng, weights, in * out, scale * sqrt(6.0 / (double)(in + out)));
		memset(weights + in * out, 0, out * sizeof(weights[0]));
		weights += layer_weights(net, i);
	}
}

static void activate(enum net_activation activation, double values[], size_t n)
{
	for (size_t i = 0; i < n; i++)
		values[i] = activation == NET_TANH ? exact_tanh(values[i])
						   : exact_logistic(values[i]);
}

/* The loss by a sum, from the loss by the output. */
static void unactivate(
	enum net_activation activation, double deltas[], const double outputs[], size_t n)
{
	for (size_t i = 0; i < n; i++) {
		double y = outputs[i];

		deltas[i] *= activation == NET_TANH ? 1 - y * y : y * (1 - y);
	}
}

double net_softmax(double values[], const uint8_t labels[], size_t n, size_t m)
{
	double loss = 0;

	for (size_t i = 0; i < n; i++) {
		double *row = values + i * m, most = row[0], sum = 0;

		for (size_t j = 1; j < m; j++)
			most = row[j] > most ? row[j] : most;
		for (size_t j = 0; j < m; j++)
			sum += row[j] = exact_exp(row[j] - most);
		for (size_t j = 0; j < m; j++)
			row[j] /= sum;
		loss -= exact_log(
			row[labels[i]] < PROBABILITY_LEAST ? PROBABILITY_LEAST : row[labels[i]]);
	}
	return loss;
}

/* The sum of the losses; leaves every layer's output behind. */
static double forward(struct net *net, const double weights[], const double inputs[],
	const uint8_t labels[], size_t n)
{
	const double *input = inputs;

	for (size_t i = 0; i < net->n_layers; i++) {
		size_t in = net->sizes[i], out = net->sizes[i + 1];
		const double *biases = weights + in * out;

		for (size_t j = 0; j < n; j++)
			memcpy(net->outputs[i] + j * out, biases, out * sizeof(biases[0]));
		matrix_ab(net->outputs[i], input, weights, n, in, out);
		if (i + 1 < net->n_layers)
			activate(net->activation, net->outputs[i], n * out);
		input = net->outputs[i];
		weights += layer_weights(net, i);
	}
	return net_softmax(net->outputs[net->n_layers - 1], labels, n, net->sizes[net->n_layers]);
}

double net_loss(struct net *net, const double weights[], const double inputs[],
	const uint8_t labels[], size_t n)
{
	double loss = 0;

	assert(n > 0);
	for (size_t from = 0; from < n; from += net->batch_most) {
		size_t batch = n - from < net->batch_most ? n - from : net->batch_most;

		loss += forward(net, weights, inputs + from * net->sizes[0], labels + from, batch);
	}
	return loss / (double)n;
}

static void last_deltas(struct net *net, const uint8_t labels[], size_t n)
{
	size_t last = net->n_layers - 1, m = net->sizes[net->n_layers];

	for (size_t i = 0; i < n; i++)
		for (size_t j = 0; j < m; j++)
			net->deltas[last][i * m + j] = (net->outputs[last][i * m + j] -
							       (labels[i] == j ? 1 : 0)) /
				(double)n;
}

double net_gradient(struct net *net, const double weights[], const double inputs[],
	const uint8_t labels[], size_t n, double ret_gradient[], double ret_input_gradient[])
{
	double loss;
	size_t at = net->n_weights;

	assert(n > 0 && n <= net->batch_most);
	loss = forward(net, weights, inputs, labels, n) / (double)n;
	last_deltas(net, labels, n);
	memset(ret_gradient, 0, net->n_weights * sizeof(ret_gradient[0]));
	for (size_t i = net->n_layers; i-- > 0;) {
		size_t in = net->sizes[i], out = net->sizes[i + 1];
		const double *input = i ? net->outputs[i - 1] : inputs;
		double *below = i ? net->deltas[i - 1] : ret_input_gradient;

		at -= layer_weights(net, i);
		matrix_atb(ret_gradient + at, input, net->deltas[i], n, in, out);
		matrix_add_rows(ret_gradient + at + in * out, net->deltas[i], n, out);
		if (!below)
			break;
		memset(below, 0, n * in * sizeof(below[0]));
		matrix_abt(below, net->deltas[i], weights + at, n, in, out);
		if (i)
			unactivate(net->activation, below, input, n * in);
	}
	return loss;
}
