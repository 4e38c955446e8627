/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "fault.h"

/* Text to value for everything that users write with a unit. All parsers are independent of the
 * locale, take the whole string or fail with -EINVAL (malformed, wrong unit) or -ERANGE (outside
 * what the type or the stated range holds), leave outputs untouched on failure, and set a sentence
 * that names the text and what was expected. None logs. */

/* A span of time: a decimal number and one of `ms s min h` ("1.5s", "45min", "0s"). Blanks
 * between number and unit are allowed; no unit is an error except for 0. Rounds to nearest ns. */
int parse_span(const char *text, uint64_t *ret_ns, struct fault *fault);

/* The same for a plain number of seconds, 0 or more: a column of a CSV file. */
int parse_seconds(const char *text, uint64_t *ret_ns, struct fault *fault);

/* A share: "1.5cpu" or "75%" (of the capacity). A plain number is an error that says so. */
#define SHARE_NUMBER_MAX 1e6
struct share {
	double number; /* CPUs, or per cent; 0 .. SHARE_NUMBER_MAX */
	bool is_percent;
};
int parse_share(const char *text, struct share *ret_share, struct fault *fault);

/* A finite decimal number, C syntax without hex, `nan` and `inf`. */
int parse_number(const char *text, double *ret_number, struct fault *fault);

/* What a program may print as a loss: a decimal number, or nan or inf in any of their spellings. A
 * number too large for a double is inf. */
int parse_measure(const char *text, double *ret_value, struct fault *fault);

/* A whole number in [least, most]. */
int parse_count(
	const char *text, uint64_t least, uint64_t most, uint64_t *ret_count, struct fault *fault);

/* What counts as learned well. */
#define METRIC_NAME_MAX 64
struct target {
	char metric[METRIC_NAME_MAX]; /* as the feed reports it; "loss" for a bare number */
	bool is_raised;               /* `>=`: the metric is to be raised */
	double value;                 /* finite */
	uint32_t in_a_row;            /* reports in a row that must meet it, >= 1 */
};

/* `loss <= 0.35`, `accuracy >= 0.9 for 3`, or a bare number: a loss. `<` and `>` are errors that
 * name the right form. */
int parse_target(const char *text, struct target *ret_target, struct fault *fault);

/* True where `value` meets the target; never for nan or inf. */
bool target_is_met(const struct target *target, double value);

/* A bundle's task name: 1 to 64 of [A-Za-z0-9._-]. */
#define TASK_NAME_MAX 64
bool task_name_is_valid(const char *name);

/* The candidate nearest to `word` by edit distance, or NULL when none is near (for "did you
 * mean"). `candidates` ends with NULL. */
const char *nearest_word(const char *word, const char *const candidates[]);

/* One of the words, which end with NULL; *ret_index is its place among them. -EINVAL with "unknown WHAT
 * 'word'", the nearest word and all of them. */
int parse_word(const char *what, const char *text, const char *const words[], size_t *ret_index,
	struct fault *fault);
