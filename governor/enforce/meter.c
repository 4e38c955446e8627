// SPDX-License-Identifier: GPL-2.0-or-later
#include "meter.h"

/* The meters that there are, the best first. */
const struct meter_ops *const meters[] = {
	&meter_bpf,
	&meter_cgroup,
	&meter_proc,
	NULL,
};
