/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

#include <stdint.h>

#include "remote.h"

/* A governor's tasks on standard output, for people and for programs (coregov-list(1) has the
 * members). Nothing fails here: what cannot be written shows when standard output is closed. */

/* A table of the tasks, those that have ended only if asked for; and a line of the governor. */
void view_tasks(const struct remote_tasks *tasks, const struct remote_governor *governor,
	bool with_ended, uint64_t now_ns);
void view_tasks_json(
	const struct remote_tasks *tasks, const struct remote_governor *governor, bool with_ended);

/* All of one task, a line for each thing. */
void view_task(const struct remote_task *task, uint64_t now_ns);
void view_task_json(const struct remote_task *task);

void view_governor(const struct remote_governor *governor);
void view_governor_json(const struct remote_governor *governor);
