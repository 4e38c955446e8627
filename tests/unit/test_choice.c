// SPDX-License-Identifier: GPL-2.0-or-later
#include "choice.h"

#include <errno.h>
#include <string.h>

#include "suite.h"

static const struct {
	const char *text;
	enum feed_kind feed;
	const char *more;
} feeds[] = {
	{"auto", FEED_AUTO, NULL},
	{"shm", FEED_SHM, NULL},
	{"output", FEED_OUTPUT, NULL},
	{"output:keras", FEED_OUTPUT, "keras"},
	{"file:/a:b", FEED_FILE, "/a:b"},
	{"none", FEED_NONE, NULL},
};

START_TEST(reads_feeds)
{
	enum feed_kind feed;
	const char *more;

	ck_assert_int_eq(parse_feed(feeds[_i].text, &feed, &more, NULL), 0);
	ck_assert_int_eq(feed, feeds[_i].feed);
	ck_assert_pstr_eq(more, feeds[_i].more);
}
END_TEST

static const struct {
	const char *text, *says;
} bad_feeds[] = {
	{"", "unknown feed ''"},
	{"outptu", "did you mean 'output'?"},
	{"fil:x", "did you mean 'file'?"},
	{"zzz", "expected auto, shm"},
	{"file", "names no file"},
	{"file:", "names no file"},
	{"output:", "nothing goes after the colon"},
	{"shm:x", "nothing goes after the colon"},
};

START_TEST(refuses_feeds)
{
	struct fault fault = FAULT_INIT;
	enum feed_kind feed = FEED_NONE;
	const char *more = "x";

	ck_assert_int_eq(parse_feed(bad_feeds[_i].text, &feed, &more, &fault), -EINVAL);
	ck_assert_msg(strstr(fault.text, bad_feeds[_i].says), "%s", fault.text);
	ck_assert_int_eq(feed, FEED_NONE);
	ck_assert_str_eq(more, "x");
}
END_TEST

START_TEST(reads_what_happens_at_the_end)
{
	struct fault fault = FAULT_INIT;
	enum at_end at_end;

	ck_assert_int_eq(parse_at_end("stop", &at_end, NULL), 0);
	ck_assert_int_eq(at_end, AT_END_STOP);
	ck_assert_int_eq(parse_at_end("yield", &at_end, NULL), 0);
	ck_assert_int_eq(at_end, AT_END_YIELD);
	ck_assert_int_eq(parse_at_end("yeild", &at_end, &fault), -EINVAL);
	ck_assert_ptr_nonnull(strstr(fault.text, "did you mean 'yield'?"));
	ck_assert_int_eq(parse_at_end("kill", &at_end, &fault), -EINVAL);
	ck_assert_ptr_nonnull(strstr(fault.text, "'kill' is neither"));
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("choice");
	TCase *tcase = tcase_create("all");

	tcase_add_loop_test(tcase, reads_feeds, 0, sizeof(feeds) / sizeof(feeds[0]));
	tcase_add_loop_test(tcase, refuses_feeds, 0, sizeof(bad_feeds) / sizeof(bad_feeds[0]));
	tcase_add_test(tcase, reads_what_happens_at_the_end);
	suite_add_tcase(suite, tcase);
	return suite_run(suite);
}
