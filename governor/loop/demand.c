// SPDX-License-Identifier: GPL-2.0-or-later
#include "demand.h"

#include <math.h>

/* What a task can use.
 *
 * Wanted in a slot is the number of its threads that ran or waited for a CPU, on average:
 *
 *	(used + waited) / time
 *
 * which is an upper bound, and exact for a task that nothing held back. Two things bend it:
 *
 *	- A thread that wakes for a moment among busy ones waits longer than it runs, and a larger
 *	  share would not help it. So waiting counts in full only where the share was used up, or
 *	  where a thread is still runnable at the end; else no more than the use itself.
 *	- A meter that knows no waiting cannot tell a task that just got by from one that was held
 *	  back. A task that has used up its grant may then want anything: all its threads. One that
 *	  has not wanted what it used, or was kept from more by others on the machine: it is left
 *	  twice as much.
 *
 * From slot to slot the level rises at once and falls half-way, so that a pause of a second or a slot
 * of reading files costs a task little; and what it is said to be able to use is more than the level,
 * by a part of it and by a floor. With that it shows that it wants more, or that it has woken: a task
 * on the floor that becomes busy uses it up, and has all its threads in the slot after that. Where the
 * meter says that it runs now, though it did next to nothing in the slot, it has just woken, and has
 * them at once.
 *
 * A task is believed after a few slots: until then it loads, and has all its threads. Without a grant
 * there is nothing to be seen, and what was seen before becomes old: the level goes back half-way to
 * all threads with every such slot.
 *
 * Where nobody has said how many threads a task has, `threads` is all that there is. Then two things are
 * found out besides. What it may be counted on to use until its deadline is the most that it has wanted,
 * and is forgotten slowly; one CPU at first, as most programs use, and at least. And since threads are
 * whole, the margin ends at the next whole one where waiting is known: one thread that is busy is
 * offered one CPU. Where waiting is not known that would look like a grant that is used up, so there
 * the margin stays, but only up to a CPU it is the wide one.
 *
 * Small changes downwards are left out: every change of a share is a write to the kernel, which refills
 * quotas. */

/* Above what is wanted: a part for what differs from slot to slot, and for threads that want the CPU
 * by fits and starts: with half of it wanted in bursts longer than a period, a task gets 84 % of what
 * it would use with no limit at all, and with shorter bursts everything. A meter that knows of no
 * waiting takes who is held back by others on the machine for one that needs less: so it leaves more. */
#define MARGIN_PART 0.25
#define MARGIN_PART_BLIND 1.0

/* And a floor, the probe upwards: two least quotas in a period of 100 ms. It is what a task that never
 * uses anything costs. */
#define FLOOR_CPUS 0.02

/* A grant counts as used up from this part on: less than the kernel gives of a quota in a slot of few
 * periods, more than a task uses that has the margin. */
#define USED_UP 0.9

/* Slots until a task is believed. */
#define SAMPLES_BELIEVED 3

/* A thread that is runnable now, where this many times less was wanted on average, has woken. For
 * threads that are awake for less than this part of the time anyway, being met awake is so rare that
 * the slot which it costs does not matter. */
#define WOKEN 16

/* What is above a whole number by less than this is an error of measurement, not a thread. */
#define WHOLE_TOLERANCE 0.05

/* How much of the way down what a task is counted on for goes with a slot: a half in eleven. */
#define FORGOTTEN_PART (1.0 / 16)

/* A fall of what is usable by less than this part is left out. */
#define FALL_LEAST 0.1

void demand_init(struct demand *demand, double threads, bool is_guess)
{
	*demand = (struct demand){
		.threads = threads,
		.is_guess = is_guess,
		.usable_cpus = threads,
		.level_cpus = threads,
		.counted_cpus = is_guess ? fmin(1, threads) : threads,
	};
}

static double wanted_cpus(const struct demand *demand, const struct demand_sample *sample)
{
	double used = (double)sample->used_ns, wait = (double)sample->wait_ns;
	bool is_used_up = used >= USED_UP * (double)sample->granted_ns;
	double wanted = demand->threads;

	if (sample->has_wait)
		wanted = is_used_up || sample->n_runnable > 0 ? used + wait
							      : used + fmin(used, wait);
	else if (!is_used_up)
		wanted = used;
	else
		return demand->threads;
	return fmin(wanted / (double)sample->given_ns, demand->threads);
}

static bool has_woken(const struct demand_sample *sample, double wanted)
{
	return sample->has_wait && sample->n_runnable > WOKEN * wanted;
}

/* What a guess may be counted on for. A meter that knows no waiting has seen no more than the use, and
 * that is no reason to count on less where the grant was used up. */
static void observe_counted(
	struct demand *demand, const struct demand_sample *sample, double wanted)
{
	double used = fmin((double)sample->used_ns / (double)sample->given_ns, demand->threads);
	bool is_used_up = (double)sample->used_ns >= USED_UP * (double)sample->granted_ns;
	double seen = sample->has_wait ? wanted : used;

	seen = fmax(seen, fmin(1, demand->threads));
	if (seen >= demand->counted_cpus)
		demand->counted_cpus = seen;
	else if (sample->has_wait || !is_used_up)
		demand->counted_cpus += (seen - demand->counted_cpus) * FORGOTTEN_PART;
}

static double with_margin(const struct demand *demand, const struct demand_sample *sample)
{
	double level = demand->level_cpus;
	double narrow = (1 + MARGIN_PART) * level, wide = (1 + MARGIN_PART_BLIND) * level;

	if (!demand->is_guess)
		return (sample->has_wait ? narrow : wide) + FLOOR_CPUS;
	if (!sample->has_wait)
		return fmax(narrow, fmin(wide, 1)) + FLOOR_CPUS;
	return fmin(narrow + FLOOR_CPUS,
		fmax(fmax(ceil(level - WHOLE_TOLERANCE), 1), sample->n_runnable));
}

void demand_observe(struct demand *demand, const struct demand_sample *sample)
{
	bool is_seen = sample->given_ns > 0 && sample->given_ns >= sample->elapsed_ns / 2;
	double wanted = is_seen ? wanted_cpus(demand, sample) : demand->threads;
	double usable;

	if (is_seen && demand->is_guess)
		observe_counted(demand, sample, wanted);
	if (is_seen && demand->n_samples < SAMPLES_BELIEVED) {
		demand->n_samples++;
		return;
	}
	if (!is_seen)
		demand->level_cpus += (demand->threads - demand->level_cpus) / 2;
	else if (wanted >= demand->level_cpus)
		demand->level_cpus = wanted;
	else
		demand->level_cpus += (wanted - demand->level_cpus) / 2;

	usable = with_margin(demand, sample);
	if (is_seen && has_woken(sample, wanted))
		usable = fmax(usable, sample->n_runnable);
	usable = fmin(usable, demand->threads);
	if (usable > demand->usable_cpus || usable < (1 - FALL_LEAST) * demand->usable_cpus)
		demand->usable_cpus = usable;
}
