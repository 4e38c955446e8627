// SPDX-License-Identifier: GPL-2.0-or-later
#include <stdio.h>
#include <string.h>

#include "bundle_internal.h"
#include "cleanup.h"
#include "config_internal.h"
#include "suite.h"
#include "text_file.h"

/* coregov.bundle(5) and coregov.conf(5) say what the readers' tables say, and coregov-policies(7) what the
 * policies' tables of parameters say: every key of a table is in its page below its section, with its default
 * or that it is required, and the page has no key that the table does not have. */

#define PAGE_MAX ((size_t)1 << 20)
#define SECTION_MARK ".Ss ["
#define KEY_MARK ".It Ic "

/* A key, of whichever table. */
struct entry {
	const char *section, *key, *fallback;
	bool is_required;
	/* What the page says of it word for word, without its markup; NULL: nothing. */
	const char *summary, *expected, *unset;
};

static struct entry bundle_entry(size_t i)
{
	const struct bundle_key *key = &bundle_keys[i];

	return (struct entry){
		.section = key->section,
		.key = key->key,
		.fallback = key->need == KEY_DEFAULT ? key->fallback : NULL,
		.is_required = key->need == KEY_REQUIRED,
	};
}

static struct entry config_entry(size_t i)
{
	const struct config_key *key = &config_keys[i];

	return (struct entry){
		.section = key->section,
		.key = key->key,
		.fallback = key->fallback,
		.summary = key->summary,
		.expected = key->expected,
		.unset = key->unset,
	};
}

/* The parameters of all policies, those of a policy together. Valid until one of another policy is asked
 * for. */
static struct entry parameter_entry(size_t i)
{
	static struct config_policy_keys keys;
	static char section[64];

	for (const struct policy *const *policy = policies; *policy; policy++) {
		uint32_t n = policy_n_parameters(*policy);

		if (i >= n) {
			i -= n;
			continue;
		}
		config_policy_keys_make(&keys, *policy);
		(void)snprintf(section, sizeof(section), "policy %s", (*policy)->name);
		return (struct entry){
			.section = section,
			.key = keys.keys[i].key,
			.fallback = keys.keys[i].fallback,
			.summary = keys.keys[i].summary,
			.expected = keys.keys[i].expected,
		};
	}
	return (struct entry){.key = NULL};
}

static const struct page {
	const char *name;
	const char *named; /* the section that has a name after its kind */
	struct entry (*entry)(size_t i);
	bool has_others; /* keys that are no entries, below other heads */
} pages[] = {
	{"coregov.bundle.5", "task", bundle_entry, false},
	{"coregov.conf.5", "user", config_entry, false},
	{"coregov-policies.7", "", parameter_entry, true},
};

static char *read_page(const struct page *page)
{
	struct fault fault = FAULT_INIT;
	char path[4096], *text = NULL;
	size_t length;

	(void)snprintf(path, sizeof(path), "%s/%s", getenv("COREGOV_MAN"), page->name);
	ck_assert_msg(
		text_file_read(path, PAGE_MAX, &text, &length, &fault) == 0, "%s", fault.text);
	return text;
}

/* Where a section of either kind begins next. */
static const char *section_end(const char *text)
{
	const char *below = strstr(text, "\n.Ss "), *after = strstr(text, "\n.Sh ");

	return below && (!after || below < after) ? below : after;
}

/* The text of a key's item: up to the next key of the page, or the end of its section. */
static char *find_item(const struct page *page, const char *text, const struct entry *entry)
{
	char mark[100];
	const char *start, *end, *next;

	(void)snprintf(mark, sizeof(mark), SECTION_MARK "%s%s]\n", entry->section,
		strcmp(entry->section, page->named) == 0 ? " NAME" : "");
	start = strstr(text, mark);
	ck_assert_msg(start != NULL, "no section %s", mark);
	end = section_end(start);
	ck_assert_ptr_nonnull(end);
	(void)snprintf(mark, sizeof(mark), "\n" KEY_MARK "%s\n", entry->key);
	start = strstr(start, mark);
	if (!start || start > end)
		return NULL;
	start++;
	next = strstr(start, "\n" KEY_MARK);
	return strndup(start, (size_t)((next && next < end ? next : end) + 1 - start));
}

static void assert_says(const char *item, const struct entry *entry, const char *words)
{
	ck_assert_msg(!words || strstr(item, words) != NULL, "[%s] %s: '%s' is not in the page",
		entry->section, entry->key, words);
}

START_TEST(page_has_every_key)
{
	const struct page *page = &pages[_i];
	_cleanup_free_ char *text = read_page(page);

	for (size_t i = 0; page->entry(i).key; i++) {
		struct entry entry = page->entry(i);
		_cleanup_free_ char *item = find_item(page, text, &entry);
		char words[100];

		ck_assert_msg(item != NULL, "[%s] %s is not in the page", entry.section, entry.key);
		ck_assert_msg((strstr(item, "\nRequired.\n") != NULL) == entry.is_required,
			"[%s] %s: required, or not?", entry.section, entry.key);
		assert_says(item, &entry, entry.summary);
		assert_says(item, &entry, entry.expected);
		(void)snprintf(words, sizeof(words), "\nDefault: %s", entry.unset);
		assert_says(item, &entry, entry.unset ? words : NULL);
		if (!entry.fallback)
			continue;
		(void)snprintf(words, sizeof(words), "\nDefault:\n.Ql %s%s ",
			*entry.fallback == '.' ? "\\&" : "", entry.fallback);
		assert_says(item, &entry, words);
	}
}
END_TEST

static bool is_key(const struct page *page, const char *section, const char *name)
{
	for (size_t i = 0; page->entry(i).key; i++)
		if (strcmp(page->entry(i).section, section) == 0 &&
			strcmp(page->entry(i).key, name) == 0)
			return true;
	return false;
}

/* "policy core" of a head, and "task" of one with a NAME; "" of one that is no section of a file. */
static void read_section(const char *line, char ret_section[static 64])
{
	size_t length;

	ret_section[0] = '\0';
	(void)sscanf(line, SECTION_MARK "%63[-a-z ]", ret_section);
	length = strlen(ret_section);
	if (length > 0 && ret_section[length - 1] == ' ')
		ret_section[length - 1] = '\0';
}

START_TEST(page_has_no_other_key)
{
	const struct page *page = &pages[_i];
	_cleanup_free_ char *text = read_page(page);
	char section[64] = "", key[64];
	struct text_line line = {0};
	size_t n_keys = 0, n_known = 0;

	while (text_next_line(text, strlen(text), &line)) {
		_cleanup_free_ char *copy = strndup(line.start, line.length);

		if (strncmp(copy, ".Ss ", 4) == 0 || strncmp(copy, ".Sh ", 4) == 0) {
			read_section(copy, section);
			continue;
		}
		if (sscanf(copy, KEY_MARK "%63s", key) != 1 || (!section[0] && page->has_others))
			continue;
		ck_assert_msg(is_key(page, section, key), "%s:%u: no key '%s' in [%s]", page->name,
			line.number, key, section);
		n_keys++;
	}
	while (page->entry(n_known).key)
		n_known++;
	ck_assert_uint_eq(n_keys, n_known);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("manual");
	TCase *tcase = tcase_create("all");

	tcase_add_loop_test(tcase, page_has_every_key, 0, (int)ARRAY_LENGTH(pages));
	tcase_add_loop_test(tcase, page_has_no_other_key, 0, (int)ARRAY_LENGTH(pages));
	suite_add_tcase(suite, tcase);
	return suite_run(suite);
}
