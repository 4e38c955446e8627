/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "bundle.h"
#include "fault.h"
#include "report.h"

/* The seam through which the loop starts tasks, hears of their progress and asks them to stop:
 * processes in a real run (stage_process.c), curves in a simulation (sim.c). */

/* The steps of stopping a task, in their order. */
enum stop_step {
	STOP_ASK,  /* "please stop" in the page */
	STOP_TERM, /* SIGTERM */
	STOP_KILL, /* SIGKILL */
};

/* What a task is told in each slot. */
struct stage_news {
	double share_cpus;
	uint32_t advised_threads;
};

struct stage_ops;

struct stage {
	const struct stage_ops *ops;
};

struct stage_ops {
	/* How often reports() is asked in one slot while it returns n_max: what keeps a task that
	 * reports without end from holding up the loop. */
	uint32_t max_batches;
	bool is_simulated; /* every task is its curve, also one that has a command */

	/* Starts a task in a place that the enforcer and the meter know. Nothing of it runs before
	 * its first grant. */
	int (*start)(struct stage *stage, uint32_t task, uint64_t now_ns, struct fault *fault);
	/* The reports since the last call, oldest first. Returns how many, at most n_max. */
	size_t (*reports)(struct stage *stage, uint32_t task, uint64_t now_ns,
		struct report ret_reports[], size_t n_max);
	void (*facts)(struct stage *stage, uint32_t task, struct progress_facts *ret_facts);
	void (*tell)(struct stage *stage, uint32_t task, const struct stage_news *news);
	/* True where the task has ended by that (a curve); it is cleared then. */
	bool (*stop)(struct stage *stage, uint32_t task, enum stop_step step);
	/* The task has ended: whatever is left of it goes, its place too. */
	void (*clear)(struct stage *stage, uint32_t task);
	/* Where the progress comes from: "shm", "output:PRESET", "file", "none", "sim". */
	const char *(*feed_name)(struct stage *stage, uint32_t task);
};
