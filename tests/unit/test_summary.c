// SPDX-License-Identifier: GPL-2.0-or-later
#include "summary.h"

#include <math.h>
#include <string.h>

#include "cleanup.h"
#include "suite.h"
#include "summary_text.h"

/* Three bundles under two policies, worked out by hand.
 *
 *	           first              second
 *	a, 4 tasks 10 20 -  -   0.5   30 -  40 50   0.75
 *	b, 2 tasks 5  -         0.5   15 -          0.5
 *	c, 1 task  8            1     -             0
 *
 * Of the 7 tasks two learn under both: the first of a and the first of b. */

#define NONE NAN

static struct summary *summary;
static struct summary_row rows[2];

static void set_up(void)
{
	ck_assert_int_eq(summary_new(&summary, 3, 2), 0);
	memset(rows, 0, sizeof(rows));
}

static void tear_down(void)
{
	summary = summary_free(summary);
}

static void add(
	uint32_t n_tasks, const double to_target[], double kappa_star, double used, double learned)
{
	struct summary_figures figures = {
		.n_tasks = n_tasks,
		.kappa_star = kappa_star,
		.data_throughput = used / 200,
		.used_seconds = used,
		.budget_seconds = 100,
		.learned_seconds = learned,
		.to_target = to_target,
	};

	for (uint32_t i = 0; i < n_tasks; i++)
		figures.n_learned += !isnan(to_target[i]);
	ck_assert_int_eq(summary_add(summary, &figures), 0);
}

static void add_all(double star_a, double star_b, double star_c)
{
	add(4, (const double[]){10, 20, NONE, NONE}, star_a, 100, 30);
	add(4, (const double[]){30, NONE, 40, 50}, star_a, 80, 60);
	add(2, (const double[]){5, NONE}, star_b, 50, 5);
	add(2, (const double[]){15, NONE}, star_b, 60, 15);
	add(1, (const double[]){8}, star_c, 90, 9);
	add(1, (const double[]){NONE}, star_c, 40, 0);
}

START_TEST(means_are_over_bundles)
{
	add_all(NONE, NONE, NONE);
	ck_assert_int_eq(summary_rows(summary, rows), 0);
	ck_assert_uint_eq(summary_n_bundles(summary), 3);
	ck_assert_uint_eq(summary_n_tasks(summary), 7);
	ck_assert_uint_eq(rows[0].n_bundles, 3);
	ck_assert_double_eq_tol(rows[0].kappa.mean, 2.0 / 3, 1e-12);
	ck_assert_double_eq_tol(rows[1].kappa.mean, 1.25 / 3, 1e-12);
	/* The least and the most that three draws of these can be in more than one of 40. */
	ck_assert_double_eq_tol(rows[0].kappa.low, 0.5, 1e-12);
	ck_assert_double_eq_tol(rows[0].kappa.high, 1, 1e-12);
	ck_assert_double_eq_tol(rows[0].data_throughput, 0.4, 1e-12);
	ck_assert_double_eq_tol(rows[0].used_part, 0.8, 1e-12);
	ck_assert_double_eq_tol(rows[0].learned_part, (0.3 + 0.1 + 0.1) / 3, 1e-12);
	ck_assert_double_eq_tol(rows[1].used_part, 0.6, 1e-12);
	ck_assert_double_eq_tol(rows[1].learned_part, (0.75 + 0.25 + 0) / 3, 1e-12);
}
END_TEST

START_TEST(policies_are_compared_bundle_by_bundle)
{
	add_all(NONE, NONE, NONE);
	ck_assert_int_eq(summary_rows(summary, rows), 0);
	ck_assert_double_eq_tol(rows[1].difference.mean, (0.25 + 0 - 1) / 3, 1e-12);
	ck_assert_double_eq_tol(rows[1].difference.low, -1, 1e-12);
	ck_assert_double_eq_tol(rows[1].difference.high, 0.25, 1e-12);
	ck_assert_uint_eq(rows[1].n_better, 1);
	ck_assert_uint_eq(rows[1].n_equal, 1);
	ck_assert_uint_eq(rows[1].n_worse, 1);
	ck_assert_double_eq(rows[0].difference.mean, 0);
	ck_assert_uint_eq(rows[0].n_equal, 3);
}
END_TEST

START_TEST(times_are_those_of_tasks_that_all_get_there)
{
	add_all(NONE, NONE, NONE);
	ck_assert_int_eq(summary_rows(summary, rows), 0);
	ck_assert_uint_eq(summary_n_common(summary), 2);
	ck_assert_double_eq_tol(rows[0].to_target, (10 + 5) / 2.0, 1e-12);
	ck_assert_double_eq_tol(rows[1].to_target, (30 + 15) / 2.0, 1e-12);
}
END_TEST

START_TEST(the_best_possible_is_a_column_where_it_is_known)
{
	add_all(NONE, NONE, NONE);
	ck_assert_int_eq(summary_rows(summary, rows), 0);
	ck_assert_double_nan(rows[0].kappa_star);
	ck_assert_double_nan(rows[0].part_of_star);
	summary = summary_free(summary);

	/* Not known of b: its kappa does not count there either. */
	ck_assert_int_eq(summary_new(&summary, 3, 2), 0);
	add_all(0.75, NONE, 1);
	ck_assert_int_eq(summary_rows(summary, rows), 0);
	ck_assert_double_eq_tol(rows[0].kappa_star, 0.875, 1e-12);
	ck_assert_double_eq_tol(rows[0].part_of_star, 0.75 / 0.875, 1e-12);
	ck_assert_double_eq_tol(rows[1].part_of_star, 0.375 / 0.875, 1e-12);
}
END_TEST

START_TEST(a_bundle_without_tasks_counts_in_no_mean)
{
	const struct summary_figures empty = {.kappa_star = NONE, .data_throughput = NONE};

	ck_assert_int_eq(summary_add(summary, &empty), 0);
	ck_assert_int_eq(summary_add(summary, &empty), 0);
	ck_assert_int_eq(summary_rows(summary, rows), 0);
	ck_assert_uint_eq(summary_n_bundles(summary), 1);
	ck_assert_uint_eq(rows[0].n_bundles, 0);
	ck_assert_double_nan(rows[0].kappa.mean);
	ck_assert_double_nan(rows[0].used_part);
	ck_assert_double_nan(rows[0].to_target);
	ck_assert_double_nan(rows[1].difference.mean);

	add(2, (const double[]){5, NONE}, NONE, 50, 5);
	add(2, (const double[]){15, 20}, NONE, 60, 15);
	ck_assert_int_eq(summary_rows(summary, rows), 0);
	ck_assert_uint_eq(rows[0].n_bundles, 1);
	ck_assert_double_eq(rows[0].kappa.mean, 0.5);
	ck_assert_double_nan(rows[0].kappa.low);
	ck_assert_double_eq(rows[1].difference.mean, 0.5);
}
END_TEST

START_TEST(of_nothing)
{
	ck_assert_int_eq(summary_rows(summary, rows), 0);
	ck_assert_double_nan(rows[0].kappa.mean);
	ck_assert_double_nan(rows[0].to_target);
}
END_TEST

static char *print(const char *first, const char *second)
{
	const char *names[] = {first, second};
	const struct summary_text text = {
		.summary = summary, .rows = rows, .names = names, .n_rows = 2};
	size_t length;
	char *printed = NULL;
	FILE *to = open_memstream(&printed, &length);

	ck_assert_ptr_nonnull(to);
	summary_print(&text, to);
	ck_assert_int_eq(fclose(to), 0);
	return printed;
}

START_TEST(prints_tables)
{
	_cleanup_free_ char *printed = NULL;

	add_all(NONE, NONE, NONE);
	ck_assert_int_eq(summary_rows(summary, rows), 0);
	printed = print("edf", "core");
	ck_assert_str_eq(printed,
		"3 bundles, 7 tasks\n"
		"\n"
		"policy      kappa     95 % interval  throughput      used    useful  to target\n"
		"edf        0.6667  0.5000 .. 1.0000       0.400    80.0 %    16.7 %      7.5 s\n"
		"core       0.4167  0.0000 .. 0.7500       0.300    60.0 %    33.3 %     22.5 s\n"
		"\n"
		"against       edf       95 % interval  better   equal   worse\n"
		"core      -0.2500  -1.0000 .. +0.2500       1       1       1\n"
		"\n"
		"used: of the budget; useful: of the CPU time used, by tasks that learned;\n"
		"to target: mean time since begin, of the tasks that learn under every policy (2 "
		"of 7).\n"
		"95 % interval: percentile bootstrap over bundles, 2000 resamples.\n");
}
END_TEST

/* With everything in it, and names as long as those of policies are. */
START_TEST(fits_100_columns)
{
	_cleanup_free_ char *printed = NULL;
	char *rest = NULL;

	add_all(0.75, 0.5, 1);
	ck_assert_int_eq(summary_rows(summary, rows), 0);
	rows[1].to_target = 123456.7;
	printed = print("exclusive", "own policy");
	ck_assert_ptr_nonnull(strstr(printed, "the best that any policy could: kappa 0.7500\n"));
	ck_assert_ptr_nonnull(strstr(printed, "  of best  "));
	for (char *line = strtok_r(printed, "\n", &rest); line; line = strtok_r(NULL, "\n", &rest))
		ck_assert_uint_le(strlen(line), 100);
}
END_TEST

START_TEST(is_an_object_for_programs)
{
	const char *names[] = {"edf", "core"};
	const struct summary_text text = {
		.summary = summary, .rows = rows, .names = names, .n_rows = 2};
	_cleanup_free_ char *printed = NULL;

	add_all(0.75, 0.5, 1);
	ck_assert_int_eq(summary_rows(summary, rows), 0);
	printed = summary_json(&text);
	ck_assert_str_eq(printed,
		"{\"schema\":1,\"bundles\":3,\"tasks\":7,\"tasks_common\":2,\"confidence\":0.95,"
		"\"resamples\":2000,\"policies\":["
		"{\"policy\":\"edf\",\"kappa\":{\"mean\":0.666666667,\"low\":0.5,\"high\":1},"
		"\"kappa_star\":0.75,\"part_of_kappa_star\":0.888888889,\"data_throughput\":0.4,"
		"\"used_part\":0.8,\"learned_part\":0.166666667,\"to_target_seconds\":7.5,"
		"\"against_first\":null},"
		"{\"policy\":\"core\",\"kappa\":{\"mean\":0.416666667,\"low\":0,\"high\":0.75},"
		"\"kappa_star\":0.75,\"part_of_kappa_star\":0.555555556,\"data_throughput\":0.3,"
		"\"used_part\":0.6,\"learned_part\":0.333333333,\"to_target_seconds\":22.5,"
		"\"against_first\":{\"mean\":-0.25,\"low\":-1,\"high\":0.25,\"better\":1,"
		"\"equal\":1,\"worse\":1}}]}");
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("summary");
	TCase *tcase = tcase_create("all");

	tcase_add_checked_fixture(tcase, set_up, tear_down);
	tcase_add_test(tcase, means_are_over_bundles);
	tcase_add_test(tcase, policies_are_compared_bundle_by_bundle);
	tcase_add_test(tcase, times_are_those_of_tasks_that_all_get_there);
	tcase_add_test(tcase, the_best_possible_is_a_column_where_it_is_known);
	tcase_add_test(tcase, a_bundle_without_tasks_counts_in_no_mean);
	tcase_add_test(tcase, of_nothing);
	tcase_add_test(tcase, prints_tables);
	tcase_add_test(tcase, fits_100_columns);
	tcase_add_test(tcase, is_an_object_for_programs);
	suite_add_tcase(suite, tcase);
	return suite_run(suite);
}
