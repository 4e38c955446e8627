/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

#include <dirent.h>
#include <stdbool.h>
#include <stddef.h>

/* Files below a root: "" for the machine's own, a folder for a test's. Paths begin with a slash. */

/* The beginning of a file, ended by a NUL, without the newline at its end. 0 or a negative errno. */
int tree_read(const char *root, const char *path, char ret_text[], size_t size);

bool tree_has(const char *root, const char *path);

/* A descriptor (close-on-exec) of a directory, or a negative errno. */
int tree_open(const char *root, const char *path);
