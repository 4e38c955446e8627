// SPDX-License-Identifier: GPL-2.0-or-later
#include "bundle_internal.h"

#include <stdio.h>
#include <string.h>

#include "cleanup.h"
#include "suite.h"
#include "text_file.h"

/* coregov.bundle(5) and the parser's table say the same: every key of the table is in the page below
 * its section, with its default or that it is required, and the page has no key that the table does
 * not have. */

#define PAGE_MAX ((size_t)1 << 20)
#define SECTION_MARK ".Ss ["
#define KEY_MARK ".It Ic "

static char *read_page(void)
{
	struct fault fault = FAULT_INIT;
	char path[4096], *text = NULL;
	size_t length;

	(void)snprintf(path, sizeof(path), "%s/coregov.bundle.5", getenv("COREGOV_MAN"));
	ck_assert_msg(
		text_file_read(path, PAGE_MAX, &text, &length, &fault) == 0, "%s", fault.text);
	return text;
}

/* The text of a key's item: up to the next key of the page, or the end of its section. */
static char *find_item(const char *page, const char *section, const char *key)
{
	char mark[100];
	const char *start, *end, *next;

	(void)snprintf(mark, sizeof(mark), SECTION_MARK "%s%s]\n", section,
		strcmp(section, "task") == 0 ? " NAME" : "");
	start = strstr(page, mark);
	ck_assert_msg(start != NULL, "no section %s", mark);
	end = strstr(start + 1, "\n.Ss ");
	ck_assert_ptr_nonnull(end);
	(void)snprintf(mark, sizeof(mark), "\n" KEY_MARK "%s\n", key);
	start = strstr(start, mark);
	if (!start || start > end)
		return NULL;
	start++;
	next = strstr(start, "\n" KEY_MARK);
	return strndup(start, (size_t)((next && next < end ? next : end) + 1 - start));
}

START_TEST(page_has_every_key)
{
	_cleanup_free_ char *page = read_page();

	for (const struct bundle_key *key = bundle_keys; key->key; key++) {
		_cleanup_free_ char *item = find_item(page, key->section, key->key);
		char fallback[100];

		ck_assert_msg(item != NULL, "[%s] %s is not in the page", key->section, key->key);
		ck_assert_msg(
			(strstr(item, "\nRequired.\n") != NULL) == (key->need == KEY_REQUIRED),
			"[%s] %s: required, or not?", key->section, key->key);
		if (key->need != KEY_DEFAULT)
			continue;
		(void)snprintf(fallback, sizeof(fallback), "\nDefault:\n.Ql %s%s ",
			*key->fallback == '.' ? "\\&" : "", key->fallback);
		ck_assert_msg(strstr(item, fallback) != NULL, "[%s] %s: the default is not '%s'",
			key->section, key->key, key->fallback);
	}
}
END_TEST

static bool is_key(const char *section, const char *name)
{
	for (const struct bundle_key *key = bundle_keys; key->key; key++)
		if (strcmp(key->section, section) == 0 && strcmp(key->key, name) == 0)
			return true;
	return false;
}

START_TEST(page_has_no_other_key)
{
	_cleanup_free_ char *page = read_page();
	char section[64] = "", key[64];
	struct text_line line = {0};
	size_t n_keys = 0;

	while (text_next_line(page, strlen(page), &line)) {
		_cleanup_free_ char *text = strndup(line.start, line.length);

		if (sscanf(text, SECTION_MARK "%63[a-z]", section) == 1)
			continue;
		if (sscanf(text, KEY_MARK "%63s", key) != 1)
			continue;
		ck_assert_msg(is_key(section, key), "line %u: no key '%s' in [%s]", line.number,
			key, section);
		n_keys++;
	}
	for (const struct bundle_key *known = bundle_keys; known->key; known++)
		n_keys--;
	ck_assert_uint_eq(n_keys, 0);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("manual");
	TCase *tcase = tcase_create("all");

	tcase_add_test(tcase, page_has_every_key);
	tcase_add_test(tcase, page_has_no_other_key);
	suite_add_tcase(suite, tcase);
	return suite_run(suite);
}
