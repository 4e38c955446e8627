/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "bundle.h"
#include "enforcer.h"
#include "fault.h"
#include "forecast.h"
#include "meter.h"
#include "policy.h"
#include "record.h"
#include "slot.h"
#include "stage.h"

/* The slot loop: observe, plan, guard, enforce, record. Knows no clock and no process: time comes in
 * as an argument, the machine through the seams. The same loop runs real bundles and simulations.
 *
 * Times are from the start of the bundle (begin 0), CPU time is that of one task since it began. */

struct governor;

struct governor_setup {
	const struct bundle *bundle; /* resolved; kept by pointer, as are the seams */
	bool is_open; /* tasks come and go: the bundle's are so many vacant seats at first, see
	               * governor_seat() */
	const struct policy *policy;
	const double *parameters; /* of the policy, see policy_setup; not kept */
	/* What is in policy_setup; not kept; NULL but for simulations. A policy that needs_future is for
	 * these only: who takes a policy's name refuses it elsewhere. */
	const double *needs_s;
	double floor_cpus; /* what an alive task gets at least, where the budget has so much for all */
	struct enforcer *enforcer;
	struct meter *meter;
	struct stage *stage;
	struct recorder *const *recorders; /* n_recorders of them */
	size_t n_recorders;
};

/* Allocates all that the slots will need. 0 or -ENOMEM. */
int governor_new(
	struct governor **ret_governor, const struct governor_setup *setup, struct fault *fault);
struct governor *governor_free(struct governor *governor);

/* One slot. now_ns never goes back; late_ns is how much later than planned the call is. 0, or a
 * negative errno where a grant could not be put into force: the run goes on, with less granted, and
 * the sentence is an event too. */
int governor_slot(
	struct governor *governor, uint64_t now_ns, uint64_t late_ns, struct fault *fault);

/* Between two slots: where a task that had a share has ended or has its outcome, what came free is
 * given on at once, by a new decision for the slot that is under way. Does nothing otherwise. Only in
 * real runs: in simulated time a share is free from the next slot. Returns as governor_slot(). */
int governor_give_on(struct governor *governor, uint64_t now_ns, struct fault *fault);

/* How a task has ended. */
struct task_end {
	int exit_status; /* as a shell would give it */
	bool is_untold; /* nobody said with which: exit_status is 0 then, and the outcome as of that */
	const char *reason; /* why it could not be started, or NULL */
	uint64_t cpu_ns; /* what its first process is known to have used, 0 where not known; counts
	                     * where the meter has seen less */
};

/* The task's first process has ended (or its curve). Its last reports are taken first. */
void governor_task_ended(
	struct governor *governor, uint32_t task, uint64_t now_ns, const struct task_end *how);

/* Tasks that come and go, of an open governor (seats.c). The bundle's task `id` is filled in before it is
 * seated, stays as it is but for what governor_replan() and governor_retarget() are told, and is free
 * again once it is vacated. */

/* A task takes a vacant seat. With begin <= now it is started at once, by the stage, and has its first
 * grant after the next governor_give_on(). Its name is not that of another seated one. */
void governor_seat(struct governor *governor, uint32_t id, uint64_t now_ns);
/* What is to be known of a task so that another governor can go on with it. Plain: may be kept as it is, and
 * be read again by the same program on the same machine. */
struct task_past {
	enum phase phase; /* of one that runs */
	enum outcome outcome;
	bool is_paused, is_background;
	uint64_t begin_ns, finish_ns; /* on the loop's clock, which goes on */
	uint64_t cpu_ns, read_ns;     /* used, and when that was read */
	uint64_t outcome_cpu_ns, wait_ns;
	struct history history;
	uint32_t n_in_a_row;
	uint64_t n_reports;
	double value, best;
	enum stop_step stop_step;
	uint64_t stop_since_ns;
};
/* Of a task that runs. */
void governor_past(const struct governor *governor, uint32_t id, struct task_past *ret_past);
/* A task that runs already takes a vacant seat, and goes on where it was. used_ns: what it has used by now, if
 * that is known, else what it had used then; what the meter says from now on comes on top. What it has reported
 * meanwhile is taken at once. Its bundle task is filled in as for governor_seat(), with begin_ns of its past. */
void governor_seat_again(struct governor *governor, uint32_t id, uint64_t now_ns,
	const struct task_past *past, uint64_t used_ns);
/* An ended task leaves; its seat is vacant. */
void governor_vacate(struct governor *governor, uint32_t id);
/* Its deadline or its threads are others. It has no outcome yet; where the deadline has come meanwhile, the
 * next look at it gives one. */
void governor_replan(struct governor *governor, uint32_t id, uint64_t now_ns);
/* Its target is another, which its next reports can meet; what it has reported of another metric is
 * forgotten. One that had none has a part in the plan from now on. It has no outcome yet. */
void governor_retarget(
	struct governor *governor, uint32_t id, uint64_t now_ns, bool is_other_metric);
/* It has no target any more: it runs on leftovers from the next decision on. It has no outcome yet. */
void governor_untarget(struct governor *governor, uint32_t id, uint64_t now_ns);
/* A running task gets nothing until it is resumed, or stopped; its deadline stays. */
void governor_pause(struct governor *governor, uint32_t id, uint64_t now_ns, bool is_paused);
/* What all tasks of one party (struct bundle_task) may get together, from the next decision on: caps[party],
 * INFINITY where there is no cap; parties beyond have none. Kept by pointer. */
void governor_set_caps(struct governor *governor, const double caps[], uint32_t n_caps);
/* What an alive task gets at least, from the next decision on. */
void governor_set_floor(struct governor *governor, double floor_cpus);
/* From the next decision on another policy decides, or the same by other parameters (NULL: the usual ones).
 * It begins without a past. 0, or -ENOMEM and the old one goes on. */
int governor_set_policy(struct governor *governor, const struct policy *policy,
	const double parameters[], struct fault *fault);
/* Ends one task, as governor_cancel() ends all. */
void governor_cancel_task(
	struct governor *governor, uint32_t id, uint64_t now_ns, enum stop_step step);

/* Gives their outcome to the tasks whose deadline has come; governor_slot() does it too. */
void governor_deadlines(struct governor *governor, uint64_t now_ns);
/* The next deadline of an alive task after now_ns, or UINT64_MAX. */
uint64_t governor_next_deadline(const struct governor *governor, uint64_t now_ns);

/* Ends everything: tasks without an outcome are cancelled. `step` is where stopping begins. */
void governor_cancel(struct governor *governor, uint64_t now_ns, enum stop_step step);

/* Every task that is there has its outcome (some may still run, on leftovers). */
bool governor_is_decided(const struct governor *governor);
/* No task is waiting or running. */
bool governor_is_done(const struct governor *governor);

/* What has become of one task, for results and views. */
struct task_status {
	enum phase phase;
	bool is_paused;
	enum outcome outcome;
	bool was_started;
	uint64_t finish_ns; /* valid with an outcome and was_started */
	uint64_t cpu_ns;    /* used until its outcome; until now where there is none */
	double value;       /* the newest report, nan where none */
	uint64_t n_reports; /* taken, not-finite ones included */
	uint64_t n_not_finite;
	double share_cpus;   /* in force */
	double counted_cpus; /* what a forecast counts on, see policy_task; 0 before it begins */
	enum why why;        /* the policy's reason for it */
	uint64_t granted_ns; /* in this slot */
	const char *feed;
};
void governor_task_status(
	const struct governor *governor, uint32_t task, struct task_status *ret_status);

/* How much CPU time a task that has a target still needs, by what it has reported so far. What the policy's
 * parameters say of those that have not is the policy's own. */
void governor_forecast(
	const struct governor *governor, uint32_t task, struct forecast *ret_forecast);

/* Sums over the slots up to the last outcome. */
struct governor_totals {
	uint64_t n_slots; /* begun before the last outcome */
	uint64_t n_late;  /* slots later than a tenth of their length */
	uint64_t worst_late_ns;
	uint64_t used_ns;
	uint64_t budget_ns;
	double granted_cpus_max;
	uint64_t excess_ns; /* ever used beyond the budget */
	uint64_t n_excess_slots;
	uint64_t n_foreign;
	uint64_t n_grant_changes;
};
void governor_totals(const struct governor *governor, struct governor_totals *ret_totals);
