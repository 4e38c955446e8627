// SPDX-License-Identifier: GPL-2.0-or-later
#include "ledger.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cleanup.h"
#include "suite.h"

static const struct ledger_head head = {
	.run = "coregovd-1-2", .enforcer = "cgroup2", .epoch_ns = 345};
static char path[SUITE_PATH_MAX];
static struct ledger *ledger;
static struct ledger_head found;
static enum ledger_past past;
static struct fault fault;

static void reopen(void)
{
	ledger = ledger_free(ledger);
	ck_assert_msg(ledger_open(&ledger, path, &found, &past, &fault) == 0, "%s", fault.text);
}

static void set_up(void)
{
	int fd = mkstemp(suite_template(path));

	ck_assert_int_ge(fd, 0);
	ck_assert_int_eq(close(fd), 0);
	reopen();
	ck_assert_int_eq(past, LEDGER_NOTHING); /* an empty file is none */
	ck_assert_int_eq(ledger_begin(ledger, &head, &fault), 0);
}

static void tear_down(void)
{
	ledger = ledger_free(ledger);
	(void)unlink(path);
}

static void keep(uint32_t seat, uint64_t number, uint64_t n_reports)
{
	struct ledger_task task = {
		.number = number,
		.name = "a",
		.argv = "sh\0-c\0",
		.past = {.n_reports = n_reports},
	};

	ck_assert_int_eq(ledger_keep(ledger, seat, &task), 0);
}

static struct ledger_task task_in(uint32_t seat)
{
	struct ledger_task task;

	ledger_read(ledger, seat, &task);
	return task;
}

START_TEST(what_is_kept_is_found)
{
	const struct ledger_whole whole = {
		.last_number = 9, .configured_cpus = 1, .budget_cpus = 0.5, .is_draining = 1};
	struct ledger_whole read;

	ck_assert_int_eq(ledger_keep_whole(ledger, &whole), 0);
	keep(0, 7, 10);
	keep(3, 9, 1);
	for (uint64_t n = 11; n <= 15; n++)
		keep(0, 7, n);
	reopen();
	ck_assert_int_eq(past, LEDGER_ALL);
	ck_assert_str_eq(found.run, head.run);
	ck_assert_str_eq(found.enforcer, head.enforcer);
	ck_assert_uint_eq(found.epoch_ns, head.epoch_ns);
	ledger_read_whole(ledger, &read);
	ck_assert_mem_eq(&read, &whole, sizeof(whole));
	ck_assert_uint_ge(ledger_n_seats(ledger), 4);
	ck_assert_uint_eq(task_in(0).number, 7);
	ck_assert_uint_eq(task_in(0).past.n_reports, 15);
	ck_assert_str_eq(task_in(0).argv + 3, "-c");
	ck_assert_uint_eq(task_in(1).number, 0);
	ck_assert_uint_eq(task_in(3).number, 9);
	ck_assert_uint_eq(task_in(900).number, 0);
	/* And goes on. */
	keep(0, 7, 16);
	ck_assert_int_eq(ledger_forget(ledger, 3), 0);
	reopen();
	ck_assert_uint_eq(task_in(0).past.n_reports, 16);
	ck_assert_uint_eq(task_in(3).number, 0);
}
END_TEST

/* A daemon that is killed while it writes leaves the new copy without its count: here, with any bytes of it
 * written. */
START_TEST(what_was_being_written_does_not_count)
{
	_cleanup_close_ int fd = open(path, O_RDWR | O_CLOEXEC);
	struct stat before, after;
	char rubbish[4096];

	keep(0, 7, 1);
	ck_assert_int_eq(fstat(fd, &before), 0);
	keep(0, 7, 2); /* the first copy in the file, which is the even one */
	ck_assert_int_eq(fstat(fd, &after), 0);
	ck_assert_int_eq(before.st_size, after.st_size);
	memset(rubbish, 0xa5, sizeof(rubbish));
	/* The odd one is written next: it is the last in the file. */
	ck_assert_int_eq(pwrite(fd, rubbish, sizeof(rubbish),
				 after.st_size - (off_t)sizeof(struct ledger_task)),
		(int)sizeof(rubbish));
	reopen();
	ck_assert_uint_eq(task_in(0).number, 7);
	ck_assert_uint_eq(task_in(0).past.n_reports, 2);
	keep(0, 7, 3);
	reopen();
	ck_assert_uint_eq(task_in(0).past.n_reports, 3);
}
END_TEST

START_TEST(another_version_is_not_read)
{
	_cleanup_close_ int fd = open(path, O_RDWR | O_CLOEXEC);

	keep(0, 7, 1);
	/* magic, version, size of a task, boot: each of them, turned by a bit. */
	for (off_t at = 0; at < 24; at += 8) {
		unsigned char byte, other;

		ck_assert_int_eq(pread(fd, &byte, 1, at), 1);
		other = byte ^ 1;
		ck_assert_int_eq(pwrite(fd, &other, 1, at), 1);
		reopen();
		ck_assert_msg(past == (at == 8 ? LEDGER_HEAD : LEDGER_NOTHING), "byte %d", (int)at);
		ck_assert_int_eq(pwrite(fd, &byte, 1, at), 1);
		reopen();
		ck_assert_int_eq(past, LEDGER_ALL);
	}
	/* What begins anew has nothing of it. */
	ck_assert_int_eq(ledger_begin(ledger, &head, &fault), 0);
	reopen();
	ck_assert_int_eq(past, LEDGER_ALL);
	ck_assert_uint_eq(task_in(0).number, 0);
}
END_TEST

START_TEST(has_one_owner)
{
	struct ledger *other = NULL;

	ck_assert_int_eq(ledger_open(&other, path, &found, &past, &fault), -EWOULDBLOCK);
	ck_assert_ptr_nonnull(strstr(fault.text, path));
	ck_assert_ptr_nonnull(strstr(fault.text, "another coregovd's"));
	ck_assert_ptr_null(other);
}
END_TEST

/* As on a full file system: what was kept before stands. */
START_TEST(is_whole_when_there_is_no_room)
{
	const struct ledger_task task = {.number = 8};
	struct rlimit limit;

	keep(0, 7, 1);
	(void)signal(SIGXFSZ, SIG_IGN);
	ck_assert_int_eq(getrlimit(RLIMIT_FSIZE, &limit), 0);
	limit.rlim_cur = sizeof(struct ledger_task) * 5 / 2;
	ck_assert_int_eq(setrlimit(RLIMIT_FSIZE, &limit), 0);
	ck_assert_int_lt(ledger_keep(ledger, 5, &task), 0);
	ck_assert_uint_eq(task_in(5).number, 0);
	keep(0, 7, 2);
	reopen();
	ck_assert_uint_eq(task_in(0).past.n_reports, 2);
	ck_assert_uint_eq(task_in(5).number, 0);
}
END_TEST

START_TEST(where_it_cannot_be)
{
	struct ledger *other = NULL;

	ck_assert_int_eq(ledger_open(&other, "/nowhere/tasks", &found, &past, &fault), -ENOENT);
	ck_assert_ptr_nonnull(strstr(fault.text, "/nowhere/tasks"));
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("ledger");
	TCase *tcase = tcase_create("file");

	tcase_add_checked_fixture(tcase, set_up, tear_down);
	tcase_add_test(tcase, what_is_kept_is_found);
	tcase_add_test(tcase, what_was_being_written_does_not_count);
	tcase_add_test(tcase, another_version_is_not_read);
	tcase_add_test(tcase, has_one_owner);
	tcase_add_test(tcase, is_whole_when_there_is_no_room);
	tcase_add_test(tcase, where_it_cannot_be);
	suite_add_tcase(suite, tcase);
	return suite_run(suite);
}
