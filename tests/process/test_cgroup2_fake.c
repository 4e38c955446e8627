// SPDX-License-Identifier: GPL-2.0-or-later
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/types.h>
#include <unistd.h>

#include "../unit/suite.h"
#include "busy.h"
#include "cleanup.h"
#include "enforcer.h"
#include "fake_tree.h"
#include "group.h"
#include "knob.h"
#include "meter.h"
#include "nsec.h"

/* The cgroup2 enforcer on a tree of plain files: what it writes, in which order, and what it leaves
 * behind. Nothing is limited by plain files; that is for a machine with the real tree. */

#define RUN "coregov-1-1"
#define N_TASKS 3

static struct fake_tree tree;
static struct enforcer *enforcer;
static struct busy busy;
static struct fault fault;
static struct enforced enforced;

static struct enforcer_setup setup_with(double budget_cpus)
{
	return (struct enforcer_setup){
		.run = RUN,
		.n_tasks_max = N_TASKS,
		.budget_cpus = budget_cpus,
		.capacity_cpus = 2,
		.root = tree.path,
		.task_uid = 12345,
	};
}

static int try_open(double budget_cpus)
{
	struct enforcer_setup setup = setup_with(budget_cpus);

	fault = FAULT_INIT;
	return enforcer_cgroup2.open(&enforcer, &setup, &fault);
}

static void open_tasks(double budget_cpus)
{
	static const char *const names[N_TASKS] = {"a", "cpu.max", ".."};

	ck_assert_msg(try_open(budget_cpus) == 0, "open: %s", fault.text);
	for (uint32_t i = 0; i < N_TASKS; i++)
		ck_assert_msg(enforcer->ops->task_add(
				      enforcer, i, names[i], /* scope= */ NULL, &fault) == 0,
			"add: %s", fault.text);
}

static int apply(uint64_t a_us, uint64_t b_us, uint64_t c_us)
{
	const uint64_t quota_us[N_TASKS] = {a_us, b_us, c_us};
	struct grant grants[N_TASKS];

	for (uint32_t i = 0; i < N_TASKS; i++)
		grants[i] = (struct grant){.task = i, .period_us = 100000, .quota_us = quota_us[i]};
	return enforcer->ops->apply(enforcer, grants, N_TASKS, &enforced, &fault);
}

static void assert_file(const char *file, const char *expected)
{
	char text[256];

	fake_tree_read(&tree, file, text, sizeof(text));
	text[strcspn(text, "\n")] = '\0';
	ck_assert_msg(strcmp(text, expected) == 0, "%s: '%s', not '%s'", file, text, expected);
}

static void setup(void)
{
	fake_tree_make(&tree, "cpuset cpu io\n");
}

static void teardown(void)
{
	if (enforcer)
		enforcer = enforcer->ops->close(enforcer);
	ck_assert(!fake_tree_has(&tree, RUN));
	ck_assert(!fake_tree_has(&tree, "coregov-leaf"));
	busy_end(&busy);
	fake_tree_remove(&tree);
}

START_TEST(opens_with_the_budget_in_force)
{
	open_tasks(1.5);
	assert_file(RUN "/cpu.max", "150000 100000");
	assert_file(RUN "/cpu.max.burst", "0");
	assert_file(RUN "/cgroup.subtree_control", "+cpu");
	assert_file("cgroup.subtree_control", "+cpu");
	ck_assert(fake_tree_has(&tree, "coregov-leaf"));
	assert_file(RUN "/0-a/cpu.max", "1000 10000");
	assert_file(RUN "/0-a/cgroup.freeze", "1");
	assert_file(RUN "/1-cpu.max/cgroup.freeze", "1");
	assert_file(RUN "/2-../cgroup.freeze", "1");
	ck_assert_int_eq(enforcer->guarantee, GUARANTEE_KERNEL);
	enforcer = enforcer->ops->close(enforcer);
	assert_file("cgroup.subtree_control", "-cpu");
}
END_TEST

START_TEST(leaves_a_controller_on_that_was_on)
{
	fake_tree_write(&tree, "cgroup.subtree_control", "cpu io\n");
	open_tasks(1);
	assert_file("cgroup.subtree_control", "cpu io");
	enforcer = enforcer->ops->close(enforcer);
	assert_file("cgroup.subtree_control", "cpu io");
}
END_TEST

static int n_unlocked;   /* writes while nobody had locked HOME */
static bool is_unlocked; /* at the last one */

static void look_at_lock(void)
{
	int fd = open(tree.path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	is_unlocked = group_is_held(fd) != 1;
	n_unlocked += is_unlocked;
	(void)close(fd);
}

START_TEST(no_other_run_changes_home_meanwhile)
{
	fake_tree_watch(look_at_lock);
	ck_assert_int_eq(try_open(1), 0);
	ck_assert_int_gt(fake_tree_n_writes(), 0);
	ck_assert_int_eq(n_unlocked, 0);
	look_at_lock(); /* the run is open */
	ck_assert(is_unlocked);
	enforcer = enforcer->ops->close(enforcer);
	assert_file("cgroup.subtree_control", "-cpu");
	ck_assert(!is_unlocked);
}
END_TEST

/* Anybody may lock a directory. */
START_TEST(a_lock_that_is_never_released)
{
	int fd = open(tree.path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	ck_assert_int_eq(group_hold(fd), 0);
	ck_assert_int_eq(try_open(1), 0);
	enforcer = enforcer->ops->close(enforcer);
	(void)close(fd);
}
END_TEST

START_TEST(grants)
{
	open_tasks(1);
	ck_assert_int_eq(apply(50000, 30000, 0), 0);
	assert_file(RUN "/0-a/cpu.max", "50000 100000");
	assert_file(RUN "/0-a/cgroup.freeze", "0");
	assert_file(RUN "/2-../cgroup.freeze", "1");
	ck_assert_uint_eq(enforced.n_writes, 4);
	ck_assert_uint_eq(enforced.n_unchanged, 1);
	ck_assert_int_eq(apply(50100, 0, 40000), 0);
	assert_file(RUN "/0-a/cpu.max", "50000 100000");
	assert_file(RUN "/1-cpu.max/cpu.max", "30000 100000");
	assert_file(RUN "/1-cpu.max/cgroup.freeze", "1");
	assert_file(RUN "/2-../cpu.max", "40000 100000");
	ck_assert_uint_eq(enforced.n_writes, 3);
	assert_file(RUN "/cpu.max", "100000 100000");
	ck_assert_int_eq(enforcer->ops->budget_set(enforcer, 0.25, &fault), 0);
	assert_file(RUN "/cpu.max", "25000 100000");
}
END_TEST

/* For each write of a slot: it fails, and nothing has risen unless all that fell are in force. */
START_TEST(a_failed_write_raises_nothing)
{
	open_tasks(1);
	ck_assert_int_eq(apply(60000, 30000, 0), 0);
	fake_tree_fail(_i + 1, EIO);
	ck_assert_int_eq(apply(20000, 0, 70000), -EIO);
	ck_assert_ptr_nonnull(strstr(fault.text, RUN) ? fault.text : strstr(fault.text, "group"));
	if (_i < 2)
		assert_file(RUN "/2-../cpu.max", "1000 10000");
	assert_file(RUN "/2-../cgroup.freeze", "1");
	assert_file(RUN "/0-a/cpu.max", _i == 0 ? "60000 100000" : "20000 100000");
	assert_file(RUN "/1-cpu.max/cgroup.freeze", _i == 1 ? "0" : "1");
	ck_assert_int_eq(apply(20000, 0, 70000), 0);
	assert_file(RUN "/2-../cpu.max", "70000 100000");
	assert_file(RUN "/2-../cgroup.freeze", "0");
}
END_TEST

START_TEST(a_stranger_is_reported_and_left_alone)
{
	uint32_t n_foreign = 0;

	open_tasks(1);
	ck_assert_int_eq(apply(50000, 30000, 0), 0);
	fake_tree_write(&tree, RUN "/1-cpu.max/cpu.max", "max 100000\n");
	fake_tree_write(&tree, RUN "/cpu.max", "max 100000\n");
	for (int slot = 0; slot < 2 * N_TASKS; slot++) {
		ck_assert_int_eq(apply(50000, 30000, 0), 0);
		n_foreign += enforced.n_foreign;
	}
	ck_assert_uint_eq(n_foreign, 2);
	assert_file(RUN "/1-cpu.max/cpu.max", "max 100000");
	assert_file(RUN "/cpu.max", "max 100000");
	ck_assert_int_eq(apply(50000, 20000, 0), 0);
	assert_file(RUN "/1-cpu.max/cpu.max", "20000 100000");
	ck_assert_int_eq(enforcer->ops->budget_set(enforcer, 0.5, &fault), 0);
	assert_file(RUN "/cpu.max", "50000 100000");
	/* One that nobody has seen yet. */
	fake_tree_write(&tree, RUN "/cpu.max", "70000 100000\n");
	ck_assert_int_eq(enforcer->ops->budget_set(enforcer, 0.5, &fault), 0);
	assert_file(RUN "/cpu.max", "50000 100000");
}
END_TEST

/* All of it is seen in one slot, that of the last task. */
START_TEST(every_stranger_is_told_of)
{
	uint32_t n_told[3] = {0}, n_foreign = 0;

	open_tasks(1);
	ck_assert_int_eq(apply(50000, 0, 30000), 0);
	fake_tree_write(&tree, RUN "/2-../cpu.max", "max 100000\n");
	fake_tree_write(&tree, RUN "/cpu.max", "max 100000\n");
	fake_tree_write(&tree, RUN "/cpu.max.burst", "40000\n");
	for (int slot = 0; slot < 3 * N_TASKS; slot++) {
		ck_assert_int_eq(apply(50000, 0, 30000), 0);
		n_foreign += enforced.n_foreign;
		if (enforced.n_foreign == 0)
			continue;
		n_told[0] += strstr(fault.text, "task 2") != NULL;
		n_told[1] += strstr(fault.text, "cpu.max.burst") != NULL;
		n_told[2] += strstr(fault.text, "set the budget") != NULL;
	}
	ck_assert_uint_eq(n_foreign, 3);
	for (size_t i = 0; i < ARRAY_LENGTH(n_told); i++)
		ck_assert_uint_eq(n_told[i], 1);
}
END_TEST

/* What was taken back in a slot that failed is told in the next. */
START_TEST(a_failed_write_hides_no_stranger)
{
	open_tasks(1);
	ck_assert_int_eq(apply(50000, 0, 30000), 0);
	fake_tree_write(&tree, RUN "/1-cpu.max/cpu.max.burst", "40000\n");
	ck_assert_int_eq(apply(50000, 0, 30000), 0);
	fake_tree_write(&tree, RUN "/2-../cpu.max.burst", "20000\n");
	fake_tree_fail(2, EIO); /* the first one is that of the burst */
	ck_assert_int_eq(apply(20000, 0, 30000), -EIO);
	ck_assert_int_eq(apply(20000, 0, 30000), 0);
	ck_assert_uint_eq(enforced.n_foreign, 1);
	ck_assert_ptr_nonnull(strstr(fault.text, "cpu.max.burst of group '2-..' to 20000 us"));
}
END_TEST

START_TEST(signals_reach_what_is_in_the_group)
{
	char pid[16];

	open_tasks(1);
	busy = busy_start();
	ck_assert_int_eq(enforcer->ops->task_is_populated(enforcer, 0), 0);
	ck_assert_int_eq(enforcer->ops->task_attach(enforcer, 0, busy.pid, &fault), 0);
	(void)snprintf(pid, sizeof(pid), "%d", (int)busy.pid);
	assert_file(RUN "/0-a/cgroup.procs", pid);
	ck_assert_int_eq(enforcer->ops->task_is_populated(enforcer, 0), 1);
	ck_assert_int_eq(enforcer->ops->task_signal(enforcer, 0, SIGKILL), 1);
	ck_assert(busy_is_dead(&busy));
	/* Plain files do not forget the dead. */
	fake_tree_write(&tree, RUN "/0-a/cgroup.procs", "");
	ck_assert_int_eq(enforcer->ops->task_remove(enforcer, 0, &fault), 0);
	ck_assert(!fake_tree_has(&tree, RUN "/0-a"));
}
END_TEST

static bool is_lifted_alive; /* a limit was lifted around a process that was not killed */

static void look_at_limits(void)
{
	static const char *const files[] = {RUN "/cpu.max", RUN "/0-a/cpu.max"};
	char text[64];

	for (size_t i = 0; i < ARRAY_LENGTH(files); i++) {
		fake_tree_read(&tree, files[i], text, sizeof(text));
		if (strcmp(text, "max") != 0)
			continue;
		is_lifted_alive |= !busy_is_dead(&busy);
		if (fake_tree_has(&tree, RUN "/0-a"))
			fake_tree_write(&tree, RUN "/0-a/cgroup.procs", "");
	}
}

/* Dying goes faster without a limit; but nothing that can still run is ever without one. */
START_TEST(no_limit_is_lifted_around_the_living)
{
	is_lifted_alive = false;
	open_tasks(1);
	busy = busy_start();
	ck_assert_int_eq(enforcer->ops->task_attach(enforcer, 0, busy.pid, &fault), 0);
	fake_tree_watch(look_at_limits);
	if (_i == 0)
		ck_assert_int_eq(enforcer->ops->task_remove(enforcer, 0, &fault), 0);
	enforcer = enforcer->ops->close(enforcer);
	fake_tree_watch(NULL);
	ck_assert(busy_is_dead(&busy));
	ck_assert(!is_lifted_alive);
}
END_TEST

/* The kernel shows a process of another pid namespace as 0; kill(0) would be our own group. */
START_TEST(pid_zero_is_not_signalled)
{
	open_tasks(1);
	fake_tree_write(&tree, RUN "/0-a/cgroup.procs", "0\n");
	ck_assert_int_eq(enforcer->ops->task_is_populated(enforcer, 0), 1);
	ck_assert_int_eq(enforcer->ops->task_signal(enforcer, 0, SIGKILL), 0);
	fake_tree_write(&tree, RUN "/0-a/cgroup.procs", "");
}
END_TEST

START_TEST(the_meter_reads_cpu_stat)
{
	struct meter *meter;
	struct meter_reading reading = {.cpu_ns = 1};

	open_tasks(1);
	fake_tree_write(&tree, RUN "/0-a/cpu.stat", "usage_usec 100\nuser_usec 90\n");
	ck_assert_int_eq(meter_cgroup.probe(enforcer, &fault), 0);
	ck_assert_int_eq(meter_cgroup.open(&meter, N_TASKS, &fault), 0);
	ck_assert_int_eq(
		meter->ops->task_add(meter, 0, enforcer->ops->task_place(enforcer, 0), &fault), 0);
	ck_assert_int_eq(meter->ops->read(meter, 0, &reading), 0);
	ck_assert_uint_eq(reading.cpu_ns, 0);
	fake_tree_write(&tree, RUN "/0-a/cpu.stat", "user_usec 90\nusage_usec 1234567\n");
	ck_assert_int_eq(meter->ops->read(meter, 0, &reading), 0);
	ck_assert_uint_eq(reading.cpu_ns, 1234467000);
	/* Never back, and nothing on rubbish. */
	fake_tree_write(&tree, RUN "/0-a/cpu.stat", "usage_usec 0\n");
	ck_assert_int_eq(meter->ops->read(meter, 0, &reading), 0);
	ck_assert_uint_eq(reading.cpu_ns, 1234467000);
	fake_tree_write(&tree, RUN "/0-a/cpu.stat", "usage_usec x\n");
	ck_assert_int_lt(meter->ops->read(meter, 0, &reading), 0);
	fake_tree_write(&tree, RUN "/0-a/cpu.stat", "nothing\n");
	ck_assert_int_lt(meter->ops->read(meter, 0, &reading), 0);
	ck_assert_uint_eq(reading.cpu_ns, 1234467000);
	ck_assert_ptr_null(meter->ops->close(meter));
}
END_TEST

START_TEST(a_dry_run_limits_nothing)
{
	struct enforcer_setup setup = setup_with(1);

	setup.is_dry = true;
	ck_assert_int_eq(enforcer_cgroup2.open(&enforcer, &setup, &fault), 0);
	ck_assert_int_eq(enforcer->ops->task_add(enforcer, 0, "a", /* scope= */ NULL, &fault), 0);
	ck_assert_int_eq(enforcer->guarantee, GUARANTEE_NONE);
	assert_file(RUN "/cpu.max", "max 100000");
	assert_file(RUN "/0-a/cpu.max", "max 100000");
	assert_file(RUN "/0-a/cgroup.freeze", "0");
	ck_assert_int_eq(apply(1000, 0, 0), 0);
	ck_assert_uint_eq(enforced.n_writes, 0);
	assert_file(RUN "/0-a/cpu.max", "max 100000");
	ck_assert_int_eq(enforcer->ops->budget_set(enforcer, 0.5, &fault), 0);
	assert_file(RUN "/cpu.max", "max 100000");
}
END_TEST

START_TEST(without_the_cpu_controller)
{
	struct enforcer_setup setup = setup_with(1);

	fake_tree_write(&tree, "cgroup.controllers", "cpuset cpuacct memory\n");
	ck_assert_int_eq(enforcer_cgroup2.probe(&setup, &fault), -EOPNOTSUPP);
	ck_assert_int_eq(try_open(1), -EOPNOTSUPP);
	ck_assert_ptr_nonnull(strstr(fault.text, "cpu controller"));
}
END_TEST

START_TEST(without_a_knob)
{
	static const char *const files[] = {"cpu.max", "cgroup.freeze"};

	ck_assert_int_eq(try_open(1), 0);
	fake_tree_omit(files[_i]);
	ck_assert_int_lt(enforcer->ops->task_add(enforcer, 0, "a", /* scope= */ NULL, &fault), 0);
	ck_assert_ptr_nonnull(strstr(fault.text, files[_i]));
	ck_assert(!fake_tree_has(&tree, RUN "/0-a"));
	if (_i == 0) {
		enforcer = enforcer->ops->close(enforcer);
		ck_assert_int_eq(try_open(1), -EOPNOTSUPP);
	}
}
END_TEST

/* For each write of opening: it fails, and nothing is left behind. */
START_TEST(a_failure_while_opening_leaves_nothing)
{
	fake_tree_fail(_i + 1, EACCES);
	ck_assert_int_eq(try_open(1), -EACCES);
	ck_assert_ptr_null(enforcer);
	ck_assert(!fake_tree_has(&tree, RUN));
	ck_assert(!fake_tree_has(&tree, "coregov-leaf"));
}
END_TEST

START_TEST(a_group_that_cannot_be_opened_is_not_left)
{
	fake_tree_shut(RUN);
	ck_assert_int_eq(try_open(1), -EMFILE);
	ck_assert(!fake_tree_has(&tree, RUN));
	fake_tree_shut("0-a");
	ck_assert_int_eq(try_open(1), 0);
	ck_assert_int_eq(
		enforcer->ops->task_add(enforcer, 0, "a", /* scope= */ NULL, &fault), -EMFILE);
	ck_assert(!fake_tree_has(&tree, RUN "/0-a"));
}
END_TEST

START_TEST(a_group_of_that_name_is_not_taken_over)
{
	char path[128];

	(void)snprintf(path, sizeof(path), "%s/%s", tree.path, RUN);
	ck_assert_int_eq(mkdir(path, 0755), 0);
	ck_assert_int_eq(try_open(1), -EEXIST);
	ck_assert_int_eq(rmdir(path), 0);
}
END_TEST

START_TEST(budgets_that_cannot_be_written)
{
	ck_assert_int_eq(try_open(0.0001), -ERANGE);
	ck_assert_int_eq(fake_tree_n_writes(), 0);
	open_tasks(1);
	ck_assert_int_eq(enforcer->ops->budget_set(enforcer, 0.0001, &fault), -ERANGE);
	assert_file(RUN "/cpu.max", "100000 100000");
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("cgroup2 on a fake tree");
	TCase *tcase = tcase_create("fake");

	tcase_add_checked_fixture(tcase, setup, teardown);
	tcase_set_timeout(tcase, 30);
	tcase_add_test(tcase, opens_with_the_budget_in_force);
	tcase_add_test(tcase, leaves_a_controller_on_that_was_on);
	tcase_add_test(tcase, no_other_run_changes_home_meanwhile);
	tcase_add_test(tcase, a_lock_that_is_never_released);
	tcase_add_test(tcase, grants);
	tcase_add_loop_test(tcase, a_failed_write_raises_nothing, 0, 4);
	tcase_add_test(tcase, a_stranger_is_reported_and_left_alone);
	tcase_add_test(tcase, every_stranger_is_told_of);
	tcase_add_test(tcase, a_failed_write_hides_no_stranger);
	tcase_add_test(tcase, signals_reach_what_is_in_the_group);
	tcase_add_loop_test(tcase, no_limit_is_lifted_around_the_living, 0, 2);
	tcase_add_test(tcase, pid_zero_is_not_signalled);
	tcase_add_test(tcase, the_meter_reads_cpu_stat);
	tcase_add_test(tcase, a_dry_run_limits_nothing);
	tcase_add_test(tcase, without_the_cpu_controller);
	tcase_add_loop_test(tcase, without_a_knob, 0, 2);
	tcase_add_loop_test(tcase, a_failure_while_opening_leaves_nothing, 0, 4);
	tcase_add_test(tcase, a_group_that_cannot_be_opened_is_not_left);
	tcase_add_test(tcase, a_group_of_that_name_is_not_taken_over);
	tcase_add_test(tcase, budgets_that_cannot_be_written);
	suite_add_tcase(suite, tcase);
	return suite_run(suite);
}
