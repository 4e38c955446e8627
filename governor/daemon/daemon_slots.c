// SPDX-License-Identifier: GPL-2.0-or-later
#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "daemon_internal.h"
#include "nsec.h"

/* What happens with time: slots, deadlines, ends, and what is told of them.
 *
 * A task has ended when its first process has, and nothing of it is left in its place: what forks away is
 * governed on. How the process has ended, only its parent knows; the daemon waits a moment to be told.
 *
 * Slots are made while a task is there. An idle daemon has no timer. */

#define PRIORITY_SLOT (SD_EVENT_PRIORITY_NORMAL - 100)
#define PRIORITY_TICK (SD_EVENT_PRIORITY_NORMAL - 90)
#define PRIORITY_TELL (SD_EVENT_PRIORITY_NORMAL + 50)
#define TIMER_ACCURACY_US 1

/* How long the launcher has to tell how its command has ended. */
#define STATUS_PATIENCE_NS (500 * NSEC_PER_MSEC)
#define LOOK_AGAIN_NS (50 * NSEC_PER_MSEC)

/* A share is told of again where it differs by so much, and after so long. */
#define SHARE_WORTH_TELLING 0.01
#define SHARE_PAUSE_NS (10 * NSEC_PER_SEC)

/* A slot can be made early: what was used is told per time that has passed, and over less than this part
 * of a slot it would say more of the moment than of the use. */
#define USED_LEAST_PART 4

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

/* ---- telling ---- */

void daemon_tell_later(struct daemon *daemon)
{
	(void)sd_event_source_set_enabled(daemon->teller, SD_EVENT_ONESHOT);
}

static bool is_same_number(double a, double b)
{
	return (isnan(a) && isnan(b)) || !(a < b || a > b);
}

/* Of what changes by itself. */
static bool is_same(const struct daemon_task_info *a, const struct daemon_task_info *b)
{
	return a->number == b->number && a->phase == b->phase && a->is_paused == b->is_paused &&
		a->outcome == b->outcome && is_same_number(a->share_cpus, b->share_cpus) &&
		a->cpu_ns == b->cpu_ns && is_same_number(a->value, b->value) &&
		a->n_reports == b->n_reports && a->feed == b->feed && a->prospect == b->prospect &&
		a->is_unheard == b->is_unheard && a->began_realtime_ns == b->began_realtime_ns;
}

/* Many tasks that stand still, or wait for their turn, are nobody's news: each would be a message to everyone
 * who listens, in each slot. */
static void tell_change(struct daemon *daemon, struct member *member)
{
	const struct daemon_listener *listener = &daemon->listener;
	struct daemon_task_info info;

	if (!listener->changed || !daemon_task(daemon, member->number, &info))
		return;
	if (!member->has_ended && is_same(&info, &member->told))
		return;
	if (listener->changed(listener->userdata, member->number))
		member->told = info;
}

static void tell(struct daemon *daemon, struct member *member)
{
	const struct daemon_listener *listener = &daemon->listener;

	if (member->is_new && listener->added)
		listener->added(listener->userdata, member->number);
	if (member->has_changed)
		tell_change(daemon, member);
	if (member->has_ended && listener->ended)
		listener->ended(listener->userdata, member->number);
	member->is_new = member->has_changed = member->has_ended = false;
}

/* Only so many that have ended are remembered. */
static void forget_oldest(struct daemon *daemon)
{
	const struct daemon_listener *listener = &daemon->listener;
	size_t n_ended = 0;

	for (size_t i = 0; i < daemon->members.n; i++)
		n_ended += daemon->members.all[i]->seat == MEMBER_NO_SEAT;
	for (size_t i = 0; i < daemon->members.n && n_ended > DAEMON_ENDED_MAX;) {
		struct member *member = daemon->members.all[i];

		if (member->seat != MEMBER_NO_SEAT) {
			i++;
			continue;
		}
		members_remove(&daemon->members, member);
		if (listener->removed)
			listener->removed(listener->userdata, member->number);
		(void)member_free(member);
		n_ended--;
	}
}

static int on_tell(sd_event_source *source, void *userdata)
{
	struct daemon *daemon = userdata;

	(void)source;
	for (size_t i = 0; i < daemon->members.n; i++)
		tell(daemon, daemon->members.all[i]);
	if (daemon->has_slot_to_tell && daemon->listener.slot)
		daemon->listener.slot(daemon->listener.userdata);
	if (daemon->has_slot_to_tell && daemon->setup.keep_slot)
		daemon->setup.keep_slot(daemon->setup.userdata);
	daemon->has_slot_to_tell = false;
	forget_oldest(daemon);
	return 0;
}

/* ---- the loop's records ---- */

static struct daemon *of_recorder(struct recorder *recorder)
{
	return (struct daemon *)((char *)recorder - offsetof(struct daemon, recorder));
}

void daemon_tell_event(const struct daemon *daemon, struct member *member, const char *kind,
	const char *text, const struct outlook_numbers *numbers)
{
	struct daemon_event event = {
		.kind = kind,
		.text = text,
		.chance = numbers ? numbers->chance : NAN,
		.need_s = numbers ? numbers->need_s : NAN,
		.left_s = numbers ? numbers->left_s : NAN,
	};
	struct task_status status;

	if (!daemon->setup.keep_event)
		return;
	if (member) {
		governor_task_status(daemon->governor, member->seat, &status);
		event.number = member->number;
		event.name = member->name;
		event.owner = member->owner;
		event.slot = daemon_now_ns(daemon) / daemon->setup.slot_ns;
		event.share_cpus = status.share_cpus;
		event.old_share_cpus = member->told_share_cpus;
		event.value = status.value;
		event.cpu_ns = status.cpu_ns;
	}
	daemon->setup.keep_event(daemon->setup.userdata, &event);
}

static void tell_event(
	const struct daemon *daemon, struct member *member, const char *kind, const char *text)
{
	daemon_tell_event(daemon, member, kind, text, /* numbers= */ NULL);
}

static const char *reason_in_words(const struct member *member, const struct slot_task *row)
{
	static const char *const words[] = {
		[WHY_EQUAL] = "every task gets the same",
		[WHY_FIXED] = "every task has the same for life",
		[WHY_FIRST] = "it is first in the policy's order",
		[WHY_REST] = "it gets what those before it leave",
		[WHY_NONE_LEFT] = "those before it leave nothing",
		[WHY_SCRIPT] = "the schedule says so",
		[WHY_CHOSEN] = "it is forecast to make it",
		[WHY_WRITTEN_OFF] = "it is forecast not to make it, and runs on what others leave",
		[WHY_PAUSED] = "it is paused",
	};

	if (row->why == WHY_EQUAL && (!member->has_target || row->seen.phase != PHASE_ALIVE))
		return "it has its part of what others leave";
	return words[row->why];
}

/* A task whose share goes up and down is not told of each time. */
static void tell_share(struct daemon *daemon, const struct slot_task *row, uint64_t now_ns)
{
	struct member *member = daemon->stage.seats[row->seen.task];
	bool is_first = isnan(member->told_share_cpus);
	char text[256];

	if (!is_first &&
		(fabs(row->share_cpus - member->told_share_cpus) < SHARE_WORTH_TELLING ||
			nsec_sub(now_ns, member->told_ns) < SHARE_PAUSE_NS))
		return;
	if (is_first)
		(void)snprintf(text, sizeof(text), "share %.2f CPUs: %s", row->share_cpus,
			reason_in_words(member, row));
	else
		(void)snprintf(text, sizeof(text), "share %.2f CPUs, before %.2f: %s",
			row->share_cpus, member->told_share_cpus, reason_in_words(member, row));
	tell_event(daemon, member, "share", text);
	member->told_share_cpus = row->share_cpus;
	member->told_ns = now_ns;
}

static void count_used(struct daemon *daemon, const struct slot_record *record)
{
	uint64_t elapsed_ns = nsec_sub(record->now_ns, daemon->used_since_ns);

	daemon->used_ns += record->used_ns;
	if (elapsed_ns < record->slot_ns / USED_LEAST_PART)
		return;
	daemon->used_cpus = (double)daemon->used_ns / (double)elapsed_ns;
	daemon->used_ns = 0;
	daemon->used_since_ns = record->now_ns;
}

static void record_slot(struct recorder *recorder, const struct slot_record *record)
{
	struct daemon *daemon = of_recorder(recorder);

	daemon->granted_cpus = (double)record->granted_ns / (double)record->slot_ns;
	count_used(daemon, record);
	daemon->has_slot_to_tell = true;
	for (size_t i = 0; i < record->n_tasks; i++) {
		tell_share(daemon, &record->tasks[i], record->now_ns);
		daemon_look_ahead(
			daemon, daemon->stage.seats[record->tasks[i].seen.task], record->now_ns);
	}
}

static void record_report(struct recorder *recorder, uint32_t task, const struct report *report)
{
	(void)recorder;
	(void)task;
	(void)report;
}

/* That a share was given on shows in the shares. */
static void record_event(struct recorder *recorder, uint64_t now_ns, uint32_t task,
	const char *kind, const char *text)
{
	struct daemon *daemon = of_recorder(recorder);

	(void)now_ns;
	if (strcmp(kind, "given-on") != 0)
		tell_event(daemon, task == RECORD_NO_TASK ? NULL : daemon->stage.seats[task], kind,
			text);
}

static const struct recorder_ops recorder_ops = {
	.slot = record_slot,
	.report = record_report,
	.event = record_event,
};

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
	daemon->has_slot_to_tell = true; /* that nothing is used any more */
	daemon_tell_later(daemon);
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
		if (!member->has_status && now_ns - member->exited_ns < STATUS_PATIENCE_NS) {
			is_awaited = true;
			continue;
		}
		if (daemon->enforcer->ops->task_is_populated(daemon->enforcer, id) == 1)
			continue; /* looked at again in the next slot */
		end(daemon, member);
		has_ended = true;
	}
	if (is_awaited)
		(void)arm(daemon, daemon->end_timer, now_ns + LOOK_AGAIN_NS);
	if (has_ended) {
		(void)governor_give_on(daemon->governor, now_ns, /* fault= */ NULL);
		arm_deadline(daemon);
		rest(daemon);
	}
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
			daemon->bundle.tasks[id].deadline_ns = daemon_deadline_ns(
				daemon, &daemon->stage.seats[id]->deadline);
}

static void make_slot(struct daemon *daemon, uint64_t late_ns)
{
	/* A grant that could not be put into force is an event; less runs, the rest goes on. */
	(void)governor_slot(daemon->governor, daemon_now_ns(daemon), late_ns, /* fault= */ NULL);
	for (uint32_t id = 0; id < daemon->setup.n_tasks_max; id++)
		if (daemon->stage.seats[id])
			daemon->stage.seats[id]->has_changed = true;
	daemon_keep_news(daemon);
	arm_deadline(daemon);
	daemon_tell_later(daemon);
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
	make_slot(daemon, nsec_sub(now_ns, daemon->next_slot * slot_ns));
	daemon->n_slots++;
	daemon->n_missed += nsec_sub(now_ns / slot_ns, daemon->next_slot);
	daemon->next_slot = now_ns / slot_ns + 1;
	return arm(daemon, daemon->slot_timer, daemon->next_slot * slot_ns);
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

	daemon->recorder.ops = &recorder_ops;
	if (r >= 0)
		r = add_timer(daemon, &daemon->deadline_timer, on_deadline, PRIORITY_SLOT);
	if (r >= 0)
		r = add_timer(daemon, &daemon->tick_timer, on_tick, PRIORITY_TICK);
	if (r >= 0)
		r = add_timer(daemon, &daemon->end_timer, on_end_timer, PRIORITY_TICK);
	if (r >= 0)
		r = sd_event_add_defer(daemon->setup.event, &daemon->teller, on_tell, daemon);
	if (r >= 0)
		r = sd_event_source_set_priority(daemon->teller, PRIORITY_TELL);
	if (r >= 0)
		r = sd_event_source_set_enabled(daemon->teller, SD_EVENT_OFF);
	return r < 0 ? fault_errno(fault, r, "event loop") : 0;
}

void daemon_take_down_slots(struct daemon *daemon)
{
	daemon->slot_timer = sd_event_source_disable_unref(daemon->slot_timer);
	daemon->deadline_timer = sd_event_source_disable_unref(daemon->deadline_timer);
	daemon->tick_timer = sd_event_source_disable_unref(daemon->tick_timer);
	daemon->end_timer = sd_event_source_disable_unref(daemon->end_timer);
	daemon->teller = sd_event_source_disable_unref(daemon->teller);
}
