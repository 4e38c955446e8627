// SPDX-License-Identifier: GPL-2.0-or-later
#include "preset_internal.h"

#include <assert.h>
#include <ctype.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "cleanup.h"
#include "ini.h"
#include "metric.h"
#include "quantity.h"

/* Preset files to struct preset, in the syntax of ini.h; preset.h has an example.
 *
 * Everything a user can get wrong is found here and told with file:line: an unknown key, a regex
 * that does not compile, groups that say nothing. A regex is compiled with a definition of
 * (?&number) before it, so that no preset spells numbers its own way. Bytes, not UTF-8: progress
 * bars get cut in the middle of a character. */

#define NUMBER                                                                          \
	"(?(DEFINE)(?<number>[-+]?(?:(?:\\d++\\.?\\d*+|\\.\\d++)(?:[eEdD][-+]?\\d++)?+" \
	"|(?i:nan|inf(?:inity)?)(?![A-Za-z]))))"

#define TRUST_DEFAULT 50
#define TRUST_MAX 99
#define TRUST_CORE 100
#define TRUST_JSON 45

static const char *const place_names[] = {
	[PLACE_STEP] = "step",
	[PLACE_STEP0] = "step0",
	[PLACE_TOTAL] = "total",
	[PLACE_EPOCH] = "epoch",
	[PLACE_EPOCH0] = "epoch0",
	[PLACE_EPOCHS] = "epochs",
	[PLACE_BATCH] = "batch",
	[PLACE_BATCH0] = "batch0",
	[PLACE_BATCHES] = "batches",
	[PLACE_SAMPLES] = "samples",
	[PLACE_PERCENT] = "percent",
};
static_assert(sizeof(place_names) == _PLACE_MAX * sizeof(place_names[0]), "a name for each place");

static void cleanup_ini(struct ini **ini)
{
	(void)ini_free(*ini);
}

static void cleanup_preset(struct preset **preset)
{
	(void)preset_free(*preset);
}

static char **list_free(char **list)
{
	for (char **word = list; word && *word; word++)
		free(*word);
	free(list);
	return NULL;
}

struct preset *preset_free(struct preset *preset)
{
	if (!preset)
		return NULL;
	for (size_t i = 0; i < preset->n_lines; i++) {
		struct preset_line *line = &preset->lines[i];

		pcre2_code_free(line->match);
		pcre2_code_free(line->pair);
		for (size_t k = 0; k < line->n_metrics; k++)
			free(line->metrics[k].name);
		free(line->metrics);
	}
	for (size_t i = 0; i < preset->n_tests; i++) {
		for (size_t k = 0; k < preset->tests[i].n_expected; k++)
			free(preset->tests[i].expected[k].key);
		free(preset->tests[i].expected);
		free(preset->tests[i].text);
	}
	free(preset->lines);
	free(preset->tests);
	list_free(preset->loss);
	list_free(preset->raised);
	free(preset->name);
	free(preset->path);
	free(preset);
	return NULL;
}

static int bad(const struct ini *ini, unsigned line, struct fault *fault, const char *why)
{
	return fault_set(fault, -EBADMSG, "%s:%u: %s", ini->path, line, why);
}

/* The value without its quotes: '...' as it stands, "..." with \" \\ \t and \e. */
static int unquote(const char *value, char **ret_text)
{
	static const char escapes[][2] = {{'t', '\t'}, {'e', '\033'}, {'b', '\b'}};
	size_t length = strlen(value), n = 0;
	char quote = value[0];
	char *text;

	if ((quote != '\'' && quote != '"') || length < 2 || value[length - 1] != quote) {
		text = strdup(value);
		*ret_text = text;
		return text ? 0 : -ENOMEM;
	}
	text = malloc(length);
	if (!text)
		return -ENOMEM;
	for (size_t i = 1; i < length - 1; i++) {
		char c = value[i];

		if (c == '\\' && quote == '"' && i + 1 < length - 1) {
			c = value[++i];
			for (size_t k = 0; k < ARRAY_LENGTH(escapes); k++)
				if (c == escapes[k][0]) {
					c = escapes[k][1];
					break;
				}
		}
		text[n++] = c;
	}
	text[n] = '\0';
	*ret_text = text;
	return 0;
}

/* "a, b" to a NULL-ended list. */
static int list_parse(const char *value, char ***ret_list)
{
	size_t n = 1, n_words = 0;
	char **list;

	for (const char *c = value; *c; c++)
		n += *c == ',';
	list = calloc(n + 1, sizeof(*list));
	if (!list)
		return -ENOMEM;
	while (*value) {
		size_t length;

		value += strspn(value, ", \t");
		length = strcspn(value, ",");
		while (length > 0 && isspace((unsigned char)value[length - 1]))
			length--;
		if (length == 0)
			break;
		list[n_words] = strndup(value, length);
		if (!list[n_words++]) {
			list_free(list);
			return -ENOMEM;
		}
		value += strcspn(value, ",");
	}
	list_free(*ret_list);
	*ret_list = list;
	return 0;
}

static int regex_parse(const struct ini *ini, const struct ini_key *key, pcre2_code **ret_code,
	struct fault *fault)
{
	_cleanup_free_ char *text = NULL, *whole = NULL;
	PCRE2_UCHAR why[128];
	PCRE2_SIZE at;
	uint32_t n_groups;
	int r, error;

	r = unquote(key->value, &text);
	if (r < 0)
		return r;
	if (asprintf(&whole, "%s%s", NUMBER, text) < 0)
		return -ENOMEM;
	*ret_code = pcre2_compile((PCRE2_SPTR)whole, PCRE2_ZERO_TERMINATED,
		PCRE2_USE_OFFSET_LIMIT | PCRE2_NEVER_UTF | PCRE2_NEVER_BACKSLASH_C, &error, &at,
		/* context= */ NULL);
	if (!*ret_code) {
		(void)pcre2_get_error_message(error, why, sizeof(why));
		return fault_set(fault, -EBADMSG, "%s:%u: %s: %s at byte %zu of the regex",
			ini->path, key->line, key->key, (const char *)why,
			at > strlen(NUMBER) ? (size_t)at - strlen(NUMBER) : 0);
	}
	(void)pcre2_pattern_info(*ret_code, PCRE2_INFO_CAPTURECOUNT, &n_groups);
	if (n_groups >= PRESET_GROUPS_MAX)
		return bad(ini, key->line, fault, "more than 60 groups in a regex");
	return 0;
}

/* The number of a named group, 0 where it is not there. */
static uint32_t group_number(const pcre2_code *code, const char *name)
{
	int number = pcre2_substring_number_from_name(code, (PCRE2_SPTR)name);

	return number > 0 ? (uint32_t)number : 0;
}

/* The named groups of `match` that are no places are metrics. */
static int take_groups(struct preset_line *line)
{
	uint32_t n, size;
	const unsigned char *table;

	(void)pcre2_pattern_info(line->match, PCRE2_INFO_NAMECOUNT, &n);
	(void)pcre2_pattern_info(line->match, PCRE2_INFO_NAMEENTRYSIZE, &size);
	(void)pcre2_pattern_info(line->match, PCRE2_INFO_NAMETABLE, &table);
	line->metrics = calloc(n + 1, sizeof(*line->metrics));
	if (!line->metrics)
		return -ENOMEM;
	for (uint32_t i = 0; i < n; i++, table += size) {
		/* Two bytes of number, then the name: pcre2api(3). */
		struct preset_group group = {.number = (uint32_t)(table[0] << 8 | table[1])};
		const char *name = (const char *)table + 2;
		size_t place;

		for (place = 0; place < _PLACE_MAX; place++)
			if (strcmp(name, place_names[place]) == 0)
				break;
		if (place < _PLACE_MAX)
			line->place[place] = group.number;
		if (place < _PLACE_MAX || strcmp(name, "number") == 0)
			continue;
		group.name = strdup(name);
		if (!group.name)
			return -ENOMEM;
		line->metrics[line->n_metrics++] = group;
	}
	return 0;
}

static int line_parse(const struct ini *ini, const struct ini_section *section,
	struct preset_line *line, struct fault *fault)
{
	static const char *const known[] = {"match", "pair", "needs", NULL};
	const struct ini_key *match = ini_find(section, "match"), *pair = ini_find(section, "pair");
	const struct ini_key *needs = ini_find(section, "needs");
	int r = 0;

	for (size_t i = 0; i < section->n_keys; i++)
		if (&section->keys[i] != match && &section->keys[i] != pair &&
			&section->keys[i] != needs)
			return ini_unknown_key(ini, section, &section->keys[i], known, fault);
	if (!match && !pair)
		return bad(ini, section->line, fault, "a line needs `match`, `pair` or both");
	if (needs && strcmp(needs->value, "metric") != 0)
		return bad(ini, needs->line, fault, "expected `needs = metric`");
	line->needs_metric = !match || needs;
	if (match)
		r = regex_parse(ini, match, &line->match, fault);
	if (r == 0 && pair)
		r = regex_parse(ini, pair, &line->pair, fault);
	if (r == 0 && match)
		r = take_groups(line);
	if (r < 0)
		return r;
	if (pair) {
		line->pair_set = group_number(line->pair, "set");
		line->pair_name = group_number(line->pair, "name");
		line->pair_value = group_number(line->pair, "value");
		if (line->pair_name == 0 || line->pair_value == 0)
			return bad(ini, pair->line, fault,
				"`pair` needs the groups (?<name>...) and (?<value>...)");
	}
	return 0;
}

static int expected_parse(const struct ini *ini, const struct ini_key *key,
	struct preset_expected *expected, struct fault *fault)
{
	expected->line = key->line;
	if (!metric_value(key->value, strlen(key->value), &expected->value))
		return bad(ini, key->line, fault, "expected a number");
	expected->key = strdup(key->key);
	return expected->key ? 0 : -ENOMEM;
}

static int test_parse(const struct ini *ini, const struct ini_section *section,
	struct preset_test *test, struct fault *fault)
{
	const struct ini_key *line = ini_find(section, "line");
	const struct ini_key *matches = ini_find(section, "matches");
	int r;

	test->line = section->line;
	test->matches = !matches;
	if (!line)
		return bad(ini, section->line, fault, "a test needs `line`");
	if (matches && (strcmp(matches->value, "no") != 0 || section->n_keys != 2))
		return bad(ini, matches->line, fault,
			"expected `matches = no`, and nothing but `line` beside it");
	r = unquote(line->value, &test->text);
	if (r < 0)
		return r;
	test->expected = calloc(section->n_keys, sizeof(*test->expected));
	if (!test->expected)
		return -ENOMEM;
	for (size_t i = 0; i < section->n_keys && r == 0; i++)
		if (&section->keys[i] != line && &section->keys[i] != matches)
			r = expected_parse(
				ini, &section->keys[i], &test->expected[test->n_expected++], fault);
	return r;
}

static int head_parse(const struct ini *ini, const struct ini_section *section,
	struct preset *preset, struct fault *fault)
{
	static const char *const known[] = {"summary", "loss", "raised", "trust", NULL};
	uint64_t trust;
	int r = 0;

	for (size_t i = 0; i < section->n_keys && r == 0; i++) {
		const struct ini_key *key = &section->keys[i];

		if (strcmp(key->key, "loss") == 0) {
			r = list_parse(key->value, &preset->loss);
		} else if (strcmp(key->key, "raised") == 0) {
			r = list_parse(key->value, &preset->raised);
		} else if (strcmp(key->key, "trust") == 0) {
			r = parse_count(key->value, 1, TRUST_MAX, &trust, fault);
			if (r < 0)
				return fault_wrap(
					fault, -EBADMSG, "%s:%u: trust", ini->path, key->line);
			preset->trust = (unsigned)trust;
		} else if (strcmp(key->key, "summary") != 0) {
			r = ini_unknown_key(ini, section, key, known, fault);
		}
	}
	return r;
}

static int section_parse(const struct ini *ini, const struct ini_section *section,
	struct preset *preset, struct fault *fault)
{
	if (strcmp(section->kind, "preset") == 0 && !section->name)
		return head_parse(ini, section, preset, fault);
	if (strcmp(section->kind, "line") == 0 && section->name)
		return line_parse(ini, section, &preset->lines[preset->n_lines++], fault);
	if (strcmp(section->kind, "test") == 0 && section->name)
		return test_parse(ini, section, &preset->tests[preset->n_tests++], fault);
	return bad(ini, section->line, fault, "expected [preset], [line NAME] or [test NAME]");
}

static int preset_new(
	const char *name, enum preset_kind kind, size_t n_sections, struct preset **ret_preset)
{
	_cleanup_(cleanup_preset) struct preset *preset = calloc(1, sizeof(*preset));
	int r;

	if (!preset)
		return -ENOMEM;
	preset->kind = kind;
	preset->trust = TRUST_DEFAULT;
	preset->name = strdup(name);
	preset->lines = calloc(n_sections + 1, sizeof(*preset->lines));
	preset->tests = calloc(n_sections + 1, sizeof(*preset->tests));
	if (!preset->name || !preset->lines || !preset->tests)
		return -ENOMEM;
	r = list_parse("loss", &preset->loss);
	if (r == 0)
		r = list_parse("", &preset->raised);
	if (r < 0)
		return r;
	*ret_preset = TAKE_PTR(preset);
	return 0;
}

int preset_built_in(enum preset_kind kind, struct preset **ret_preset)
{
	struct preset *preset;
	int r;

	r = preset_new(kind == PRESET_CORE ? "core" : "json", kind, 0, &preset);
	if (r < 0)
		return r;
	preset->trust = kind == PRESET_CORE ? TRUST_CORE : TRUST_JSON;
	*ret_preset = preset;
	return 0;
}

int preset_read(const char *name, const char *path, struct preset **ret_preset, struct fault *fault)
{
	_cleanup_(cleanup_ini) struct ini *ini = NULL;
	_cleanup_(cleanup_preset) struct preset *preset = NULL;
	int r;

	r = ini_read(path, &ini, fault);
	if (r < 0)
		return r;
	r = preset_new(name, PRESET_REGEX, ini->n_sections, &preset);
	if (r < 0)
		return r;
	preset->path = strdup(path);
	if (!preset->path)
		return -ENOMEM;
	for (size_t i = 0; i < ini->n_sections && r == 0; i++)
		r = section_parse(ini, &ini->sections[i], preset, fault);
	if (r < 0)
		return r;
	if (preset->n_lines == 0)
		return bad(ini, 1, fault, "no [line NAME]: nothing to match");
	*ret_preset = TAKE_PTR(preset);
	return 0;
}
