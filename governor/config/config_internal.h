/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

#include "config.h"
#include "parameter.h"

/* What the files that make up the reader of the configuration say to each other. */

/* One key. The table of them is what is read, checked, shown and compared with coregov.conf(5). */
struct config_key {
	const char *section; /* "governor", "defaults", "policy" or "user" */
	const char *key;
	const char *fallback;     /* default as a user would write it; NULL: it is not set */
	const char *unset;        /* what holds then, in words; NULL where there is a default */
	const char *least, *most; /* the range as a user would write it; NULL: the parser knows */
	const char *expected;     /* what a value is, with its unit and range */
	const char *summary;      /* what it is for: a sentence */

	/* Takes the text into `destination`, which is `offset` into the struct config, the struct
	 * config_policy or the struct config_user; what was there is replaced. NULL for a key without a default: not set.
	 * 0, or a negative errno with a sentence that does not say where. */
	int (*parse)(const struct config_key *key, const char *text, void *destination,
		struct fault *fault);
	size_t offset;
};

/* Ended by one without a key; the keys of a section stand together. */
extern const struct config_key config_keys[];

/* The keys of [policy NAME]: made of the policy's own table, in its order, and ended likewise. */
struct config_policy_keys {
	struct config_key keys[POLICY_PARAMETERS_MAX + 1];
	char fallbacks[POLICY_PARAMETERS_MAX][PARAMETER_TEXT_MAX];
	char expected[POLICY_PARAMETERS_MAX][PARAMETER_TEXT_MAX];
};
void config_policy_keys_make(struct config_policy_keys *ret_keys, const struct policy *policy);
/* Is anything in it said by a file? */
bool config_policy_is_said(const struct config_policy *policy);

/* The NULL-ended paths of the files to be read, in that order. */
int config_files_find(const struct config_setup *setup, char ***ret_paths, struct fault *fault);
char **config_files_free(char **paths);

/* All defaults, and no file. */
int config_new(struct config **ret_config, struct fault *fault);
/* Takes what a file says on top of what is there; `path` stays valid as long as the config. */
int config_take(struct config *config, const char *path, const char *text, size_t length,
	const struct config_setup *setup, struct fault *fault);
/* Turns shares into CPUs, and checks what ties keys together. */
int config_resolve(struct config *config, double machine_cpus, struct fault *fault);
