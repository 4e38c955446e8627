// SPDX-License-Identifier: GPL-2.0-or-later
#include "lost_limits.h"

#include <fcntl.h>
#include <limits.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "cleanup.h"
#include "knob.h"

/* Every unit has a TasksMax= by default, the scope that we are moved to as well: what is the same
 * before and after is no loss. */

static const struct {
	const char *file, *setting;
} limits[] = {
	{"memory.max", "MemoryMax="},
	{"memory.high", "MemoryHigh="},
	{"memory.swap.max", "MemorySwapMax="},
	{"pids.max", "TasksMax="},
	{"cpuset.cpus", "AllowedCPUs="},
	{"io.max", "IOReadBandwidthMax= and its like"},
};

/* The limit of one group; "" where there is none. */
static void read_limit(
	int mount_fd, const char *group, const char *file, char ret_text[static KNOB_TEXT_MAX])
{
	_cleanup_close_ int fd = -EBADF;
	char path[PATH_MAX];
	int n = snprintf(path, sizeof(path), "%s%s%s", group, group[0] ? "/" : "", file);

	ret_text[0] = '\0';
	if (n < 0 || n >= (int)sizeof(path))
		return;
	fd = openat(mount_fd, path, O_RDONLY | O_CLOEXEC);
	if (fd < 0 || knob_read(fd, ret_text) < 0 || strcmp(ret_text, "max") == 0)
		ret_text[0] = '\0';
}

static bool is_at_or_below(const char *group, const char *above)
{
	size_t length = strlen(above);

	return length == 0 ||
		(strncmp(group, above, length) == 0 &&
			(group[length] == '\0' || group[length] == '/'));
}

static bool is_lost(int mount_fd, const char *was, const char *is, const char *file)
{
	char group[PATH_MAX], before[KNOB_TEXT_MAX], after[KNOB_TEXT_MAX], *slash;

	(void)snprintf(group, sizeof(group), "%s", was);
	read_limit(mount_fd, is, file, after);
	while (!is_at_or_below(is, group)) {
		read_limit(mount_fd, group, file, before);
		if (before[0] && strcmp(before, after) != 0)
			return true;
		slash = strrchr(group, '/');
		*(slash ? slash : group) = '\0';
	}
	return false;
}

size_t lost_limits(int mount_fd, const char *was, const char *is, char ret_names[], size_t size)
{
	size_t n = 0, length = 0; /* of what fits */

	ret_names[0] = '\0';
	for (size_t i = 0; i < ARRAY_LENGTH(limits); i++) {
		int added;

		if (!is_lost(mount_fd, was, is, limits[i].file))
			continue;
		added = snprintf(ret_names + length, size - length, "%s%s", n > 0 ? ", " : "",
			limits[i].setting);
		n++;
		length = length + (size_t)added < size ? length + (size_t)added : size - 1;
	}
	return n;
}
