/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "metric.h"
#include "preset.h"

/* One line that is a JSON object. The project's own convention is
 * {"core":1,"step":120,"total":1000,"loss":0.532,"epoch":1.2}; others print or write much the same
 * without "core". */

struct json_line_reader;

int json_line_reader_new(struct json_line_reader **ret_reader);
struct json_line_reader *json_line_reader_free(struct json_line_reader *reader);

/* False: not a JSON object. Else *ret_hit (preset, trust: untouched) has the number under the key
 * that is the choice for `metric`; the choice is kept from line to line by a reader of files and made
 * for each line by a reader of output, and its rank at the start is the rank to exceed. *ret_is_core
 * tells our own line, whose version is known. Numbers may stand in quotes. Bounded by the line's
 * length and a fixed depth. */
bool json_line_read(struct json_line_reader *reader, const char *line, size_t length,
	const char *metric, struct metric_choice *choice, struct preset_hit *ret_hit,
	bool *ret_is_core);
