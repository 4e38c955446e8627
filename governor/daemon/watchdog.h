/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

#include <stdbool.h>
#include <systemd/sd-event.h>

/* Tells systemd that the governor does its work (WatchdogSec= of the unit): who does not is killed, and started
 * again. */

struct watchdog;

/* Whether it does its work now. Asked about twice in the time in which systemd wants to hear it. */
typedef bool (*watchdog_fn)(void *userdata);

/* Between this and the end it is told from the event loop, which is referenced. *ret_watchdog is NULL where nobody
 * wants to hear it (WATCHDOG_USEC). 0 or a negative errno. */
int watchdog_new(
	struct watchdog **ret_watchdog, sd_event *event, watchdog_fn is_well, void *userdata);
/* NULL is fine; returns NULL. */
struct watchdog *watchdog_free(struct watchdog *watchdog);

/* Some work has been done: what was not told, since it was not so, is told now. NULL is fine. */
void watchdog_look(struct watchdog *watchdog);
