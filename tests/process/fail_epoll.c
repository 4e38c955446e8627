// SPDX-License-Identifier: GPL-2.0-or-later
#include <dlfcn.h>
#include <errno.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <unistd.h>

/* To be preloaded: once the file FAIL_EPOLL_WHEN is there, an event loop cannot go on. */

__attribute__((visibility("default"))) int epoll_wait(
	int epfd, struct epoll_event *events, int maxevents, int timeout)
{
	const char *when = getenv("FAIL_EPOLL_WHEN");
	int (*real)(int epfd, struct epoll_event *events, int maxevents, int timeout);

	if (when && access(when, F_OK) == 0) {
		errno = EBADF;
		return -1;
	}
	*(void **)&real = dlsym(RTLD_NEXT, "epoll_wait");
	return real(epfd, events, maxevents, timeout);
}
