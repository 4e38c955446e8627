// SPDX-License-Identifier: GPL-2.0-or-later
#include "fd_store.h"

#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <systemd/sd-daemon.h>
#include <unistd.h>

#include "cleanup.h"

/* systemd closes what it keeps when nobody asks for it any more: when the service is stopped for good, and not
 * started again. The names are ours, and unique. */

#define STATE_MAX 128

struct fd_store {
	char **names; /* n of them, owned */
	int *fds;     /* -EBADF: taken */
	int n;
};

struct fd_store *fd_store_new(void)
{
	struct fd_store *store = calloc(1, sizeof(*store));

	if (!store)
		return NULL;
	store->n = sd_listen_fds_with_names(/* unset_environment= */ 1, &store->names);
	if (store->n <= 0) {
		store->n = 0;
		return store;
	}
	store->fds = calloc((size_t)store->n, sizeof(*store->fds));
	for (int i = 0; store->fds && i < store->n; i++)
		store->fds[i] = SD_LISTEN_FDS_START + i;
	return store->fds ? store : fd_store_free(store);
}

struct fd_store *fd_store_free(struct fd_store *store)
{
	if (!store)
		return NULL;
	for (int i = 0; i < store->n; i++) {
		if (store->fds && store->fds[i] >= 0)
			(void)close(store->fds[i]);
		free(store->names[i]);
	}
	free(store->names);
	free(store->fds);
	free(store);
	return NULL;
}

void fd_store_drop_rest(struct fd_store *store)
{
	for (int i = 0; i < store->n; i++)
		if (store->fds[i] >= 0)
			fd_store_drop(store->names[i]);
}

int fd_store_take(struct fd_store *store, const char *name)
{
	for (int i = 0; i < store->n; i++)
		if (store->fds[i] >= 0 && strcmp(store->names[i], name) == 0)
			return TAKE_FD(store->fds[i]);
	return -ENOENT;
}

void fd_store_keep(const char *name, int fd)
{
	char state[STATE_MAX];

	(void)snprintf(state, sizeof(state), "FDSTORE=1\nFDNAME=%s\nFDPOLL=0", name);
	(void)sd_pid_notify_with_fds(0, /* unset_environment= */ 0, state, &fd, 1);
}

void fd_store_drop(const char *name)
{
	char state[STATE_MAX];

	(void)snprintf(state, sizeof(state), "FDSTOREREMOVE=1\nFDNAME=%s", name);
	(void)sd_notify(/* unset_environment= */ 0, state);
}
