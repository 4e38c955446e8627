/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

/* exp, log, tanh and the logistic function with the same bits on every machine (see exact.c).
 * Relative error below 1e-14; nan gives nan. */

double exact_exp(double x);      /* 0 below -708, inf above 709 */
double exact_log(double x);      /* x > 0 and normal */
double exact_tanh(double x);     /* absolute error below 1e-15 near 0 */
double exact_logistic(double x); /* 1 / (1 + exp(-x)) */
