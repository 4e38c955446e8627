/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>

#include "fault.h"

/* What one check of the doctor has found. */

enum finding_state {
	FINDING_OK,
	FINDING_DEGRADED, /* coregov works, but less well than it could */
	FINDING_BROKEN,   /* it does not work, or what it says cannot be relied on */
};
const char *finding_state_to_string(enum finding_state state);

struct finding {
	const char *name;
	enum finding_state state;
	char found[FAULT_TEXT_MAX];
	char remedy
		[FAULT_TEXT_MAX]; /* the command, or line of a file, that mends it; "" where ok */
};

/* Set the state and what was found. Bytes that a terminal or JSON could not take are replaced: names of
 * processes and groups are anybody's. */
void found_ok(struct finding *finding, const char *format, ...)
	__attribute__((format(printf, 2, 3)));
void found_degraded(struct finding *finding, const char *format, ...)
	__attribute__((format(printf, 2, 3)));
void found_broken(struct finding *finding, const char *format, ...)
	__attribute__((format(printf, 2, 3)));
void found_remedy(struct finding *finding, const char *format, ...)
	__attribute__((format(printf, 2, 3)));

enum finding_state findings_worst(const struct finding findings[], size_t n);

/* A line for each, and below it the remedy, or whose it is the same as. */
void findings_print(const struct finding findings[], size_t n, bool is_coloured, FILE *to);

/* {"schema":1,"worst":"degraded","checks":[{"name":...,"state":...,"found":...,"remedy":...}]}; owned by
 * the caller, NULL where memory is out. */
char *findings_json(const struct finding findings[], size_t n);
