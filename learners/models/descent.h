/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

#include <stddef.h>

/* How weights follow a gradient. */
enum descent_rule {
	DESCENT_MOMENTUM, /* v = 0.9 v - rate g; w += v */
	DESCENT_ADAM,     /* Kingma and Ba 2015, with their constants */
};

struct descent {
	enum descent_rule rule;
	double rate;
	size_t n;
	double *first;                        /* owned; n: the velocity, or the mean gradient */
	double *second;                       /* owned; n, Adam only: the mean squared gradient */
	double first_decayed, second_decayed; /* powers of Adam's decays, for its correction */
};

/* 0 or -ENOMEM. */
int descent_init(struct descent *descent, enum descent_rule rule, double rate, size_t n);
void descent_update(struct descent *descent, double weights[], const double gradient[]);
void descent_done(struct descent *descent); /* a zeroed one is fine */
