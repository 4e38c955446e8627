/* SPDX-License-Identifier: MIT */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "layout.h"

/* Writing reports into a page (layout.h): for the library, and for a stand-in that reports what a
 * program prints. One writer at a time, one report at a time; the caller sees to both. */

struct coregov_writer {
	double target_value; /* as on the governor's side of the page */
	bool is_raised;
	uint32_t in_a_row;
	uint32_t n_met_in_a_row; /* reports in a row that met the target so far */
};

/* Relaxed stores of one field. */
static inline void put_word(uint64_t *field, uint64_t value)
{
	__atomic_store_n(field, value, __ATOMIC_RELAXED);
}

static inline void put_double(double *field, double value)
{
	__atomic_store(field, &value, __ATOMIC_RELAXED);
}

/* One report. mask: bit i says that values[i] is there, in the order of an entry's values. stamp_ns
 * is never less than that of the report before. */
void put_report(struct coregov_writer *writer, struct coregov_task_side *task, uint64_t step,
	uint64_t stamp_ns, uint32_t mask, const double values[]);
