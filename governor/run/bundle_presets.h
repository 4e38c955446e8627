/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

#include "bundle.h"
#include "fault.h"
#include "preset.h"

/* Reads the presets that are there, and looks whether those that the bundle names are among them. 0, or
 * a negative errno: -ENOMEM, or what is wrong with a file or with a name, with file:line. *ret_set is the
 * caller's also then, or NULL. */
int bundle_presets_read(
	struct preset_set **ret_set, const struct bundle *bundle, struct fault *fault);
