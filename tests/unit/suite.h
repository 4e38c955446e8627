/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

#include <check.h>
#include <fcntl.h>
#include <ftw.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#define SUITE_PATH_MAX 64

static inline int suite_remove_one(
	const char *path, const struct stat *stat, int type, struct FTW *where)
{
	(void)stat;
	(void)type;
	(void)where;
	return remove(path);
}

/* Removes a folder and what is in it. 0, or -1 with errno. */
static inline int suite_remove(const char *folder)
{
	return nftw(folder, suite_remove_one, 16, FTW_DEPTH | FTW_PHYS);
}

/* The main of a check suite: runs it in fork mode, prints TAP (see meson.build). It has a folder, the
 * TMPDIR of all its tests, that is removed with what is in it: a test that fails runs no teardown. */
static inline int suite_run(Suite *suite)
{
	char folder[] = "/tmp/coregov-test-XXXXXX";
	SRunner *runner = srunner_create(suite);
	int n_failed;

	if (!mkdtemp(folder) || setenv("TMPDIR", folder, /* overwrite= */ 1) < 0) {
		perror(folder);
		srunner_free(runner);
		return EXIT_FAILURE;
	}
	srunner_run_all(runner, CK_ENV);
	n_failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	(void)suite_remove(folder);
	return n_failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}

/* For mkdtemp() and mkstemp(): a name in the suite's folder. */
static inline char *suite_template(char ret_path[static SUITE_PATH_MAX])
{
	(void)snprintf(ret_path, SUITE_PATH_MAX, "%s/XXXXXX", getenv("TMPDIR"));
	return ret_path;
}

/* True where this machine gives out pseudo-terminals (a bare chroot has no /dev/pts). */
static inline bool suite_has_terminals(void)
{
	int fd = posix_openpt(O_RDWR | O_NOCTTY | O_CLOEXEC), slave = -1;

	if (fd >= 0 && grantpt(fd) == 0 && unlockpt(fd) == 0)
		slave = open(ptsname(fd), O_RDWR | O_NOCTTY | O_CLOEXEC);
	if (slave >= 0)
		(void)close(slave);
	if (fd >= 0)
		(void)close(fd);
	return slave >= 0;
}

/* As suite_run(), for a suite that needs terminals; skipped with the reason where there are none. */
static inline int suite_run_on_terminals(Suite *suite)
{
	if (suite_has_terminals())
		return suite_run(suite);
	srunner_free(srunner_create(suite));
	(void)puts("1..0 # SKIP no pseudo-terminal can be opened here: is /dev/pts mounted?");
	return EXIT_SUCCESS;
}
