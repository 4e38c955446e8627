// SPDX-License-Identifier: GPL-2.0-or-later
#include "pidfd.h"

#include <errno.h>
#include <poll.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "cleanup.h"

/* A pidfd names its process beyond doubt, but /proc is by number. So the number is read through the
 * pidfd, what belongs to it from /proc, and then the pidfd is looked at again: if its process is
 * still there, nobody else can have had the number in between. */

#define LINE_MAX_BYTES 256

/* The line of the file that starts with `key`, after it. */
static int read_line(const char *path, const char *key, char ret_rest[static LINE_MAX_BYTES])
{
	_cleanup_fclose_ FILE *file = fopen(path, "re");
	char line[LINE_MAX_BYTES];
	size_t length = strlen(key);

	if (!file)
		return -errno;
	while (fgets(line, sizeof(line), file))
		if (strncmp(line, key, length) == 0) {
			strcpy(ret_rest, line + length);
			return 0;
		}
	return ferror(file) ? -EIO : -ENODATA;
}

static int read_pid(int pidfd, pid_t *ret_pid, struct fault *fault)
{
	char path[64], rest[LINE_MAX_BYTES];
	int pid, r;

	(void)snprintf(path, sizeof(path), "/proc/self/fdinfo/%d", pidfd);
	r = read_line(path, "Pid:", rest);
	if (r < 0 || sscanf(rest, "%d", &pid) != 1)
		return fault_set(fault, -EINVAL,
			"what was handed over is not the descriptor of a process (pidfd_open)");
	if (pid == 0)
		return fault_set(fault, -EINVAL,
			"the process is in another PID namespace, where this governor does not see "
			"it");
	if (pid < 0)
		return fault_set(fault, -ESRCH, "the process has ended");
	*ret_pid = pid;
	return 0;
}

static bool has_ended(int pidfd)
{
	struct pollfd at_end = {.fd = pidfd, .events = POLLIN};

	return poll(&at_end, 1, 0) != 0;
}

int pidfd_read(int pidfd, pid_t *ret_pid, uid_t *ret_uid, struct fault *fault)
{
	char path[64], rest[LINE_MAX_BYTES];
	unsigned real, effective, saved;
	pid_t pid = 0;
	int r = read_pid(pidfd, &pid, fault);

	if (r < 0)
		return r;
	(void)snprintf(path, sizeof(path), "/proc/%d/status", (int)pid);
	r = read_line(path, "Uid:", rest);
	if (has_ended(pidfd))
		return fault_set(fault, -ESRCH, "the process has ended");
	if (r < 0)
		return fault_errno(fault, r, "read the user of process %d from %s", (int)pid, path);
	if (sscanf(rest, "%u %u %u", &real, &effective, &saved) != 3)
		return fault_set(fault, -EIO, "%s has no user in it", path);
	if (real != effective || real != saved)
		return fault_set(fault, -EACCES,
			"process %d runs as more than one user; only a user's own processes are "
			"taken",
			(int)pid);
	*ret_pid = pid;
	*ret_uid = real;
	return 0;
}
