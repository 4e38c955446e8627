/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

#include <stddef.h>

/* How often malloc(3), calloc(3) and realloc(3) were called by what the linker was told to send
 * through here (see meson.build): the project's own code, not the libraries'. */
extern size_t n_allocations;
