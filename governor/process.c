// SPDX-License-Identifier: GPL-2.0-or-later
#include "process.h"

#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/pidfd.h>
#include <unistd.h>

#include "cleanup.h"
#include "nsec.h"

/* Three things about /proc/PID that this file knows, so that nobody else has to:
 *
 * - A descriptor of the directory is as good as a pidfd for pidfd_send_signal(2) (Linux 5.1 and
 *   later), and files opened below it fail with ESRCH once the process has been reaped, even when
 *   its pid lives again. One descriptor thus gives reading and signalling without a race.
 * - The name in `stat` may hold blanks and parentheses; what follows the last ')' is plain.
 * - `environ` is what the process was executed with. It has no length limit worth relying on (some
 *   megabytes), so it is read through a small buffer, and byte by byte a variable is found or not.
 *   A zombie's is empty. */

#define STAT_SIZE 1024
#define ENVIRON_CHUNK 8192
#define ENVIRON_MAX (16u << 20) /* the kernel allows three quarters of 8 MiB */

int process_open(pid_t pid)
{
	char path[32];
	int fd;

	(void)snprintf(path, sizeof(path), "/proc/%d", (int)pid);
	fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0)
		return errno == ENOENT ? -ESRCH : -errno;
	return fd;
}

/* Opens a file of the process. */
static int process_file(int process_fd, const char *name)
{
	int fd = openat(process_fd, name, O_RDONLY | O_CLOEXEC);

	if (fd < 0)
		return errno == ENOENT ? -ESRCH : -errno;
	return fd;
}

static uint64_t ticks_to_ns(uint64_t ticks)
{
	return ticks * (NSEC_PER_SEC / (uint64_t)sysconf(_SC_CLK_TCK));
}

/* Reads and parses an open `stat`. */
static int read_stat(int fd, struct process *ret_process)
{
	struct process process = {0};
	uint64_t user_ticks, system_ticks;
	char text[STAT_SIZE], state;
	const char *rest;
	ssize_t length;
	long n_threads;

	length = read(fd, text, sizeof(text) - 1);
	if (length < 0)
		return -errno;
	text[length] = '\0';
	rest = strrchr(text, ')');
	if (!rest || sscanf(text, "%d", &process.pid) != 1)
		return -ESRCH;
	/* Fields 3 to 5, 16 and 17, 20, 22 of proc(5). */
	if (sscanf(rest + 1,
		    " %c %d %d %*d %*d %*d %*u %*u %*u %*u %*u %*u %*u %" SCNu64 " %" SCNu64
		    " %*d %*d %ld %*d %" SCNu64,
		    &state, &process.parent, &process.group, &user_ticks, &system_ticks, &n_threads,
		    &process.start_ticks) != 7)
		return -ESRCH;
	/* A first thread may have ended before the others: that is no end of the process. */
	process.has_ended = (state == 'Z' && n_threads <= 1) || state == 'X';
	process.is_stopped = state == 'T';
	process.children_cpu_ns = ticks_to_ns(user_ticks + system_ticks);
	*ret_process = process;
	return 0;
}

int process_read(int process_fd, struct process *ret_process)
{
	_cleanup_close_ int fd = process_file(process_fd, "stat");

	return fd < 0 ? fd : read_stat(fd, ret_process);
}

int process_peek(DIR *proc, pid_t pid, struct process *ret_process)
{
	char path[32];
	_cleanup_close_ int fd = -EBADF;

	(void)snprintf(path, sizeof(path), "%d/stat", (int)pid);
	fd = process_file(dirfd(proc), path);
	return fd < 0 ? fd : read_stat(fd, ret_process);
}

/* A search for one variable in a stream of NUL-ended entries. */
struct search {
	const char *name;
	size_t name_length;
	char *value;
	size_t value_size;
	size_t at;     /* place in the entry */
	bool is_other; /* this entry is another variable, or too long */
};

/* Takes one byte; true once the variable's whole value is there. */
static bool search_take(struct search *search, char byte)
{
	size_t at = search->at++;

	if (byte == '\0') {
		bool is_found = !search->is_other && at > search->name_length;

		if (is_found)
			search->value[at - search->name_length - 1] = '\0';
		search->at = 0;
		search->is_other = false;
		return is_found;
	}
	if (search->is_other)
		return false;
	if (at < search->name_length)
		search->is_other = byte != search->name[at];
	else if (at == search->name_length)
		search->is_other = byte != '=';
	else if (at - search->name_length < search->value_size)
		search->value[at - search->name_length - 1] = byte;
	else
		search->is_other = true;
	return false;
}

int process_variable(int process_fd, const char *name, char *ret_value, size_t size)
{
	_cleanup_close_ int fd = process_file(process_fd, "environ");
	struct search search = {
		.name = name,
		.name_length = strlen(name),
		.value = ret_value,
		.value_size = size,
	};
	char chunk[ENVIRON_CHUNK];
	size_t n_read = 0;

	if (fd < 0)
		return fd;
	while (n_read < ENVIRON_MAX) {
		ssize_t length = read(fd, chunk, sizeof(chunk));

		if (length < 0)
			return -errno;
		if (length == 0)
			/* The last entry may lack its NUL where the process overwrote it. */
			return search_take(&search, '\0') ? 1 : 0;
		for (ssize_t i = 0; i < length; i++)
			if (search_take(&search, chunk[i]))
				return 1;
		n_read += (size_t)length;
	}
	return 0;
}

int process_signal(int process_fd, int signo)
{
	return pidfd_send_signal(process_fd, signo, NULL, 0) < 0 ? -errno : 0;
}

pid_t process_next(DIR *proc)
{
	const struct dirent *entry;

	while ((entry = readdir(proc))) {
		char *end;
		long pid;

		if (!isdigit((unsigned char)entry->d_name[0]))
			continue;
		pid = strtol(entry->d_name, &end, 10);
		if (*end == '\0')
			return (pid_t)pid;
	}
	return 0;
}
