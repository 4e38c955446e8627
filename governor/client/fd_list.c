// SPDX-License-Identifier: GPL-2.0-or-later
#include "fd_list.h"

#include <ctype.h>
#include <stdlib.h>
#include <unistd.h>

#include "cleanup.h"

/* A launcher inherits what is meant for the command: one end of somebody's pipe, a lock. As long as it
 * holds them too, the other end does not see that the command is done with them. */

void fd_list_read(struct fd_list *ret_list)
{
	_cleanup_closedir_ DIR *dir = opendir("/proc/self/fd");
	const struct dirent *entry;

	*ret_list = (struct fd_list){NULL, 0};
	while (dir && (entry = readdir(dir))) {
		int fd = atoi(entry->d_name), *grown;

		if (!isdigit((unsigned char)entry->d_name[0]) || fd <= STDERR_FILENO ||
			fd == dirfd(dir))
			continue;
		grown = reallocarray(ret_list->fds, ret_list->n_fds + 1, sizeof(int));
		if (!grown)
			return;
		ret_list->fds = grown;
		grown[ret_list->n_fds++] = fd;
	}
}

void fd_list_done(struct fd_list *list)
{
	free(list->fds);
	*list = (struct fd_list){NULL, 0};
}

void fd_list_remove(struct fd_list *list, int fd)
{
	for (size_t i = 0; i < list->n_fds; i++)
		if (list->fds[i] == fd)
			list->fds[i--] = list->fds[--list->n_fds];
}

void fd_list_close(const struct fd_list *list)
{
	for (size_t i = 0; i < list->n_fds; i++)
		(void)close(list->fds[i]);
}
