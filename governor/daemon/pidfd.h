/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

#include <sys/types.h>

#include "fault.h"

/* Which process a pidfd is of, and which user's. What is returned was so of that very process: it is
 * still there after it has been read. 0; -EINVAL where it is no pidfd or of another PID namespace,
 * -ESRCH where the process has ended, -EACCES where it runs as more than one user (set-user-ID). */
int pidfd_read(int pidfd, pid_t *ret_pid, uid_t *ret_uid, struct fault *fault);
