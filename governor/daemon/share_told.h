/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

#include <stdbool.h>
#include <stdint.h>

/* When a task's share is worth a line of its story. One that goes up and down is not told of each time: the
 * line comes when the last one is so long ago, and says what holds then. But what is told of the task in between
 * is told of one with its share, so that comes first (share_told_differs()). Pure. */

#define SHARE_PAUSE_NS (10 * UINT64_C(1000000000))

/* What was told last; all zero at first: nothing. */
struct share_told {
	bool is_told;
	double cpus;
	uint64_t at_ns;
};

/* Is one worth telling who knows the other? It is where they are 0.01 CPUs apart, or where the task may run at
 * all with one and not with the other. */
bool shares_differ(double a_cpus, double b_cpus);

/* A share of none, before any was told, is none that it has got. */
bool share_told_differs(const struct share_told *told, double share_cpus);
/* Is it to be told by itself? As one of a slot, also where it is none and the first. */
bool share_told_is_due(
	const struct share_told *told, double share_cpus, uint64_t now_ns, uint64_t pause_ns);
