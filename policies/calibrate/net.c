// SPDX-License-Identifier: GPL-2.0-or-later
#include "net.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

/* One hidden layer of tanh, softmax over the classes, fitted by Adam with decoupled weight decay.
 *
 * Against learning the curves by heart: noise on the inputs, decay, few hidden units, and labels that
 * lend some of their weight to the neighbouring bins. The learning rate falls as a cosine. */

#define BATCH 1024
#define RATE 4e-3
#define DECAY 3e-2
#define INPUT_NOISE 0.1
#define OWN_PART 0.7 /* of the weight stays with the class that came */
#define N_WEIGHTS (sizeof(struct net) / sizeof(float))

struct adam {
	struct net gradient, mean, square;
	unsigned n_steps;
};

static void forward(const struct net *net, const float feature[static N_FEATURES],
	float ret_hidden[static N_HIDDEN], float ret_chance[static N_CLASSES])
{
	float most = -INFINITY, sum = 0;

	for (int h = 0; h < N_HIDDEN; h++) {
		float x = net->hidden[h][N_FEATURES];

		for (int f = 0; f < N_FEATURES; f++)
			x += net->hidden[h][f] * feature[f];
		ret_hidden[h] = tanhf(x);
	}
	for (int k = 0; k < N_CLASSES; k++) {
		float x = net->output[k][N_HIDDEN];

		for (int h = 0; h < N_HIDDEN; h++)
			x += net->output[k][h] * ret_hidden[h];
		ret_chance[k] = x;
		most = fmaxf(most, x);
	}
	for (int k = 0; k < N_CLASSES; k++)
		sum += ret_chance[k] = expf(ret_chance[k] - most);
	for (int k = 0; k < N_CLASSES; k++)
		ret_chance[k] /= sum;
}

static void soft_label(uint8_t class, float ret[static N_CLASSES])
{
	int below = class > 0 ? class - 1 : class, above = class + 1 < N_BINS ? class + 1 : class;

	memset(ret, 0, N_CLASSES * sizeof(ret[0]));
	if (class == N_BINS) {
		ret[N_BINS] = 1;
		return;
	}
	ret[class] += (float)OWN_PART;
	ret[below] += (float)((1 - OWN_PART) / 2);
	ret[above] += (float)((1 - OWN_PART) / 2);
}

/* Adds the gradient of one sample; returns its surprise. */
static double backward(const struct net *net, struct net *gradient, const struct sample *sample,
	const float feature[static N_FEATURES])
{
	float hidden[N_HIDDEN], chance[N_CLASSES], label[N_CLASSES], back[N_HIDDEN] = {0};
	double surprise;

	forward(net, feature, hidden, chance);
	surprise = -log((double)fmaxf(chance[sample->class], 1e-30F));
	soft_label(sample->class, label);
	for (int k = 0; k < N_CLASSES; k++) {
		float error = chance[k] - label[k];

		for (int h = 0; h < N_HIDDEN; h++) {
			gradient->output[k][h] += error * hidden[h];
			back[h] += error * net->output[k][h];
		}
		gradient->output[k][N_HIDDEN] += error;
	}
	for (int h = 0; h < N_HIDDEN; h++) {
		float error = back[h] * (1 - hidden[h] * hidden[h]);

		for (int f = 0; f < N_FEATURES; f++)
			gradient->hidden[h][f] += error * feature[f];
		gradient->hidden[h][N_FEATURES] += error;
	}
	return surprise;
}

static void adam_step(struct adam *adam, struct net *net, size_t batch, double rate)
{
	float *weight = &net->hidden[0][0], *gradient = &adam->gradient.hidden[0][0];
	float *mean = &adam->mean.hidden[0][0], *square = &adam->square.hidden[0][0];
	double mean_part, square_part;

	adam->n_steps++;
	mean_part = 1 - pow(0.9, adam->n_steps);
	square_part = 1 - pow(0.999, adam->n_steps);
	for (size_t i = 0; i < N_WEIGHTS; i++) {
		double g = (double)gradient[i] / (double)batch, m, s;

		mean[i] = (float)(m = 0.9 * (double)mean[i] + 0.1 * g);
		square[i] = (float)(s = 0.999 * (double)square[i] + 0.001 * g * g);
		weight[i] -= (float)(rate *
			(m / mean_part / (sqrt(s / square_part) + 1e-8) +
				DECAY * (double)weight[i]));
	}
	memset(&adam->gradient, 0, sizeof(adam->gradient));
}

static void standardise(struct sample samples[], size_t n, double ret_mean[static N_FEATURES],
	double ret_deviation[static N_FEATURES])
{
	for (int f = 0; f < N_FEATURES; f++) {
		double sum = 0, squares = 0;

		for (size_t i = 0; i < n; i++)
			sum += (double)samples[i].feature[f];
		ret_mean[f] = sum / (double)n;
		for (size_t i = 0; i < n; i++)
			squares += pow((double)samples[i].feature[f] - ret_mean[f], 2);
		ret_deviation[f] = fmax(sqrt(squares / (double)n), 1e-6);
		for (size_t i = 0; i < n; i++)
			samples[i].feature[f] = (float)(((double)samples[i].feature[f] -
								ret_mean[f]) /
				ret_deviation[f]);
	}
}

/* So that the net takes features as they are. */
static void fold(struct net *net, const double mean[static N_FEATURES],
	const double deviation[static N_FEATURES])
{
	for (int h = 0; h < N_HIDDEN; h++) {
		double constant = (double)net->hidden[h][N_FEATURES];

		for (int f = 0; f < N_FEATURES; f++) {
			double weight = (double)net->hidden[h][f] / deviation[f];

			constant -= weight * mean[f];
			net->hidden[h][f] = (float)weight;
		}
		net->hidden[h][N_FEATURES] = (float)constant;
	}
}

static void shuffle(struct sample samples[], size_t n, struct chance *chance)
{
	for (size_t i = n; i > 1; i--) {
		size_t to = (size_t)chance_uniform(chance, 0, (double)i);
		struct sample swap = samples[to];

		samples[to] = samples[i - 1];
		samples[i - 1] = swap;
	}
}

/* Normal enough for noise, at a third of the price. */
static float rough_normal(struct chance *chance)
{
	return (float)((chance_uniform(chance, -1, 1) + chance_uniform(chance, -1, 1)) *
		INPUT_NOISE * 1.2247);
}

void net_fit(struct net *net, struct sample samples[], size_t n_samples, unsigned n_epochs,
	struct chance *chance)
{
	static struct adam adam;
	double mean[N_FEATURES], deviation[N_FEATURES];
	size_t n_batches = n_samples / BATCH * n_epochs, at = 0;

	memset(&adam, 0, sizeof(adam));
	memset(net, 0, sizeof(*net));
	standardise(samples, n_samples, mean, deviation);
	for (int h = 0; h < N_HIDDEN; h++) {
		for (int f = 0; f < N_FEATURES; f++)
			net->hidden[h][f] = (float)chance_normal(chance, 0, sqrt(1.0 / N_FEATURES));
		for (int k = 0; k < N_CLASSES; k++)
			net->output[k][h] = (float)chance_normal(chance, 0, sqrt(1.0 / N_HIDDEN));
	}
	for (size_t batch = 0; batch < n_batches; batch++) {
		double surprise = 0;

		if (at == 0)
			shuffle(samples, n_samples, chance);
		for (size_t i = 0; i < BATCH; i++, at++) {
			float feature[N_FEATURES];

			for (int f = 0; f < N_FEATURES; f++)
				feature[f] = samples[at].feature[f] + rough_normal(chance);
			surprise += backward(net, &adam.gradient, &samples[at], feature);
		}
		adam_step(&adam, net, BATCH,
			RATE * (1 + cos(M_PI * (double)batch / (double)n_batches)) / 2);
		if (at + BATCH > n_samples) {
			at = 0;
			fprintf(stderr, "batch %zu of %zu: surprise %.3f\n", batch + 1, n_batches,
				surprise / BATCH);
		}
	}
	fold(net, mean, deviation);
}

double net_surprise(const struct net *net, const struct sample samples[], size_t n_samples)
{
	float hidden[N_HIDDEN], chance[N_CLASSES];
	double sum = 0;

	for (size_t i = 0; i < n_samples; i++) {
		forward(net, samples[i].feature, hidden, chance);
		sum -= log((double)fmaxf(chance[samples[i].class], 1e-30F));
	}
	return sum / (double)n_samples;
}
