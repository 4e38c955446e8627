/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "history.h"

/* psi: decides the share of every alive task for the next slot (Zhou, NSR 2024, section "CoRE
 * learning"). This room is pure: no I/O, no clock, no globals that change, nothing of governor/.
 * The same object files run in the daemon, the simulator and the tests. */

/* Why a task got the share it got. Recorded with every share and shown to users. */
enum why {
	WHY_EQUAL,       /* every alive task gets the same */
	WHY_FIXED,       /* budget / K for life */
	WHY_FIRST,       /* first in the policy's order, got all it can use */
	WHY_REST,        /* in order, got what was left */
	WHY_NONE_LEFT,   /* in order, nothing was left */
	WHY_SCRIPT,      /* the schedule says so */
	WHY_CHOSEN,      /* forecast to make it; in the set that is planned to succeed */
	WHY_WRITTEN_OFF, /* forecast not to make it; runs on what the chosen leave */
	WHY_PAUSED,      /* its owner has paused it: no policy was asked */
	_WHY_MAX,
};

/* The name of a reason ("equal", "none-left", ...), never NULL. */
const char *why_to_string(enum why why);

/* One alive task as a policy sees it. */
struct policy_task {
	uint32_t id;          /* 0 .. K-1, the task's place in the bundle; the same in every slot */
	const char *name;     /* unique in the bundle */
	uint64_t begin_ns;    /* when it arrived, from the start of the bundle */
	uint64_t deadline_ns; /* when it must have learned, from the start of the bundle */
	double threads;       /* the most CPUs it can use at once, > 0 */
	double counted;       /* the CPUs that a plan up to its deadline counts on, in (0, threads];
	                       * less where threads is only what the machine has, and the task has
	                       * not been seen to use it */
	double usable;        /* the most it can use in the coming slot, in (0, threads]; less than
	                       * threads where it has been seen to need less */
	double target;        /* finite; learned well when the metric gets there */
	bool is_raised;       /* the metric is to be raised (accuracy), not lowered (loss) */
	uint32_t in_a_row;    /* how many reports in a row must meet the target, >= 1 */
	uint64_t cpu_ns;      /* CPU time used so far */
	uint64_t steps_done;  /* the program's own "step i of n"; 0 when not known */
	uint64_t steps_total;
	const struct history *history;
};

/* The slot as observed. Valid during the call only. */
struct policy_view {
	uint64_t slot;                   /* number of the slot, from 0 */
	uint64_t now_ns;                 /* its start, from the start of the bundle */
	uint64_t slot_ns;                /* its length, > 0 */
	double budget_cpus;              /* eta * N_t in CPUs, >= 0 */
	uint32_t n_bundle;               /* K, all tasks of the bundle */
	uint32_t n_tasks;                /* the alive set A_t */
	const struct policy_task *tasks; /* sorted by (begin, name) */
};

/* One line of a schedule: from this slot on the task has this share, until the next line for it. */
struct schedule_row {
	uint64_t slot;
	uint32_t task; /* id */
	double cpus;   /* >= 0, finite */
};

/* A number by which a policy decides, and which whoever runs it may set. */
struct policy_parameter {
	const char
		*name; /* as users write it, such as "capacity-part"; no key of coregov.conf(5) */
	const char *summary; /* what it does: a sentence, for the manual */
	const char *unit;    /* "" where it is a bare number */
	double least, most; /* its range, ends included: with all that is in it the policy keeps its
	                      * contract */
	double usual;       /* what holds where nobody says otherwise; in the range */
};

#define POLICY_PARAMETERS_MAX 16

/* What a policy is told once, at the start. Copied where needed, not kept. */
struct policy_setup {
	uint32_t n_bundle;                   /* K */
	const struct schedule_row *schedule; /* for `script`, sorted by slot; else NULL */
	size_t n_schedule;
	const double *needs_s; /* by id, the CPU time with which the task meets its target, >= 0,
	                        * INFINITY: never; NULL where nobody knows: only simulations do */
	const double
		*parameters; /* beside the policy's table, each in its range; NULL: the usual */
};

struct policy_state;

struct policy {
	const char *name;
	const char *summary; /* one line, for --help and the manual */
	bool needs_schedule;
	bool needs_future; /* cannot do without needs_s of the setup: for simulations only */
	const struct policy_parameter *parameters; /* ended by one without a name, at most
	                                            * POLICY_PARAMETERS_MAX; NULL: it has none */
	bool has_reserve; /* a share is the task's own, whether it can use it or not: by definition,
	                   * none of it is given on to others that are alive */

	/* 0 and *ret_state (owned by the caller, given back by free()), or -ENOMEM. */
	int (*new)(struct policy_state **ret_state, const struct policy_setup *setup);

	/* ret_shares, ret_why: arrays of view->n_tasks, in the order of view->tasks. Shares in CPUs,
	 * each in [0, usable], or in [0, threads] by a policy that reserves (has_reserve); their sum
	 * at most budget_cpus + 1e-9. Pure up to its state: the same sequence of views gives the same
	 * shares. Allocates nothing. Cannot fail: a broken view is
	 * a programming error and asserts. */
	void (*plan)(struct policy_state *state, const struct policy_view *view,
		double ret_shares[], enum why ret_why[]);

	/* The id goes to another task, or its task is judged by another target from now on: nothing that
	 * is kept of it holds any more. NULL where a policy keeps nothing of a task. */
	void (*forget)(struct policy_state *state, uint32_t id);

	void (*free)(struct policy_state *state); /* NULL is fine */
};

/* All policies, sorted by name, ended by NULL. */
extern const struct policy *const policies[];

/* The policy of that name, or NULL. */
const struct policy *policy_find(const char *name);

/* How many parameters it has. */
uint32_t policy_n_parameters(const struct policy *policy);
/* The parameter of that name, or NULL; its place among the values is that in the table. */
const struct policy_parameter *policy_parameter_find(const struct policy *policy, const char *name);
/* Is the value in the range? Never for nan. */
bool policy_parameter_allows(const struct policy_parameter *parameter, double value);
/* The given values, or the usual ones where `given` is NULL; what is beyond the table is 0. A value that is
 * outside its range is a programming error and asserts. */
void policy_parameter_values(const struct policy *policy, const double given[],
	double ret_values[static POLICY_PARAMETERS_MAX]);
/* Would it decide the same by both? NULL stands for the usual ones. */
bool policy_parameters_are_same(const struct policy *policy, const double a[], const double b[]);
