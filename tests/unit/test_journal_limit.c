// SPDX-License-Identifier: GPL-2.0-or-later
#include "journal_limit.h"

#include "nsec.h"
#include "suite.h"

/* How many lines a user may cause, by their rank. */

#define ALICE 1000
#define BOB 1001
#define NOW_NS NSEC_PER_SEC

static struct limit limit;

static void setup(void)
{
	limit = (struct limit){0};
}

static unsigned take(
	uid_t uid, enum limit_rank rank, unsigned n, uint64_t from_ns, uint64_t step_ns)
{
	unsigned n_taken = 0;

	for (unsigned i = 0; i < n; i++)
		n_taken += limit_take(&limit, uid, rank, from_ns + i * step_ns);
	return n_taken;
}

/* 200 tasks that come at once, have a share and another, and end; or are cancelled at once. */
START_TEST(a_burst_of_tasks_is_told_whole)
{
	ck_assert_uint_eq(take(ALICE, LIMIT_RANK_LIFE, 3 * 200, NOW_NS, 0), 600);
	ck_assert_uint_eq(take(ALICE, LIMIT_RANK_OUTCOME, 200, NOW_NS, 0), 200);
	setup();
	ck_assert_uint_eq(take(ALICE, LIMIT_RANK_LIFE, 7 * 200, NOW_NS, 0), 1400);
}
END_TEST

START_TEST(then_by_and_by)
{
	ck_assert_uint_eq(take(ALICE, LIMIT_RANK_OUTCOME, 100000, NOW_NS, 0), LIMIT_LINES);
	/* 100 a second, for ten of them. */
	ck_assert_uint_eq(
		take(ALICE, LIMIT_RANK_OUTCOME, 1000, NOW_NS + NSEC_PER_MSEC, NSEC_PER_SEC / 100),
		10 * LIMIT_PER_SECOND - 1);
	/* Later there are as many at once again, and no more. */
	ck_assert_uint_eq(
		take(ALICE, LIMIT_RANK_OUTCOME, 100000, 3600 * NSEC_PER_SEC, 0), LIMIT_LINES);
}
END_TEST

/* Pausing and resuming without end leaves a burst of tasks, and what they come to. */
START_TEST(what_is_asked_for_goes_first)
{
	const uint64_t hour_ns = 3600 * NSEC_PER_SEC;

	ck_assert_uint_eq(take(ALICE, LIMIT_RANK_ASKED, 100000, NOW_NS, 0), LIMIT_ASKED);
	ck_assert_uint_eq(take(ALICE, LIMIT_RANK_LIFE, 100000, NOW_NS, 0),
		LIMIT_LINES - LIMIT_ASKED - LIMIT_RESERVE);
	ck_assert_uint_eq(take(ALICE, LIMIT_RANK_OUTCOME, 100000, NOW_NS, 0), LIMIT_RESERVE);
	ck_assert_uint_eq(take(ALICE, LIMIT_RANK_ASKED, 100000, NOW_NS, 0), 0);
	/* 20 times a second for an hour, which is more than the bus lets a user ask. */
	setup();
	ck_assert_uint_eq(take(ALICE, LIMIT_RANK_ASKED, 20 * 3600, NOW_NS, NSEC_PER_SEC / 20),
		LIMIT_ASKED + 3600 * LIMIT_ASKED_PER_SECOND - 1);
	ck_assert_uint_ge(take(ALICE, LIMIT_RANK_LIFE, 800, NOW_NS + hour_ns, 0), 800);
	ck_assert_uint_ge(
		take(ALICE, LIMIT_RANK_OUTCOME, 1000, NOW_NS + hour_ns, 0), LIMIT_RESERVE);
}
END_TEST

/* Shares that change all the time leave room for tasks that come and go. */
START_TEST(what_can_wait_leaves_the_rest)
{
	ck_assert_uint_eq(take(ALICE, LIMIT_RANK_LATER, 100000, NOW_NS, NSEC_PER_MSEC),
		LIMIT_LINES - LIMIT_AFTER_SHARES + 100 * LIMIT_PER_SECOND - 1);
	ck_assert_uint_ge(take(ALICE, LIMIT_RANK_LIFE, 1000, NOW_NS + 100 * NSEC_PER_SEC, 0),
		LIMIT_AFTER_SHARES - LIMIT_RESERVE);
	ck_assert_uint_eq(take(ALICE, LIMIT_RANK_OUTCOME, 1000, NOW_NS + 100 * NSEC_PER_SEC, 0),
		LIMIT_RESERVE);
}
END_TEST

/* Nor does a loop of `coregov run` take what tasks come to. */
START_TEST(some_are_kept_for_outcomes)
{
	ck_assert_uint_eq(take(ALICE, LIMIT_RANK_LIFE, 100000, NOW_NS, NSEC_PER_MSEC),
		LIMIT_LINES - LIMIT_RESERVE + 100 * LIMIT_PER_SECOND - 1);
	ck_assert_uint_ge(take(ALICE, LIMIT_RANK_OUTCOME, 1000, NOW_NS + 100 * NSEC_PER_SEC, 0),
		LIMIT_RESERVE);
}
END_TEST

START_TEST(others_are_not_affected)
{
	(void)take(ALICE, LIMIT_RANK_OUTCOME, 100000, NOW_NS, 0);
	ck_assert_uint_eq(take(BOB, LIMIT_RANK_OUTCOME, 100000, NOW_NS, 0), LIMIT_LINES);
	ck_assert_uint_eq(take(0, LIMIT_RANK_ASKED, 100000, NOW_NS, 0), LIMIT_ASKED);
	ck_assert_uint_eq(take(ALICE, LIMIT_RANK_OUTCOME, 100000, NOW_NS, 0), 0);
}
END_TEST

/* Who has used up all keeps that among many others, and so does what is to be told of him. */
START_TEST(more_users_than_places)
{
	uint64_t n_left_out = 0;
	uid_t uid = 0;

	(void)take(ALICE, LIMIT_RANK_OUTCOME, 100000, NOW_NS, 0);
	(void)take(BOB, LIMIT_RANK_LIFE, 10, NOW_NS, 0);
	limit_leave_out(&limit, BOB, NOW_NS);
	for (uid_t other = 2000; other < 2000 + 3 * LIMIT_USERS_MAX; other++)
		ck_assert(limit_take(&limit, other, LIMIT_RANK_LIFE, NOW_NS));
	ck_assert(!limit_take(&limit, ALICE, LIMIT_RANK_LIFE, NOW_NS));
	ck_assert(limit_next_due(&limit, UINT64_MAX, &uid, &n_left_out));
	ck_assert_uint_eq(uid, BOB);
	ck_assert_uint_eq(n_left_out, 1);
}
END_TEST

START_TEST(what_was_left_out_is_told_once)
{
	uint64_t n_left_out = 0;
	uid_t uid = 0;

	ck_assert_uint_eq(limit_due_ns(&limit), UINT64_MAX);
	for (uint64_t i = 0; i < 7; i++)
		limit_leave_out(&limit, ALICE, NOW_NS + i * NSEC_PER_SEC);
	limit_leave_out(&limit, BOB, NOW_NS + 5 * NSEC_PER_SEC);
	ck_assert_uint_eq(limit_due_ns(&limit), NOW_NS + LIMIT_TELL_NS);
	ck_assert(!limit_next_due(&limit, NOW_NS + LIMIT_TELL_NS - 1, &uid, &n_left_out));
	ck_assert(limit_next_due(&limit, NOW_NS + LIMIT_TELL_NS, &uid, &n_left_out));
	ck_assert_uint_eq(uid, ALICE);
	ck_assert_uint_eq(n_left_out, 7);
	ck_assert(!limit_next_due(&limit, NOW_NS + LIMIT_TELL_NS, &uid, &n_left_out));
	ck_assert_uint_eq(limit_due_ns(&limit), NOW_NS + 5 * NSEC_PER_SEC + LIMIT_TELL_NS);
	ck_assert(limit_next_due(&limit, NOW_NS + 2 * LIMIT_TELL_NS, &uid, &n_left_out));
	ck_assert_uint_eq(uid, BOB);
	ck_assert_uint_eq(n_left_out, 1);
	ck_assert_uint_eq(limit_due_ns(&limit), UINT64_MAX);
}
END_TEST

static Suite *make_suite(void)
{
	Suite *suite = suite_create("journal_limit");
	TCase *tcase = tcase_create("users");

	tcase_add_checked_fixture(tcase, setup, /* teardown= */ NULL);
	suite_add_tcase(suite, tcase);
	tcase_add_test(tcase, a_burst_of_tasks_is_told_whole);
	tcase_add_test(tcase, then_by_and_by);
	tcase_add_test(tcase, what_is_asked_for_goes_first);
	tcase_add_test(tcase, what_can_wait_leaves_the_rest);
	tcase_add_test(tcase, some_are_kept_for_outcomes);
	tcase_add_test(tcase, others_are_not_affected);
	tcase_add_test(tcase, more_users_than_places);
	tcase_add_test(tcase, what_was_left_out_is_told_once);
	return suite;
}

int main(void)
{
	return suite_run(make_suite());
}
