// SPDX-License-Identifier: GPL-2.0-or-later
#include "history.h"

#include <math.h>

#include "suite.h"

static struct history history;

static void expect_sound(uint64_t first_ns, uint64_t newest_ns)
{
	ck_assert_uint_le(history.n_points, HISTORY_MAX);
	ck_assert_uint_eq(history.cpu_ns[0], first_ns);
	ck_assert_uint_eq(history.cpu_ns[history.n_points - 1], newest_ns);
	for (uint32_t i = 1; i < history.n_points; i++)
		if (history.cpu_ns[i] <= history.cpu_ns[i - 1]) /* ck_assert() is slow in a loop */
			ck_abort_msg("point %u is not after the one before it", i);
}

START_TEST(thinning_keeps_first_and_newest)
{
	for (uint64_t i = 1; i <= 10000; i++) {
		history_add(&history, i * 10, (double)i);
		expect_sound(10, i * 10);
		ck_assert_double_eq(history.value[0], 1);
		ck_assert_double_eq(history.value[history.n_points - 1], (double)i);
		ck_assert_uint_eq(history.n_points + history.n_dropped, i);
		ck_assert_uint_eq(history.n_reports, i);
	}
}
END_TEST

/* Pairs stay pairs: the value is a function of the CPU time here. */
START_TEST(thinning_moves_both_columns)
{
	for (uint64_t i = 1; i <= 5000; i++)
		history_add(&history, i, (double)i * 3);
	for (uint32_t i = 0; i < history.n_points; i++)
		ck_assert_double_eq(history.value[i], (double)history.cpu_ns[i] * 3);
	for (uint32_t i = HISTORY_MAX / 2; i + 1 < history.n_points; i++)
		ck_assert_uint_eq(history.cpu_ns[i + 1] - history.cpu_ns[i], 1);
}
END_TEST

START_TEST(same_or_earlier_time_replaces_the_newest)
{
	history_add(&history, 10, 3);
	history_add(&history, 20, 2);
	history_add(&history, 20, 1);
	history_add(&history, 5, 0.5);
	expect_sound(10, 20);
	ck_assert_uint_eq(history.n_points, 2);
	ck_assert_uint_eq(history.n_reports, 4);
	ck_assert_double_eq(history.value[1], 0.5);
}
END_TEST

START_TEST(not_finite_is_counted_not_kept)
{
	history_add(&history, 10, NAN);
	history_add(&history, 20, INFINITY);
	history_add(&history, 30, -INFINITY);
	ck_assert_uint_eq(history.n_points, 0);
	ck_assert_uint_eq(history.n_reports, 0);
	ck_assert_uint_eq(history.n_not_finite, 3);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("history");
	TCase *tcase = tcase_create("all");

	tcase_add_test(tcase, thinning_keeps_first_and_newest);
	tcase_add_test(tcase, thinning_moves_both_columns);
	tcase_add_test(tcase, same_or_earlier_time_replaces_the_newest);
	tcase_add_test(tcase, not_finite_is_counted_not_kept);
	suite_add_tcase(suite, tcase);
	return suite_run(suite);
}
