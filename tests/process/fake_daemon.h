/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

#include <stdbool.h>

#include "daemon.h"

/* daemon.h without a machine: tasks are rows of a table that a test writes into. Every call that
 * would change something is printed to stdout as a line "call ...", so that the test sees what has
 * come through the bus. */

int fake_daemon_new(struct daemon **ret_daemon, sd_event *event);

/* The row of a task, to be written to; NULL where there is none. Of its strings only `name`, `argv` and
 * `directory` are the row's own. */
struct daemon_task_info *fake_task(struct daemon *daemon, uint64_t number);
/* A task that nobody has submitted; its number. */
uint64_t fake_add(struct daemon *daemon, const char *name, uid_t owner);
void fake_forget(struct daemon *daemon, uint64_t number);
struct daemon_info *fake_info(struct daemon *daemon);
/* From now on each process that is submitted has to be in a scope, and a user may have as many tasks as there are
 * rows. */
void fake_want_scopes(struct daemon *daemon);
const struct daemon_listener *fake_listener(const struct daemon *daemon);
