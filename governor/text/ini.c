// SPDX-License-Identifier: GPL-2.0-or-later
#include "ini.h"

#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "cleanup.h"
#include "quantity.h"
#include "text_file.h"

/* The one reader of `[section name]` / `key = value` files.
 *
 * Line by line, each of them whole: no continuation, no include, no inheritance. What a line says
 * is decided by its first character that is not a blank: `;` or `#` a comment, `[` a section, else
 * a key up to the first `=`. Quotes are followed only to find out where a comment begins, by the
 * same rules as words_split() takes them apart later, so that both agree on what is quoted.
 *
 * Repeated sections and keys are found at the end by sorting pointers: a bundle of 10,000 tasks
 * costs n log n, and the first repetition in the order of the file is the one that is told. */

#define TEXT_SHOWN 60

static bool is_blank(char c)
{
	return c == ' ' || c == '\t';
}

/* A stretch of the text, trimmed. */
struct span {
	const char *start, *end;
};

static struct span trimmed(const char *start, const char *end)
{
	while (start < end && is_blank(*start))
		start++;
	while (end > start && is_blank(end[-1]))
		end--;
	return (struct span){start, end};
}

static char *span_copy(struct span span)
{
	return strndup(span.start, (size_t)(span.end - span.start));
}

/* How much of it a sentence repeats. */
static int span_shown(struct span span)
{
	return span.end - span.start < TEXT_SHOWN ? (int)(span.end - span.start) : TEXT_SHOWN;
}

/* Where the comment of a line begins, or `end`. */
static const char *comment_start(const char *start, const char *end)
{
	bool is_after_blank = false;
	char quote = '\0';

	for (const char *at = start; at < end; at++) {
		bool is_escape = *at == '\\' && quote != '\'' && at + 1 < end;

		if (is_after_blank && (*at == ';' || *at == '#'))
			return at;
		if (quote != '\0' && *at == quote)
			quote = '\0';
		else if (quote == '\0' && (*at == '"' || *at == '\''))
			quote = *at;
		is_after_blank = quote == '\0' && is_blank(*at);
		at += is_escape;
	}
	return end;
}

/* Refuses what no text file has: a NUL, control characters, broken UTF-8, an endless line. */
static int check_line(const char *path, const struct text_line *line, struct fault *fault)
{
	if (line->length > INI_LINE_MAX)
		return fault_set(fault, -EBADMSG, "%s:%u: the line has more than %u bytes", path,
			line->number, INI_LINE_MAX);
	if (memchr(line->start, '\0', line->length))
		return fault_set(fault, -EBADMSG,
			"%s:%u: a NUL byte; expected a text file in UTF-8", path, line->number);
	for (size_t i = 0; i < line->length; i++) {
		unsigned char c = (unsigned char)line->start[i];

		if ((c < ' ' && c != '\t') || c == 0x7f)
			return fault_set(fault, -EBADMSG,
				"%s:%u: the control character 0x%02x at byte %zu of the line; "
				"expected a text file in UTF-8",
				path, line->number, c, i + 1);
	}
	if (text_utf8_valid(line->start, line->length) != line->length)
		return fault_set(fault, -EBADMSG,
			"%s:%u: not UTF-8 at byte %zu of the line; save the file in UTF-8", path,
			line->number, text_utf8_valid(line->start, line->length) + 1);
	return 0;
}

static void *grow(void *array, size_t n, size_t size)
{
	/* Powers of two: grows when n is one. */
	if (n != 0 && (n & (n - 1)) != 0)
		return array;
	return reallocarray(array, n == 0 ? 1 : n * 2, size);
}

static int add_section(
	struct ini *ini, const struct text_line *line, const char *end, struct fault *fault)
{
	struct span all = trimmed(line->start, end), inside;
	struct ini_section *sections, *section;
	const char *bracket = memchr(all.start, ']', (size_t)(all.end - all.start)), *blank;

	if (!bracket || bracket + 1 != all.end)
		return fault_set(fault, -EBADMSG,
			"%s:%u: a section is one '[kind]' or '[kind name]' and nothing after it",
			ini->path, line->number);
	inside = trimmed(all.start + 1, bracket);
	if (inside.start == inside.end)
		return fault_set(fault, -EBADMSG,
			"%s:%u: a section without a name; expected '[kind]' or '[kind name]'",
			ini->path, line->number);
	sections = grow(ini->sections, ini->n_sections, sizeof(*sections));
	if (!sections)
		return -ENOMEM;
	ini->sections = sections;
	section = &sections[ini->n_sections++];
	*section = (struct ini_section){.line = line->number};
	for (blank = inside.start; blank < inside.end && !is_blank(*blank);)
		blank++;
	section->kind = span_copy((struct span){inside.start, blank});
	if (blank < inside.end)
		section->name = span_copy(trimmed(blank, inside.end));
	return section->kind && (section->name || blank == inside.end) ? 0 : -ENOMEM;
}

static int add_key(struct ini *ini, const struct text_line *line, struct fault *fault)
{
	const char *end = comment_start(line->start, line->start + line->length);
	const char *equals = memchr(line->start, '=', (size_t)(end - line->start));
	struct span key = trimmed(line->start, equals ? equals : end);
	struct ini_section *section;
	struct ini_key *keys;

	if (!equals)
		return fault_set(fault, -EBADMSG,
			"%s:%u: '%.*s' is neither 'key = value' nor a '[section]' nor a comment",
			ini->path, line->number, span_shown(key), key.start);
	if (key.start == key.end)
		return fault_set(fault, -EBADMSG,
			"%s:%u: no key before the '='; expected 'key = value'", ini->path,
			line->number);
	if (ini->n_sections == 0)
		return fault_set(fault, -EBADMSG,
			"%s:%u: the key '%.*s' comes before the first section; put a "
			"'[section]' above it",
			ini->path, line->number, span_shown(key), key.start);
	section = &ini->sections[ini->n_sections - 1];
	keys = grow(section->keys, section->n_keys, sizeof(*keys));
	if (!keys)
		return -ENOMEM;
	section->keys = keys;
	keys += section->n_keys++;
	keys->line = line->number;
	keys->key = span_copy(key);
	keys->value = span_copy(trimmed(equals + 1, end));
	return keys->key && keys->value ? 0 : -ENOMEM;
}

static int add_line(struct ini *ini, const struct text_line *line, struct fault *fault)
{
	struct span all = trimmed(line->start, line->start + line->length);
	const char *comment = all.start;

	if (all.start == all.end || *all.start == ';' || *all.start == '#')
		return 0;
	if (*all.start != '[')
		return add_key(ini, line, fault);
	while (comment < all.end &&
		!((*comment == ';' || *comment == '#') && is_blank(comment[-1])))
		comment++;
	return add_section(ini, line, comment, fault);
}

static int compare_text(const char *a, const char *b)
{
	return strcmp(a ? a : "", b ? b : "");
}

static int compare_sections(const void *a, const void *b)
{
	const struct ini_section *left = *(const struct ini_section *const *)a;
	const struct ini_section *right = *(const struct ini_section *const *)b;
	int order = compare_text(left->kind, right->kind);

	if (order == 0)
		order = compare_text(left->name, right->name);
	if (order == 0)
		order = left->line < right->line ? -1 : left->line > right->line;
	return order;
}

static int compare_keys(const void *a, const void *b)
{
	const struct ini_key *left = *(const struct ini_key *const *)a;
	const struct ini_key *right = *(const struct ini_key *const *)b;
	int order = strcmp(left->key, right->key);

	return order != 0 ? order : left->line < right->line ? -1 : left->line > right->line;
}

static int check_sections(const struct ini *ini, struct fault *fault)
{
	_cleanup_free_ const struct ini_section **sorted = calloc(
		ini->n_sections + 1, sizeof(*sorted));
	const struct ini_section *first = NULL, *again = NULL;

	if (!sorted)
		return -ENOMEM;
	for (size_t i = 0; i < ini->n_sections; i++)
		sorted[i] = &ini->sections[i];
	qsort(sorted, ini->n_sections, sizeof(*sorted), compare_sections);
	for (size_t i = 1; i < ini->n_sections; i++) {
		if (strcmp(sorted[i - 1]->kind, sorted[i]->kind) != 0 ||
			compare_text(sorted[i - 1]->name, sorted[i]->name) != 0)
			continue;
		if (!again || sorted[i]->line < again->line) {
			first = sorted[i - 1];
			again = sorted[i];
		}
	}
	if (!again)
		return 0;
	return fault_set(fault, -EBADMSG,
		"%s:%u: the section [%.*s%s%.*s] is there a second time, the first is in line "
		"%u; rename or join them",
		ini->path, again->line, TEXT_SHOWN, again->kind, again->name ? " " : "", TEXT_SHOWN,
		again->name ? again->name : "", first->line);
}

static int check_keys(const struct ini *ini, const struct ini_section *section, struct fault *fault)
{
	_cleanup_free_ const struct ini_key **sorted = calloc(section->n_keys + 1, sizeof(*sorted));
	const struct ini_key *first = NULL, *again = NULL;

	if (!sorted)
		return -ENOMEM;
	for (size_t i = 0; i < section->n_keys; i++)
		sorted[i] = &section->keys[i];
	qsort(sorted, section->n_keys, sizeof(*sorted), compare_keys);
	for (size_t i = 1; i < section->n_keys; i++) {
		if (strcmp(sorted[i - 1]->key, sorted[i]->key) != 0)
			continue;
		if (!again || sorted[i]->line < again->line) {
			first = sorted[i - 1];
			again = sorted[i];
		}
	}
	if (!again)
		return 0;
	return fault_set(fault, -EBADMSG,
		"%s:%u: the key '%.*s' is there a second time in its section, the first is in "
		"line %u; keep one of them",
		ini->path, again->line, TEXT_SHOWN, again->key, first->line);
}

static int parse_lines(struct ini *ini, const char *text, size_t length, struct fault *fault)
{
	struct text_line line = {0};
	int r;

	while (text_next_line(text, length, &line)) {
		r = check_line(ini->path, &line, fault);
		if (r < 0)
			return r;
		r = add_line(ini, &line, fault);
		if (r == -ENOMEM)
			return fault_errno(fault, r, "read '%s'", ini->path);
		if (r < 0)
			return r;
	}
	r = check_sections(ini, fault);
	for (size_t i = 0; r == 0 && i < ini->n_sections; i++)
		r = check_keys(ini, &ini->sections[i], fault);
	return r == -ENOMEM ? fault_errno(fault, r, "read '%s'", ini->path) : r;
}

DEFINE_CLEANUP_FUNC(struct ini, ini_free)

int ini_parse(const char *path, const char *text, size_t length, struct ini **ret_ini,
	struct fault *fault)
{
	_cleanup_(cleanup_ini_free) struct ini *ini = calloc(1, sizeof(*ini));
	size_t mark = text_mark(text, length);
	int r;

	if (ini)
		ini->path = strdup(path);
	if (!ini || !ini->path)
		return fault_errno(fault, -ENOMEM, "read '%s'", path);
	if (length > INI_FILE_MAX)
		return fault_set(fault, -EFBIG,
			"'%s' has more than %u bytes, too many for a file of its kind", path,
			INI_FILE_MAX);
	r = parse_lines(ini, text + mark, length - mark, fault);
	if (r < 0)
		return r;
	*ret_ini = TAKE_PTR(ini);
	return 0;
}

int ini_read(const char *path, struct ini **ret_ini, struct fault *fault)
{
	_cleanup_free_ char *text = NULL;
	size_t length;
	int r;

	r = text_file_read(path, INI_FILE_MAX, &text, &length, fault);
	if (r < 0)
		return r;
	return ini_parse(path, text, length, ret_ini, fault);
}

struct ini *ini_free(struct ini *ini)
{
	if (!ini)
		return NULL;
	for (size_t i = 0; i < ini->n_sections; i++) {
		struct ini_section *section = &ini->sections[i];

		for (size_t j = 0; j < section->n_keys; j++) {
			free(section->keys[j].key);
			free(section->keys[j].value);
		}
		free(section->keys);
		free(section->kind);
		free(section->name);
	}
	free(ini->sections);
	free(ini->path);
	free(ini);
	return NULL;
}

const struct ini_key *ini_find(const struct ini_section *section, const char *key)
{
	for (size_t i = 0; i < section->n_keys; i++)
		if (strcmp(section->keys[i].key, key) == 0)
			return &section->keys[i];
	return NULL;
}

int ini_unknown_key(const struct ini *ini, const struct ini_section *section,
	const struct ini_key *key, const char *const known[], struct fault *fault)
{
	const char *nearest = nearest_word(key->key, known);

	return fault_set(fault, -EBADMSG, "%s:%u: unknown key '%.*s' in [%.*s%s%.*s]%s%s%s",
		ini->path, key->line, TEXT_SHOWN, key->key, TEXT_SHOWN, section->kind,
		section->name ? " " : "", TEXT_SHOWN, section->name ? section->name : "",
		nearest ? "; did you mean '" : "", nearest ? nearest : "",
		nearest ? "'?" : "; see the manual for the keys there are");
}
