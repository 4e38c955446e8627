/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "fault.h"

/* Presets: data files that say how a training program prints its progress. Read from the preset
 * directories, each with its metrics and its test lines; users can add theirs. */

struct preset_set;

/* What a line said. */
struct preset_hit {
	const char *preset;   /* name, owned by the set */
	double value;         /* of the wanted metric; may be nan or inf */
	bool has_value;       /* false: a progress line without the wanted metric */
	uint64_t step, total; /* 0 where not said */
	double epoch;
};

/* Reads all presets of the directories (NULL-ended; a later one's file replaces an earlier one's of
 * the same name; a directory that does not exist is skipped). Malformed: -EBADMSG with file:line. */
int preset_set_read(
	struct preset_set **ret_set, const char *const directories[], struct fault *fault);
struct preset_set *preset_set_free(struct preset_set *set);

/* The NULL-ended names, sorted; owned by the set. */
const char *const *preset_set_names(const struct preset_set *set);
bool preset_set_has(const struct preset_set *set, const char *name);

/* Matches one cleaned line (no ANSI, no \r, no \n) against one preset, or against all where
 * `preset` is NULL. `metric` is the target's metric ("loss" finds the preset's own loss). */
bool preset_match(const struct preset_set *set, const char *preset, const char *metric,
	const char *line, size_t length, struct preset_hit *ret_hit);

/* Runs the test lines of every preset; 0, or -EBADMSG with a sentence naming file:line. */
int preset_set_check(const struct preset_set *set, struct fault *fault);
