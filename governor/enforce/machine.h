/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

#include "fault.h"

/* What this process may use of the machine, in CPUs: the least of CPU affinity, cpuset and the
 * quotas of all enclosing groups (v1 and v2). > 0, or a negative errno. */
int machine_capacity(double *ret_cpus, struct fault *fault);
