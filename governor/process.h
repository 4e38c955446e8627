/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

#include <dirent.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

/* What /proc says of one process. A process is held by a descriptor of its /proc/PID directory: it
 * stays bound to that very process, so that a recycled pid is neither read nor signalled. */

struct process {
	pid_t pid;
	pid_t parent;
	pid_t group;
	bool is_stopped;          /* by a signal */
	bool has_ended;           /* a zombie without threads: waits for its parent only */
	uint64_t start_ticks;     /* since boot */
	uint64_t children_cpu_ns; /* of children that were waited for; in steps of a clock tick */
};

/* Opens /proc/PID. A descriptor (close-on-exec), or -ESRCH, -EMFILE, ... */
int process_open(pid_t pid);

/* 0 or a negative errno: -ESRCH once the process is gone. */
int process_read(int process_fd, struct process *ret_process);

/* The same for whoever has that pid now, without holding it. */
int process_peek(DIR *proc, pid_t pid, struct process *ret_process);

/* The value of a variable in the environment the process was executed with. 1 and ret_value, 0
 * where it has no such variable or one that does not fit, -EACCES for somebody else's process,
 * -ESRCH. Reads a bounded amount. */
int process_variable(int process_fd, const char *name, char *ret_value, size_t size);

/* Sends a signal, 0 only asks whether the process is there (a zombie is). 0, -ESRCH, -EPERM. */
int process_signal(int process_fd, int signo);

/* Walks /proc: the next pid, or 0 at the end. */
pid_t process_next(DIR *proc);
