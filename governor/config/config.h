/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/types.h>

#include "bundle.h"
#include "fault.h"
#include "policy.h"
#include "quantity.h"

/* The governor's configuration: the contract of coregov.conf(5). Read from all its files into one
 * plain struct, or not at all: who loads it again while the governor runs keeps the old one whole
 * where the new one is wrong. Reading changes nothing and needs no governor. */

#define CONFIG_KEYS_MAX 24
#define CONFIG_FILES_MAX 1000
#define CONFIG_USERS_MAX 1000

/* Where a value comes from. */
struct config_setting {
	char *text;       /* as written; NULL: the default holds */
	const char *path; /* one of config.files; NULL: the default */
	unsigned line;
};

/* A number of CPUs that may be written as a part of the capacity. */
struct config_share {
	bool is_set; /* always, where the key has a default */
	struct share written;
	double cpus; /* NAN: a part of a capacity that is not known, see config_setup.machine_cpus */
};

/* [user NAME] or [user UID]. */
struct config_user {
	char *name; /* as written */
	bool is_uid;
	uid_t uid; /* where is_uid */
	struct config_share cpus;
	struct {
		bool is_set;
		uint32_t most;
	} tasks;
	struct config_setting settings[CONFIG_KEYS_MAX]; /* beside config_keys[] */
};

/* [policy NAME]. */
struct config_policy {
	const struct policy *policy;
	double parameters[POLICY_PARAMETERS_MAX];              /* beside the policy's table */
	struct config_setting settings[POLICY_PARAMETERS_MAX]; /* likewise */
};

struct config {
	/* [governor] */
	struct config_share capacity; /* not set: what the machine gives */
	struct config_share budget;
	uint64_t slot_ns;
	const struct policy *policy;
	const char *enforcer; /* static; NULL: the best that works */
	const char *meter;    /* likewise */
	struct config_share floor;
	uint32_t n_tasks_max;
	uint32_t n_user_tasks_max;
	struct config_share user_cpus; /* not set: no cap */
	char **presets;                /* absolute paths, NULL-ended; NULL: none */

	/* [defaults] of tasks that are submitted */
	enum at_end on_target, on_deadline; /* stop or yield */
	uint64_t grace_ns;
	struct {
		bool is_auto;
		double cpus; /* > 0 where not */
	} threads;

	struct config_policy *policies; /* those that have parameters, in the order of policies[] */
	size_t n_policies;

	struct config_user *users; /* in the order in which they were first named */
	size_t n_users;

	double capacity_cpus; /* the key's, or the machine's; NAN where neither is known */
	char **files;         /* that were read, in that order; NULL-ended */
	struct config_setting settings[CONFIG_KEYS_MAX]; /* beside config_keys[] */
};

struct config_setup {
	const char *root;    /* put before all paths, for tests and images; NULL: none */
	bool is_user;        /* a user's own governor: reads the user's files, too */
	double machine_cpus; /* what the machine gives, > 0; 0: not known, then nothing is compared
	                      * with it */
	/* Called with each line that says what is ignored: an unknown section or key. NULL: nobody
	 * wants to know. */
	void (*say)(const char *format, ...) __attribute__((format(printf, 1, 2)));
};

/* 0, or a negative errno: -EBADMSG for all that is wrong with the contents (the sentence has
 * file:line, what was expected and the nearest known word), -EACCES, -EISDIR, ... where a file that
 * is there cannot be read, -ENOENT where the root is not there or nothing says where the user's
 * files are, -E2BIG, -ENOMEM. Without a single file all defaults hold. */
int config_load(struct config **ret_config, const struct config_setup *setup, struct fault *fault);
struct config *config_free(struct config *config);

/* The parameters of the policy that decides, beside its table; NULL: it has none. */
const double *config_parameters(const struct config *config);
/* Would a plan be the same by both? */
bool config_decides_alike(const struct config *a, const struct config *b);

/* The caps of one user: those of [user UID], else of [user NAME], else those for everybody. `name`
 * may be NULL where it has none. */
struct config_caps {
	double cpus; /* INFINITY: no cap */
	uint32_t n_tasks;
};
struct config_caps config_caps(const struct config *config, uid_t uid, const char *name);
/* Is anybody called by name there? Else nobody's need be found out, which may take a while. */
bool config_names_users(const struct config *config);

/* What a governor that runs goes by, where that can be other than what its configuration says: it was changed
 * since, or takes effect when it is started next. */
struct config_force {
	double budget_cpus, capacity_cpus;
	uint64_t slot_ns;
	const char *policy, *enforcer, *meter;
};

/* All keys, with the value that holds and where it comes from; as a configuration file that can be read
 * back, or one JSON object, see coregov-show-config(1). force: of the governor that has loaded it; NULL: none
 * has. */
void config_print(const struct config *config, const struct config_force *force, FILE *to);
/* Given back by free(); NULL: no memory. */
char *config_json(const struct config *config, const struct config_force *force);
/* The keys whose values are not the same in both, such as "budget, policy, [user anna] per-user-cpus"; cut where
 * there is no room, "" where there are none. */
void config_differences(
	const struct config *a, const struct config *b, char *ret_text, size_t n_text);
