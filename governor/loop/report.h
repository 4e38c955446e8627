/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

#include <stdbool.h>
#include <stdint.h>

/* How many the loop takes in one go: all that a progress page remembers, which hands out the newest ones. */
#define REPORTS_BATCH 128

/* One report of one task: the target's metric at a moment. What a feed hands to the loop. */
struct report {
	uint64_t stamp_ns; /* when, on the loop's clock (CLOCK_MONOTONIC in a real run) */
	uint64_t step;     /* the program's own step, 0 when not known */
	double value;      /* as reported; may be nan or inf */
	bool has_cpu;      /* cpu_ns is exact (simulation); else the loop interpolates it */
	uint64_t cpu_ns;   /* CPU time used when reported */
};

/* What a feed knows of a task beside its reports; 0 where not known. */
struct progress_facts {
	uint64_t steps_done;
	uint64_t steps_total;
	uint64_t samples_seen;
	double epoch;
	uint64_t n_reports; /* ever made by the task, as far as the feed saw */
	uint64_t n_dropped; /* lost because they came faster than they were read */
	uint64_t n_refused; /* torn, absurd or from another writer */
	bool speaks_page;   /* the task claimed the progress page */
	bool is_relayed;    /* a stand-in writes into the page what the task prints */
};
