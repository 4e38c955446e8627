/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

/* Where coregov's own files are: beside the program when it runs from its build folder, else where
 * they are installed; an environment variable overrides. */

/* The folder of the learners (coregov-replay and the examples): $COREGOV_LEARNERS, BUILD/learners,
 * or LIBEXECDIR/coregov. Never NULL; static storage. */
const char *learner_directory(void);
