/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "fault.h"

/* The keeper: a tiny process, forked before anything else, that starts every task for the governor
 * and outlives it. It is the subreaper of all tasks, so that double-forked grandchildren come to
 * it. When the governor dies, however it dies, the keeper continues what is stopped, thaws what is
 * frozen, ends every process of the run and removes its groups (leftover.h). When the keeper dies,
 * the governor (a subreaper too) does the same. */

struct keeper;

/* How to start one task. Strings and descriptors are the caller's; copied or duplicated. */
struct launch {
	const char *name;         /* for messages */
	char *const *argv;        /* argv[0] with a slash, or looked up in `path` */
	char *const *environment; /* the whole environment of the task, NULL-ended */
	const char *directory;    /* working directory */
	const char *path;         /* PATH to look argv[0] up in */
	int stdin_fd;             /* -EBADF: /dev/null */
	int stdout_fd, stderr_fd; /* >= 0 */
	int page_fd;              /* progress page to inherit at its own number, -EBADF: none */
};

/* A task that was started and waits at its gate: it has its own process group and pid, but has not
 * run a single instruction of the command yet. */
struct launched {
	pid_t pid;
	int pidfd;          /* owned by the caller of keeper_spawn() */
	int page_fd_number; /* the number page_fd has in the task, -EBADF: none */
};

/* Forks the keeper. Call while single-threaded. `run` is the run's name (enforcer.h). */
int keeper_start(struct keeper **ret_keeper, const char *run, struct fault *fault);

/* Starts a task up to its gate. May take some ms; not in the slot path. 0 or a negative errno. */
int keeper_spawn(struct keeper *keeper, const struct launch *launch, struct launched *ret_launched,
	struct fault *fault);

/* Opens the gate: the command is executed as soon as its place lets it. A command that cannot be
 * executed shows up as KEEPER_EXEC_FAILED. */
int keeper_release(struct keeper *keeper, pid_t pid, struct fault *fault);

/* The keeper's messages. */
enum keeper_event_kind {
	KEEPER_EXITED,      /* the first process of a task ended; status as of waitid(2) */
	KEEPER_EXEC_FAILED, /* error: -ENOENT, -EACCES, ...; KEEPER_EXITED follows */
	KEEPER_EXECUTED,    /* the command's own code is running now */
	KEEPER_LOST,        /* the keeper itself is gone */
};

struct keeper_event {
	enum keeper_event_kind kind;
	pid_t pid;
	int error;       /* negative errno, for KEEPER_EXEC_FAILED */
	int exit_status; /* 0 .. 255; 128 + n by signal n */
	bool by_signal;
	uint64_t stamp_ns; /* CLOCK_MONOTONIC, taken by the keeper */
};

/* To be polled for input; then keeper_next() until it returns 0. */
int keeper_fd(const struct keeper *keeper);
/* 1 and *ret_event, 0 where there is none now, or a negative errno. Never blocks. */
int keeper_next(struct keeper *keeper, struct keeper_event *ret_event);

/* Ends the keeper in an orderly way; it makes sure that nothing of the run is left, then exits.
 * Waits for it. Returns NULL. */
struct keeper *keeper_stop(struct keeper *keeper);
