/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

#include <errno.h>
#include <limits.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "fault.h"

/* HOME: the cgroup v2 group below which a run may make its own. */

struct home {
	char group[PATH_MAX]; /* below the mount point; "" for the root */
	int dir_fd;           /* -EBADF before home_open() */
	bool is_leaf_made;    /* by us */
	bool is_cpu_enabled;  /* by us */
	/* A sentence on what changes for this run by being there, also where home_open() fails after
	 * that; "" where nothing does. */
	char warning[FAULT_TEXT_MAX];
};

#define HOME_INIT                \
	{                        \
		.dir_fd = -EBADF \
	}

/* Would home_open() find one? Looks only. 0, or a negative errno with a sentence. `fake_root`: for
 * tests, a directory to be taken for HOME; else NULL. */
int home_probe(const char *fake_root, struct fault *fault);

/* Where home_open() would make groups. Looks only. */
struct home_sight {
	char mount[PATH_MAX];
	char group[PATH_MAX]; /* HOME, or what the manager that would make it may give */
	bool is_by_manager;   /* systemd would make it, a scope below `group` */
};

/* 0 also where that group will not do: home_probe() says so. A negative errno with a sentence where
 * there is no such place. */
int home_look(struct home_sight *ret_sight, struct fault *fault);

/* Finds HOME, asking systemd for a scope called after the run where that is needed, moves what is in
 * it to a leaf, and enables the cpu controller for the groups below. No other run changes HOME until
 * home_unlock(). On failure home_leave() undoes what was done. */
int home_open(struct home *home, const char *fake_root, const char *run, struct fault *fault);

/* The same for a run that outlives us; where it was left at `old` (or NULL), that is its home. */
int home_open_apart(struct home *home, const char *run, const char *old, struct fault *fault);

/* The slice for the tasks of a daemon, where systemd runs the machine: it is nobody's unit but theirs, and so
 * outlives us. The rest as in unit_bus_open_slice(). */
int home_open_slice(struct home *home, uint64_t quota_us, uint32_t period_us, bool keeps_quota,
	struct fault *fault);

/* A group of which we know that it is there. */
int home_open_known(struct home *home, const char *group, struct fault *fault);

/* To be called when a group below gives the controller on: from then on nobody can take it back. */
void home_unlock(struct home *home);

/* Puts HOME back as it was, and closes it. Waits for a run that is about to open it. */
void home_leave(struct home *home);

/* Enables the cpu controller for the groups below `dir_fd`; `group` is its name for messages.
 * *ret_is_enabled where it was not enabled before. */
int home_enable_cpu(int dir_fd, const char *group, bool *ret_is_enabled, struct fault *fault);

/* Moves what is in one group to another, until nothing is left: a fork may add to it meanwhile, and a process
 * that is ending is listed, and not moved, for as long as it gives its memory back. At most a second. 0, or
 * -EBUSY or another negative errno. */
int home_move_all(int from_fd, int to_fd);
