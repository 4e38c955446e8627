/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

#include "enforcer.h"

/* Among the groups of tasks ("ID-NAME") below a run's: the one with the least ID of `least` or above in which a
 * process is, see enforcer_ops.place_left. */
int place_left_find(int run_fd, uint32_t least, struct place_left *ret_left);
/* The same among all that is in the scopes of a slice. */
int place_left_find_in_scopes(int slice_fd, uint32_t least, struct place_left *ret_left);
