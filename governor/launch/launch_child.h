/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

#include <sys/types.h>

#include "launch_pack.h"

/* The way of a new process from the keeper's fork to the command. */

struct launch_child {
	const char *run;
	pid_t keeper;
	int gate_fd; /* its end of the channel to the keeper */
	struct launch_pack pack;
	int stdin_fd; /* -EBADF: /dev/null */
	int stdout_fd, stderr_fd;
	int page_fd; /* -EBADF: none */
};

/* Runs in the child; waits at the gate, executes the command. Reports on gate_fd as of struct
 * wire_news. */
_Noreturn void launch_child_run(const struct launch_child *child);
