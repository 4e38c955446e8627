/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-or-later */
#pragma once

#include <stdint.h>

/* What the meter's programs and the governor share (meter.bpf.c, governor/enforce/meter_bpf.c). All
 * of it lies in maps that the governor maps into its memory.
 *
 * A metered group has a *slot*, 1 .. n_slots - 1; slot 0 is everything that is not metered. */

/* Groups that can be metered at once: what fits in the tables below. */
#define METER_GROUPS_MAX 4096

/* What one CPU has seen of one slot: map `cells`, index CPU x n_slots + slot. Written by that CPU
 * alone, each member only ever grows. */
struct meter_cell {
	uint64_t cpu_ns;
	uint64_t wait_ns;
	uint64_t n_switches;
	uint64_t unused;
};
_Static_assert(sizeof(struct meter_cell) == 32, "half a cache line, as both sides have it");

/* A thread was moved to another group while it ran: up to exec_ns it belongs to what was before. */
struct meter_split {
	uint64_t run;     /* the run on the CPU that it was seen in */
	uint64_t exec_ns; /* the thread's CPU time when it was moved */
	uint32_t slot;    /* where it belongs from then on */
	uint32_t unused;
};

#define METER_SPLITS 32

/* What runs on a CPU: map `cpus`, index CPU. The first line is that CPU's own; the rest is
 * written by whoever moves a thread. */
struct meter_cpu {
	uint32_t slot;          /* of the thread that runs */
	uint32_t n_splits_done; /* of n_splits */
	uint64_t task;          /* address of its task_struct; 0: nothing known yet */
	uint64_t run;           /* counts the switches */
	uint64_t exec_ns;       /* how far its CPU time has been counted */
	uint64_t delay_ns;      /* its run delay when it was switched in */
	/* What could not be counted. */
	uint64_t n_missed_switches; /* a thread went that had not come, and was new */
	uint64_t n_missed_waits;    /* no memory for a thread: some of its waiting may be missing */
	uint64_t n_missed_moves;    /* more moves in one run than there is room for */

	uint32_t n_splits;
	uint32_t unused[15];
	struct meter_split splits[METER_SPLITS];
};
_Static_assert(sizeof(struct meter_cpu) == 64 + 64 + METER_SPLITS * 24, "no padding");

/* The threads of a slot that are runnable, as of a look at all threads: map `runnable`, index slot.
 * Valid where `look` is that of the newest look, else there are none. */
struct meter_runnable {
	uint32_t look;
	uint32_t n;
};
_Static_assert(sizeof(struct meter_runnable) == 8, "no padding");
