// SPDX-License-Identifier: GPL-2.0-or-later
#include "exact.h"

#include <math.h>
#include <stdint.h>
#include <string.h>

/* A training must take the same number of steps to its target on every machine, or a deadline
 * chosen on one says nothing on another.  IEEE arithmetic gives that for + - * / and sqrt, as long
 * as the compiler neither reorders nor fuses them (the room is built with -ffp-contract=off and
 * without -ffast-math).  It does not for the C library: glibc picks variants of exp() and log() by
 * CPU, with and without fused multiply-add, whose last bits may differ, and a few thousand steps
 * make a visible difference of a last bit.  So the four functions that the models need are here,
 * in plain arithmetic.
 *
 * exp: x = k ln 2 + r with |r| <= ln(2)/2, Taylor's series of e^r up to r^13 (the next term is below
 * 2e-17), then k added to the exponent.  ln 2 is split in two so that k times its upper part is
 * exact.  log: x = m 2^e with m in [sqrt(1/2), sqrt(2)), log m = 2 atanh((m - 1)/(m + 1)), whose
 * argument is at most 0.172: the series is cut after s^21. */

#define LN2_UPPER 6.93147180369123816490e-01 /* 33 bits, so that k * LN2_UPPER is exact */
#define LN2_LOWER 1.90821492927058770002e-10
#define LOG2_E 1.44269504088896340736
#define EXP_DEGREE 13
#define LOG_DEGREE 21

static const double inverse_factorial[EXP_DEGREE + 1] = {
	1.0,
	1.0,
	1.0 / 2,
	1.0 / 6,
	1.0 / 24,
	1.0 / 120,
	1.0 / 720,
	1.0 / 5040,
	1.0 / 40320,
	1.0 / 362880,
	1.0 / 3628800,
	1.0 / 39916800,
	1.0 / 479001600,
	1.0 / 6227020800,
};

double exact_exp(double x)
{
	double k, r, sum = inverse_factorial[EXP_DEGREE], scale;
	uint64_t bits;

	if (!(x >= -708))
		return x < -708 ? 0 : x;
	if (x > 709)
		return INFINITY;
	k = floor(x * LOG2_E + 0.5);
	r = (x - k * LN2_UPPER) - k * LN2_LOWER;
	for (int i = EXP_DEGREE - 1; i >= 0; i--)
		sum = sum * r + inverse_factorial[i];
	/* k is in -1021 .. 1023: an exponent of a normal number. */
	bits = (uint64_t)(int64_t)(k + 1023) << 52;
	memcpy(&scale, &bits, sizeof(scale));
	return sum * scale;
}

double exact_log(double x)
{
	double m, s, s2, sum = 0;
	int e;

	m = frexp(x, &e);
	if (m < 0.70710678118654752440) {
		m *= 2;
		e--;
	}
	s = (m - 1) / (m + 1);
	s2 = s * s;
	for (int i = LOG_DEGREE; i >= 1; i -= 2)
		sum = sum * s2 + 1.0 / i;
	return 2 * s * sum + e * LN2_LOWER + e * LN2_UPPER;
}

double exact_tanh(double x)
{
	return 1 - 2 / (exact_exp(2 * x) + 1);
}

double exact_logistic(double x)
{
	return 1 / (1 + exact_exp(-x));
}
