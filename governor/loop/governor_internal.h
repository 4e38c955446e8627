/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

#include "cleanup.h"
#include "demand.h"
#include "governor.h"
#include "guard.h"
#include "history.h"

/* What the files of the loop share: governor.c (the order of a slot), task.c (the life of a task),
 * totals.c (the sums of a run). */

/* One task at run time. What is planned for it is in bundle->tasks[id]. */
struct task {
	enum phase phase;
	enum outcome outcome;
	bool was_started;
	bool is_paused;
	bool is_background;                 /* has no target: runs on leftovers from the start */
	uint64_t finish_ns;                 /* target met, else ended */
	uint64_t past_cpu_ns, past_wait_ns; /* what it has had under another governor */
	uint64_t cpu_ns;                    /* used, as of the last reading of the meter */
	uint64_t read_ns;                   /* when that was */
	uint64_t slot_cpu_ns;               /* used, as of the last record */
	uint64_t final_cpu_ns;              /* known at its end, see struct task_end */
	uint32_t n_unread;                  /* readings of the meter in a row that failed */
	bool has_wait;                      /* does the meter know the following two? */
	uint64_t wait_ns;                   /* waited for a CPU, as of the last reading */
	uint32_t n_runnable;                /* as of the last reading */
	uint64_t slot_wait_ns;              /* waited, as of the last record */
	uint64_t outcome_cpu_ns;            /* used when it got its outcome */
	struct history history;
	struct progress_facts facts;
	uint32_t n_in_a_row;    /* newest reports that meet the target */
	uint32_t n_new_reports; /* since the last record */
	uint64_t n_reports;
	double value, best; /* nan where none */
	enum stop_step stop_step;
	uint64_t stop_since_ns;
	double share_cpus; /* in force */
	enum why why;      /* likewise */
	uint64_t granted_ns;
	struct demand demand;
	/* Since the last look at its demand: for how long it had a grant, and what that came to; and what
	 * it had used and waited by then. */
	uint64_t given_ns, given_cpu_ns, demand_cpu_ns, demand_wait_ns;
};

struct governor {
	struct governor_setup setup;
	uint32_t n_tasks;  /* seats, where it is open */
	uint32_t n_seated; /* tasks that are there: all, or those in a seat */
	struct task *tasks;
	uint32_t *order;     /* ids of the n_seated by (begin, name) */
	uint32_t n_admitted; /* of `order`, how many have had their begin */
	uint32_t n_decided;  /* with an outcome */
	uint32_t n_ended;
	struct policy_state *policy_state;
	const struct policy *leftovers; /* `equal`, among those that yield or stop */
	struct policy_state *leftovers_state;
	struct guard *guard;
	double budget_cpus; /* in force at the enforcer */
	const double *caps; /* by party */
	uint32_t n_caps;
	uint64_t n_slots;
	uint64_t decided_ns;     /* when the grants in force were decided */
	double slot_budget_cpus; /* of the slot in force */
	uint64_t demand_ns;      /* when the demand was last looked at */
	bool has_news; /* a task that had a share has ended or stopped since, or one came */

	/* Scratch of a slot, room for every task. */
	struct policy_task *view_tasks;
	double *shares;
	/* By party, for as many as there may be tasks: what a plan gives it, what it has of all plans, and
	 * what each of its tasks that stop has at least. */
	double *party_cpus, *party_taken, *party_least;
	enum why *whys;
	struct guard_input *inputs;
	struct grant *grants;
	struct slot_task *rows;

	/* Sums of the run; `settled` is their state as of the last outcome. */
	uint64_t used_ns, budget_ns;
	uint64_t slot_used_ns; /* used_ns as of the last record */
	bool has_unsettled;    /* an outcome since they were settled */
	uint64_t n_late, worst_late_ns;
	double granted_cpus_max;
	uint64_t n_missed_told; /* what the meter could not count, as last told */
	uint64_t excess_ns, excess_seen_ns, n_excess_slots, n_foreign, n_grant_changes;
	struct {
		uint64_t n_slots, used_ns, budget_ns;
	} settled;
};

DEFINE_CLEANUP_FUNC(struct governor, governor_free)

/* task.c */
void task_init(struct task *task);
bool task_is_running(const struct task *task);
bool task_is_alive(const struct task *task);
bool task_is_leftover(const struct task *task); /* runs on leftovers: yields or stops */
/* These two have part in the plan; one that is paused has not. */
bool task_is_planned(const struct task *task);
bool task_has_leftovers(const struct task *task);
bool task_is_paused(const struct task *task);
/* Reads the meter and the reports; gives the outcome `learned` where the target was met in time. */
void task_observe(struct governor *governor, uint32_t id, uint64_t now_ns);
void task_start(struct governor *governor, uint32_t id, uint64_t now_ns);
/* The deadline has come without the target. */
void task_too_late(struct governor *governor, uint32_t id, uint64_t now_ns);
/* The next step of stopping, once the grace time of the last one is over. */
void task_stop_further(struct governor *governor, uint32_t id, uint64_t now_ns);
void task_cancel(struct governor *governor, uint32_t id, uint64_t now_ns, enum stop_step step);

/* governor.c */
int compare_arrival(const void *a, const void *b, void *bundle);
/* Starts the tasks whose begin has come. */
void governor_admit(struct governor *governor, uint64_t now_ns);

void record_event(struct governor *governor, uint64_t now_ns, uint32_t task, const char *kind,
	const char *format, ...) __attribute__((format(printf, 5, 6)));

/* plan.c */
/* What a task can use in the coming slot, at most. */
double governor_usable_cpus(const struct governor *governor, uint32_t id);
/* Shares for the tasks that run, into governor->inputs. Returns how many they are. */
size_t governor_plan(struct governor *governor, uint64_t now_ns, double budget_cpus);

/* totals.c */
/* Slots before number `slot` that were not made count with their budget: they have passed. */
void totals_miss(struct governor *governor, uint64_t slot);
void totals_count(struct governor *governor, const struct slot_record *slot);
/* Where there was an outcome: the sums up to here are those of the run so far. */
void totals_settle(struct governor *governor);
