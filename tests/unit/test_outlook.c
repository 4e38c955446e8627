// SPDX-License-Identifier: GPL-2.0-or-later
#include "outlook.h"

#include "nsec.h"
#include "suite.h"

/* What is told of a task's outlook, look by look. */

#define SLOT_NS NSEC_PER_SEC

static struct outlook outlook;
static struct outlook_look look;

static void setup(void)
{
	outlook = (struct outlook){0};
	look = (struct outlook_look){
		.is_expected = true,
		.unheard_cpu_ns = OUTLOOK_UNHEARD_CPU_NS,
	};
}

/* So many looks with that prospect; the last thing told in them, and how often anything was. */
static enum outlook_news see(enum prospect prospect, unsigned n_looks, unsigned *ret_n_told)
{
	enum outlook_news told = OUTLOOK_NOTHING;

	*ret_n_told = 0;
	for (unsigned i = 0; i < n_looks; i++) {
		enum outlook_news news;

		look.prospect = prospect;
		look.n_reports++;
		look.now_ns += SLOT_NS;
		news = outlook_look(&outlook, &look);
		*ret_n_told += news != OUTLOOK_NOTHING;
		if (news != OUTLOOK_NOTHING)
			told = news;
	}
	return told;
}

START_TEST(what_lasts_is_told_once)
{
	unsigned n_told;

	ck_assert_int_eq(see(PROSPECT_LIKELY, 100, &n_told), OUTLOOK_NOTHING);
	ck_assert_int_eq(
		see(PROSPECT_UNLIKELY, OUTLOOK_STEADY_LOOKS - 1, &n_told), OUTLOOK_NOTHING);
	ck_assert_int_eq(see(PROSPECT_UNLIKELY, 1000, &n_told), OUTLOOK_UNLIKELY);
	ck_assert_uint_eq(n_told, 1);
	ck_assert_int_eq(see(PROSPECT_LIKELY, 1000, &n_told), OUTLOOK_LIKELY);
	ck_assert_uint_eq(n_told, 1);
}
END_TEST

START_TEST(who_is_on_the_edge_does_not_flood)
{
	unsigned n_told, n_all = 0;

	/* From look to look: never steady. */
	for (unsigned i = 0; i < 1000; i++) {
		(void)see(i % 2 ? PROSPECT_LIKELY : PROSPECT_UNLIKELY, 1, &n_told);
		n_all += n_told;
	}
	ck_assert_uint_eq(n_all, 0);
	/* Steady each time, every four seconds: once a minute. */
	for (unsigned i = 0; i < 250; i++) {
		(void)see(i % 2 ? PROSPECT_LIKELY : PROSPECT_UNLIKELY, 4, &n_told);
		n_all += n_told;
	}
	ck_assert_uint_gt(n_all, 2);
	ck_assert_uint_le(n_all, 1000 * SLOT_NS / OUTLOOK_PAUSE_NS + 1);
}
END_TEST

START_TEST(a_change_within_the_pause_is_told_after_it)
{
	unsigned n_told;

	ck_assert_int_eq(see(PROSPECT_UNLIKELY, OUTLOOK_STEADY_LOOKS, &n_told), OUTLOOK_UNLIKELY);
	ck_assert_int_eq(
		see(PROSPECT_LIKELY, OUTLOOK_PAUSE_NS / SLOT_NS - 1, &n_told), OUTLOOK_NOTHING);
	ck_assert_int_eq(see(PROSPECT_LIKELY, 1, &n_told), OUTLOOK_LIKELY);
}
END_TEST

/* An outcome makes a prospect unknown. */
START_TEST(what_is_not_known_is_not_told)
{
	unsigned n_told;

	ck_assert_int_eq(see(PROSPECT_UNLIKELY, OUTLOOK_STEADY_LOOKS, &n_told), OUTLOOK_UNLIKELY);
	ck_assert_int_eq(see(PROSPECT_UNKNOWN, 200, &n_told), OUTLOOK_NOTHING);
	/* Nor does it make the same thing news. */
	ck_assert_int_eq(see(PROSPECT_UNLIKELY, 200, &n_told), OUTLOOK_NOTHING);
}
END_TEST

static enum outlook_news after(uint64_t age_s, uint64_t cpu_s)
{
	look.now_ns = look.age_ns = age_s * NSEC_PER_SEC;
	look.cpu_ns = cpu_s * NSEC_PER_SEC;
	return outlook_look(&outlook, &look);
}

START_TEST(who_says_nothing_is_told_of_once)
{
	ck_assert_int_eq(after(30, 29), OUTLOOK_NOTHING);
	ck_assert_int_eq(after(31, 30), OUTLOOK_UNHEARD);
	ck_assert(outlook.is_unheard);
	for (uint64_t s = 32; s < 1000; s++)
		ck_assert_int_eq(after(s, s), OUTLOOK_NOTHING);
}
END_TEST

START_TEST(who_has_little_is_waited_for_a_minute)
{
	ck_assert_int_eq(after(59, 11), OUTLOOK_NOTHING);
	ck_assert_int_eq(after(3600, 9), OUTLOOK_NOTHING); /* it has stood still */
	ck_assert_int_eq(after(3601, 10), OUTLOOK_UNHEARD);
}
END_TEST

START_TEST(who_has_reported_or_need_not_is_not_told_of)
{
	look.n_reports = 1;
	ck_assert_int_eq(after(1000, 1000), OUTLOOK_NOTHING);
	look.n_reports = 0;
	look.is_expected = false;
	ck_assert_int_eq(after(1000, 1000), OUTLOOK_NOTHING);
	ck_assert(!outlook.is_unheard);
}
END_TEST

static Suite *make_suite(void)
{
	Suite *suite = suite_create("outlook");
	TCase *tcase = tcase_create("looks");

	tcase_add_checked_fixture(tcase, setup, /* teardown= */ NULL);
	suite_add_tcase(suite, tcase);
	tcase_add_test(tcase, what_lasts_is_told_once);
	tcase_add_test(tcase, who_is_on_the_edge_does_not_flood);
	tcase_add_test(tcase, a_change_within_the_pause_is_told_after_it);
	tcase_add_test(tcase, what_is_not_known_is_not_told);
	tcase_add_test(tcase, who_says_nothing_is_told_of_once);
	tcase_add_test(tcase, who_has_little_is_waited_for_a_minute);
	tcase_add_test(tcase, who_has_reported_or_need_not_is_not_told_of);
	return suite;
}

int main(void)
{
	return suite_run(make_suite());
}
