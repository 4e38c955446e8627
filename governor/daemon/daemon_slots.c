// SPDX-License-Identifier: GPL-2.0-or-later
#include <stdio.h>
#include <string.h>

#include "daemon_internal.h"
#include "nsec.h"

/* What happens with time: slots, deadlines, ends.
 *
 * A task has ended when its first process has, and nothing of it is left in its place: what forks away is
 * governed on. How the process has ended, only its parent knows; the daemon waits a moment to be told.
 *
 * Slots are made while a task is there. An idle daemon has no timer. */

#define PRIORITY_SLOT (SD_EVENT_PRIORITY_NORMAL - 100)
#define PRIORITY_TICK (SD_EVENT_PRIORITY_NORMAL - 90)
#define PRIORITY_DECIDE (SD_EVENT_PRIORITY_NORMAL + 20) /* after all messages that are there */
#define TIMER_ACCURACY_US 1

/* How long the launcher has to tell how its command has ended. */
#define STATUS_PATIENCE_NS (500 * NSEC_PER_MSEC)
#define LOOK_AGAIN_NS (50 * NSEC_PER_MSEC)
#define DYING_NS NSEC_PER_SEC

/* A machine that is full, or a call that blocks, may hold up some. */
#define SLOTS_LATE_MAX 5

static int arm(struct daemon *daemon, sd_event_source *timer, uint64_t at_ns)
{
	int r;

	if (at_ns >= LOOP_NEVER_NS)
		return sd_event_source_set_enabled(timer, SD_EVENT_OFF);
	r = sd_event_source_set_time(
		timer, (daemon->stage.epoch_ns + at_ns + NSEC_PER_USEC - 1) / NSEC_PER_USEC);
	return r < 0 ? r : sd_event_source_set_enabled(timer, SD_EVENT_ONESHOT);
}

static void arm_deadline(struct daemon *daemon)
{
	(void)arm(daemon, daemon->deadline_timer,
		governor_next_deadline(daemon->governor, daemon_now_ns(daemon)));
}

/* ---- ends ---- */

static void end(struct daemon *daemon, struct member *member)
{
	const struct task_end how = {
		.exit_status = member->has_status ? member->exit_status : 0,
		.is_untold = !member->has_status,
	};
	uint32_t id = member->seat;

	governor_task_ended(daemon->governor, id, daemon_now_ns(daemon), &how);
	governor_task_status(daemon->governor, id, &member->last);
	(void)snprintf(member->feed, sizeof(member->feed), "%s", member->last.feed);
	member->last.feed = member->feed;
	member->finished_realtime_ns = daemon_clock_ns(DAEMON_REALTIME);
	member->exit_source = sd_event_source_disable_unref(member->exit_source);
	member->seat = MEMBER_NO_SEAT;
	governor_vacate(daemon->governor, id);
	party_leave(daemon, daemon->bundle.tasks[id].party);
	daemon->stage.seats[id] = NULL;
	member->page = page_free(member->page);
	daemon_keep_end(daemon, id, member->number);
	member->has_ended = member->has_changed = true;
	daemon_tell_later(daemon);
}

static void rest(struct daemon *daemon)
{
	if (!daemon->is_awake)
		return;
	for (uint32_t id = 0; id < daemon->setup.n_tasks_max; id++)
		if (daemon->stage.seats[id])
			return;
	daemon->is_awake = false;
	daemon->granted_cpus = daemon->used_cpus = 0;
	daemon_tell_whole_later(daemon); /* that nothing is used any more */
	(void)sd_event_source_set_enabled(daemon->slot_timer, SD_EVENT_OFF);
	(void)sd_event_source_set_enabled(daemon->deadline_timer, SD_EVENT_OFF);
	(void)sd_event_source_set_enabled(daemon->tick_timer, SD_EVENT_OFF);
}

void daemon_look_for_ends(struct daemon *daemon)
{
	uint64_t now_ns = daemon_now_ns(daemon);
	bool has_ended = false, is_awaited = false;

	for (uint32_t id = 0; id < daemon->setup.n_tasks_max; id++) {
		struct member *member = daemon->stage.seats[id];

		if (!member || !member->has_exited)
			continue;
		if (!member->has_status &&
			nsec_sub(now_ns, member->exited_ns) < STATUS_PATIENCE_NS) {
			is_awaited = true;
			continue;
		}
		if (daemon->enforcer->ops->task_is_populated(daemon->enforcer, id) == 1) {
			/* What is dying is looked at soon, what goes on in the next slot. */
			is_awaited |= nsec_sub(now_ns, member->exited_ns) < DYING_NS;
			continue;
		}
		end(daemon, member);
		has_ended = true;
	}
	if (is_awaited)
		(void)arm(daemon, daemon->end_timer, now_ns + LOOK_AGAIN_NS);
	if (has_ended) {
		daemon_decide_soon(daemon);
		arm_deadline(daemon);
		rest(daemon);
	}
}

void daemon_look_soon(struct daemon *daemon)
{
	(void)arm(daemon, daemon->end_timer, daemon_now_ns(daemon));
}

void daemon_process_exited(struct daemon *daemon, struct member *member)
{
	member->has_exited = true;
	member->exited_ns = daemon_now_ns(daemon);
	daemon_look_for_ends(daemon);
	/* One that is still emptying its place is looked at soon. */
	(void)arm(daemon, daemon->end_timer, daemon_now_ns(daemon) + LOOK_AGAIN_NS);
}

void daemon_after_change(struct daemon *daemon, struct member *member)
{
	member->has_changed = true;
	(void)governor_give_on(daemon->governor, daemon_now_ns(daemon), /* fault= */ NULL);
	daemon_keep(daemon, member);
	arm_deadline(daemon);
	daemon_tell_later(daemon);
}

/* ---- slots ---- */

/* The clocks may have been set, and a span goes on while the machine sleeps. */
static void look_at_clocks(struct daemon *daemon)
{
	for (uint32_t id = 0; id < daemon->setup.n_tasks_max; id++)
		if (daemon->stage.seats[id])
			daemon_plan_deadline(daemon, id);
}

static void make_slot(struct daemon *daemon, uint64_t late_ns)
{
	uint64_t now_ns = daemon_now_ns(daemon);

	/* A grant that could not be put into force is an event; less runs, the rest goes on. */
	(void)governor_slot(daemon->governor, now_ns, late_ns, /* fault= */ NULL);
	for (uint32_t id = 0; id < daemon->setup.n_tasks_max; id++) {
		if (!daemon->stage.seats[id])
			continue;
		daemon_look_ahead(daemon, daemon->stage.seats[id], now_ns);
		daemon->stage.seats[id]->has_changed = true;
	}
	daemon_keep_news(daemon);
	arm_deadline(daemon);
	daemon_tell_later(daemon);
}

static void count_late(struct daemon *daemon, uint64_t late_ns)
{
	daemon->n_late += slot_is_late(late_ns, daemon->setup.slot_ns);
	if (late_ns > daemon->worst_late_ns)
		daemon->worst_late_ns = late_ns;
}

static int on_slot(sd_event_source *source, uint64_t usec, void *userdata)
{
	struct daemon *daemon = userdata;
	uint64_t slot_ns = daemon->setup.slot_ns, now_ns;

	(void)source;
	(void)usec;
	daemon_look_for_ends(daemon);
	/* Also where the one that it woke for has not come. */
	rest(daemon);
	if (!daemon->is_awake)
		return 0;
	look_at_clocks(daemon);
	now_ns = daemon_now_ns(daemon);
	count_late(daemon, nsec_sub(now_ns, daemon->next_slot * slot_ns));
	make_slot(daemon, nsec_sub(now_ns, daemon->next_slot * slot_ns));
	daemon->n_slots++;
	/* One that took longer than a slot is long is not followed at once: all else would come never. */
	now_ns = daemon_now_ns(daemon);
	daemon->n_missed += nsec_sub(now_ns / slot_ns, daemon->next_slot);
	daemon->next_slot = now_ns / slot_ns + 1;
	return arm(daemon, daemon->slot_timer, daemon->next_slot * slot_ns);
}

bool daemon_is_in_time(const struct daemon *daemon)
{
	return !daemon->is_awake ||
		daemon_now_ns(daemon) / daemon->setup.slot_ns < daemon->next_slot + SLOTS_LATE_MAX;
}

void daemon_slot_now(struct daemon *daemon)
{
	if (daemon->is_awake)
		make_slot(daemon, /* late_ns= */ 0);
}

void daemon_wake(struct daemon *daemon)
{
	uint64_t now_ns = daemon_now_ns(daemon);

	if (daemon->is_awake)
		return;
	daemon->is_awake = true;
	(void)governor_slot(daemon->governor, now_ns, /* late_ns= */ 0, /* fault= */ NULL);
	/* What the last task used at its end was in another time. */
	daemon->used_cpus = 0;
	daemon->used_ns = 0;
	daemon->used_since_ns = now_ns;
	daemon->next_slot = now_ns / daemon->setup.slot_ns + 1;
	(void)arm(daemon, daemon->slot_timer, daemon->next_slot * daemon->setup.slot_ns);
	if (daemon->enforcer->tick_ns > 0)
		(void)arm(daemon, daemon->tick_timer, now_ns + daemon->enforcer->tick_ns);
}

static int on_deadline(sd_event_source *source, uint64_t usec, void *userdata)
{
	struct daemon *daemon = userdata;

	(void)source;
	(void)usec;
	look_at_clocks(daemon);
	governor_deadlines(daemon->governor, daemon_now_ns(daemon));
	(void)governor_give_on(daemon->governor, daemon_now_ns(daemon), /* fault= */ NULL);
	daemon_keep_news(daemon);
	arm_deadline(daemon);
	return 0;
}

static int on_tick(sd_event_source *source, uint64_t usec, void *userdata)
{
	struct daemon *daemon = userdata;

	(void)source;
	(void)usec;
	daemon->enforcer->ops->tick(daemon->enforcer, daemon_clock_monotonic_ns());
	return arm(daemon, daemon->tick_timer, daemon_now_ns(daemon) + daemon->enforcer->tick_ns);
}

static int on_decide(sd_event_source *source, void *userdata)
{
	struct daemon *daemon = userdata;

	(void)source;
	/* A decision that cannot be enforced is an event; less runs then. */
	if (daemon->is_awake)
		(void)governor_give_on(daemon->governor, daemon_now_ns(daemon), /* fault= */ NULL);
	daemon_tell_later(daemon);
	return 0;
}

/* Many come or end at once: they are decided on together. Who sends messages without end does not hold that up:
 * the next slot decides, too. */
void daemon_decide_soon(struct daemon *daemon)
{
	(void)sd_event_source_set_enabled(daemon->decider, SD_EVENT_ONESHOT);
}

static int on_end_timer(sd_event_source *source, uint64_t usec, void *userdata)
{
	(void)source;
	(void)usec;
	daemon_look_for_ends(userdata);
	return 0;
}

static int add_timer(struct daemon *daemon, sd_event_source **ret_timer,
	sd_event_time_handler_t handler, int64_t priority)
{
	int r = sd_event_add_time(daemon->setup.event, ret_timer, CLOCK_MONOTONIC, UINT64_MAX,
		TIMER_ACCURACY_US, handler, daemon);

	if (r >= 0)
		r = sd_event_source_set_priority(*ret_timer, priority);
	return r < 0 ? r : sd_event_source_set_enabled(*ret_timer, SD_EVENT_OFF);
}

int daemon_set_up_slots(struct daemon *daemon, struct fault *fault)
{
	int r = add_timer(daemon, &daemon->slot_timer, on_slot, PRIORITY_SLOT);

	if (r >= 0)
		r = add_timer(daemon, &daemon->deadline_timer, on_deadline, PRIORITY_SLOT);
	if (r >= 0)
		r = add_timer(daemon, &daemon->tick_timer, on_tick, PRIORITY_TICK);
	if (r >= 0)
		r = add_timer(daemon, &daemon->end_timer, on_end_timer, PRIORITY_TICK);
	if (r >= 0)
		r = sd_event_add_defer(daemon->setup.event, &daemon->decider, on_decide, daemon);
	if (r >= 0)
		r = sd_event_source_set_priority(daemon->decider, PRIORITY_DECIDE);
	if (r >= 0)
		r = sd_event_source_set_enabled(daemon->decider, SD_EVENT_OFF);
	return r < 0 ? fault_errno(fault, r, "event loop") : 0;
}

void daemon_take_down_slots(struct daemon *daemon)
{
	daemon->slot_timer = sd_event_source_disable_unref(daemon->slot_timer);
	daemon->deadline_timer = sd_event_source_disable_unref(daemon->deadline_timer);
	daemon->tick_timer = sd_event_source_disable_unref(daemon->tick_timer);
	daemon->end_timer = sd_event_source_disable_unref(daemon->end_timer);
	daemon->decider = sd_event_source_disable_unref(daemon->decider);
}
