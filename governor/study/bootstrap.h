/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

#include <stddef.h>
#include <stdint.h>

/* How sure a mean over bundles is: a percentile bootstrap (B. Efron, Bootstrap methods: another look at the
 * jackknife, Annals of Statistics 7, 1979). Pure. */

#define BOOTSTRAP_RESAMPLES 2000
#define BOOTSTRAP_CONFIDENCE 0.95

struct bootstrap_interval {
	double mean; /* nan where there are no values */
	double low,
		high; /* the 2.5 and 97.5 % points of the means of the resamples; nan for fewer than two */
};

/* The mean of n finite values, and how far it would be off with other values like these: so many
 * resamples of n values each, drawn with replacement, always by the same numbers, so that the same values
 * give the same interval, and n values of another kind are drawn alike. 0 or -ENOMEM. */
int bootstrap_mean(const double values[], size_t n, struct bootstrap_interval *ret_interval);

/* The next of a fixed sequence of 64-bit numbers; *state is what it begins with. */
uint64_t bootstrap_next(uint64_t *state);
