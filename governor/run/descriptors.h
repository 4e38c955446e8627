/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

/* How many files the governor may have open. Each task takes a dozen. */

/* Raises the soft limit of this process to the hard one, but for a reserve. Processes that are there
 * already, and their children, keep theirs. */
void descriptors_raise(void);

/* With the reserve, for what must not fail: stopping a task and clearing it away. */
void descriptors_open_reserve(void);
void descriptors_close_reserve(void);
