// SPDX-License-Identifier: GPL-2.0-or-later
#include "meter_cgroup.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>

#include "cleanup.h"
#include "knob.h"
#include "meter.h"
#include "nsec.h"

/* Reads what the kernel counts for each group: cpuacct.usage on v1 (nanoseconds), usage_usec in
 * cpu.stat on v2. Both include processes that have ended, and both hold what a running process has
 * used up to now (the kernel brings the running ones up to date on v1 by each tick, on v2 when the
 * file is read). One pread(2) of a held descriptor per task and slot, parsed in place. */

struct meter_task {
	int fd; /* -EBADF: not in use */
	bool is_v1;
	uint64_t begin_ns; /* counter at task_add() */
	uint64_t last_ns;  /* what was last returned: never goes back */
};

struct meter_of_cgroup {
	struct meter meter;
	struct meter_task *tasks;
	uint32_t n_tasks;
};

static struct meter_of_cgroup *of(struct meter *meter)
{
	return (struct meter_of_cgroup *)meter;
}

static int cgroup_meter_probe(const struct enforcer *enforcer, struct fault *fault)
{
	const char *name = enforcer->ops->name;

	if (strcmp(name, "cgroup1") == 0 || strcmp(name, "cgroup2") == 0)
		return 0;
	return fault_set(fault, -EOPNOTSUPP,
		"the enforcer %s makes no groups whose CPU time could be read", name);
}

static int cgroup_meter_open(struct meter **ret_meter, uint32_t n_tasks_max, struct fault *fault)
{
	struct meter_of_cgroup *meter = calloc(1, sizeof(*meter));

	if (!meter)
		return fault_set(fault, -ENOMEM, "out of memory");
	meter->meter.ops = &meter_cgroup;
	meter->tasks = calloc(n_tasks_max + 1, sizeof(*meter->tasks));
	if (!meter->tasks) {
		free(meter);
		return fault_set(fault, -ENOMEM, "out of memory");
	}
	meter->n_tasks = n_tasks_max;
	for (uint32_t i = 0; i < n_tasks_max; i++)
		meter->tasks[i].fd = -EBADF;
	*ret_meter = &meter->meter;
	return 0;
}

/* usage_usec is the first line of cpu.stat in every kernel so far; it is looked for all the same. */
static int parse_usage(const char *text, uint64_t *ret_usage_us)
{
	static const char key[] = "usage_usec ";
	const char *at = strstr(text, key);
	unsigned long long usage;
	char *end;

	if (!at || (at != text && at[-1] != '\n'))
		return -EBADMSG;
	errno = 0;
	usage = strtoull(at + strlen(key), &end, 10);
	if (errno != 0 || end == at + strlen(key) || (*end != '\n' && *end != '\0'))
		return -EBADMSG;
	*ret_usage_us = usage;
	return 0;
}

static int read_counter(const struct meter_task *task, uint64_t *ret_ns)
{
	char text[KNOB_TEXT_MAX];
	uint64_t usage_us = 0;
	int64_t usage_ns;
	int r;

	if (task->is_v1) {
		r = knob_read_number(task->fd, &usage_ns);
		if (r < 0 || usage_ns < 0)
			return r < 0 ? r : -ERANGE;
		*ret_ns = (uint64_t)usage_ns;
		return 0;
	}
	r = knob_read(task->fd, text);
	if (r == 0)
		r = parse_usage(text, &usage_us);
	if (r < 0)
		return r;
	return __builtin_mul_overflow(usage_us, NSEC_PER_USEC, ret_ns) ? -ERANGE : 0;
}

/* begin_ns is what the counter says now. */
static int begin(const struct place *place, struct meter_task *ret_counted, struct fault *fault)
{
	struct meter_task begun = {.fd = -EBADF, .is_v1 = place->cgroup2_fd < 0};
	_cleanup_close_ int fd = -EBADF;
	int r;

	if (begun.is_v1 && place->cpuacct_fd < 0)
		return fault_set(fault, -EOPNOTSUPP, "the cpuacct controller is not there");
	if (begun.is_v1)
		fd = openat(place->cpuacct_fd, "cpuacct.usage", O_RDONLY | O_CLOEXEC);
	else
		fd = openat(place->cgroup2_fd, "cpu.stat", O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return fault_errno(
			fault, -errno, "open %s", begun.is_v1 ? "cpuacct.usage" : "cpu.stat");
	begun.fd = fd;
	r = read_counter(&begun, &begun.begin_ns);
	if (r < 0)
		return fault_errno(fault, r, "read %s", begun.is_v1 ? "cpuacct.usage" : "cpu.stat");
	*ret_counted = begun;
	TAKE_FD(fd);
	return 0;
}

int cgroup_total(const struct place *place, uint64_t *ret_cpu_ns)
{
	struct meter_task counted;
	int r = begin(place, &counted, /* fault= */ NULL);

	if (r < 0)
		return r;
	(void)close(counted.fd);
	*ret_cpu_ns = counted.begin_ns;
	return 0;
}

static int cgroup_meter_task_add(
	struct meter *meter, uint32_t task, const struct place *place, struct fault *fault)
{
	struct meter_task *counted = &of(meter)->tasks[task];

	assert(task < of(meter)->n_tasks && counted->fd < 0);
	return begin(place, counted, fault);
}

static void cgroup_meter_task_remove(struct meter *meter, uint32_t task)
{
	struct meter_task *counted = &of(meter)->tasks[task];

	assert(task < of(meter)->n_tasks);
	if (counted->fd >= 0)
		(void)close(counted->fd);
	*counted = (struct meter_task){.fd = -EBADF};
}

static void cgroup_meter_refresh(struct meter *meter)
{
	(void)meter; /* each counter is a file of its own */
}

static int cgroup_meter_read(struct meter *meter, uint32_t task, struct meter_reading *ret_reading)
{
	struct meter_task *counted = &of(meter)->tasks[task];
	uint64_t now_ns;
	int r;

	assert(task < of(meter)->n_tasks);
	if (counted->fd < 0)
		return -ENOENT;
	r = read_counter(counted, &now_ns);
	if (r < 0)
		return r;
	now_ns = nsec_sub(now_ns, counted->begin_ns);
	if (now_ns > counted->last_ns) /* anybody may write 0 to a v1 counter */
		counted->last_ns = now_ns;
	*ret_reading = (struct meter_reading){.cpu_ns = counted->last_ns};
	return 0;
}

static struct meter *cgroup_meter_close(struct meter *meter)
{
	if (!meter)
		return NULL;
	for (uint32_t i = 0; i < of(meter)->n_tasks; i++)
		cgroup_meter_task_remove(meter, i);
	free(of(meter)->tasks);
	free(of(meter));
	return NULL;
}

const struct meter_ops meter_cgroup = {
	.name = "cgroup",
	.probe = cgroup_meter_probe,
	.open = cgroup_meter_open,
	.task_add = cgroup_meter_task_add,
	.task_remove = cgroup_meter_task_remove,
	.refresh = cgroup_meter_refresh,
	.read = cgroup_meter_read,
	.close = cgroup_meter_close,
};
