/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <systemd/sd-event.h>

#include "launcher_process.h"
#include "preset.h"
#include "remote.h"
#include "submit.h"

/* What the files of a submitted run share: submit.c (the loop, the governor, and the whole), submit_start.c (how a
 * task is started) and submit_task.c (what becomes of it). */

struct entry {
	struct submit *submit;
	uint32_t id;
	struct launcher_process process;
	sd_event_source *source;
	int files[2];              /* where its streams are kept; owned until it is started */
	struct remote_task told;   /* path "" until it is accepted */
	char said[FAULT_TEXT_MAX]; /* the last that its launcher had to say */
	struct launcher_result result;
	bool is_started, has_result, has_launcher_ended, has_ended, is_over;
	bool is_outcome_told;
	bool is_lost;           /* the governor that came back does not know it */
	unsigned n_tries;       /* to submit it, in which the governor went */
	uint64_t not_before_ns; /* the next */
	uint64_t outcome_ns;    /* when it was heard */
	struct task_status status;
};

struct submit {
	struct submit_setup setup;
	struct remote *remote;
	struct remote_governor governor;
	struct remote_listener listener;
	struct preset_set *presets;
	sd_event *event;
	sd_event_source *begin_timer, *view_timer, *away_timer;
	struct slot_task *rows; /* of the view; n_entries of them */
	uint64_t seen_used_ns;  /* by all tasks, as it was last shown */
	uint64_t start_ns;      /* CLOCK_BOOTTIME */
	size_t n_entries, n_over;
	bool has_accepted; /* one of them */
	bool is_away;      /* the governor: it is waited for */
	bool is_gone;      /* for good */
	int signo;
	bool is_killing; /* a second signal has come */
	int error;       /* what ended the loop early */
	enum run_error error_kind;
	struct fault fault;
	struct governor_totals totals;
	struct task_status *statuses; /* n_entries of them */
	struct entry entries[];
};

/* CLOCK_BOOTTIME, and since the start of the run. */
uint64_t submit_boottime_ns(void);
uint64_t submit_now_ns(const struct submit *submit);

/* submit_task.c */
const struct bundle_task *entry_planned(const struct entry *entry);
void entry_tell(const struct entry *entry, const char *kind, const char *format, ...)
	__attribute__((format(printf, 3, 4)));
enum outcome submit_outcome_of(const char *word);
/* Its outcome, once. */
void entry_tell_outcome(struct entry *entry, enum outcome outcome);
/* It has never been the governor's, or the governor has gone. */
void entry_over_with(struct entry *entry, enum outcome outcome, const char *text);
/* If all has been said of it that will be said, it is over. */
void entry_settle(struct entry *entry);

/* submit_start.c: starts its launcher. 0 or a negative errno. */
int entry_start(struct entry *entry, struct fault *fault);
