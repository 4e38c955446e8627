// SPDX-License-Identifier: GPL-2.0-or-later
#include "keeper_wire.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

/* One message, one packet: small fixed structs, with the descriptors as ancillary data. What has no
 * bound (arguments, environment) travels in a memfd, so that no packet is ever larger than the
 * socket takes. */

union ancillary {
	struct cmsghdr header; /* for its alignment */
	char space[CMSG_SPACE(WIRE_FDS_MAX * sizeof(int))];
};

int wire_send(int fd, const void *message, size_t size, const int fds[], size_t n_fds, int flags)
{
	union ancillary ancillary = {.space = {0}};
	struct iovec part = {.iov_base = (void *)message, .iov_len = size};
	struct msghdr header = {.msg_iov = &part, .msg_iovlen = 1};
	ssize_t n_sent;

	if (n_fds > 0) {
		struct cmsghdr *control;

		header.msg_control = ancillary.space;
		header.msg_controllen = CMSG_SPACE(n_fds * sizeof(int));
		control = CMSG_FIRSTHDR(&header);
		control->cmsg_level = SOL_SOCKET;
		control->cmsg_type = SCM_RIGHTS;
		control->cmsg_len = CMSG_LEN(n_fds * sizeof(int));
		memcpy(CMSG_DATA(control), fds, n_fds * sizeof(int));
	}
	do
		n_sent = sendmsg(fd, &header, flags | MSG_NOSIGNAL);
	while (n_sent < 0 && errno == EINTR);
	return n_sent < 0 ? -errno : 0;
}

/* Takes the descriptors out of a received message. */
static void take_fds(struct msghdr *header, int ret_fds[static WIRE_FDS_MAX])
{
	for (struct cmsghdr *control = CMSG_FIRSTHDR(header); control;
		control = CMSG_NXTHDR(header, control))
		if (control->cmsg_level == SOL_SOCKET && control->cmsg_type == SCM_RIGHTS)
			memcpy(ret_fds, CMSG_DATA(control), control->cmsg_len - CMSG_LEN(0));
}

int wire_receive(
	int fd, void *ret_message, size_t size, int ret_fds[static WIRE_FDS_MAX], int flags)
{
	union ancillary ancillary = {.space = {0}};
	struct iovec part = {.iov_base = ret_message, .iov_len = size};
	struct msghdr header = {
		.msg_iov = &part,
		.msg_iovlen = 1,
		.msg_control = ancillary.space,
		.msg_controllen = sizeof(ancillary.space),
	};
	ssize_t length;

	for (size_t i = 0; i < WIRE_FDS_MAX; i++)
		ret_fds[i] = -EBADF;
	do
		length = recvmsg(fd, &header, flags | MSG_CMSG_CLOEXEC);
	while (length < 0 && errno == EINTR);
	if (length < 0)
		/* The other end died with something of ours unread: the same as end of file. */
		return errno == ECONNRESET ? 0 : -errno;
	if (length == 0)
		return 0;
	take_fds(&header, ret_fds);
	if ((size_t)length != size || (header.msg_flags & MSG_CTRUNC)) {
		wire_close(ret_fds);
		return (header.msg_flags & MSG_CTRUNC) ? -EMFILE : -EBADMSG;
	}
	return 1;
}

void wire_close(int fds[static WIRE_FDS_MAX])
{
	for (size_t i = 0; i < WIRE_FDS_MAX; i++) {
		if (fds[i] >= 0)
			(void)close(fds[i]);
		fds[i] = -EBADF;
	}
}
