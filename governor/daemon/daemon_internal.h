/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

#include "daemon.h"
#include "governor.h"
#include "ledger.h"
#include "leftover.h"
#include "member.h"
#include "outlook.h"
#include "stage_member.h"

/* What the files of the daemon share: daemon.c (what is asked of it), daemon_submit.c, daemon_slots.c (what
 * happens with time), daemon_outlook.c (who will make it), daemon_tell.c, daemon_keep.c and daemon_adopt.c (from
 * one daemon to the next). Loop time counts from the daemon's start, or that of the one whose tasks it has taken
 * over, on CLOCK_MONOTONIC. */

/* A deadline that never comes: within the range of what policies compute with. */
#define LOOP_NEVER_NS (UINT64_MAX / 4)

/* What stands in the page of a task that has no target: a loss that never is met. */
#define NEVER_MET (-1e300)

/* A user with tasks that run. */
struct party {
	uid_t owner;
	uint32_t n_tasks; /* 0: nobody has this number */
};

struct daemon {
	struct daemon_setup setup;
	double parameters[POLICY_PARAMETERS_MAX]; /* of the policy, in force */
	char run[RUN_NAME_MAX];
	int claim_fd;
	struct ledger *ledger; /* NULL: none */
	bool has_past;         /* the run is one of another daemon: something may be in it */
	bool has_told_ledger;  /* that it cannot be written to */
	struct ledger_head past;
	double configured_cpus; /* the budget of the configuration in force */
	struct enforcer *enforcer;
	struct meter *meter;
	struct bundle bundle; /* a task for each seat; one step of budget and capacity */
	struct timeline_step budget_step, capacity_step;
	struct stage_member stage;
	struct recorder recorder;
	struct recorder *recorders[1];
	struct governor *governor;
	struct members members;
	struct party *parties; /* n_tasks_max of them */
	double *caps;          /* by party, for the loop */
	struct daemon_listener listener;
	sd_event_source *slot_timer, *deadline_timer, *tick_timer, *end_timer, *decider, *teller,
		*again_timer;
	uint64_t next_slot; /* number of the slot that is due next */
	uint64_t n_slots, n_missed, n_late, worst_late_ns;
	bool is_awake; /* slots are made */
	bool is_draining;
	uid_t asker; /* of what the loop is being told about a task; DAEMON_NOBODY */
	bool has_slot_to_tell;
	uint64_t n_changes; /* of grants, as of the last slot */
	size_t share_turn;  /* which of the slot's tasks is the first whose share may be told */
	double granted_cpus, used_cpus;  /* in the last slot */
	uint64_t used_ns, used_since_ns; /* used since then, not in used_cpus yet */
};

/* daemon_clock.c: now, in loop time, and on a clock. */
uint64_t daemon_now_ns(const struct daemon *daemon);
uint64_t daemon_clock_monotonic_ns(void);
uint64_t daemon_clock_ns(enum daemon_clock clock);
/* A deadline in loop time, as the clocks stand now; LOOP_NEVER_NS where there is none. */
uint64_t daemon_deadline_ns(const struct daemon *daemon, const struct daemon_deadline *deadline);
/* That of the task in a seat, for the loop, as the clocks stand now. Policies want it after its begin: where a
 * clock was set, or the machine has slept, it may have been before, and is just after it then. */
void daemon_plan_deadline(struct daemon *daemon, uint32_t seat);

/* parties.c: the party of a user that has a task more, or one less. */
uint32_t party_join(struct daemon *daemon, uid_t owner);
void party_leave(struct daemon *daemon, uint32_t party);
/* How many tasks a user may have, and has. */
struct daemon_caps party_caps(const struct daemon *daemon, uid_t owner);
uint32_t party_n_tasks(const struct daemon *daemon, uid_t owner);
/* Their caps are others. */
void parties_refresh(struct daemon *daemon);

/* daemon_keep.c: what is to be known of a task is written down for the next daemon, of all whose tasks have news,
 * or of the whole; a task that has ended is forgotten. Where that fails it is said once, and the tasks are
 * governed on. */
void daemon_keep(struct daemon *daemon, struct member *member);
void daemon_keep_news(struct daemon *daemon);
void daemon_keep_whole(struct daemon *daemon);
void daemon_keep_end(struct daemon *daemon, uint32_t seat, uint64_t number);
/* Its page is to be there for the next daemon, too. */
void daemon_keep_page(struct daemon *daemon, const struct member *member);
/* The page that a daemon before has kept of that task, or -ENOENT. */
int daemon_kept_page(struct daemon *daemon, uint64_t number);

/* daemon_adopt.c: what another daemon has left, as far as it is known before there is an enforcer: the run, the
 * clock, how many seats, the budget. */
int daemon_open_past(struct daemon *daemon, struct fault *fault);
/* And its tasks. What cannot be taken over is told of. */
void daemon_adopt(struct daemon *daemon);

/* daemon_submit.c: what the loop plans with for a member in its seat. */
void daemon_plan_task(struct daemon *daemon, struct member *member,
	const struct daemon_submission *submission, uint64_t begin_ns);
/* Watches the process of a task for its end. */
int daemon_watch(struct daemon *daemon, struct member *member, struct fault *fault);
/* 0, or -ERANGE where it has passed; -EINVAL where it is no number above 0. */
int daemon_check_deadline(const struct daemon_deadline *deadline, struct fault *fault);
int daemon_check_threads(double threads, struct fault *fault);
/* What a task can use at most, in CPUs. */
double daemon_threads_cpus(const struct daemon *daemon, double threads);

/* daemon_outlook.c: what earlier runs of the same command say of a task that has a target. */
void daemon_look_back(struct daemon *daemon, struct member *member);
enum prospect daemon_prospect(
	const struct daemon *daemon, struct member *member, const struct task_status *status);
/* What a prospect comes from, as in struct daemon_event: by all that the task has reported; once it has learned,
 * by what it had at the last look before. All nan where that is not known. */
struct outlook_numbers {
	double chance, need_s, left_s;
};
struct outlook_numbers daemon_outlook_numbers(
	const struct daemon *daemon, struct member *member, const struct task_status *status);
/* Once a slot: tells what has changed about a task's outlook. */
void daemon_look_ahead(struct daemon *daemon, struct member *member, uint64_t now_ns);

/* daemon_tell.c */
int daemon_set_up_telling(struct daemon *daemon, struct fault *fault);
void daemon_take_down_telling(struct daemon *daemon);
/* The listener is called when the event loop comes by. */
void daemon_tell_later(struct daemon *daemon);
/* Also where there is no slot. */
void daemon_tell_whole_later(struct daemon *daemon);
/* member NULL: of the whole. */
void daemon_tell_event(
	const struct daemon *daemon, struct member *member, const char *kind, const char *text);
/* Its share, where that is not known yet: before something about it is made otherwise, and a line of that kind
 * says so. */
void daemon_tell_share(const struct daemon *daemon, struct member *member, const char *before);
/* One of the whole with fields of its own. False: it was left out. */
bool daemon_tell_whole(const struct daemon *daemon, const struct daemon_event *event);
/* old_budget_cpus 0: it is no change. */
void daemon_tell_budget(
	const struct daemon *daemon, double old_budget_cpus, uid_t sender, const char *text);
/* One of the whole, or of a task of which only the name is known; name NULL: none. */
void daemon_say(const struct daemon *daemon, const char *kind, const char *name, const char *format,
	...) __attribute__((format(printf, 4, 5)));

/* daemon_slots.c */
int daemon_set_up_slots(struct daemon *daemon, struct fault *fault);
void daemon_take_down_slots(struct daemon *daemon);
/* A task is about to come: slots are made from now on, until the last has ended. */
void daemon_wake(struct daemon *daemon);
/* A slot before its time, for what cannot wait. Does nothing while nobody is there. */
void daemon_slot_now(struct daemon *daemon);
/* What has come, or came free, is given a share when the event loop has no more messages. */
void daemon_decide_soon(struct daemon *daemon);
/* The first process of a task has ended. */
void daemon_process_exited(struct daemon *daemon, struct member *member);
/* Ends the tasks of which nothing is left; or when the event loop comes by, before the next message. */
void daemon_look_for_ends(struct daemon *daemon);
void daemon_look_soon(struct daemon *daemon);
/* Something about a task is otherwise: what came free is given on, the timers are set anew. */
void daemon_after_change(struct daemon *daemon, struct member *member);
