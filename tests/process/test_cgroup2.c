// SPDX-License-Identifier: GPL-2.0-or-later
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "../unit/suite.h"
#include "busy.h"
#include "cgroup.h"
#include "enforcer.h"
#include "group.h"
#include "knob.h"
#include "leftover.h"
#include "machine.h"
#include "meter.h"
#include "nsec.h"
#include "unit_bus.h"

/* The cgroup2 enforcer and the cgroup meter on a real unified tree, with real processes, and the
 * properties of the kernel that they are built on. Skipped where that enforcer does not work here, with
 * the enforcer's own reason. Where systemd runs, the whole suite moves into one delegated scope
 * first: HOME of every test is that scope's group. */

#define N_TASKS 4
#define PERIOD_US 20000

/* See test_cgroup1.c. */
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
		enforcer_cgroup2.open(&enforcer, &setup, &fault) == 0, "open: %s", fault.text);
	ck_assert_msg(meter_cgroup.open(&meter, N_TASKS, &fault) == 0, "open: %s", fault.text);
}

static int place_fd(uint32_t task)
{
	return enforcer->ops->task_place(enforcer, task)->cgroup2_fd;
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

/* `file` is relative to the task's group; the run's own has "../". */
static int write_file(uint32_t task, const char *file, const char *text)
{
	return knob_write_at(place_fd(task), file, text);
}

static void assert_file(uint32_t task, const char *file, const char *expected)
{
	char text[KNOB_TEXT_MAX];
	int fd = openat(place_fd(task), file, O_RDONLY | O_CLOEXEC);

	ck_assert_msg(fd >= 0, "open '%s': %s", file, strerror(errno));
	ck_assert_int_eq(knob_read(fd, text), 0);
	(void)close(fd);
	ck_assert_msg(strcmp(text, expected) == 0, "%s: '%s', not '%s'", file, text, expected);
}

/* Our own group, "/..." in the unified tree, and its directory. */
static void own_group(char group[static PATH_MAX])
{
	struct cgroup_base base;

	ck_assert_int_eq(cgroup_find("cpu", &base, NULL), 0);
	ck_assert_int_lt(snprintf(group, PATH_MAX, "%s/%s", base.mount, base.own), PATH_MAX);
}

static int open_own_group(void)
{
	char path[PATH_MAX];
	int fd;

	own_group(path);
	fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	ck_assert_int_ge(fd, 0);
	return fd;
}

static void assert_no_groups(void)
{
	char path[PATH_MAX];
	int home_fd = open_own_group();

	own_group(path);
	ck_assert_ptr_null(strstr(path, "coregov-leaf"));
	ck_assert_int_lt(faccessat(home_fd, run, F_OK, 0), 0);
	ck_assert_int_lt(faccessat(home_fd, "coregov-leaf", F_OK, 0), 0);
	(void)close(home_fd);
}

/* What a failed test has left is not for the next ones to stumble over. */
static void setup(void)
{
	const pid_t pids[] = {getppid(), getpid()};
	char path[PATH_MAX], text[NUMBER_TEXT_MAX], *leaf;
	int home_fd;

	ck_assert_int_ge(cgroup_run_end(run, &fault), 0);
	own_group(path);
	leaf = strstr(path, "/coregov-leaf");
	if (!leaf)
		return;
	*leaf = '\0';
	home_fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	(void)knob_write_at(home_fd, "cgroup.subtree_control", "-cpu");
	for (size_t i = 0; i < 2; i++) {
		(void)format_number(text, (uint64_t)pids[i]);
		(void)knob_write_at(home_fd, "cgroup.procs", text);
	}
	(void)unlinkat(home_fd, "coregov-leaf", AT_REMOVEDIR);
	(void)close(home_fd);
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

/* Only too much is an error: another load may take what is theirs. The bounds are wide where one task
 * is looked at: on a virtual machine that is held up, a tick may come some 10 ms late. */
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
		ck_assert_int_eq(enforcer->ops->budget_set(enforcer, 0.4, &fault), 0);
	}
	span_ns = busy_clock_ns() - from_ns;
	for (uint32_t i = 0; i < 3; i++)
		cpus[i] = (double)(used_ns(i) - used[i]) / (double)span_ns;
	ck_assert_msg(cpus[0] + cpus[1] < 0.43, "0.4: %g", cpus[0] + cpus[1]);
	ck_assert_msg(cpus[0] < 0.36, "0.3: %g", cpus[0]);
	ck_assert_msg(cpus[1] < 0.15, "0.1: %g", cpus[1]);
	ck_assert_msg(cpus[2] < 0.01, "0: %g", cpus[2]);
	ck_assert(is_used_soon(0, 100 * NSEC_PER_MSEC) && is_used_soon(1, 30 * NSEC_PER_MSEC));
}
END_TEST

START_TEST(a_kill_reaches_all_that_is_frozen)
{
	open_with(1);
	add(0, busy_start_tree(3));
	apply((struct grant[]){grant_of(0, 0.5)}, 1);
	while (enforcer->ops->task_signal(enforcer, 0, 0) < 4)
		busy_sleep_until(busy_clock_ns() + NSEC_PER_MSEC);
	apply((struct grant[]){grant_of(0, 0)}, 1);
	assert_file(0, "cgroup.freeze", "1");
	ck_assert_int_eq(enforcer->ops->task_signal(enforcer, 0, SIGTERM), 4);
	assert_file(0, "cgroup.freeze", "1");
	ck_assert_int_eq(enforcer->ops->task_is_populated(enforcer, 0), 1);
	ck_assert_int_eq(enforcer->ops->task_signal(enforcer, 0, SIGKILL), 4);
	ck_assert(busy_is_dead(&busy[0]));
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

/* A task that is a container engine, for one. */
START_TEST(groups_that_the_task_makes_are_below_its_grant)
{
	const struct grant grant = grant_of(0, 0.3);
	char text[NUMBER_TEXT_MAX];
	double cpus;

	open_with(1);
	add(0, busy_start());
	ck_assert_int_eq(mkdirat(place_fd(0), "inner", 0755), 0);
	ck_assert_int_eq(mkdirat(place_fd(0), "inner/most", 0755), 0);
	(void)format_number(text, (uint64_t)busy[0].pid);
	ck_assert_int_eq(write_file(0, "inner/most/cgroup.procs", text), 0);
	ck_assert_int_eq(write_file(0, "cgroup.subtree_control", "+cpu"), 0);
	(void)apply(&grant, 1);
	ck_assert(is_used_soon(0, 30 * NSEC_PER_MSEC));
	cpus = use_over(0, NSEC_PER_SEC);
	ck_assert_msg(cpus < 0.36, "0.3: %g", cpus);
	(void)apply((struct grant[]){grant_of(0, 0)}, 1);
	busy_sleep_until(busy_clock_ns() + 100 * NSEC_PER_MSEC);
	ck_assert(use_over(0, 200 * NSEC_PER_MSEC) < 0.001);
	ck_assert_int_eq(enforcer->ops->task_is_populated(enforcer, 0), 1);
	ck_assert_msg(enforcer->ops->task_remove(enforcer, 0, &fault) == 0, "%s", fault.text);
	ck_assert(busy_is_dead(&busy[0]));
}
END_TEST

/* HOME lies deep, and a group on the way up to it has a limit. */
START_TEST(a_limit_above_home_holds_and_is_the_capacity)
{
	int home_fd = open_own_group();
	char text[NUMBER_TEXT_MAX];
	double cpus = 0;

	(void)format_number(text, (uint64_t)getpid());
	ck_assert_int_eq(mkdirat(home_fd, "beside", 0755), 0);
	ck_assert_int_eq(mkdirat(home_fd, "limited", 0755), 0);
	ck_assert_int_eq(mkdirat(home_fd, "limited/deep", 0755), 0);
	/* Our parent goes to the side: a group with controllers below it has no process. */
	ck_assert_int_eq(knob_write_at(home_fd, "limited/deep/cgroup.procs", text), 0);
	(void)format_number(text, (uint64_t)getppid());
	ck_assert_int_eq(knob_write_at(home_fd, "beside/cgroup.procs", text), 0);
	ck_assert_int_eq(knob_write_at(home_fd, "cgroup.subtree_control", "+cpu"), 0);
	ck_assert_int_eq(knob_write_at(home_fd, "limited/cgroup.subtree_control", "+cpu"), 0);
	ck_assert_int_eq(knob_write_at(home_fd, "limited/cpu.max", "20000 100000"), 0);
	ck_assert_int_eq(machine_capacity(&cpus, &fault), 0);
	ck_assert_double_eq_tol(cpus, 0.2, 1e-9);

	open_with(0.5);
	add(0, busy_start());
	(void)apply((struct grant[]){grant_of(0, 0.5)}, 1);
	ck_assert(is_used_soon(0, 20 * NSEC_PER_MSEC));
	cpus = use_over(0, 2 * NSEC_PER_SEC);
	ck_assert_msg(cpus < 0.25, "0.2: %g", cpus);
	meter = meter->ops->close(meter);
	enforcer = enforcer->ops->close(enforcer);

	ck_assert_int_eq(knob_write_at(home_fd, "limited/cgroup.subtree_control", "-cpu"), 0);
	ck_assert_int_eq(knob_write_at(home_fd, "cgroup.subtree_control", "-cpu"), 0);
	ck_assert_int_eq(knob_write_at(home_fd, "cgroup.procs", text), 0);
	(void)format_number(text, (uint64_t)getpid());
	ck_assert_int_eq(knob_write_at(home_fd, "cgroup.procs", text), 0);
	busy_end(&busy[0]);
	ck_assert_int_eq(unlinkat(home_fd, "limited/deep", AT_REMOVEDIR), 0);
	ck_assert_int_eq(unlinkat(home_fd, "limited", AT_REMOVEDIR), 0);
	ck_assert_int_eq(unlinkat(home_fd, "beside", AT_REMOVEDIR), 0);
	(void)close(home_fd);
}
END_TEST

START_TEST(a_stranger_is_reported_and_left_alone)
{
	const struct grant grants[] = {grant_of(0, 0.3), grant_of(1, 0.1)};
	uint32_t n_foreign = 0;

	open_with(1);
	add(0, busy_start());
	add(1, busy_start());
	apply(grants, 2);
	ck_assert_int_eq(write_file(1, "cpu.max", "7000 20000"), 0);
	ck_assert_int_eq(write_file(1, "../cpu.max", "max"), 0);
	for (int slot = 0; slot < 2 * N_TASKS; slot++) {
		struct enforced enforced = apply(grants, 2);

		n_foreign += enforced.n_foreign;
		ck_assert_uint_eq(enforced.n_writes, 0);
	}
	ck_assert_uint_eq(n_foreign, 2);
	assert_file(1, "cpu.max", "7000 20000");
	assert_file(1, "../cpu.max", "max 100000");
	apply((struct grant[]){grant_of(1, 0.2)}, 1);
	assert_file(1, "cpu.max", "4000 20000");
	ck_assert_int_eq(enforcer->ops->budget_set(enforcer, 0.6, &fault), 0);
	assert_file(1, "../cpu.max", "60000 100000");
}
END_TEST

/* The one knob of a stranger that is not left alone: it would be in the way of the next fall. */
START_TEST(a_foreign_burst_is_taken_back)
{
	const struct grant grants[] = {grant_of(0, 0.3), grant_of(1, 0.1)};
	uint32_t n_foreign = 0;

	open_with(0.4);
	add(0, busy_start());
	add(1, busy_start());
	apply(grants, 2);
	ck_assert_int_eq(write_file(1, "cpu.max.burst", "2000"), 0);
	ck_assert_int_eq(write_file(1, "../cpu.max.burst", "40000"), 0);
	for (int slot = 0; slot < N_TASKS; slot++)
		n_foreign += apply(grants, 2).n_foreign;
	ck_assert_uint_eq(n_foreign, 2);
	ck_assert_ptr_nonnull(strstr(fault.text, "cpu.max.burst"));
	assert_file(1, "cpu.max.burst", "0");
	assert_file(1, "../cpu.max.burst", "0");

	ck_assert_int_eq(write_file(0, "cpu.max.burst", "6000"), 0);
	n_foreign = 0;
	for (int slot = 0; slot < 2; slot++)
		n_foreign += apply((struct grant[]){grant_of(0, 0.1)}, 1).n_foreign;
	ck_assert_uint_eq(n_foreign, 1);
	assert_file(0, "cpu.max", "2000 20000");
	ck_assert_int_eq(write_file(0, "../cpu.max.burst", "40000"), 0);
	ck_assert_msg(enforcer->ops->budget_set(enforcer, 0.2, &fault) == 0, "%s", fault.text);
	assert_file(0, "../cpu.max", "20000 100000");
}
END_TEST

START_TEST(a_foreign_thaw_is_seen)
{
	uint32_t n_foreign = 0;

	open_with(1);
	add(0, busy_start());
	ck_assert_int_eq(write_file(0, "cgroup.freeze", "0"), 0);
	for (int slot = 0; slot < N_TASKS; slot++)
		n_foreign += apply((struct grant[]){grant_of(0, 0)}, 1).n_foreign;
	ck_assert_uint_eq(n_foreign, 1);
}
END_TEST

/* Who owns the groups may move itself out of one; neither quota nor meter see it there. */
START_TEST(a_stray_is_put_back)
{
	const struct grant grant = grant_of(0, 0.5);
	uint64_t now_ns = busy_clock_ns();
	char text[NUMBER_TEXT_MAX];

	open_with(1);
	ck_assert_uint_gt(enforcer->tick_ns, 0);
	add(0, busy_start());
	(void)apply(&grant, 1);
	enforcer->ops->tick(enforcer, now_ns);
	ck_assert_uint_eq(apply(&grant, 1).n_foreign, 0);

	(void)format_number(text, (uint64_t)busy[0].pid);
	ck_assert_int_eq(write_file(0, "../../coregov-leaf/cgroup.procs", text), 0);
	ck_assert_int_eq(enforcer->ops->task_is_populated(enforcer, 0), 0);

	/* Later than any pause between two looks. */
	enforcer->ops->tick(enforcer, now_ns + 3600 * NSEC_PER_SEC);
	ck_assert_int_eq(enforcer->ops->task_is_populated(enforcer, 0), 1);
	ck_assert_uint_eq(apply(&grant, 1).n_foreign, 1);
	ck_assert_ptr_nonnull(strstr(fault.text, "put back"));
	ck_assert_uint_eq(apply(&grant, 1).n_foreign, 0);
}
END_TEST

START_TEST(the_budget_changes)
{
	open_with(1);
	add(0, busy_start());
	add(1, busy_start());
	apply((struct grant[]){grant_of(0, 1), grant_of(1, 0)}, 2);
	apply((struct grant[]){grant_of(0, 0), grant_of(1, 0.2)}, 2);
	assert_file(0, "cpu.max", "20000 20000");
	ck_assert_msg(enforcer->ops->budget_set(enforcer, 0.25, &fault) == 0, "%s", fault.text);
	assert_file(0, "../cpu.max", "25000 100000");
	assert_file(1, "cpu.max", "4000 20000");
	ck_assert_int_eq(enforcer->ops->budget_set(enforcer, 2, &fault), 0);
	apply((struct grant[]){grant_of(0, 1), grant_of(1, 1)}, 2);
	/* To a budget whose parent needs another period, and back. */
	apply((struct grant[]){grant_of(0, 0), grant_of(1, 0)}, 2);
	ck_assert_msg(enforcer->ops->budget_set(enforcer, 0.005, &fault) == 0, "%s", fault.text);
	assert_file(0, "../cpu.max", "5000 1000000");
	ck_assert_int_eq(enforcer->ops->budget_set(enforcer, 0.0001, &fault), -ERANGE);
}
END_TEST

/* Somebody kills the task and removes its group between two slots. */
START_TEST(a_task_vanishes_under_our_hands)
{
	const struct grant grants[] = {grant_of(0, 0.3), grant_of(1, 0.1)};
	const struct grant more[] = {grant_of(0, 0.2), grant_of(1, 0.5)};
	uint32_t n_gone = 0;

	open_with(1);
	add(0, busy_start());
	add(1, busy_start());
	apply(grants, 2);
	busy_end(&busy[0]);
	apply(grants, 2); /* dead, its group is still there: nothing to notice */
	ck_assert_int_eq(unlinkat(place_fd(1), "../0-tasks", AT_REMOVEDIR), 0);
	for (int slot = 0; slot < N_TASKS; slot++)
		n_gone += apply(more, 2).n_gone;
	ck_assert_uint_eq(n_gone, 1);
	assert_file(1, "cpu.max", "10000 20000");
	ck_assert_int_eq(enforcer->ops->task_is_populated(enforcer, 0), 0);
	ck_assert_msg(enforcer->ops->task_remove(enforcer, 0, &fault) == 0, "%s", fault.text);
}
END_TEST

/* The whole run, as `systemctl kill -s KILL` of the scope does it. */
START_TEST(the_run_vanishes_under_our_hands)
{
	const struct grant more[] = {grant_of(0, 0.2)};

	open_with(1);
	add(0, busy_start());
	ck_assert_int_gt(cgroup_run_end(run, &fault), 0);
	ck_assert_uint_eq(apply(more, 1).n_gone, 1);
	ck_assert_int_eq(enforcer->ops->task_is_populated(enforcer, 0), 0);
	ck_assert_int_eq(enforcer->ops->task_signal(enforcer, 0, SIGKILL), 0);
	ck_assert_int_lt(enforcer->ops->task_add(enforcer, 1, "late", &fault), 0);
	ck_assert_ptr_nonnull(strstr(fault.text, "late"));
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
	ck_assert_int_eq(enforcer_cgroup2.open(&enforcer, &dry, &fault), 0);
	ck_assert_int_eq(meter_cgroup.open(&meter, N_TASKS, &fault), 0);
	ck_assert_int_eq(enforcer->guarantee, GUARANTEE_NONE);
	add(0, busy_start());
	apply((struct grant[]){grant_of(0, 0)}, 1);
	assert_file(0, "../cpu.max", "max 100000");
	ck_assert(is_used_soon(0, 20 * NSEC_PER_MSEC));
}
END_TEST

START_TEST(the_guarantee_depends_on_the_user)
{
	struct enforcer_setup other = setup_with(1);

	other.task_uid = 12345;
	ck_assert_int_eq(enforcer_cgroup2.open(&enforcer, &other, &fault), 0);
	ck_assert_int_eq(enforcer->guarantee, GUARANTEE_KERNEL);
	enforcer = enforcer->ops->close(enforcer);
	other.task_uid = getuid();
	ck_assert_int_eq(enforcer_cgroup2.open(&enforcer, &other, &fault), 0);
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
	ck_assert_int_eq(cgroup_run_is_held(run, &fault), 1);
	ck_assert_int_gt(cgroup_run_end(run, &fault), 0);
	ck_assert(busy_is_dead(&busy[0]));
	ck_assert(busy_is_dead(&busy[1]));
	ck_assert_int_eq(cgroup_run_end(run, &fault), 0);
}
END_TEST

START_TEST(removal_never_sets_a_process_free)
{
	char group[2 * PATH_MAX], own[PATH_MAX];
	struct cgroup_base base;

	open_with(1);
	add(0, busy_start());
	own_group(own); /* the leaf */
	ck_assert_int_eq(cgroup_find("cpu", &base, NULL), 0);
	*strrchr(base.own, '/') = '\0';
	(void)snprintf(group, sizeof(group), "%s/%s/0-tasks", base.own, run);
	ck_assert_int_eq(cgroup_remove("cpu", group, &fault), -EBUSY);
	ck_assert_int_eq(enforcer->ops->task_is_populated(enforcer, 0), 1);
	ck_assert_int_eq(cgroup_create("cpu", "test-no-such-group", &fault), -EOPNOTSUPP);
	ck_assert_int_eq(cgroup_remove("cpu", "test-no-such-group", &fault), 0);
	ck_assert_int_eq(cgroup_attach("cpu", "test-no-such-group", getpid(), &fault), -ENOENT);
}
END_TEST

/* Facts of the kernel. Where one of them changes, something above is built on sand. */

/* A group of our own beside RUN, with one busy process; its directory. */
static int fact_group(const char *max)
{
	char text[NUMBER_TEXT_MAX];
	int fd;

	open_with(2);
	ck_assert_int_eq(enforcer->ops->task_add(enforcer, 0, "fact", &fault), 0);
	fd = place_fd(0);
	busy[0] = busy_start();
	(void)format_number(text, (uint64_t)busy[0].pid);
	ck_assert_int_eq(knob_write_at(fd, "cgroup.procs", text), 0);
	ck_assert_int_eq(knob_write_at(fd, "cpu.max", max), 0);
	ck_assert_int_eq(knob_write_at(fd, "cgroup.freeze", "0"), 0);
	ck_assert_int_eq(
		meter->ops->task_add(meter, 0, enforcer->ops->task_place(enforcer, 0), &fault), 0);
	busy_release(&busy[0]);
	ck_assert(is_used_soon(0, 20 * NSEC_PER_MSEC));
	return fd;
}

static double use_with_rewrites(int fd, const char *max, uint64_t each_ns, unsigned n)
{
	uint64_t from_ns = busy_clock_ns(), used = used_ns(0);

	for (unsigned i = 1; i <= n; i++) {
		ck_assert_int_eq(knob_write_at(fd, "cpu.max", max), 0);
		busy_sleep_until(from_ns + i * each_ns);
	}
	return (double)(used_ns(0) - used) / (double)(busy_clock_ns() - from_ns);
}

START_TEST(each_write_refills_unless_a_parent_holds)
{
	static const char max[] = "20000 100000";
	int fd = fact_group(max);
	double plain, rewritten, held;

	plain = use_over(0, 3 * NSEC_PER_SEC);
	rewritten = use_with_rewrites(fd, max, 50 * NSEC_PER_MSEC, 60);
	ck_assert_int_eq(write_file(0, "../cpu.max", max), 0);
	held = use_with_rewrites(fd, max, 50 * NSEC_PER_MSEC, 60);
	printf("# 0.2 CPU for 3 s: %.4f; rewritten each 50 ms: %.4f; with a parent of 0.2: %.4f\n",
		plain, rewritten, held);
	(void)fflush(stdout);
	ck_assert(plain < 0.25);
	ck_assert(rewritten > 0.3);
	ck_assert(held < 0.25);
}
END_TEST

START_TEST(a_child_may_have_more_than_its_parent)
{
	int fd = fact_group("max");

	ck_assert_int_eq(write_file(0, "../cpu.max", "20000 100000"), 0);
	ck_assert_int_eq(knob_write_at(fd, "cpu.max", "90000 100000"), 0);
	ck_assert_int_eq(write_file(0, "../cpu.max", "10000 100000"), 0);
	ck_assert(use_over(0, NSEC_PER_SEC) < 0.2);
}
END_TEST

START_TEST(the_bounds_of_quota_period_and_burst)
{
	int fd = fact_group("20000 100000");

	ck_assert_int_eq(knob_write_at(fd, "cpu.max", "999 100000"), -EINVAL);
	ck_assert_int_eq(knob_write_at(fd, "cpu.max", "1000 999"), -EINVAL);
	ck_assert_int_eq(knob_write_at(fd, "cpu.max", "1000 1000001"), -EINVAL);
	ck_assert_int_eq(knob_write_at(fd, "cpu.max", "1000 1000000"), 0);
	ck_assert_int_eq(knob_write_at(fd, "cpu.max", "1000 1000"), 0);
	ck_assert_int_eq(knob_write_at(fd, "cpu.max", "20000 100000"), 0);
	assert_file(0, "cpu.max", "20000 100000");
	ck_assert_int_eq(knob_write_at(fd, "cpu.max.burst", "20001"), -EINVAL);
	ck_assert_int_eq(knob_write_at(fd, "cpu.max.burst", "20000"), 0);
	ck_assert_int_eq(knob_write_at(fd, "cpu.max", "19999 100000"), -EINVAL);
	ck_assert_int_eq(knob_write_at(fd, "cpu.max.burst", "0"), 0);
}
END_TEST

START_TEST(what_is_frozen_dies_of_sigkill)
{
	int fd = fact_group("max");

	ck_assert_int_eq(knob_write_at(fd, "cgroup.freeze", "1"), 0);
	busy_sleep_until(busy_clock_ns() + 50 * NSEC_PER_MSEC);
	ck_assert(use_over(0, 200 * NSEC_PER_MSEC) < 0.001);
	ck_assert_int_eq(kill(busy[0].pid, SIGKILL), 0);
	ck_assert(busy_is_dead(&busy[0]));
	assert_file(0, "cgroup.freeze", "1");
}
END_TEST

/* The cpu controller alone may be enabled below a process, but then no process gets there. */
START_TEST(processes_above_shut_the_groups_below)
{
	int fd = fact_group("max");
	char text[NUMBER_TEXT_MAX];

	(void)format_number(text, (uint64_t)busy[0].pid);
	ck_assert_int_eq(mkdirat(fd, "below", 0755), 0);
	ck_assert_int_eq(knob_write_at(fd, "cgroup.subtree_control", "+cpu"), 0);
	assert_file(0, "below/cgroup.type", "domain invalid");
	ck_assert_int_eq(knob_write_at(fd, "below/cgroup.procs", text), -EOPNOTSUPP);
	/* And none gets into the group above while there is one below. */
	ck_assert_int_eq(write_file(0, "../cgroup.procs", text), -EBUSY);
}
END_TEST

static void add_facts(Suite *suite)
{
	TCase *tcase = tcase_create("facts");

	tcase_add_checked_fixture(tcase, setup, teardown);
	tcase_set_timeout(tcase, 60);
	tcase_add_test(tcase, each_write_refills_unless_a_parent_holds);
	tcase_add_test(tcase, a_child_may_have_more_than_its_parent);
	tcase_add_test(tcase, the_bounds_of_quota_period_and_burst);
	tcase_add_test(tcase, what_is_frozen_dies_of_sigkill);
	tcase_add_test(tcase, processes_above_shut_the_groups_below);
	suite_add_tcase(suite, tcase);
}

/* One scope for all tests; 0 also where there is no systemd to ask. */
static int enter_scope(void)
{
	const pid_t self = getpid();
	char name[RUN_NAME_MAX + 16];

	if (!unit_bus_is_booted() || unit_bus_is_delegated() == 1)
		return 0;
	(void)snprintf(name, sizeof(name), "test-%s", run);
	return unit_bus_make_scope(name, &self, 1, &fault);
}

int main(void)
{
	struct enforcer_setup probe;
	Suite *suite;
	TCase *tcase;
	int r;

	if (run_name_make(run, &fault) < 0)
		return EXIT_FAILURE;
	probe = setup_with(1);
	r = enforcer_cgroup2.probe(&probe, &fault);
	if (r == 0)
		r = enter_scope();
	if (r < 0) {
		printf("1..0 # SKIP %s\n", fault.text);
		return EXIT_SUCCESS;
	}
	suite = suite_create("cgroup2");
	tcase = tcase_create("real");
	tcase_add_checked_fixture(tcase, setup, teardown);
	tcase_set_timeout(tcase, 60);
	tcase_add_test(tcase, nothing_runs_before_the_first_grant);
	tcase_add_test(tcase, shares_hold_and_the_parent_holds_the_budget);
	tcase_add_test(tcase, a_kill_reaches_all_that_is_frozen);
	tcase_add_test(tcase, removal_ends_what_is_frozen);
	tcase_add_test(tcase, groups_that_the_task_makes_are_below_its_grant);
	tcase_add_test(tcase, a_limit_above_home_holds_and_is_the_capacity);
	tcase_add_test(tcase, a_stranger_is_reported_and_left_alone);
	tcase_add_test(tcase, a_foreign_burst_is_taken_back);
	tcase_add_test(tcase, a_foreign_thaw_is_seen);
	tcase_add_test(tcase, a_stray_is_put_back);
	tcase_add_test(tcase, the_budget_changes);
	tcase_add_test(tcase, a_task_vanishes_under_our_hands);
	tcase_add_test(tcase, the_run_vanishes_under_our_hands);
	tcase_add_test(tcase, attaching_the_dead_says_so);
	tcase_add_test(tcase, a_dry_run_limits_nothing);
	tcase_add_test(tcase, the_guarantee_depends_on_the_user);
	tcase_add_test(tcase, a_dead_run_is_found_and_ended);
	tcase_add_test(tcase, removal_never_sets_a_process_free);
	suite_add_tcase(suite, tcase);
	add_facts(suite);
	r = suite_run(suite);
	if (cgroup_run_end(run, &fault) != 0)
		fprintf(stderr, "ended what a test had left behind\n");
	return r;
}
