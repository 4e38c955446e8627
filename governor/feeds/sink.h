/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Where a task's bytes go: a file, a terminal, a pipe or a socket that belongs to somebody else, and
 * that must not be waited for. Holds what was not taken yet, in a buffer of fixed size. */

enum sink_kind {
	SINK_NOWHERE,
	SINK_WRITE,  /* write(2) does not block: a regular file, or our own non-blocking opening */
	SINK_SEND,   /* a socket */
	SINK_POLLED, /* poll(2) before each small write(2) */
};

struct sink {
	enum sink_kind kind;
	int fd; /* owned */
	char *bytes;
	size_t size, start, end; /* bytes[start .. end) waits */
	size_t most;             /* bytes per write, for SINK_POLLED */
	uint64_t n_lost;
	int error; /* why bytes were lost first, negative errno, else 0 */
};

/* `fd` is not owned; -EBADF: nowhere, everything is taken. 0 or a negative errno; a failed sink is
 * fit for sink_done(). */
int sink_open(struct sink *sink, int fd, size_t size);
void sink_done(struct sink *sink);

/* How many bytes sink_space() has room for. */
size_t sink_room(const struct sink *sink);
/* Where to put the next bytes, then sink_added() says how many they were. */
char *sink_space(struct sink *sink);
void sink_added(struct sink *sink, size_t n_bytes);

bool sink_waits(const struct sink *sink);

/* Passes on what it can without waiting. 1: nothing is left; 0: the destination takes no more now;
 * -EPIPE: nobody reads it any more. Other failures lose the bytes and count them: 1. */
int sink_flush(struct sink *sink);
