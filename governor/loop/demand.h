/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

#include <stdbool.h>
#include <stdint.h>

/* How many CPUs a task can use in the coming slot, from what it did with what it was given. Pure: no
 * I/O, no clock. */

struct demand {
	double threads;     /* the most CPUs it can use at once */
	bool is_guess;      /* nobody has said so: these are the CPUs that there are */
	double usable_cpus; /* the answer, in (0, threads] */
	double level_cpus; /* what it wants, in [0, threads]: follows a rise at once, a fall slowly */
	double counted_cpus; /* what it may be counted on to use for long, in (0, threads]: threads, and
	                      * where they are a guess what it has been seen to want */
	uint32_t n_samples; /* in which it had a grant, up to the few after which it is believed */
};

/* What was seen of a task in a slot, or longer. */
struct demand_sample {
	uint64_t elapsed_ns; /* since the last sample */
	uint64_t given_ns;   /* of that, how long the task had a grant; 0: it was frozen */
	uint64_t granted_ns; /* CPU time that its grants came to in it */
	uint64_t used_ns;    /* CPU time that it used */
	bool has_wait;       /* are the following known? As in struct meter_reading */
	uint64_t wait_ns;
	uint32_t n_runnable; /* now */
};

/* A task of which nothing is known: it can use `threads` (> 0, finite) CPUs. Where they are a guess it is
 * offered as many, and is counted on for one until it has been seen to use more. */
void demand_init(struct demand *demand, double threads, bool is_guess);

/* Once a slot. */
void demand_observe(struct demand *demand, const struct demand_sample *sample);
