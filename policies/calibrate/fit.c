// SPDX-License-Identifier: GPL-2.0-or-later
#include "fit.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

/* The net is fitted by Adam with decoupled weight decay (Kingma and Ba, ICLR 2015; Loshchilov and Hutter,
 * ICLR 2019). Against learning the curves by heart: no sample is seen more than a few times, a little noise
 * on the inputs, decay, and labels that lend some of their weight to the neighbouring bins. The learning
 * rate falls as a cosine. */

#define BATCH 1024
#define RATE 4e-3
#define DECAY 3e-2
#define INPUT_NOISE 0.02
#define OWN_PART 0.9 /* of the weight stays with the class that came */
#define N_WEIGHTS (sizeof(struct net) / sizeof(float))

struct adam {
	struct net gradient, mean, square;
	unsigned n_steps;
};

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

/* From the errors of what a layer said to the gradient of its weights, and to the errors of what it was told
 * (NULL for the features: nobody asks). */
static void blame(const float weight[], const float from[], int n_from, const float error[],
	int n_to, float gradient[], float ret_back[])
{
	for (int i = 0; i < n_from; i++) {
		float back = 0;

		for (int k = 0; k < n_to; k++)
			gradient[i * n_to + k] += error[k] * from[i];
		if (!ret_back)
			continue;
		for (int k = 0; k < n_to; k++)
			back += error[k] * weight[i * n_to + k];
		ret_back[i] = back * (1 - from[i] * from[i]); /* of a tanh */
	}
	for (int k = 0; k < n_to; k++)
		gradient[n_from * n_to + k] += error[k];
}

/* Adds the gradient of one sample; returns its surprise. */
static double backward(const struct net *net, struct net *gradient, const struct sample *sample,
	const float feature[static N_FEATURES])
{
	float label[N_CLASSES], error[N_CLASSES], second[N_SECOND], first[N_FIRST];
	struct net_answer answer;

	net_ask(net, feature, &answer);
	soft_label(sample->class, label);
	for (int k = 0; k < N_CLASSES; k++)
		error[k] = answer.chance[k] - label[k];
	blame(&net->output[0][0], answer.second, N_SECOND, error, N_CLASSES,
		&gradient->output[0][0], second);
	blame(&net->second[0][0], answer.first, N_FIRST, second, N_SECOND, &gradient->second[0][0],
		first);
	blame(&net->first[0][0], feature, N_FEATURES, first, N_FIRST, &gradient->first[0][0],
		/* ret_back= */ NULL);
	return -log((double)fmaxf(answer.chance[sample->class], 1e-30F));
}

static void adam_step(struct adam *adam, struct net *net, size_t batch, double rate)
{
	float *weight = &net->first[0][0], *gradient = &adam->gradient.first[0][0];
	float *mean = &adam->mean.first[0][0], *square = &adam->square.first[0][0];
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
	for (int h = 0; h < N_FIRST; h++) {
		double constant = (double)net->first[N_FEATURES][h];

		for (int f = 0; f < N_FEATURES; f++) {
			double weight = (double)net->first[f][h] / deviation[f];

			constant -= weight * mean[f];
			net->first[f][h] = (float)weight;
		}
		net->first[N_FEATURES][h] = (float)constant;
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

/* Random weights that keep the spread of what comes in; the constants are 0. */
static void start(float weight[], int n_from, int n_to, struct chance *chance)
{
	for (int i = 0; i < n_from * n_to; i++)
		weight[i] = (float)chance_normal(chance, 0, sqrt(1.0 / n_from));
}

void fit_net(struct net *net, struct sample samples[], size_t n_samples, unsigned n_epochs,
	struct chance *chance)
{
	static struct adam adam;
	double mean[N_FEATURES], deviation[N_FEATURES];
	size_t n_batches = n_samples / BATCH * n_epochs, at = 0;

	memset(&adam, 0, sizeof(adam));
	memset(net, 0, sizeof(*net));
	standardise(samples, n_samples, mean, deviation);
	start(&net->first[0][0], N_FEATURES, N_FIRST, chance);
	start(&net->second[0][0], N_FIRST, N_SECOND, chance);
	start(&net->output[0][0], N_SECOND, N_CLASSES, chance);
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

double fit_surprise(const struct net *net, const struct sample samples[], size_t n_samples)
{
	struct net_answer answer;
	double sum = 0;

	for (size_t i = 0; i < n_samples; i++) {
		net_ask(net, samples[i].feature, &answer);
		sum -= log((double)fmaxf(answer.chance[samples[i].class], 1e-30F));
	}
	return sum / (double)n_samples;
}
