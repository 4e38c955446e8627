// SPDX-License-Identifier: GPL-2.0-or-later
#include "group.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "cleanup.h"
#include "knob.h"

/* What can be done with a group once its directory is open, whichever version made it.
 *
 * Three properties of the kernel shape this file:
 *
 * A v1 cgroup.procs is a list that the kernel caches for a second after each look, and an open
 * descriptor keeps its cache: polling through a held descriptor never sees a process leave. So the
 * file is opened afresh for every look. On v2 cgroup.events tells of the group and all below: a
 * process that is dying leaves cgroup.procs before it leaves the group, and rmdir is refused (EBUSY)
 * for as long as that takes, which is seconds where its quota is small.
 *
 * A process that our pid namespace does not see is listed as pid 0 on v2, and not at all on v1. kill(0)
 * is our own process group: such lines are counted as "populated" and never signalled.
 *
 * Between reading the list and the last kill() a process may fork. group_end() therefore repeats
 * until nothing is left. It does not freeze first: a v1 group takes as long to freeze as its
 * slowest process takes to leave the kernel, and a SIGKILL to a frozen v1 process waits for the
 * thaw anyway. Where v2 has cgroup.kill, the kernel does all this at once. */

#define END_ROUNDS 500
#define END_ROUND_NS 2000000 /* 500 rounds of 2 ms: a second */
#define DEPTH_MAX 64

static int each_below(int dir_fd, group_visit visit, void *data, unsigned depth);

static bool is_dot(const char *name)
{
	return strcmp(name, ".") == 0 || strcmp(name, "..") == 0;
}

/* A removed group answers ENOENT to a path and ENODEV to an open descriptor. */
static bool is_gone(int error)
{
	return error == -ENOENT || error == -ENODEV;
}

static int visit_child(int dir_fd, const char *name, group_visit visit, void *data, unsigned depth)
{
	_cleanup_close_ int fd = openat(
		dir_fd, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);

	if (fd < 0)
		return is_gone(-errno) ? 0 : -errno;
	return each_below(fd, visit, data, depth + 1);
}

static int each_below(int dir_fd, group_visit visit, void *data, unsigned depth)
{
	_cleanup_closedir_ DIR *dir = NULL;
	_cleanup_close_ int fd = openat(dir_fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	const struct dirent *entry;
	int r;

	if (depth > DEPTH_MAX)
		return -ELOOP;
	if (fd < 0)
		return -errno;
	dir = fdopendir(fd);
	if (!dir)
		return -errno;
	TAKE_FD(fd);
	while ((entry = readdir(dir))) {
		if (entry->d_type != DT_DIR || is_dot(entry->d_name))
			continue;
		r = visit_child(dir_fd, entry->d_name, visit, data, depth);
		if (r < 0)
			return r;
	}
	return visit(dir_fd, data);
}

int group_each(int dir_fd, group_visit visit, void *data)
{
	return each_below(dir_fd, visit, data, 0);
}

/* Calls `take` for each number in the group's cgroup.procs. */
static int each_process(int dir_fd, int (*take)(pid_t pid, void *data), void *data)
{
	_cleanup_close_ int fd = openat(dir_fd, "cgroup.procs", O_RDONLY | O_CLOEXEC);
	char buffer[4096];
	long pid = -1; /* -1: between two numbers */
	ssize_t n;

	if (fd < 0)
		return -errno;
	while ((n = read(fd, buffer, sizeof(buffer))) > 0) {
		for (ssize_t i = 0; i < n; i++) {
			if (buffer[i] >= '0' && buffer[i] <= '9') {
				pid = (pid < 0 ? 0 : pid * 10) + (buffer[i] - '0');
				continue;
			}
			if (pid >= 0 && take((pid_t)pid, data) > 0)
				return 0;
			pid = -1;
		}
	}
	if (n < 0)
		return -errno;
	if (pid >= 0)
		(void)take((pid_t)pid, data); /* it was the last one: nothing to end early */
	return 0;
}

static int see_one(pid_t pid, void *data)
{
	(void)pid;
	*(int *)data = 1;
	return 1;
}

static int take_first(pid_t pid, void *data)
{
	*(pid_t *)data = pid;
	return 1;
}

static int take_first_of_group(int dir_fd, void *data)
{
	return *(pid_t *)data > 0 ? 0 : each_process(dir_fd, take_first, data);
}

int group_first_process(int dir_fd, pid_t *ret_pid)
{
	int r;

	*ret_pid = 0;
	r = group_each(dir_fd, take_first_of_group, ret_pid);
	return r < 0 ? r : *ret_pid > 0;
}

static int see_group(int dir_fd, void *data)
{
	return each_process(dir_fd, see_one, data);
}

/* As v2 tells it. 1, 0, -ENOENT on v1, or another negative errno. */
static int read_populated(int dir_fd)
{
	_cleanup_close_ int fd = openat(dir_fd, "cgroup.events", O_RDONLY | O_CLOEXEC);
	char text[KNOB_TEXT_MAX];
	int r = fd < 0 ? -errno : knob_read(fd, text);

	if (r < 0)
		return r;
	return strncmp(text, "populated 1", strlen("populated 1")) == 0;
}

int group_is_populated(int dir_fd)
{
	int is_populated = 0;
	int r = read_populated(dir_fd);

	if (r != -ENOENT)
		return r;
	r = group_each(dir_fd, see_group, &is_populated);
	return r < 0 ? r : is_populated;
}

int group_hold(int dir_fd)
{
	return flock(dir_fd, LOCK_SH | LOCK_NB) < 0 ? -errno : 0;
}

int group_is_held(int dir_fd)
{
	if (flock(dir_fd, LOCK_EX | LOCK_NB) < 0)
		return errno == EWOULDBLOCK ? 1 : -errno;
	(void)flock(dir_fd, LOCK_UN);
	return 0;
}

struct signalling {
	int signo;
	int n;
};

static int signal_one(pid_t pid, void *data)
{
	struct signalling *signalling = data;

	if (pid > 0 && pid != getpid() && kill(pid, signalling->signo) == 0)
		signalling->n++;
	return 0;
}

static int signal_group(int dir_fd, void *data)
{
	return each_process(dir_fd, signal_one, data);
}

int group_signal(int dir_fd, int signo)
{
	struct signalling signalling = {.signo = signo};
	int r = group_each(dir_fd, signal_group, &signalling);

	return r < 0 ? r : signalling.n;
}

static int thaw_group(int dir_fd, void *data)
{
	int r = knob_write_at(dir_fd, "freezer.state", "THAWED");

	(void)data;
	if (r == -ENOENT)
		r = knob_write_at(dir_fd, "cgroup.freeze", "0");
	return is_gone(r) ? 0 : r;
}

int group_thaw(int dir_fd)
{
	return group_each(dir_fd, thaw_group, NULL);
}

int group_kill(int dir_fd)
{
	int n = group_signal(dir_fd, /* signo= */ 0);

	if (n >= 0 && knob_write_at(dir_fd, "cgroup.kill", "1") == 0)
		return n;
	n = group_signal(dir_fd, SIGKILL);
	return is_gone(n) ? 0 : n;
}

/* One round over all places: 1 where something is left, 0 where nothing is. */
static int end_round(const int dir_fds[], size_t n_dir_fds)
{
	int left = 0, r;

	for (size_t i = 0; i < n_dir_fds; i++) {
		if (dir_fds[i] < 0)
			continue;
		r = group_is_populated(dir_fds[i]);
		if (is_gone(r))
			continue;
		if (r < 0)
			return r;
		if (r == 0)
			continue;
		left = 1;
		r = group_kill(dir_fds[i]);
		if (r < 0)
			return r;
	}
	/* After the kill, so that what was frozen runs no instruction of its own any more. */
	for (size_t i = 0; i < n_dir_fds && left; i++)
		if (dir_fds[i] >= 0)
			(void)group_thaw(dir_fds[i]); /* the next round finds out */
	return left;
}

int group_end(const int dir_fds[], size_t n_dir_fds)
{
	const struct timespec pause = {.tv_nsec = END_ROUND_NS};
	int r;

	for (unsigned round = 0; round < END_ROUNDS; round++) {
		r = end_round(dir_fds, n_dir_fds);
		if (r <= 0)
			return r;
		(void)nanosleep(&pause, NULL); /* cut short by a signal: a shorter wait */
	}
	return -EBUSY;
}

static int remove_tree(int parent_fd, const char *name, unsigned depth);

static int remove_below(int dir_fd, unsigned depth)
{
	_cleanup_closedir_ DIR *dir = NULL;
	_cleanup_close_ int fd = openat(dir_fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	const struct dirent *entry;
	int r;

	if (fd < 0)
		return -errno;
	dir = fdopendir(fd);
	if (!dir)
		return -errno;
	TAKE_FD(fd);
	while ((entry = readdir(dir))) {
		if (entry->d_type != DT_DIR || is_dot(entry->d_name))
			continue;
		r = remove_tree(dir_fd, entry->d_name, depth);
		if (r < 0)
			return r;
	}
	return 0;
}

static int remove_tree(int parent_fd, const char *name, unsigned depth)
{
	_cleanup_close_ int fd = openat(
		parent_fd, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
	int r;

	if (fd < 0)
		return is_gone(-errno) ? 0 : -errno;
	if (depth > DEPTH_MAX)
		return -ELOOP;
	r = remove_below(fd, depth + 1);
	if (r < 0 && !is_gone(r))
		return r;
	return unlinkat(parent_fd, name, AT_REMOVEDIR) < 0 && !is_gone(-errno) ? -errno : 0;
}

int group_remove_tree(int parent_fd, const char *name)
{
	return remove_tree(parent_fd, name, 0);
}

bool group_is_writable_by(int dir_fd, const char *file, uid_t uid)
{
	struct stat st;

	if (uid == 0 || fstatat(dir_fd, file, &st, 0) < 0)
		return true;
	return st.st_uid == uid || (st.st_mode & (S_IWGRP | S_IWOTH));
}
