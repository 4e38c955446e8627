/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

#include <limits.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "cgroup.h"
#include "fault.h"
#include "home.h"
#include "ladder.h"
#include "quantity.h"

/* What the checks look at: the answers of those that know (enforcers, meters, systemd, other runs), asked
 * once, and where to find the rest. A test fills it by hand. */

/* A task of a governor, as that says. */
struct scene_task {
	pid_t pid; /* of its first process */
	char name[TASK_NAME_MAX + 1];
	double share_cpus;
	uint32_t threads; /* the most CPUs it can use; 0: the governor finds out */
};

/* A governor that is there. */
struct scene_governor {
	const char *option;       /* by which a command calls it: "", " --system" or " --user" */
	pid_t pid;                /* 0: not known */
	int error;                /* 0, or a negative errno: it does not answer */
	char why[FAULT_TEXT_MAX]; /* where it does not */
	double budget_cpus;
	struct scene_task *tasks; /* that run; n_tasks of them */
	size_t n_tasks;
};

#define SCENE_GOVERNORS 2 /* the user's own, and the machine's */

struct scene {
	const char *root; /* before every path of /proc and /sys: "", or a test's folder */
	uid_t uid;

	bool is_booted;   /* by systemd */
	char systemd[64]; /* its version, "" where it could not be asked */

	bool has_base; /* there is a hierarchy with the cpu controller */
	struct cgroup_base base;
	bool has_home; /* on v2, where groups would be made */
	struct home_sight home;

	double n_cpus;        /* of the machine */
	int capacity_error;   /* 0, or a negative errno */
	double capacity_cpus; /* what this process may use of them */
	char capacity_why[FAULT_TEXT_MAX];

	struct ladder enforcers, meters;

	int claims_error;
	double claimed_cpus;
	char claims[FAULT_TEXT_MAX]; /* whose, or why it cannot be known */
	bool is_service_there;       /* one of them is coregovd */

	struct scene_governor governors[SCENE_GOVERNORS];
	size_t n_governors;

	int n_leftovers; /* or a negative errno */
	char leftovers[FAULT_TEXT_MAX];

	const char *learners, *library; /* folders */
	char **presets;                 /* likewise, NULL-ended, see preset_directories() */

	uint64_t n_files_max;  /* hard limit of open files */
	uint64_t locked_bytes; /* soft limit of locked memory; UINT64_MAX: none */
};

/* Asks. An allocation to be given back by scene_free(); NULL where memory is out. */
struct scene *scene_look(void);
struct scene *scene_free(struct scene *scene);
