/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

#include <stdbool.h>

#include "bundle.h"
#include "enforcer.h"
#include "fault.h"
#include "policy.h"
#include "record.h"
#include "result.h"

/* A real run of a bundle: everything that touches the machine put together around the slot loop. */

/* More are refused: each needs some descriptors of ours. */
#define RUN_TASKS_MAX 1000

struct run_setup {
	const struct bundle *bundle; /* resolved for a real run */
	const struct policy *policy;
	const double *parameters;     /* of the policy; NULL: the usual */
	const char *enforcer;         /* forced, or NULL: the best that works */
	const char *meter;            /* likewise */
	const char *trace_path;       /* or NULL */
	const char *output_directory; /* or NULL */
	bool is_verbose, is_dry;
	double capacity_cpus;  /* of the machine */
	struct recorder *view; /* what shows the run, or NULL */
	/* Called at the start with each line that says what was chosen and why, and what to know of it. */
	void (*say)(const char *format, ...) __attribute__((format(printf, 1, 2)));
};

struct run;

/* Why a run could not be set up; decides the exit status. */
enum run_error {
	RUN_ERROR_OTHER,
	RUN_ERROR_DATA,     /* an unknown preset, too many tasks */
	RUN_ERROR_ENFORCER, /* none is usable, or the forced one is not there */
	RUN_ERROR_BUDGET,   /* other runs have taken it; the governor takes no more tasks now */
	RUN_ERROR_GOVERNOR, /* the bundle is for one, and none is there */
	RUN_ERROR_PERMISSION,
};

/* Clears what dead runs left behind, claims the budget, starts the keeper, chooses enforcer and
 * meter, opens the trace. Nothing is left behind where it fails. */
int run_new(struct run **ret_run, const struct run_setup *setup, enum run_error *ret_error,
	struct fault *fault);

/* Runs until every task has ended. 0, or a negative errno where it could not go on (what has
 * happened until then is in the result). *ret_signo is the signal that cancelled it, or 0. */
int run_loop(struct run *run, int *ret_signo, struct fault *fault);

/* The result so far; valid until run_free(). */
void run_result(const struct run *run, struct result_setup *ret_result);
/* What a task has written last, for one that failed. */
const char *run_last_words(const struct run *run, uint32_t task);
/* Bytes of its output that could not be kept, and why (a negative errno). */
uint64_t run_lost_bytes(const struct run *run, uint32_t task, int *ret_error);

/* Ends what still runs, removes everything from the machine, writes the trace. *ret_trace_error is 0
 * or what went wrong with the trace, with its sentence. NULL is fine; returns NULL. */
struct run *run_free(
	struct run *run, const char *result_json, int *ret_trace_error, struct fault *fault);
