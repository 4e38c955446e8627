// SPDX-License-Identifier: GPL-2.0-or-later
#include "line_fit.h"

#include <math.h>

#include "suite.h"

static double slope, level;

START_TEST(a_line_is_found)
{
	struct line_fit fit = {0};

	for (int i = 0; i < 3; i++)
		line_fit_take(&fit, 1, i, 2 * i + 1);
	ck_assert(line_fit_solve(&fit, 0, &slope, &level));
	ck_assert_double_eq_tol(slope, 2, 1e-12);
	ck_assert_double_eq_tol(level, 1, 1e-12);
}
END_TEST

/* (0, 0), (1, 0), (2, 1) with weights 1/4, 1/2, 1: sums 7/4 of 1, 5/2 of x, 9/2 of x^2, 1 of r, 2 of x r;
 * determinant 7/4 9/2 - 25/4 = 13/8. */
START_TEST(old_points_count_less)
{
	struct line_fit fit = {0};

	line_fit_take(&fit, 0.5, 0, 0);
	line_fit_take(&fit, 0.5, 1, 0);
	line_fit_take(&fit, 0.5, 2, 1);
	ck_assert(line_fit_solve(&fit, 0, &slope, &level));
	ck_assert_double_eq_tol(slope, 8.0 / 13, 1e-12);
	ck_assert_double_eq_tol(level, -4.0 / 13, 1e-12);
}
END_TEST

START_TEST(one_place_is_no_line)
{
	struct line_fit fit = {0};

	ck_assert(!line_fit_solve(&fit, 0, &slope, &level));
	line_fit_take(&fit, 0.9, 3, 1);
	ck_assert(!line_fit_solve(&fit, 0, &slope, &level));
	line_fit_take(&fit, 0.9, 3, 2);
	ck_assert(!line_fit_solve(&fit, 0, &slope, &level));
}
END_TEST

/* One point (0, 4), ridge 1: V = (1, 0; 0, 2). */
START_TEST(a_ridge_makes_one_point_enough)
{
	struct line_fit fit = {0};

	line_fit_take(&fit, 0.9, 0, 4);
	ck_assert(line_fit_solve(&fit, 1, &slope, &level));
	ck_assert_double_eq_tol(slope, 0, 1e-12);
	ck_assert_double_eq_tol(level, 2, 1e-12);
	ck_assert_double_eq_tol(line_fit_width(&fit, 1, 3), sqrt(9.5), 1e-12);
	ck_assert_double_eq_tol(line_fit_width(&fit, 1, 0), sqrt(0.5), 1e-12);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("line_fit");
	TCase *tcase = tcase_create("all");

	tcase_add_test(tcase, a_line_is_found);
	tcase_add_test(tcase, old_points_count_less);
	tcase_add_test(tcase, one_place_is_no_line);
	tcase_add_test(tcase, a_ridge_makes_one_point_enough);
	suite_add_tcase(suite, tcase);
	return suite_run(suite);
}
