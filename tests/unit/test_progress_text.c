// SPDX-License-Identifier: GPL-2.0-or-later
#include "progress.h"

#include <string.h>

#include "cleanup.h"
#include "nsec.h"
#include "suite.h"

/* What a line of progress says. When it is drawn and taken away, tests/process/test_study.py looks at. */

static const struct {
	size_t n_done, n_all;
	double seconds;
	const char *text;
} lines[] = {
	{0, 50, 0.5, "--------------------   0 %  0 of 50 runs, 0/s"},
	{1, 3, 2, "######--------------  33 %  1 of 3 runs, 0.5/s, left: 4s"},
	/* 29 of 50 are 58 %, which floating point has as 57.99... */
	{29, 50, 2, "###########---------  58 %  29 of 50 runs, 14/s, left: 1s"},
	{5000, 20000, 10, "#####---------------  25 %  5000 of 20000 runs, 500/s, left: 30s"},
	{1, 20000, 60, "--------------------   0 %  1 of 20000 runs, 0.017/s, left: 13d 21h"},
	{20000, 20000, 10, "#################### 100 %  20000 of 20000 runs, 2000/s, left: 0s"},
	{0, 0, 0, "--------------------   0 %  0 of 0 runs, 0/s"},
};

START_TEST(says_how_far_it_is)
{
	char text[PROGRESS_TEXT_MAX];

	progress_text(text, "runs", lines[_i].n_done, lines[_i].n_all, lines[_i].seconds, 100);
	ck_assert_str_eq(text, lines[_i].text);
}
END_TEST

START_TEST(is_cut_to_the_terminal)
{
	char text[PROGRESS_TEXT_MAX];

	progress_text(text, "runs", 5, 10, 1, 28);
	ck_assert_str_eq(text, "##########----------  50 %  ");
	progress_text(text, "runs", 5, 10, 1, 0);
	ck_assert_str_eq(text, "");
	progress_text(text, "runs", SIZE_MAX / 200, SIZE_MAX / 100, 1e-3, 1000);
	ck_assert_uint_lt(strlen(text), PROGRESS_TEXT_MAX);
}
END_TEST

/* Not before half a second is over, not more often than ten times a second, and nothing where there is
 * nobody. */
START_TEST(is_drawn_when_it_is_due)
{
	struct progress progress = {.what = "runs", .n_all = 10, .start_ns = NSEC_PER_SEC};
	char *drawn = NULL;
	size_t length = 0, first;
	FILE *to = open_memstream(&drawn, &length);

	progress_look(&progress, 1, 5 * NSEC_PER_SEC);
	ck_assert(!progress.is_drawn);
	progress.to = to;
	progress_look(&progress, 1, NSEC_PER_SEC + 499 * NSEC_PER_MSEC);
	progress_hide(&progress);
	ck_assert_uint_eq(length, 0);
	progress_look(&progress, 1, NSEC_PER_SEC + 500 * NSEC_PER_MSEC);
	first = length;
	ck_assert_uint_gt(first, 0);
	progress_look(&progress, 2, NSEC_PER_SEC + 599 * NSEC_PER_MSEC);
	ck_assert_uint_eq(length, first);
	progress_look(&progress, 2, NSEC_PER_SEC + 600 * NSEC_PER_MSEC);
	ck_assert_uint_gt(length, first);
	progress_hide(&progress);
	ck_assert_str_eq(drawn + length - 4, "\r\x1b[K");
	first = length;
	progress_hide(&progress);
	ck_assert_uint_eq(length, first);
	ck_assert_int_eq(fclose(to), 0);
	free(drawn);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("progress_text");
	TCase *tcase = tcase_create("all");

	tcase_add_loop_test(tcase, says_how_far_it_is, 0, ARRAY_LENGTH(lines));
	tcase_add_test(tcase, is_cut_to_the_terminal);
	tcase_add_test(tcase, is_drawn_when_it_is_due);
	suite_add_tcase(suite, tcase);
	return suite_run(suite);
}
