/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

#include "shape.h"

/* The calibrated model behind the forecast: from the features of a learning curve to the chance of each
 * class of its remaining need.
 *
 * The remaining need in units of the CPU time used so far falls into one of these classes:
 * log(need / used) in bins of half a unit with edges from -3.5 to 5, open at both ends; or never. */
#define N_BINS 19
#define N_CLASSES (N_BINS + 1)
#define FIRST_EDGE (-3.5)
#define EDGE_STEP 0.5

#define N_FIRST 64
#define N_SECOND 64

/* Two hidden layers of tanh, then softmax. A row for each input of a layer, the last one for the constants:
 * in that order the sums are vector operations, and come out the same whatever the compiler makes of them. */
struct net {
	float first[N_FEATURES + 1][N_FIRST];
	float second[N_FIRST + 1][N_SECOND];
	float output[N_SECOND + 1][N_CLASSES];
};

/* What the layers say to one input; the last adds up to 1. */
struct net_answer {
	float first[N_FIRST];
	float second[N_SECOND];
	float chance[N_CLASSES];
};

/* The table that calibrate/ has written. */
extern const struct net forecast_net;

void net_ask(const struct net *net, const float feature[static N_FEATURES], struct net_answer *ret);
