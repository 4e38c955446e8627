/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

/* Descriptors that systemd keeps for a service while it is restarted (FileDescriptorStoreMax= of the unit), by
 * name. Without systemd there are none, and what is to be kept is not. */

struct fd_store;

/* Takes those that are there at the start, once. NULL where there is no memory. */
struct fd_store *fd_store_new(void);
/* Closes those that nobody has taken; they are kept on. NULL is fine; returns NULL. */
struct fd_store *fd_store_free(struct fd_store *store);
/* Nobody will want those that nobody has taken. */
void fd_store_drop_rest(struct fd_store *store);

/* It is the caller's then, and is still kept. -ENOENT where there is none. */
int fd_store_take(struct fd_store *store, const char *name);
void fd_store_keep(const char *name, int fd);
void fd_store_drop(const char *name);
