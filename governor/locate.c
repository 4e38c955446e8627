// SPDX-License-Identifier: GPL-2.0-or-later
#include "locate.h"

#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* A program in its build folder has `learners/coregov-replay` beside it; an installed one has not. */

const char *learner_directory(void)
{
	static char directory[PATH_MAX];
	char replay[PATH_MAX + sizeof("/coregov-replay")];
	const char *forced = getenv("COREGOV_LEARNERS");
	ssize_t length;
	char *slash;

	if (forced && forced[0] != '\0')
		return forced;
	length = readlink("/proc/self/exe", directory, sizeof(directory) - sizeof("/learners"));
	if (length > 0) {
		directory[length] = '\0';
		slash = strrchr(directory, '/');
		if (slash) {
			(void)strcpy(slash, "/learners");
			(void)snprintf(replay, sizeof(replay), "%s/coregov-replay", directory);
			if (access(replay, X_OK) == 0)
				return directory;
		}
	}
	return COREGOV_LIBEXEC_DIR;
}
