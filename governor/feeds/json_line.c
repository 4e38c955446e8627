// SPDX-License-Identifier: GPL-2.0-or-later
#include "json_line.h"

#include <errno.h>
#include <json-c/json.h>
#include <limits.h>
#include <string.h>

#include "cleanup.h"

/* JSON objects, one a line, by json-c.
 *
 * The parser is kept between lines, so that a line costs no set-up; the tree of a line is freed at
 * once. Only top-level keys count: a nested object is some library's own business. Lines that do
 * not begin with `{` never reach the parser. */

#define JSON_DEPTH_MAX 8

struct json_line_reader {
	struct json_tokener *tokener;
};

static void cleanup_json(struct json_object **object)
{
	(void)json_object_put(*object);
}

int json_line_reader_new(struct json_line_reader **ret_reader)
{
	struct json_line_reader *reader = calloc(1, sizeof(*reader));

	if (!reader)
		return -ENOMEM;
	reader->tokener = json_tokener_new_ex(JSON_DEPTH_MAX);
	if (!reader->tokener) {
		free(reader);
		return -ENOMEM;
	}
	*ret_reader = reader;
	return 0;
}

struct json_line_reader *json_line_reader_free(struct json_line_reader *reader)
{
	if (reader)
		json_tokener_free(reader->tokener);
	free(reader);
	return NULL;
}

static bool json_number(struct json_object *object, double *ret_value)
{
	switch (json_object_get_type(object)) {
	case json_type_double:
	case json_type_int:
		*ret_value = json_object_get_double(object);
		return true;
	case json_type_string:
		return metric_value(json_object_get_string(object),
			(size_t)json_object_get_string_len(object), ret_value);
	default:
		return false;
	}
}

static bool is_count(double value)
{
	return value >= 0 && value < 9e15;
}

/* Takes one of the keys that say where the training is; false: another key. */
static bool take_place(const char *key, double value, struct preset_hit *hit)
{
	static const char *const steps[] = {"step", "iteration", "iter", "global_step"};
	static const char *const totals[] = {"total", "total_steps", "max_steps"};

	if (strcmp(key, "epoch") == 0) {
		hit->has_epoch = true;
		hit->epoch = value;
		return true;
	}
	for (size_t i = 0; i < ARRAY_LENGTH(steps); i++)
		if (strcmp(key, steps[i]) == 0) {
			hit->step = is_count(value) ? (uint64_t)value : 0;
			return true;
		}
	for (size_t i = 0; i < ARRAY_LENGTH(totals); i++)
		if (strcmp(key, totals[i]) == 0) {
			hit->total = is_count(value) ? (uint64_t)value : 0;
			return true;
		}
	if (strcmp(key, "samples") == 0) {
		hit->samples = is_count(value) ? (uint64_t)value : 0;
		return true;
	}
	return false;
}

static void take_key(const char *key, double value, const char *metric,
	struct metric_choice *choice, struct preset_hit *hit)
{
	if (metric_choose(choice, metric, key, strlen(key))) {
		hit->value = value;
		hit->has_value = true;
	}
	(void)take_place(key, value, hit);
}

static bool is_only_blank(const char *text, size_t length)
{
	for (size_t i = 0; i < length; i++)
		if (text[i] != ' ' && text[i] != '\t' && text[i] != '\r')
			return false;
	return true;
}

bool json_line_read(struct json_line_reader *reader, const char *line, size_t length,
	const char *metric, struct metric_choice *choice, struct preset_hit *ret_hit,
	bool *ret_is_core)
{
	_cleanup_(cleanup_json) struct json_object *object = NULL;
	struct preset_hit hit = {.epoch_from = 1};
	bool is_core = false;
	double value;
	size_t end;

	while (length > 0 && (*line == ' ' || *line == '\t')) {
		line++;
		length--;
	}
	if (length < 2 || *line != '{' || length > INT_MAX)
		return false;
	json_tokener_reset(reader->tokener);
	object = json_tokener_parse_ex(reader->tokener, line, (int)length);
	if (!object || !json_object_is_type(object, json_type_object))
		return false;
	end = json_tokener_get_parse_end(reader->tokener);
	if (!is_only_blank(line + end, length - end))
		return false;
	json_object_object_foreach(object, key, member)
	{
		if (!json_number(member, &value))
			continue;
		if (strcmp(key, "core") == 0)
			is_core = value >= 1 && value < 2;
		else
			take_key(key, value, metric, choice, &hit);
	}
	hit.preset = ret_hit->preset;
	hit.trust = ret_hit->trust;
	*ret_hit = hit;
	*ret_is_core = is_core;
	return true;
}
