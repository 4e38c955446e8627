// SPDX-License-Identifier: GPL-2.0-or-later
#include "ini.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "cleanup.h"
#include "suite.h"
#include "text_file.h"

DEFINE_CLEANUP_FUNC(struct ini, ini_free)
DEFINE_CLEANUP_FUNC(char *, words_free)
#define _cleanup_ini_ _cleanup_(cleanup_ini_free)
#define _cleanup_words_ _cleanup_(cleanup_words_free)

static struct ini *parse(const char *text, size_t length)
{
	struct fault fault = FAULT_INIT;
	struct ini *ini = NULL;

	ck_assert_msg(ini_parse("a.ini", text, length, &ini, &fault) == 0, "%s", fault.text);
	return ini;
}

static const char *value(const struct ini *ini, size_t section, const char *key)
{
	const struct ini_key *found = ini_find(&ini->sections[section], key);

	ck_assert_msg(found != NULL, "%s", key);
	return found->value;
}

START_TEST(reads_sections_and_keys)
{
	static const char text[] = "\xef\xbb\xbf; first\r\n"
				   "[bundle]  ; the head\r\n"
				   "\tslot = 1s\r\n"
				   "[task  mlp ]\n"
				   "# nothing\n"
				   "   # nothing\n"
				   "command = a = b\n"
				   "empty=\n"
				   "last = \xc3\xa9";
	_cleanup_ini_ struct ini *ini = parse(text, sizeof(text) - 1);

	ck_assert_uint_eq(ini->n_sections, 2);
	ck_assert_str_eq(ini->sections[0].kind, "bundle");
	ck_assert_ptr_null(ini->sections[0].name);
	ck_assert_uint_eq(ini->sections[0].line, 2);
	ck_assert_str_eq(value(ini, 0, "slot"), "1s");
	ck_assert_str_eq(ini->sections[1].kind, "task");
	ck_assert_str_eq(ini->sections[1].name, "mlp");
	ck_assert_uint_eq(ini->sections[1].n_keys, 3);
	ck_assert_str_eq(value(ini, 1, "command"), "a = b");
	ck_assert_uint_eq(ini_find(&ini->sections[1], "command")->line, 7);
	ck_assert_str_eq(value(ini, 1, "empty"), "");
	ck_assert_str_eq(value(ini, 1, "last"), "\xc3\xa9");
	ck_assert_ptr_null(ini_find(&ini->sections[1], "slot"));
}
END_TEST

static const struct {
	const char *line, *value;
} comments[] = {
	{"k = v ; c", "v"},
	{"k = v\t# c", "v"},
	{"k = v;c", "v;c"},
	{"k =;c", ";c"},
	{"k = ;c", ""},
	{"k = \"a ; b\" ; c", "\"a ; b\""},
	{"k = 'a # b' # c", "'a # b'"},
	{"k = \"a \\\" ; b\" ; c", "\"a \\\" ; b\""},
	{"k = 'a \\' ; c", "'a \\'"},
	{"k = it\\'s ; c", "it\\'s"},
	{"k = don't ; c", "don't ; c"}, /* an open quote reaches to the end */
	{"k = a\\ ;c", "a\\ ;c"},       /* `\ ` is no blank between words */
	{"k = v \\", "v \\"},
};

START_TEST(ends_values_at_comments)
{
	char text[100];
	struct ini *ini;

	(void)snprintf(text, sizeof(text), "[s]\n%s\n", comments[_i].line);
	ini = parse(text, strlen(text));
	ck_assert_str_eq(value(ini, 0, "k"), comments[_i].value);
	ini_free(ini);
}
END_TEST

#define TEXT(literal) literal, sizeof(literal) - 1
static const struct {
	const char *text;
	size_t length;
	const char *says;
} bad[] = {
	{TEXT("[a]\nk = 1\nk = 2\nk = 3\n"),
		"a.ini:3: the key 'k' is there a second time in its section, the first is in line "
		"2"},
	{TEXT("[a]\nz = 1\na = 1\nz = 2\na = 2\n"), "a.ini:4: the key 'z'"},
	{TEXT("[a x]\n[b]\n[a  x]\n"), "a.ini:3: the section [a x]"},
	{TEXT("[a]\n[a]\n"), "the first is in line 1"},
	{TEXT("k = 1\n"), "a.ini:1: the key 'k' comes before"},
	{TEXT("[a]\n= 1\n"), "a.ini:2: no key"},
	{TEXT("[a]\nfoo\n"), "a.ini:2: 'foo' is neither"},
	{TEXT("[a]\nfoo ; bar = 1\n"), "a.ini:2: 'foo' is neither"},
	{TEXT("[a\n"), "a.ini:1: a section is"},
	{TEXT("[a] b\n"), "a.ini:1: a section is"},
	{TEXT("[a ; b]\n"), "a.ini:1: a section is"},
	{TEXT("[ ]\n"), "a.ini:1: a section without a name"},
	{TEXT("[a]\n\n\nk = \0\n"), "a.ini:4: a NUL byte"},
	{TEXT("[a]\nk = \x1b[31m\n"), "a.ini:2: the control character 0x1b"},
	{TEXT("[a]\rk = 1\r"), "a.ini:1: the control character 0x0d"},
	{TEXT("[a]\nk = \xc3\n"), "a.ini:2: not UTF-8 at byte 5"},
	{TEXT("[a]\nk = \xc0\xaf\n"), "not UTF-8"},         /* not the shortest form */
	{TEXT("[a]\nk = \xed\xa0\x80\n"), "not UTF-8"},     /* a surrogate */
	{TEXT("[a]\nk = \xf4\x90\x80\x80\n"), "not UTF-8"}, /* beyond U+10FFFF */
	{TEXT("[a]\nk = \x80\n"), "not UTF-8"},
};

START_TEST(refuses)
{
	struct fault fault = FAULT_INIT;
	struct ini *ini = NULL;

	ck_assert_int_eq(ini_parse("a.ini", bad[_i].text, bad[_i].length, &ini, &fault), -EBADMSG);
	ck_assert_msg(strstr(fault.text, bad[_i].says), "%s", fault.text);
	ck_assert_ptr_null(ini);
}
END_TEST

START_TEST(refuses_what_is_too_large)
{
	struct fault fault = FAULT_INIT;
	struct ini *ini = NULL;
	size_t length = INI_FILE_MAX + 1;
	char *text = malloc(length);

	ck_assert_ptr_nonnull(text);
	memset(text, ' ', length);
	ck_assert_int_eq(ini_parse("a.ini", text, INI_LINE_MAX + 1, &ini, &fault), -EBADMSG);
	ck_assert_ptr_nonnull(strstr(fault.text, "a.ini:1: the line has more than"));
	ck_assert_int_eq(ini_parse("a.ini", text, length, &ini, &fault), -EFBIG);
	ck_assert_int_eq(ini_parse("a.ini", text, INI_LINE_MAX, &ini, &fault), 0);
	ini_free(ini);
	free(text);
}
END_TEST

START_TEST(reads_files)
{
	_cleanup_ini_ struct ini *ini = NULL;
	struct fault fault = FAULT_INIT;
	char path[SUITE_PATH_MAX];
	int fd;

	ck_assert_int_eq(ini_read("/nonexistent/a.ini", &ini, &fault), -ENOENT);
	ck_assert_ptr_nonnull(strstr(fault.text, "'/nonexistent/a.ini'"));
	ck_assert_int_eq(ini_read("/", &ini, &fault), -EISDIR);
	fd = mkstemp(suite_template(path));
	ck_assert_int_ge(fd, 0);
	ck_assert_int_eq(write(fd, "\xef\xbb\xbf[a]\nk = v", 12), 12);
	ck_assert_int_eq(close(fd), 0);
	ck_assert_int_eq(ini_read(path, &ini, &fault), 0);
	ck_assert_int_eq(unlink(path), 0);
	ck_assert_str_eq(value(ini, 0, "k"), "v");
	ck_assert_int_eq(ini_read("/dev/zero", &ini, &fault), -EFBIG);
	ck_assert_ptr_null(ini_free(NULL));
}
END_TEST

START_TEST(words_unknown_keys)
{
	static const char *const known[] = {"deadline", "target", NULL};
	_cleanup_ini_ struct ini *ini = parse(TEXT("[task a]\ndedline = 1s\n\ncolor = red\n"));
	struct fault fault = FAULT_INIT;
	const struct ini_section *section = &ini->sections[0];

	ck_assert_int_eq(ini_unknown_key(ini, section, &section->keys[0], known, &fault), -EBADMSG);
	ck_assert_str_eq(
		fault.text, "a.ini:2: unknown key 'dedline' in [task a]; did you mean 'deadline'?");
	ck_assert_int_eq(ini_unknown_key(ini, section, &section->keys[1], known, &fault), -EBADMSG);
	ck_assert_ptr_nonnull(strstr(fault.text, "a.ini:4: unknown key 'color' in [task a]; see"));
}
END_TEST

/* RFC 3629, both sides of every edge. */
START_TEST(knows_utf8)
{
	static const char *const good[] = {"", "a~", "\xc2\x80", "\xdf\xbf", "\xe0\xa0\x80",
		"\xe1\x80\x80", "\xed\x9f\xbf", "\xee\x80\x80", "\xef\xbf\xbf", "\xf0\x90\x80\x80",
		"\xf1\x80\x80\x80", "\xf4\x8f\xbf\xbf"};
	static const char *const bad_at_1[] = {"a\x80", "a\xbf", "a\xc1\xbf", "a\xc2", "a\xc2\x7f",
		"a\xc2\xc0", "a\xe0\x9f\xbf", "a\xe1\x80", "a\xe1\x80\x7f", "a\xe1\x80\xc0",
		"a\xed\xa0\x80", "a\xf0\x8f\xbf\xbf", "a\xf1\x80\x80", "a\xf4\x90\x80\x80",
		"a\xf5\x80\x80\x80", "a\xff"};

	for (size_t i = 0; i < ARRAY_LENGTH(good); i++)
		ck_assert_msg(text_utf8_valid(good[i], strlen(good[i])) == strlen(good[i]),
			"good %zu", i);
	for (size_t i = 0; i < ARRAY_LENGTH(bad_at_1); i++)
		ck_assert_msg(text_utf8_valid(bad_at_1[i], strlen(bad_at_1[i])) == 1, "bad %zu", i);
}
END_TEST

static const struct {
	const char *text, *words[6];
} splits[] = {
	{"a", {"a"}},
	{"  a \t b ", {"a", "b"}},
	{"a b c d e", {"a", "b", "c", "d", "e"}},
	{"'a b' \"c d\"", {"a b", "c d"}},
	{"a'b'\"c\"d", {"abcd"}},
	{"'' \"\"", {"", ""}},
	{"a\\ b \\'c \\\\", {"a b", "'c", "\\"}},
	{"\"a\\\"b\\\\c\\$d\\`e\\f\"", {"a\"b\\c$d`e\\f"}},
	{"'a\\'", {"a\\"}},
	{"$HOME * ~ | > & ;", {"$HOME", "*", "~", "|", ">", "&"}},
	{"--x='1 2'", {"--x=1 2"}},
};

START_TEST(splits_words)
{
	_cleanup_words_ char **words = NULL;
	struct fault fault = FAULT_INIT;

	ck_assert_msg(words_split(splits[_i].text, &words, &fault) == 0, "%s", fault.text);
	for (size_t i = 0; i < 6 && splits[_i].words[i]; i++)
		ck_assert_str_eq(words[i], splits[_i].words[i]);
	if (_i != 9) {
		size_t n = 0;

		while (n < 6 && splits[_i].words[n])
			n++;
		ck_assert_ptr_null(words[n]);
	}
}
END_TEST

START_TEST(refuses_words)
{
	static const char *const texts[] = {"", "  ", "'a", "\"a", "a \"b\\\"", "a\\", "\"a\\"};

	for (size_t i = 0; i < ARRAY_LENGTH(texts); i++) {
		struct fault fault = FAULT_INIT;
		char **words = NULL;

		ck_assert_msg(words_split(texts[i], &words, &fault) == -EINVAL, "%s", texts[i]);
		ck_assert_str_ne(fault.text, "");
		ck_assert_ptr_null(words);
	}
	ck_assert_ptr_null(words_free(NULL));
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("ini");
	TCase *tcase = tcase_create("all");

	tcase_add_test(tcase, reads_sections_and_keys);
	tcase_add_loop_test(tcase, ends_values_at_comments, 0, ARRAY_LENGTH(comments));
	tcase_add_loop_test(tcase, refuses, 0, ARRAY_LENGTH(bad));
	tcase_add_test(tcase, refuses_what_is_too_large);
	tcase_add_test(tcase, reads_files);
	tcase_add_test(tcase, words_unknown_keys);
	tcase_add_loop_test(tcase, splits_words, 0, ARRAY_LENGTH(splits));
	tcase_add_test(tcase, refuses_words);
	tcase_add_test(tcase, knows_utf8);
	suite_add_tcase(suite, tcase);
	return suite_run(suite);
}
