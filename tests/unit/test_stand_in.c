// SPDX-License-Identifier: GPL-2.0-or-later
#include "stand_in.h"

#include <errno.h>
#include <string.h>
#include <sys/mman.h>

#include "page_pair.h"
#include "suite.h"

/* A stand-in and the program it reports for, on one page. */

static struct stand_in *stand_in;

static void begin(void)
{
	pair_make(/* is_raised= */ false, 2);
	ck_assert_int_eq(stand_in_new(&stand_in, page_fd(pair.page), NULL), 0);
}

static void finish(void)
{
	stand_in = stand_in_free(stand_in);
	pair_drop();
}

static int tell(uint64_t step, double value)
{
	const struct report report = {.stamp_ns = pair_now(), .step = step, .value = value};

	return stand_in_report(stand_in, &report, 1, /* facts= */ NULL);
}

START_TEST(is_read_like_the_task_itself)
{
	const struct progress_facts facts = {.steps_total = 10, .samples_seen = 64, .epoch = 1.5};
	struct progress_facts heard;

	ck_assert_int_eq(tell(1, 0.9), 1);
	ck_assert_int_eq(tell(2, 0.5), 1);
	ck_assert_int_eq(stand_in_report(stand_in, NULL, 0, &facts), 1);
	ck_assert_uint_eq(pair_read(), 2);
	ck_assert_uint_eq(pair.reports[1].step, 2);
	ck_assert_double_eq(pair.reports[1].value, 0.5);
	heard = pair_facts();
	ck_assert_uint_eq(heard.steps_done, 2);
	ck_assert_uint_eq(heard.steps_total, 10);
	ck_assert_uint_eq(heard.samples_seen, 64);
	ck_assert_double_eq(heard.epoch, 1.5);
	ck_assert(heard.is_relayed);
	ck_assert(!heard.speaks_page);
}
END_TEST

START_TEST(knows_what_the_page_asks_for)
{
	const struct target *target = stand_in_target(stand_in);

	ck_assert_str_eq(target->metric, "loss");
	ck_assert(!target->is_raised);
	ck_assert_uint_eq(target->in_a_row, 2);
	ck_assert_double_eq(target->value, 0.5);
	ck_assert_uint_eq(stand_in_token(stand_in), pair.shared->governor.token);
}
END_TEST

/* What came too fast to be read is put back by the mark, which the stand-in sets, too. */
START_TEST(marks_what_first_met_the_target)
{
	ck_assert_int_eq(tell(1, 0.4), 1);
	ck_assert_int_eq(tell(2, 0.4), 1);
	for (uint64_t step = 3; step < 3 + 2 * COREGOV_RING_LENGTH; step++)
		ck_assert_int_eq(tell(step, 0.9), 1);
	ck_assert_uint_eq(pair.shared->task.first_met.number, 2);
	ck_assert_uint_eq(pair_read(), COREGOV_RING_LENGTH + 2);
	ck_assert_uint_eq(pair.reports[0].step, 2);
	ck_assert_uint_eq(pair.reports[1].step, 2);
}
END_TEST

START_TEST(gives_way_to_the_task)
{
	ck_assert_int_eq(tell(1, 0.9), 1);
	ck_assert_int_eq(coregov_report(2, "loss", 0.8), 1);
	ck_assert_int_eq(tell(3, 0.1), 0);
	ck_assert_int_eq(coregov_report(4, "loss", 0.7), 1);
	ck_assert_uint_eq(pair_read(), 3);
	ck_assert_uint_eq(pair.reports[0].step, 1);
	ck_assert_uint_eq(pair.reports[1].step, 2);
	ck_assert_uint_eq(pair.reports[2].step, 4);
	ck_assert(pair_facts().speaks_page);
	ck_assert(!pair_facts().is_relayed);
	ck_assert_uint_eq(pair_facts().n_refused, 0);
}
END_TEST

START_TEST(does_not_interrupt_the_task)
{
	ck_assert_int_eq(coregov_report(1, "loss", 0.8), 1);
	ck_assert_int_eq(tell(2, 0.1), 0);
	ck_assert_uint_eq(pair_read(), 1);
}
END_TEST

/* Not even where it has ended: what it has said is all that counts. */
static int report_once(void)
{
	return coregov_report(1, "loss", 0.8);
}

START_TEST(leaves_the_page_of_a_task_that_has_ended)
{
	ck_assert_int_eq(pair_in_child(report_once), 1);
	ck_assert_int_eq(tell(2, 0.1), 0);
}
END_TEST

static int fd_of_kind(int kind)
{
	int fd = memfd_create("test", MFD_CLOEXEC | MFD_ALLOW_SEALING);
	struct coregov_governor_side side = pair.shared->governor;

	ck_assert_int_ge(fd, 0);
	side.version += kind == 1;
	side.magic += kind == 2;
	ck_assert_int_eq(ftruncate(fd, kind == 3 ? 512 : sizeof(struct coregov_page)), 0);
	ck_assert_int_eq(pwrite(fd, &side, sizeof(side), 0), sizeof(side));
	if (kind != 0)
		ck_assert_int_eq(fcntl(fd, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW), 0);
	return fd;
}

/* Without seals, of another version, another magic, too small. */
START_TEST(refuses_what_is_no_page)
{
	struct fault fault = FAULT_INIT;
	struct stand_in *none = NULL;
	int fd = fd_of_kind(_i);

	ck_assert_int_eq(stand_in_new(&none, fd, &fault), -EPROTO);
	ck_assert_ptr_nonnull(strstr(fault.text, "progress page"));
	ck_assert_ptr_null(none);
	(void)close(fd);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("stand_in");
	TCase *tcase = tcase_create("all");

	tcase_add_checked_fixture(tcase, begin, finish);
	tcase_add_test(tcase, is_read_like_the_task_itself);
	tcase_add_test(tcase, knows_what_the_page_asks_for);
	tcase_add_test(tcase, marks_what_first_met_the_target);
	tcase_add_test(tcase, gives_way_to_the_task);
	tcase_add_test(tcase, does_not_interrupt_the_task);
	tcase_add_test(tcase, leaves_the_page_of_a_task_that_has_ended);
	tcase_add_loop_test(tcase, refuses_what_is_no_page, 0, 4);
	suite_add_tcase(suite, tcase);
	return suite_run(suite);
}
