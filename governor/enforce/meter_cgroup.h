/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

#include <stdint.h>

#include "enforcer.h"

/* All that has ever been used in a place since its group was made, also before any meter counted it. 0, or
 * -EOPNOTSUPP where the place has no group that counts, or another negative errno. */
int cgroup_total(const struct place *place, uint64_t *ret_cpu_ns);
