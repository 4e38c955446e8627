/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

#include "daemon.h"
#include "governor.h"
#include "leftover.h"
#include "member.h"
#include "stage_member.h"

/* What the files of the daemon share: daemon.c (what is asked of it), daemon_submit.c, daemon_slots.c (what happens with
 * time). Loop time counts from the daemon's start, on CLOCK_MONOTONIC. */

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
	char run[RUN_NAME_MAX];
	int claim_fd;
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
	sd_event_source *slot_timer, *deadline_timer, *tick_timer, *end_timer, *teller;
	uint64_t next_slot; /* number of the slot that is due next */
	bool is_awake;      /* slots are made */
	bool is_draining;
	bool has_slot_to_tell;
	double granted_cpus, used_cpus; /* in the last slot */
};

/* Now, in loop time, and on a clock. */
uint64_t daemon_now_ns(const struct daemon *daemon);
uint64_t daemon_clock_monotonic_ns(void);
uint64_t daemon_clock_ns(enum daemon_clock clock);
/* A deadline in loop time, as the clocks stand now; LOOP_NEVER_NS where there is none. */
uint64_t daemon_deadline_ns(const struct daemon *daemon, const struct daemon_deadline *deadline);

/* parties.c: the party of a user that has a task more, or one less. */
uint32_t party_join(struct daemon *daemon, uid_t owner);
void party_leave(struct daemon *daemon, uint32_t party);
/* How many tasks a user may have, and has. */
struct daemon_caps party_caps(const struct daemon *daemon, uid_t owner);
uint32_t party_n_tasks(const struct daemon *daemon, uid_t owner);

/* daemon_submit.c: 0, or -ERANGE where it has passed; -EINVAL where it is no number above 0. */
int daemon_check_deadline(const struct daemon_deadline *deadline, struct fault *fault);
int daemon_check_threads(double threads, struct fault *fault);
/* What a task can use at most, in CPUs. */
double daemon_threads_cpus(const struct daemon *daemon, double threads);

int daemon_set_up_slots(struct daemon *daemon, struct fault *fault);
void daemon_take_down_slots(struct daemon *daemon);
/* A task is about to come: slots are made from now on, until the last has ended. */
void daemon_wake(struct daemon *daemon);
/* A slot before its time, for what cannot wait. Does nothing while nobody is there. */
void daemon_slot_now(struct daemon *daemon);
/* The first process of a task has ended. */
void daemon_process_exited(struct daemon *daemon, struct member *member);
/* Ends the tasks of which nothing is left. */
void daemon_look_for_ends(struct daemon *daemon);
/* Something about a task is otherwise: what came free is given on, the timers are set anew. */
void daemon_after_change(struct daemon *daemon, struct member *member);
/* The listener is called when the event loop comes by. */
void daemon_tell_later(struct daemon *daemon);
