/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

#include <stddef.h>

#include "fault.h"
#include "options.h"

/* What a model keeps between steps; each embeds it as its first member. */
struct learner {
	double *weights; /* owned by the model; NULL where it has no vector of weights */
	size_t n_weights;
};

/* A model that can be trained: the seam between train.c and the models, and the tests' view. */
struct model {
	const char *name;
	const char *about; /* one line for --help */
	uint64_t steps;    /* default of --steps */
	uint64_t report_every;
	const struct setting *settings;
	size_t n_settings;

	/* Reads the data and makes the starting point. 0 or a negative errno. */
	int (*open)(
		const struct options *options, struct learner **ret_learner, struct fault *fault);
	void (*step)(struct learner *learner);
	/* The loss on a fixed part of the held-out data. Changes nothing. */
	double (*loss)(struct learner *learner);
	/* The training objective on a few samples, and its gradient by the weights: what step()
	 * descends. ret_gradient has n_weights elements. nan where the model has no gradient. */
	double (*probe)(struct learner *learner, double ret_gradient[]);
	struct learner *(*close)(struct learner *learner); /* NULL is fine; returns NULL */
};

extern const struct model model_boost;
extern const struct model model_factors;
extern const struct model model_gru;
extern const struct model model_mlp;
extern const struct model model_ngram;
extern const struct model model_softmax;
