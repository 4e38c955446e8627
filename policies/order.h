/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

#include <stdbool.h>
#include <stdint.h>

/* True where the item with index a comes before the one with index b; a strict weak order. */
typedef bool (*order_is_before)(const void *context, uint32_t a, uint32_t b);

/* Fills order[n] with 0 .. n-1. */
void order_init(uint32_t order[], uint32_t n);

/* Sorts the indices in order[n]; equal ones keep their places. scratch[n] is overwritten.
 * n log n, no allocation (qsort(3) may allocate, and is not stable). */
void order_sort(uint32_t order[], uint32_t scratch[], uint32_t n, order_is_before is_before,
	const void *context);
