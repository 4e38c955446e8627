/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

#include <stddef.h>

/* Products of small matrices, row by row in memory, added to what is in c.  The order of the
 * additions is fixed: the same bits from every compiler and machine. */

/* c[n][m] += a[n][k] b[k][m] */
void matrix_ab(double c[], const double a[], const double b[], size_t n, size_t k, size_t m);
/* c[k][m] += a[n][k]^T b[n][m] */
void matrix_atb(double c[], const double a[], const double b[], size_t n, size_t k, size_t m);
/* c[n][k] += a[n][m] b[k][m]^T */
void matrix_abt(double c[], const double a[], const double b[], size_t n, size_t k, size_t m);
/* c[m] += the rows of a[n][m] */
void matrix_add_rows(double c[], const double a[], size_t n, size_t m);
