/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "fault.h"
#include "quantity.h"
#include "report.h"

/* The `output` feed: reads one task's stdout and stderr, passes every byte on, and finds reports in
 * the lines by presets (preset.h).
 *
 * The caller polls. For each stream that has not ended: where output_write_fd() is a descriptor, it
 * is polled for output and output_writable() called; else output_poll_fd() is polled for input and
 * output_readable() called. Every call does a bounded amount of work and none blocks (a regular
 * file as a destination may wait for its disk). SIGPIPE is ignored or blocked in the caller. */

struct output;
struct preset_set;

struct output_setup {
	const char *name;                 /* the task's */
	const struct target *target;      /* kept by pointer */
	const struct preset_set *presets; /* kept by pointer; its scratch is used while reading */
	const char *preset;               /* only this one; NULL: lock to the best that hits */
	int stdout_to,
		stderr_to;     /* where the bytes go, unchanged; -EBADF: nowhere. Not owned, but to
	                           * be kept open. A terminal gets a pty of the same size, else the task
	                           * gets a pipe; one for both where both are the same. */
	bool leaves_terminals; /* a stream that goes to a terminal is not read: it has no task's end,
	                        * and nothing to poll */
	const char *prefix; /* for --verbose, at most 80 bytes: cleaned whole lines of both streams
	                     * go to `prefixed_to` with this before them; NULL: not */
	int prefixed_to;    /* not owned; looked at only where prefix is given */
};

/* Creates the pipes or ptys. 0 or a negative errno. */
int output_new(struct output **ret_output, const struct output_setup *setup, struct fault *fault);
struct output *output_free(struct output *output);

/* What the task gets as stdout (which = 1) and stderr (which = 2); may be the same descriptor. Owned
 * by the output until output_launched(). -EBADF: the stream is left as it is. */
int output_task_fd(const struct output *output, int which);
/* The task has its ends: close ours, or end of file never comes. */
void output_launched(struct output *output);

/* What to poll for input, or -EBADF once that stream has ended. Non-blocking. */
int output_poll_fd(const struct output *output, int which);
/* What to poll for output before more is read: a destination that did not take the bytes; the task
 * is slowed down as it would be without us. -EBADF: nothing waits. */
int output_write_fd(const struct output *output, int which);
/* Reads what is there, at most 64 KiB, stamped now_ns. 1 while the stream lives (bytes that wait
 * for their destination count as life), 0 after its end, or a negative errno, which ends it too.
 * A destination whose reader is gone ends the stream, so that the task learns of it by SIGPIPE. */
int output_readable(struct output *output, int which, uint64_t now_ns);
/* Passes on what waits. Returns as output_readable(). */
int output_writable(struct output *output, int which);

/* The size of the terminals has changed (SIGWINCH): tell the ptys. */
void output_resize(struct output *output);

/* The reports found, oldest first, at most n_max; the rest waits for the next call. 256 are held;
 * older ones are dropped and counted. */
size_t output_read(struct output *output, struct report ret_reports[], size_t n_max);
/* n_dropped counts also lines that came faster than 5000 a second and were not looked at; n_refused
 * those of a step already reported (by another rank). */
void output_facts(const struct output *output, struct progress_facts *ret_facts);
/* The preset it locked to, or NULL. Owned by the preset set. */
const char *output_preset(const struct output *output);
/* The last (at most 20) lines of stderr, else of stdout, cleaned for printing; for a task that
 * failed. Never NULL; valid until the next call. */
const char *output_last_words(const struct output *output);
/* Bytes that a destination did not take for good (full disk, ...), and the first reason as a
 * negative errno, 0 where all went well. */
uint64_t output_lost_bytes(const struct output *output, int *ret_error);
