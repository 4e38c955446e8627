/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

#include <check.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

/* The main of a check suite: runs it in fork mode, prints TAP (see meson.build). */
static inline int suite_run(Suite *suite)
{
	SRunner *runner = srunner_create(suite);
	int n_failed;

	srunner_run_all(runner, CK_ENV);
	n_failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return n_failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
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
