/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-or-later */
#pragma once

#include <stdint.h>

/* What the meter's programs and the governor share (meter.bpf.c, governor/enforce/meter_bpf.c). */

/* Groups that can be metered at once. */
#define METER_GROUPS_MAX 4096

/* Threads that can be moved between two looks at them. */
#define METER_MOVES_MAX 8192

/* A metered group has a cell, and each of its threads knows it as its *place*: the number of the cell
 * (1 ..) in the low half, and in the high half which of those that had this cell one after the other.
 * 0 is everything that is not metered. */
#define METER_PLACE(cell, turn) ((uint64_t)(turn) << 32 | (cell))
#define METER_PLACE_CELL(place) ((uint32_t)(place))
#define METER_PLACE_TURN(place) ((uint32_t)((place) >> 32))

/* What the threads of a group have used so far: map `cells`, mapped by the governor. The first three
 * grow by what each thread has used since it was last counted; two CPUs that count the same thread at
 * once may let one go back for a moment. */
struct meter_cell {
	uint64_t cpu_ns;
	uint64_t wait_ns;
	uint64_t n_switches;
	uint32_t turn;
	uint32_t census;     /* number of the census that has last seen a thread of it runnable */
	uint32_t n_runnable; /* threads that this census saw runnable */
	uint32_t unused;
	uint64_t since_ns; /* its first thread was seen: what older ones used before is not its */
	uint64_t unused_too[2];
};
_Static_assert(sizeof(struct meter_cell) == 64, "a cache line, as both sides have it");
