/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "daemon.h"
#include "enforcer.h"
#include "governor.h"
#include "marks.h"
#include "page.h"

/* What a daemon writes down of its tasks, so that the next one can take them over: after a restart, an
 * upgrade, or when it was killed. A file in /run, which a reboot clears. It is written to after each slot, and
 * whole at any moment: of what is kept for a task there are two copies, and the older one is written to.
 *
 * What is in it is as it is in memory, so the tasks of another version are not read, but only what comes
 * before them, which stays as it is: then what is in the groups is all that is known of them. LEDGER_VERSION
 * changes with every structure that a task has in it. */

#define LEDGER_VERSION 2
#define LEDGER_DIRECTORY_MAX 512
#define LEDGER_ARGV_MAX 2048
#define LEDGER_HOME_MAX 1024

/* A task that runs. */
struct ledger_task {
	uint64_t number; /* 0: there is none */
	char name[TASK_NAME_MAX + 1];
	char scope[SCOPE_NAME_MAX];           /* "": in none */
	char directory[LEDGER_DIRECTORY_MAX]; /* cut where it is longer */
	char argv[LEDGER_ARGV_MAX]; /* words, each with its NUL, ended by an empty one; likewise */
	uid_t owner;
	pid_t pid;
	uint64_t start_ticks; /* the process's: a pid is used again */
	bool has_target;
	struct target target; /* also where it has none, see NEVER_MET */
	struct daemon_deadline deadline;
	double threads;
	enum at_end on_target, on_deadline;
	uint64_t grace_ns;
	uint64_t began_realtime_ns;
	struct page_place page;
	struct task_past past;
};

/* What holds as long as the daemon does. */
struct ledger_head {
	char run[RUN_NAME_MAX];
	char enforcer[16];
	char home[LEDGER_HOME_MAX]; /* struct enforcer's */
	uint64_t epoch_ns;          /* CLOCK_MONOTONIC at loop time 0 */
};

/* Of the whole, and changes. */
struct ledger_whole {
	uint64_t last_number;   /* the highest that was ever given to a task */
	double configured_cpus; /* the budget of the configuration */
	double budget_cpus;     /* that in force */
	uint64_t is_draining;
};

/* What was in the file: of this machine, and this boot. */
enum ledger_past {
	LEDGER_NOTHING,
	LEDGER_HEAD, /* and the whole, and tasks that cannot be read */
	LEDGER_ALL,
};

struct ledger;

/* Opens or makes the file. ret_head is filled in, unless there is LEDGER_NOTHING. 0 or a negative errno:
 * -EWOULDBLOCK where another daemon keeps it. */
int ledger_open(struct ledger **ret_ledger, const char *path, struct ledger_head *ret_head,
	enum ledger_past *ret_past, struct fault *fault);
/* What is in the file stays. NULL is fine; returns NULL. */
struct ledger *ledger_free(struct ledger *ledger);

/* Begins anew: what was in it is gone. */
int ledger_begin(struct ledger *ledger, const struct ledger_head *head, struct fault *fault);

/* The task in a seat; number 0 where there is none. Seats beyond the last that was kept have none. */
void ledger_read(const struct ledger *ledger, uint32_t seat, struct ledger_task *ret_task);
/* How many seats there may be tasks in. */
uint32_t ledger_n_seats(const struct ledger *ledger);
/* -ENOSPC and others: what was kept before stands. */
int ledger_keep(struct ledger *ledger, uint32_t seat, const struct ledger_task *task);
int ledger_forget(struct ledger *ledger, uint32_t seat);

/* All 0 where none was kept. */
void ledger_read_whole(const struct ledger *ledger, struct ledger_whole *ret_whole);
int ledger_keep_whole(struct ledger *ledger, const struct ledger_whole *whole);
