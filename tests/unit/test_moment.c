// SPDX-License-Identifier: GPL-2.0-or-later
#include "moment.h"

#include <errno.h>
#include <string.h>
#include <time.h>

#include "nsec.h"
#include "suite.h"

/* The zone is spelt out: a machine may lack the data of named ones. */
#define ZONE "CET-1CEST,M3.5.0,M10.5.0/3"

static uint64_t utc(const char *text)
{
	struct tm time = {0};

	ck_assert_ptr_nonnull(strptime(text, "%Y-%m-%d %H:%M:%S", &time));
	return (uint64_t)timegm(&time) * NSEC_PER_SEC;
}

static void set_zone(void)
{
	ck_assert_int_eq(setenv("TZ", ZONE, 1), 0);
	tzset();
}

static const struct {
	const char *text;
	uint64_t ns;
} spans[] = {
	{"45min", 2700 * NSEC_PER_SEC},
	{"now+2h", 7200 * NSEC_PER_SEC},
	{"now + 1.5 s", 1500000000},
	{"1ms", 1000000},
};

START_TEST(reads_spans)
{
	struct fault fault = FAULT_INIT;
	struct moment moment;

	ck_assert_msg(
		parse_moment(spans[_i].text, utc("2026-11-27 12:00:00"), &moment, &fault) == 0,
		"%s", fault.text);
	ck_assert(moment.is_span);
	ck_assert_uint_eq(moment.ns, spans[_i].ns);
}
END_TEST

/* All in UTC but the text. */
static const struct {
	const char *text, *now, *then;
} clocks[] = {
	{"18:30", "2026-11-27 12:00:00", "2026-11-27 17:30:00"},
	{"18:30:15", "2026-11-27 12:00:00", "2026-11-27 17:30:15"},
	{"9:05", "2026-11-27 12:00:00", "2026-11-28 08:05:00"},
	/* Now is not to come. */
	{"13:00", "2026-11-27 12:00:00", "2026-11-28 12:00:00"},
	/* Across midnight, and the ends of a month and of a year. It is 00:30 there already. */
	{"00:10", "2026-11-27 22:50:00", "2026-11-27 23:10:00"},
	{"23:59", "2026-11-26 23:30:00", "2026-11-27 22:59:00"},
	{"00:00", "2026-11-30 12:00:00", "2026-11-30 23:00:00"},
	{"00:00", "2026-12-31 12:00:00", "2026-12-31 23:00:00"},
	{"06:00", "2028-02-28 12:00:00", "2028-02-29 05:00:00"},
	/* Summer time begins on the 29th at 02:00, which the clock shows as 03:00. */
	{"04:00", "2026-03-28 12:00:00", "2026-03-29 02:00:00"},
	{"02:30", "2026-03-28 12:00:00", "2026-03-30 00:30:00"},
	/* It ends on the 25th at 03:00, and 02:30 is shown twice. */
	{"02:30", "2026-10-24 12:00:00", "2026-10-25 00:30:00"},
	{"02:30", "2026-10-25 00:45:00", "2026-10-25 01:30:00"},
	{"02:30", "2026-10-25 01:45:00", "2026-10-26 01:30:00"},
	{"2026-12-01 18:30", "2026-11-27 12:00:00", "2026-12-01 17:30:00"},
	{"2026-12-01T18:30:01", "2026-11-27 12:00:00", "2026-12-01 17:30:01"},
	{"2027-07-01 00:00", "2026-11-27 12:00:00", "2027-06-30 22:00:00"},
};

START_TEST(reads_the_clock)
{
	struct fault fault = FAULT_INIT;
	struct moment moment;

	set_zone();
	ck_assert_msg(parse_moment(clocks[_i].text, utc(clocks[_i].now), &moment, &fault) == 0,
		"%s", fault.text);
	ck_assert(!moment.is_span);
	ck_assert_uint_eq(moment.ns, utc(clocks[_i].then));
}
END_TEST

static const struct {
	const char *text;
	int error;
	const char *says;
} bad[] = {
	{"", -EINVAL, "is no deadline"},
	{"soon", -EINVAL, "is no deadline"},
	{"45", -EINVAL, "no unit"},
	{"45m", -EINVAL, "ms, s, min or h"},
	{"-5min", -EINVAL, "negative"},
	{"0s", -ERANGE, "has passed already"},
	{"now", -EINVAL, "what follows 'now'"},
	{"now-2h", -EINVAL, "what follows 'now'"},
	{"now+", -EINVAL, "not a time"},
	{"now+0s", -ERANGE, "has passed already"},
	{"25:00", -EINVAL, "no time of a day"},
	{"12:60", -EINVAL, "no time of a day"},
	{"12:30:60", -EINVAL, "no time of a day"},
	{"12:3", -EINVAL, "is no deadline"},
	{"18:30 ", -EINVAL, "is no deadline"},
	{"18:30pm", -EINVAL, "is no deadline"},
	{"2026-12-01", -EINVAL, "is no deadline"},
	{"2026-12-01 ", -EINVAL, "is no deadline"},
	{"2026-1-1 18:30", -EINVAL, "is no deadline"},
	{"2026-02-30 18:30", -EINVAL, "no time that the clock will show"},
	{"2026-13-01 18:30", -EINVAL, "no time that the clock will show"},
	{"2027-03-28 02:30", -EINVAL, "no time that the clock will show"},
	{"2026-11-26 18:30", -ERANGE, "has passed already"},
	{"2026-11-27 13:00", -ERANGE, "has passed already"},
	{"300000000000h", -ERANGE, "292 years"},
};

START_TEST(refuses)
{
	struct fault fault = FAULT_INIT;
	struct moment moment = {.ns = 7};

	set_zone();
	ck_assert_int_eq(parse_moment(bad[_i].text, utc("2026-11-27 12:00:00"), &moment, &fault),
		bad[_i].error);
	ck_assert_msg(strstr(fault.text, bad[_i].says), "%s", fault.text);
	ck_assert_uint_eq(moment.ns, 7);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("moment");
	TCase *tcase = tcase_create("all");

	tcase_add_loop_test(tcase, reads_spans, 0, sizeof(spans) / sizeof(spans[0]));
	tcase_add_loop_test(tcase, reads_the_clock, 0, sizeof(clocks) / sizeof(clocks[0]));
	tcase_add_loop_test(tcase, refuses, 0, sizeof(bad) / sizeof(bad[0]));
	suite_add_tcase(suite, tcase);
	return suite_run(suite);
}
