/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

#define PCRE2_CODE_UNIT_WIDTH 8
#include <pcre2.h>
#include <stdbool.h>
#include <stddef.h>

#include "json_line.h"
#include "preset.h"

/* Shared by preset_read.c (text to struct), preset.c (matching) and preset_check.c (test lines). */

/* What a named group of `match` says; any other group is a metric. */
enum place {
	PLACE_STEP,
	PLACE_STEP0,
	PLACE_TOTAL,
	PLACE_EPOCH,
	PLACE_EPOCH0,
	PLACE_EPOCHS,
	PLACE_BATCH,
	PLACE_BATCH0,
	PLACE_BATCHES,
	PLACE_SAMPLES,
	PLACE_PERCENT,
	_PLACE_MAX,
};

struct preset_group {
	char *name;
	uint32_t number;
};

struct preset_line {
	pcre2_code *match;          /* NULL: every line */
	pcre2_code *pair;           /* NULL: the metrics are groups of `match` */
	bool needs_metric;          /* no hit without the wanted metric */
	uint32_t place[_PLACE_MAX]; /* numbers of groups, 0: not there */
	struct preset_group *metrics;
	size_t n_metrics;
	uint32_t pair_set, pair_name, pair_value; /* numbers of groups; set may be 0 */
};

struct preset_expected {
	char *key; /* a place or a metric */
	double value;
	unsigned line;
};

struct preset_test {
	char *text; /* may hold any byte but NUL */
	bool matches;
	unsigned line; /* of the section */
	struct preset_expected *expected;
	size_t n_expected;
};

enum preset_kind {
	PRESET_REGEX,
	PRESET_CORE, /* the project's own JSON line */
	PRESET_JSON,
};

struct preset {
	enum preset_kind kind;
	char *name;
	char *path; /* NULL where built in */
	unsigned trust;
	char **loss;   /* NULL-ended; see preset.h */
	char **raised; /* NULL-ended */
	struct preset_line *lines;
	size_t n_lines;
	struct preset_test *tests;
	size_t n_tests;
};

struct preset_set {
	struct preset **presets; /* in the order in which they are tried */
	size_t n_presets;
	const char **names;
	pcre2_match_context *limits;
	pcre2_match_data *groups[2]; /* scratch, for `match` and for `pair` */
	struct json_line_reader *json;
};

#define PRESET_GROUPS_MAX 64

/* 0 and a new preset, or a negative errno with file:line. */
int preset_read(
	const char *name, const char *path, struct preset **ret_preset, struct fault *fault);
/* One of those that are code. */
int preset_built_in(enum preset_kind kind, struct preset **ret_preset);
struct preset *preset_free(struct preset *preset);

bool preset_match_one(const struct preset_set *set, const struct preset *preset, const char *metric,
	const char *line, size_t length, struct preset_hit *ret_hit);
