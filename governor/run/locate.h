/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

/* Where coregov's own files are: beside the program when it runs from its build folder, else where
 * they are installed; an environment variable overrides. Never NULL; static storage. */

/* The learners (coregov-replay and the examples): $COREGOV_LEARNERS, BUILD/learners, or
 * LIBEXECDIR/coregov. */
const char *learner_directory(void);

/* The presets: $COREGOV_PRESETS, BUILD/learners/presets, or DATADIR/coregov/presets. */
const char *preset_directory(void);

/* The progress library: BUILD/learners/progress or LIBDIR. */
const char *library_directory(void);
