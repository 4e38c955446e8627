// SPDX-License-Identifier: GPL-2.0-or-later
#include "machine.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "../unit/suite.h"
#include "cgroup.h"
#include "knob.h"

/* What this process may use: affinity, and the quotas of the groups around it. The groups need the
 * cpu controller on v1 and the right to make one; without, only the affinity is tested. */

static struct fault fault;
static char group[64];

static double capacity(void)
{
	double cpus = -1;

	ck_assert_msg(machine_capacity(&cpus, &fault) == 0, "%s", fault.text);
	return cpus;
}

START_TEST(affinity_counts)
{
	cpu_set_t one, all;

	ck_assert_int_eq(sched_getaffinity(0, sizeof(all), &all), 0);
	ck_assert(capacity() > 0 && capacity() <= CPU_COUNT(&all));
	CPU_ZERO(&one);
	for (int i = 0; i < CPU_SETSIZE && CPU_COUNT(&one) == 0; i++)
		if (CPU_ISSET(i, &all))
			CPU_SET(i, &one);
	ck_assert_int_eq(sched_setaffinity(0, sizeof(one), &one), 0);
	ck_assert(capacity() <= 1);
}
END_TEST

static void set_quota(const char *rest, const char *quota_us)
{
	struct cgroup_base base;
	char path[2 * PATH_MAX];
	int fd;

	ck_assert_int_eq(cgroup_find("cpu", &base, NULL), 0);
	(void)snprintf(path, sizeof(path), "%s/%s%s/cpu.cfs_quota_us", base.mount, group, rest);
	fd = knob_open(AT_FDCWD, path);
	ck_assert_int_ge(fd, 0);
	ck_assert_int_eq(knob_write(fd, quota_us), 0);
	(void)close(fd);
}

/* The outer group has the quota, the inner one has us. */
START_TEST(a_quota_further_up_counts)
{
	char inner[80];

	(void)snprintf(inner, sizeof(inner), "%s/inner", group);
	ck_assert_msg(cgroup_create("cpu", group, &fault) == 0, "%s", fault.text);
	ck_assert_msg(cgroup_create("cpu", inner, &fault) == 0, "%s", fault.text);
	ck_assert_msg(cgroup_attach("cpu", inner, getpid(), &fault) == 0, "%s", fault.text);
	set_quota("", "25000");
	ck_assert_double_eq_tol(capacity(), 0.25, 1e-9);
	set_quota("/inner", "10000");
	ck_assert_double_eq_tol(capacity(), 0.1, 1e-9);
	set_quota("/inner", "-1");
	set_quota("", "-1");
	ck_assert(capacity() >= 1);
}
END_TEST

/* The processes of a failed test are gone by now. */
static void remove_groups(void)
{
	char inner[80];

	(void)snprintf(inner, sizeof(inner), "%s/inner", group);
	(void)cgroup_remove("cpu", inner, NULL);
	(void)cgroup_remove("cpu", group, NULL);
}

int main(void)
{
	Suite *suite = suite_create("machine");
	TCase *tcase = tcase_create("all");
	int r;

	(void)snprintf(group, sizeof(group), "test-machine-%d", (int)getpid());
	tcase_add_test(tcase, affinity_counts);
	r = cgroup_create("cpu", group, &fault);
	if (r == 0)
		tcase_add_test(tcase, a_quota_further_up_counts);
	else
		printf("# without groups: %s\n", fault.text);
	remove_groups();
	suite_add_tcase(suite, tcase);
	r = suite_run(suite);
	remove_groups();
	return r;
}
