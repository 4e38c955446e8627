/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "choice.h"
#include "curve.h"
#include "fault.h"
#include "parameter.h"
#include "quantity.h"

#define BUNDLE_TASKS_MAX 100000

struct policy;
struct schedule_row;

/* A bundle: the tasks of a period, T = {(D_k, b_k, d_k, N_t)} in Zhou 2024. The file format is the
 * contract of coregov.bundle(5). */

/* A task has a command, a curve, or both: then the command is run for real and the curve is
 * simulated. A real run of a task with a curve only is a replay of it. */
struct bundle_task {
	char *name;
	unsigned line; /* of its section, for messages */
	char **argv;   /* NULL-ended; NULL without a command. argv[0] has no slash or is absolute */
	char *curve_path;     /* resolved; NULL without a curve */
	struct curve curve;   /* read from curve_path; zeroed without one */
	char *directory;      /* resolved, absolute or relative to the caller's directory */
	char **environment;   /* NAME=value, NULL-ended; added to the caller's */
	uint64_t begin_ns;    /* from the bundle's start */
	uint64_t deadline_ns; /* > begin_ns */
	struct target target;
	double threads;     /* > 0, default 1 */
	bool finds_threads; /* threads is what there is; what it uses is found out; in no file */
	enum feed_kind feed;
	char *feed_preset;  /* for FEED_OUTPUT, else NULL: any */
	char *feed_path;    /* for FEED_FILE, resolved */
	uint32_t party;     /* whose caps it counts to, see governor_set_caps(); in no file */
	bool is_background; /* no target: no policy is asked, it runs on leftovers; in no file */
	enum at_end on_target;
	enum at_end on_deadline;
	uint64_t grace_ns; /* default 10 s */
};

/* A step function of time: the value holds from from_ns until the next step. */
struct timeline_step {
	uint64_t from_ns;
	struct share share; /* as written; CPUs after bundle_resolve() */
	unsigned line;      /* where it is written, 0: nowhere; for messages */
};

struct timeline {
	struct timeline_step *steps; /* sorted by from_ns, the first at 0 */
	size_t n_steps;
};

/* The least value in [from_ns, to_ns), in CPUs, or the value at from_ns where that is empty; only
 * after bundle_resolve(). */
double timeline_least(const struct timeline *timeline, uint64_t from_ns, uint64_t to_ns);
/* The largest value anywhere. */
double timeline_most(const struct timeline *timeline);

struct bundle {
	char *path;      /* as given */
	char *directory; /* of the file */
	unsigned line;   /* of [bundle]; also that of its keys that are not written */
	uint64_t slot_ns;
	unsigned slot_line;
	bool has_capacity;
	struct timeline capacity; /* after bundle_resolve() there is always one */
	struct timeline budget;
	char *policy; /* default "core"; known to exist */
	unsigned policy_line;
	struct parameter_choices parameters; /* of any policies */
	char *schedule_path;                 /* resolved, or NULL */
	struct schedule_row *schedule;       /* read from schedule_path, sorted by (slot, task) */
	size_t n_schedule;
	struct bundle_task *tasks; /* in the order of the file */
	size_t n_tasks;            /* 0 is a valid bundle */
};

/* Reads and checks a bundle, its curves and its schedule. 0, or a negative errno: -EBADMSG for all
 * that is wrong with the contents (the sentence has file:line, what was expected and the nearest
 * known key), -ENOENT, -EACCES, ... where a file cannot be read, -ENOMEM. Commands are not looked
 * up: a task whose command is not found fails, the others run. */
int bundle_read(const char *path, struct bundle **ret_bundle, struct fault *fault);

struct bundle *bundle_free(struct bundle *bundle);

/* What is asked of the bundle decides what is missing in it. */
enum bundle_use {
	BUNDLE_REAL,      /* refuses a budget above the capacity */
	BUNDLE_SIMULATED, /* refuses a task without a curve, and `%` without a capacity */
};

/* Turns every share into CPUs. `machine_cpus` is what the machine has (> 0), used where the bundle
 * names no capacity in a real run; in a simulation the capacity then is the budget, and
 * machine_cpus does not count. A real run's budget may be above neither the capacity nor the
 * machine. Called once. 0, -EBADMSG (the sentence has file:line) or -ENOMEM. */
int bundle_resolve(
	struct bundle *bundle, enum bundle_use use, double machine_cpus, struct fault *fault);

/* Instead of bundle_resolve(), for tasks that another governor takes: its capacity, budget and slot are
 * put in the place of the bundle's, which count for nothing then. 0 or -ENOMEM. */
int bundle_leave_to(struct bundle *bundle, double capacity_cpus, double budget_cpus,
	uint64_t slot_ns, struct fault *fault);
