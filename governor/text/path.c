// SPDX-License-Identifier: GPL-2.0-or-later
#include "path.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cleanup.h"

/* Paths as text. dirname(3) writes into its argument, and realpath(3) wants the file to be there
 * and follows links; a bundle's paths are joined as written, so that messages show what users
 * wrote, and the kernel resolves `..` and links when the file is opened. */

char *path_directory(const char *path)
{
	const char *slash = strrchr(path, '/');

	if (!slash)
		return strdup(".");
	while (slash > path && slash[-1] == '/')
		slash--;
	return slash == path ? strdup("/") : strndup(path, (size_t)(slash - path));
}

char *path_join(const char *directory, const char *path)
{
	const char *slash = directory[strlen(directory) - 1] == '/' ? "" : "/";
	char *joined;

	if (*path == '/' || strcmp(directory, ".") == 0)
		return strdup(path);
	if (strcmp(path, ".") == 0)
		return strdup(directory);
	return asprintf(&joined, "%s%s%s", directory, slash, path) < 0 ? NULL : joined;
}

int path_absolute(const char *path, char **ret_path)
{
	_cleanup_free_ char *here = NULL;
	char *absolute;

	if (*path != '/') {
		here = getcwd(NULL, 0);
		if (!here)
			return -errno;
	}
	absolute = here ? path_join(here, path) : strdup(path);
	if (!absolute)
		return -ENOMEM;
	*ret_path = absolute;
	return 0;
}
