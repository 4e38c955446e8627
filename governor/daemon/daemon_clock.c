// SPDX-License-Identifier: GPL-2.0-or-later
#include <time.h>

#include "daemon_internal.h"
#include "nsec.h"

/* The clocks, and points in time on them. */

static uint64_t clock_ns(clockid_t clock)
{
	struct timespec now;

	(void)clock_gettime(clock, &now);
	return (uint64_t)now.tv_sec * NSEC_PER_SEC + (uint64_t)now.tv_nsec;
}

uint64_t daemon_clock_monotonic_ns(void)
{
	return clock_ns(CLOCK_MONOTONIC);
}

uint64_t daemon_clock_ns(enum daemon_clock clock)
{
	return clock_ns(clock == DAEMON_REALTIME ? CLOCK_REALTIME : CLOCK_BOOTTIME);
}

uint64_t daemon_now_ns(const struct daemon *daemon)
{
	return nsec_sub(daemon_clock_monotonic_ns(), daemon->stage.epoch_ns);
}

uint64_t daemon_deadline_ns(const struct daemon *daemon, const struct daemon_deadline *deadline)
{
	uint64_t read_ns, left_ns;

	if (deadline->at_ns == DAEMON_NO_DEADLINE)
		return LOOP_NEVER_NS;
	read_ns = daemon_clock_ns(deadline->clock);
	/* It stays where it was, however late it is looked at: what is reported after it does not count. */
	if (deadline->at_ns <= read_ns)
		return nsec_sub(daemon_now_ns(daemon), read_ns - deadline->at_ns);
	left_ns = deadline->at_ns - read_ns;
	return left_ns < LOOP_NEVER_NS / 2 ? daemon_now_ns(daemon) + left_ns : LOOP_NEVER_NS;
}

void daemon_plan_deadline(struct daemon *daemon, uint32_t seat)
{
	struct bundle_task *planned = &daemon->bundle.tasks[seat];
	uint64_t at_ns = daemon_deadline_ns(daemon, &daemon->stage.seats[seat]->deadline);

	planned->deadline_ns = at_ns > planned->begin_ns ? at_ns : planned->begin_ns + 1;
}
