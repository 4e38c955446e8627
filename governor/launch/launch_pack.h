/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

#include <stdint.h>
#include <sys/types.h>

#include "fault.h"
#include "keeper.h"

/* The strings of a launch in a memfd: one NUL-ended string after the other, in the order
 * directory, path, arguments, variables. */
struct launch_pack {
	int fd; /* the memfd */
	uint32_t n_arguments, n_variables;
};

/* 0 and *ret_pack, whose fd the caller owns; -EINVAL, -E2BIG, -ENOMEM, -EMFILE. */
int launch_pack(const struct launch *launch, struct launch_pack *ret_pack, struct fault *fault);

/* What a task executes; all memory lives until execve(2) or the end of the process. */
struct launch_strings {
	const char *directory;
	const char *path;
	char **argv;
	char **environment; /* with COREGOV_RUN=run and COREGOV_TASK_PID=pid, each once */
};

/* 0, -EBADMSG where the pack does not hold what it should, -ENOMEM. */
int launch_unpack(const struct launch_pack *pack, const char *run, pid_t pid,
	struct launch_strings *ret_strings);
