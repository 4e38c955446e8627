// SPDX-License-Identifier: GPL-2.0-or-later
#include "matrix.h"

/* Plain loops, ordered so that the innermost one runs along rows of memory and adds to separate
 * elements: a compiler may do several of them at once without changing any sum.  Only a product
 * with a transposed right side is a sum along the row; it has four partial sums of its own, in a
 * fixed order, for the same reason. */

#define LANES 4

void matrix_ab(double c[], const double a[], const double b[], size_t n, size_t k, size_t m)
{
	for (size_t i = 0; i < n; i++)
		for (size_t l = 0; l < k; l++) {
			const double factor = a[i * k + l];
			const double *restrict from = b + l * m;
			double *restrict to = c + i * m;

			for (size_t j = 0; j < m; j++)
				to[j] += factor * from[j];
		}
}

void matrix_atb(double c[], const double a[], const double b[], size_t n, size_t k, size_t m)
{
	for (size_t i = 0; i < n; i++)
		for (size_t l = 0; l < k; l++) {
			const double factor = a[i * k + l];
			const double *restrict from = b + i * m;
			double *restrict to = c + l * m;

			for (size_t j = 0; j < m; j++)
				to[j] += factor * from[j];
		}
}

static double dot(const double a[], const double b[], size_t m)
{
	double lanes[LANES] = {0};
	size_t j = 0;

	for (; j + LANES <= m; j += LANES)
		for (size_t lane = 0; lane < LANES; lane++)
			lanes[lane] += a[j + lane] * b[j + lane];
	for (size_t lane = 0; j + lane < m; lane++)
		lanes[lane] += a[j + lane] * b[j + lane];
	return (lanes[0] + lanes[1]) + (lanes[2] + lanes[3]);
}

void matrix_abt(double c[], const double a[], const double b[], size_t n, size_t k, size_t m)
{
	for (size_t i = 0; i < n; i++)
		for (size_t l = 0; l < k; l++)
			c[i * k + l] += dot(a + i * m, b + l * m, m);
}

void matrix_add_rows(double c[], const double a[], size_t n, size_t m)
{
	for (size_t i = 0; i < n; i++)
		for (size_t j = 0; j < m; j++)
			c[j] += a[i * m + j];
}
