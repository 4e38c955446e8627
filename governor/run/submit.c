// SPDX-License-Identifier: GPL-2.0-or-later
#include "submit.h"

#include <errno.h>
#include <math.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bundle_presets.h"
#include "cleanup.h"
#include "nsec.h"
#include "submit_check.h"
#include "submit_internal.h"

/* A bundle under a governor. Everything that governs is the governor's; here tasks are started when they
 * arrive, watched, and asked to stop. A task is over when its launcher has ended (all that it wrote is
 * where it belongs) and the governor has said what became of it.
 *
 * The first task goes ahead alone. What the governor has against it, it would have against the others (no
 * permission, no governor after all), and then nothing has run. Once one is accepted, one that is refused
 * is a task that has failed, as one whose command is not found. Of those that come at once only some are
 * under way at a time.
 *
 * A governor may be started anew meanwhile, or be killed: the next one goes on with its tasks, under the same
 * numbers. So when it goes it is waited for; nothing is started until it is back, and then it is asked what has
 * become of each task. A task that was being submitted in that moment has not run yet, and is submitted again.
 *
 * Time is CLOCK_BOOTTIME from the start of the run, as the deadlines are that the governor is given:
 * arrivals and deadlines stay together also where the machine sleeps. */

/* That a task was accepted is heard before what the governor says of it. */
#define PRIORITY_NEWS (SD_EVENT_PRIORITY_NORMAL - 10)
#define TIMER_ACCURACY_US 1

/* Launchers that the governor has not answered. */
#define OUT_AT_ONCE 8

#define TRY_AGAIN_NS NSEC_PER_SEC
#define TRIES_MAX 10

/* The first of all is refused: nothing has run, and nothing will. */
static void refuse(struct submit *submit, const struct entry *entry)
{
	static const enum run_error kinds[] = {
		[CLIENT_WAITING] = RUN_ERROR_OTHER,
		[CLIENT_ACCEPTED] = RUN_ERROR_OTHER,
		[CLIENT_REFUSED_DATA] = RUN_ERROR_DATA,
		[CLIENT_REFUSED_BUSY] = RUN_ERROR_BUDGET,
		[CLIENT_REFUSED_PERMISSION] = RUN_ERROR_PERMISSION,
		[CLIENT_ABSENT] = RUN_ERROR_GOVERNOR,
		[CLIENT_FAILED] = RUN_ERROR_GOVERNOR,
	};

	submit->error_kind = kinds[entry->result.answer];
	submit->error = fault_set(&submit->fault, -ECONNREFUSED, "task %s: %s",
		entry_planned(entry)->name, entry->said);
	(void)sd_event_exit(submit->event, 0);
}

/* The governor went while it was asked, or it could not be asked: the command has not run. */
static bool may_try_again(const struct entry *entry)
{
	enum client_answer answer = entry->result.answer;

	return entry->has_result && (answer == CLIENT_ABSENT || answer == CLIENT_FAILED) &&
		entry->submit->has_accepted && !entry->submit->is_gone &&
		entry->n_tries < TRIES_MAX;
}

static void start_due(struct submit *submit);

static void try_again(struct entry *entry)
{
	entry->n_tries++;
	entry->not_before_ns = submit_now_ns(entry->submit) + TRY_AGAIN_NS;
	entry->is_started = entry->has_result = entry->has_launcher_ended = false;
	entry->said[0] = '\0';
	start_due(entry->submit);
}

static void never_governed(struct entry *entry)
{
	struct submit *submit = entry->submit;
	bool is_refused = entry->has_result && entry->result.answer != CLIENT_ACCEPTED;

	if (submit->signo > 0)
		entry_over_with(entry, OUTCOME_CANCELLED, "cancelled");
	else if (may_try_again(entry))
		try_again(entry);
	else if (is_refused && !submit->has_accepted)
		refuse(submit, entry);
	else
		entry_over_with(entry, OUTCOME_FAILED,
			entry->said[0] != '\0' ? entry->said : "ended before it was governed");
}

static void launcher_ended(struct entry *entry)
{
	struct remote_task now;

	entry->source = sd_event_source_disable_unref(entry->source);
	launcher_process_forget(&entry->process);
	entry->has_launcher_ended = true;
	if (entry->told.path[0] == '\0') {
		never_governed(entry);
		return;
	}
	/* It may have been said before it was listened to. */
	if (!entry->has_ended && !entry->submit->is_gone && !entry->submit->is_away &&
		remote_task(entry->submit->remote, entry->told.path, &now, /* fault= */ NULL) ==
			0) {
		entry->has_ended = strcmp(now.phase, "ended") == 0;
		remote_task_done(&now);
	}
	entry_settle(entry);
}

/* Stopping. */

static void give_governor_up(struct submit *submit);

static void cancel(struct entry *entry)
{
	struct submit *submit = entry->submit;
	struct fault fault = FAULT_INIT;
	bool is_governed = entry->told.path[0] != '\0' && !submit->is_gone && !submit->is_away &&
		!entry->is_lost;
	int r;

	if (entry->is_over || entry->has_ended)
		return;
	if (is_governed) {
		r = remote_do(submit->remote, entry->told.path, "Cancel", &fault);
		if (r == 0 || r == -EALREADY || r == -ENOENT)
			return;
		submit->setup.say("task %s: %s: it is sent a signal instead",
			entry_planned(entry)->name, fault.text);
	}
	launcher_process_signal(&entry->process, submit->is_killing ? SIGKILL : SIGTERM);
}

/* Who has not begun does not begin any more. True where others still run. */
static bool cancel_those_to_come(struct submit *submit, const char *why)
{
	bool is_any_left = false;

	for (size_t i = 0; i < submit->n_entries; i++) {
		struct entry *entry = &submit->entries[i];

		if (!entry->is_started) {
			entry->is_started = true;
			entry_over_with(entry, OUTCOME_CANCELLED, why);
		}
		is_any_left |= !entry->is_over;
	}
	return is_any_left;
}

static int on_signal(sd_event_source *source, const struct signalfd_siginfo *info, void *userdata)
{
	struct submit *submit = userdata;

	(void)source;
	submit->is_killing = submit->signo > 0;
	submit->signo = (int)info->ssi_signo;
	/* Who wants it to end does not wait for a governor, too. */
	if (submit->is_away)
		give_governor_up(submit);
	if (cancel_those_to_come(submit, "cancelled") && !submit->is_killing)
		submit->setup.say("SIG%s: the tasks are asked to stop, and waited for; a second "
				  "one kills them",
			sigabbrev_np(submit->signo));
	for (size_t i = 0; i < submit->n_entries; i++)
		cancel(&submit->entries[i]);
	return 0;
}

/* Hearing. */

static struct remote_task *find(void *userdata, const char *path)
{
	struct submit *submit = userdata;

	for (size_t i = 0; i < submit->n_entries; i++) {
		struct entry *entry = &submit->entries[i];

		if (entry->told.path[0] != '\0' && strcmp(entry->told.path, path) == 0)
			return &entry->told;
	}
	return NULL;
}

static struct entry *entry_of(struct remote_task *told)
{
	return (struct entry *)((char *)told - offsetof(struct entry, told));
}

static void changed(void *userdata, struct remote_task *told)
{
	struct entry *entry = entry_of(told);
	enum outcome outcome = submit_outcome_of(told->outcome);

	(void)userdata;
	/* How a process has ended is known when its launcher has. */
	if (outcome == OUTCOME_LEARNED || outcome == OUTCOME_MISSED_DEADLINE)
		entry_tell_outcome(entry, outcome);
}

static void ended(void *userdata, struct remote_task *told)
{
	struct entry *entry = entry_of(told);

	(void)userdata;
	entry->has_ended = true;
	entry_settle(entry);
}

static void give_governor_up(struct submit *submit)
{
	if (submit->is_gone)
		return;
	submit->is_gone = true;
	submit->is_away = false;
	(void)sd_event_source_set_enabled(submit->away_timer, SD_EVENT_OFF);
	submit->error = fault_set(&submit->fault, -ENOTCONN,
		"the governor has gone, and what became of its tasks is not known");
	submit->setup.say(
		"the governor has gone: what runs is waited for, nothing more is started");
	(void)cancel_those_to_come(submit, "the governor has gone");
	for (size_t i = 0; i < submit->n_entries; i++)
		entry_settle(&submit->entries[i]);
}

static void gone(void *userdata)
{
	struct submit *submit = userdata;

	if (submit->is_gone)
		return;
	submit->is_away = true;
	submit->setup.say("the governor has gone: it is waited for, and nothing more is started "
			  "until it is back");
	(void)sd_event_source_set_time_relative(submit->away_timer, REMOTE_AWAY_PATIENCE_US);
	(void)sd_event_source_set_enabled(submit->away_timer, SD_EVENT_ONESHOT);
}

static int on_away(sd_event_source *source, uint64_t usec, void *userdata)
{
	(void)source;
	(void)usec;
	give_governor_up(userdata);
	return 0;
}

static void lost(void *userdata)
{
	give_governor_up(userdata);
}

/* What has become of a task while nobody told. Where it cannot be asked, the governor has gone again. */
static void look_again(struct entry *entry)
{
	struct submit *submit = entry->submit;
	struct remote_task now;
	int r = remote_task(submit->remote, entry->told.path, &now, /* fault= */ NULL);

	if (r == 0) {
		remote_task_done(&entry->told);
		entry->told = now;
		entry->has_ended = strcmp(now.phase, "ended") == 0;
		changed(submit, &entry->told);
	} else if (r == -ENOENT) {
		entry->is_lost = true;
		if (!entry->has_launcher_ended)
			submit->setup.say("task %s: the governor that came back does not know it: "
					  "it runs on without one",
				entry_planned(entry)->name);
	}
	entry_settle(entry);
}

static void back(void *userdata)
{
	struct submit *submit = userdata;

	if (submit->is_gone)
		return;
	submit->is_away = false;
	submit->setup.say("the governor is back");
	(void)sd_event_source_set_enabled(submit->away_timer, SD_EVENT_OFF);
	for (size_t i = 0; i < submit->n_entries; i++) {
		struct entry *entry = &submit->entries[i];

		if (entry->told.path[0] != '\0' && !entry->is_over && !entry->has_ended &&
			!entry->is_lost)
			look_again(entry);
	}
	start_due(submit);
}

static void take_news(struct entry *entry, const struct launcher_news *news)
{
	struct submit *submit = entry->submit;

	switch (news->kind) {
	case LAUNCHER_SAID:
		(void)strcpy(entry->said, news->text);
		return;
	case LAUNCHER_ACCEPTED:
		/* What was said before a refusal, or after this, is why it has failed. */
		if (entry->said[0] != '\0')
			submit->setup.say("task %s: %s", entry_planned(entry)->name, entry->said);
		entry->said[0] = '\0';
		(void)snprintf(entry->told.path, sizeof(entry->told.path), "%.*s",
			REMOTE_PATH_MAX - 1, news->text);
		entry_tell(entry, "start", "begun");
		submit->has_accepted = true;
		if (submit->signo > 0)
			cancel(entry);
		start_due(submit);
		return;
	case LAUNCHER_DONE:
		entry->result = news->result;
		entry->has_result = true;
		return;
	}
}

static int on_news(sd_event_source *source, int fd, uint32_t events, void *userdata)
{
	struct entry *entry = userdata;
	struct launcher_news news;
	int r;

	(void)source;
	(void)fd;
	(void)events;
	while ((r = launcher_process_next(&entry->process, &news)) > 0)
		take_news(entry, &news);
	if (r == 0)
		launcher_ended(entry);
	return 0;
}

/* Starting. */

static int start(struct entry *entry, struct fault *fault)
{
	int r = entry_start(entry, fault);

	if (r < 0)
		return r;
	r = sd_event_add_io(
		entry->submit->event, &entry->source, entry->process.fd, EPOLLIN, on_news, entry);
	if (r >= 0)
		r = sd_event_source_set_priority(entry->source, PRIORITY_NEWS);
	if (r < 0) {
		launcher_process_signal(&entry->process, SIGKILL);
		launcher_process_forget(&entry->process);
		return fault_errno(fault, r, "watch a launcher");
	}
	return 0;
}

/* Who waits for the governor's word waits the longer the more others there are, up to where it seems dead. */
static bool are_enough_out(const struct submit *submit)
{
	unsigned n = 0;

	for (size_t i = 0; i < submit->n_entries; i++) {
		const struct entry *entry = &submit->entries[i];

		n += entry->is_started && !entry->is_over && entry->told.path[0] == '\0';
	}
	return n >= (submit->has_accepted ? OUT_AT_ONCE : 1);
}

static uint64_t start_of(const struct entry *entry)
{
	uint64_t begin_ns = entry_planned(entry)->begin_ns;

	return begin_ns > entry->not_before_ns ? begin_ns : entry->not_before_ns;
}

/* The next that has not begun, in order of arrival; NULL for none. */
static struct entry *next_to_start(struct submit *submit)
{
	struct entry *next = NULL;

	for (size_t i = 0; i < submit->n_entries; i++) {
		struct entry *entry = &submit->entries[i];

		if (!entry->is_started && (!next || start_of(entry) < start_of(next)))
			next = entry;
	}
	return next;
}

static void start_due(struct submit *submit)
{
	struct entry *entry;

	if (submit->signo > 0 || submit->is_gone || submit->is_away)
		return;
	while (!are_enough_out(submit) && (entry = next_to_start(submit))) {
		struct fault fault = FAULT_INIT;
		uint64_t begin_ns = start_of(entry);

		if (begin_ns > submit_now_ns(submit)) {
			(void)sd_event_source_set_time(submit->begin_timer,
				(submit->start_ns + begin_ns) / NSEC_PER_USEC + 1);
			(void)sd_event_source_set_enabled(submit->begin_timer, SD_EVENT_ONESHOT);
			return;
		}
		entry->is_started = true;
		if (start(entry, &fault) < 0)
			entry_over_with(entry, OUTCOME_FAILED, fault.text);
	}
}

static int on_begin(sd_event_source *source, uint64_t usec, void *userdata)
{
	(void)source;
	(void)usec;
	start_due(userdata);
	return 0;
}

/* Showing. */

static enum phase phase_of(const struct remote_task *told)
{
	if (told->phase && strcmp(told->phase, "yielding") == 0)
		return PHASE_YIELDED;
	if (told->phase && strcmp(told->phase, "stopping") == 0)
		return PHASE_STOPPING;
	return PHASE_ALIVE;
}

/* What has been heard of the slot that is over; a governor that is asked for nothing does not mind. */
static void show(struct submit *submit)
{
	uint64_t slot_ns = submit->setup.bundle->slot_ns, used_ns = 0;
	struct slot_record record = {
		.now_ns = submit_now_ns(submit),
		.slot_ns = slot_ns,
		.budget_ns = (uint64_t)llround(submit->governor.budget_cpus * (double)slot_ns),
		.tasks = submit->rows,
	};

	for (uint32_t id = 0; id < submit->n_entries; id++) {
		const struct entry *entry = &submit->entries[id];
		const struct remote_task *told = &entry->told;
		uint64_t cpu_ns = (uint64_t)llround(told->share_cpus * (double)slot_ns);

		used_ns += told->cpu_us * NSEC_PER_USEC;
		if (told->path[0] == '\0' || entry->has_ended || entry->is_over)
			continue;
		record.granted_ns += cpu_ns;
		submit->rows[record.n_tasks++] = (struct slot_task){
			.seen = {.task = id, .phase = phase_of(told), .value = told->value},
			.share_cpus = told->share_cpus,
			.grant = {.cpu_ns = cpu_ns},
		};
	}
	record.used_ns = nsec_sub(used_ns, submit->seen_used_ns);
	submit->seen_used_ns = used_ns;
	submit->setup.view->ops->slot(submit->setup.view, &record);
}

static int on_view(sd_event_source *source, uint64_t usec, void *userdata)
{
	struct submit *submit = userdata;
	int r;

	(void)usec;
	show(submit);
	r = sd_event_source_set_time_relative(
		source, submit->setup.bundle->slot_ns / NSEC_PER_USEC);
	return r < 0 ? r : sd_event_source_set_enabled(source, SD_EVENT_ONESHOT);
}

/* Setting up. */

static int add_sources(struct submit *submit, struct fault *fault)
{
	static const int signals[] = {SIGINT, SIGTERM, SIGHUP};
	sigset_t set;
	int r = sd_event_new(&submit->event);

	(void)sigemptyset(&set);
	for (size_t i = 0; i < ARRAY_LENGTH(signals); i++)
		(void)sigaddset(&set, signals[i]);
	(void)sigprocmask(SIG_BLOCK, &set, NULL);
	(void)signal(SIGPIPE, SIG_IGN);
	/* Ignored, as it may have been inherited, launchers could not be waited for. */
	(void)signal(SIGCHLD, SIG_DFL);
	for (size_t i = 0; i < ARRAY_LENGTH(signals) && r >= 0; i++)
		r = sd_event_add_signal(submit->event, NULL, signals[i], on_signal, submit);
	if (r >= 0)
		r = sd_event_add_time(submit->event, &submit->begin_timer, CLOCK_BOOTTIME,
			UINT64_MAX, TIMER_ACCURACY_US, on_begin, submit);
	if (r >= 0)
		r = sd_event_source_set_enabled(submit->begin_timer, SD_EVENT_OFF);
	if (r >= 0)
		r = sd_event_add_time(submit->event, &submit->away_timer, CLOCK_MONOTONIC,
			UINT64_MAX, TIMER_ACCURACY_US, on_away, submit);
	if (r >= 0)
		r = sd_event_source_set_enabled(submit->away_timer, SD_EVENT_OFF);
	if (r >= 0 && submit->setup.is_drawn)
		r = sd_event_add_time_relative(submit->event, &submit->view_timer, CLOCK_MONOTONIC,
			submit->setup.bundle->slot_ns / NSEC_PER_USEC, TIMER_ACCURACY_US, on_view,
			submit);
	return r < 0 ? fault_errno(fault, r, "event loop") : 0;
}

static enum run_error kind_of_remote(int error)
{
	return error == -EACCES ? RUN_ERROR_PERMISSION : RUN_ERROR_GOVERNOR;
}

static int find_governor(struct submit *submit, enum run_error *ret_error, struct fault *fault)
{
	struct bundle *bundle = submit->setup.bundle;
	int r = remote_open(submit->setup.place, &submit->remote, fault);

	if (r == 0)
		r = remote_governor(submit->remote, &submit->governor, fault);
	*ret_error = kind_of_remote(r);
	if (r == 0)
		r = submit_check_room(bundle, submit->remote, &submit->governor, ret_error, fault);
	if (r < 0)
		return r;
	*ret_error = RUN_ERROR_OTHER;
	submit_say_what_is_left(bundle, &submit->governor, submit->setup.say);
	return bundle_leave_to(bundle, submit->governor.capacity_cpus, submit->governor.budget_cpus,
		submit->governor.slot_us * NSEC_PER_USEC, fault);
}

static int set_up(struct submit *submit, enum run_error *ret_error, struct fault *fault)
{
	int r = submit_check_bundle(submit->setup.bundle, fault);

	*ret_error = RUN_ERROR_DATA;
	if (r == 0)
		r = bundle_presets_read(&submit->presets, submit->setup.bundle, fault);
	if (r == 0)
		r = find_governor(submit, ret_error, fault);
	if (r == 0)
		r = add_sources(submit, fault);
	if (r < 0)
		return r;
	submit->listener = (struct remote_listener){
		.userdata = submit,
		.find = find,
		.changed = changed,
		.ended = ended,
		.gone = gone,
		.back = back,
		.lost = lost,
	};
	return remote_listen(submit->remote, submit->event, &submit->listener, fault);
}

static void init_entries(struct submit *submit)
{
	for (size_t i = 0; i < submit->n_entries; i++)
		submit->entries[i] = (struct entry){
			.submit = submit,
			.id = (uint32_t)i,
			.process = {.fd = -EBADF},
			.files = {-EBADF, -EBADF},
			.told = {.value = (double)NAN},
			.status = {.value = (double)NAN, .feed = "none"},
		};
}

int submit_new(struct submit **ret_submit, const struct submit_setup *setup,
	enum run_error *ret_error, struct fault *fault)
{
	size_t n = setup->bundle->n_tasks;
	struct submit *submit = calloc(1, sizeof(*submit) + n * sizeof(submit->entries[0]));
	int r;

	*ret_error = RUN_ERROR_OTHER;
	if (!submit)
		return fault_errno(fault, -ENOMEM, "run");
	submit->setup = *setup;
	submit->n_entries = n;
	init_entries(submit);
	submit->statuses = calloc(n + 1, sizeof(submit->statuses[0]));
	submit->rows = calloc(n + 1, sizeof(submit->rows[0]));
	r = submit->statuses && submit->rows ? set_up(submit, ret_error, fault)
					     : fault_errno(fault, -ENOMEM, "run");
	if (r < 0) {
		(void)submit_free(submit);
		return r;
	}
	*ret_submit = submit;
	return 0;
}

/* As far as it is known: what the governor granted our tasks in each slot is not. */
static void sum_up(struct submit *submit)
{
	uint64_t slot_ns = submit->setup.bundle->slot_ns, last_ns = 0;
	struct governor_totals *totals = &submit->totals;

	totals->granted_cpus_max = (double)NAN;
	for (size_t i = 0; i < submit->n_entries; i++) {
		const struct entry *entry = &submit->entries[i];

		submit->statuses[i] = entry->status;
		totals->used_ns += entry->status.cpu_ns;
		if (entry->outcome_ns > last_ns)
			last_ns = entry->outcome_ns;
	}
	totals->n_slots = slot_ns > 0 ? (last_ns + slot_ns - 1) / slot_ns : 0;
	totals->budget_ns = (uint64_t)llround(
		submit->governor.budget_cpus * (double)(totals->n_slots * slot_ns));
}

int submit_loop(
	struct submit *submit, int *ret_signo, enum run_error *ret_error, struct fault *fault)
{
	int r = 0;

	if (submit->n_entries > 0) {
		submit->start_ns = submit_boottime_ns();
		start_due(submit);
		r = sd_event_loop(submit->event);
	}
	sum_up(submit);
	*ret_signo = submit->signo;
	*ret_error = submit->error_kind;
	if (r < 0)
		return fault_errno(fault, r, "event loop");
	return submit->error < 0 ? fault_set(fault, submit->error, "%s", submit->fault.text) : 0;
}

void submit_result(const struct submit *submit, struct result_setup *ret_result)
{
	*ret_result = (struct result_setup){
		.bundle = submit->setup.bundle,
		.tasks = submit->statuses,
		.totals = &submit->totals,
		.policy = submit->governor.policy,
		.enforcer = submit->governor.enforcer,
		.meter = submit->governor.meter,
		.guarantee = submit->governor.guarantee,
	};
}

const char *submit_last_words(const struct submit *submit, uint32_t task)
{
	return submit->entries[task].result.relayed.last_words;
}

uint64_t submit_lost_bytes(const struct submit *submit, uint32_t task, int *ret_error)
{
	const struct relay_end *relayed = &submit->entries[task].result.relayed;

	*ret_error = relayed->lost_error;
	return relayed->n_lost_bytes;
}

struct submit *submit_free(struct submit *submit)
{
	if (!submit)
		return NULL;
	for (size_t i = 0; i < submit->n_entries; i++) {
		struct entry *entry = &submit->entries[i];

		(void)sd_event_source_disable_unref(entry->source);
		launcher_process_forget(&entry->process);
		remote_task_done(&entry->told);
	}
	(void)sd_event_source_disable_unref(submit->begin_timer);
	(void)sd_event_source_disable_unref(submit->view_timer);
	(void)sd_event_source_disable_unref(submit->away_timer);
	submit->remote = remote_free(submit->remote);
	remote_governor_done(&submit->governor);
	(void)sd_event_unref(submit->event);
	submit->presets = preset_set_free(submit->presets);
	free(submit->statuses);
	free(submit->rows);
	free(submit);
	return NULL;
}
