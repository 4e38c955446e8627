/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "fault.h"
#include "quantity.h"
#include "report.h"

/* The `output` feed: reads one task's stdout and stderr, passes every byte on, and finds reports in
 * the lines by presets (preset.h). */

struct output;
struct preset_set;

struct output_setup {
	const char *name;            /* the task's */
	const struct target *target; /* kept by pointer */
	const struct preset_set *presets;
	const char *preset;       /* only this one; NULL: any, lock to the first that hits */
	int stdout_to, stderr_to; /* where the bytes go; -EBADF: nowhere. Not owned. A terminal
	                              * gets a pty of the same size, else the task gets a pipe. */
	const char *prefix;       /* for --verbose: whole lines with this before them, else NULL */
};

/* Creates the pipes or ptys. */
int output_new(struct output **ret_output, const struct output_setup *setup, struct fault *fault);
struct output *output_free(struct output *output);

/* What the task gets as stdout (which = 1) and stderr (which = 2). Owned by the output until
 * output_launched(). */
int output_task_fd(const struct output *output, int which);
/* The task has its ends: close ours, or end of file never comes. */
void output_launched(struct output *output);

/* What to poll for input, or -EBADF once that stream has ended. Non-blocking. */
int output_poll_fd(const struct output *output, int which);
/* Reads what is there, at most a bounded amount, stamped now_ns. Never blocks: a destination that
 * does not take the bytes now is waited for (want_write_fd), and the task is slowed down as it
 * would be without us. 1 while the stream lives, 0 after end of file, negative errno. */
int output_readable(struct output *output, int which, uint64_t now_ns);

/* The reports found since the last call, oldest first; older ones beyond n_max are dropped and
 * counted. */
size_t output_read(struct output *output, struct report ret_reports[], size_t n_max);
void output_facts(const struct output *output, struct progress_facts *ret_facts);
/* The preset it locked to, or NULL. */
const char *output_preset(const struct output *output);
/* The last lines of stderr (else stdout), cleaned for printing; for a task that failed. */
const char *output_last_words(const struct output *output);
