/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "policy.h"

/* The plain structs that go through one slot, in their order:
 * observe -> observation, plan -> share (policy.h), guard -> grant, enforce -> enforced,
 * record -> slot_record. Nobody keeps a pointer to them into the next slot. */

/* What a task has come to. */
enum outcome {
	OUTCOME_NONE, /* waiting or alive */
	OUTCOME_LEARNED,
	OUTCOME_MISSED_DEADLINE, /* (2a) */
	OUTCOME_MISSED_TARGET,   /* (2b): ended by itself without reaching the target */
	OUTCOME_FAILED,          /* could not start, or died */
	OUTCOME_CANCELLED,
	_OUTCOME_MAX,
};
const char *outcome_to_string(enum outcome outcome);

/* Where a task is in its life. */
enum phase {
	PHASE_WAITING,  /* before begin */
	PHASE_ALIVE,    /* in the alive set */
	PHASE_YIELDED,  /* has its outcome and runs on, on leftovers */
	PHASE_STOPPING, /* asked to stop; gets leftovers to do it with */
	PHASE_ENDED,
	PHASE_VACANT, /* no task: a seat of an open governor */
	_PHASE_MAX,
};
const char *phase_to_string(enum phase phase);

/* What was seen of a task at the start of a slot. */
struct observation {
	uint32_t task;
	enum phase phase;
	uint64_t cpu_ns;        /* used since the task began */
	uint64_t used_ns;       /* of that, in the slot that just ended */
	bool has_wait;          /* does the meter know the following two? Else they are 0 */
	uint64_t wait_ns;       /* waited for a CPU in it, all threads together */
	uint32_t n_runnable;    /* threads that run or wait for a CPU now */
	double usable_cpus;     /* the most it can use in the coming slot, as judged by that */
	uint32_t n_new_reports; /* taken in this slot */
	double value;           /* the newest report, nan where none */
	double best;            /* nan where none */
	uint64_t steps_done, steps_total; /* 0 where not known */
};

/* What the guard allows one task for one slot; the only thing an enforcer sees. The guard rounds
 * down, once. Invariant over a slot: the sum of cpu_ns is at most the budget of the slot
 * (condition 1). */
struct grant {
	uint32_t task;
	uint32_t period_us; /* 0 where the enforcer has no period (simulation) */
	uint64_t quota_us;  /* CPU time per period; 0: frozen, else min_quota_us or more */
	uint64_t cpu_ns;    /* CPU time in the slot: quota * slot / period, rounded down */
	enum why why;
};

/* What an enforcer says of one application of grants. */
struct enforced {
	uint32_t n_writes;    /* knobs written */
	uint32_t n_unchanged; /* grants within the dead band of what is in force */
	uint32_t n_foreign;   /* knobs that somebody else had rewritten: reported, not fought (but a
	                         * burst is taken back); and processes that had left their group:
	                         * put back */
	uint32_t n_gone;      /* tasks that ended under our hands: normal */
};

/* One row of the record. */
struct slot_task {
	struct observation seen;
	double share_cpus; /* as the policy decided; 0 for a task outside the alive set */
	enum why why;
	struct grant grant;
};

/* A slot is late when it is made later than a tenth of its length after it was due. */
bool slot_is_late(uint64_t late_ns, uint64_t slot_ns);

struct slot_record {
	uint64_t slot;
	uint64_t now_ns;  /* start of the slot, from the start of the bundle */
	uint64_t late_ns; /* how much later than planned it was made */
	uint64_t slot_ns;
	uint64_t budget_ns;  /* of this slot, on integers */
	uint64_t granted_ns; /* the sum of the grants, <= budget_ns */
	uint64_t used_ns;    /* by all tasks in the slot before */
	uint64_t excess_ns;  /* used beyond the budget, still to be taken back */
	struct enforced enforced;
	size_t n_tasks; /* tasks that are alive, yielded or stopping */
	const struct slot_task *tasks;
};
