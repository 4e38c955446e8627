// SPDX-License-Identifier: GPL-2.0-or-later
#include "finding.h"

#include <assert.h>
#include <json-c/json.h>
#include <stdarg.h>
#include <string.h>

#include "cleanup.h"
#include "text_file.h"

/* A finding is two sentences and a word. The words are part of the interface: scripts match them, and
 * the exit status is the number of the worst. */

static const char *const state_names[] = {
	[FINDING_OK] = "ok",
	[FINDING_DEGRADED] = "degraded",
	[FINDING_BROKEN] = "broken",
};

static const char *const state_colours[] = {
	[FINDING_OK] = "\x1b[32m",
	[FINDING_DEGRADED] = "\x1b[33m",
	[FINDING_BROKEN] = "\x1b[31m",
};

#define STATE_WIDTH 8 /* of "degraded" */
#define COLOUR_END "\x1b[0m"

const char *finding_state_to_string(enum finding_state state)
{
	assert((size_t)state < ARRAY_LENGTH(state_names));
	return state_names[state];
}

static void make_printable(char *text)
{
	size_t length = strlen(text), valid;

	while ((valid = text_utf8_valid(text, length)) < length)
		text[valid] = '?';
	for (size_t i = 0; i < length; i++)
		if ((unsigned char)text[i] < ' ' || text[i] == '\x7f')
			text[i] = '?';
}

static void set(char ret_text[static FAULT_TEXT_MAX], const char *format, va_list args)
	__attribute__((format(printf, 2, 0)));
static void set(char ret_text[static FAULT_TEXT_MAX], const char *format, va_list args)
{
	(void)vsnprintf(ret_text, FAULT_TEXT_MAX, format, args);
	make_printable(ret_text);
}

/* The three differ in the state only, but a format attribute wants functions. */
#define DEFINE_FOUND(name, its_state)                                       \
	void found_##name(struct finding *finding, const char *format, ...) \
	{                                                                   \
		va_list args;                                               \
                                                                            \
		finding->state = its_state;                                 \
		va_start(args, format);                                     \
		set(finding->found, format, args);                          \
		va_end(args);                                               \
	}

DEFINE_FOUND(ok, FINDING_OK)
DEFINE_FOUND(degraded, FINDING_DEGRADED)
DEFINE_FOUND(broken, FINDING_BROKEN)

void found_remedy(struct finding *finding, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	set(finding->remedy, format, args);
	va_end(args);
}

enum finding_state findings_worst(const struct finding findings[], size_t n)
{
	enum finding_state worst = FINDING_OK;

	for (size_t i = 0; i < n; i++)
		if (findings[i].state > worst)
			worst = findings[i].state;
	return worst;
}

static int name_width(const struct finding findings[], size_t n)
{
	size_t width = 0;

	for (size_t i = 0; i < n; i++)
		if (strlen(findings[i].name) > width)
			width = strlen(findings[i].name);
	return (int)width;
}

/* In full once: one cause often shows in several lines. */
static void print_remedy(const struct finding findings[], size_t i, int width, FILE *to)
{
	int indent = STATE_WIDTH + 2 + width + 2;

	for (size_t before = 0; before < i; before++) {
		if (strcmp(findings[before].remedy, findings[i].remedy) != 0)
			continue;
		(void)fprintf(to, "%*s-> as for %s\n", indent, "", findings[before].name);
		return;
	}
	(void)fprintf(to, "%*s-> %s\n", indent, "", findings[i].remedy);
}

void findings_print(const struct finding findings[], size_t n, bool is_coloured, FILE *to)
{
	int width = name_width(findings, n);

	for (size_t i = 0; i < n; i++) {
		const struct finding *finding = &findings[i];

		(void)fprintf(to, "%s%-*s%s  %-*s  %s\n",
			is_coloured ? state_colours[finding->state] : "", STATE_WIDTH,
			finding_state_to_string(finding->state), is_coloured ? COLOUR_END : "",
			width, finding->name, finding->found);
		if (finding->remedy[0])
			print_remedy(findings, i, width, to);
	}
}

static struct json_object *json_of(const struct finding *finding)
{
	struct json_object *json = json_object_new_object();

	json_object_object_add(json, "name", json_object_new_string(finding->name));
	json_object_object_add(
		json, "state", json_object_new_string(finding_state_to_string(finding->state)));
	json_object_object_add(json, "found", json_object_new_string(finding->found));
	json_object_object_add(json, "remedy",
		finding->remedy[0] ? json_object_new_string(finding->remedy) : NULL);
	return json;
}

char *findings_json(const struct finding findings[], size_t n)
{
	struct json_object *json = json_object_new_object(), *checks = json_object_new_array();
	const char *text, *worst = finding_state_to_string(findings_worst(findings, n));
	char *copy;

	json_object_object_add(json, "schema", json_object_new_int(1));
	json_object_object_add(json, "worst", json_object_new_string(worst));
	for (size_t i = 0; i < n; i++)
		json_object_array_add(checks, json_of(&findings[i]));
	json_object_object_add(json, "checks", checks);
	text = json_object_to_json_string_ext(
		json, JSON_C_TO_STRING_PLAIN | JSON_C_TO_STRING_NOSLASHESCAPE);
	copy = text ? strdup(text) : NULL;
	json_object_put(json);
	return copy;
}
