// SPDX-License-Identifier: GPL-2.0-or-later
#include "sim.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "bundle.h"
#include "count_allocations.h"
#include "governor.h"
#include "nsec.h"
#include "policy.h"
#include "suite.h"

/* The loop over the simulated machine, by the rules of simulated time in coregov.bundle(5), on cases
 * that can be worked out by hand. */

static char folder[SUITE_PATH_MAX];
static struct bundle *bundle;
static struct sim *sim;
static struct governor *governor;

static void write_file(const char *name, const char *text)
{
	char path[128];
	FILE *file;

	(void)snprintf(path, sizeof(path), "%s/%s", folder, name);
	file = fopen(path, "w");
	ck_assert_ptr_nonnull(file);
	ck_assert_int_ge(fputs(text, file), 0);
	ck_assert_int_eq(fclose(file), 0);
}

static void set_up(void)
{
	ck_assert_ptr_nonnull(mkdtemp(suite_template(folder)));
	/* Loses 0.1 a CPU-second from 1.0, exits after 10. */
	write_file("line.csv",
		"cpu_seconds,loss\n0,1\n1,0.9\n2,0.8\n3,0.7\n4,0.6\n5,0.5\n6,0.4\n7,0.3\n8,0.2\n"
		"9,0.1\n10,0.05\n");
	write_file("bad.csv", "cpu_seconds,loss\n1,nan\n2,-inf\n3,0.4\n4,0.6\n5,0.4\n6,0.3\n");
}

static void tear_down(void)
{
	governor_free(governor);
	sim_free(sim);
	bundle_free(bundle);
	ck_assert_int_eq(suite_remove(folder), 0);
}

static void prepare(const char *text, const char *policy)
{
	struct fault fault = FAULT_INIT;
	char path[128];

	write_file("test.bundle", text);
	(void)snprintf(path, sizeof(path), "%s/test.bundle", folder);
	ck_assert_msg(bundle_read(path, &bundle, &fault) == 0, "%s", fault.text);
	ck_assert_msg(bundle_resolve(bundle, BUNDLE_SIMULATED, 1, &fault) == 0, "%s", fault.text);
	ck_assert_int_eq(sim_new(&sim, bundle, &fault), 0);
	ck_assert_int_eq(sim_govern(sim, policy_find(policy), NULL, NULL, 0, &governor, &fault), 0);
}

static void simulate(const char *text, const char *policy)
{
	struct fault fault = FAULT_INIT;
	size_t before, after;
	int r;

	prepare(text, policy);
	before = n_allocations;
	r = sim_run(sim, governor, &fault);
	after = n_allocations;
	ck_assert_msg(r == 0, "%s", fault.text);
	/* Nothing in the slot path allocates. */
	ck_assert_uint_eq(after, before);
}

static void assert_task(
	uint32_t task, enum outcome outcome, double finish_seconds, double cpu_seconds)
{
	struct task_status status;

	governor_task_status(governor, task, &status);
	ck_assert_str_eq(outcome_to_string(status.outcome), outcome_to_string(outcome));
	ck_assert(status.was_started);
	ck_assert_double_eq_tol(nsec_to_seconds(status.finish_ns), finish_seconds, 1e-8);
	ck_assert_double_eq_tol(nsec_to_seconds(status.cpu_ns), cpu_seconds, 1e-8);
}

static struct governor_totals totals(void)
{
	struct governor_totals sums;

	governor_totals(governor, &sums);
	return sums;
}

/* 0.8 CPU: the row at 5 CPU-seconds is passed at 6.25 s; the share is free from the slot at 7. */
START_TEST(a_target_counts_from_its_moment)
{
	simulate("[bundle]\nbudget = 0.8cpu\n"
		 "[task a]\ncurve = line.csv\ndeadline = 20s\ntarget = 0.5\n"
		 "[task b]\ncurve = line.csv\ndeadline = 20s\ntarget = 0.9\n",
		"fifo");
	assert_task(0, OUTCOME_LEARNED, 6.25, 5);
	assert_task(1, OUTCOME_LEARNED, 7 + 1 / 0.8, 1);
	ck_assert_uint_eq(totals().n_slots, 9);
	ck_assert_uint_eq(totals().used_ns, 6 * NSEC_PER_SEC);
	ck_assert_uint_eq(totals().budget_ns, 9 * 800 * NSEC_PER_MSEC);
	ck_assert_double_eq_tol(totals().granted_cpus_max, 0.8, 1e-9);
}
END_TEST

/* Exactly at the deadline is in time; a nanosecond more is not. */
START_TEST(the_deadline_cuts_the_share)
{
	simulate("[bundle]\nbudget = 3cpu\n"
		 "[task a]\ncurve = line.csv\ndeadline = 4500ms\ntarget = 0.6\n"
		 "[task b]\ncurve = line.csv\ndeadline = 3900ms\ntarget = 0.6\n"
		 "[task c]\ncurve = line.csv\ndeadline = 4s\ntarget = 0.6\n",
		"edf");
	assert_task(0, OUTCOME_LEARNED, 4, 4);
	assert_task(1, OUTCOME_MISSED_DEADLINE, 3.9, 3.9);
	assert_task(2, OUTCOME_LEARNED, 4, 4);
}
END_TEST

START_TEST(a_curve_that_ends_has_missed_its_target)
{
	simulate("[bundle]\nbudget = 1cpu\n"
		 "[task a]\ncurve = line.csv\ndeadline = 20s\ntarget = 0.01\n",
		"equal");
	assert_task(0, OUTCOME_MISSED_TARGET, 10, 10);
	ck_assert_uint_eq(totals().n_slots, 10);
}
END_TEST

START_TEST(what_is_not_finite_never_meets_a_target)
{
	struct task_status status;

	simulate("[bundle]\nbudget = 1cpu\n"
		 "[task a]\ncurve = bad.csv\ndeadline = 20s\ntarget = 0.5\n"
		 "[task b]\ncurve = bad.csv\ndeadline = 20s\ntarget = loss <= 0.5 for 2\n",
		"fifo");
	assert_task(0, OUTCOME_LEARNED, 3, 3);
	governor_task_status(governor, 0, &status);
	ck_assert_uint_eq(status.n_reports, 3);
	ck_assert_uint_eq(status.n_not_finite, 2);
	/* 0.4 at 3 is alone; 0.4 at 5 and 0.3 at 6 are two in a row. */
	assert_task(1, OUTCOME_LEARNED, 9, 6);
}
END_TEST

START_TEST(a_begin_inside_a_slot_waits_for_the_next)
{
	simulate("[bundle]\nbudget = 1cpu\n"
		 "[task a]\ncurve = line.csv\nbegin = 1500ms\ndeadline = 20s\ntarget = 0.9\n",
		"equal");
	assert_task(0, OUTCOME_LEARNED, 3, 1);
}
END_TEST

START_TEST(a_window_inside_a_slot_is_never_started)
{
	struct task_status status;

	simulate("[bundle]\nbudget = 1cpu\n"
		 "[task a]\ncurve = line.csv\nbegin = 200ms\ndeadline = 800ms\ntarget = 0.9\n",
		"equal");
	governor_task_status(governor, 0, &status);
	ck_assert_str_eq(outcome_to_string(status.outcome), "missed-deadline");
	ck_assert(!status.was_started);
}
END_TEST

/* The budget falls to 0.5 in the middle of the slot at 2: the lower value holds for all of it. */
START_TEST(the_lower_budget_holds_for_a_slot)
{
	simulate("[bundle]\nbudget = 1cpu\n[budget]\n2500ms = 0.5cpu\n"
		 "[task a]\ncurve = line.csv\ndeadline = 20s\ntarget = 0.6\n",
		"equal");
	assert_task(0, OUTCOME_LEARNED, 6, 4);
	ck_assert_uint_eq(totals().budget_ns, 4 * NSEC_PER_SEC);
}
END_TEST

START_TEST(a_target_met_at_the_start_costs_nothing)
{
	simulate("[bundle]\nbudget = 1cpu\n"
		 "[task a]\ncurve = line.csv\nbegin = 2s\ndeadline = 20s\ntarget = 1\n",
		"equal");
	assert_task(0, OUTCOME_LEARNED, 2, 0);
}
END_TEST

/* a has learned after 1 s and yields: it lives on what b leaves, which is half a CPU. */
START_TEST(who_yields_gets_leftovers)
{
	simulate("[bundle]\nbudget = 1cpu\n"
		 "[task a]\ncurve = line.csv\ndeadline = 20s\ntarget = 0.9\non-target = yield\n"
		 "[task b]\ncurve = line.csv\ndeadline = 20s\nbegin = 1s\ntarget = 0.8\n"
		 "threads = 0.5\n",
		"edf");
	assert_task(0, OUTCOME_LEARNED, 1, 1);
	assert_task(1, OUTCOME_LEARNED, 5, 2);
	/* 1 of a, 4 of both together: nothing of the budget was left. */
	ck_assert_uint_eq(totals().used_ns, 5 * NSEC_PER_SEC);
}
END_TEST

/* In a real run a share that comes free inside a slot does not wait for the next one. */
START_TEST(a_free_share_is_given_on)
{
	struct task_status status;

	prepare("[bundle]\nbudget = 1cpu\n"
		"[task a]\ncurve = line.csv\ndeadline = 20s\ntarget = 0.1\n"
		"[task b]\ncurve = line.csv\ndeadline = 20s\ntarget = 0.1\n",
		"fifo");
	ck_assert_int_eq(governor_slot(governor, 0, 0, NULL), 0);
	ck_assert_int_eq(governor_give_on(governor, NSEC_PER_SEC / 4, NULL), 0);
	governor_task_status(governor, 1, &status);
	ck_assert_uint_eq(status.granted_ns, 0);
	governor_task_ended(governor, 0, NSEC_PER_SEC / 2, &(struct task_end){0});
	ck_assert_int_eq(governor_give_on(governor, NSEC_PER_SEC / 2, NULL), 0);
	governor_task_status(governor, 1, &status);
	ck_assert_uint_eq(status.granted_ns, NSEC_PER_SEC);
	/* It is still the first slot. */
	ck_assert_int_eq(governor_slot(governor, NSEC_PER_SEC, 0, NULL), 0);
	governor_task_ended(governor, 1, NSEC_PER_SEC, &(struct task_end){0});
	ck_assert_uint_eq(totals().n_slots, 2);
}
END_TEST

START_TEST(no_budget_for_a_while)
{
	simulate("[bundle]\nbudget = 0cpu\n[budget]\n3s = 1cpu\n"
		 "[task a]\ncurve = line.csv\ndeadline = 20s\ntarget = 0.9\n"
		 "[task b]\ncurve = line.csv\ndeadline = 2s\ntarget = 0.9\n",
		"core");
	assert_task(0, OUTCOME_LEARNED, 4, 1);
	assert_task(1, OUTCOME_MISSED_DEADLINE, 2, 0);
}
END_TEST

START_TEST(no_tasks)
{
	simulate("[bundle]\nbudget = 1cpu\n", "core");
	ck_assert(governor_is_done(governor));
	ck_assert_uint_eq(totals().n_slots, 0);
}
END_TEST

/* Ten thousand reports within one slot all count, and the moment of each is its own. */
START_TEST(many_reports_in_one_slot)
{
	static char text[400000];
	size_t length = (size_t)sprintf(text, "cpu_seconds,loss\n");

	for (int i = 1; i <= 10000; i++)
		length += (size_t)sprintf(text + length, "%.4f,%d\n", i / 10000.0, 10000 - i);
	write_file("many.csv", text);
	simulate("[bundle]\nbudget = 0.5cpu\nslot = 4s\n"
		 "[task a]\ncurve = many.csv\ndeadline = 20s\ntarget = 100\n",
		"equal");
	assert_task(0, OUTCOME_LEARNED, 1.98, 0.99);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("sim");
	TCase *tcase = tcase_create("all");

	tcase_add_checked_fixture(tcase, set_up, tear_down);
	tcase_add_test(tcase, a_target_counts_from_its_moment);
	tcase_add_test(tcase, the_deadline_cuts_the_share);
	tcase_add_test(tcase, a_curve_that_ends_has_missed_its_target);
	tcase_add_test(tcase, what_is_not_finite_never_meets_a_target);
	tcase_add_test(tcase, a_begin_inside_a_slot_waits_for_the_next);
	tcase_add_test(tcase, a_window_inside_a_slot_is_never_started);
	tcase_add_test(tcase, the_lower_budget_holds_for_a_slot);
	tcase_add_test(tcase, a_target_met_at_the_start_costs_nothing);
	tcase_add_test(tcase, who_yields_gets_leftovers);
	tcase_add_test(tcase, a_free_share_is_given_on);
	tcase_add_test(tcase, no_budget_for_a_while);
	tcase_add_test(tcase, no_tasks);
	tcase_add_test(tcase, many_reports_in_one_slot);
	suite_add_tcase(suite, tcase);
	return suite_run(suite);
}
