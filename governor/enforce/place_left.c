// SPDX-License-Identifier: GPL-2.0-or-later
#include "place_left.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>

#include "cleanup.h"
#include "group.h"
#include "quantity.h"

/* ID-NAME, as the enforcers call a task's group. */
static bool parse(const char *text, struct place_left *ret_left)
{
	int n_read = 0;

	if (sscanf(text, "%9u-%n", &ret_left->task, &n_read) != 1 || n_read == 0 ||
		!task_name_is_valid(text + n_read))
		return false;
	(void)snprintf(ret_left->name, sizeof(ret_left->name), "%s", text + n_read);
	ret_left->scope[0] = '\0';
	return true;
}

/* True, and its first process, where there is one that is seen from here. */
static bool is_populated(int run_fd, const char *group, pid_t *ret_pid)
{
	_cleanup_close_ int fd = openat(
		run_fd, group, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);

	return fd >= 0 && group_first_process(fd, ret_pid) == 1;
}

/* Of its own position. NULL, and errno. */
static DIR *open_list(int dir_fd)
{
	_cleanup_close_ int fd = openat(dir_fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *dir = fd >= 0 ? fdopendir(fd) : NULL;

	if (dir)
		TAKE_FD(fd);
	return dir;
}

int place_left_find(int run_fd, uint32_t least, struct place_left *ret_left)
{
	_cleanup_closedir_ DIR *dir = open_list(run_fd);
	const struct dirent *entry;
	bool is_found = false;

	if (!dir)
		return -errno;
	while ((entry = readdir(dir))) {
		struct place_left left;

		if (entry->d_type != DT_DIR || !parse(entry->d_name, &left) || left.task < least ||
			(is_found && left.task >= ret_left->task) ||
			!is_populated(run_fd, entry->d_name, &left.pid))
			continue;
		*ret_left = left;
		is_found = true;
	}
	return is_found;
}

int place_left_find_in_scopes(int slice_fd, uint32_t least, struct place_left *ret_left)
{
	_cleanup_closedir_ DIR *dir = open_list(slice_fd);
	const struct dirent *entry;
	bool is_found = false;

	if (!dir)
		return -errno;
	while ((entry = readdir(dir))) {
		_cleanup_close_ int scope_fd = -EBADF;
		struct place_left left;

		if (entry->d_type != DT_DIR || strlen(entry->d_name) >= sizeof(left.scope))
			continue;
		scope_fd = openat(
			slice_fd, entry->d_name, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
		if (scope_fd < 0 || place_left_find(scope_fd, least, &left) != 1 ||
			(is_found && left.task >= ret_left->task))
			continue;
		(void)strcpy(left.scope, entry->d_name);
		*ret_left = left;
		is_found = true;
	}
	return is_found;
}
