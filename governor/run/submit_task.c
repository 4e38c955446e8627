// SPDX-License-Identifier: GPL-2.0-or-later
#include "submit_internal.h"

#include <assert.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "nsec.h"

/* What becomes of one task, as it is told and as it stands in the result. */

uint64_t submit_boottime_ns(void)
{
	struct timespec now;

	(void)clock_gettime(CLOCK_BOOTTIME, &now);
	return (uint64_t)now.tv_sec * NSEC_PER_SEC + (uint64_t)now.tv_nsec;
}

uint64_t submit_now_ns(const struct submit *submit)
{
	return nsec_sub(submit_boottime_ns(), submit->start_ns);
}

const struct bundle_task *entry_planned(const struct entry *entry)
{
	return &entry->submit->setup.bundle->tasks[entry->id];
}

void entry_tell(const struct entry *entry, const char *kind, const char *format, ...)
{
	struct recorder *view = entry->submit->setup.view;
	char text[FAULT_TEXT_MAX];
	va_list args;

	va_start(args, format);
	(void)vsnprintf(text, sizeof(text), format, args);
	va_end(args);
	view->ops->event(view, submit_now_ns(entry->submit), entry->id, kind, text);
}

enum outcome submit_outcome_of(const char *word)
{
	for (int outcome = OUTCOME_NONE + 1; outcome < _OUTCOME_MAX; outcome++)
		if (word && strcmp(word, outcome_to_string(outcome)) == 0)
			return outcome;
	return OUTCOME_NONE;
}

static void over(struct entry *entry)
{
	struct submit *submit = entry->submit;

	assert(!entry->is_over);
	entry->is_over = true;
	if (++submit->n_over == submit->n_entries) {
		(void)sd_event_exit(submit->event, 0);
		return;
	}
	/* Others may have waited for what becomes of it. */
	(void)sd_event_source_set_time(submit->begin_timer, 0);
	(void)sd_event_source_set_enabled(submit->begin_timer, SD_EVENT_ONESHOT);
}

void entry_over_with(struct entry *entry, enum outcome outcome, const char *text)
{
	entry->status.outcome = outcome;
	entry->outcome_ns = entry->status.finish_ns = submit_now_ns(entry->submit);
	if (!entry->is_outcome_told)
		entry_tell(entry, outcome_to_string(outcome), "%s", text);
	entry->is_outcome_told = true;
	over(entry);
}

void entry_tell_outcome(struct entry *entry, enum outcome outcome)
{
	const struct bundle_task *planned = entry_planned(entry);
	const struct remote_task *told = &entry->told;

	if (entry->is_outcome_told || outcome == OUTCOME_NONE)
		return;
	entry->is_outcome_told = true;
	entry->outcome_ns = submit_now_ns(entry->submit);
	if (outcome == OUTCOME_LEARNED)
		entry_tell(entry, "learned", "%s %.6g after %.3f CPU-seconds",
			planned->target.metric, told->value, (double)told->cpu_us / USEC_PER_SEC);
	else if (outcome == OUTCOME_MISSED_DEADLINE)
		entry_tell(entry, "missed-deadline",
			"deadline %.3f s passed at %s %.6g, target %.6g",
			nsec_to_seconds(planned->deadline_ns), planned->target.metric, told->value,
			planned->target.value);
	else if (outcome == OUTCOME_FAILED && entry->said[0] != '\0')
		entry_tell(entry, "failed", "%s", entry->said);
	else if (outcome == OUTCOME_CANCELLED || !entry->has_result)
		entry_tell(entry, outcome_to_string(outcome), "%s", outcome_to_string(outcome));
	else
		entry_tell(entry, outcome_to_string(outcome), "ended with status %d",
			entry->result.status);
}

/* The governor knows only whether the page is used; here it is known what else is read. */
static const char *feed_of(const struct entry *entry)
{
	if (entry->told.feed && strcmp(entry->told.feed, "shm") == 0)
		return "shm";
	if (entry->told.n_reports == 0)
		return "none";
	return entry_planned(entry)->feed == FEED_FILE ? "file" : "output";
}

/* Its launcher and the governor have both said that it has ended. */
static void settle(struct entry *entry)
{
	struct task_status *status = &entry->status;
	struct remote_task last;

	if (remote_task(entry->submit->remote, entry->told.path, &last, /* fault= */ NULL) == 0) {
		remote_task_done(&entry->told);
		entry->told = last;
	}
	*status = (struct task_status){
		.outcome = submit_outcome_of(entry->told.outcome),
		.was_started = true,
		.cpu_ns = entry->told.cpu_us * NSEC_PER_USEC,
		.value = entry->told.value,
		.n_reports = entry->told.n_reports,
		.feed = feed_of(entry),
	};
	/* It was not told: there was none. */
	if (status->outcome == OUTCOME_MISSED_TARGET && entry->has_result &&
		entry->result.status != 0 && entry->told.exit_status == REMOTE_UNTOLD)
		status->outcome = OUTCOME_FAILED;
	/* Forgotten already, by a governor with very many tasks. */
	if (status->outcome == OUTCOME_NONE)
		status->outcome = OUTCOME_FAILED;
	entry_tell_outcome(entry, status->outcome);
	status->finish_ns = status->outcome == OUTCOME_LEARNED ? entry->outcome_ns
							       : submit_now_ns(entry->submit);
	over(entry);
}

static void settle_alone(struct entry *entry)
{
	enum outcome outcome = submit_outcome_of(entry->told.outcome);

	entry->status = (struct task_status){
		.was_started = true,
		.cpu_ns = entry->told.cpu_us * NSEC_PER_USEC,
		.value = entry->told.value,
		.n_reports = entry->told.n_reports,
		.feed = feed_of(entry),
	};
	if (outcome == OUTCOME_NONE)
		outcome = entry->result.status != 0 ? OUTCOME_FAILED : OUTCOME_CANCELLED;
	entry_over_with(entry, outcome, "it has ended after the governor had gone");
}

void entry_settle(struct entry *entry)
{
	if (entry->is_over || !entry->has_launcher_ended)
		return;
	if (entry->has_ended)
		settle(entry);
	else if (entry->submit->is_gone || entry->is_lost)
		settle_alone(entry);
}
