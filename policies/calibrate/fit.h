/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

#include "../net.h"
#include "samples.h"

/* Fits a net to the samples, whose order it changes and whose features it standardises; the
 * standardisation is folded into what it returns. Says on stderr how each epoch went. */
void fit_net(struct net *net, struct sample samples[], size_t n_samples, unsigned n_epochs,
	struct chance *chance);

/* The mean of -log(chance given to the class that came), of samples as they were made. */
double fit_surprise(const struct net *net, const struct sample samples[], size_t n_samples);
