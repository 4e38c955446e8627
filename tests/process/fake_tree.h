/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "../unit/suite.h"

/* A cgroup v2 tree of plain files in the suite's folder. The programs that use it are linked
 * with --wrap for mkdirat, unlinkat, openat and pwrite: a new directory below the tree gets its control
 * files as the kernel would make them, a removed one loses them, and a write replaces the whole
 * content. Any write can be made to fail. */

struct fake_tree {
	char path[SUITE_PATH_MAX];
};

/* Makes the tree; `controllers` is what its root has, "cpu memory" for instance. Aborts where that
 * is not possible. One at a time. */
void fake_tree_make(struct fake_tree *tree, const char *controllers);
/* Removes it. */
void fake_tree_remove(struct fake_tree *tree);

/* Reads or writes a file of the tree, past the wrappers. */
void fake_tree_read(const struct fake_tree *tree, const char *file, char ret_text[], size_t size);
void fake_tree_write(const struct fake_tree *tree, const char *file, const char *text);
bool fake_tree_has(const struct fake_tree *tree, const char *file);

/* The n-th write from now fails with that errno (n counts from 1; 0: none does), and how many
 * writes there were since. */
void fake_tree_fail(int n, int error);
int fake_tree_n_writes(void);

/* Opening a directory of that name fails with EMFILE from now on; NULL: none does. */
void fake_tree_shut(const char *name);

/* Called before and after each write from now on; NULL: nothing is. */
void fake_tree_watch(void (*look)(void));

/* Groups made from now on lack that file; NULL: all have all. */
void fake_tree_omit(const char *file);
