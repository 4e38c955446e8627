/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "bundle.h"
#include "fault.h"
#include "report.h"
#include "slot.h"

/* The trace: a SQLite database with every slot of a run, enough to replay and to draw it
 * (coregov.trace(5)). Mode 0600: command lines are private. Written by a thread of its own behind a
 * bounded queue; the loop never waits for it. A full disk is noticed, counted and told; the run
 * goes on. */

struct trace;

struct trace_setup {
	const struct bundle *bundle; /* resolved; copied into the database during trace_open() */
	const char *policy, *enforcer, *meter, *guarantee;
	double capacity_cpus;
	uint64_t started_realtime_ns; /* wall clock of the bundle's start, for display */
};

/* Creates the file. An existing file is replaced only if it is a trace or empty. 0 or a negative
 * errno with a sentence (unwritable: exit status 1 at start). */
int trace_open(struct trace **ret_trace, const char *path, const struct trace_setup *setup,
	struct fault *fault);

/* All three copy, and return at once. What does not fit into the queue is counted as dropped. */
void trace_slot(struct trace *trace, const struct slot_record *record);
void trace_report(struct trace *trace, uint32_t task, const struct report *report);
void trace_event(
	struct trace *trace, uint64_t now_ns, uint32_t task, const char *kind, const char *text);

/* The outcome of one task; finish_ns UINT64_MAX: never started. */
void trace_outcome(struct trace *trace, uint32_t task, enum outcome outcome, uint64_t finish_ns,
	uint64_t cpu_ns, double value);

/* Writes what is queued, the run's result (a JSON text, may be NULL), and closes. 0, or a negative
 * errno with a sentence where something could not be written or was dropped. NULL is fine. */
int trace_close(struct trace *trace, const char *result_json, struct fault *fault);
