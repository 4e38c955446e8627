// SPDX-License-Identifier: GPL-2.0-or-later
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cgroup.h"
#include "knob.h"
#include "nsec.h"
#include "stand.h"

/* The cgroup1 enforcer: what is not the same with every enforcer that has groups. */

static const char *const controllers[] = {"cpu", "cpuacct", "freezer"};

static void group_path(char path[static PATH_MAX], const char *controller, const char *rest)
{
	struct cgroup_base base;

	ck_assert_int_eq(cgroup_find(controller, &base, NULL), 0);
	ck_assert_int_lt(snprintf(path, PATH_MAX, "%s/%s%s%s%s", base.mount, base.own,
				 base.own[0] ? "/" : "", stand.run, rest),
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
	char path[PATH_MAX];

	for (size_t i = 0; i < 3; i++) {
		group_path(path, controllers[i], "");
		ck_assert_msg(access(path, F_OK) < 0, "'%s' is still there", path);
	}
}

/* A file of the cpu controller. */
static const char *knob_of(uint32_t task, const char *name, char path[static PATH_MAX])
{
	if (task == STAND_RUN)
		(void)snprintf(path, PATH_MAX, "/%s", name);
	else
		(void)snprintf(path, PATH_MAX, "/%u-tasks/%s", task, name);
	return path;
}

static struct quota read_quota(uint32_t task)
{
	char path[PATH_MAX];
	int64_t quota_us = read_file("cpu", knob_of(task, "cpu.cfs_quota_us", path));

	return (struct quota){
		.quota_us = quota_us < 0 ? QUOTA_UNLIMITED : (uint64_t)quota_us,
		.period_us = (uint32_t)read_file("cpu", knob_of(task, "cpu.cfs_period_us", path)),
	};
}

static void write_file(const char *controller, const char *rest, const char *text)
{
	int fd = open_file(controller, rest);

	ck_assert_int_eq(knob_write(fd, text), 0);
	(void)close(fd);
}

static void write_quota(uint32_t task, struct quota quota)
{
	char path[PATH_MAX], text[NUMBER_TEXT_MAX] = "-1";

	ck_assert_uint_eq(read_quota(task).period_us, quota.period_us);
	if (quota.quota_us != QUOTA_UNLIMITED)
		(void)format_number(text, quota.quota_us);
	write_file("cpu", knob_of(task, "cpu.cfs_quota_us", path), text);
}

static void thaw(uint32_t task)
{
	char path[PATH_MAX];

	write_file("freezer", knob_of(task, "freezer.state", path), "THAWED");
}

/* Root may move itself to any group. */
static void let_out(pid_t pid)
{
	char path[PATH_MAX], text[NUMBER_TEXT_MAX];
	struct cgroup_base base;

	ck_assert_int_eq(cgroup_find("cpu", &base, NULL), 0);
	(void)format_number(text, (uint64_t)pid);
	ck_assert_int_lt(snprintf(path, sizeof(path), "%s/cgroup.procs", base.mount), PATH_MAX);
	ck_assert_int_eq(knob_write_at(AT_FDCWD, path, text), 0);
}

static void remove_groups(uint32_t task)
{
	char path[PATH_MAX], name[PATH_MAX];

	for (size_t i = 0; i < 3; i++) {
		group_path(path, controllers[i], knob_of(task, "", name));
		ck_assert_int_eq(rmdir(path), 0);
	}
}

START_TEST(a_kill_reaches_all_and_thaws)
{
	stand_open(1);
	stand_add(0, busy_start_tree(3));
	stand_apply((struct grant[]){stand_grant(0, 0.5)}, 1);
	while (stand_signal(0, 0) < 4)
		busy_sleep_until(busy_clock_ns() + NSEC_PER_MSEC);
	stand_apply((struct grant[]){stand_grant(0, 0)}, 1);
	ck_assert_int_eq(read_file("freezer", "/0-tasks/freezer.self_freezing"), 1);
	ck_assert_int_eq(stand_signal(0, SIGTERM), 4);
	ck_assert_int_eq(read_file("freezer", "/0-tasks/freezer.self_freezing"), 1);
	ck_assert_int_eq(stand_is_populated(0), 1);
	ck_assert_int_eq(stand_signal(0, SIGKILL), 4);
	ck_assert_int_eq(read_file("freezer", "/0-tasks/freezer.self_freezing"), 0);
	ck_assert(busy_is_dead(&stand.busy[0]));
	/* Dead men are not frozen again. */
	ck_assert_uint_eq(stand_apply((struct grant[]){stand_grant(0, 0)}, 1).n_writes, 0);
	stand_remove(0);
}
END_TEST

START_TEST(removal_never_sets_a_process_free)
{
	char group[PATH_MAX], path[PATH_MAX];

	stand_open(1);
	stand_add(0, busy_start());
	group_path(path, "cpu", "/0-tasks");
	(void)snprintf(group, sizeof(group), "%s/0-tasks", stand.run);
	ck_assert_int_eq(cgroup_remove("cpu", group, &stand.fault), -EBUSY);
	ck_assert_int_eq(access(path, F_OK), 0);
	ck_assert_int_eq(stand_is_populated(0), 1);
	ck_assert_int_eq(cgroup_create("cpu", group, &stand.fault), -EEXIST);
	ck_assert_int_eq(cgroup_create("cpu", "test-no-such-group/x", &stand.fault), -ENOENT);
	ck_assert_int_eq(cgroup_remove("cpu", "test-no-such-group", &stand.fault), 0);
	ck_assert_int_eq(
		cgroup_attach("cpu", "test-no-such-group", getpid(), &stand.fault), -ENOENT);
}
END_TEST

static void add_tests(Suite *suite, TCase *common)
{
	(void)suite;
	tcase_add_test(common, a_kill_reaches_all_and_thaws);
	tcase_add_test(common, removal_never_sets_a_process_free);
}

int main(void)
{
	return stand_main(&(const struct stand_kind){
		.name = "cgroup1",
		.enforcer = &enforcer_cgroup1,
		.most_cpus = {0.315, 0.115, 0.001},
		.is_child_below = true,
		.assert_no_groups = assert_no_groups,
		.read_quota = read_quota,
		.write_quota = write_quota,
		.thaw = thaw,
		.let_out = let_out,
		.remove_groups = remove_groups,
		.add_tests = add_tests,
	});
}
