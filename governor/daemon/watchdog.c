// SPDX-License-Identifier: GPL-2.0-or-later
#include "watchdog.h"

#include <errno.h>
#include <stdint.h>
#include <stdlib.h>
#include <systemd/sd-daemon.h>

#include "cleanup.h"

/* sd_event_set_watchdog() would tell that the event loop goes round. That is not enough: nobody divides the budget
 * where it does and no slot is made. So there is a timer of our own, whose question is about the work. It is also
 * all that wakes up a governor that has none.
 *
 * The timer comes after the slots in the event loop: who has been stopped for a while makes the one that is due
 * first, and is well then. Where it is not so the next time the timer comes may be too late for systemd; that is
 * why watchdog_look() is there. */

#define PARTS \
	4 /* of the time: it is told after two, and the timer may come with others until three */

struct watchdog {
	sd_event_source *timer;
	uint64_t usec; /* in which systemd wants to hear it */
	watchdog_fn is_well;
	void *userdata;
	bool is_owed; /* it was not well when it was to be told */
};

static void tell(struct watchdog *watchdog)
{
	watchdog->is_owed = !watchdog->is_well(watchdog->userdata);
	if (!watchdog->is_owed)
		(void)sd_notify(/* unset_environment= */ 0, "WATCHDOG=1");
}

static int on_time(sd_event_source *source, uint64_t usec, void *userdata)
{
	struct watchdog *watchdog = userdata;
	int r = sd_event_source_set_time_relative(source, watchdog->usec / PARTS * 2);

	(void)usec;
	tell(watchdog);
	return r < 0 ? r : sd_event_source_set_enabled(source, SD_EVENT_ONESHOT);
}

void watchdog_look(struct watchdog *watchdog)
{
	if (watchdog && watchdog->is_owed)
		tell(watchdog);
}

int watchdog_new(
	struct watchdog **ret_watchdog, sd_event *event, watchdog_fn is_well, void *userdata)
{
	struct watchdog *watchdog;
	uint64_t usec;
	int r = sd_watchdog_enabled(/* unset_environment= */ 0, &usec);

	*ret_watchdog = NULL;
	if (r <= 0)
		return r;
	watchdog = calloc(1, sizeof(*watchdog));
	if (!watchdog)
		return -ENOMEM;
	watchdog->usec = usec;
	watchdog->is_well = is_well;
	watchdog->userdata = userdata;
	r = sd_event_add_time_relative(event, &watchdog->timer, CLOCK_MONOTONIC, usec / PARTS * 2,
		usec / PARTS, on_time, watchdog);
	if (r < 0) {
		free(watchdog);
		return r;
	}
	*ret_watchdog = watchdog;
	return 0;
}

struct watchdog *watchdog_free(struct watchdog *watchdog)
{
	if (!watchdog)
		return NULL;
	(void)sd_event_source_disable_unref(watchdog->timer);
	free(watchdog);
	return NULL;
}
