// SPDX-License-Identifier: GPL-2.0-or-later
#include "log_level.h"

#include <errno.h>
#include <syslog.h>

#include "suite.h"

/* Levels by their names, as syslog(3) and systemd have them. */

static struct fault fault;

START_TEST(each_level_reads_back)
{
	for (int level = LOG_EMERG; level <= LOG_DEBUG; level++) {
		char digit[2] = {(char)('0' + level), '\0'};
		int found = -1;

		ck_assert_int_eq(log_level_parse(log_level_to_string(level), &found, &fault), 0);
		ck_assert_int_eq(found, level);
		ck_assert_int_eq(log_level_parse(digit, &found, &fault), 0);
		ck_assert_int_eq(found, level);
	}
	ck_assert_str_eq(log_level_to_string(LOG_ERR), "err");
	ck_assert_str_eq(log_level_to_string(LOG_DEBUG), "debug");
}
END_TEST

START_TEST(what_is_none_is_refused)
{
	static const char *const bad[] = {"", "8", "77", "-1", "Debug", "verbose", "debug,info"};
	int level = LOG_INFO;

	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		ck_assert_int_eq(log_level_parse(bad[i], &level, &fault), -EINVAL);
	ck_assert_int_eq(level, LOG_INFO);
	ck_assert_int_eq(log_level_parse("warnign", &level, &fault), -EINVAL);
	ck_assert_str_eq(fault.text, "'warnign' is no level; did you mean 'warning'?");
}
END_TEST

static Suite *make_suite(void)
{
	Suite *suite = suite_create("log_level");
	TCase *tcase = tcase_create("names");

	suite_add_tcase(suite, tcase);
	tcase_add_test(tcase, each_level_reads_back);
	tcase_add_test(tcase, what_is_none_is_refused);
	return suite;
}

int main(void)
{
	return suite_run(make_suite());
}
