/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

#include "policy.h"

/* Views to try policies on: by hand, task by task, or at random. */

struct views {
	struct policy_view view;
	struct policy_task *tasks;
	struct history *histories;
	char (*names)[16];
};

/* Room for n tasks named t0000, t0001, ...; all begin at 0, one thread, deadline 100 s, target 0.5,
 * no report; all alive at now = 10 s, slot = 1 s, budget 1. */
void views_init(struct views *views, uint32_t n);
void views_done(struct views *views);

/* A random alive set (n tasks of a bundle of n), histories included: falling, flat, rising, noisy,
 * of very few or very many reports, or none. The same seed gives the same view. */
void views_random(struct views *views, uint32_t n, uint64_t seed);

/* So many threads, all of them usable. */
void views_threads(struct views *views, uint32_t task, double threads);

/* Makes each task able to use less than its threads, at random, most of them. */
void views_random_usable(struct views *views, uint64_t seed);

/* A number in [0, 1) from a seed, which it moves on. */
double views_uniform(uint64_t *seed);

/* `n` reports of `task`, one every `step_s` CPU-seconds, along level + drop * (1 + i)^-power; the
 * task has used the CPU time of the last. */
void views_reports(struct views *views, uint32_t task, uint32_t n, double step_s, double level,
	double drop, double power);

/* A new state of that policy for the view's bundle; aborts when there is none. */
struct policy_state *views_state(const struct views *views, const struct policy *policy);
/* The same by these parameters. */
struct policy_state *views_state_with(
	const struct views *views, const struct policy *policy, const double parameters[]);
