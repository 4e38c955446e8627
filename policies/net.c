// SPDX-License-Identifier: GPL-2.0-or-later
#include "net.h"

#include <math.h>
#include <string.h>

/* The rows of weights are flat here, `n_to` to each input and one more for the constants. */
static void weigh(const float weight[], const float from[], int n_from, float to[], int n_to)
{
	memcpy(to, weight + n_from * n_to, (size_t)n_to * sizeof(to[0]));
	for (int i = 0; i < n_from; i++)
		for (int k = 0; k < n_to; k++)
			to[k] += weight[i * n_to + k] * from[i];
}

static void bend(float values[], int n)
{
	for (int i = 0; i < n; i++)
		values[i] = tanhf(values[i]);
}

static void softmax(float values[], int n)
{
	float most = -INFINITY, sum = 0;

	for (int i = 0; i < n; i++)
		most = fmaxf(most, values[i]);
	for (int i = 0; i < n; i++)
		sum += values[i] = expf(values[i] - most);
	for (int i = 0; i < n; i++)
		values[i] /= sum;
}

void net_ask(const struct net *net, const float feature[static N_FEATURES], struct net_answer *ret)
{
	weigh(&net->first[0][0], feature, N_FEATURES, ret->first, N_FIRST);
	bend(ret->first, N_FIRST);
	weigh(&net->second[0][0], ret->first, N_FIRST, ret->second, N_SECOND);
	bend(ret->second, N_SECOND);
	weigh(&net->output[0][0], ret->second, N_SECOND, ret->chance, N_CLASSES);
	softmax(ret->chance, N_CLASSES);
}
