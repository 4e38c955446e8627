// SPDX-License-Identifier: GPL-2.0-or-later
#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>

#include "cgroup.h"
#include "cleanup.h"
#include "enforcer.h"
#include "group.h"
#include "knob.h"
#include "nsec.h"
#include "place_left.h"
#include "placement.h"
#include "quota.h"
#include "strays.h"

/* The enforcer for machines that have the cpu controller on cgroup v1 (hybrid or legacy layout).
 *
 *   cpu:      RUN  quota = budget, rewritten only when the budget changes
 *               0-mlp  quota = grant
 *               1-svm
 *   freezer:  RUN
 *               0-mlp  FROZEN while the grant is zero
 *   cpuacct:  RUN
 *               0-mlp  only counts, for the meter; where it is mounted together with cpu, the same
 *                      directories serve both
 *
 * RUN stands below our own group of each hierarchy, or below the root where our own may not be
 * written to. The parent that holds the budget is what makes condition (1) hold: a write to a
 * child's quota refills that child for the current period, the parent's runtime it does not touch.
 *
 * Task groups are called "ID-name": the name alone could be that of a control file.
 *
 * A fresh group has no quota of its own, so the least one is written and the group is frozen before
 * anything can be attached. Period and quota are two files; see quota.h for their order. v1 refuses
 * a child above its parent (EINVAL), hence the cap in placements_apply() and the lowering of idle
 * children in budget_set().
 *
 * Burst (cpu.cfs_burst_us) is 0 in a new group and stays so: it lets a group save up quota.
 *
 * A frozen v1 process does not die of SIGKILL, so that signal also thaws, after it was sent.
 *
 * What is in the group at removal is killed; libcgroup then removes the directories (cgroup.c has
 * its traps). */

enum hierarchy {
	HIERARCHY_CPU,
	HIERARCHY_CPUACCT,
	HIERARCHY_FREEZER,
	_HIERARCHY_MAX,
};

static const char *const controllers[_HIERARCHY_MAX] = {
	[HIERARCHY_CPU] = "cpu",
	[HIERARCHY_CPUACCT] = "cpuacct",
	[HIERARCHY_FREEZER] = "freezer",
};

#define GROUP_NAME_MAX 128

/* Strays are looked for so often, or less often on a machine with many processes. */
#define STRAYS_TICK_NS (250 * NSEC_PER_MSEC)

struct seat {
	char name[GROUP_NAME_MAX];
	int dir_fds[_HIERARCHY_MAX]; /* -EBADF: not there, or the same directory as before */
	int quota_fd, period_fd;     /* knobs; -EBADF in a dry run */
	int state_fd, freezing_fd;
	struct place place;
};

struct cgroup1 {
	struct enforcer enforcer;
	bool is_dry;
	bool takes_over, is_taken_over; /* RUN may have been there, and was */
	const char *old_home;           /* of the one whose it was, or NULL */
	char home[PATH_MAX];
	char run[_HIERARCHY_MAX][PATH_MAX]; /* group of the run; "" where it has none there */
	int run_fds[_HIERARCHY_MAX];
	int quota_fd, period_fd; /* the parent's knobs */
	struct quota budget;
	bool is_foreign; /* the budget's; reported once */
	uint32_t n_let_go;
	struct seat *seats;
	struct placement *tasks; /* of placements */
	struct placements placements;
	struct strays *strays; /* NULL where nobody can leave a group, and in a dry run */
};

static struct cgroup1 *cgroup1_of(struct enforcer *enforcer)
{
	return (struct cgroup1 *)enforcer;
}

static void close_fd(int *fd)
{
	if (*fd >= 0)
		(void)close(*fd);
	*fd = -EBADF;
}

/* Knobs: how a value gets into a v1 group. */

static int write_quota_fds(int quota_fd, int period_fd, const struct quota *from,
	const struct quota *to, uint32_t *n_writes)
{
	bool is_period_new = from->period_us != to->period_us;
	bool is_quota_new = from->quota_us != to->quota_us;
	int r = 0;

	if (is_period_new && quota_period_goes_first(from, to)) {
		r = knob_write_number(period_fd, to->period_us);
		*n_writes += 1;
		is_period_new = false;
	}
	if (r == 0 && is_quota_new) {
		r = knob_write_number(quota_fd, to->quota_us);
		*n_writes += 1;
	}
	if (r == 0 && is_period_new) {
		r = knob_write_number(period_fd, to->period_us);
		*n_writes += 1;
	}
	return r;
}

static int read_quota_fds(int quota_fd, int period_fd, struct quota *ret_quota)
{
	int64_t quota_us, period_us;
	int r = knob_read_number(quota_fd, &quota_us);

	if (r == 0)
		r = knob_read_number(period_fd, &period_us);
	if (r < 0)
		return r;
	if (period_us < 1 || period_us > UINT32_MAX)
		return -ERANGE;
	ret_quota->quota_us = quota_us < 0 ? QUOTA_UNLIMITED : (uint64_t)quota_us;
	ret_quota->period_us = (uint32_t)period_us;
	return 0;
}

static int cgroup1_write_quota(void *enforcer, uint32_t task, const struct quota *from,
	const struct quota *to, uint32_t *n_writes, struct fault *fault)
{
	struct cgroup1 *cgroup1 = enforcer;
	struct seat *seat = &cgroup1->seats[task];
	int r = write_quota_fds(seat->quota_fd, seat->period_fd, from, to, n_writes);

	if (r == -EINVAL)
		return fault_set(fault, r,
			"group '%s': the kernel refuses %" PRIu64
			" us in %u us: more than a group above it may use",
			seat->name, to->quota_us, to->period_us);
	if (r < 0)
		return fault_errno(fault, r, "group '%s': set %" PRIu64 " us in %u us", seat->name,
			to->quota_us, to->period_us);
	return 0;
}

static int cgroup1_write_freeze(void *enforcer, uint32_t task, bool is_frozen, struct fault *fault)
{
	struct cgroup1 *cgroup1 = enforcer;
	struct seat *seat = &cgroup1->seats[task];
	int r = knob_write(seat->state_fd, is_frozen ? "FROZEN" : "THAWED");

	if (r < 0)
		return fault_errno(
			fault, r, "group '%s': %s", seat->name, is_frozen ? "freeze" : "thaw");
	return 0;
}

/* self_freezing is what was written to this group; freezer.state also shows the groups above. */
static int cgroup1_read(void *enforcer, uint32_t task, struct quota *ret_quota, bool *ret_is_frozen)
{
	struct cgroup1 *cgroup1 = enforcer;
	struct seat *seat = &cgroup1->seats[task];
	struct quota quota;
	int64_t is_frozen;
	int r = read_quota_fds(seat->quota_fd, seat->period_fd, &quota);

	if (r == 0)
		r = knob_read_number(seat->freezing_fd, &is_frozen);
	if (r < 0)
		return r;
	*ret_quota = quota;
	*ret_is_frozen = is_frozen != 0;
	return 0;
}

static const struct placement_ops cgroup1_placement = {
	.write_quota = cgroup1_write_quota,
	.write_freeze = cgroup1_write_freeze,
	.read = cgroup1_read,
};

/* Opening and closing. */

static struct enforcer *cgroup1_close(struct enforcer *enforcer);

static int open_group(enum hierarchy hierarchy, const char *group, int *ret_fd, struct fault *fault)
{
	struct cgroup_base base;
	char path[2 * PATH_MAX];
	int r = cgroup_find(controllers[hierarchy], &base, fault);

	if (r < 0)
		return r;
	(void)snprintf(path, sizeof(path), "%s/%s", base.mount, group);
	*ret_fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	return *ret_fd < 0 ? fault_errno(fault, -errno, "open group '%s'", path) : 0;
}

/* Creates the run's group below `above`; nothing is left behind on failure. */
static int create_run_below(struct cgroup1 *cgroup1, enum hierarchy hierarchy, const char *above,
	const char *run, struct fault *fault)
{
	char *group = cgroup1->run[hierarchy];
	int n, r;

	n = snprintf(group, PATH_MAX, "%s%s%s", above, above[0] ? "/" : "", run);
	if (n < 0 || n >= PATH_MAX)
		r = fault_set(fault, -ENAMETOOLONG, "group '%s' has too long a name", above);
	else
		r = cgroup_create(controllers[hierarchy], group, fault);
	if (r == -EEXIST && cgroup1->takes_over) {
		cgroup1->is_taken_over = true;
		r = 0;
	}
	if (r < 0) {
		group[0] = '\0';
		return r;
	}
	r = open_group(hierarchy, group, &cgroup1->run_fds[hierarchy], fault);
	if (r < 0)
		return r;
	r = group_hold(cgroup1->run_fds[hierarchy]);
	return r < 0 ? fault_errno(fault, r, "hold group '%s'", group) : 0;
}

static int create_run(
	struct cgroup1 *cgroup1, enum hierarchy hierarchy, const char *run, struct fault *fault)
{
	struct cgroup_base base;
	int r = cgroup_find(controllers[hierarchy], &base, fault);

	if (r < 0)
		return r;
	if (base.is_unified)
		return fault_set(fault, -EOPNOTSUPP,
			"the %s controller is on cgroup v2 (at '%s'), not on v1",
			controllers[hierarchy], base.mount);
	r = cgroup1->old_home ? create_run_below(cgroup1, hierarchy, cgroup1->old_home, run, fault)
			      : -ENOENT;
	if (r < 0 && r != -EEXIST)
		r = create_run_below(cgroup1, hierarchy, base.own, run, fault);
	if (r < 0 && r != -EEXIST && base.own[0])
		r = create_run_below(cgroup1, hierarchy, "", run, fault);
	if (r < 0)
		return fault_wrap(fault, r, "%s hierarchy at '%s'%s", controllers[hierarchy],
			base.mount,
			r == -EACCES || r == -EPERM
				? " (needs root, or to be run in a group that belongs to this user)"
				: "");
	return 0;
}

/* cpuacct is mounted with cpu on most machines: then its group is there already. */
static int create_cpuacct(struct cgroup1 *cgroup1, const char *run, struct fault *fault)
{
	struct cgroup_base cpu, cpuacct;

	if (cgroup_find("cpuacct", &cpuacct, /* fault= */ NULL) < 0 || cpuacct.is_unified ||
		cgroup_find("cpu", &cpu, /* fault= */ NULL) < 0 ||
		strcmp(cpu.mount, cpuacct.mount) == 0)
		return 0;
	return create_run(cgroup1, HIERARCHY_CPUACCT, run, fault);
}

static int open_quota(int dir_fd, int *ret_quota_fd, int *ret_period_fd, struct fault *fault)
{
	*ret_quota_fd = knob_open(dir_fd, "cpu.cfs_quota_us");
	*ret_period_fd = knob_open(dir_fd, "cpu.cfs_period_us");
	if (*ret_quota_fd == -ENOENT || *ret_period_fd == -ENOENT)
		return fault_set(
			fault, -EOPNOTSUPP, "this kernel has no CPU quotas (CONFIG_CFS_BANDWIDTH)");
	if (*ret_quota_fd < 0)
		return fault_errno(fault, *ret_quota_fd, "open cpu.cfs_quota_us");
	if (*ret_period_fd < 0)
		return fault_errno(fault, *ret_period_fd, "open cpu.cfs_period_us");
	return 0;
}

static int write_budget(struct cgroup1 *cgroup1, const struct quota *to, struct fault *fault)
{
	uint32_t n_writes = 0;
	int r = write_quota_fds(
		cgroup1->quota_fd, cgroup1->period_fd, &cgroup1->budget, to, &n_writes);

	if (r == -EINVAL)
		return fault_set(fault, r,
			"the kernel refuses a budget of %" PRIu64
			" us in %u us: more than the group around us may use",
			to->quota_us, to->period_us);
	if (r < 0)
		return fault_errno(fault, r, "set the budget of %" PRIu64 " us in %u us",
			to->quota_us, to->period_us);
	cgroup1->budget = *to;
	cgroup1->is_foreign = false;
	return 0;
}

static int open_budget(
	struct cgroup1 *cgroup1, const struct enforcer_setup *setup, struct fault *fault)
{
	struct quota budget;
	int r;

	if (quota_of_budget(setup->budget_cpus, &budget) < 0)
		return fault_set(fault, -ERANGE, "a budget of %g CPUs is too small to be enforced",
			setup->budget_cpus);
	if (setup->is_dry)
		return 0;
	r = open_quota(
		cgroup1->run_fds[HIERARCHY_CPU], &cgroup1->quota_fd, &cgroup1->period_fd, fault);
	if (r < 0)
		return r;
	r = read_quota_fds(cgroup1->quota_fd, cgroup1->period_fd, &cgroup1->budget);
	if (r < 0)
		return fault_errno(fault, r, "read the quota of group '%s'", setup->run);
	if (cgroup1->is_taken_over && cgroup1->budget.quota_us != QUOTA_UNLIMITED)
		return 0;
	return write_budget(cgroup1, &budget, fault);
}

static enum guarantee judge(const struct cgroup1 *cgroup1, const struct enforcer_setup *setup)
{
	static const char *const files[] = {
		"cpu.cfs_quota_us", "cpu.cfs_period_us", "tasks", "cgroup.procs", "."};

	if (setup->is_dry)
		return GUARANTEE_NONE;
	for (size_t i = 0; i < ARRAY_LENGTH(files); i++)
		if (group_is_writable_by(
			    cgroup1->run_fds[HIERARCHY_CPU], files[i], setup->task_uid))
			return GUARANTEE_COOPERATIVE;
	return GUARANTEE_KERNEL;
}

static struct cgroup1 *new_cgroup1(const struct enforcer_setup *setup)
{
	struct cgroup1 *cgroup1 = calloc(1, sizeof(*cgroup1));

	if (!cgroup1)
		return NULL;
	cgroup1->enforcer.ops = &enforcer_cgroup1;
	cgroup1->enforcer.limits = (struct enforcer_limits){
		.min_quota_us = QUOTA_MIN_US,
		.min_period_us = 10000,
		.max_period_us = PERIOD_MAX_US,
	};
	cgroup1->is_dry = setup->is_dry;
	cgroup1->takes_over = setup->takes_over;
	cgroup1->old_home = setup->takes_over ? setup->home : NULL;
	cgroup1->quota_fd = cgroup1->period_fd = -EBADF;
	for (int i = 0; i < _HIERARCHY_MAX; i++)
		cgroup1->run_fds[i] = -EBADF;
	cgroup1->seats = calloc(setup->n_tasks_max + 1, sizeof(*cgroup1->seats));
	cgroup1->tasks = calloc(setup->n_tasks_max + 1, sizeof(*cgroup1->tasks));
	cgroup1->placements = (struct placements){
		.ops = &cgroup1_placement,
		.enforcer = cgroup1,
		.tasks = cgroup1->tasks,
		.n_tasks = setup->n_tasks_max,
	};
	if (!cgroup1->seats || !cgroup1->tasks) {
		(void)cgroup1_close(&cgroup1->enforcer);
		return NULL;
	}
	return cgroup1;
}

/* That of the cpu hierarchy; the others' are looked for in the same place. */
static void tell_home(struct cgroup1 *cgroup1)
{
	const char *run = cgroup1->run[HIERARCHY_CPU], *slash = strrchr(run, '/');

	(void)snprintf(
		cgroup1->home, sizeof(cgroup1->home), "%.*s", slash ? (int)(slash - run) : 0, run);
	cgroup1->enforcer.home = cgroup1->home;
}

static int cgroup1_open(
	struct enforcer **ret_enforcer, const struct enforcer_setup *setup, struct fault *fault)
{
	struct cgroup1 *cgroup1;
	int r;

	if (setup->root)
		return fault_set(fault, -EOPNOTSUPP, "cgroup1 works on the mounted tree only");
	cgroup1 = new_cgroup1(setup);
	if (!cgroup1)
		return fault_set(fault, -ENOMEM, "out of memory");
	r = create_run(cgroup1, HIERARCHY_CPU, setup->run, fault);
	if (r == 0)
		r = create_run(cgroup1, HIERARCHY_FREEZER, setup->run, fault);
	if (r == 0)
		r = create_cpuacct(cgroup1, setup->run, fault);
	if (r == 0)
		r = open_budget(cgroup1, setup, fault);
	if (r < 0) {
		(void)cgroup1_close(&cgroup1->enforcer);
		return r;
	}
	cgroup1->old_home = NULL;
	tell_home(cgroup1);
	cgroup1->enforcer.guarantee = judge(cgroup1, setup);
	if (cgroup1->enforcer.guarantee == GUARANTEE_COOPERATIVE)
		r = strays_new(&cgroup1->strays, setup->n_tasks_max, fault);
	if (r < 0) {
		(void)cgroup1_close(&cgroup1->enforcer);
		return r;
	}
	cgroup1->enforcer.tick_ns = cgroup1->strays ? STRAYS_TICK_NS : 0;
	*ret_enforcer = &cgroup1->enforcer;
	return 0;
}

/* The surest way to know whether it would work is to do it. */
static int cgroup1_probe(const struct enforcer_setup *setup, struct fault *fault)
{
	struct enforcer *enforcer;
	int r = cgroup1_open(&enforcer, setup, fault);

	if (r < 0)
		return r;
	(void)cgroup1_close(enforcer);
	return 0;
}

/* Tasks. */

static int seat_group(const struct cgroup1 *cgroup1, enum hierarchy hierarchy,
	const struct seat *seat, char ret_group[static PATH_MAX], struct fault *fault)
{
	int n = snprintf(ret_group, PATH_MAX, "%s/%s", cgroup1->run[hierarchy], seat->name);

	if (n < 0 || n >= PATH_MAX)
		return fault_set(
			fault, -ENAMETOOLONG, "group '%s' has too long a name", seat->name);
	return 0;
}

static struct seat *seat_init(struct cgroup1 *cgroup1, uint32_t task, const char *name)
{
	struct seat *seat = &cgroup1->seats[task];

	assert(task < cgroup1->placements.n_tasks && !cgroup1->tasks[task].is_used);
	(void)snprintf(seat->name, sizeof(seat->name), "%" PRIu32 "-%s", task, name);
	for (int i = 0; i < _HIERARCHY_MAX; i++)
		seat->dir_fds[i] = -EBADF;
	seat->quota_fd = seat->period_fd = seat->state_fd = seat->freezing_fd = -EBADF;
	seat->place = (struct place){.cgroup2_fd = -EBADF, .cpu1_fd = -EBADF, .cpuacct_fd = -EBADF};
	return seat;
}

static void seat_done(struct seat *seat)
{
	for (int i = 0; i < _HIERARCHY_MAX; i++)
		close_fd(&seat->dir_fds[i]);
	close_fd(&seat->quota_fd);
	close_fd(&seat->period_fd);
	close_fd(&seat->state_fd);
	close_fd(&seat->freezing_fd);
}

static int seat_open(struct cgroup1 *cgroup1, struct seat *seat, bool is_new, struct fault *fault)
{
	char group[PATH_MAX];
	int r;

	for (int i = 0; i < _HIERARCHY_MAX; i++) {
		if (cgroup1->run_fds[i] < 0)
			continue;
		r = seat_group(cgroup1, i, seat, group, fault);
		if (r == 0 && is_new)
			r = cgroup_create(controllers[i], group, fault);
		if (r == 0)
			r = open_group(i, group, &seat->dir_fds[i], fault);
		if (r < 0)
			return r;
	}
	seat->place.cpu1_fd = seat->dir_fds[HIERARCHY_CPU];
	seat->place.cpuacct_fd = seat->dir_fds[HIERARCHY_CPUACCT] >= 0
		? seat->dir_fds[HIERARCHY_CPUACCT]
		: seat->dir_fds[HIERARCHY_CPU];
	return 0;
}

static int seat_open_knobs(struct seat *seat, struct fault *fault)
{
	int r = open_quota(seat->dir_fds[HIERARCHY_CPU], &seat->quota_fd, &seat->period_fd, fault);

	if (r < 0)
		return r;
	seat->state_fd = knob_open(seat->dir_fds[HIERARCHY_FREEZER], "freezer.state");
	if (seat->state_fd < 0)
		return fault_errno(fault, seat->state_fd, "open freezer.state");
	seat->freezing_fd = openat(
		seat->dir_fds[HIERARCHY_FREEZER], "freezer.self_freezing", O_RDONLY | O_CLOEXEC);
	return seat->freezing_fd < 0 ? fault_errno(fault, -errno, "open freezer.self_freezing") : 0;
}

/* Frozen and with the least quota. */
static int seat_limit(struct cgroup1 *cgroup1, uint32_t task, struct fault *fault)
{
	struct seat *seat = &cgroup1->seats[task];
	struct placement *placement = &cgroup1->tasks[task];
	const struct quota least = quota_least(&cgroup1->budget);
	uint32_t n_writes = 0;
	int r = seat_open_knobs(seat, fault);

	if (r < 0)
		return r;
	r = cgroup1_write_freeze(cgroup1, task, /* is_frozen= */ true, fault);
	if (r < 0)
		return r;
	/* The period first: the quota starts the timer (see quota_least()). */
	r = knob_write_number(seat->period_fd, least.period_us);
	if (r < 0)
		return fault_errno(fault, r, "set a period of %u us", least.period_us);
	r = read_quota_fds(seat->quota_fd, seat->period_fd, &placement->quota);
	if (r < 0)
		return fault_errno(fault, r, "read the quota of a new group");
	r = cgroup1_write_quota(cgroup1, task, &placement->quota, &least, &n_writes, fault);
	if (r < 0)
		return r;
	*placement = (struct placement){.quota = least, .is_frozen = true};
	return 0;
}

static int seat_remove(struct cgroup1 *cgroup1, struct seat *seat, struct fault *fault)
{
	char group[PATH_MAX];
	int r = group_end(seat->dir_fds, _HIERARCHY_MAX);

	if (r < 0)
		return fault_errno(fault, r, "end what runs in group '%s'", seat->name);
	for (int i = 0; i < _HIERARCHY_MAX; i++) {
		/* Made, and not opened: nothing is in it. */
		if (seat->dir_fds[i] < 0 && cgroup1->run_fds[i] >= 0)
			(void)unlinkat(cgroup1->run_fds[i], seat->name, AT_REMOVEDIR);
		if (seat->dir_fds[i] < 0)
			continue;
		r = seat_group(cgroup1, i, seat, group, fault);
		if (r == 0)
			r = cgroup_remove(controllers[i], group, fault);
		if (r == -EBUSY) /* the task made groups of its own */
			r = group_remove_tree(cgroup1->run_fds[i], seat->name);
		if (r < 0)
			return r;
		close_fd(&seat->dir_fds[i]);
	}
	return 0;
}

static int cgroup1_task_add(struct enforcer *enforcer, uint32_t task, const char *name,
	const char *scope, struct fault *fault)
{
	(void)scope;
	struct cgroup1 *cgroup1 = cgroup1_of(enforcer);
	struct seat *seat = seat_init(cgroup1, task, name);
	int r = seat_open(cgroup1, seat, /* is_new= */ true, fault);

	if (r == 0 && !cgroup1->is_dry)
		r = seat_limit(cgroup1, task, fault);
	if (r < 0) {
		(void)seat_remove(cgroup1, seat, /* fault= */ NULL);
		seat_done(seat);
		return fault_wrap(fault, r, "task %s: make its group", name);
	}
	cgroup1->tasks[task].is_used = true;
	return 0;
}

/* As in enforcer_setup. */
static const char *run_name(const struct cgroup1 *cgroup1)
{
	const char *run = cgroup1->run[HIERARCHY_CPU], *slash = strrchr(run, '/');

	return slash ? slash + 1 : run;
}

static void seat_is_of(struct cgroup1 *cgroup1, uint32_t task, pid_t pid)
{
	struct seat *seat = &cgroup1->seats[task];

	seat->place.pid = pid;
	if (cgroup1->strays)
		strays_task_add(cgroup1->strays, task, pid, run_name(cgroup1), seat->name,
			seat->dir_fds, _HIERARCHY_MAX);
}

static int cgroup1_task_adopt(struct enforcer *enforcer, uint32_t task, const char *name,
	const char *scope, pid_t pid, struct fault *fault)
{
	(void)scope;
	struct cgroup1 *cgroup1 = cgroup1_of(enforcer);
	struct seat *seat = seat_init(cgroup1, task, name);
	struct placement *placement = &cgroup1->tasks[task];
	int r = seat_open(cgroup1, seat, /* is_new= */ false, fault);

	if (r == 0)
		r = seat_open_knobs(seat, fault);
	if (r == 0) {
		*placement = (struct placement){0};
		r = cgroup1_read(cgroup1, task, &placement->quota, &placement->is_frozen);
		if (r < 0)
			(void)fault_errno(fault, r, "read what is in force");
	}
	if (r < 0) {
		seat_done(seat);
		return fault_wrap(fault, r, "task %s: take over its group", name);
	}
	placement->is_used = true;
	seat_is_of(cgroup1, task, pid);
	return 0;
}

static int cgroup1_place_left(
	struct enforcer *enforcer, uint32_t least, struct place_left *ret_left)
{
	return place_left_find(cgroup1_of(enforcer)->run_fds[HIERARCHY_CPU], least, ret_left);
}

static int cgroup1_task_attach(
	struct enforcer *enforcer, uint32_t task, pid_t pid, struct fault *fault)
{
	struct cgroup1 *cgroup1 = cgroup1_of(enforcer);
	struct seat *seat = &cgroup1->seats[task];
	char group[PATH_MAX];
	int r;

	assert(cgroup1->tasks[task].is_used);
	for (int i = 0; i < _HIERARCHY_MAX; i++) {
		if (seat->dir_fds[i] < 0)
			continue;
		r = seat_group(cgroup1, i, seat, group, fault);
		if (r == 0)
			r = cgroup_attach(controllers[i], group, pid, fault);
		if (r < 0)
			return r;
	}
	seat_is_of(cgroup1, task, pid);
	return 0;
}

static const struct place *cgroup1_task_place(struct enforcer *enforcer, uint32_t task)
{
	struct cgroup1 *cgroup1 = cgroup1_of(enforcer);

	assert(cgroup1->tasks[task].is_used);
	return &cgroup1->seats[task].place;
}

static int cgroup1_task_signal(struct enforcer *enforcer, uint32_t task, int signo)
{
	struct cgroup1 *cgroup1 = cgroup1_of(enforcer);
	struct seat *seat = &cgroup1->seats[task];
	struct placement *placement = &cgroup1->tasks[task];
	int n, r;

	assert(placement->is_used);
	n = group_signal(seat->dir_fds[HIERARCHY_CPU], signo);
	if (signo != SIGKILL)
		return n;
	r = group_thaw(seat->dir_fds[HIERARCHY_FREEZER]);
	if (r < 0)
		return r;
	placement->is_killed = true;
	placement->is_frozen = false;
	return n;
}

static int cgroup1_task_is_populated(struct enforcer *enforcer, uint32_t task)
{
	struct cgroup1 *cgroup1 = cgroup1_of(enforcer);
	int r;

	assert(cgroup1->tasks[task].is_used);
	r = group_is_populated(cgroup1->seats[task].dir_fds[HIERARCHY_CPU]);
	return r == -ENODEV || r == -ENOENT ? 0 : r;
}

static int cgroup1_task_remove(struct enforcer *enforcer, uint32_t task, struct fault *fault)
{
	struct cgroup1 *cgroup1 = cgroup1_of(enforcer);
	int r;

	assert(cgroup1->tasks[task].is_used);
	if (cgroup1->strays)
		strays_task_remove(cgroup1->strays, task);
	r = seat_remove(cgroup1, &cgroup1->seats[task], fault);
	if (r < 0)
		return r; /* still ours: close() tries again */
	seat_done(&cgroup1->seats[task]);
	cgroup1->tasks[task] = (struct placement){0};
	return 0;
}

static int cgroup1_task_let_go(struct enforcer *enforcer, uint32_t task, struct fault *fault)
{
	struct cgroup1 *cgroup1 = cgroup1_of(enforcer);
	struct seat *seat = &cgroup1->seats[task];
	int r = 0;

	assert(cgroup1->tasks[task].is_used);
	if (cgroup1->strays)
		strays_task_remove(cgroup1->strays, task);
	if (!cgroup1->is_dry)
		r = knob_write(seat->quota_fd, "-1");
	if (r == 0)
		r = group_thaw(seat->dir_fds[HIERARCHY_FREEZER]);
	if (r < 0)
		r = fault_errno(fault, r, "let go what runs in group '%s'", seat->name);
	seat_done(seat);
	cgroup1->tasks[task] = (struct placement){0};
	cgroup1->n_let_go++;
	return r;
}

/* The slot. */

/* Of a task group that nobody has adopted. Others are lowered already. */
static void lower_stranger(int dir_fd, const struct quota *budget)
{
	_cleanup_close_ int quota_fd = knob_open(dir_fd, "cpu.cfs_quota_us");
	_cleanup_close_ int period_fd = knob_open(dir_fd, "cpu.cfs_period_us");
	struct quota quota, capped;
	uint32_t n_writes = 0;

	if (quota_fd < 0 || period_fd < 0 || read_quota_fds(quota_fd, period_fd, &quota) < 0 ||
		quota.quota_us == QUOTA_UNLIMITED || quota_compare(&quota, budget) <= 0)
		return;
	capped = quota_cap(&quota, budget);
	(void)write_quota_fds(quota_fd, period_fd, &quota, &capped, &n_writes);
}

/* A child above its parent makes the kernel refuse the budget. */
static void lower_strangers(struct cgroup1 *cgroup1, const struct quota *budget)
{
	_cleanup_close_ int fd = openat(
		cgroup1->run_fds[HIERARCHY_CPU], ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	_cleanup_closedir_ DIR *dir = fd >= 0 ? fdopendir(fd) : NULL;
	const struct dirent *entry;

	if (!dir)
		return;
	TAKE_FD(fd);
	while ((entry = readdir(dir))) {
		_cleanup_close_ int child = -EBADF;

		if (entry->d_type != DT_DIR || entry->d_name[0] == '.')
			continue;
		child = openat(dirfd(dir), entry->d_name, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
		if (child >= 0)
			lower_stranger(child, budget);
	}
}

static int cgroup1_budget_set(struct enforcer *enforcer, double budget_cpus, struct fault *fault)
{
	struct cgroup1 *cgroup1 = cgroup1_of(enforcer);
	struct quota budget;
	int r;

	if (quota_of_budget(budget_cpus, &budget) < 0)
		return fault_set(fault, -ERANGE, "a budget of %g CPUs is too small to be enforced",
			budget_cpus);
	if (cgroup1->is_dry)
		return 0;
	/* Somebody else may have set another. */
	(void)read_quota_fds(cgroup1->quota_fd, cgroup1->period_fd, &cgroup1->budget);
	r = placements_lower(&cgroup1->placements, &budget, fault);
	if (r < 0)
		return r;
	if (cgroup1->is_taken_over)
		lower_strangers(cgroup1, &budget);
	return write_budget(cgroup1, &budget, fault);
}

/* The parent's values are read back like a task's; a stranger's are left until the next budget_set().
 * Where the slot has its sentence already, they are seen a round later. */
static void look_at_budget(struct cgroup1 *cgroup1, struct enforced *enforced, struct fault *fault)
{
	struct quota quota;

	if (cgroup1->is_foreign || enforced->n_foreign > 0 ||
		read_quota_fds(cgroup1->quota_fd, cgroup1->period_fd, &quota) < 0)
		return;
	if (quota.quota_us == cgroup1->budget.quota_us &&
		quota.period_us == cgroup1->budget.period_us)
		return;
	cgroup1->budget = quota;
	cgroup1->is_foreign = true;
	enforced->n_foreign++;
	(void)fault_set(fault, -EEXIST,
		"somebody else set the budget to %" PRIu64
		" us in %u us; left alone until the budget is set anew",
		quota.quota_us, quota.period_us);
}

static int cgroup1_apply(struct enforcer *enforcer, const struct grant *grants, size_t n_grants,
	struct enforced *ret_enforced, struct fault *fault)
{
	struct cgroup1 *cgroup1 = cgroup1_of(enforcer);
	int r;

	if (cgroup1->is_dry) {
		*ret_enforced = (struct enforced){.n_unchanged = (uint32_t)n_grants};
		return 0;
	}
	r = placements_apply(
		&cgroup1->placements, &cgroup1->budget, grants, n_grants, ret_enforced, fault);
	if (r == 0 && cgroup1->placements.is_round_over)
		look_at_budget(cgroup1, ret_enforced, fault);
	if (r == 0 && cgroup1->strays)
		strays_tell(cgroup1->strays, ret_enforced, fault);
	return r;
}

/* The kernel does the work between slots, as long as everybody is in the group. */
static void cgroup1_tick(struct enforcer *enforcer, uint64_t now_ns)
{
	struct cgroup1 *cgroup1 = cgroup1_of(enforcer);

	if (cgroup1->strays)
		strays_look(cgroup1->strays, now_ns);
}

/* Of a run that we have not made, and of its tasks' groups. */
static void remove_what_is_empty(struct cgroup1 *cgroup1, enum hierarchy hierarchy)
{
	const char *run = cgroup1->run[hierarchy], *slash = strrchr(run, '/');
	_cleanup_close_ int above = -EBADF;

	if (cgroup1->run_fds[hierarchy] >= 0)
		above = openat(
			cgroup1->run_fds[hierarchy], "..", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (above >= 0)
		(void)group_remove_tree(above, slash ? slash + 1 : run);
}

static struct enforcer *cgroup1_close(struct enforcer *enforcer)
{
	struct cgroup1 *cgroup1 = cgroup1_of(enforcer);

	if (!enforcer)
		return NULL;
	for (uint32_t task = 0; cgroup1->tasks && task < cgroup1->placements.n_tasks; task++) {
		if (!cgroup1->tasks[task].is_used)
			continue;
		/* What is left here is found by its name at the next start. */
		(void)seat_remove(cgroup1, &cgroup1->seats[task], /* fault= */ NULL);
		seat_done(&cgroup1->seats[task]);
	}
	for (int i = 0; i < _HIERARCHY_MAX; i++) {
		/* What was taken over may be more than was adopted. */
		if (cgroup1->is_taken_over)
			remove_what_is_empty(cgroup1, i);
		else if (cgroup1->run[i][0] && cgroup1->n_let_go == 0)
			(void)cgroup_remove(controllers[i], cgroup1->run[i], /* fault= */ NULL);
		close_fd(&cgroup1->run_fds[i]);
	}
	close_fd(&cgroup1->quota_fd);
	close_fd(&cgroup1->period_fd);
	cgroup1->strays = strays_free(cgroup1->strays);
	free(cgroup1->seats);
	free(cgroup1->tasks);
	free(cgroup1);
	return NULL;
}

const struct enforcer_ops enforcer_cgroup1 = {
	.name = "cgroup1",
	.probe = cgroup1_probe,
	.open = cgroup1_open,
	.task_add = cgroup1_task_add,
	.task_adopt = cgroup1_task_adopt,
	.place_left = cgroup1_place_left,
	.task_attach = cgroup1_task_attach,
	.task_place = cgroup1_task_place,
	.task_signal = cgroup1_task_signal,
	.task_is_populated = cgroup1_task_is_populated,
	.task_remove = cgroup1_task_remove,
	.task_let_go = cgroup1_task_let_go,
	.budget_set = cgroup1_budget_set,
	.apply = cgroup1_apply,
	.tick = cgroup1_tick,
	.close = cgroup1_close,
};
