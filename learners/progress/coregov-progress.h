/* SPDX-License-Identifier: MIT */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* libcoregov-progress: tells coregov how far a training has learned, and asks it how much CPU time
 * the training has. See libcoregov-progress(3).
 *
 *     for (step = 1; step <= total && !coregov_should_stop(); step++)
 *             coregov_report(step, "loss", train_one_step());
 *
 * Nothing needs to be opened or closed. A program that does not run under coregov makes the same
 * calls and nothing happens. No call ever blocks on the governor, prints, raises a signal or
 * changes errno.
 *
 * One process of a task is the writer: the first that makes one of the calls marked [writer].
 * After it has ended another may take its place. The [writer] calls of other processes (further
 * ranks of a distributed training, children made by fork) do nothing, beyond being counted once a
 * process. The [reader] calls work in all of them.
 *
 * Any thread may make any call. Reports of several threads are put in one order; a thread that
 * cannot have its turn within some 1000 yields (a report from a signal handler that interrupted
 * a report) gets -EBUSY.
 *
 * Calls that return int: 1 done; 0 nobody listens, because the program does not run under coregov
 * or another process is the writer; else a negative errno, and nothing was reported. */

#ifdef __cplusplus
extern "C" {
#endif

#define COREGOV_PUBLIC __attribute__((visibility("default")))

/* [writer] Finds the page and becomes its writer. Every call does so when it is needed; this one
 * is for programs that want to know. 1, 0, or
 *   -EPROTO  COREGOV_PROGRESS is set but names no page of a version that this library knows. */
COREGOV_PUBLIC int coregov_open(void);

/* [writer] One value of one metric.
 *
 * step    the program's own step or iteration, from 1 (or any number that grows)
 * metric  "loss", "accuracy", ...: 1 to 63 bytes; compared byte for byte with the target's metric.
 *         Up to 7 names beside the target's. Copied.
 * value   as it is: nan and inf are passed on, and never meet a target
 *
 * About 40 ns, so once per step or minibatch is fine. 1, 0, or
 *   -EINVAL  metric is NULL, empty or too long
 *   -ENOSPC  an eighth name beside the target's
 *   -EBUSY   see above */
COREGOV_PUBLIC int coregov_report(uint64_t step, const char *metric, double value);

struct coregov_metric {
	const char *name;
	double value;
};

/* [writer] Several metrics of one step, 1 to 8 of them, as one report. Returns as coregov_report();
 * -EINVAL also if n_metrics is 0 or more than 8. If a name appears twice the last value counts. */
COREGOV_PUBLIC int coregov_report_metrics(
	uint64_t step, const struct coregov_metric metrics[], size_t n_metrics);

/* [writer] How many steps the training will make in all; 0: not known. 1 or 0. */
COREGOV_PUBLIC int coregov_total_steps(uint64_t n_steps);

/* [writer] How many samples (rows, tokens) the training has seen so far. 1 or 0. */
COREGOV_PUBLIC int coregov_samples(uint64_t n_samples);

/* [writer] How many passes over the data were made, with fractions: 2.5. 1, 0, or
 *   -EINVAL  negative, nan or inf */
COREGOV_PUBLIC int coregov_epoch(double epoch);

/* [reader] True once the governor asks the program to save what it wants to keep and to end. It is
 * ended by force after a grace time. Never true outside coregov. */
COREGOV_PUBLIC bool coregov_should_stop(void);

/* [reader] The CPUs granted now: 0.5 is half of one. May be 0 (the task is about to be frozen).
 * -1 outside coregov. */
COREGOV_PUBLIC double coregov_share(void);

/* [reader] How many threads are worth having with the share as it is: >= 1; 0 outside coregov.
 * More threads than CPU time make most programs slower. */
COREGOV_PUBLIC unsigned coregov_threads(void);

/* [reader] When the target must be met, in nanoseconds on CLOCK_MONOTONIC; 0 outside coregov, or
 * where there is no deadline. */
COREGOV_PUBLIC uint64_t coregov_deadline(void);

/* What counts as learned well. */
struct coregov_target_info {
	char metric[64];
	double value;      /* finite */
	bool is_raised;    /* the metric is to be raised to the value (accuracy), else lowered */
	uint32_t in_a_row; /* reports in a row that must meet it, >= 1 */
};

/* [reader] 1 and *ret_target, or 0 outside coregov. */
COREGOV_PUBLIC int coregov_target(struct coregov_target_info *ret_target);

#ifdef __cplusplus
}
#endif
