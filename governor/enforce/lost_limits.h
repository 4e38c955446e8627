/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

#include <stddef.h>

/* Which limits a process leaves behind that systemd moves from one unit to another.
 *
 * mount_fd   the mount point of a cgroup v2 tree
 * was, is    the group before and after, below it, without a slash at either end
 * ret_names  the settings as systemd calls them, "MemoryMax=, TasksMax=", cut at `size`
 *
 * Counts what limits `was`, or a group between it and the nearest that both are in, and is not the same
 * in `is`; not cpu.max, which is our own business. Returns how many there are. */
size_t lost_limits(int mount_fd, const char *was, const char *is, char ret_names[], size_t size);
