/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

/* Paths as text; nothing here looks at the file system but path_absolute(), which asks for the
 * working directory. Results are allocations, given back by free(); NULL when memory is gone. */

/* The directory of a file: "a/b" of "a/b/c", "." of "c", "/" of "/c". */
char *path_directory(const char *path);

/* `path` as seen from `directory`: an absolute one stays as it is. */
char *path_join(const char *directory, const char *path);

/* 0, or -ENOMEM, or what getcwd(3) says. */
int path_absolute(const char *path, char **ret_path);
