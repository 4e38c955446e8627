/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

#include <signal.h>
#include <stddef.h>
#include <stdio.h>

#include "fault.h"

/* Many like pieces of work, done by several processes at once, with what comes of them taken in order: the
 * same whatever their number. Not pure: it forks. */

#define CREW_MAX 1024

struct crew_work {
	size_t n_items;
	void *context; /* of the calls below */
	/* In a process of its own, a copy of the caller's as it was at crew_run(): does item number `item`, and
	 * writes what comes of it to `to`, in any form. 0, or a negative errno with a sentence, which is taken
	 * in the place of that; what comes behind it is not made any more. */
	int (*make)(void *context, size_t item, FILE *to, struct fault *fault);
	/* In the caller's: what came of each item, from the first on. result < 0: what make() returned, or
	 * -ECHILD where the process died, and `bytes` is the sentence; a NUL follows them always. 0, or a
	 * negative errno with a sentence, with which the work ends. */
	int (*take)(void *context, size_t item, int result, const char *bytes, size_t length,
		struct fault *fault);
	/* In the caller's, whenever there may be something to show: so many are made, in whatever order. At
	 * least five times a second. */
	void (*look)(void *context, size_t n_made);
};

/* Signals that end the work are taken off the process until crew_signals_done(), and looked for: those of
 * SIGINT, SIGTERM and SIGHUP that are not ignored. */
struct crew_signals {
	int fd; /* readable when one has come */
	sigset_t taken, before;
};
/* 0 or a negative errno with a sentence. */
int crew_signals_init(struct crew_signals *signals, struct fault *fault);
void crew_signals_done(struct crew_signals *signals);
/* The number of one that has come, or 0. Each is told once. */
int crew_signals_next(const struct crew_signals *signals);

/* Does the work by n_workers processes, at most CREW_MAX and as many as there are items. When it returns, none
 * of them is left, and if the caller is killed they are, too. *ret_signo: the signal that ended it early, else
 * 0. 0, or a negative errno with a sentence: what take() returned, or that it could not be set up. */
int crew_run(const struct crew_work *work, unsigned n_workers, const struct crew_signals *signals,
	int *ret_signo, struct fault *fault);
