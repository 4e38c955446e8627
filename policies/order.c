// SPDX-License-Identifier: GPL-2.0-or-later
#include "order.h"

#include <string.h>

/* A merge sort of indices, bottom up.
 *
 * Own, because the C library's qsort(3) promises neither stability nor to stay away from malloc(3)
 * (glibc takes heap memory from 1 KiB on), and a plan must be the same for the same view and
 * allocate nothing. Runs of 1, 2, 4, ... are merged to and fro between the array and the scratch;
 * an odd number of passes ends in the scratch and is copied back. */

void order_init(uint32_t order[], uint32_t n)
{
	for (uint32_t i = 0; i < n; i++)
		order[i] = i;
}

static void merge(const uint32_t from[], uint32_t to[], uint32_t start, uint32_t middle,
	uint32_t end, order_is_before is_before, const void *context)
{
	uint32_t left = start, right = middle;

	for (uint32_t at = start; at < end; at++) {
		bool take_right = left == middle ||
			(right < end && is_before(context, from[right], from[left]));

		to[at] = take_right ? from[right++] : from[left++];
	}
}

void order_sort(uint32_t order[], uint32_t scratch[], uint32_t n, order_is_before is_before,
	const void *context)
{
	uint32_t *from = order, *to = scratch;

	for (uint64_t run = 1; run < n; run *= 2) {
		for (uint64_t start = 0; start < n; start += 2 * run) {
			uint64_t middle = start + run < n ? start + run : n;
			uint64_t end = start + 2 * run < n ? start + 2 * run : n;

			merge(from, to, (uint32_t)start, (uint32_t)middle, (uint32_t)end, is_before,
				context);
		}
		uint32_t *swap = from;

		from = to;
		to = swap;
	}
	if (from != order)
		memcpy(order, from, n * sizeof(order[0]));
}
