/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

/* What goes between a governor and its keeper, on two pairs of SOCK_SEQPACKET sockets: `control`
 * carries requests and their replies, `events` carries struct keeper_event one way. Both ends are
 * the same program, so that plain structs are the format. */

enum wire_kind {
	WIRE_SPAWN,   /* descriptors: the packed launch, stdout, stderr, [stdin], [page] */
	WIRE_RELEASE, /* no reply */
};

struct wire_request {
	enum wire_kind kind;
	uint32_t serial;
	pid_t pid; /* for WIRE_RELEASE */
	bool has_stdin, has_page;
	uint32_t n_arguments, n_variables; /* in the packed launch */
};

/* With the pidfd as descriptor where error is 0. */
struct wire_reply {
	uint32_t serial;
	int error;
	pid_t pid;
};

/* From a new task to the keeper; the other way goes one byte that opens the gate. */
enum wire_stage {
	WIRE_AT_GATE,    /* first of all, with `error` where it could not even get there */
	WIRE_AT_EXECUTE, /* end of file after this means that it has executed */
	WIRE_FAILED,     /* at `step` with `error` */
};

struct wire_news {
	enum wire_stage stage;
	int step; /* enum launch_step */
	int error;
};

#define WIRE_FDS_MAX 5

/* Sends one message with descriptors (NULL and 0: none). 0 or a negative errno; flags as of
 * send(2). */
int wire_send(int fd, const void *message, size_t size, const int fds[], size_t n_fds, int flags);

/* Receives one message of exactly `size` bytes, its descriptors close-on-exec and owned by the
 * caller, unused places -EBADF. 1, 0 at end of file, or a negative errno: -EAGAIN, -EBADMSG for a
 * message of another size. */
int wire_receive(
	int fd, void *ret_message, size_t size, int ret_fds[static WIRE_FDS_MAX], int flags);
void wire_close(int fds[static WIRE_FDS_MAX]);
