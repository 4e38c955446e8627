/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "bundle.h"
#include "ini.h"

/* What the files that make up the bundle reader say to each other. */

enum key_need {
	KEY_OPTIONAL, /* without a default: it is not there */
	KEY_DEFAULT,
	KEY_REQUIRED,
};

/* One key of a bundle file. The table of them is what is parsed and what coregov.bundle(5) says. */
struct bundle_key {
	const char *section; /* "bundle" or "task" */
	const char *key;
	enum key_need need;
	const char *fallback; /* default as a user would write it, for KEY_DEFAULT */
	const char *expected; /* what a value is, for messages */

	/* Takes the value into `destination`, which is `offset` into the struct bundle or the struct
	 * bundle_task. 0, or a negative errno with a sentence that does not say where. */
	int (*parse)(const struct bundle *bundle, const struct ini_key *key, void *destination,
		struct fault *fault);
	size_t offset;
};

/* Ended by one without a key. */
extern const struct bundle_key bundle_keys[];

/* The keys of a section, NULL-ended, for "did you mean". */
#define BUNDLE_KEYS_MAX 32
void bundle_key_names(const char *section, const char *ret_names[static BUNDLE_KEYS_MAX]);

/* The value that holds from 0 on; replaces the one there is. */
int timeline_set_start(struct timeline *timeline, const struct share *share, unsigned line);
/* Reads a section of `TIME = SHARE` lines into a timeline that may have a value at 0 already, which
 * a line `0s = SHARE` replaces; sorts it. The sentence has file:line. */
int timeline_read(struct timeline *timeline, const struct ini *ini,
	const struct ini_section *section, struct fault *fault);
/* A capacity is in CPUs, above 0, and known from 0 on. */
int timeline_check_capacity(const struct timeline *timeline, const char *path, struct fault *fault);
void timeline_done(struct timeline *timeline);

/* All but the files that the bundle names: curves and schedule are not read. */
int bundle_parse(const char *path, const char *text, size_t length, struct bundle **ret_bundle,
	struct fault *fault);

/* Reads bundle->schedule_path into bundle->schedule; the tasks are known by then. */
int schedule_read(struct bundle *bundle, struct fault *fault);
/* The same from memory. */
int schedule_parse(struct bundle *bundle, const char *path, const char *text, size_t length,
	struct fault *fault);
