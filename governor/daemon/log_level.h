/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

#include "fault.h"

/* How much is told, as programs of systemd have it: lines up to a level of syslog(3), by its name, or its number
 * from 0 to 7. */

/* 0, or -EINVAL with a sentence that has the nearest name. */
int log_level_parse(const char *text, int *ret_level, struct fault *fault);
const char *log_level_to_string(int level);
