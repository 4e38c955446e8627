// SPDX-License-Identifier: GPL-2.0-or-later
#include "coregov-progress.h"

#include <errno.h>
#include <math.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cleanup.h"
#include "page_pair.h"
#include "suite.h"

START_TEST(task_sees_what_it_is_told)
{
	struct coregov_target_info seen;

	ck_assert_double_eq(coregov_share(), 0);
	ck_assert_uint_eq(coregov_threads(), 1);
	ck_assert(!coregov_should_stop());
	page_tell(pair.page, &(struct page_news){0.75, 3, true});
	ck_assert_double_eq(coregov_share(), 0.75);
	ck_assert_uint_eq(coregov_threads(), 3);
	ck_assert(coregov_should_stop());
	ck_assert_uint_eq(coregov_deadline(), 12345);
	ck_assert_int_eq(coregov_target(&seen), 1);
	ck_assert_str_eq(seen.metric, "loss");
	ck_assert_double_eq(seen.value, 0.5);
	ck_assert(!seen.is_raised);
	ck_assert_uint_eq(seen.in_a_row, 1);
	/* Looking is not speaking. */
	ck_assert_uint_eq(pair_read(), 0);
	ck_assert(!pair_facts().speaks_page);
}
END_TEST

START_TEST(refuses_wrong_use)
{
	const char *names[] = {"a", "b", "c", "d", "e", "f", "g"};
	char longer[65];

	memset(longer, 'x', 64);
	longer[64] = '\0';
	ck_assert_int_eq(coregov_report(1, NULL, 1), -EINVAL);
	ck_assert_int_eq(coregov_report(1, "", 1), -EINVAL);
	ck_assert_int_eq(coregov_report(1, longer, 1), -EINVAL);
	ck_assert_int_eq(coregov_report_metrics(1, NULL, 1), -EINVAL);
	ck_assert_int_eq(
		coregov_report_metrics(1, (struct coregov_metric[]){{"a", 1}}, 0), -EINVAL);
	ck_assert_int_eq(coregov_epoch(-1), -EINVAL);
	ck_assert_int_eq(coregov_epoch(NAN), -EINVAL);
	longer[63] = '\0';
	for (size_t i = 0; i < 6; i++)
		ck_assert_int_eq(coregov_report(1, names[i], 1), 1);
	ck_assert_int_eq(coregov_report(1, longer, 1), 1);
	ck_assert_int_eq(coregov_report(1, names[6], 1), -ENOSPC);
	ck_assert_int_eq(coregov_report(2, "loss", 1), 1);
	ck_assert_uint_eq(pair_read(), 1);
	ck_assert_uint_eq(pair_facts().n_reports, 8);
	ck_assert_uint_eq(pair_facts().n_dropped, 1);
}
END_TEST

START_TEST(raised_metric_is_met_from_below)
{
	uint64_t step = 0;

	pair_make(/* is_raised= */ true, 1);
	for (unsigned i = 0; i < 300; i++)
		ck_assert_int_eq(
			coregov_report(++step, "accuracy", i == 100 || i == 150 ? 0.95 : 0.8), 1);
	ck_assert_uint_eq(pair_read(), COREGOV_RING_LENGTH + 1);
	ck_assert_double_eq(pair.reports[0].value, 0.95);
	ck_assert_uint_eq(pair.shared->task.first_met.number, 101);
	ck_assert_double_eq(pair.shared->task.best.value, 0.95);
	ck_assert_uint_eq(pair.shared->task.best.number, 101);
	ck_assert_uint_eq(pair.shared->task.best_sequence % 2, 0);
}
END_TEST

START_TEST(nan_breaks_a_row)
{
	pair_make(/* is_raised= */ false, 3);
	ck_assert_int_eq(coregov_report(1, "loss", 0.1), 1);
	ck_assert_int_eq(coregov_report(2, "loss", 0.1), 1);
	ck_assert_int_eq(coregov_report(3, "loss", NAN), 1);
	ck_assert_int_eq(coregov_report(4, "loss", 0.1), 1);
	ck_assert_uint_eq(pair.shared->task.first_met.number, 0);
	ck_assert_uint_eq(pair_read(), 4);
}
END_TEST

static int reports_as_other(void)
{
	for (uint64_t i = 0; i < 3; i++)
		if (coregov_report(100, "loss", 0) != 0)
			return 1;
	return coregov_open() == 0 && coregov_total_steps(5) == 0 && coregov_threads() == 1 ? 0 : 2;
}

static int reports_as_writer(void)
{
	return coregov_report(7, "loss", 1) == 1 ? 0 : 1;
}

START_TEST(second_claimer_is_ignored_and_counted)
{
	ck_assert_int_eq(coregov_report(1, "loss", 1), 1);
	ck_assert_int_eq(pair_in_child(reports_as_other), 0);
	ck_assert_int_eq(pair_in_child(reports_as_other), 0);
	ck_assert_int_eq(coregov_report(2, "loss", 1), 1);
	ck_assert_uint_eq(pair_read(), 2);
	ck_assert_uint_eq(pair.reports[1].step, 2);
	ck_assert_uint_eq(pair_facts().n_refused, 2);
	ck_assert_uint_eq(pair_facts().n_reports, 2);
	ck_assert_uint_eq(pair_facts().steps_total, 0);
}
END_TEST

START_TEST(writer_that_is_gone_is_succeeded)
{
	ck_assert_int_eq(pair_in_child(reports_as_writer), 0);
	ck_assert_uint_eq(pair_read(), 1);
	ck_assert_int_eq(pair_in_child(reports_as_writer), 0);
	ck_assert_int_eq(reports_as_writer(), 0);
	ck_assert_uint_eq(pair_read(), 2);
	ck_assert_uint_eq(pair_facts().n_reports, 3);
	ck_assert_uint_eq(pair_facts().n_refused, 0);
}
END_TEST

START_TEST(found_by_path_where_the_descriptor_is_closed)
{
	ck_assert_int_eq(close(PAIR_TASK_FD), 0);
	ck_assert_int_eq(pair_in_child(reports_as_writer), 0);
	/* Another file at its number: a pipe, then another page. */
	ck_assert_int_eq(dup2(STDERR_FILENO, PAIR_TASK_FD), PAIR_TASK_FD);
	ck_assert_int_eq(pair_in_child(reports_as_writer), 0);
	ck_assert_uint_eq(pair_read(), 2);
}
END_TEST

START_TEST(another_page_is_not_taken)
{
	struct page *other = NULL;

	ck_assert_int_eq(page_new(&other, "o", &pair.target, pair_now(), 0, NULL), 0);
	ck_assert_int_eq(dup2(page_fd(other), PAIR_TASK_FD), PAIR_TASK_FD);
	ck_assert_int_eq(pair_in_child(reports_as_writer), 0);
	ck_assert_uint_eq(pair_read(), 1);
	page_free(other);
}
END_TEST

static const char *const bad_environments[] = {
	"199",
	"x:/proc/self/fd/199:1",
	"199:/dev/null:1",
	"199:/proc/self/fd/199",
	"199:/proc/self/fd/199:",
	"199:/proc/self/fd/199:1g",
	"199:/proc/self/fd/199:1", /* not its token */
	"-1:/proc/self/fd/0:1",
	"-1:/proc/1/fd/999999:1",
	"99999999999999999999:/proc/self/fd/1:1",
	"1:/proc/"
	"xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx:"
	"1",
};

START_TEST(wrong_environment_is_said_once)
{
	ck_assert_int_eq(setenv(COREGOV_PROGRESS_VARIABLE, bad_environments[_i], 1), 0);
	errno = 77;
	ck_assert_int_eq(coregov_open(), -EPROTO);
	ck_assert_int_eq(coregov_open(), 0);
	ck_assert_int_eq(coregov_report(1, "loss", 1), 0);
	ck_assert_int_eq(errno, 77);
	ck_assert_uint_eq(pair_read(), 0);
	ck_assert(!pair_facts().speaks_page);
}
END_TEST

START_TEST(newer_versions_are_not_guessed_at)
{
	pair.shared->governor.version = 2;
	ck_assert_int_eq(coregov_open(), -EPROTO);
}
END_TEST

START_TEST(outside_nothing_happens)
{
	struct coregov_target_info seen;

	ck_assert_int_eq(unsetenv(COREGOV_PROGRESS_VARIABLE), 0);
	ck_assert_int_eq(coregov_open(), 0);
	ck_assert_int_eq(coregov_report(1, "loss", 1), 0);
	ck_assert_int_eq(coregov_report(1, NULL, 1), 0);
	ck_assert_int_eq(coregov_report_metrics(1, NULL, 0), 0);
	ck_assert_int_eq(coregov_total_steps(1), 0);
	ck_assert_int_eq(coregov_samples(1), 0);
	ck_assert_int_eq(coregov_epoch(1), 0);
	ck_assert(!coregov_should_stop());
	ck_assert_double_eq(coregov_share(), -1);
	ck_assert_uint_eq(coregov_threads(), 0);
	ck_assert_uint_eq(coregov_deadline(), 0);
	ck_assert_int_eq(coregov_target(&seen), 0);
}
END_TEST

#define N_THREADS 4
#define N_BY_THREAD 50000

static void *report_much(void *n_busy)
{
	for (uint64_t i = 0; i < N_BY_THREAD; i++)
		*(uint64_t *)n_busy += coregov_report(i, "loss", 1) == -EBUSY;
	return NULL;
}

/* What a thread was told and what the page says agree to the last report. */
START_TEST(threads_take_turns)
{
	uint64_t n_busy[N_THREADS] = {0}, n_busy_all = 0;
	pthread_t threads[N_THREADS];

	for (int i = 0; i < N_THREADS; i++)
		ck_assert_int_eq(pthread_create(&threads[i], NULL, report_much, &n_busy[i]), 0);
	for (int i = 0; i < N_THREADS; i++) {
		ck_assert_int_eq(pthread_join(threads[i], NULL), 0);
		n_busy_all += n_busy[i];
	}
	(void)pair_read();
	ck_assert_uint_eq(pair_facts().n_reports, N_THREADS * N_BY_THREAD - n_busy_all);
	ck_assert_uint_eq(pair.shared->task.n_ring, pair_facts().n_reports);
	ck_assert_uint_eq(pair.shared->task.n_lost, n_busy_all);
	ck_assert_uint_eq(pair_facts().n_refused, 0);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("progress");
	TCase *plain = tcase_create("plain");
	TCase *own = tcase_create("own page");

	tcase_add_checked_fixture(plain, pair_make_plain, pair_drop);
	tcase_set_timeout(plain, 50);
	tcase_add_test(plain, task_sees_what_it_is_told);
	tcase_add_test(plain, refuses_wrong_use);
	tcase_add_test(plain, second_claimer_is_ignored_and_counted);
	tcase_add_test(plain, writer_that_is_gone_is_succeeded);
	tcase_add_test(plain, found_by_path_where_the_descriptor_is_closed);
	tcase_add_test(plain, another_page_is_not_taken);
	tcase_add_loop_test(
		plain, wrong_environment_is_said_once, 0, (int)ARRAY_LENGTH(bad_environments));
	tcase_add_test(plain, newer_versions_are_not_guessed_at);
	tcase_add_test(plain, outside_nothing_happens);
	tcase_add_test(plain, threads_take_turns);
	suite_add_tcase(suite, plain);

	tcase_add_checked_fixture(own, NULL, pair_drop);
	tcase_add_test(own, raised_metric_is_met_from_below);
	tcase_add_test(own, nan_breaks_a_row);
	suite_add_tcase(suite, own);
	return suite_run(suite);
}
