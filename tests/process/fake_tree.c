// SPDX-License-Identifier: GPL-2.0-or-later
#include "fake_tree.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* See fake_tree.h. cgroup.kill is missing on purpose: a plain file could not kill, and without it
 * the list of processes is used. The root has a cgroup.type, as a delegated group has. */

int __real_mkdirat(int dir_fd, const char *name, mode_t mode);
int __wrap_mkdirat(int dir_fd, const char *name, mode_t mode);
int __real_unlinkat(int dir_fd, const char *name, int flags);
int __wrap_unlinkat(int dir_fd, const char *name, int flags);
int __real_openat64(int dir_fd, const char *name, int flags, ...);
int __wrap_openat64(int dir_fd, const char *name, int flags, ...);
ssize_t __real_pwrite64(int fd, const void *bytes, size_t length, off_t offset);
ssize_t __wrap_pwrite64(int fd, const void *bytes, size_t length, off_t offset);

static char root[SUITE_PATH_MAX];
static int fail_at, fail_error, n_writes;
static const char *omitted, *shut;
static void (*around_write)(void);

static const struct {
	const char *name, *text;
} group_files[] = {
	{"cgroup.controllers", "cpu\n"},
	{"cgroup.subtree_control", ""},
	{"cgroup.procs", ""},
	{"cgroup.type", "domain\n"},
	{"cgroup.freeze", "0\n"},
	{"cpu.max", "max 100000\n"},
	{"cpu.max.burst", "0\n"},
	{"cpu.stat", "usage_usec 0\nuser_usec 0\n"},
};

static bool is_below_root(int fd)
{
	char link[64], path[PATH_MAX];
	ssize_t n;

	(void)snprintf(link, sizeof(link), "/proc/self/fd/%d", fd);
	n = readlink(link, path, sizeof(path) - 1);
	if (n < 0 || !root[0])
		return false;
	path[n] = '\0';
	return strncmp(path, root, strlen(root)) == 0;
}

static void put(int dir_fd, const char *name, const char *text)
{
	int fd = __real_openat64(dir_fd, name, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);

	if (fd < 0 || write(fd, text, strlen(text)) < 0)
		abort();
	(void)close(fd);
}

static void fill_group(int dir_fd)
{
	for (size_t i = 0; i < sizeof(group_files) / sizeof(group_files[0]); i++)
		if (!omitted || strcmp(omitted, group_files[i].name) != 0)
			put(dir_fd, group_files[i].name, group_files[i].text);
}

int __wrap_mkdirat(int dir_fd, const char *name, mode_t mode)
{
	int fd;

	if (__real_mkdirat(dir_fd, name, mode) < 0)
		return -1;
	if (!is_below_root(dir_fd))
		return 0;
	fd = __real_openat64(dir_fd, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0)
		abort();
	fill_group(fd);
	(void)close(fd);
	return 0;
}

int __wrap_unlinkat(int dir_fd, const char *name, int flags)
{
	int fd = __real_openat64(dir_fd, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	if (fd >= 0 && (flags & AT_REMOVEDIR) && is_below_root(dir_fd))
		for (size_t i = 0; i < sizeof(group_files) / sizeof(group_files[0]); i++)
			(void)__real_unlinkat(fd, group_files[i].name, 0);
	if (fd >= 0)
		(void)close(fd);
	return __real_unlinkat(dir_fd, name, flags);
}

int __wrap_openat64(int dir_fd, const char *name, int flags, ...)
{
	mode_t mode = 0;
	va_list args;

	va_start(args, flags);
	if (flags & O_CREAT)
		mode = va_arg(args, mode_t);
	va_end(args);
	if (shut && (flags & O_DIRECTORY) && strcmp(name, shut) == 0) {
		errno = EMFILE;
		return -1;
	}
	return __real_openat64(dir_fd, name, flags, mode);
}

ssize_t __wrap_pwrite64(int fd, const void *bytes, size_t length, off_t offset)
{
	ssize_t n;

	if (!is_below_root(fd))
		return __real_pwrite64(fd, bytes, length, offset);
	if (around_write)
		around_write();
	n_writes++;
	if (fail_at > 0 && --fail_at == 0) {
		errno = fail_error;
		return -1;
	}
	if (ftruncate(fd, 0) < 0)
		abort();
	n = __real_pwrite64(fd, bytes, length, offset);
	if (around_write)
		around_write();
	return n;
}

void fake_tree_fail(int n, int error)
{
	fail_at = n;
	fail_error = error;
	n_writes = 0;
}

int fake_tree_n_writes(void)
{
	return n_writes;
}

void fake_tree_shut(const char *name)
{
	shut = name;
}

void fake_tree_watch(void (*look)(void))
{
	around_write = look;
}

void fake_tree_omit(const char *file)
{
	omitted = file;
}

void fake_tree_make(struct fake_tree *tree, const char *controllers)
{
	if (!mkdtemp(suite_template(tree->path)))
		abort();
	(void)snprintf(root, sizeof(root), "%s", tree->path);
	fake_tree_write(tree, "cgroup.controllers", controllers);
	fake_tree_write(tree, "cgroup.subtree_control", "");
	fake_tree_write(tree, "cgroup.procs", "");
	fake_tree_write(tree, "cgroup.type", "domain\n");
	fake_tree_fail(0, 0);
	fake_tree_omit(NULL);
	fake_tree_watch(NULL);
	fake_tree_shut(NULL);
}

void fake_tree_remove(struct fake_tree *tree)
{
	if (tree->path[0] && suite_remove(tree->path) < 0)
		abort();
	tree->path[0] = '\0';
	root[0] = '\0';
}

static void path_of(const struct fake_tree *tree, const char *file, char path[PATH_MAX])
{
	(void)snprintf(path, PATH_MAX, "%s/%s", tree->path, file);
}

void fake_tree_read(const struct fake_tree *tree, const char *file, char ret_text[], size_t size)
{
	char path[PATH_MAX];
	ssize_t n;
	int fd;

	path_of(tree, file, path);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	n = fd < 0 ? -1 : read(fd, ret_text, size - 1);
	if (fd >= 0)
		(void)close(fd);
	ret_text[n < 0 ? 0 : n] = '\0';
}

void fake_tree_write(const struct fake_tree *tree, const char *file, const char *text)
{
	char path[PATH_MAX];

	path_of(tree, file, path);
	put(AT_FDCWD, path, text);
}

bool fake_tree_has(const struct fake_tree *tree, const char *file)
{
	char path[PATH_MAX];

	path_of(tree, file, path);
	return access(path, F_OK) == 0;
}
