// SPDX-License-Identifier: GPL-2.0-or-later
#include "descent.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>

/* Gradient descent with momentum for the small nets, Adam for the two language models, whose
 * gradients differ by orders of magnitude between rare and frequent characters.  Momentum is in the
 * form that scikit-learn and PyTorch use, so that a learning rate means the same there. */

#define MOMENTUM 0.9
#define ADAM_FIRST 0.9
#define ADAM_SECOND 0.999
#define ADAM_EPSILON 1e-8

int descent_init(struct descent *descent, enum descent_rule rule, double rate, size_t n)
{
	*descent = (struct descent){
		.rule = rule, .rate = rate, .n = n, .first_decayed = 1, .second_decayed = 1};
	descent->first = calloc(n, sizeof(descent->first[0]));
	if (rule == DESCENT_ADAM)
		descent->second = calloc(n, sizeof(descent->second[0]));
	if (!descent->first || (rule == DESCENT_ADAM && !descent->second)) {
		descent_done(descent);
		return -ENOMEM;
	}
	return 0;
}

static void update_momentum(struct descent *descent, double weights[], const double gradient[])
{
	for (size_t i = 0; i < descent->n; i++) {
		descent->first[i] = MOMENTUM * descent->first[i] - descent->rate * gradient[i];
		weights[i] += descent->first[i];
	}
}

static void update_adam(struct descent *descent, double weights[], const double gradient[])
{
	double *first = descent->first, *second = descent->second;
	double rate, correction;

	descent->first_decayed *= ADAM_FIRST;
	descent->second_decayed *= ADAM_SECOND;
	rate = descent->rate / (1 - descent->first_decayed);
	correction = 1 / sqrt(1 - descent->second_decayed);
	for (size_t i = 0; i < descent->n; i++) {
		first[i] = ADAM_FIRST * first[i] + (1 - ADAM_FIRST) * gradient[i];
		second[i] = ADAM_SECOND * second[i] + (1 - ADAM_SECOND) * gradient[i] * gradient[i];
		weights[i] -= rate * first[i] / (sqrt(second[i]) * correction + ADAM_EPSILON);
	}
}

void descent_update(struct descent *descent, double weights[], const double gradient[])
{
	if (descent->rule == DESCENT_ADAM)
		update_adam(descent, weights, gradient);
	else
		update_momentum(descent, weights, gradient);
}

void descent_done(struct descent *descent)
{
	free(descent->first);
	free(descent->second);
	*descent = (struct descent){0};
}
