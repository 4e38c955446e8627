/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "fault.h"
#include "quantity.h"
#include "slot.h"

/* The seam through which a share becomes real. One const `struct enforcer_ops` per implementation,
 * defined in its file; every pointer is set. */

/* How hard condition (1) holds. */
enum guarantee {
	GUARANTEE_KERNEL,      /* the budget group is not writable by the tasks' uid */
	GUARANTEE_COOPERATIVE, /* it is, or there is none: excess is noticed and taken back */
	GUARANTEE_SIM,
	GUARANTEE_NONE, /* dry run */
};
const char *guarantee_to_string(enum guarantee guarantee);

/* Handles on one task's place in the machine, for meters. Owned by the enforcer, valid from
 * task_add() to task_remove(). -EBADF where there is none. */
struct place {
	int cgroup2_fd; /* directory of the task's group in the unified tree */
	int cpu1_fd;    /* directory of its group in the v1 cpu hierarchy */
	int cpuacct_fd; /* directory of its group in the v1 cpuacct hierarchy */
	pid_t pid;      /* the task's first process, 0 before attach */
};

/* What an enforcer can express; the guard keeps to it. All 0: anything (simulation). */
struct enforcer_limits {
	uint64_t min_quota_us;                 /* a smaller non-zero quota cannot be written */
	uint32_t min_period_us, max_period_us; /* the guard chooses between them */
};

struct enforcer_setup {
	const char *run;      /* name of this run: "coregov-PID-STARTTIME", a valid file name */
	uint32_t n_tasks_max; /* ids are 0 .. n_tasks_max - 1 */
	double budget_cpus;   /* the first budget; > 0 */
	double capacity_cpus; /* > 0 */
	bool is_dry;          /* make the groups, so that the meter can read, but limit nothing */
	bool is_apart;        /* the tasks are no part of our unit, and outlive it */
	bool may_slice;       /* coregov.slice is ours: no other governor uses it */
	bool takes_over; /* another of this name has ended, and may have left tasks: task_adopt() */
	const char *home; /* with takes_over: the other's home, looked at before our own; or NULL */
	const char *root; /* for tests: a fake tree instead of the mounted one; else NULL */
	uid_t task_uid;   /* whose processes the tasks are */
};

#define SCOPE_NAME_MAX 128

/* A place in which something runs that no task is known of. */
struct place_left {
	uint32_t task; /* its id */
	char name[TASK_NAME_MAX + 1];
	char scope[SCOPE_NAME_MAX]; /* that it is in; "": none */
	pid_t pid;                  /* a process in it */
};

struct enforcer_ops;

struct enforcer {
	const struct enforcer_ops *ops;
	struct enforcer_limits limits;
	enum guarantee guarantee;
	uint64_t tick_ns;    /* how often tick() wants to be called; 0: never */
	const char *warning; /* what the user should know of where it works; NULL: nothing */
	const char *home;    /* the group that the run's is in; NULL where there are no groups */
	bool wants_scopes;   /* each task is to be in a scope of its own before task_add() */
};

struct enforcer_ops {
	const char *name; /* "cgroup2", "cgroup1", "signal", "sim" */

	/* Would open() work here? 0, or a negative errno and a sentence: what is missing and how to
	 * get it. Changes nothing on the machine that outlives the call. */
	int (*probe)(const struct enforcer_setup *setup, struct fault *fault);

	/* Makes the run's parent group with the budget in force. Where it takes over one that is there,
	 * the budget in it stays until the first budget_set(), and so does what is found in it. */
	int (*open)(struct enforcer **ret_enforcer, const struct enforcer_setup *setup,
		struct fault *fault);

	/* Makes a place for a task, frozen and with the least quota: nothing runs in it before the
	 * first grant. scope: where the enforcer wants_scopes, the name of that which has been made for
	 * the task and holds nothing else, "x.scope"; all that is in it is in the place then. Else NULL.
	 * May allocate; not in the slot path. -ENOENT where the scope is gone. */
	int (*task_add)(struct enforcer *enforcer, uint32_t task, const char *name,
		const char *scope, struct fault *fault);
	/* What is in a scope that was made for a task, and is not to be one, gets the least quota. 0 or a negative
	 * errno. NULL where no scopes are ever wanted. */
	int (*scope_confine)(struct enforcer *enforcer, const char *scope);
	/* Takes over the place of a task whose governor has ended, with all that is in force there.
	 * pid: its first process, 0 where that has ended. 0; 1 where the place went with the last that was in
	 * it, so that there is nothing to be measured; -ENOENT where there is no such place. What has been used
	 * before is not held against it. NULL in a simulation. */
	int (*task_adopt)(struct enforcer *enforcer, uint32_t task, const char *name,
		const char *scope, pid_t pid, struct fault *fault);
	/* Of what was taken over: the place with the least id of `least` or above in which something runs.
	 * 1, 0 where there is none, or a negative errno. NULL in a simulation. */
	int (*place_left)(struct enforcer *enforcer, uint32_t least, struct place_left *ret_left);
	/* Puts a process that waits at its gate (launch.h) into the place. */
	int (*task_attach)(
		struct enforcer *enforcer, uint32_t task, pid_t pid, struct fault *fault);
	const struct place *(*task_place)(struct enforcer *enforcer, uint32_t task);
	/* Sends a signal to every process in the place. SIGKILL also thaws where needed. Freezing is
	 * left as it is otherwise. Returns how many got it, or a negative errno. */
	int (*task_signal)(struct enforcer *enforcer, uint32_t task, int signo);
	/* 1 where a process is left in the place, 0 where none is, or a negative errno. */
	int (*task_is_populated)(struct enforcer *enforcer, uint32_t task);
	/* Kills what is left, and removes the place. Where it fails because something would not die (-EBUSY)
	 * or could not be looked at the task is still the enforcer's, and it can be tried again. */
	int (*task_remove)(struct enforcer *enforcer, uint32_t task, struct fault *fault);

	/* The task runs on without us: nothing holds it but the budget around all, and its place stays
	 * where that is. It is not ours any more. NULL in a simulation. */
	int (*task_let_go)(struct enforcer *enforcer, uint32_t task, struct fault *fault);

	/* The parent's budget; only called when it changes, or is set anew: then one that somebody else
	 * has set gives way. Writes only what differs. A budget that falls must be
	 * called after apply() of the lower grants, one that rises before. budget_cpus > 0. */
	int (*budget_set)(struct enforcer *enforcer, double budget_cpus, struct fault *fault);

	/* Puts the grants into force: what fell first, then what rose; writes only what differs from
	 * what is in force by more than the dead band. A task without a grant keeps what it has.
	 * Allocates nothing. 0, or the first negative errno with a sentence; every other grant that
	 * fell has been tried then, and no grant that rose is in force unless all that fell are. With
	 * 0 and n_foreign > 0 the sentence says what somebody else has set. */
	int (*apply)(struct enforcer *enforcer, const struct grant *grants, size_t n_grants,
		struct enforced *ret_enforced, struct fault *fault);

	/* For enforcers that work between slots (tick_ns > 0); now_ns is CLOCK_MONOTONIC. */
	void (*tick)(struct enforcer *enforcer, uint64_t now_ns);

	/* Removes everything; places that are still populated are killed, but for those that were let
	 * go: these stay, and so does the budget around them. NULL is fine; returns NULL. */
	struct enforcer *(*close)(struct enforcer *enforcer);
};

extern const struct enforcer_ops enforcer_cgroup2;
extern const struct enforcer_ops enforcer_cgroup1;
extern const struct enforcer_ops enforcer_signal;

/* In order of preference, ended by NULL; without `sim`. */
extern const struct enforcer_ops *const enforcers[];
