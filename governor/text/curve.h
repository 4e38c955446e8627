/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "fault.h"
#include "quantity.h"

/* A recorded learning curve. A row (c, l) means: having used c of CPU time, the task reports l. */
struct curve_row {
	uint64_t cpu_ns; /* strictly increasing; c in seconds rounded to the nearest ns */
	double loss;     /* may be nan or inf: reported, never meets a target */
};

struct curve {
	struct curve_row *rows; /* owned */
	size_t n_rows;          /* >= 1 */
};

#define CURVE_ROWS_MAX 10000000

/* Reads a CSV file with the header `cpu_seconds,loss`. 0, or -ENOENT/-EACCES/... (cannot be read),
 * -EFBIG,
 * -EBADMSG (malformed: the sentence has file:line), -ENOMEM. */
int curve_read(const char *path, struct curve *ret_curve, struct fault *fault);

/* The same from memory; `path` is for the sentences only. */
int curve_parse(const char *path, const char *text, size_t length, struct curve *ret_curve,
	struct fault *fault);

void curve_done(struct curve *curve); /* a zeroed one is fine */

/* What a task with this curve needs to meet the target: the CPU time of the row at which it is first met, so
 * many reports in a row as it asks for; UINT64_MAX where it never is. */
uint64_t curve_need(const struct curve *curve, const struct target *target);
