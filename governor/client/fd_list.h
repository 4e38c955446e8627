/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

#include <stddef.h>

/* Which descriptors above the standard three are open. */
struct fd_list {
	int *fds; /* owned */
	size_t n_fds;
};

/* As of now. Without /proc, or without memory, it is empty: then they stay open. */
void fd_list_read(struct fd_list *ret_list);
void fd_list_done(struct fd_list *list);

/* That one is not to be closed; nothing where it is not in the list. */
void fd_list_remove(struct fd_list *list, int fd);

/* Closes those of the list. */
void fd_list_close(const struct fd_list *list);
