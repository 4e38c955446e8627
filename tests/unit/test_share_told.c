// SPDX-License-Identifier: GPL-2.0-or-later
#include "share_told.h"

#include "nsec.h"
#include "suite.h"

/* Which shares of a task are told, and when. */

#define PAUSE_NS SHARE_PAUSE_NS

static struct share_told told;

static void setup(void)
{
	told = (struct share_told){0};
}

/* As a slot does; true where it is told. */
static bool see(double share_cpus, uint64_t now_ns)
{
	if (!share_told_is_due(&told, share_cpus, now_ns, PAUSE_NS))
		return false;
	told = (struct share_told){.is_told = true, .cpus = share_cpus, .at_ns = now_ns};
	return true;
}

START_TEST(the_first_is_told)
{
	ck_assert(see(0, NSEC_PER_SEC));
	setup();
	ck_assert(see(0.5, 0));
	ck_assert(!see(0.5, 3600 * NSEC_PER_SEC));
}
END_TEST

/* What it is when the pause is over is told then, and not what it was meanwhile. */
START_TEST(a_pause_limits_and_loses_nothing)
{
	ck_assert(see(0, 0));
	ck_assert(!see(0.5, NSEC_PER_SEC));
	ck_assert(!see(0.3, PAUSE_NS - 1));
	ck_assert(see(0.3, PAUSE_NS));
	ck_assert(!see(0.4, PAUSE_NS + NSEC_PER_SEC));
	ck_assert(!see(0.3, PAUSE_NS + 2 * NSEC_PER_SEC)); /* back where it was */
	ck_assert(!see(0.3, 3 * PAUSE_NS));
	ck_assert(see(0.4, 3 * PAUSE_NS));
}
END_TEST

START_TEST(little_is_not_worth_it)
{
	ck_assert(see(0.5, 0));
	ck_assert(!see(0.509, PAUSE_NS));
	ck_assert(!see(0.491, 2 * PAUSE_NS));
	ck_assert(see(0.4899, 3 * PAUSE_NS));
	/* But whether it runs at all is. */
	ck_assert(see(0.004, 4 * PAUSE_NS));
	ck_assert(see(0, 5 * PAUSE_NS));
	ck_assert(see(0.004, 6 * PAUSE_NS));
}
END_TEST

/* Before another line there is no pause. */
START_TEST(before_another_line_it_has_to_be_known)
{
	ck_assert(!share_told_differs(&told, 0)); /* it has got none yet */
	ck_assert(share_told_differs(&told, 0.5));
	ck_assert(see(0.5, 0));
	ck_assert(!share_told_differs(&told, 0.5));
	ck_assert(share_told_differs(&told, 0.7));
	ck_assert(share_told_differs(&told, 0));
}
END_TEST

static Suite *make_suite(void)
{
	Suite *suite = suite_create("share_told");
	TCase *tcase = tcase_create("shares");

	tcase_add_checked_fixture(tcase, setup, /* teardown= */ NULL);
	suite_add_tcase(suite, tcase);
	tcase_add_test(tcase, the_first_is_told);
	tcase_add_test(tcase, a_pause_limits_and_loses_nothing);
	tcase_add_test(tcase, little_is_not_worth_it);
	tcase_add_test(tcase, before_another_line_it_has_to_be_known);
	return suite;
}

int main(void)
{
	return suite_run(make_suite());
}
