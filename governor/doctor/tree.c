// SPDX-License-Identifier: GPL-2.0-or-later
#include "tree.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <unistd.h>

#include "cleanup.h"

/* Every check of /proc and /sys goes through here, so that a test can give it another machine. */

static int open_below(const char *root, const char *path, int flags)
{
	char full[2 * PATH_MAX];
	int n = snprintf(full, sizeof(full), "%s%s", root, path), fd;

	if (n < 0 || n >= (int)sizeof(full))
		return -ENAMETOOLONG;
	fd = open(full, flags | O_CLOEXEC);
	return fd < 0 ? -errno : fd;
}

int tree_read(const char *root, const char *path, char ret_text[], size_t size)
{
	_cleanup_close_ int fd = open_below(root, path, O_RDONLY);
	size_t length = 0;
	ssize_t n = 1;

	ret_text[0] = '\0';
	if (fd < 0)
		return fd;
	while (n > 0 && length < size - 1) { /* seq files come page by page */
		n = read(fd, ret_text + length, size - 1 - length);
		if (n < 0 && errno == EINTR)
			n = 1;
		else if (n < 0)
			return -errno;
		else
			length += (size_t)n;
	}
	if (length > 0 && ret_text[length - 1] == '\n')
		length--;
	ret_text[length] = '\0';
	return 0;
}

bool tree_has(const char *root, const char *path)
{
	_cleanup_close_ int fd = open_below(root, path, O_PATH);

	return fd >= 0;
}

int tree_open(const char *root, const char *path)
{
	return open_below(root, path, O_RDONLY | O_DIRECTORY);
}
