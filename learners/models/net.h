/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "rng.h"

#define NET_LAYERS_MAX 8

enum net_activation { NET_TANH, NET_LOGISTIC };

/* A fully connected net for classification, with its loss (mean cross-entropy in nats) and the
 * gradient of it. It holds no weights: they come as an argument, one vector, layer after layer, each
 * as inputs x outputs and then the outputs' biases. */
struct net {
	size_t n_layers;
	size_t sizes[NET_LAYERS_MAX + 1]; /* of the input and of each layer's output */
	enum net_activation activation;   /* of all layers but the last */
	size_t n_weights;
	size_t batch_most;
	double *outputs[NET_LAYERS_MAX]; /* owned; batch_most x the layer's outputs */
	double *deltas[NET_LAYERS_MAX];  /* owned; the same, the loss by the layer's sums */
};

/* sizes[0 .. n_layers]. 0 or -ENOMEM. */
int net_init(struct net *net, const size_t sizes[], size_t n_layers, enum net_activation activation,
	size_t batch_most);
void net_done(struct net *net); /* a zeroed one is fine */

/* Starting weights: even in +-scale * sqrt(6 / (inputs + outputs)) (Glorot and Bengio 2010),
 * biases 0. */
void net_start(const struct net *net, double weights[], struct rng *rng, double scale);

/* The mean loss of inputs[n][sizes[0]] with the right classes labels[n]; any n > 0. */
double net_loss(struct net *net, const double weights[], const double inputs[],
	const uint8_t labels[], size_t n);

/* The same for 0 < n <= batch_most, with the gradient by the weights and, unless NULL, by the
 * inputs. */
double net_gradient(struct net *net, const double weights[], const double inputs[],
	const uint8_t labels[], size_t n, double ret_gradient[], double ret_input_gradient[]);

/* Softmax of each row of values[n][m] in place, and the sum of -log of what it gives labels[n]. */
double net_softmax(double values[], const uint8_t labels[], size_t n, size_t m);
