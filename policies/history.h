/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

#include <stdint.h>

#define HISTORY_MAX 512

/* What a task has reported so far, as a function of the CPU time it had used: the recorded part of
 * its learning curve, and all that an estimator may look at. Bounded: a full history drops every
 * second point of its older half (see history.c), the first and the newest points always stay. */
struct history {
	uint32_t n_points;     /* 0 .. HISTORY_MAX */
	uint32_t n_dropped;    /* points thinned away */
	uint64_t n_reports;    /* finite reports ever taken; grows with each: "is there news?" */
	uint64_t n_not_finite; /* nan and inf: counted, never stored, never meet a target */
	uint64_t cpu_ns[HISTORY_MAX]; /* CPU time used when reported; strictly increasing */
	double value[HISTORY_MAX];    /* the target's metric as reported; finite */
};

/* Takes one report. cpu_ns at or before the newest point's replaces that point (two reports within
 * one reading of the meter). Constant time on average, no allocation. */
void history_add(struct history *history, uint64_t cpu_ns, double value);
