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
#include "meter.h"
#include "nsec.h"

/* The cgroup1 enforcer and the cgroup meter on the real tree of this machine, with real processes.
 * Exits 77 where that enforcer does not work here, with the enforcer's own reason. */

#define N_TASKS 4
#define PERIOD_US 20000

static char run[RUN_NAME_MAX];
static struct enforcer *enforcer;
static struct meter *meter;
static struct busy busy[N_TASKS];
static struct fault fault;

/* The run is the whole suite, not one test of it: what a failed test leaves is ended by main(). */
static void name_run(void)
{
	char stat[1024] = "";
	const char *field;
	FILE *file = fopen("/proc/self/stat", "re");

	if (!file || fread(stat, 1, sizeof(stat) - 1, file) == 0)
		abort();
	(void)fclose(file);
	field = strrchr(stat, ')');
	for (int i = 2; i < 22 && field; i++)
		field = strchr(field + 1, ' ');
	if (!field)
		abort();
	(void)snprintf(
		run, sizeof(run), "coregov-%d-%llu", (int)getpid(), strtoull(field, NULL, 10));
}

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
	uint64_t cpu_ns = 0;

	ck_assert_int_eq(meter->ops->read(meter, task, &cpu_ns), 0);
	return cpu_ns;
}

/* CPUs that a task used over a span that begins now. */
static double use_over(uint32_t task, uint64_t span_ns)
{
	uint64_t from_ns = busy_clock_ns(), used = used_ns(task);

	busy_sleep_until(from_ns + span_ns);
	return (double)(used_ns(task) - used) / (double)(busy_clock_ns() - from_ns);
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
	ck_assert(use_over(0, 200 * NSEC_PER_MSEC) > 0.05);
}
END_TEST

/* Loose bounds: the machine may be loaded, so only too much is an error, and nothing at all. */
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
	ck_assert_msg(cpus[0] < 0.315 && cpus[0] > 0.1, "0.3: %g", cpus[0]);
	ck_assert_msg(cpus[1] < 0.115 && cpus[1] > 0.03, "0.1: %g", cpus[1]);
	ck_assert_msg(cpus[2] < 0.001, "0: %g", cpus[2]);
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

int main(void)
{
	Suite *suite = suite_create("cgroup1");
	TCase *tcase = tcase_create("real");
	struct enforcer_setup probe;
	int r;

	name_run();
	probe = setup_with(1);
	r = enforcer_cgroup1.probe(&probe, &fault);
	if (r < 0) {
		printf("1..0 # SKIP %s\n", fault.text);
		return 77;
	}
	tcase_add_checked_fixture(tcase, setup, teardown);
	tcase_set_timeout(tcase, 60);
	tcase_add_test(tcase, nothing_runs_before_the_first_grant);
	tcase_add_test(tcase, shares_hold_and_the_parent_holds_the_budget);
	tcase_add_test(tcase, a_kill_reaches_all_and_thaws);
	tcase_add_test(tcase, removal_ends_what_is_frozen);
	suite_add_tcase(suite, tcase);
	r = suite_run(suite);
	if (cgroup_run_end(run, &fault) != 0)
		fprintf(stderr, "ended what a test had left behind\n");
	return r;
}
