/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "../net.h"

/* Chance, the same on every machine. */
struct chance {
	uint64_t state;
};
double chance_uniform(struct chance *chance, double least, double most);
double chance_normal(struct chance *chance, double mean, double deviation);

/* A recorded learning curve. */
struct recorded {
	size_t n_rows;
	double *cpu_s, *loss;
};

/* One moment in the life of a task: what was to be seen, and what came of it. */
struct sample {
	float feature[N_FEATURES];
	uint8_t class; /* < N_CLASSES */
};

#define SAMPLES_A_TASK 12

/* Makes a task from a curve and looks at it at up to SAMPLES_A_TASK stages before it meets its
 * target; returns how many: 0 where the draw gave no target worth the name. */
size_t samples_of_task(const struct recorded *curve, struct chance *chance,
	struct sample ret[static SAMPLES_A_TASK]);
