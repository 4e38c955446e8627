// SPDX-License-Identifier: GPL-2.0-or-later
#include "policy.h"

#include "suite.h"
#include "views.h"

/* The first slots of Figure 1(c) of Zhou 2024, as far as the paper gives them, in CPUs of a machine
 * with a budget of 32: tasks 1 and 3 (ids 0 and 2) share it, then 1, 2 and 3, then 2 and 3. */

static const struct schedule_row figure[] = {
	{.slot = 0, .task = 0, .cpus = 16},
	{.slot = 0, .task = 2, .cpus = 16},
	{.slot = 1, .task = 1, .cpus = 8},
	{.slot = 1, .task = 2, .cpus = 8},
	{.slot = 3, .task = 0, .cpus = 0},
	{.slot = 3, .task = 1, .cpus = 16},
	{.slot = 3, .task = 2, .cpus = 16},
};
static const double figure_shares[][3] = {
	{16, 0, 16}, {16, 8, 8}, {16, 8, 8}, {0, 16, 16}, {0, 16, 16}};

static const struct policy *script;
static struct policy_state *state;
static struct views views;

static void set_up(void)
{
	struct policy_setup setup = {.n_bundle = 3, .schedule = figure, .n_schedule = 7};

	script = policy_find("script");
	ck_assert_ptr_nonnull(script);
	ck_assert(script->needs_schedule);
	ck_assert_int_eq(script->new (&state, &setup), 0);
	views_init(&views, 3);
	for (int i = 0; i < 3; i++)
		views_threads(&views, i, 32);
	views.view.budget_cpus = 32;
}

static void tear_down(void)
{
	script->free(state);
	views_done(&views);
}

static void expect_slot(uint64_t slot)
{
	double shares[3];
	enum why why[3];

	views.view.slot = slot;
	script->plan(state, &views.view, shares, why);
	for (int i = 0; i < 3; i++) {
		ck_assert_double_eq_tol(shares[i], figure_shares[slot][i], 1e-12);
		ck_assert_int_eq((int)why[i], WHY_SCRIPT);
	}
}

START_TEST(follows_the_figure)
{
	for (uint64_t slot = 0; slot < 5; slot++)
		expect_slot(slot);
}
END_TEST

START_TEST(a_late_start_is_no_loss)
{
	expect_slot(4);
}
END_TEST

START_TEST(goes_back_when_the_view_does)
{
	expect_slot(4);
	expect_slot(1);
	expect_slot(0);
}
END_TEST

START_TEST(is_cut_to_threads_and_budget)
{
	double shares[3];
	enum why why[3];

	views_threads(&views, 0, 10);
	views.view.budget_cpus = 14;
	views.view.slot = 1;
	script->plan(state, &views.view, shares, why);
	ck_assert_double_eq_tol(shares[0], 10, 1e-12);
	ck_assert_double_eq_tol(shares[1], 4, 1e-12);
	ck_assert_double_eq_tol(shares[2], 0, 1e-12);
}
END_TEST

/* Rows go by the task's id, not by its place in the alive set. */
START_TEST(the_absent_keep_their_rows)
{
	double share;
	enum why why;

	views.tasks[0] = views.tasks[2];
	views.view.n_tasks = 1;
	views.view.slot = 1;
	script->plan(state, &views.view, &share, &why);
	ck_assert_double_eq_tol(share, 8, 1e-12);
}
END_TEST

START_TEST(no_schedule_no_shares)
{
	struct policy_setup setup = {.n_bundle = 3};
	struct policy_state *empty;
	double shares[3];
	enum why why[3];

	ck_assert_int_eq(script->new (&empty, &setup), 0);
	script->plan(empty, &views.view, shares, why);
	for (int i = 0; i < 3; i++)
		ck_assert_double_eq(shares[i], 0);
	script->free(empty);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("script");
	TCase *tcase = tcase_create("all");

	tcase_add_checked_fixture(tcase, set_up, tear_down);
	tcase_add_test(tcase, follows_the_figure);
	tcase_add_test(tcase, a_late_start_is_no_loss);
	tcase_add_test(tcase, goes_back_when_the_view_does);
	tcase_add_test(tcase, is_cut_to_threads_and_budget);
	tcase_add_test(tcase, the_absent_keep_their_rows);
	tcase_add_test(tcase, no_schedule_no_shares);
	suite_add_tcase(suite, tcase);
	return suite_run(suite);
}
