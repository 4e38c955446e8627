/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "fault.h"

/* The processes of each task, where no group says who they are: all that descends from its first
 * process, that is in its process group, or, orphaned, carries its COREGOV_TASK_PID. Once found, a
 * process stays its task's. Nothing is allocated after proctree_new(). */

#define PROCTREE_MEMBERS_MAX 4096 /* of all tasks together; more are not seen, and counted */

struct proctree;

int proctree_new(struct proctree **ret_tree, uint32_t n_tasks_max, struct fault *fault);
struct proctree *proctree_free(struct proctree *tree);

/* `pid` is the first process of the task, with a process group of its own. 0, -ESRCH, -EMFILE. */
int proctree_task_add(struct proctree *tree, uint32_t task, pid_t pid);
void proctree_task_remove(struct proctree *tree, uint32_t task);

/* Looks for new processes and forgets those that have ended; reads /proc once. Some 10 us for each
 * process on the machine: how many these are is returned, or a negative errno. */
int proctree_scan(struct proctree *tree);

/* How many processes the task had at the last scan; zombies do not count. */
size_t proctree_count(const struct proctree *tree, uint32_t task);
/* Calls `visit` for each living process that the last scan saw; process_fd is the tree's. */
void proctree_each(const struct proctree *tree,
	void (*visit)(uint32_t task, pid_t pid, int process_fd, void *data), void *data);
/* Processes that the last scan had no room or no descriptor for; where descriptors are used up, also
 * such as may be of no task. */
size_t proctree_n_missed(const struct proctree *tree);

/* CPU time of the task: exact for its living processes as of now; of ended ones what was seen last
 * or what their parent was told when it waited for them, whatever is more. Never goes back. Two
 * system calls for each process. */
uint64_t proctree_cpu_ns(struct proctree *tree, uint32_t task);

/* Signals every process of the task that is known; for SIGSTOP, SIGCONT and SIGKILL its whole
 * process group besides. Never reaches a process that only has the pid of an ended one. Returns how
 * many got it. */
int proctree_signal(struct proctree *tree, uint32_t task, int signo);
