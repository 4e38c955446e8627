// SPDX-License-Identifier: GPL-2.0-or-later
#include "page.h"

#include <errno.h>
#include <fcntl.h>
#include <math.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "cleanup.h"
#include "page_pair.h"
#include "suite.h"

START_TEST(reads_what_was_reported)
{
	const struct coregov_metric both[] = {{"accuracy", 0.25}, {"loss", INFINITY}};
	uint64_t before = pair_now();

	ck_assert_int_eq(coregov_report(1, "loss", 2.5), 1);
	ck_assert_int_eq(coregov_report(2, "accuracy", 0.5), 1);
	ck_assert_int_eq(coregov_report_metrics(3, both, 2), 1);
	ck_assert_int_eq(coregov_report(4, "loss", NAN), 1);
	ck_assert_int_eq(coregov_total_steps(1000), 1);
	ck_assert_int_eq(coregov_samples(64), 1);
	ck_assert_int_eq(coregov_epoch(1.5), 1);

	ck_assert_uint_eq(pair_read(), 3);
	ck_assert_uint_eq(pair.reports[0].step, 1);
	ck_assert_double_eq(pair.reports[0].value, 2.5);
	ck_assert_uint_ge(pair.reports[0].stamp_ns, before);
	ck_assert_uint_le(pair.reports[2].stamp_ns, pair_now());
	ck_assert_uint_le(pair.reports[0].stamp_ns, pair.reports[1].stamp_ns);
	ck_assert(!pair.reports[0].has_cpu);
	ck_assert_uint_eq(pair.reports[1].step, 3);
	ck_assert(isinf(pair.reports[1].value));
	ck_assert(isnan(pair.reports[2].value));

	ck_assert_uint_eq(pair_facts().n_reports, 4);
	ck_assert_uint_eq(pair_facts().steps_done, 4);
	ck_assert_uint_eq(pair_facts().steps_total, 1000);
	ck_assert_uint_eq(pair_facts().samples_seen, 64);
	ck_assert_double_eq(pair_facts().epoch, 1.5);
	ck_assert_uint_eq(pair_facts().n_dropped + pair_facts().n_refused, 0);
	ck_assert(pair_facts().speaks_page);
	ck_assert_uint_eq(pair_read(), 0);
}
END_TEST

START_TEST(keeps_the_newest_and_counts_the_rest)
{
	for (uint64_t i = 1; i <= 1000; i++)
		ck_assert_int_eq(coregov_report(i, "loss", 1000. - (double)i), 1);
	ck_assert_uint_eq(page_read(pair.page, pair_now(), pair.reports, 10), 10);
	ck_assert_uint_eq(pair.reports[0].step, 991);
	ck_assert_uint_eq(pair.reports[9].step, 1000);
	ck_assert_uint_eq(pair_facts().n_dropped, 990);
	ck_assert_uint_eq(pair_facts().n_reports, 1000);
	for (uint64_t i = 1; i <= 200; i++)
		ck_assert_int_eq(coregov_report(i, "loss", 1), 1);
	ck_assert_uint_eq(pair_read(), COREGOV_RING_LENGTH);
	ck_assert_uint_eq(pair.reports[0].step, 200 - COREGOV_RING_LENGTH + 1);
	ck_assert_uint_eq(pair_facts().n_dropped, 990 + 200 - COREGOV_RING_LENGTH);
	ck_assert_uint_eq(pair_facts().n_refused, 0);
}
END_TEST

/* Reports on both sides of the one (or ones) that met the target, then a read of n_max. */
static const struct met_case {
	uint32_t in_a_row;
	unsigned n_before, n_after; /* reports that do not meet it */
	size_t n_max;
	size_t n_expected;
} met_cases[] = {
	{1, 10, 500, PAIR_N_MAX, COREGOV_RING_LENGTH + 1},
	{1, 0, 500, PAIR_N_MAX, COREGOV_RING_LENGTH + 1},
	{1, 500, 0, PAIR_N_MAX, COREGOV_RING_LENGTH},
	{1, 10, 500, 1, 1},
	{1, 10, 5, 5, 5},
	{3, 10, 500, PAIR_N_MAX, COREGOV_RING_LENGTH + 3},
	{3, 10, 500, 20, 20},
	{3, 10, COREGOV_RING_LENGTH - 2, PAIR_N_MAX,
		COREGOV_RING_LENGTH + 3}, /* row half in the ring */
	{3, 10, COREGOV_RING_LENGTH - 3, PAIR_N_MAX, COREGOV_RING_LENGTH}, /* row just in it */
	{3, 10, COREGOV_RING_LENGTH - 2, 3, 3},
};

START_TEST(target_met_between_two_reads_is_seen)
{
	const struct met_case *c = &met_cases[_i];
	uint32_t row = 0, longest = 0;
	uint64_t step = 0, stamp = 0;
	size_t n;

	pair_make(/* is_raised= */ false, c->in_a_row);
	for (unsigned i = 0; i < c->n_before; i++)
		ck_assert_int_eq(coregov_report(++step, "loss", 0.9), 1);
	for (unsigned i = 0; i < c->in_a_row; i++)
		ck_assert_int_eq(coregov_report(++step, "loss", 0.4), 1);
	for (unsigned i = 0; i < c->n_after; i++)
		ck_assert_int_eq(coregov_report(++step, "loss", 0.6), 1);
	n = page_read(pair.page, pair_now(), pair.reports, c->n_max);
	ck_assert_uint_eq(n, c->n_expected);
	for (size_t i = 0; i < n; i++) {
		row = target_is_met(&pair.target, pair.reports[i].value) ? row + 1 : 0;
		longest = row > longest ? row : longest;
		ck_assert_uint_ge(pair.reports[i].stamp_ns, stamp);
		stamp = pair.reports[i].stamp_ns;
	}
	ck_assert_uint_ge(longest, c->in_a_row);
	/* Once. */
	for (unsigned i = 0; i < 300; i++)
		ck_assert_int_eq(coregov_report(++step, "loss", 0.6), 1);
	n = pair_read();
	ck_assert_uint_eq(n, COREGOV_RING_LENGTH);
	ck_assert_double_eq(pair.reports[0].value, 0.6);
	ck_assert_uint_eq(pair_facts().n_refused, 0);
}
END_TEST

/* Two of the three were handed out, the first was not. */
START_TEST(row_that_lost_its_first_is_seen)
{
	pair_make(/* is_raised= */ false, 3);
	ck_assert_int_eq(coregov_report(1, "loss", 0.4), 1);
	ck_assert_int_eq(coregov_report(2, "loss", 0.4), 1);
	ck_assert_uint_eq(page_read(pair.page, pair_now(), pair.reports, 1), 1);
	ck_assert_int_eq(coregov_report(3, "loss", 0.3), 1);
	ck_assert_uint_eq(pair_read(), 4);
	for (unsigned i = 0; i < 4; i++)
		ck_assert_uint_eq(pair.reports[i].step, 3);
}
END_TEST

/* A row that began in what an earlier read took, the rest lost. */
START_TEST(row_across_two_reads_is_seen)
{
	uint64_t step = 0;

	pair_make(/* is_raised= */ false, 3);
	ck_assert_int_eq(coregov_report(++step, "loss", 0.4), 1);
	ck_assert_int_eq(coregov_report(++step, "loss", 0.4), 1);
	ck_assert_uint_eq(pair_read(), 2);
	ck_assert_int_eq(coregov_report(++step, "loss", 0.3), 1);
	for (unsigned i = 0; i < 300; i++)
		ck_assert_int_eq(coregov_report(++step, "loss", 0.6), 1);
	ck_assert_uint_eq(pair_read(), COREGOV_RING_LENGTH + 3);
	for (unsigned i = 0; i < 3; i++) {
		ck_assert_double_eq(pair.reports[i].value, 0.3);
		ck_assert_uint_eq(pair.reports[i].step, 3);
	}
	ck_assert_double_eq(pair.reports[3].value, 0.6);
}
END_TEST

START_TEST(stamps_stay_between_reads)
{
	struct coregov_entry *ring = pair.shared->task.ring;
	uint64_t then = pair_now(), now;

	(void)page_read(pair.page, then, pair.reports, PAIR_N_MAX);
	for (uint64_t i = 1; i <= 4; i++)
		ck_assert_int_eq(coregov_report(i, "loss", 1), 1);
	ring[0].stamp_ns = 5;          /* long ago */
	ring[1].stamp_ns = UINT64_MAX; /* in the future */
	ring[2].stamp_ns = 7;          /* backwards */
	ring[3].stamp_ns = then + 1;
	now = pair_now();
	ck_assert_uint_eq(page_read(pair.page, now, pair.reports, PAIR_N_MAX), 4);
	ck_assert_uint_eq(pair.reports[0].stamp_ns, then + 1);
	for (int i = 1; i < 4; i++)
		ck_assert_uint_eq(pair.reports[i].stamp_ns, now);
	ck_assert_uint_eq(pair_facts().n_refused, 1);
	/* A read at the same moment as the one before has no room for a stamp but that moment. */
	ck_assert_int_eq(coregov_report(5, "loss", 1), 1);
	ck_assert_uint_eq(page_read(pair.page, now, pair.reports, PAIR_N_MAX), 1);
	ck_assert_uint_eq(pair.reports[0].stamp_ns, now);
}
END_TEST

START_TEST(torn_and_absurd_entries_are_refused)
{
	struct coregov_entry *ring = pair.shared->task.ring;

	for (uint64_t i = 1; i <= 5; i++)
		ck_assert_int_eq(coregov_report(i, "loss", 1), 1);
	ring[0].sequence = 0; /* being written, for ever */
	ring[1].sequence = 7; /* another one */
	ring[2].mask = 2;     /* not the target's metric */
	ring[3].mask = 1 | UINT32_C(1) << COREGOV_METRICS_MAX;
	ck_assert_uint_eq(pair_read(), 1);
	ck_assert_uint_eq(pair.reports[0].step, 5);
	ck_assert_uint_eq(pair_facts().n_refused, 4);
	ck_assert_uint_eq(pair_facts().n_dropped, 0);
}
END_TEST

START_TEST(absurd_counters_are_skipped_and_recovered_from)
{
	const uint64_t absurd[] = {UINT64_MAX, UINT64_MAX - 1, UINT64_C(1) << 63, 1, 0};

	ck_assert_int_eq(coregov_report(1, "loss", 1), 1);
	ck_assert_int_eq(coregov_report(2, "loss", 1), 1);
	ck_assert_uint_eq(pair_read(), 2);
	for (size_t i = 0; i < 5; i++) {
		pair.shared->task.n_ring = absurd[i];
		(void)pair_read();
		ck_assert_uint_le(pair_facts().n_dropped, 1);
	}
	ck_assert_uint_ge(pair_facts().n_refused, 4);
	pair.shared->task.n_reports = 0;
	pair.shared->task.epoch = NAN;
	(void)pair_read();
	ck_assert_double_eq(pair_facts().epoch, 0);
	ck_assert_uint_eq(pair_facts().n_reports, 2);
	pair.shared->task.n_ring = 10;
	(void)pair_read();
	ck_assert_int_eq(coregov_report(3, "loss", 1), 1);
	ck_assert_uint_eq(pair_read(), 1);
	ck_assert_uint_eq(pair.reports[0].step, 3);
}
END_TEST

START_TEST(false_marks_are_refused)
{
	ck_assert_int_eq(coregov_report(1, "loss", 1), 1);
	pair.shared->task.first_met = (struct coregov_mark){.number = 1, .value = 0.6};
	ck_assert_uint_eq(pair_read(), 1);
	ck_assert_double_eq(pair.reports[0].value, 1);
	ck_assert_uint_eq(pair_facts().n_refused, 1);
}
END_TEST

START_TEST(cannot_be_resized)
{
	ck_assert_int_eq(ftruncate(PAIR_TASK_FD, 0), -1);
	ck_assert_int_eq(errno, EPERM);
	ck_assert_int_eq(ftruncate(PAIR_TASK_FD, 1 << 20), -1);
	ck_assert_int_eq(fcntl(PAIR_TASK_FD, F_ADD_SEALS, F_SEAL_WRITE), -1);
	/* What a task can do is make a hole: zeros, not a fault. */
	ck_assert_int_eq(coregov_report(1, "loss", 1), 1);
	ck_assert_int_eq(fallocate(PAIR_TASK_FD, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 0,
				 sizeof(struct coregov_page)),
		0);
	ck_assert_uint_eq(pair_read(), 0);
	page_tell(pair.page, &(struct page_news){0.5, 1, false});
}
END_TEST

START_TEST(environment_needs_its_room)
{
	char text[8] = "kept";

	ck_assert_int_eq(page_environment(pair.page, PAIR_TASK_FD, text, sizeof(text)), -ENOSPC);
	ck_assert_str_eq(text, "kept");
}
END_TEST

#define N_FULL_SPEED 3000000

static _Noreturn void report_at_full_speed(void)
{
	/* The value and the step say the same, so that a torn entry shows. */
	for (uint64_t i = 1; i <= N_FULL_SPEED; i++)
		if (coregov_report(i, "loss", (double)i) != 1)
			_exit(1);
	_exit(0);
}

/* Whole, in order, nothing twice. Returns how many. */
static size_t read_whole(uint64_t *last)
{
	const size_t n = pair_read();

	for (size_t i = 0; i < n; i++) {
		ck_assert_uint_gt(pair.reports[i].step, *last);
		*last = pair.reports[i].step;
		ck_assert_double_eq(pair.reports[i].value, (double)*last);
	}
	return n;
}

/* Read while it runs, and while it is stopped in the middle of a report. */
START_TEST(full_speed_writer_is_read_whole)
{
	uint64_t last = 0, n_taken = 0;
	int status;
	pid_t pid;

	pid = fork();
	ck_assert_int_ge(pid, 0);
	if (pid == 0)
		report_at_full_speed();
	do {
		for (int i = 0; i < 20; i++)
			n_taken += read_whole(&last);
		ck_assert_int_eq(kill(pid, SIGSTOP), 0);
		ck_assert_int_eq(waitpid(pid, &status, WUNTRACED), pid);
		n_taken += read_whole(&last);
		if (WIFSTOPPED(status))
			ck_assert_int_eq(kill(pid, SIGCONT), 0);
	} while (WIFSTOPPED(status));
	ck_assert_int_eq(status, 0);
	ck_assert_uint_eq(last, N_FULL_SPEED);
	ck_assert_uint_eq(pair_facts().n_reports, N_FULL_SPEED);
	ck_assert_uint_eq(pair_facts().n_refused, 0);
	ck_assert_uint_eq(n_taken + pair_facts().n_dropped, N_FULL_SPEED);
}
END_TEST

static struct page *take_over(int fd, const struct page_place *place, int status)
{
	struct page *page = NULL;

	ck_assert_int_eq(
		page_take_over(&page, fd, "task", &pair.target, place, /* fault= */ NULL), status);
	return page;
}

/* Another reader goes on where the first was: also with what came in between. */
START_TEST(another_reader_goes_on)
{
	struct page_place place;
	int fd;

	for (uint64_t i = 1; i <= 5; i++)
		ck_assert_int_eq(coregov_report(i, "loss", 2), 1);
	ck_assert_uint_eq(pair_read(), 5);
	page_place(pair.page, &place);
	for (uint64_t i = 6; i <= 8; i++)
		ck_assert_int_eq(coregov_report(i, "loss", 1), 1);
	fd = dup(page_fd(pair.page));
	pair.page = page_free(pair.page);
	pair.page = take_over(fd, &place, 0);
	ck_assert_uint_eq(pair_read(), 3);
	ck_assert_uint_eq(pair.reports[0].step, 6);
	ck_assert_uint_eq(pair_facts().n_reports, 8);
	ck_assert_uint_eq(pair_facts().n_dropped + pair_facts().n_refused, 0);
	ck_assert(pair_facts().speaks_page);
	ck_assert_uint_eq(page_token(pair.page), place.token);
}
END_TEST

START_TEST(what_is_no_page_is_not_taken_over)
{
	struct page_place place;
	int fd;

	page_place(pair.page, &place);
	place.token ^= 1;
	(void)take_over(dup(page_fd(pair.page)), &place, -EBADMSG);
	place.token ^= 1;
	/* Of the right size, and not sealed: it could shrink under the reader. */
	fd = memfd_create("page", MFD_CLOEXEC | MFD_ALLOW_SEALING);
	ck_assert_int_eq(ftruncate(fd, sizeof(struct coregov_page)), 0);
	(void)take_over(dup(fd), &place, -EBADMSG);
	ck_assert_int_eq(ftruncate(fd, 100), 0);
	ck_assert_int_eq(fcntl(fd, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL), 0);
	(void)take_over(fd, &place, -EBADMSG);
	(void)take_over(open("/dev/null", O_RDWR | O_CLOEXEC), &place, -EBADMSG);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("page");
	TCase *plain = tcase_create("plain");
	TCase *own = tcase_create("own page");

	tcase_add_checked_fixture(plain, pair_make_plain, pair_drop);
	tcase_set_timeout(plain, 50);
	tcase_add_test(plain, reads_what_was_reported);
	tcase_add_test(plain, keeps_the_newest_and_counts_the_rest);
	tcase_add_test(plain, stamps_stay_between_reads);
	tcase_add_test(plain, torn_and_absurd_entries_are_refused);
	tcase_add_test(plain, absurd_counters_are_skipped_and_recovered_from);
	tcase_add_test(plain, false_marks_are_refused);
	tcase_add_test(plain, cannot_be_resized);
	tcase_add_test(plain, another_reader_goes_on);
	tcase_add_test(plain, what_is_no_page_is_not_taken_over);
	tcase_add_test(plain, environment_needs_its_room);
	tcase_add_test(plain, full_speed_writer_is_read_whole);
	suite_add_tcase(suite, plain);

	tcase_add_checked_fixture(own, NULL, pair_drop);
	tcase_add_loop_test(
		own, target_met_between_two_reads_is_seen, 0, (int)ARRAY_LENGTH(met_cases));
	tcase_add_test(own, row_that_lost_its_first_is_seen);
	tcase_add_test(own, row_across_two_reads_is_seen);
	suite_add_tcase(suite, own);
	return suite_run(suite);
}
