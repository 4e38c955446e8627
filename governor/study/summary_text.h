/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

#include <stdio.h>

#include "summary.h"

/* A summary for people and for programs. */

struct summary_text {
	const struct summary *summary;
	const struct summary_row *rows; /* one for each name */
	const char *const *names;
	size_t n_rows;
};

/* The tables, at most 100 columns wide where the names of policies are short. */
void summary_print(const struct summary_text *text, FILE *to);

/* One JSON object on a line without a newline; given back by free(). NULL: out of memory. */
char *summary_json(const struct summary_text *text);
