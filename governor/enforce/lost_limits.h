/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

#include <limits.h>
#include <stddef.h>

#include "knob.h"

/* Which limits a process leaves behind that systemd moves from one unit to another. They are read before
 * it is moved: a scope that is left empty is removed at once. */

#define LIMIT_KINDS 6
#define LIMIT_GROUPS_MAX 16 /* of more, those furthest up are not asked */

/* What a group and those above it are limited to. Some 13 KiB. */
struct unit_limits {
	char group[PATH_MAX]; /* below the mount point, without a slash at either end */
	size_t n_groups;
	/* of the group, of the one above it, ...; "" where there is no limit */
	char texts[LIMIT_GROUPS_MAX][LIMIT_KINDS][KNOB_TEXT_MAX];
};

/* mount_fd   the mount point of a cgroup v2 tree
 * group      as in `struct unit_limits`; one that is not there is without limits */
void unit_limits_read(struct unit_limits *limits, int mount_fd, const char *group);

/* was        read before it was moved
 * is         the group that it is in now
 * ret_names  the settings as systemd calls them, "MemoryMax=, TasksMax=", cut at `size`
 *
 * Counts what limits the group before, or one between it and the nearest that both are in, and is not
 * the same in `is`; not cpu.max, which is our own business. Returns how many there are. */
size_t lost_limits(
	const struct unit_limits *was, int mount_fd, const char *is, char ret_names[], size_t size);
