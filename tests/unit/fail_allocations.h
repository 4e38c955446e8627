/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

#include <stdbool.h>

/* Memory that runs out: the linker sends the allocating functions through here (see meson.build). */

/* From now on the n-th allocation fails, counted from 0, and only that: a failure that is not passed
 * on shows as a success. */
void fail_allocation(unsigned n);
/* None fails any more; true: one has. */
bool fail_allocation_end(void);
