/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

#include <stdbool.h>

#include "daemon.h"

/* What an earlier run of the same command says of a task that has not reported anything yet. Pure. */

struct prior {
	double enough_s; /* CPU time with which it reached such a target; 0: not known */
	double tried_s; /* CPU time with which it did not, INFINITY where it ended by itself; 0: not known */
};

/* An earlier run, and what it used until its outcome. */
struct prior_run {
	struct target target;
	enum outcome outcome;
	double cpu_s;
};

/* True where the run says something of a task with that target: it has reached one that is as hard, or missed
 * one that is no harder. Then *ret_prior is what it says. */
bool prior_of_run(
	const struct prior_run *run, const struct target *wanted, struct prior *ret_prior);

/* With so much CPU time until its deadline, INFINITY where there is none. */
enum prospect prior_prospect(const struct prior *prior, double left_s);
