// SPDX-License-Identifier: GPL-2.0-or-later
#include "enforcer.h"

#include <assert.h>

#include "cleanup.h"

/* The enforcers that there are, the best first. `cgroup2` comes before `cgroup1` because its limits
 * are one write each, and a machine that has the controller there has it nowhere else. */

static const char *const guarantee_names[] = {
	[GUARANTEE_KERNEL] = "kernel",
	[GUARANTEE_COOPERATIVE] = "cooperative",
	[GUARANTEE_SIM] = "sim",
	[GUARANTEE_NONE] = "none",
};

const char *guarantee_to_string(enum guarantee guarantee)
{
	assert((size_t)guarantee < ARRAY_LENGTH(guarantee_names));
	return guarantee_names[guarantee];
}

const struct enforcer_ops *const enforcers[] = {
	&enforcer_cgroup2,
	&enforcer_cgroup1,
	&enforcer_signal,
	NULL,
};
