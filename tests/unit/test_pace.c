// SPDX-License-Identifier: GPL-2.0-or-later
#include "pace.h"

#include "nsec.h"
#include "suite.h"

/* How often a user may ask. */

static struct pace pace;

static void setup(void)
{
	pace = (struct pace){0};
}

static unsigned ask(uid_t uid, unsigned n, uint64_t from_ns, uint64_t step_ns)
{
	unsigned n_taken = 0;

	for (unsigned i = 0; i < n; i++)
		n_taken += pace_take(&pace, uid, from_ns + i * step_ns);
	return n_taken;
}

START_TEST(some_at_once_and_then_by_and_by)
{
	ck_assert_uint_eq(ask(1, 1000, 0, 0), PACE_BURST);
	/* 1000 in ten seconds. */
	ck_assert_uint_eq(ask(1, 1000, 1, NSEC_PER_SEC / 100), 10 * PACE_PER_SECOND - 1);
	/* Later there are as many at once again, and no more. */
	ck_assert_uint_eq(ask(1, 1000, 3600 * NSEC_PER_SEC, 0), PACE_BURST);
}
END_TEST

START_TEST(who_keeps_to_it_is_never_refused)
{
	ck_assert_uint_eq(ask(1, 1000, 0, NSEC_PER_SEC / PACE_PER_SECOND), 1000);
}
END_TEST

START_TEST(what_is_refused_costs_nothing)
{
	ck_assert_uint_eq(ask(1, 1000000, 0, 0), PACE_BURST);
	ck_assert(pace_take(&pace, 1, NSEC_PER_SEC / PACE_PER_SECOND));
}
END_TEST

START_TEST(others_are_not_affected)
{
	ck_assert_uint_eq(ask(1, 1000, 0, 0), PACE_BURST);
	ck_assert_uint_eq(ask(0, 1000, 0, 0), PACE_BURST);
	ck_assert_uint_eq(ask((uid_t)-2, 1000, 0, 0), PACE_BURST);
	ck_assert_uint_eq(ask(1, 1000, 0, 0), 0);
}
END_TEST

/* Who is in a hurry keeps a place among many others. */
START_TEST(more_users_than_places)
{
	ck_assert_uint_eq(ask(1, 1000, NSEC_PER_SEC, 0), PACE_BURST);
	for (uid_t uid = 1000; uid < 1000 + 10 * PACE_USERS_MAX; uid++) {
		ck_assert(pace_take(&pace, uid, NSEC_PER_SEC));
		ck_assert(!pace_take(&pace, 1, NSEC_PER_SEC));
	}
}
END_TEST

static Suite *make_suite(void)
{
	Suite *suite = suite_create("pace");
	TCase *tcase = tcase_create("users");

	tcase_add_checked_fixture(tcase, setup, /* teardown= */ NULL);
	suite_add_tcase(suite, tcase);
	tcase_add_test(tcase, some_at_once_and_then_by_and_by);
	tcase_add_test(tcase, who_keeps_to_it_is_never_refused);
	tcase_add_test(tcase, what_is_refused_costs_nothing);
	tcase_add_test(tcase, others_are_not_affected);
	tcase_add_test(tcase, more_users_than_places);
	return suite;
}

int main(void)
{
	return suite_run(make_suite());
}
