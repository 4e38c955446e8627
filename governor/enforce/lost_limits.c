// SPDX-License-Identifier: GPL-2.0-or-later
#include "lost_limits.h"

#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "cleanup.h"
#include "knob.h"

/* Every unit has a TasksMax= by default, the scope that we are moved to as well: what is the same
 * before and after is no loss. */

static const struct {
	const char *file, *setting;
} kinds[LIMIT_KINDS] = {
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

/* The group above; of a group just below the mount point that is "". */
static void go_up(char group[static PATH_MAX])
{
	char *slash = strrchr(group, '/');

	*(slash ? slash : group) = '\0';
}

void unit_limits_read(struct unit_limits *limits, int mount_fd, const char *group)
{
	char above[PATH_MAX];

	(void)snprintf(limits->group, sizeof(limits->group), "%s", group);
	strcpy(above, limits->group);
	for (limits->n_groups = 0; above[0] && limits->n_groups < LIMIT_GROUPS_MAX; go_up(above)) {
		for (size_t kind = 0; kind < LIMIT_KINDS; kind++)
			read_limit(mount_fd, above, kinds[kind].file,
				limits->texts[limits->n_groups][kind]);
		limits->n_groups++;
	}
}

static bool is_lost(const struct unit_limits *was, int mount_fd, const char *is, size_t kind)
{
	char group[PATH_MAX], after[KNOB_TEXT_MAX];

	strcpy(group, was->group);
	read_limit(mount_fd, is, kinds[kind].file, after);
	for (size_t i = 0; i < was->n_groups && !is_at_or_below(is, group); i++) {
		if (was->texts[i][kind][0] && strcmp(was->texts[i][kind], after) != 0)
			return true;
		go_up(group);
	}
	return false;
}

size_t lost_limits(
	const struct unit_limits *was, int mount_fd, const char *is, char ret_names[], size_t size)
{
	size_t n = 0, length = 0; /* of what fits */

	ret_names[0] = '\0';
	for (size_t kind = 0; kind < LIMIT_KINDS; kind++) {
		int added;

		if (!is_lost(was, mount_fd, is, kind))
			continue;
		added = snprintf(ret_names + length, size - length, "%s%s", n > 0 ? ", " : "",
			kinds[kind].setting);
		n++;
		length = length + (size_t)added < size ? length + (size_t)added : size - 1;
	}
	return n;
}
