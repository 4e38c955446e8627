// SPDX-License-Identifier: GPL-2.0-or-later
#include <inttypes.h>
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "daemon_internal.h"
#include "nsec.h"

/* What is told of the tasks, and to whom. Nothing is decided here. */

#define TELL_AGAIN_US USEC_PER_SEC
#define PRIORITY_TELL (SD_EVENT_PRIORITY_NORMAL + 50)

/* A slot can be made early: what was used is told per time that has passed, and over less than this part
 * of a slot it would say more of the moment than of the use. */
#define USED_LEAST_PART 4

/* ---- to whoever listens ---- */

void daemon_tell_later(struct daemon *daemon)
{
	(void)sd_event_source_set_enabled(daemon->teller, SD_EVENT_ONESHOT);
}

void daemon_tell_whole_later(struct daemon *daemon)
{
	daemon->has_slot_to_tell = true;
	daemon_tell_later(daemon);
}

static void tell(struct daemon *daemon, struct member *member)
{
	const struct daemon_listener *listener = &daemon->listener;

	if (member->is_new && listener->added)
		listener->added(listener->userdata, member->number);
	if (member->has_changed)
		member->has_changed = listener->changed &&
			!listener->changed(listener->userdata, member->number);
	if (member->has_gone_unheard && listener->unheard)
		listener->unheard(listener->userdata, member->number);
	if (member->has_ended && listener->ended)
		listener->ended(listener->userdata, member->number);
	member->is_new = member->has_gone_unheard = member->has_ended = false;
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

/* What was not taken is told again with the next slot, and where none comes, after a while. */
static void tell_again(struct daemon *daemon)
{
	bool is_left = daemon->has_slot_to_tell;

	for (size_t i = 0; !is_left && i < daemon->members.n; i++)
		is_left = daemon->members.all[i]->has_changed;
	if (is_left && sd_event_source_set_time_relative(daemon->again_timer, TELL_AGAIN_US) >= 0)
		(void)sd_event_source_set_enabled(daemon->again_timer, SD_EVENT_ONESHOT);
}

static int on_again(sd_event_source *source, uint64_t usec, void *userdata)
{
	(void)source;
	(void)usec;
	daemon_tell_later(userdata);
	return 0;
}

static int on_tell(sd_event_source *source, void *userdata)
{
	struct daemon *daemon = userdata;

	(void)source;
	for (size_t i = 0; i < daemon->members.n; i++)
		tell(daemon, daemon->members.all[i]);
	if (daemon->has_slot_to_tell && daemon->setup.keep_slot)
		daemon->setup.keep_slot(daemon->setup.userdata);
	if (daemon->has_slot_to_tell)
		daemon->has_slot_to_tell = daemon->listener.slot &&
			!daemon->listener.slot(daemon->listener.userdata);
	tell_again(daemon);
	forget_oldest(daemon);
	return 0;
}

/* ---- to whoever keeps it: the loop's records, in words ---- */

static struct daemon *of_recorder(struct recorder *recorder)
{
	return (struct daemon *)((char *)recorder - offsetof(struct daemon, recorder));
}

bool daemon_tell_whole(const struct daemon *daemon, const struct daemon_event *event)
{
	return !daemon->setup.keep_event || daemon->setup.keep_event(daemon->setup.userdata, event);
}

void daemon_tell_budget(
	const struct daemon *daemon, double old_budget_cpus, uid_t sender, const char *text)
{
	(void)daemon_tell_whole(daemon,
		&(struct daemon_event){
			.kind = "budget",
			.text = text,
			.has_sender = sender != DAEMON_NOBODY,
			.sender = sender,
			.budget_cpus = daemon->setup.budget_cpus,
			.old_budget_cpus = old_budget_cpus,
		});
}

void daemon_say(
	const struct daemon *daemon, const char *kind, const char *name, const char *format, ...)
{
	char text[FAULT_TEXT_MAX];
	va_list args;

	va_start(args, format);
	(void)vsnprintf(text, sizeof(text), format, args);
	va_end(args);
	daemon_tell_whole(daemon, &(struct daemon_event){.kind = kind, .text = text, .name = name});
}

static void fill_event(const struct daemon *daemon, struct member *member,
	const struct task_status *status, struct daemon_event *event)
{
	const struct outlook_numbers numbers = daemon_outlook_numbers(daemon, member, status);

	event->number = member->number;
	event->name = member->name;
	event->owner = member->owner;
	event->slot = daemon_now_ns(daemon) / daemon->setup.slot_ns;
	event->share_cpus = status->share_cpus;
	event->old_share_cpus = member->share_told.is_told ? member->share_told.cpus : NAN;
	event->value = status->value;
	event->cpu_ns = status->cpu_ns;
	event->chance = numbers.chance;
	event->need_s = numbers.need_s;
	event->left_s = numbers.left_s;
}

static const char *reason_in_words(const struct member *member, const struct task_status *status)
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

	if (status->why == WHY_EQUAL && (!member->has_target || status->phase != PHASE_ALIVE))
		return "it has its part of what others leave";
	return words[status->why];
}

/* That in force, as the status has it. before: see struct daemon_event. False: it was left out. */
static bool tell_share(const struct daemon *daemon, struct member *member,
	const struct task_status *status, const char *before)
{
	struct daemon_event event = {
		.kind = "share",
		.has_sender = before && daemon->asker != DAEMON_NOBODY,
		.sender = daemon->asker,
		.before = before,
		.comes_later = !before,
	};
	char text[256];

	fill_event(daemon, member, status, &event);
	if (member->share_told.is_told)
		(void)snprintf(text, sizeof(text), "share %.2f CPUs, before %.2f: %s",
			status->share_cpus, member->share_told.cpus,
			reason_in_words(member, status));
	else
		(void)snprintf(text, sizeof(text), "share %.2f CPUs: %s", status->share_cpus,
			reason_in_words(member, status));
	event.text = text;
	if (!daemon_tell_whole(daemon, &event))
		return false;
	member->share_told = (struct share_told){
		.is_told = true,
		.cpus = status->share_cpus,
		.at_ns = daemon_now_ns(daemon),
	};
	return true;
}

void daemon_tell_share(const struct daemon *daemon, struct member *member, const char *before)
{
	struct task_status status;

	governor_task_status(daemon->governor, member->seat, &status);
	if (share_told_differs(&member->share_told, status.share_cpus))
		(void)tell_share(daemon, member, &status, before);
}

/* Whatever is told of a task, it was one that had its share: where that is not known yet it comes first. */
void daemon_tell_event(
	const struct daemon *daemon, struct member *member, const char *kind, const char *text)
{
	struct daemon_event event = {
		.kind = kind,
		.text = text,
		.has_sender = daemon->asker != DAEMON_NOBODY,
		.sender = daemon->asker,
	};
	struct task_status status;

	if (!daemon->setup.keep_event)
		return;
	if (!member) {
		(void)daemon_tell_whole(daemon, &event);
		return;
	}
	governor_task_status(daemon->governor, member->seat, &status);
	daemon_tell_share(daemon, member, kind);
	fill_event(daemon, member, &status, &event);
	(void)daemon_tell_whole(daemon, &event);
	/* What was forecast of one that has learned is told with that. */
	if (status.outcome == OUTCOME_LEARNED)
		member->look.has_forecast = false;
}

/* As decided in a slot. A task whose share goes up and down is not told of each time. False: it has to wait. */
static bool look_at_share(struct daemon *daemon, const struct slot_task *row, uint64_t now_ns)
{
	struct member *member = daemon->stage.seats[row->seen.task];
	uint64_t pause_ns = daemon->setup.share_pause_ns > 0 ? daemon->setup.share_pause_ns
							     : SHARE_PAUSE_NS;
	struct task_status status;

	if (!share_told_is_due(&member->share_told, row->share_cpus, now_ns, pause_ns))
		return true;
	governor_task_status(daemon->governor, member->seat, &status);
	return tell_share(daemon, member, &status, /* before= */ NULL);
}

/* Where not all can be told in a slot, those that had to wait come first in the next. */
static void look_at_shares(struct daemon *daemon, const struct slot_record *record)
{
	size_t turn = record->n_tasks, first = daemon->share_turn;

	for (size_t i = 0; i < record->n_tasks; i++) {
		size_t which = (first + i) % record->n_tasks;

		if (!look_at_share(daemon, &record->tasks[which], record->now_ns) &&
			turn == record->n_tasks)
			turn = which;
	}
	daemon->share_turn = turn < record->n_tasks ? turn : 0;
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

static bool is_chosen(const struct daemon *daemon, const struct slot_task *row)
{
	return row->seen.phase == PHASE_ALIVE && row->share_cpus > 0 &&
		row->why != WHY_WRITTEN_OFF && row->why != WHY_PAUSED &&
		daemon->stage.seats[row->seen.task]->has_target;
}

/* Nobody pays for this who does not want it. */
static void tell_slot(
	const struct daemon *daemon, const struct slot_record *record, uint64_t n_changed)
{
	struct daemon_slot made = {
		.slot = record->now_ns / record->slot_ns,
		.n_tasks = (uint32_t)record->n_tasks,
		.granted_cpus = daemon->granted_cpus,
		.used_cpus = daemon->used_cpus,
		.budget_cpus = (double)record->budget_ns / (double)record->slot_ns,
		.late_ns = record->late_ns,
		.n_changed = n_changed,
	};
	char text[256];

	for (size_t i = 0; i < record->n_tasks; i++)
		made.n_chosen += is_chosen(daemon, &record->tasks[i]);
	(void)snprintf(text, sizeof(text),
		"slot %" PRIu64 ": %" PRIu32 " task%s, %" PRIu32
		" chosen; %.2f of %.4g CPUs granted, %" PRIu64
		" grants changed; %.2f used before; %.3f ms late",
		made.slot, made.n_tasks, made.n_tasks == 1 ? "" : "s", made.n_chosen,
		made.granted_cpus, made.budget_cpus, made.n_changed, made.used_cpus,
		(double)made.late_ns / (double)NSEC_PER_MSEC);
	(void)daemon_tell_whole(
		daemon, &(struct daemon_event){.kind = "slot", .text = text, .made = &made});
}

static void record_slot(struct recorder *recorder, const struct slot_record *record)
{
	struct daemon *daemon = of_recorder(recorder);
	struct governor_totals totals;

	governor_totals(daemon->governor, &totals);
	daemon->granted_cpus = (double)record->granted_ns / (double)record->slot_ns;
	count_used(daemon, record);
	daemon->has_slot_to_tell = true;
	look_at_shares(daemon, record);
	if (daemon->setup.wants_slots && daemon->setup.wants_slots(daemon->setup.userdata))
		tell_slot(daemon, record, totals.n_grant_changes - daemon->n_changes);
	daemon->n_changes = totals.n_grant_changes;
}

static void record_report(struct recorder *recorder, uint32_t task, const struct report *report)
{
	(void)recorder;
	(void)task;
	(void)report;
}

/* What does not die is killed again each time its grace is over: told once. */
static void tell_stopping(struct stage_member *stage, uint32_t id, enum stop_step step)
{
	static const char *const texts[] = {
		[STOP_ASK] = "stopping: it is asked to stop, by its progress page",
		[STOP_TERM] = "stopping: all of it is sent SIGTERM",
		[STOP_KILL] = "stopping: all of it is sent SIGKILL",
	};
	const struct daemon *daemon = (struct daemon *)((char *)stage -
		offsetof(struct daemon, stage));
	struct member *member = stage->seats[id];

	if (member->is_told_to_stop && step <= member->told_step)
		return;
	member->is_told_to_stop = true;
	member->told_step = step;
	daemon_tell_event(daemon, member, "stopping", texts[step]);
}

/* That a share was given on shows in the shares. */
static void record_event(struct recorder *recorder, uint64_t now_ns, uint32_t task,
	const char *kind, const char *text)
{
	struct daemon *daemon = of_recorder(recorder);

	(void)now_ns;
	if (strcmp(kind, "given-on") != 0)
		daemon_tell_event(daemon, task == RECORD_NO_TASK ? NULL : daemon->stage.seats[task],
			kind, text);
}

static const struct recorder_ops recorder_ops = {
	.slot = record_slot,
	.report = record_report,
	.event = record_event,
};

int daemon_set_up_telling(struct daemon *daemon, struct fault *fault)
{
	int r = sd_event_add_defer(daemon->setup.event, &daemon->teller, on_tell, daemon);

	daemon->recorder.ops = &recorder_ops;
	daemon->stage.stopping = tell_stopping;
	if (r >= 0)
		r = sd_event_add_time_relative(daemon->setup.event, &daemon->again_timer,
			CLOCK_MONOTONIC, TELL_AGAIN_US, /* accuracy= */ 0, on_again, daemon);
	if (r >= 0)
		r = sd_event_source_set_enabled(daemon->again_timer, SD_EVENT_OFF);
	if (r >= 0)
		r = sd_event_source_set_priority(daemon->teller, PRIORITY_TELL);
	if (r >= 0)
		r = sd_event_source_set_enabled(daemon->teller, SD_EVENT_OFF);
	return r < 0 ? fault_errno(fault, r, "event loop") : 0;
}

void daemon_take_down_telling(struct daemon *daemon)
{
	daemon->teller = sd_event_source_disable_unref(daemon->teller);
	daemon->again_timer = sd_event_source_disable_unref(daemon->again_timer);
}
