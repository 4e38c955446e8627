// SPDX-License-Identifier: GPL-2.0-or-later
#include "lost_limits.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "suite.h"

/* On files as systemd 252 leaves them, in a temporary directory. */

#define SERVICE "system.slice/x.service"
#define SCOPE "system.slice/coregov-1-1.scope"

static char mount[64], names[256];
static int mount_fd;

static void put(const char *path, const char *text)
{
	int fd = openat(mount_fd, path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);

	ck_assert_int_ge(fd, 0);
	ck_assert_int_eq(write(fd, text, strlen(text)), (ssize_t)strlen(text));
	(void)close(fd);
}

static void setup(void)
{
	static const char *const groups[] = {"system.slice", "user.slice", SERVICE, SCOPE};
	char path[128];

	ck_assert_ptr_nonnull(mkdtemp(suite_template(mount)));
	mount_fd = open(mount, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	ck_assert_int_ge(mount_fd, 0);
	for (size_t i = 0; i < sizeof(groups) / sizeof(groups[0]); i++) {
		ck_assert_int_eq(mkdirat(mount_fd, groups[i], 0755), 0);
		(void)snprintf(path, sizeof(path), "%s/memory.max", groups[i]);
		put(path, "max\n");
		(void)snprintf(path, sizeof(path), "%s/pids.max", groups[i]);
		put(path, strchr(groups[i], '/') ? "1156\n" : "max\n");
		(void)snprintf(path, sizeof(path), "%s/cpuset.cpus", groups[i]);
		put(path, "\n");
	}
}

static void teardown(void)
{
	(void)close(mount_fd);
	ck_assert_int_eq(suite_remove(mount), 0);
}

static void assert_lost(const char *was, const char *is, const char *expected)
{
	struct unit_limits limits;
	size_t n;

	unit_limits_read(&limits, mount_fd, was);
	n = lost_limits(&limits, mount_fd, is, names, sizeof(names));
	ck_assert_str_eq(names, expected);
	ck_assert_int_eq(n > 0, expected[0] != '\0');
}

START_TEST(defaults_are_no_loss)
{
	assert_lost(SERVICE, SCOPE, "");
	put(SERVICE "/cpu.max", "80000 100000\n"); /* has been taken for the capacity */
	assert_lost(SERVICE, SCOPE, "");
	assert_lost("gone.slice/gone.service", SCOPE, "");
}
END_TEST

START_TEST(limits_of_the_unit_are_lost)
{
	struct unit_limits limits;

	put(SERVICE "/memory.max", "314572800\n");
	assert_lost(SERVICE, SCOPE, "MemoryMax=");
	put(SERVICE "/pids.max", "333\n");
	put(SERVICE "/cpuset.cpus", "0-1\n");
	assert_lost(SERVICE, SCOPE, "MemoryMax=, TasksMax=, AllowedCPUs=");
	unit_limits_read(&limits, mount_fd, SERVICE);
	ck_assert_uint_eq(lost_limits(&limits, mount_fd, SCOPE, names, 8), 3);
	ck_assert_str_eq(names, "MemoryM");
	assert_lost(SERVICE, SERVICE, "");
}
END_TEST

/* As systemd removes a scope that has been left empty. */
START_TEST(a_unit_that_is_gone_has_had_its_limits)
{
	struct unit_limits limits;

	put(SERVICE "/memory.max", "314572800\n");
	unit_limits_read(&limits, mount_fd, SERVICE);
	ck_assert_int_eq(unlinkat(mount_fd, SERVICE "/memory.max", 0), 0);
	ck_assert_uint_eq(lost_limits(&limits, mount_fd, SCOPE, names, sizeof(names)), 1);
	ck_assert_str_eq(names, "MemoryMax=");
}
END_TEST

/* More than are asked: those nearest count. */
START_TEST(groups_without_end)
{
	static const char deep[] = "a/b/c/d/e/f/g/h/i/j/k/l/m/n/o/p/q/r";
	struct unit_limits limits;

	unit_limits_read(&limits, mount_fd, deep);
	ck_assert_uint_eq(limits.n_groups, LIMIT_GROUPS_MAX);
	ck_assert_uint_eq(lost_limits(&limits, mount_fd, SCOPE, names, sizeof(names)), 0);
	unit_limits_read(&limits, mount_fd, "");
	ck_assert_uint_eq(limits.n_groups, 0);
	ck_assert_uint_eq(lost_limits(&limits, mount_fd, SCOPE, names, sizeof(names)), 0);
}
END_TEST

/* What is above both goes on. */
START_TEST(limits_of_a_slice_are_lost_where_it_is_left)
{
	put("system.slice/memory.max", "314572800\n");
	assert_lost(SERVICE, SCOPE, "");
	assert_lost(SERVICE, "user.slice", "MemoryMax=, TasksMax=");
	assert_lost(SERVICE, "system.slice-not", "MemoryMax=, TasksMax=");
	put("user.slice/pids.max", "1156\n");
	assert_lost(SERVICE, "user.slice", "MemoryMax=");
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("lost_limits");
	TCase *tcase = tcase_create("all");

	tcase_add_checked_fixture(tcase, setup, teardown);
	tcase_add_test(tcase, defaults_are_no_loss);
	tcase_add_test(tcase, limits_of_the_unit_are_lost);
	tcase_add_test(tcase, a_unit_that_is_gone_has_had_its_limits);
	tcase_add_test(tcase, groups_without_end);
	tcase_add_test(tcase, limits_of_a_slice_are_lost_where_it_is_left);
	suite_add_tcase(suite, tcase);
	return suite_run(suite);
}
