/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "bundle.h"
#include "fault.h"
#include "record.h"
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
	const double *parameters; /* of the policy, beside its table; NULL: the usual */
	double capacity_cpus;
	uint64_t
		started_realtime_ns; /* wall clock of the bundle's start, for display; 0: it has none */
	bool is_patient; /* the loop is in no hurry, its time is simulated: where the queue is full it
	                  * waits for the writer, and nothing is dropped */
};

/* Creates the file and starts its writer. An existing file is replaced, in one step, only if it is
 * a trace that no other run is writing, or empty. 0 or a negative errno with a sentence
 * (unwritable: exit status 1 at start); nothing is left behind then. Waits for the disk. */
int trace_open(struct trace **ret_trace, const char *path, const struct trace_setup *setup,
	struct fault *fault);

/* All four copy, and return at once (but see is_patient); they are called by one thread. What does not fit
 * into the queue is counted as dropped. trace_slot() comes last in its slot. */
void trace_slot(struct trace *trace, const struct slot_record *record);
/* report->cpu_ns is set, exact or interpolated: a replay takes the learning curve from here. */
void trace_report(struct trace *trace, uint32_t task, const struct report *report);
/* task RECORD_NO_TASK: of none. A kind of more than 31 and a text of more than 1023 bytes are cut. */
void trace_event(
	struct trace *trace, uint64_t now_ns, uint32_t task, const char *kind, const char *text);

/* The outcome of one task; finish_ns UINT64_MAX: never started. */
void trace_outcome(struct trace *trace, uint32_t task, enum outcome outcome, uint64_t finish_ns,
	uint64_t cpu_ns, double value);

/* How many records are missing in the trace so far, because the queue or the disk was full. */
uint64_t trace_lost(const struct trace *trace);

/* Writes what is queued, the run's result (a JSON text, may be NULL), and closes. 0, or a negative
 * errno with a sentence where something could not be written or was dropped. NULL is fine. */
int trace_close(struct trace *trace, const char *result_json, struct fault *fault);
