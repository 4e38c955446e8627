// SPDX-License-Identifier: GPL-2.0-or-later
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "cgroup.h"
#include "cleanup.h"
#include "knob.h"
#include "machine.h"
#include "nsec.h"
#include "stand.h"
#include "unit_bus.h"

/* The cgroup2 enforcer: what is not the same with every enforcer that has groups, and the properties
 * of the kernel that it is built on. Where systemd runs, the whole suite moves into one delegated
 * scope first: HOME of every test is that scope's group. */

static int place_fd(uint32_t task)
{
	return stand.enforcer->ops->task_place(stand.enforcer, task)->cgroup2_fd;
}

/* `file` is relative to the task's group; the run's own has "../". */
static int write_file(uint32_t task, const char *file, const char *text)
{
	return knob_write_at(place_fd(task), file, text);
}

static void read_file(uint32_t task, const char *file, char ret_text[static KNOB_TEXT_MAX])
{
	int fd = openat(place_fd(task), file, O_RDONLY | O_CLOEXEC);

	ck_assert_msg(fd >= 0, "open '%s': %s", file, strerror(errno));
	ck_assert_int_eq(knob_read(fd, ret_text), 0);
	(void)close(fd);
}

static void assert_file(uint32_t task, const char *file, const char *expected)
{
	char text[KNOB_TEXT_MAX];

	read_file(task, file, text);
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
	ck_assert_int_lt(faccessat(home_fd, stand.run, F_OK, 0), 0);
	ck_assert_int_lt(faccessat(home_fd, "coregov-leaf", F_OK, 0), 0);
	(void)close(home_fd);
}

/* What a failed test has left is not for the next ones to stumble over. */
static void clear(void)
{
	const pid_t pids[] = {getppid(), getpid()};
	char path[PATH_MAX], text[NUMBER_TEXT_MAX], *leaf;
	int home_fd;

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

static struct quota read_quota(uint32_t task)
{
	const char *file = task == STAND_RUN ? "../cpu.max" : "cpu.max";
	struct quota quota = {.quota_us = QUOTA_UNLIMITED};
	char text[KNOB_TEXT_MAX];

	read_file(task == STAND_RUN ? 0 : task, file, text);
	if (sscanf(text, "max %" SCNu32, &quota.period_us) != 1)
		ck_assert_int_eq(
			sscanf(text, "%" SCNu64 " %" SCNu32, &quota.quota_us, &quota.period_us), 2);
	return quota;
}

static void write_quota(uint32_t task, struct quota quota)
{
	const char *file = task == STAND_RUN ? "../cpu.max" : "cpu.max";
	char text[KNOB_TEXT_MAX] = "max";

	if (quota.quota_us != QUOTA_UNLIMITED)
		(void)snprintf(text, sizeof(text), "%" PRIu64 " %" PRIu32, quota.quota_us,
			quota.period_us);
	ck_assert_int_eq(write_file(task == STAND_RUN ? 0 : task, file, text), 0);
}

static void thaw(uint32_t task)
{
	ck_assert_int_eq(write_file(task, "cgroup.freeze", "0"), 0);
}

static void let_out(pid_t pid)
{
	char text[NUMBER_TEXT_MAX];

	(void)format_number(text, (uint64_t)pid);
	ck_assert_int_eq(write_file(0, "../../coregov-leaf/cgroup.procs", text), 0);
}

static void remove_groups(uint32_t task)
{
	char path[PATH_MAX];

	(void)snprintf(path, sizeof(path), "../%" PRIu32 "-tasks", task);
	ck_assert_int_eq(unlinkat(place_fd(task), path, AT_REMOVEDIR), 0);
}

START_TEST(a_kill_reaches_all_that_is_frozen)
{
	stand_open(1);
	stand_add(0, busy_start_tree(3));
	stand_apply((struct grant[]){stand_grant(0, 0.5)}, 1);
	while (stand_signal(0, 0) < 4)
		busy_sleep_until(busy_clock_ns() + NSEC_PER_MSEC);
	stand_apply((struct grant[]){stand_grant(0, 0)}, 1);
	assert_file(0, "cgroup.freeze", "1");
	ck_assert_int_eq(stand_signal(0, SIGTERM), 4);
	assert_file(0, "cgroup.freeze", "1");
	ck_assert_int_eq(stand_is_populated(0), 1);
	ck_assert_int_eq(stand_signal(0, SIGKILL), 4);
	ck_assert(busy_is_dead(&stand.busy[0]));
	stand_remove(0);
}
END_TEST

/* A task that is a container engine, for one. */
START_TEST(groups_that_the_task_makes_are_below_its_grant)
{
	const struct grant grant = stand_grant(0, 0.3);
	char text[NUMBER_TEXT_MAX];
	double cpus;

	stand_open(1);
	stand_add(0, busy_start());
	ck_assert_int_eq(mkdirat(place_fd(0), "inner", 0755), 0);
	ck_assert_int_eq(mkdirat(place_fd(0), "inner/most", 0755), 0);
	(void)format_number(text, (uint64_t)stand.busy[0].pid);
	ck_assert_int_eq(write_file(0, "inner/most/cgroup.procs", text), 0);
	ck_assert_int_eq(write_file(0, "cgroup.subtree_control", "+cpu"), 0);
	(void)stand_apply(&grant, 1);
	ck_assert(stand_is_used_soon(0, 30 * NSEC_PER_MSEC));
	cpus = stand_use_over(0, NSEC_PER_SEC);
	ck_assert_msg(cpus < 0.36, "0.3: %g", cpus);
	(void)stand_apply((struct grant[]){stand_grant(0, 0)}, 1);
	busy_sleep_until(busy_clock_ns() + 100 * NSEC_PER_MSEC);
	ck_assert(stand_use_over(0, 200 * NSEC_PER_MSEC) < 0.001);
	ck_assert_int_eq(stand_is_populated(0), 1);
	stand_remove(0);
	ck_assert(busy_is_dead(&stand.busy[0]));
}
END_TEST

static int n_asked;

int __real_unit_bus_is_delegated(void);
int __wrap_unit_bus_is_delegated(void);

int __wrap_unit_bus_is_delegated(void)
{
	n_asked++;
	return __real_unit_bus_is_delegated();
}

/* Not at all as root in a scope of the system's manager, which is marked; a user's is not. */
START_TEST(systemd_is_asked_once)
{
	struct enforcer_setup setup = {.run = stand.run, .budget_cpus = 1, .n_tasks_max = 1};

	n_asked = 0;
	ck_assert_int_eq(enforcer_cgroup2.probe(&setup, &stand.fault), 0);
	ck_assert_int_le(n_asked, 1);
	n_asked = 0;
	stand_open(1);
	ck_assert_int_eq(n_asked, 0);
}
END_TEST

/* We are moved out of a group, and it is removed, between two looks of cgroup_find(): at our own name
 * in /proc, and at the directory. */
static int passing_home_fd = -EBADF;

int __real_stat64(const char *path, struct stat *ret_stat);
int __wrap_stat64(const char *path, struct stat *ret_stat);

int __wrap_stat64(const char *path, struct stat *ret_stat)
{
	char text[NUMBER_TEXT_MAX];

	if (passing_home_fd >= 0) {
		(void)format_number(text, (uint64_t)getpid());
		ck_assert_int_eq(knob_write_at(passing_home_fd, "cgroup.procs", text), 0);
		ck_assert_int_eq(unlinkat(passing_home_fd, "passing", AT_REMOVEDIR), 0);
		(void)close(passing_home_fd);
		passing_home_fd = -EBADF;
	}
	return __real_stat64(path, ret_stat);
}

START_TEST(our_own_group_is_known_when_we_are_moved)
{
	int home_fd = open_own_group();
	struct cgroup_base before, base;
	char text[NUMBER_TEXT_MAX];

	ck_assert_int_eq(cgroup_find("cpu", &before, NULL), 0);
	(void)format_number(text, (uint64_t)getpid());
	ck_assert_int_eq(mkdirat(home_fd, "passing", 0755), 0);
	ck_assert_int_eq(knob_write_at(home_fd, "passing/cgroup.procs", text), 0);
	passing_home_fd = home_fd;
	ck_assert_int_eq(cgroup_find("cpu", &base, NULL), 0);
	ck_assert_int_lt(passing_home_fd, 0);
	ck_assert_str_eq(base.own, before.own);
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
	ck_assert_int_eq(machine_capacity(&cpus, &stand.fault), 0);
	ck_assert_double_eq_tol(cpus, 0.2, 1e-9);

	stand_open(0.5);
	stand_add(0, busy_start());
	(void)stand_apply((struct grant[]){stand_grant(0, 0.5)}, 1);
	ck_assert(stand_is_used_soon(0, 20 * NSEC_PER_MSEC));
	cpus = stand_use_over(0, 2 * NSEC_PER_SEC);
	ck_assert_msg(cpus < 0.25, "0.2: %g", cpus);
	stand_close();

	ck_assert_int_eq(knob_write_at(home_fd, "limited/cgroup.subtree_control", "-cpu"), 0);
	ck_assert_int_eq(knob_write_at(home_fd, "cgroup.subtree_control", "-cpu"), 0);
	ck_assert_int_eq(knob_write_at(home_fd, "cgroup.procs", text), 0);
	(void)format_number(text, (uint64_t)getpid());
	ck_assert_int_eq(knob_write_at(home_fd, "cgroup.procs", text), 0);
	busy_end(&stand.busy[0]);
	ck_assert_int_eq(unlinkat(home_fd, "limited/deep", AT_REMOVEDIR), 0);
	ck_assert_int_eq(unlinkat(home_fd, "limited", AT_REMOVEDIR), 0);
	ck_assert_int_eq(unlinkat(home_fd, "beside", AT_REMOVEDIR), 0);
	(void)close(home_fd);
}
END_TEST

/* The one knob of a stranger that is not left alone: it would be in the way of the next fall. */
START_TEST(a_foreign_burst_is_taken_back)
{
	const struct grant grants[] = {stand_grant(0, 0.3), stand_grant(1, 0.1)};
	uint32_t n_foreign = 0;

	stand_open(0.4);
	stand_add(0, busy_start());
	stand_add(1, busy_start());
	stand_apply(grants, 2);
	ck_assert_int_eq(write_file(1, "cpu.max.burst", "2000"), 0);
	ck_assert_int_eq(write_file(1, "../cpu.max.burst", "40000"), 0);
	for (int slot = 0; slot < STAND_N_TASKS; slot++)
		n_foreign += stand_apply(grants, 2).n_foreign;
	ck_assert_uint_eq(n_foreign, 2);
	ck_assert_ptr_nonnull(strstr(stand.fault.text, "cpu.max.burst"));
	assert_file(1, "cpu.max.burst", "0");
	assert_file(1, "../cpu.max.burst", "0");

	ck_assert_int_eq(write_file(0, "cpu.max.burst", "6000"), 0);
	n_foreign = 0;
	for (int slot = 0; slot < 2; slot++)
		n_foreign += stand_apply((struct grant[]){stand_grant(0, 0.1)}, 1).n_foreign;
	ck_assert_uint_eq(n_foreign, 1);
	assert_file(0, "cpu.max", "2000 20000");
	ck_assert_int_eq(write_file(0, "../cpu.max.burst", "40000"), 0);
	ck_assert_msg(stand_budget(0.2) == 0, "%s", stand.fault.text);
	assert_file(0, "../cpu.max", "20000 100000");
}
END_TEST

/* The whole stand.run, as `systemctl kill -s KILL` of the scope does it. */
START_TEST(the_run_vanishes_under_our_hands)
{
	const struct grant more[] = {stand_grant(0, 0.2)};

	stand_open(1);
	stand_add(0, busy_start());
	ck_assert_int_gt(cgroup_run_end(stand.run, &stand.fault), 0);
	ck_assert_uint_eq(stand_apply(more, 1).n_gone, 1);
	ck_assert_int_eq(stand_is_populated(0), 0);
	ck_assert_int_eq(stand_signal(0, SIGKILL), 0);
	ck_assert_int_lt(stand.enforcer->ops->task_add(
				 stand.enforcer, 1, "late", /* scope= */ NULL, &stand.fault),
		0);
	ck_assert_ptr_nonnull(strstr(stand.fault.text, "late"));
}
END_TEST

/* One run after the other in a process of its own, until one of them fails. */
static pid_t start_runs(int n_runs)
{
	struct enforcer_setup setup = {
		.run = stand.run,
		.n_tasks_max = 1,
		.budget_cpus = 1,
		.capacity_cpus = 2,
		.task_uid = getuid(),
	};
	char name[RUN_NAME_MAX];
	pid_t pid = fork();

	ck_assert_int_ge(pid, 0);
	if (pid != 0)
		return pid;
	if (run_name_make(name, &stand.fault) < 0)
		_exit(EXIT_FAILURE);
	setup.run = name;
	for (int i = 0; i < n_runs; i++) {
		if (enforcer_cgroup2.open(&stand.enforcer, &setup, &stand.fault) < 0) {
			fprintf(stderr, "run %d of %d: %s\n", i + 1, n_runs, stand.fault.text);
			_exit(EXIT_FAILURE);
		}
		stand.enforcer = enforcer_cgroup2.close(stand.enforcer);
	}
	_exit(EXIT_SUCCESS);
}

/* What one that ends takes back, the controller and the leaf, another has just found. Again and again
 * from a HOME without them: who comes before the last one is gone leaves them there. */
START_TEST(runs_come_and_go_in_one_home)
{
	pid_t pids[2];
	int status, n_failed = 0;

	for (int round = 0; round < 20; round++) {
		for (size_t i = 0; i < ARRAY_LENGTH(pids); i++)
			pids[i] = start_runs(5);
		for (size_t i = 0; i < ARRAY_LENGTH(pids); i++) {
			ck_assert_int_eq(waitpid(pids[i], &status, 0), pids[i]);
			n_failed += status != 0;
		}
		clear();
	}
	ck_assert_int_eq(n_failed, 0);
}
END_TEST

/* A process with so much memory that its end takes a while, 100 ms and more in a slow VM. */
static pid_t start_big(void)
{
	const size_t size = 256 << 20, page = 4096;
	int gate[2];
	pid_t pid;
	char byte;

	ck_assert_int_eq(pipe(gate), 0);
	pid = fork();
	ck_assert_int_ge(pid, 0);
	if (pid == 0) {
		char *bytes = mmap(
			NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

		if (bytes == MAP_FAILED)
			_exit(EXIT_FAILURE);
		(void)madvise(bytes, size, MADV_NOHUGEPAGE);
		for (size_t at = 0; at < size; at += page)
			bytes[at] = 1;
		if (write(gate[1], "", 1) == 1)
			(void)pause();
		_exit(EXIT_FAILURE);
	}
	(void)close(gate[1]);
	ck_assert_int_eq(read(gate[0], &byte, 1), 1);
	(void)close(gate[0]);
	return pid;
}

/* While it ends it is listed, and stays where it is. */
START_TEST(who_ends_in_home_is_waited_for)
{
	pid_t pid = start_big();

	ck_assert_int_eq(kill(pid, SIGKILL), 0);
	stand_open(1);
	ck_assert_int_eq(waitpid(pid, NULL, 0), pid);
}
END_TEST

START_TEST(removal_never_sets_a_process_free)
{
	char group[2 * PATH_MAX], own[PATH_MAX];
	struct cgroup_base base;

	stand_open(1);
	stand_add(0, busy_start());
	own_group(own); /* the leaf */
	ck_assert_int_eq(cgroup_find("cpu", &base, NULL), 0);
	*strrchr(base.own, '/') = '\0';
	(void)snprintf(group, sizeof(group), "%s/%s/0-tasks", base.own, stand.run);
	ck_assert_int_eq(cgroup_remove("cpu", group, &stand.fault), -EBUSY);
	ck_assert_int_eq(stand_is_populated(0), 1);
	ck_assert_int_eq(cgroup_create("cpu", "test-no-such-group", &stand.fault), -EOPNOTSUPP);
	ck_assert_int_eq(cgroup_remove("cpu", "test-no-such-group", &stand.fault), 0);
	ck_assert_int_eq(
		cgroup_attach("cpu", "test-no-such-group", getpid(), &stand.fault), -ENOENT);
}
END_TEST

/* Facts of the kernel. Where one of them changes, something above is built on sand. */

/* A group of our own beside RUN, with one busy process; its directory. */
static int fact_group(const char *max)
{
	char text[NUMBER_TEXT_MAX];
	int fd;

	stand_open(2);
	ck_assert_int_eq(stand.enforcer->ops->task_add(
				 stand.enforcer, 0, "fact", /* scope= */ NULL, &stand.fault),
		0);
	fd = place_fd(0);
	stand.busy[0] = busy_start();
	(void)format_number(text, (uint64_t)stand.busy[0].pid);
	ck_assert_int_eq(knob_write_at(fd, "cgroup.procs", text), 0);
	ck_assert_int_eq(knob_write_at(fd, "cpu.max", max), 0);
	ck_assert_int_eq(knob_write_at(fd, "cgroup.freeze", "0"), 0);
	ck_assert_int_eq(stand.meter->ops->task_add(stand.meter, 0,
				 stand.enforcer->ops->task_place(stand.enforcer, 0), &stand.fault),
		0);
	busy_release(&stand.busy[0]);
	ck_assert(stand_is_used_soon(0, 20 * NSEC_PER_MSEC));
	return fd;
}

static double use_with_rewrites(int fd, const char *max, uint64_t each_ns, unsigned n)
{
	uint64_t from_ns = busy_clock_ns(), used = stand_used_ns(0);

	for (unsigned i = 1; i <= n; i++) {
		ck_assert_int_eq(knob_write_at(fd, "cpu.max", max), 0);
		busy_sleep_until(from_ns + i * each_ns);
	}
	return (double)(stand_used_ns(0) - used) / (double)(busy_clock_ns() - from_ns);
}

START_TEST(each_write_refills_unless_a_parent_holds)
{
	static const char max[] = "20000 100000";
	int fd = fact_group(max);
	double plain, rewritten, held;

	plain = stand_use_over(0, 3 * NSEC_PER_SEC);
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
	ck_assert(stand_use_over(0, NSEC_PER_SEC) < 0.2);
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
	ck_assert(stand_use_over(0, 200 * NSEC_PER_MSEC) < 0.001);
	ck_assert_int_eq(kill(stand.busy[0].pid, SIGKILL), 0);
	ck_assert(busy_is_dead(&stand.busy[0]));
	assert_file(0, "cgroup.freeze", "1");
}
END_TEST

/* The cpu controller alone may be enabled below a process, but then no process gets there. */
START_TEST(processes_above_shut_the_groups_below)
{
	int fd = fact_group("max");
	char text[NUMBER_TEXT_MAX];

	(void)format_number(text, (uint64_t)stand.busy[0].pid);
	ck_assert_int_eq(mkdirat(fd, "below", 0755), 0);
	ck_assert_int_eq(knob_write_at(fd, "cgroup.subtree_control", "+cpu"), 0);
	assert_file(0, "below/cgroup.type", "domain invalid");
	ck_assert_int_eq(knob_write_at(fd, "below/cgroup.procs", text), -EOPNOTSUPP);
	/* And none gets into the group above while there is one below. */
	ck_assert_int_eq(write_file(0, "../cgroup.procs", text), -EBUSY);
}
END_TEST

/* One scope for all tests; 0 also where there is no systemd to ask. */
static int enter_scope(struct fault *fault)
{
	const pid_t self = getpid();
	char name[RUN_NAME_MAX + 16];

	if (!unit_bus_is_booted() || unit_bus_is_delegated() == 1)
		return 0;
	(void)snprintf(name, sizeof(name), "test-%s", stand.run);
	return unit_bus_make_scope(name, &self, 1, fault);
}

static void add_tests(Suite *suite, TCase *common)
{
	TCase *facts = stand_case(suite, "facts");

	tcase_add_test(common, a_kill_reaches_all_that_is_frozen);
	tcase_add_test(common, groups_that_the_task_makes_are_below_its_grant);
	tcase_add_test(common, systemd_is_asked_once);
	tcase_add_test(common, our_own_group_is_known_when_we_are_moved);
	tcase_add_test(common, a_limit_above_home_holds_and_is_the_capacity);
	tcase_add_test(common, a_foreign_burst_is_taken_back);
	tcase_add_test(common, the_run_vanishes_under_our_hands);
	tcase_add_test(common, runs_come_and_go_in_one_home);
	tcase_add_loop_test(common, who_ends_in_home_is_waited_for, 0, 2);
	tcase_add_test(common, removal_never_sets_a_process_free);
	tcase_add_test(facts, each_write_refills_unless_a_parent_holds);
	tcase_add_test(facts, a_child_may_have_more_than_its_parent);
	tcase_add_test(facts, the_bounds_of_quota_period_and_burst);
	tcase_add_test(facts, what_is_frozen_dies_of_sigkill);
	tcase_add_test(facts, processes_above_shut_the_groups_below);
}

int main(void)
{
	return stand_main(&(const struct stand_kind){
		.name = "cgroup2",
		.enforcer = &enforcer_cgroup2,
		/* On a virtual machine that is held up, a tick may come some 10 ms late. */
		.most_cpus = {0.36, 0.15, 0.01},
		.prepare = enter_scope,
		.clear = clear,
		.assert_no_groups = assert_no_groups,
		.read_quota = read_quota,
		.write_quota = write_quota,
		.thaw = thaw,
		.let_out = let_out,
		.remove_groups = remove_groups,
		.add_tests = add_tests,
	});
}
