// SPDX-License-Identifier: GPL-2.0-or-later
#include "descriptors.h"

#include <sys/resource.h>

/* The usual soft limit of 1024 is there for programs that use select(), and would be enough for some
 * eighty tasks; we do not use it. The tasks might, so they keep what the user has given them: their
 * parent, the keeper, is started before.
 *
 * A run that has used up all of its descriptors could not even read which processes it has to stop, and
 * would wait for them for ever. So some are kept back for that. Failing to change a limit is no error:
 * what then runs into it says so. */

#define RESERVE 16

static void set_limit(rlim_t reserve)
{
	struct rlimit limit;

	if (getrlimit(RLIMIT_NOFILE, &limit) < 0 || limit.rlim_max <= reserve)
		return;
	limit.rlim_cur = limit.rlim_max - reserve;
	(void)setrlimit(RLIMIT_NOFILE, &limit);
}

void descriptors_raise(void)
{
	set_limit(RESERVE);
}

void descriptors_open_reserve(void)
{
	set_limit(0);
}

void descriptors_close_reserve(void)
{
	set_limit(RESERVE);
}
