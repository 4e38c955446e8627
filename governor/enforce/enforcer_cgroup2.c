// SPDX-License-Identifier: GPL-2.0-or-later
#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "cgroup.h"
#include "cleanup.h"
#include "enforcer.h"
#include "group.h"
#include "home.h"
#include "knob.h"
#include "monotonic.h"
#include "nsec.h"
#include "place_left.h"
#include "placement.h"
#include "quota.h"
#include "strays.h"
#include "unit_bus.h"

/* The enforcer for cgroup v2.
 *
 *   HOME            a group we may write below (home.h); +cpu in its cgroup.subtree_control
 *     coregov-leaf  what was in HOME itself, ourselves for one
 *     RUN           cpu.max = budget, rewritten only when the budget changes
 *       0-mlp       cpu.max = grant; cgroup.freeze = 1 while it is zero
 *
 * Of a daemon where systemd runs the machine (`is_sliced`):
 *
 *   coregov.slice                cpu.max = budget, set by systemd (CPUQuota=), read by us
 *     coregov-mlp-3f09d2.scope   of the task, made for us by systemd and delegated; +cpu
 *       0-mlp                    cpu.max = grant, all that is in the scope
 *
 * Groups are made with mkdirat(2): libcgroup's creation would enable the controller in every
 * ancestor. It finds the tree, attaches, and removes.
 *
 * One write to cpu.max sets quota and period together, a child may be given more than its parent
 * has, a frozen process dies of SIGKILL, and cgroup.kill ends a group at one stroke: all simpler
 * than v1.
 *
 * cpu.max.burst lets a group save up what it did not use. Nobody can want that here: one that somebody
 * else has set is taken back when it is seen, and told. The kernel refuses a quota below the burst
 * (EINVAL), so a grant would not fall otherwise.
 *
 * tests/process/test_cgroup2.c holds all this on a real tree. */

#define GROUP_NAME_MAX 128

/* Strays are looked for so often, or less often on a machine with many processes. */
#define STRAYS_TICK_NS (250 * NSEC_PER_MSEC)

/* Before the budget of a slice is tried again, where it could not be set. */
#define TRY_AGAIN_NS (30 * NSEC_PER_SEC)

/* 1000 rounds of 2 ms. */
#define AWAIT_ROUNDS 1000
#define AWAIT_ROUND_NS (2 * NSEC_PER_MSEC)

struct seat {
	char name[GROUP_NAME_MAX];
	char scope[SCOPE_NAME_MAX];
	int scope_fd; /* -EBADF: right in RUN */
	int dir_fd;
	int max_fd, freeze_fd; /* knobs; -EBADF in a dry run */
	struct place place;
};

struct cgroup2 {
	struct enforcer enforcer;
	bool is_dry;
	bool is_fake;
	bool is_sliced;
	bool is_taken_over; /* RUN was there */
	char run[GROUP_NAME_MAX];
	struct home home;
	int run_fd; /* where it is sliced, HOME's: the slice */
	int max_fd; /* of RUN */
	struct quota budget;
	bool is_foreign;        /* the budget's; reported once */
	uint64_t not_before_ns; /* the budget is not tried to be set again */
	uint32_t n_let_go;
	uint32_t n_bursts; /* taken back and not told yet */
	char burst_words[FAULT_TEXT_MAX];
	struct seat *seats;
	struct placement *tasks; /* of placements */
	struct placements placements;
	struct strays *strays; /* NULL where nobody can leave a group, and in a dry run */
};

static struct cgroup2 *cgroup2_of(struct enforcer *enforcer)
{
	return (struct cgroup2 *)enforcer;
}

/* The group that a seat's is in. */
static int parent_fd_of(const struct cgroup2 *cgroup2, const struct seat *seat)
{
	return cgroup2->is_sliced ? seat->scope_fd : cgroup2->run_fd;
}

static void close_fd(int *fd)
{
	if (*fd >= 0)
		(void)close(*fd);
	*fd = -EBADF;
}

/* Knobs. */

static int write_max(int fd, const struct quota *quota)
{
	char text[2 * NUMBER_TEXT_MAX];
	size_t n = format_number(text, quota->quota_us);

	text[n++] = ' ';
	(void)format_number(text + n, quota->period_us);
	return knob_write(fd, text);
}

static int read_max(int fd, struct quota *ret_quota)
{
	char text[KNOB_TEXT_MAX], *end = text;
	unsigned long long quota_us = QUOTA_UNLIMITED;
	unsigned long period_us;
	int r = knob_read(fd, text);

	if (r < 0)
		return r;
	if (strncmp(text, "max ", 4) == 0)
		end = text + 3;
	else
		quota_us = strtoull(text, &end, 10);
	if (end == text || *end != ' ')
		return -ERANGE;
	period_us = strtoul(end, &end, 10);
	if (*end != '\0' || period_us < 1 || period_us > UINT32_MAX)
		return -ERANGE;
	*ret_quota = (struct quota){.quota_us = quota_us, .period_us = (uint32_t)period_us};
	return 0;
}

/* The file is missing before Linux 5.14. */
static void take_burst_back(struct cgroup2 *cgroup2, int dir_fd, const char *name)
{
	_cleanup_close_ int fd = knob_open(dir_fd, "cpu.max.burst");
	int64_t burst_us;

	if (fd < 0 || knob_read_number(fd, &burst_us) < 0 || burst_us == 0 ||
		knob_write(fd, "0") < 0)
		return;
	cgroup2->n_bursts++;
	(void)snprintf(cgroup2->burst_words, sizeof(cgroup2->burst_words),
		"somebody else set cpu.max.burst of group '%s' to %" PRId64 " us; set back to 0",
		name, burst_us);
}

/* A slot has one sentence: where it is another's, this is told in a later slot. */
static void tell_bursts(struct cgroup2 *cgroup2, struct enforced *enforced, struct fault *fault)
{
	if (cgroup2->n_bursts == 0 || enforced->n_foreign > 0)
		return;
	(void)fault_set(fault, -EEXIST, "%s", cgroup2->burst_words);
	enforced->n_foreign = cgroup2->n_bursts;
	cgroup2->n_bursts = 0;
}

/* A burst above the new quota is in the way of it. */
static int set_max(struct cgroup2 *cgroup2, int dir_fd, int max_fd, const char *name,
	const struct quota *quota)
{
	int r = write_max(max_fd, quota);

	if (r != -EINVAL)
		return r;
	take_burst_back(cgroup2, dir_fd, name);
	return write_max(max_fd, quota);
}

static int cgroup2_write_quota(void *enforcer, uint32_t task, const struct quota *from,
	const struct quota *to, uint32_t *n_writes, struct fault *fault)
{
	struct cgroup2 *cgroup2 = enforcer;
	const struct seat *seat = &cgroup2->seats[task];
	int r = set_max(cgroup2, seat->dir_fd, seat->max_fd, seat->name, to);

	(void)from;
	*n_writes += 1;
	if (r < 0)
		return fault_errno(fault, r, "group '%s': set cpu.max to %" PRIu64 " us in %u us",
			seat->name, to->quota_us, to->period_us);
	return 0;
}

static int cgroup2_write_freeze(void *enforcer, uint32_t task, bool is_frozen, struct fault *fault)
{
	struct cgroup2 *cgroup2 = enforcer;
	int r = knob_write(cgroup2->seats[task].freeze_fd, is_frozen ? "1" : "0");

	if (r < 0)
		return fault_errno(fault, r, "group '%s': %s", cgroup2->seats[task].name,
			is_frozen ? "freeze" : "thaw");
	return 0;
}

static int cgroup2_read(void *enforcer, uint32_t task, struct quota *ret_quota, bool *ret_is_frozen)
{
	struct cgroup2 *cgroup2 = enforcer;
	struct quota quota;
	int64_t is_frozen;
	int r = read_max(cgroup2->seats[task].max_fd, &quota);

	if (r == 0)
		r = knob_read_number(cgroup2->seats[task].freeze_fd, &is_frozen);
	if (r < 0)
		return r;
	take_burst_back(cgroup2, cgroup2->seats[task].dir_fd, cgroup2->seats[task].name);
	*ret_quota = quota;
	*ret_is_frozen = is_frozen != 0;
	return 0;
}

static const struct placement_ops cgroup2_placement = {
	.write_quota = cgroup2_write_quota,
	.write_freeze = cgroup2_write_freeze,
	.read = cgroup2_read,
};

/* Opening and closing. */

static struct enforcer *cgroup2_close(struct enforcer *enforcer);

static int clear_burst(int dir_fd)
{
	int r = knob_write_at(dir_fd, "cpu.max.burst", "0");

	return r == -ENOENT ? 0 : r;
}

static int make_group(int parent_fd, const char *name, int *ret_fd, struct fault *fault)
{
	if (mkdirat(parent_fd, name, 0755) < 0)
		return fault_errno(fault, -errno, "make group '%s'", name);
	*ret_fd = openat(parent_fd, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (*ret_fd < 0) {
		int r = -errno;

		(void)unlinkat(parent_fd, name, AT_REMOVEDIR); /* nobody else knows of it */
		return fault_errno(fault, r, "open group '%s'", name);
	}
	return 0;
}

static int open_max(int dir_fd, const char *name, int *ret_fd, struct fault *fault)
{
	int r = knob_open(dir_fd, "cpu.max");

	if (r == -ENOENT)
		return fault_set(fault, -EOPNOTSUPP,
			"group '%s' has no cpu.max: the cpu controller is not enabled above it, or "
			"this kernel has no CPU quotas (CONFIG_CFS_BANDWIDTH)",
			name);
	if (r < 0)
		return fault_errno(fault, r, "open cpu.max of group '%s'", name);
	*ret_fd = r;
	return 0;
}

static int open_group(int parent_fd, const char *name, int *ret_fd, struct fault *fault)
{
	*ret_fd = openat(parent_fd, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	return *ret_fd < 0 ? fault_errno(fault, -errno, "open group '%s'", name) : 0;
}

/* As it stands, unless it has to be made. What nobody limits any more has no budget that is ours. */
static int open_budget(struct cgroup2 *cgroup2, struct fault *fault)
{
	int r = open_max(cgroup2->run_fd, cgroup2->run, &cgroup2->max_fd, fault);
	struct quota quota;

	if (r < 0)
		return r;
	if (cgroup2->is_taken_over && read_max(cgroup2->max_fd, &quota) == 0 &&
		quota.quota_us != QUOTA_UNLIMITED) {
		cgroup2->budget = quota;
		return 0;
	}
	r = write_max(cgroup2->max_fd, &cgroup2->budget);
	if (r == 0)
		r = clear_burst(cgroup2->run_fd);
	if (r < 0)
		return fault_errno(fault, r, "set the budget of %" PRIu64 " us in %u us",
			cgroup2->budget.quota_us, cgroup2->budget.period_us);
	return 0;
}

static int open_run(struct cgroup2 *cgroup2, bool takes_over, struct fault *fault)
{
	bool is_enabled;
	int r = -ENOENT;

	if (takes_over)
		r = open_group(cgroup2->home.dir_fd, cgroup2->run, &cgroup2->run_fd, fault);
	cgroup2->is_taken_over = r == 0;
	if (r == -ENOENT)
		r = make_group(cgroup2->home.dir_fd, cgroup2->run, &cgroup2->run_fd, fault);
	if (r < 0)
		return r;
	r = group_hold(cgroup2->run_fd);
	if (r < 0)
		return fault_errno(fault, r, "hold group '%s'", cgroup2->run);
	/* In a dry run, too: meters go by the groups of the controller. */
	r = home_enable_cpu(cgroup2->run_fd, cgroup2->run, &is_enabled, fault);
	return r < 0 || cgroup2->is_dry ? r : open_budget(cgroup2, fault);
}

static enum guarantee judge(const struct cgroup2 *cgroup2, const struct enforcer_setup *setup)
{
	static const char *const files[] = {"cpu.max", "cgroup.procs", "."};

	if (setup->is_dry)
		return GUARANTEE_NONE;
	for (size_t i = 0; i < ARRAY_LENGTH(files); i++)
		if (group_is_writable_by(cgroup2->run_fd, files[i], setup->task_uid))
			return GUARANTEE_COOPERATIVE;
	return GUARANTEE_KERNEL;
}

static struct cgroup2 *new_cgroup2(const struct enforcer_setup *setup)
{
	struct cgroup2 *cgroup2 = calloc(1, sizeof(*cgroup2));

	if (!cgroup2)
		return NULL;
	cgroup2->enforcer.ops = &enforcer_cgroup2;
	cgroup2->enforcer.limits = (struct enforcer_limits){
		.min_quota_us = QUOTA_MIN_US,
		.min_period_us = 10000,
		.max_period_us = PERIOD_MAX_US,
	};
	cgroup2->is_dry = setup->is_dry;
	cgroup2->is_fake = setup->root != NULL;
	cgroup2->is_sliced = setup->may_slice && unit_bus_is_booted();
	cgroup2->enforcer.wants_scopes = cgroup2->is_sliced;
	(void)snprintf(cgroup2->run, sizeof(cgroup2->run), "%s", setup->run);
	cgroup2->home = (struct home)HOME_INIT;
	cgroup2->run_fd = cgroup2->max_fd = -EBADF;
	cgroup2->seats = calloc(setup->n_tasks_max + 1, sizeof(*cgroup2->seats));
	cgroup2->tasks = calloc(setup->n_tasks_max + 1, sizeof(*cgroup2->tasks));
	cgroup2->placements = (struct placements){
		.ops = &cgroup2_placement,
		.enforcer = cgroup2,
		.tasks = cgroup2->tasks,
		.n_tasks = setup->n_tasks_max,
	};
	if (!cgroup2->seats || !cgroup2->tasks) {
		(void)cgroup2_close(&cgroup2->enforcer);
		return NULL;
	}
	return cgroup2;
}

/* What systemd was asked for is in force a little later. */
static int reopen_slice(struct cgroup2 *cgroup2);

static int await_quota(struct cgroup2 *cgroup2, const struct quota *budget, struct fault *fault)
{
	const struct timespec pause = {.tv_nsec = AWAIT_ROUND_NS};
	struct quota quota;
	int r;

	for (unsigned round = 0;; round++) {
		r = read_max(cgroup2->max_fd, &quota);
		/* Somebody has stopped it, and nothing runs in it: systemd has the value for the next one. */
		if (r == -ENODEV && reopen_slice(cgroup2) < 0)
			return 0;
		if (r == -ENODEV)
			r = read_max(cgroup2->max_fd, &quota);
		if (r < 0)
			return fault_errno(fault, r, "read the budget of " UNIT_SLICE);
		if (quota.quota_us == budget->quota_us && quota.period_us == budget->period_us)
			break;
		if (round == AWAIT_ROUNDS)
			return fault_set(fault, -ETIMEDOUT,
				"systemd did not set CPUQuota= of " UNIT_SLICE " to %" PRIu64
				" us in %" PRIu32 " us",
				budget->quota_us, budget->period_us);
		(void)nanosleep(&pause, NULL);
	}
	return 0;
}

/* takes_over: with tasks in it, what is in force stays. */
static int open_slice(
	struct cgroup2 *cgroup2, bool takes_over, const char *old, struct fault *fault)
{
	const struct quota budget = cgroup2->budget;
	int r = home_open_slice(
		&cgroup2->home, budget.quota_us, budget.period_us, takes_over, fault);

	/* With tasks in it it is there, whether systemd has the time to say so or not. */
	if (r < 0 && takes_over && old)
		r = home_open_known(&cgroup2->home, old, /* fault= */ NULL);
	if (r < 0)
		return r;
	cgroup2->run_fd = fcntl(cgroup2->home.dir_fd, F_DUPFD_CLOEXEC, 3);
	if (cgroup2->run_fd < 0)
		return fault_errno(fault, -errno, "keep the group of " UNIT_SLICE);
	(void)snprintf(cgroup2->run, sizeof(cgroup2->run), "%s", UNIT_SLICE);
	r = open_max(cgroup2->run_fd, UNIT_SLICE, &cgroup2->max_fd, fault);
	if (r == 0 && takes_over && read_max(cgroup2->max_fd, &cgroup2->budget) == 0)
		return 0;
	return r < 0 ? r : await_quota(cgroup2, &budget, fault);
}

/* The budget first: HOME may be a scope that we have to leave our unit for. */
static int open_home_and_run(
	struct cgroup2 *cgroup2, const struct enforcer_setup *setup, struct fault *fault)
{
	int r;

	if (quota_of_budget(setup->budget_cpus, &cgroup2->budget) < 0)
		return fault_set(fault, -ERANGE, "a budget of %g CPUs is too small to be enforced",
			setup->budget_cpus);
	if (cgroup2->is_sliced)
		return open_slice(cgroup2, setup->takes_over, setup->home, fault);
	if (setup->is_apart && !setup->root)
		r = home_open_apart(
			&cgroup2->home, setup->run, setup->takes_over ? setup->home : NULL, fault);
	else
		r = home_open(&cgroup2->home, setup->root, setup->run, fault);
	if (r == 0)
		r = open_run(cgroup2, setup->takes_over, fault);
	/* There is no way back: it is so for the enforcer that comes next, too. */
	if (r < 0 && cgroup2->home.warning[0])
		return fault_wrap(fault, r, "%s", cgroup2->home.warning);
	return r;
}

static int cgroup2_open(
	struct enforcer **ret_enforcer, const struct enforcer_setup *setup, struct fault *fault)
{
	struct cgroup2 *cgroup2 = new_cgroup2(setup);
	int r;

	if (!cgroup2)
		return fault_set(fault, -ENOMEM, "out of memory");
	r = open_home_and_run(cgroup2, setup, fault);
	if (r < 0) {
		(void)cgroup2_close(&cgroup2->enforcer);
		return r;
	}
	if (!cgroup2->is_sliced)
		home_unlock(&cgroup2->home); /* RUN gives the controller on */
	if (cgroup2->home.warning[0])
		cgroup2->enforcer.warning = cgroup2->home.warning;
	cgroup2->enforcer.home = cgroup2->home.group;
	cgroup2->enforcer.guarantee = judge(cgroup2, setup);
	if (cgroup2->enforcer.guarantee == GUARANTEE_COOPERATIVE && !cgroup2->is_fake)
		r = strays_new(&cgroup2->strays, setup->n_tasks_max, fault);
	if (r < 0) {
		(void)cgroup2_close(&cgroup2->enforcer);
		return r;
	}
	cgroup2->enforcer.tick_ns = cgroup2->strays ? STRAYS_TICK_NS : 0;
	*ret_enforcer = &cgroup2->enforcer;
	return 0;
}

/* Looks only: a trial would make a scope around us that outlives the call. */
static int cgroup2_probe(const struct enforcer_setup *setup, struct fault *fault)
{
	return home_probe(setup->root, fault);
}

/* Tasks. */

static void seat_done(struct seat *seat)
{
	close_fd(&seat->scope_fd);
	close_fd(&seat->dir_fd);
	close_fd(&seat->max_fd);
	close_fd(&seat->freeze_fd);
}

static int seat_open_knobs(struct seat *seat, struct fault *fault)
{
	int r = open_max(seat->dir_fd, seat->name, &seat->max_fd, fault);

	if (r < 0)
		return r;
	seat->freeze_fd = knob_open(seat->dir_fd, "cgroup.freeze");
	if (seat->freeze_fd < 0)
		return fault_errno(fault, seat->freeze_fd, "open cgroup.freeze (Linux 5.2)");
	return 0;
}

/* Frozen and with the least quota. */
static int seat_limit(struct cgroup2 *cgroup2, uint32_t task, struct fault *fault)
{
	struct seat *seat = &cgroup2->seats[task];
	const struct quota least = quota_least(&cgroup2->budget);
	int r = seat_open_knobs(seat, fault);

	if (r < 0)
		return r;
	r = cgroup2_write_freeze(cgroup2, task, /* is_frozen= */ true, fault);
	if (r < 0)
		return r;
	r = write_max(seat->max_fd, &least);
	if (r == 0)
		r = clear_burst(seat->dir_fd);
	if (r < 0)
		return fault_errno(fault, r, "set the least quota");
	cgroup2->tasks[task] = (struct placement){.quota = least, .is_frozen = true};
	return 0;
}

static int remove_group(
	struct cgroup2 *cgroup2, int parent_fd, const char *group, struct fault *fault)
{
	const char *name = strrchr(group, '/') ? strrchr(group, '/') + 1 : group;
	int r;

	if (cgroup2->is_fake || cgroup2->is_sliced) /* systemd may be faster than we are */
		r = group_remove_tree(parent_fd, name);
	else
		r = cgroup_remove("cpu", group, /* fault= */ NULL);
	if (r == -EBUSY) /* the task made groups of its own */
		r = group_remove_tree(parent_fd, name);
	return r < 0 ? fault_errno(fault, r, "remove group '%s'", group) : 0;
}

/* seat NULL: RUN's. */
static int group_of(const struct cgroup2 *cgroup2, const struct seat *seat,
	char ret_group[static PATH_MAX], struct fault *fault)
{
	const char *const parts[] = {cgroup2->home.group, cgroup2->is_sliced ? "" : cgroup2->run,
		seat ? seat->scope : "", seat ? seat->name : ""};
	int n = 0;

	ret_group[0] = '\0';
	for (size_t i = 0; i < ARRAY_LENGTH(parts) && n < PATH_MAX; i++)
		if (parts[i][0])
			n += snprintf(ret_group + n, (size_t)(PATH_MAX - n), "%s%s",
				n > 0 ? "/" : "", parts[i]);
	if (n >= PATH_MAX)
		return fault_set(fault, -ENAMETOOLONG, "group '%s' has too long a name",
			cgroup2->home.group);
	return 0;
}

/* Dying takes CPU time, and under a small quota a long time. What has been killed runs no instruction of
 * its own any more: only then is the limit around it lifted. */
static void kill_and_lift(int dir_fd, int max_fd)
{
	if (max_fd < 0 || group_kill(dir_fd) < 0)
		return; /* whoever is called next tries again, and tells */
	(void)knob_write(max_fd, "max");
}

/* What is in it runs on, with no limit but the budget's. */
static int seat_free(struct seat *seat)
{
	int r = seat->max_fd >= 0 ? knob_write(seat->max_fd, "max") : 0;

	return r == 0 && seat->dir_fd >= 0 ? group_thaw(seat->dir_fd) : r;
}

static int seat_remove(struct cgroup2 *cgroup2, struct seat *seat, struct fault *fault)
{
	char group[PATH_MAX];
	int r = group_of(cgroup2, seat, group, fault);

	if (r < 0 || seat->dir_fd < 0)
		return r;
	kill_and_lift(seat->dir_fd, seat->max_fd);
	r = group_end(&seat->dir_fd, 1);
	if (r < 0)
		return fault_errno(fault, r, "end what runs in group '%s'", seat->name);
	return remove_group(cgroup2, parent_fd_of(cgroup2, seat), group, fault);
}

static int open_scope(const struct cgroup2 *cgroup2, const char *scope)
{
	return openat(cgroup2->run_fd, scope, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
}

/* Whoever stops the slice ends all that is in it; with the next scope it is another group. 0, or a negative
 * errno: nothing has changed. */
static int reopen_slice(struct cgroup2 *cgroup2)
{
	_cleanup_close_ int dir_fd = -EBADF, max_fd = -EBADF;
	struct home home = HOME_INIT;
	int r = home_open_known(&home, cgroup2->home.group, /* fault= */ NULL);

	if (r < 0)
		return r;
	dir_fd = home.dir_fd;
	r = open_max(dir_fd, UNIT_SLICE, &max_fd, /* fault= */ NULL);
	if (r < 0)
		return r;
	close_fd(&cgroup2->run_fd);
	close_fd(&cgroup2->max_fd);
	cgroup2->run_fd = TAKE_FD(dir_fd);
	cgroup2->max_fd = TAKE_FD(max_fd);
	return 0;
}

/* The groups of a task that is new are made then, those of another are opened. */
static int seat_init(struct cgroup2 *cgroup2, uint32_t task, const char *name, const char *scope,
	struct fault *fault)
{
	struct seat *seat = &cgroup2->seats[task];

	assert(task < cgroup2->placements.n_tasks && !cgroup2->tasks[task].is_used);
	*seat = (struct seat){
		.scope_fd = -EBADF, .dir_fd = -EBADF, .max_fd = -EBADF, .freeze_fd = -EBADF};
	(void)snprintf(seat->name, sizeof(seat->name), "%" PRIu32 "-%s", task, name);
	if (!cgroup2->is_sliced)
		return 0;
	if (!scope || scope[0] == '.' || strchr(scope, '/') || strlen(scope) >= sizeof(seat->scope))
		return fault_set(fault, -EINVAL, "it is in no scope of its own");
	strcpy(seat->scope, scope);
	seat->scope_fd = open_scope(cgroup2, scope);
	if (seat->scope_fd < 0 && errno == ENOENT && reopen_slice(cgroup2) == 0)
		seat->scope_fd = open_scope(cgroup2, scope);
	return seat->scope_fd < 0 ? fault_errno(fault, -errno, "open group '%s'", scope) : 0;
}

/* Whatever is in the scope is of the task: nothing stays beside the limit, and what gives the controller on may
 * hold no process. */
static int seat_take_scope(struct seat *seat, struct fault *fault)
{
	bool is_enabled;
	int r = knob_write_at(seat->dir_fd, "cgroup.freeze", "1");

	/* What forks on and on meanwhile would never be moved as a whole. */
	if (r == 0)
		r = knob_write_at(seat->scope_fd, "cgroup.freeze", "1");
	if (r == 0)
		r = home_move_all(seat->scope_fd, seat->dir_fd);
	(void)knob_write_at(seat->scope_fd, "cgroup.freeze", "0");
	return r < 0 ? fault_errno(fault, r, "take what is in '%s'", seat->scope)
		     : home_enable_cpu(seat->scope_fd, seat->scope, &is_enabled, fault);
}

static void seat_take(struct cgroup2 *cgroup2, uint32_t task)
{
	struct seat *seat = &cgroup2->seats[task];

	seat->place = (struct place){
		.cgroup2_fd = seat->dir_fd, .cpu1_fd = -EBADF, .cpuacct_fd = -EBADF};
	cgroup2->tasks[task].is_used = true;
}

static void seat_is_of(struct cgroup2 *cgroup2, uint32_t task, pid_t pid)
{
	struct seat *seat = &cgroup2->seats[task];

	seat->place.pid = pid;
	if (cgroup2->strays)
		strays_task_add(cgroup2->strays, task, pid,
			cgroup2->is_sliced ? seat->scope : cgroup2->run, seat->name, &seat->dir_fd,
			1);
}

static int cgroup2_scope_confine(struct enforcer *enforcer, const char *scope)
{
	struct cgroup2 *cgroup2 = cgroup2_of(enforcer);
	const struct quota least = quota_least(&cgroup2->budget);
	struct seat seat = {.name = "refused",
		.scope_fd = openat(cgroup2->run_fd, scope, O_RDONLY | O_DIRECTORY | O_CLOEXEC),
		.dir_fd = -EBADF,
		.max_fd = -EBADF,
		.freeze_fd = -EBADF};
	int r = seat.scope_fd < 0 ? -errno : 0;

	if (r == 0)
		r = make_group(seat.scope_fd, seat.name, &seat.dir_fd, /* fault= */ NULL);
	if (r == 0)
		r = seat_take_scope(&seat, /* fault= */ NULL);
	if (r == 0)
		r = open_max(seat.dir_fd, seat.name, &seat.max_fd, /* fault= */ NULL);
	if (r == 0)
		r = write_max(seat.max_fd, &least);
	if (seat.dir_fd >= 0)
		(void)group_thaw(seat.dir_fd);
	seat_done(&seat);
	return r;
}

/* By its number it may be another's, or somebody may have moved it on. */
static bool is_in_seat(const struct cgroup2 *cgroup2, const struct seat *seat, pid_t pid)
{
	_cleanup_fclose_ FILE *file = NULL;
	char group[PATH_MAX], line[PATH_MAX + 16], path[64];

	(void)snprintf(path, sizeof(path), "/proc/%d/cgroup", (int)pid);
	file = fopen(path, "re");
	if (!file || group_of(cgroup2, seat, group, /* fault= */ NULL) < 0)
		return false;
	while (fgets(line, sizeof(line), file)) {
		line[strcspn(line, "\n")] = '\0';
		if (strncmp(line, "0::/", 4) == 0 && strcmp(line + 4, group) == 0)
			return true;
	}
	return false;
}

static int cgroup2_task_add(struct enforcer *enforcer, uint32_t task, const char *name,
	const char *scope, struct fault *fault)
{
	struct cgroup2 *cgroup2 = cgroup2_of(enforcer);
	struct seat *seat = &cgroup2->seats[task];
	int r = seat_init(cgroup2, task, name, scope, fault);

	if (r == 0)
		r = make_group(parent_fd_of(cgroup2, seat), seat->name, &seat->dir_fd, fault);
	if (r == 0 && cgroup2->is_sliced)
		r = seat_take_scope(seat, fault);
	if (r == 0 && !cgroup2->is_dry)
		r = seat_limit(cgroup2, task, fault);
	if (r < 0) {
		/* In a scope the task is in it already: it is not ended for that. */
		if (cgroup2->is_sliced)
			(void)seat_free(seat);
		else
			(void)seat_remove(cgroup2, seat, /* fault= */ NULL);
		seat_done(seat);
		return fault_wrap(fault, r, "task %s", name);
	}
	seat_take(cgroup2, task);
	return 0;
}

static int cgroup2_task_adopt(struct enforcer *enforcer, uint32_t task, const char *name,
	const char *scope, pid_t pid, struct fault *fault)
{
	struct cgroup2 *cgroup2 = cgroup2_of(enforcer);
	struct seat *seat = &cgroup2->seats[task];
	struct placement *placement = &cgroup2->tasks[task];
	int r = seat_init(cgroup2, task, name, scope, fault);

	/* systemd removes a scope as soon as nothing is in it. */
	if (r == -ENOENT && pid == 0) {
		seat_take(cgroup2, task);
		placement->is_gone = true;
		return 1;
	}
	if (r == 0)
		r = open_group(parent_fd_of(cgroup2, seat), seat->name, &seat->dir_fd, fault);
	if (r == 0)
		r = seat_open_knobs(seat, fault);
	if (r == 0) {
		*placement = (struct placement){0};
		r = cgroup2_read(cgroup2, task, &placement->quota, &placement->is_frozen);
		if (r < 0)
			(void)fault_errno(fault, r, "read what is in force");
	}
	if (r < 0) {
		seat_done(seat);
		return fault_wrap(fault, r, "task %s: take over its group", name);
	}
	seat_take(cgroup2, task);
	seat_is_of(cgroup2, task, pid);
	return 0;
}

static int cgroup2_place_left(
	struct enforcer *enforcer, uint32_t least, struct place_left *ret_left)
{
	const struct cgroup2 *cgroup2 = cgroup2_of(enforcer);

	return cgroup2->is_sliced ? place_left_find_in_scopes(cgroup2->run_fd, least, ret_left)
				  : place_left_find(cgroup2->run_fd, least, ret_left);
}

static int cgroup2_task_attach(
	struct enforcer *enforcer, uint32_t task, pid_t pid, struct fault *fault)
{
	struct cgroup2 *cgroup2 = cgroup2_of(enforcer);
	struct seat *seat = &cgroup2->seats[task];
	char group[PATH_MAX], text[NUMBER_TEXT_MAX];
	int r;

	assert(cgroup2->tasks[task].is_used && pid > 0);
	if (cgroup2->is_sliced) {
		/* systemd has done it, and task_add() the rest; unless it has been moved on. */
		if (!is_in_seat(cgroup2, seat, pid))
			return fault_set(
				fault, -ESRCH, "process %d is not in '%s'", (int)pid, seat->scope);
	} else if (cgroup2->is_fake) {
		(void)format_number(text, (uint64_t)pid);
		r = knob_write_at(seat->dir_fd, "cgroup.procs", text);
		if (r < 0)
			return fault_errno(
				fault, r, "move process %d to group '%s'", (int)pid, seat->name);
	} else {
		r = group_of(cgroup2, seat, group, fault);
		if (r == 0)
			r = cgroup_attach("cpu", group, pid, fault);
		if (r < 0)
			return r;
	}
	seat_is_of(cgroup2, task, pid);
	return 0;
}

static const struct place *cgroup2_task_place(struct enforcer *enforcer, uint32_t task)
{
	struct cgroup2 *cgroup2 = cgroup2_of(enforcer);

	assert(cgroup2->tasks[task].is_used);
	return &cgroup2->seats[task].place;
}

static int cgroup2_task_signal(struct enforcer *enforcer, uint32_t task, int signo)
{
	struct cgroup2 *cgroup2 = cgroup2_of(enforcer);
	int dir_fd = cgroup2->seats[task].dir_fd;

	assert(cgroup2->tasks[task].is_used);
	return signo == SIGKILL ? group_kill(dir_fd) : group_signal(dir_fd, signo);
}

static int cgroup2_task_is_populated(struct enforcer *enforcer, uint32_t task)
{
	struct cgroup2 *cgroup2 = cgroup2_of(enforcer);
	int r;

	assert(cgroup2->tasks[task].is_used);
	r = group_is_populated(cgroup2->seats[task].dir_fd);
	return r == -ENODEV || r == -ENOENT ? 0 : r;
}

static int cgroup2_task_remove(struct enforcer *enforcer, uint32_t task, struct fault *fault)
{
	struct cgroup2 *cgroup2 = cgroup2_of(enforcer);
	int r;

	assert(cgroup2->tasks[task].is_used);
	if (cgroup2->strays)
		strays_task_remove(cgroup2->strays, task);
	r = seat_remove(cgroup2, &cgroup2->seats[task], fault);
	if (r < 0)
		return r; /* still ours: close() tries again */
	seat_done(&cgroup2->seats[task]);
	cgroup2->tasks[task] = (struct placement){0};
	return 0;
}

static int cgroup2_task_let_go(struct enforcer *enforcer, uint32_t task, struct fault *fault)
{
	struct cgroup2 *cgroup2 = cgroup2_of(enforcer);
	struct seat *seat = &cgroup2->seats[task];
	int r;

	assert(cgroup2->tasks[task].is_used);
	if (cgroup2->strays)
		strays_task_remove(cgroup2->strays, task);
	r = seat_free(seat);
	if (r < 0)
		r = fault_errno(fault, r, "let go what runs in group '%s'", seat->name);
	seat_done(seat);
	cgroup2->tasks[task] = (struct placement){0};
	cgroup2->n_let_go++;
	return r;
}

/* The slot. */

static int set_budget(struct cgroup2 *cgroup2, const struct quota *budget, struct fault *fault)
{
	int r;

	if (cgroup2->is_sliced) {
		/* Each try may take seconds in which nothing is decided. */
		if (monotonic_ns() < cgroup2->not_before_ns)
			return fault_set(fault, -EAGAIN,
				"CPUQuota= of " UNIT_SLICE " could not be set; it is tried again");
		r = unit_bus_set_quota(budget->quota_us, budget->period_us, fault);
		if (r == 0)
			r = await_quota(cgroup2, budget, fault);
		cgroup2->not_before_ns = r < 0 ? monotonic_ns() + TRY_AGAIN_NS : 0;
		return r;
	}
	r = set_max(cgroup2, cgroup2->run_fd, cgroup2->max_fd, cgroup2->run, budget);
	return r < 0 ? fault_errno(fault, r, "set the budget of %" PRIu64 " us in %u us",
			       budget->quota_us, budget->period_us)
		     : 0;
}

static bool is_budget_in_force(const struct cgroup2 *cgroup2, const struct quota *budget)
{
	struct quota quota;

	return read_max(cgroup2->max_fd, &quota) == 0 && quota.quota_us == budget->quota_us &&
		quota.period_us == budget->period_us;
}

static int cgroup2_budget_set(struct enforcer *enforcer, double budget_cpus, struct fault *fault)
{
	struct cgroup2 *cgroup2 = cgroup2_of(enforcer);
	struct quota budget;
	int r = 0;

	if (quota_of_budget(budget_cpus, &budget) < 0)
		return fault_set(fault, -ERANGE, "a budget of %g CPUs is too small to be enforced",
			budget_cpus);
	if (cgroup2->is_dry)
		return 0;
	/* Every write gives a period's quota away. */
	if (!is_budget_in_force(cgroup2, &budget))
		r = set_budget(cgroup2, &budget, fault);
	if (r < 0)
		return r;
	cgroup2->budget = budget;
	cgroup2->is_foreign = false;
	return 0;
}

/* As for a task; a stranger's value is left until the next budget_set(). Where the slot has its sentence
 * already, that is seen a round later. */
static void look_at_budget(struct cgroup2 *cgroup2, struct enforced *enforced, struct fault *fault)
{
	char limit[64] = "no limit";
	struct quota quota;

	take_burst_back(cgroup2, cgroup2->run_fd, cgroup2->run);
	if (cgroup2->is_foreign || enforced->n_foreign > 0 || read_max(cgroup2->max_fd, &quota) < 0)
		return;
	if (quota.quota_us == cgroup2->budget.quota_us &&
		quota.period_us == cgroup2->budget.period_us)
		return;
	if (quota.quota_us != QUOTA_UNLIMITED)
		(void)snprintf(limit, sizeof(limit), "%" PRIu64 " us in %" PRIu32 " us",
			quota.quota_us, quota.period_us);
	cgroup2->is_foreign = true;
	enforced->n_foreign++;
	(void)fault_set(fault, -EEXIST,
		"somebody else set the budget to %s; left alone until the budget is set anew",
		limit);
}

static int cgroup2_apply(struct enforcer *enforcer, const struct grant *grants, size_t n_grants,
	struct enforced *ret_enforced, struct fault *fault)
{
	struct cgroup2 *cgroup2 = cgroup2_of(enforcer);
	int r;

	if (cgroup2->is_dry) {
		*ret_enforced = (struct enforced){.n_unchanged = (uint32_t)n_grants};
		return 0;
	}
	r = placements_apply(
		&cgroup2->placements, &cgroup2->budget, grants, n_grants, ret_enforced, fault);
	if (r == 0 && cgroup2->placements.is_round_over)
		look_at_budget(cgroup2, ret_enforced, fault);
	if (r == 0)
		tell_bursts(cgroup2, ret_enforced, fault);
	if (r == 0 && cgroup2->strays)
		strays_tell(cgroup2->strays, ret_enforced, fault);
	return r;
}

/* The kernel does the work between slots, as long as everybody is in the group. */
static void cgroup2_tick(struct enforcer *enforcer, uint64_t now_ns)
{
	struct cgroup2 *cgroup2 = cgroup2_of(enforcer);

	if (cgroup2->strays)
		strays_look(cgroup2->strays, now_ns);
}

static struct enforcer *cgroup2_close(struct enforcer *enforcer)
{
	struct cgroup2 *cgroup2 = cgroup2_of(enforcer);
	/* In what was taken over there may be more than was adopted. */
	bool is_all_ours = cgroup2->n_let_go == 0 && !cgroup2->is_taken_over && !cgroup2->is_sliced;
	char group[PATH_MAX];

	if (!enforcer)
		return NULL;
	if (is_all_ours)
		kill_and_lift(cgroup2->run_fd, cgroup2->max_fd);
	for (uint32_t task = 0; cgroup2->tasks && task < cgroup2->placements.n_tasks; task++) {
		if (!cgroup2->tasks[task].is_used)
			continue;
		/* What is left here is found by its name at the next start. */
		(void)seat_remove(cgroup2, &cgroup2->seats[task], /* fault= */ NULL);
		seat_done(&cgroup2->seats[task]);
	}
	close_fd(&cgroup2->max_fd);
	if (cgroup2->run_fd >= 0 && !is_all_ours && !cgroup2->is_sliced)
		(void)group_remove_tree(cgroup2->home.dir_fd, cgroup2->run); /* what is empty */
	else if (cgroup2->run_fd >= 0 && is_all_ours &&
		group_of(cgroup2, /* seat= */ NULL, group, NULL) == 0)
		(void)remove_group(cgroup2, cgroup2->home.dir_fd, group, /* fault= */ NULL);
	close_fd(&cgroup2->run_fd);
	home_leave(&cgroup2->home);
	cgroup2->strays = strays_free(cgroup2->strays);
	free(cgroup2->seats);
	free(cgroup2->tasks);
	free(cgroup2);
	return NULL;
}

const struct enforcer_ops enforcer_cgroup2 = {
	.name = "cgroup2",
	.probe = cgroup2_probe,
	.open = cgroup2_open,
	.task_add = cgroup2_task_add,
	.scope_confine = cgroup2_scope_confine,
	.task_adopt = cgroup2_task_adopt,
	.place_left = cgroup2_place_left,
	.task_attach = cgroup2_task_attach,
	.task_place = cgroup2_task_place,
	.task_signal = cgroup2_task_signal,
	.task_is_populated = cgroup2_task_is_populated,
	.task_remove = cgroup2_task_remove,
	.task_let_go = cgroup2_task_let_go,
	.budget_set = cgroup2_budget_set,
	.apply = cgroup2_apply,
	.tick = cgroup2_tick,
	.close = cgroup2_close,
};
