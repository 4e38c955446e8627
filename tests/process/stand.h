/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

#include <check.h>
#include <stdbool.h>
#include <stdint.h>

#include "busy.h"
#include "enforcer.h"
#include "leftover.h"
#include "meter.h"
#include "quota.h"

/* A stand for an enforcer with groups, on the real tree of this machine: the enforcer, the cgroup meter
 * and busy processes, and the tests that every such enforcer has to pass. What fails aborts the
 * test. */

#define STAND_N_TASKS 4
#define STAND_PERIOD_US 20000
#define STAND_RUN STAND_N_TASKS /* not a task, but the group above them all */

/* What differs from one enforcer to the other. `task` may be STAND_RUN where quotas are concerned; task
 * 0 is there then. */
struct stand_kind {
	const char *name;
	const struct enforcer_ops *enforcer;
	/* The most CPUs that tasks of 0.3, 0.1 and 0 CPUs may be seen to use. */
	double most_cpus[3];
	bool is_child_below; /* the kernel refuses a child that may use more than its parent */

	/* Once, after the probe. 0, or a negative errno with a sentence. NULL where there is nothing. */
	int (*prepare)(struct fault *fault);
	/* Before each test: clears up what a failed one has left outside of the run's own groups. NULL
	 * where nothing can be. */
	void (*clear)(void);
	void (*assert_no_groups)(void);
	/* Behind the enforcer's back. */
	struct quota (*read_quota)(uint32_t task);
	void (*write_quota)(uint32_t task, struct quota quota);
	void (*thaw)(uint32_t task);
	void (*let_out)(pid_t pid); /* of the group of its task */
	void (*remove_groups)(uint32_t task);

	/* Tests of its own: to the common ones, and in cases that stand_case() makes. */
	void (*add_tests)(Suite *suite, TCase *common);
};

/* The name belongs to the whole suite, not to one test of it: what a failed test leaves is ended
 * before the next one, and at the end. */
struct stand {
	const struct stand_kind *kind;
	char run[RUN_NAME_MAX];
	struct enforcer *enforcer;
	struct meter *meter;
	struct busy busy[STAND_N_TASKS];
	struct fault fault;
};

extern struct stand stand;

/* The main of such a suite. Skipped where that enforcer does not work here, with its own reason. */
int stand_main(const struct stand_kind *kind);
TCase *stand_case(Suite *suite, const char *name);

void stand_open(double budget_cpus);
void stand_close(void);

/* Makes the process task `task`, frozen, and opens its gate. */
void stand_add(uint32_t task, struct busy process);
struct grant stand_grant(uint32_t task, double cpus);
struct enforced stand_apply(const struct grant grants[], size_t n);

/* As the enforcer's own, without an assertion. */
int stand_budget(double cpus);
int stand_signal(uint32_t task, int signo);
int stand_is_populated(uint32_t task);
/* As the enforcer's own; must succeed. */
void stand_remove(uint32_t task);

uint64_t stand_used_ns(uint32_t task);
/* CPUs that a task used over a span that begins now. */
double stand_use_over(uint32_t task, uint64_t span_ns);
/* Waits until the task has used that much CPU time in all, at most 30 s. */
bool stand_is_used_soon(uint32_t task, uint64_t cpu_ns);
