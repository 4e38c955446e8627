/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "fault.h"
#include "page.h"

/* A command before it is one, in the caller's own session: a child that waits at a gate until it is
 * known who governs it, and then becomes the command in its place. Unlike a task of the keeper's
 * (keeper.h) it keeps all that the caller has given it: terminal, process group, limits, descriptors,
 * signals. */

struct gate {
	pid_t pid;
	int pidfd; /* owned */
	int fd;    /* owned; poll it for input once the gate is open, then gate_news() */
};

/* How the caller was started; the child gets it back. */
struct gate_signals {
	sigset_t mask;
	struct sigaction child; /* of SIGCHLD */
};

/* What the command gets beyond what the caller has. */
struct gate_order {
	int page_fd; /* progress page, -EBADF: none */
	struct page_address page;
	int stdout_fd, stderr_fd; /* -EBADF: the caller's */
	uint32_t threads;         /* OMP_NUM_THREADS unless set; 0: not said */
};

/* Exit statuses of a child that does not become the command. */
#define GATE_STATUS_LAUNCHER 125 /* the gate never opened */
#define GATE_STATUS_NOT_EXECUTED 126
#define GATE_STATUS_NOT_FOUND 127

/* Forks the child. argv is looked up as execvp(3) does. 0 or a negative errno. */
int gate_make(struct gate *ret_gate, char *const argv[], const struct gate_signals *signals,
	struct fault *fault);

/* Opens the gate. Descriptors stay the caller's. 0, or -EPIPE where the child has ended. */
int gate_open(struct gate *gate, const struct gate_order *order);

/* After gate_open(): 1 the command has been executed, or the child has ended before; 0 and *ret_error
 * (negative errno) it could not be; -EAGAIN nothing yet. */
int gate_news(struct gate *gate, int *ret_error);

/* Lets go of a child that may still wait: it ends, and is waited for. */
void gate_drop(struct gate *gate);
/* Only closes the descriptors; the child is waited for by somebody else. */
void gate_close(struct gate *gate);

/* Becomes the command. Returns only with an error, after giving the signals back all the same. */
int gate_become(char *const argv[], const struct gate_signals *signals);
/* The exit status that goes with such an error. */
int gate_status(int error);
