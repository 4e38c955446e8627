// SPDX-License-Identifier: GPL-2.0-or-later
#include "capability.h"

#include <sys/capability.h>

#include "cleanup.h"

/* Capabilities belong to threads: this is about the one that loads the programs. Who has them from a
 * file or as root keeps them permitted. CAP_SYS_ADMIN is left as it is: enforcers may need it. */

static void set_bpf(cap_flag_value_t value)
{
	static const cap_value_t wanted[] = {CAP_BPF, CAP_PERFMON};
	cap_t caps = cap_get_proc();

	if (!caps)
		return;
	for (size_t i = 0; i < ARRAY_LENGTH(wanted); i++) {
		cap_flag_value_t is_permitted = CAP_CLEAR;

		/* Older kernels do not know them. */
		if (cap_get_flag(caps, wanted[i], CAP_PERMITTED, &is_permitted) == 0 &&
			is_permitted == CAP_SET)
			(void)cap_set_flag(caps, CAP_EFFECTIVE, 1, &wanted[i], value);
	}
	(void)cap_set_proc(caps);
	(void)cap_free(caps);
}

void capability_raise_bpf(void)
{
	set_bpf(CAP_SET);
}

void capability_lower_bpf(void)
{
	set_bpf(CAP_CLEAR);
}
