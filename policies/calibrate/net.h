/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

#include "samples.h"

struct net {
	float hidden[N_HIDDEN][N_FEATURES + 1]; /* the last column is the constant */
	float output[N_CLASSES][N_HIDDEN + 1];
};

/* Fits a net to the samples, whose order it changes and whose features it standardises; the
 * standardisation is folded into what it returns. Says on stderr how each epoch went. */
void net_fit(struct net *net, struct sample samples[], size_t n_samples, unsigned n_epochs,
	struct chance *chance);

/* The mean of -log(chance given to the class that came), of samples as they were made. */
double net_surprise(const struct net *net, const struct sample samples[], size_t n_samples);
