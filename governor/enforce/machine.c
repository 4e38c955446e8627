// SPDX-License-Identifier: GPL-2.0-or-later
#include "machine.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cgroup.h"
#include "cleanup.h"
#include "knob.h"

/* The capacity N of this process. The affinity mask that the kernel returns is cut by the cpuset
 * already. A quota counts wherever it stands on the way from our group to the root of what we can
 * see, on v1 or v2; a value that cannot be read or parsed limits nothing we could know of. */

#define CPUS_MAX (1 << 16) /* eight times the largest NR_CPUS */

static int count_affinity(double *ret_cpus, struct fault *fault)
{
	for (int n = 1024; n <= CPUS_MAX; n *= 2) {
		size_t size = CPU_ALLOC_SIZE((size_t)n);
		_cleanup_free_ cpu_set_t *set = CPU_ALLOC((size_t)n);

		if (!set)
			return fault_set(fault, -ENOMEM, "out of memory");
		if (sched_getaffinity(0, size, set) == 0) {
			*ret_cpus = CPU_COUNT_S(size, set);
			return 0;
		}
		if (errno != EINVAL) /* EINVAL: the kernel's mask is longer */
			break;
	}
	return fault_errno(fault, -errno, "read the CPU affinity");
}

static int read_text(int dir_fd, const char *file, char ret_text[static KNOB_TEXT_MAX])
{
	_cleanup_close_ int fd = openat(dir_fd, file, O_RDONLY | O_CLOEXEC);

	return fd < 0 ? -errno : knob_read(fd, ret_text);
}

/* CPUs from "QUOTA" and "PERIOD"; 0 where that is no limit. */
static double quota_cpus(const char *quota, const char *period)
{
	long long quota_us = strtoll(quota, NULL, 10), period_us = strtoll(period, NULL, 10);

	return quota_us > 0 && period_us > 0 ? (double)quota_us / (double)period_us : 0;
}

double machine_group_cpus(int dir_fd)
{
	char quota[KNOB_TEXT_MAX], period[KNOB_TEXT_MAX], *blank;

	if (read_text(dir_fd, "cpu.max", quota) == 0) {
		blank = strchr(quota, ' ');
		return blank ? quota_cpus(quota, blank + 1) : 0; /* "max" is no number: 0 */
	}
	if (read_text(dir_fd, "cpu.cfs_quota_us", quota) == 0 &&
		read_text(dir_fd, "cpu.cfs_period_us", period) == 0)
		return quota_cpus(quota, period);
	return 0;
}

double machine_least_quota(
	const struct cgroup_base *base, double cpus, char ret_path[static PATH_MAX])
{
	char path[2 * PATH_MAX];
	size_t mount_length = strlen(base->mount);
	char *slash;

	ret_path[0] = '\0';
	(void)snprintf(path, sizeof(path), "%s/%s", base->mount, base->own);
	for (;;) {
		_cleanup_close_ int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
		double quota = fd < 0 ? 0 : machine_group_cpus(fd);

		if (quota > 0 && quota < cpus) {
			cpus = quota;
			(void)snprintf(ret_path, PATH_MAX, "%.*s", PATH_MAX - 1, path);
		}
		slash = strrchr(path, '/');
		if (!slash || (size_t)(slash - path) < mount_length)
			return cpus;
		*slash = '\0';
	}
}

int machine_capacity(double *ret_cpus, struct fault *fault)
{
	struct cgroup_base base;
	char path[PATH_MAX];
	double cpus = 0;
	int r = count_affinity(&cpus, fault);

	if (r < 0)
		return r;
	if (cgroup_find("cpu", &base, /* fault= */ NULL) == 0)
		cpus = machine_least_quota(&base, cpus, path);
	*ret_cpus = cpus;
	return 0;
}
