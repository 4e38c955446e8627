// SPDX-License-Identifier: GPL-2.0-or-later
#include "locate.h"

#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* A program in its build folder has `learners/presets` beside it; an installed one has not. */

/* The folder of that name beside the program, or NULL. */
static const char *beside_program(const char *name, char ret_path[static PATH_MAX])
{
	char program[PATH_MAX];
	ssize_t length = readlink("/proc/self/exe", program, sizeof(program) - 1);
	char *slash;

	if (length < 0)
		return NULL;
	program[length] = '\0';
	slash = strrchr(program, '/');
	if (!slash)
		return NULL;
	*slash = '\0';
	if (snprintf(ret_path, PATH_MAX, "%s/%s", program, name) >= PATH_MAX)
		return NULL;
	return access(ret_path, R_OK | X_OK) == 0 ? ret_path : NULL;
}

static const char *locate(const char *variable, const char *name, const char *installed,
	char ret_path[static PATH_MAX])
{
	const char *forced = variable ? secure_getenv(variable) : NULL, *beside;

	if (forced && forced[0] != '\0')
		return forced;
	beside = beside_program(name, ret_path);
	return beside ? beside : installed;
}

const char *learner_directory(void)
{
	static char path[PATH_MAX];

	return locate("COREGOV_LEARNERS", "learners", COREGOV_LEARNERS_DIR, path);
}

const char *preset_directory(void)
{
	static char path[PATH_MAX];

	return locate("COREGOV_PRESETS", "learners/presets", COREGOV_PRESETS_DIR, path);
}

const char *library_directory(void)
{
	static char path[PATH_MAX];

	return locate(/* variable= */ NULL, "learners/progress", COREGOV_LIBRARY_DIR, path);
}
