/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

#include "policy.h"

/* What `flowcon` and `tradl` share: limits by growth efficiency, with lists of tasks; see flowcon.c. They
 * differ in what they take for growth. */

enum growth_list {
	GROWTH_NEW,        /* grows, or nobody knows yet */
	GROWTH_WATCHING,   /* has not grown enough once */
	GROWTH_COMPLETING, /* ... and again: converging */
};

struct growth_task {
	bool is_known;
	bool has_mean, has_efficiency;
	enum growth_list list;
	uint64_t mark_ns;  /* reports after this CPU time belong to the interval that runs */
	double mean;       /* of the last interval that had reports, in the metric */
	double efficiency; /* growth / CPU time, as of the last run that saw reports; >= 0 */
	double limit;      /* part of the budget, >= 0 */
};

/* Growth between two intervals: from the mean `before` to the mean `now` of the task's metric, in what unit
 * the policy likes: >= 0, at most 1e6. */
typedef double (*growth_between)(const struct policy_task *task, double before, double now);

struct policy_state {
	uint32_t n_bundle;
	double threshold;          /* alpha, 1/s */
	double floor_part;         /* beta: the floor of n tasks is 1 / (beta n) */
	double interval;           /* in slots */
	double back_off_most;      /* the interval at most, in intervals */
	double stretch;            /* the interval that runs, in intervals */
	uint64_t next_ns;          /* when the lists are gone through next */
	struct growth_task *tasks; /* n_bundle, by id; what is below, too */
	double *limits;            /* by place in the view, in CPUs */
	uint32_t *order, *scratch;
};

/* The parameters of both, in this order. */
enum {
	GROWTH_THRESHOLD,
	GROWTH_FLOOR_PART,
	GROWTH_INTERVAL,
	GROWTH_BACK_OFF,
	GROWTH_N_PARAMETERS,
};

/* As in struct policy; `values` are those of the parameters. */
int growth_new(
	struct policy_state **ret_state, const struct policy_setup *setup, const double values[]);
void growth_plan(struct policy_state *state, const struct policy_view *view, growth_between between,
	double ret_shares[], enum why ret_why[]);
void growth_forget(struct policy_state *state, uint32_t id);
void growth_free(struct policy_state *state);

/* The largest size of what has been reported, and of the target; > 0. To make values small by. */
double growth_scale(const struct policy_task *task);
