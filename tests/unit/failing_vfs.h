/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

#include <stdbool.h>

/* A SQLite VFS that passes everything on to the system's, except that from the n-th call that
 * changes or opens a file on, calls fail: one, or all that follow. Nothing is
 * synced. Becomes SQLite's default. */

enum failing_vfs_mode {
	FAILING_VFS_ONCE,    /* only the n-th fails, with an I/O error */
	FAILING_VFS_FULL,    /* from the n-th on, writes find the disk full */
	FAILING_VFS_FOREVER, /* from the n-th on, everything fails with an I/O error */
};

void failing_vfs_install(void);

/* n counts from 0; a negative one never fails. */
void failing_vfs_arm(enum failing_vfs_mode mode, long n);

/* How many calls were counted since failing_vfs_arm(). */
long failing_vfs_count(void);
