/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "quantity.h"

/* Names and values of metrics as training programs print them. Pure. */

/* One name for two spellings: letters compare without case, and a run of blanks, `_`, `-`, `.` or
 * `/` is one separator ("eval-auc", "eval_auc", "Eval AUC"). `name` has `length` bytes. */
bool metric_is_same(const char *wanted, const char *name, size_t length);

/* How well a name of a file's column, key or tag stands for the wanted metric. */
enum metric_rank {
	METRIC_RANK_NONE,
	METRIC_RANK_PART,  /* has "loss" in it, where the wanted metric is the loss */
	METRIC_RANK_USUAL, /* a usual name of the loss ("total_loss", "train/loss", "epoch_loss") */
	METRIC_RANK_SAME,
};
enum metric_rank metric_rank(const char *wanted, const char *name, size_t length);

/* The one name in a file that stands for the wanted metric: the best that has been seen. */
struct metric_choice {
	enum metric_rank rank;
	char name[METRIC_NAME_MAX];
};

/* True where `name` is the choice, or ranks higher and becomes it. A zeroed choice is empty. */
bool metric_choose(
	struct metric_choice *choice, const char *wanted, const char *name, size_t length);

/* The number that the whole text is: decimal, or `nan`, `inf`, `infinity` with a sign and in any
 * case. A Fortran exponent (1.5D+00) counts, a number too large is inf. Independent of the locale.
 * False: not a number, *ret_value untouched. */
bool metric_value(const char *text, size_t length, double *ret_value);
