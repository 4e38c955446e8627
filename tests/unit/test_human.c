// SPDX-License-Identifier: GPL-2.0-or-later
#include "human.h"

#include <string.h>
#include <time.h>

#include "cleanup.h"
#include "nsec.h"
#include "suite.h"

#define MIN_NS (60 * NSEC_PER_SEC)
#define HOUR_NS (60 * MIN_NS)
#define DAY_NS (24 * HOUR_NS)

static const struct {
	uint64_t ns;
	const char *text;
} spans[] = {
	{0, "0s"},
	{NSEC_PER_MSEC - 1, "0s"},
	{NSEC_PER_MSEC, "1ms"},
	{NSEC_PER_SEC - 1, "999ms"},
	{NSEC_PER_SEC, "1s"},
	{MIN_NS - 1, "59s"},
	{MIN_NS, "1min"},
	{45 * MIN_NS + 10 * NSEC_PER_SEC, "45min 10s"},
	{HOUR_NS + 59 * NSEC_PER_SEC, "1h"},
	{HOUR_NS + 3 * MIN_NS, "1h 3min"},
	{DAY_NS - 1, "23h 59min"},
	{2 * DAY_NS + 59 * MIN_NS, "2d"},
	{400 * DAY_NS + 23 * HOUR_NS, "400d 23h"},
	{UINT64_MAX, "213503d 23h"},
};

START_TEST(says_spans)
{
	char text[HUMAN_TEXT_MAX];

	ck_assert_str_eq(format_span(text, spans[_i].ns), spans[_i].text);
}
END_TEST

START_TEST(says_moments)
{
	/* 2026-11-26 23:30 in UTC, 2026-11-27 00:30 in the zone. */
	uint64_t now_ns = UINT64_C(1795735800) * NSEC_PER_SEC;
	char text[HUMAN_TEXT_MAX];

	ck_assert_int_eq(setenv("TZ", "UTC-1", /* overwrite= */ 1), 0);
	tzset();
	ck_assert_str_eq(format_moment(text, now_ns, now_ns), "00:30:00");
	ck_assert_str_eq(format_moment(text, now_ns + HOUR_NS, now_ns), "01:30:00");
	ck_assert_str_eq(format_moment(text, now_ns - HOUR_NS, now_ns), "2026-11-26 23:30");
	ck_assert_str_eq(format_moment(text, now_ns + DAY_NS, now_ns), "2026-11-28 00:30");
	ck_assert_str_eq(format_moment(text, now_ns + 365 * DAY_NS, now_ns), "2027-11-27 00:30");
}
END_TEST

static const struct {
	const char *words[4];
	const char *text;
} commands[] = {
	{{NULL}, ""},
	{{"python3", "train.py", NULL}, "python3 train.py"},
	{{"a b", "", "it's", NULL}, "'a b' '' 'it'\\''s'"},
	{{"a\x1b[2J", "\x07", "x\x7f", NULL}, "'a?[2J' '?' 'x?'"},
	{{"\xc2\x9b", "\xc3\xa9", "\xc2", NULL}, "'?' '\xc3\xa9' '\xc2'"},
	{{"$(rm)", "a;b", NULL}, "'$(rm)' 'a;b'"},
};

START_TEST(quotes_words)
{
	char text[100];

	ck_assert_str_eq(format_words(text, sizeof(text), commands[_i].words), commands[_i].text);
}
END_TEST

START_TEST(cuts_words)
{
	const char *const words[] = {"abc", "defg", "hij", NULL};
	char text[12];

	ck_assert_str_eq(format_words(text, sizeof(text), words), "abc defg...");
	ck_assert_str_eq(format_words(text, 8, words), "abc ...");
	ck_assert_str_eq(format_words(text, 4, words), "...");
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("human");
	TCase *tcase = tcase_create("all");

	tcase_add_loop_test(tcase, says_spans, 0, ARRAY_LENGTH(spans));
	tcase_add_test(tcase, says_moments);
	tcase_add_loop_test(tcase, quotes_words, 0, ARRAY_LENGTH(commands));
	tcase_add_test(tcase, cuts_words);
	suite_add_tcase(suite, tcase);
	return suite_run(suite);
}
