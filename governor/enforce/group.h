/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

/* One group, held by the descriptor of its directory, so that a group of the same name made later
 * cannot be hit. The same functions serve v1 and v2. All of them go down into groups below. */

/* What group_each() calls for each group, the deepest first. A negative return ends the walk. */
typedef int (*group_visit)(int dir_fd, void *data);

/* Visits the group and all below it. Returns the first negative value, else 0. Groups that vanish
 * meanwhile are passed over. */
int group_each(int dir_fd, group_visit visit, void *data);

/* 1 where a process is in the group or below, 0 where none is, or a negative errno (-ENODEV,
 * -ENOENT: the group itself is gone). */
int group_is_populated(int dir_fd);

/* 1 and the process that is listed first, in the group or below, where there is one that is seen from here; 0
 * where there is none, or a negative errno. */
int group_first_process(int dir_fd, pid_t *ret_pid);

/* Marks the group as in use for as long as the descriptor is open: a lock on its directory, which is
 * seen from every namespace and ends with its holder. 0, or a negative errno; -EWOULDBLOCK where
 * somebody is about to clear it away. */
int group_hold(int dir_fd);

/* 1 where another descriptor holds the group, 0 where none does, or a negative errno. */
int group_is_held(int dir_fd);

/* Sends a signal to every process in the group and below, except the caller. Returns how many got
 * it, or a negative errno. */
int group_signal(int dir_fd, int signo);

/* Kills every process in the group and below, at one stroke where the kernel can (v2). A frozen v1
 * process dies when it is thawed. Returns how many there were, or a negative errno. */
int group_kill(int dir_fd);

/* Takes back a freeze of the group and of those below. 0 also where it cannot be frozen at all. */
int group_thaw(int dir_fd);

/* Kills all that is in the groups, thawing them, and waits for it to be gone, at most a second. The
 * descriptors are one task's or run's places in several hierarchies; -EBADF is passed over. 0, or
 * -EBUSY where something would not die, or another negative errno. */
int group_end(const int dir_fds[], size_t n_dir_fds);

/* Removes the group and those below it; they must be empty. -EBUSY where a process is in one of
 * them. 0 also where it is gone. */
int group_remove_tree(int parent_fd, const char *name);

/* True where a user's processes could write the group's files of that name: then nothing keeps the
 * tasks from changing their own limits. Says yes in doubt. */
bool group_is_writable_by(int dir_fd, const char *file, uid_t uid);
