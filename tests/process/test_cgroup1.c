// SPDX-License-Identifier: GPL-2.0-or-later
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "../unit/suite.h"
#include "busy.h"
#include "cgroup.h"
#include "enforcer.h"
#include "knob.h"
#include "leftover.h"
#include "meter.h"
#include "nsec.h"

/* The cgroup1 enforcer and the cgroup meter on the real tree of this machine, with real processes.
 * Skipped where that enforcer does not work here, with the enforcer's own reason. */

#define N_TASKS 4
#define PERIOD_US 20000

/* The name belongs to the whole suite, not to one test of it: what a failed test leaves is ended
 * before the next one, and by main(). */
static char run[RUN_NAME_MAX];
static struct enforcer *enforcer;
static struct meter *meter;
static struct busy busy[N_TASKS];
static struct fault fault;

static struct enforcer_setup setup_with(double budget_cpus)
{
	return (struct enforcer_setup){
		.run = run,
		.n_tasks_max = N_TASKS,
		.budget_cpus = budget_cpus,
		.capacity_cpus = 2,
		.task_uid = getuid(),
	};
}

static void open_with(double budget_cpus)
{
	struct enforcer_setup setup = setup_with(budget_cpus);

	fault = FAULT_INIT;
	ck_assert_msg(
		enforcer_cgroup1.open(&enforcer, &setup, &fault) == 0, "open: %s", fault.text);
	ck_assert_msg(meter_cgroup.open(&meter, N_TASKS, &fault) == 0, "open: %s", fault.text);
}

static void add(uint32_t task, struct busy process)
{
	busy[task] = process;
	ck_assert_msg(enforcer->ops->task_add(enforcer, task, "tasks", &fault) == 0, "add: %s",
		fault.text);
	ck_assert_msg(enforcer->ops->task_attach(enforcer, task, process.pid, &fault) == 0,
		"attach: %s", fault.text);
	ck_assert_msg(meter->ops->task_add(
			      meter, task, enforcer->ops->task_place(enforcer, task), &fault) == 0,
		"meter: %s", fault.text);
	busy_release(&busy[task]);
}

static struct grant grant_of(uint32_t task, double cpus)
{
	return (struct grant){
		.task = task,
		.period_us = PERIOD_US,
		.quota_us = (uint64_t)(cpus * PERIOD_US + 0.5),
	};
}

static struct enforced apply(const struct grant grants[], size_t n)
{
	struct enforced enforced;
	int r = enforcer->ops->apply(enforcer, grants, n, &enforced, &fault);

	ck_assert_msg(r == 0, "apply: %s", fault.text);
	return enforced;
}

static uint64_t used_ns(uint32_t task)
{
	struct meter_reading reading;

	meter->ops->refresh(meter);
	ck_assert_int_eq(meter->ops->read(meter, task, &reading), 0);
	return reading.cpu_ns;
}

/* CPUs that a task used over a span that begins now. */
static double use_over(uint32_t task, uint64_t span_ns)
{
	uint64_t from_ns = busy_clock_ns(), used = used_ns(task);

	busy_sleep_until(from_ns + span_ns);
	return (double)(used_ns(task) - used) / (double)(busy_clock_ns() - from_ns);
}

/* Waits until the task has used that much CPU time in all, at most 30 s. */
static bool is_used_soon(uint32_t task, uint64_t cpu_ns)
{
	const uint64_t deadline_ns = busy_clock_ns() + 30 * NSEC_PER_SEC;

	while (used_ns(task) < cpu_ns) {
		if (busy_clock_ns() > deadline_ns)
			return false;
		busy_sleep_until(busy_clock_ns() + NSEC_PER_MSEC);
	}
	return true;
}

static void group_path(char path[static PATH_MAX], const char *controller, const char *rest)
{
	struct cgroup_base base;

	ck_assert_int_eq(cgroup_find(controller, &base, NULL), 0);
	ck_assert_int_lt(snprintf(path, PATH_MAX, "%s/%s%s%s%s", base.mount, base.own,
				 base.own[0] ? "/" : "", run, rest),
		PATH_MAX);
}

static int open_file(const char *controller, const char *rest)
{
	char path[PATH_MAX];
	int fd;

	group_path(path, controller, rest);
	fd = open(path, O_RDWR | O_CLOEXEC);
	ck_assert_msg(fd >= 0, "open '%s': %s", path, strerror(errno));
	return fd;
}

static int64_t read_file(const char *controller, const char *rest)
{
	int fd = open_file(controller, rest);
	int64_t number = 0;

	ck_assert_int_eq(knob_read_number(fd, &number), 0);
	(void)close(fd);
	return number;
}

static void assert_no_groups(void)
{
	static const char *const controllers[] = {"cpu", "cpuacct", "freezer"};
	char path[PATH_MAX];

	for (size_t i = 0; i < 3; i++) {
		group_path(path, controllers[i], "");
		ck_assert_msg(access(path, F_OK) < 0, "'%s' is still there", path);
	}
}

/* A test that failed ran no teardown. */
static void setup(void)
{
	ck_assert_int_ge(cgroup_run_end(run, &fault), 0);
}

static void teardown(void)
{
	if (meter)
		meter = meter->ops->close(meter);
	if (enforcer)
		enforcer = enforcer->ops->close(enforcer);
	for (int i = 0; i < N_TASKS; i++)
		busy_end(&busy[i]);
	assert_no_groups();
}

START_TEST(nothing_runs_before_the_first_grant)
{
	open_with(1);
	add(0, busy_start());
	ck_assert_uint_lt(used_ns(0), 20 * NSEC_PER_MSEC);
	ck_assert(use_over(0, 200 * NSEC_PER_MSEC) < 0.001);
	apply((struct grant[]){grant_of(0, 0.5)}, 1);
	ck_assert(is_used_soon(0, 20 * NSEC_PER_MSEC));
}
END_TEST

/* Only too much is an error: another load may take what is theirs. */
START_TEST(shares_hold_and_the_parent_holds_the_budget)
{
	const struct grant grants[] = {grant_of(0, 0.3), grant_of(1, 0.1), grant_of(2, 0)};
	uint64_t from_ns, used[3], span_ns;
	double cpus[3];

	open_with(0.4);
	for (uint32_t i = 0; i < 3; i++)
		add(i, busy_start());
	ck_assert_uint_eq(apply(grants, 3).n_unchanged, 1); /* the frozen one */
	from_ns = busy_clock_ns();
	for (uint32_t i = 0; i < 3; i++)
		used[i] = used_ns(i);
	for (int slot = 1; slot <= 10; slot++) {
		busy_sleep_until(from_ns + (uint64_t)slot * 200 * NSEC_PER_MSEC);
		ck_assert_uint_eq(apply(grants, 3).n_writes, 0);
	}
	span_ns = busy_clock_ns() - from_ns;
	for (uint32_t i = 0; i < 3; i++)
		cpus[i] = (double)(used_ns(i) - used[i]) / (double)span_ns;
	ck_assert_msg(cpus[0] < 0.315, "0.3: %g", cpus[0]);
	ck_assert_msg(cpus[1] < 0.115, "0.1: %g", cpus[1]);
	ck_assert_msg(cpus[2] < 0.001, "0: %g", cpus[2]);
	ck_assert(is_used_soon(0, 100 * NSEC_PER_MSEC) && is_used_soon(1, 30 * NSEC_PER_MSEC));
}
END_TEST

START_TEST(a_kill_reaches_all_and_thaws)
{
	open_with(1);
	add(0, busy_start_tree(3));
	apply((struct grant[]){grant_of(0, 0.5)}, 1);
	while (enforcer->ops->task_signal(enforcer, 0, 0) < 4)
		busy_sleep_until(busy_clock_ns() + NSEC_PER_MSEC);
	apply((struct grant[]){grant_of(0, 0)}, 1);
	ck_assert_int_eq(read_file("freezer", "/0-tasks/freezer.self_freezing"), 1);
	ck_assert_int_eq(enforcer->ops->task_signal(enforcer, 0, SIGTERM), 4);
	ck_assert_int_eq(read_file("freezer", "/0-tasks/freezer.self_freezing"), 1);
	ck_assert_int_eq(enforcer->ops->task_is_populated(enforcer, 0), 1);
	ck_assert_int_eq(enforcer->ops->task_signal(enforcer, 0, SIGKILL), 4);
	ck_assert_int_eq(read_file("freezer", "/0-tasks/freezer.self_freezing"), 0);
	ck_assert(busy_is_dead(&busy[0]));
	/* Dead men are not frozen again. */
	ck_assert_uint_eq(apply((struct grant[]){grant_of(0, 0)}, 1).n_writes, 0);
	ck_assert_int_eq(enforcer->ops->task_remove(enforcer, 0, &fault), 0);
}
END_TEST

START_TEST(removal_ends_what_is_frozen)
{
	open_with(1);
	add(0, busy_start_tree(2));
	meter->ops->task_remove(meter, 0);
	ck_assert_msg(enforcer->ops->task_remove(enforcer, 0, &fault) == 0, "%s", fault.text);
	ck_assert(busy_is_dead(&busy[0]));
	busy_end(&busy[0]);
	/* Its number is free again. */
	add(0, busy_start());
}
END_TEST

START_TEST(a_stranger_is_reported_and_left_alone)
{
	const struct grant grants[] = {grant_of(0, 0.3), grant_of(1, 0.1)};
	uint32_t n_foreign = 0;
	int fd;

	open_with(1);
	add(0, busy_start());
	add(1, busy_start());
	apply(grants, 2);
	fd = open_file("cpu", "/1-tasks/cpu.cfs_quota_us");
	ck_assert_int_eq(knob_write(fd, "7000"), 0);
	(void)close(fd);
	fd = open_file("cpu", "/cpu.cfs_quota_us");
	ck_assert_int_eq(knob_write(fd, "90000"), 0);
	(void)close(fd);
	for (int slot = 0; slot < 2 * N_TASKS; slot++) {
		struct enforced enforced = apply(grants, 2);

		n_foreign += enforced.n_foreign;
		ck_assert_uint_eq(enforced.n_writes, 0);
	}
	ck_assert_uint_eq(n_foreign, 2);
	ck_assert_int_eq(read_file("cpu", "/1-tasks/cpu.cfs_quota_us"), 7000);
	ck_assert_int_eq(read_file("cpu", "/cpu.cfs_quota_us"), 90000);
	apply((struct grant[]){grant_of(1, 0.2)}, 1);
	ck_assert_int_eq(read_file("cpu", "/1-tasks/cpu.cfs_quota_us"), 4000);
	ck_assert_int_eq(enforcer->ops->budget_set(enforcer, 0.6, &fault), 0);
	ck_assert_int_eq(read_file("cpu", "/cpu.cfs_quota_us"), 60000);
}
END_TEST

START_TEST(a_foreign_thaw_is_seen)
{
	uint32_t n_foreign = 0;
	int fd;

	open_with(1);
	add(0, busy_start());
	fd = open_file("freezer", "/0-tasks/freezer.state");
	ck_assert_int_eq(knob_write(fd, "THAWED"), 0);
	(void)close(fd);
	for (int slot = 0; slot < N_TASKS; slot++)
		n_foreign += apply((struct grant[]){grant_of(0, 0)}, 1).n_foreign;
	ck_assert_uint_eq(n_foreign, 1);
}
END_TEST

/* Root may move itself to any group; neither quota nor meter see it there. */
START_TEST(a_stray_is_put_back)
{
	const struct grant grant = grant_of(0, 0.5);
	uint64_t now_ns = busy_clock_ns();
	char path[PATH_MAX], text[NUMBER_TEXT_MAX];
	struct cgroup_base base;
	int fd;

	open_with(1);
	ck_assert_uint_gt(enforcer->tick_ns, 0);
	add(0, busy_start());
	(void)apply(&grant, 1);
	enforcer->ops->tick(enforcer, now_ns);
	ck_assert_uint_eq(apply(&grant, 1).n_foreign, 0);

	ck_assert_int_eq(cgroup_find("cpu", &base, NULL), 0);
	ck_assert_int_lt(snprintf(path, sizeof(path), "%s/cgroup.procs", base.mount), PATH_MAX);
	fd = open(path, O_WRONLY | O_CLOEXEC);
	(void)format_number(text, (uint64_t)busy[0].pid);
	ck_assert_int_eq(knob_write(fd, text), 0);
	(void)close(fd);
	ck_assert_int_eq(enforcer->ops->task_is_populated(enforcer, 0), 0);

	/* Later than any pause between two looks. */
	enforcer->ops->tick(enforcer, now_ns + 3600 * NSEC_PER_SEC);
	ck_assert_int_eq(enforcer->ops->task_is_populated(enforcer, 0), 1);
	ck_assert_uint_eq(apply(&grant, 1).n_foreign, 1);
	ck_assert_ptr_nonnull(strstr(fault.text, "put back"));
	ck_assert_uint_eq(apply(&grant, 1).n_foreign, 0);
}
END_TEST

/* v1 refuses a child above its parent, and a parent below its child: the budget falls after the
 * grants and rises before them, and what a frozen task has kept must not be in the way. */
START_TEST(the_budget_changes)
{
	open_with(1);
	add(0, busy_start());
	add(1, busy_start());
	apply((struct grant[]){grant_of(0, 1), grant_of(1, 0)}, 2);
	apply((struct grant[]){grant_of(0, 0), grant_of(1, 0.2)}, 2);
	ck_assert_int_eq(read_file("cpu", "/0-tasks/cpu.cfs_quota_us"), PERIOD_US);
	ck_assert_msg(enforcer->ops->budget_set(enforcer, 0.25, &fault) == 0, "%s", fault.text);
	ck_assert_int_eq(read_file("cpu", "/cpu.cfs_quota_us"), 25000);
	ck_assert_int_le(read_file("cpu", "/0-tasks/cpu.cfs_quota_us"), PERIOD_US / 4);
	ck_assert_int_eq(read_file("cpu", "/1-tasks/cpu.cfs_quota_us"), PERIOD_US / 5);
	ck_assert_int_eq(enforcer->ops->budget_set(enforcer, 2, &fault), 0);
	apply((struct grant[]){grant_of(0, 1), grant_of(1, 1)}, 2);
	/* To a budget whose parent needs another period, and back. */
	apply((struct grant[]){grant_of(0, 0), grant_of(1, 0)}, 2);
	ck_assert_msg(enforcer->ops->budget_set(enforcer, 0.005, &fault) == 0, "%s", fault.text);
	ck_assert_int_eq(read_file("cpu", "/cpu.cfs_period_us"), 1000000);
	ck_assert_int_eq(read_file("cpu", "/0-tasks/cpu.cfs_period_us"), 200000);
}
END_TEST

START_TEST(small_budgets)
{
	open_with(0.005);
	ck_assert_int_eq(read_file("cpu", "/cpu.cfs_quota_us"), 5000);
	ck_assert_int_eq(read_file("cpu", "/cpu.cfs_period_us"), 1000000);
	add(0, busy_start());
	ck_assert_int_eq(enforcer->ops->budget_set(enforcer, 0.5, &fault), 0);
	ck_assert_int_eq(read_file("cpu", "/cpu.cfs_period_us"), 100000);
	ck_assert_int_eq(enforcer->ops->budget_set(enforcer, 0.0001, &fault), -ERANGE);
}
END_TEST

/* Somebody kills the task and removes its groups between two slots. */
START_TEST(a_task_vanishes_under_our_hands)
{
	const struct grant grants[] = {grant_of(0, 0.3), grant_of(1, 0.1)};
	static const char *const controllers[] = {"cpu", "cpuacct", "freezer"};
	const struct grant more[] = {grant_of(0, 0.2), grant_of(1, 0.5)};
	uint32_t n_gone = 0;
	char path[PATH_MAX];

	open_with(1);
	add(0, busy_start());
	add(1, busy_start());
	apply(grants, 2);
	busy_end(&busy[0]);
	apply(grants, 2); /* dead, its groups are still there: nothing to notice */
	for (size_t i = 0; i < 3; i++) {
		group_path(path, controllers[i], "/0-tasks");
		ck_assert_int_eq(rmdir(path), 0);
	}
	for (int slot = 0; slot < N_TASKS; slot++)
		n_gone += apply(more, 2).n_gone;
	ck_assert_uint_eq(n_gone, 1);
	ck_assert_int_eq(read_file("cpu", "/1-tasks/cpu.cfs_quota_us"), PERIOD_US / 2);
	ck_assert_int_eq(enforcer->ops->task_is_populated(enforcer, 0), 0);
	ck_assert_msg(enforcer->ops->task_remove(enforcer, 0, &fault) == 0, "%s", fault.text);
}
END_TEST

START_TEST(attaching_the_dead_says_so)
{
	struct busy dead = busy_start();
	pid_t pid = dead.pid;

	open_with(1);
	ck_assert_int_eq(enforcer->ops->task_add(enforcer, 0, "dead", &fault), 0);
	busy_end(&dead);
	ck_assert_int_eq(enforcer->ops->task_attach(enforcer, 0, pid, &fault), -ESRCH);
	ck_assert_ptr_nonnull(strstr(fault.text, "0-dead"));
}
END_TEST

START_TEST(a_dry_run_limits_nothing)
{
	struct enforcer_setup dry = setup_with(0.1);

	dry.is_dry = true;
	ck_assert_int_eq(enforcer_cgroup1.open(&enforcer, &dry, &fault), 0);
	ck_assert_int_eq(meter_cgroup.open(&meter, N_TASKS, &fault), 0);
	ck_assert_int_eq(enforcer->guarantee, GUARANTEE_NONE);
	add(0, busy_start());
	apply((struct grant[]){grant_of(0, 0)}, 1);
	ck_assert_int_eq(read_file("cpu", "/cpu.cfs_quota_us"), -1);
	ck_assert_int_eq(read_file("cpu", "/0-tasks/cpu.cfs_quota_us"), -1);
	ck_assert(is_used_soon(0, 20 * NSEC_PER_MSEC));
}
END_TEST

START_TEST(the_guarantee_depends_on_the_user)
{
	struct enforcer_setup other = setup_with(1);

	other.task_uid = 12345;
	ck_assert_int_eq(enforcer_cgroup1.open(&enforcer, &other, &fault), 0);
	ck_assert_int_eq(enforcer->guarantee, GUARANTEE_KERNEL);
	enforcer = enforcer->ops->close(enforcer);
	other.task_uid = 0;
	ck_assert_int_eq(enforcer_cgroup1.open(&enforcer, &other, &fault), 0);
	ck_assert_int_eq(enforcer->guarantee, GUARANTEE_COOPERATIVE);
}
END_TEST

START_TEST(a_dead_run_is_found_and_ended)
{
	char(*runs)[RUN_NAME_MAX];
	size_t n_runs;
	bool is_found = false;

	open_with(1);
	add(0, busy_start_tree(2)); /* frozen: never had a grant */
	add(1, busy_start());
	apply((struct grant[]){grant_of(1, 0.1)}, 1);
	ck_assert_msg(cgroup_runs(&runs, &n_runs, &fault) == 0, "%s", fault.text);
	for (size_t i = 0; i < n_runs; i++)
		is_found = is_found || strcmp(runs[i], run) == 0;
	free(runs);
	ck_assert(is_found);
	ck_assert_int_gt(cgroup_run_end(run, &fault), 0);
	ck_assert(busy_is_dead(&busy[0]));
	ck_assert(busy_is_dead(&busy[1]));
	assert_no_groups();
	ck_assert_int_eq(cgroup_run_end(run, &fault), 0);
	ck_assert_int_eq(cgroup_run_end("..", &fault), -EINVAL);
}
END_TEST

START_TEST(removal_never_sets_a_process_free)
{
	char group[PATH_MAX], path[PATH_MAX];

	open_with(1);
	add(0, busy_start());
	group_path(path, "cpu", "/0-tasks");
	(void)snprintf(group, sizeof(group), "%s/0-tasks", run);
	ck_assert_int_eq(cgroup_remove("cpu", group, &fault), -EBUSY);
	ck_assert_int_eq(access(path, F_OK), 0);
	ck_assert_int_eq(enforcer->ops->task_is_populated(enforcer, 0), 1);
	ck_assert_int_eq(cgroup_create("cpu", group, &fault), -EEXIST);
	ck_assert_int_eq(cgroup_create("cpu", "test-no-such-group/x", &fault), -ENOENT);
	ck_assert_int_eq(cgroup_remove("cpu", "test-no-such-group", &fault), 0);
	ck_assert_int_eq(cgroup_attach("cpu", "test-no-such-group", getpid(), &fault), -ENOENT);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("cgroup1");
	TCase *tcase = tcase_create("real");
	struct enforcer_setup probe;
	int r;

	if (run_name_make(run, &fault) < 0)
		return EXIT_FAILURE;
	probe = setup_with(1);
	r = enforcer_cgroup1.probe(&probe, &fault);
	if (r < 0) {
		printf("1..0 # SKIP %s\n", fault.text);
		return EXIT_SUCCESS;
	}
	tcase_add_checked_fixture(tcase, setup, teardown);
	tcase_set_timeout(tcase, 60);
	tcase_add_test(tcase, nothing_runs_before_the_first_grant);
	tcase_add_test(tcase, shares_hold_and_the_parent_holds_the_budget);
	tcase_add_test(tcase, a_kill_reaches_all_and_thaws);
	tcase_add_test(tcase, removal_ends_what_is_frozen);
	tcase_add_test(tcase, a_stranger_is_reported_and_left_alone);
	tcase_add_test(tcase, a_foreign_thaw_is_seen);
	tcase_add_test(tcase, a_stray_is_put_back);
	tcase_add_test(tcase, the_budget_changes);
	tcase_add_test(tcase, small_budgets);
	tcase_add_test(tcase, a_task_vanishes_under_our_hands);
	tcase_add_test(tcase, attaching_the_dead_says_so);
	tcase_add_test(tcase, a_dry_run_limits_nothing);
	tcase_add_test(tcase, the_guarantee_depends_on_the_user);
	tcase_add_test(tcase, a_dead_run_is_found_and_ended);
	tcase_add_test(tcase, removal_never_sets_a_process_free);
	suite_add_tcase(suite, tcase);
	r = suite_run(suite);
	if (cgroup_run_end(run, &fault) != 0)
		fprintf(stderr, "ended what a test had left behind\n");
	return r;
}
