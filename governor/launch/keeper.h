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

/* The number a progress page has in every task; free in practice: shells use 3 to 20 and 255,
 * everything else the lowest free one. */
#define KEEPER_PAGE_FD 199

/* Bytes of all strings of one launch together. The kernel takes some 2 MiB, at most 6. */
#define LAUNCH_BYTES_MAX (16u << 20)

/* How to start one task. Strings and descriptors are the caller's; copied or duplicated. */
struct launch {
	const char *name;         /* for messages */
	char *const *argv;        /* argv[0] with a slash, or looked up in `path` */
	char *const *environment; /* the task's, NULL-ended; COREGOV_RUN and _TASK_PID are added */
	const char *directory;    /* working directory, relative to that of keeper_start() */
	const char *path;         /* PATH to look argv[0] up in */
	int stdin_fd;             /* -EBADF: /dev/null */
	int stdout_fd, stderr_fd; /* >= 0 */
	int page_fd;              /* progress page to inherit as KEEPER_PAGE_FD, -EBADF: none */
};

/* A task that was started and waits at its gate: it has its own process group and pid, but has not
 * run a single instruction of the command yet. */
struct launched {
	pid_t pid;
	int pidfd;          /* owned by the caller of keeper_spawn() */
	int page_fd_number; /* KEEPER_PAGE_FD, -EBADF: none */
};

/* Forks the keeper. Call while single-threaded, before anything is opened that should not outlive
 * the caller: the keeper inherits what is close-on-exec (a claim of neighbours.h wants that) and
 * lets go of all else, standard input and output included. Makes the caller a subreaper. `run` is
 * the run's name (enforcer.h). */
int keeper_start(struct keeper **ret_keeper, const char *run, struct fault *fault);

/* Starts a task up to its gate: in a process group of its own, in a session without a terminal, no
 * signal ignored or blocked, nothing inherited but 0, 1, 2 and the page. SIGKILL comes to it when
 * the keeper dies. Takes about a millisecond; not in the slot path. 0, -EINVAL (no argv[0]),
 * -E2BIG, -EAGAIN (no process left), -EMFILE, -ENOMEM, -EPIPE (the keeper is gone), -ETIMEDOUT (it
 * does not answer). */
int keeper_spawn(struct keeper *keeper, const struct launch *launch, struct launched *ret_launched,
	struct fault *fault);

/* Opens the gate: the command is executed as soon as its place lets it. Before the first grant is
 * the best moment: the process then wakes up once, and starts some milliseconds earlier. A command that cannot be
 * executed shows up as KEEPER_EXEC_FAILED; for a pid that has ended nothing happens. 0, -EPIPE,
 * -ETIMEDOUT. */
int keeper_release(struct keeper *keeper, pid_t pid, struct fault *fault);

/* The keeper's messages. */
enum keeper_event_kind {
	KEEPER_EXITED,      /* the first process of a task ended and has been waited for */
	KEEPER_EXEC_FAILED, /* error: -ENOENT, -EACCES, ...; KEEPER_EXITED follows */
	KEEPER_EXECUTED,    /* the command's own code is running now */
	KEEPER_LOST,        /* the keeper itself is gone; comes once, poll no more then */
};

/* What a launch failed at. */
enum launch_step {
	LAUNCH_COMMAND,   /* finding or executing argv[0]; ends with 127 (-ENOENT) or 126 */
	LAUNCH_DIRECTORY, /* entering the working directory; ends with status 126 */
};

struct keeper_event {
	enum keeper_event_kind kind;
	pid_t pid;
	enum launch_step step; /* for KEEPER_EXEC_FAILED */
	int error;             /* negative errno, for KEEPER_EXEC_FAILED */
	int exit_status;       /* 0 .. 255; 128 + n by signal n */
	bool by_signal;
	uint64_t cpu_ns;   /* for KEEPER_EXITED: used by it and by the children it waited for */
	uint64_t stamp_ns; /* CLOCK_MONOTONIC, taken by the keeper */
};

/* To be polled for input; then keeper_next() until it returns 0. */
int keeper_fd(const struct keeper *keeper);
/* 1 and *ret_event, 0 where there is none now, or a negative errno. Never blocks. The events of one
 * task come in the order of what happened. */
int keeper_next(struct keeper *keeper, struct keeper_event *ret_event);

/* Ends the keeper in an orderly way; it makes sure that nothing of the run is left, then exits.
 * Waits for it, and does its work where it is lost or does not end. NULL is fine; returns NULL. */
struct keeper *keeper_stop(struct keeper *keeper);
