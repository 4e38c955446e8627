// SPDX-License-Identifier: GPL-2.0-or-later
#include "sink.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/major.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "cleanup.h"

/* Writing to a descriptor of somebody else without waiting.
 *
 * O_NONBLOCK belongs to the open file, which we share with the shell and others that do not expect
 * it, so it is never set on theirs. A pipe or a terminal is opened once more through /proc/self/fd,
 * which makes an open file of our own. Where that is refused (no /proc, another user's pipe), it is
 * polled, and then given no more than it surely takes: PIPE_BUF for a pipe (poll(2) says writable
 * where a whole page is free), less for a terminal. A socket has MSG_DONTWAIT.
 *
 * Every sink has a descriptor of its own, so that epoll can hold several on one destination. */

#define PIPE_MOST 4096
#define TERMINAL_MOST 256

/* An own, non-blocking opening of what fd is; negative errno where that cannot be. */
static int open_again(int fd)
{
	char path[64];
	unsigned number;
	int again;

	/* The master of a pty would open a new pty. */
	if (ioctl(fd, TIOCGPTN, &number) == 0)
		return -ENOTSUP;
	(void)snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	again = open(path, O_WRONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
	return again < 0 ? -errno : again;
}

/* /dev/null, /dev/full and their kind. */
static bool is_memory(const struct stat *status)
{
	return S_ISCHR(status->st_mode) && major(status->st_rdev) == MEM_MAJOR;
}

static int choose_kind(struct sink *sink, int fd)
{
	struct stat status;

	if (fstat(fd, &status) < 0)
		return -errno;
	if (S_ISFIFO(status.st_mode) || isatty(fd)) {
		sink->fd = open_again(fd);
		if (sink->fd >= 0) {
			sink->kind = SINK_WRITE;
			return 0;
		}
	}
	sink->fd = fcntl(fd, F_DUPFD_CLOEXEC, 3);
	if (sink->fd < 0)
		return -errno;
	sink->most = isatty(fd) ? TERMINAL_MOST : PIPE_MOST;
	if (S_ISSOCK(status.st_mode))
		sink->kind = SINK_SEND;
	else if (S_ISREG(status.st_mode) || S_ISBLK(status.st_mode) || is_memory(&status))
		sink->kind = SINK_WRITE;
	else
		sink->kind = SINK_POLLED;
	return 0;
}

int sink_open(struct sink *sink, int fd, size_t size)
{
	*sink = (struct sink){.kind = SINK_NOWHERE, .fd = -EBADF, .size = size};
	sink->bytes = malloc(size);
	if (!sink->bytes)
		return -ENOMEM;
	return fd < 0 ? 0 : choose_kind(sink, fd);
}

void sink_done(struct sink *sink)
{
	cleanup_close(&sink->fd);
	sink->fd = -EBADF;
	free(sink->bytes);
	sink->bytes = NULL;
}

size_t sink_room(const struct sink *sink)
{
	return sink->size - sink->end;
}

char *sink_space(struct sink *sink)
{
	return sink->bytes + sink->end;
}

void sink_added(struct sink *sink, size_t n_bytes)
{
	assert(n_bytes <= sink_room(sink));
	sink->end += n_bytes;
}

bool sink_waits(const struct sink *sink)
{
	return sink->start < sink->end;
}

/* As write(2), but -EAGAIN instead of waiting. */
static ssize_t write_some(const struct sink *sink, const char *bytes, size_t n_bytes)
{
	struct pollfd poll_fd = {.fd = sink->fd, .events = POLLOUT};
	ssize_t n;

	switch (sink->kind) {
	case SINK_NOWHERE:
		return (ssize_t)n_bytes;
	case SINK_SEND:
		n = send(sink->fd, bytes, n_bytes, MSG_DONTWAIT | MSG_NOSIGNAL);
		break;
	case SINK_POLLED:
		if (poll(&poll_fd, 1, 0) <= 0)
			return -EAGAIN;
		n = write(sink->fd, bytes, n_bytes < sink->most ? n_bytes : sink->most);
		break;
	default:
		n = write(sink->fd, bytes, n_bytes);
		break;
	}
	return n < 0 ? -errno : n;
}

static void lose(struct sink *sink, int error)
{
	sink->n_lost += sink->end - sink->start;
	if (sink->error == 0)
		sink->error = error;
	sink->start = sink->end = 0;
}

int sink_flush(struct sink *sink)
{
	while (sink_waits(sink)) {
		ssize_t n = write_some(sink, sink->bytes + sink->start, sink->end - sink->start);

		if (n == -EINTR)
			continue;
		if (n == -EAGAIN)
			return 0;
		if (n <= 0) {
			lose(sink, n == 0 ? -EIO : (int)n);
			return n == -EPIPE || n == -ECONNRESET ? -EPIPE : 1;
		}
		sink->start += (size_t)n;
	}
	sink->start = sink->end = 0;
	return 1;
}
