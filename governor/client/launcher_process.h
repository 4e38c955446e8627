/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

#include <sys/types.h>

#include "client_bus.h"
#include "fault.h"
#include "launcher.h"

/* A launcher in a process of its own, and in a session of its own: for who has many of them, and is not
 * the command's terminal. It outlives the caller, as the command does. */

struct launcher_process_setup {
	struct launcher_setup
		launcher;         /* say, accepted, kept_fd and prefixed_to are filled in here */
	const char *directory;    /* where the command runs */
	char **environment;       /* what it gets, but for what a launcher adds */
	int stdout_fd, stderr_fd; /* -EBADF: /dev/null; its standard input always is */
};

struct launcher_process {
	pid_t pid; /* also of its session and process group; 0: none */
	int fd;    /* owned; readable when there is news */
};

enum launcher_news_kind {
	LAUNCHER_SAID,     /* something that the user should read */
	LAUNCHER_ACCEPTED, /* the command is about to run */
	LAUNCHER_DONE,     /* it has ended, or was refused; nothing comes after it */
};

struct launcher_news {
	enum launcher_news_kind kind;
	char text[FAULT_TEXT_MAX];     /* the sentence; the task's object path */
	struct launcher_result result; /* of LAUNCHER_DONE */
};

/* Forks it. 0 or a negative errno. */
int launcher_process_start(struct launcher_process *ret_process,
	const struct launcher_process_setup *setup, struct fault *fault);

/* Takes what has come: 1 and *ret_news, 0 where the process has ended (it has been waited for then), or
 * -EAGAIN. */
int launcher_process_next(struct launcher_process *process, struct launcher_news *ret_news);

/* To the launcher, which passes it on to the command; SIGKILL to all that are in its session still. */
void launcher_process_signal(const struct launcher_process *process, int signo);

/* Closes the descriptor, which is polled no more: a process that has just been forked still has it, too, so
 * that closing it does not end the polling. One that runs goes on by itself. */
void launcher_process_forget(struct launcher_process *process);
