/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

#include <stdint.h>
#include <sys/types.h>

#include "fault.h"
#include "slot.h"

/* Processes that have left the group of their task. Only root, or who owns the groups, can move a
 * process out of one: so where the guarantee is "cooperative", somebody looks now and then, and puts
 * back what has strayed. */

struct strays;

/* 0 or -ENOMEM. */
int strays_new(struct strays **ret_strays, uint32_t n_tasks_max, struct fault *fault);
/* NULL is fine; returns NULL. */
struct strays *strays_free(struct strays *strays);

/* A task whose first process is `pid` is in a group called `parent`/`name`, which is `n_dir_fds` directories
 * in as many hierarchies (-EBADF: passed over). `parent`, `name` and `dir_fds` are the caller's and must stay
 * until strays_task_remove(). What has ended already is not watched. */
void strays_task_add(struct strays *strays, uint32_t task, pid_t pid, const char *parent,
	const char *name, const int dir_fds[], size_t n_dir_fds);
/* Nothing happens for a task that is not watched. */
void strays_task_remove(struct strays *strays, uint32_t task);

/* Looks, unless the last look was a moment ago (each process on the machine costs some 10 us), and
 * puts back what has left. now_ns is CLOCK_MONOTONIC. */
void strays_look(struct strays *strays, uint64_t now_ns);

/* Adds to n_foreign what was put back, and says so in `fault`: once, and in the first call where
 * n_foreign is 0, since a slot has one sentence. */
void strays_tell(struct strays *strays, struct enforced *enforced, struct fault *fault);
