// SPDX-License-Identifier: GPL-2.0-or-later
#include <assert.h>
#include <errno.h>
#include <inttypes.h>
#include <math.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "cleanup.h"
#include "enforcer.h"
#include "nsec.h"
#include "process.h"
#include "proctree.h"

/* The enforcer that needs no privilege: a share becomes a duty cycle of SIGSTOP and SIGCONT, closed
 * over the CPU time that was really used.
 *
 * Each task has a bucket of credit. Time fills it at the granted rate, CPU time used empties it. A
 * task whose bucket is empty is stopped; it continues once there is credit for a whole tick, so
 * that it does not go far below nothing in its first one. What it uses beyond is a debt, and is
 * paid from what comes in: over any span longer than some ticks a task has what it was granted. One
 * more bucket does the same for the budget of the run, and stops everybody: condition (1) then
 * holds whatever becomes of single debts.
 *
 *   credit  ^      .                .
 *     tick  |- - - /\- - - - - - - /\- -      / fills at rate, stopped
 *        0  |-----/--\-----------/--\---      \ empties at 1 - rate, running
 *           |    /    \         /    \ /
 *           |   /      \_______/      '       below: found only at the next tick
 *
 * A bucket holds what comes in 100 ms: a task that has slept does not get a burst for it.
 *
 * A stopped task is looked at less often. If it has used CPU time all the same, somebody has
 * continued it: that is counted, charged, and it is stopped again. Nobody can be kept from doing
 * so, hence the guarantee is "cooperative".
 *
 * New processes are looked for each 250 ms or, on a machine with many, less often (each process on
 * it costs some 10 us). What they used before is charged when they are found; a signal to the
 * process group reaches most of them before that. */

#define TICK_NS (10 * NSEC_PER_MSEC)
#define BUCKET_NS (100 * NSEC_PER_MSEC)    /* of income */
#define BUCKET_MIN_NS (2 * TICK_NS)        /* else a small share could never save up for a tick */
#define SCAN_NS (250 * NSEC_PER_MSEC)      /* between two looks for new processes, at least */
#define SCAN_PER_PROCESS_NS NSEC_PER_MSEC  /* so that looking takes 1 % of a CPU at most */
#define WATCH_NS (100 * NSEC_PER_MSEC)     /* between two looks at a stopped task */
#define FOREIGN_NS (5 * NSEC_PER_MSEC)     /* more than the kernel's clocks lag behind */
#define ELAPSED_MAX_NS (10 * NSEC_PER_SEC) /* times the largest quota is below 2^64 */
#define MIN_QUOTA_US 1000u
#define MIN_PERIOD_US 100000u
#define MAX_PERIOD_US 1000000u
#define REMOVE_NS NSEC_PER_SEC
#define REMOVE_PAUSE_NS NSEC_PER_MSEC

struct bucket {
	int64_t credit_ns;
	uint64_t quota_us; /* the rate is quota / period */
	uint32_t period_us;
};

struct signal_task {
	bool is_used;
	bool is_attached;
	bool is_stopped;
	bool is_settled; /* stopped, and looked at since */
	struct place place;
	struct bucket bucket;
	uint64_t charged_ns;    /* CPU time that has been taken from the bucket */
	uint64_t next_watch_ns; /* of a stopped task */
};

struct enforcer_by_signal {
	struct enforcer enforcer;
	bool is_dry;
	uint32_t n_tasks_max;
	uint64_t last_tick_ns; /* 0: none yet */
	uint64_t next_scan_ns;
	uint32_t n_foreign; /* since the last apply() */
	struct bucket budget;
	struct proctree *tree;
	struct signal_task *tasks;
};

static struct enforcer_by_signal *of(struct enforcer *enforcer)
{
	return (struct enforcer_by_signal *)enforcer;
}

static struct signal_task *task_of(struct enforcer *enforcer, uint32_t task)
{
	assert(task < of(enforcer)->n_tasks_max && of(enforcer)->tasks[task].is_used);
	return &of(enforcer)->tasks[task];
}

/* What comes into the bucket in a span, rounded down. */
static int64_t bucket_income_ns(const struct bucket *bucket, uint64_t span_ns)
{
	return (int64_t)(span_ns * bucket->quota_us / bucket->period_us);
}

static int64_t bucket_size_ns(const struct bucket *bucket)
{
	int64_t size_ns = bucket_income_ns(bucket, BUCKET_NS);

	return size_ns > (int64_t)BUCKET_MIN_NS ? size_ns : (int64_t)BUCKET_MIN_NS;
}

static void bucket_fill(struct bucket *bucket, uint64_t elapsed_ns)
{
	int64_t size_ns = bucket_size_ns(bucket);

	bucket->credit_ns += bucket_income_ns(bucket, elapsed_ns);
	if (bucket->credit_ns > size_ns)
		bucket->credit_ns = size_ns;
}

/* Stopping and continuing. */

static void stop(struct enforcer_by_signal *by_signal, uint32_t id)
{
	struct signal_task *task = &by_signal->tasks[id];

	(void)proctree_signal(by_signal->tree, id, SIGSTOP);
	task->is_stopped = true;
	task->is_settled = false;
	task->next_watch_ns = by_signal->last_tick_ns + WATCH_NS;
}

static void resume(struct enforcer_by_signal *by_signal, uint32_t id)
{
	(void)proctree_signal(by_signal->tree, id, SIGCONT);
	by_signal->tasks[id].is_stopped = false;
}

/* Takes what the task has used since the last time out of the buckets. Returns how much. */
static uint64_t charge(struct enforcer_by_signal *by_signal, uint32_t id)
{
	struct signal_task *task = &by_signal->tasks[id];
	uint64_t cpu_ns = proctree_cpu_ns(by_signal->tree, id);
	uint64_t used_ns = cpu_ns - task->charged_ns;

	task->charged_ns = cpu_ns;
	task->bucket.credit_ns -= (int64_t)used_ns;
	by_signal->budget.credit_ns -= (int64_t)used_ns;
	return used_ns;
}

/* Looks at a stopped task: what it used while it was being stopped, and whether it is still. */
static void watch(struct enforcer_by_signal *by_signal, uint32_t id)
{
	struct signal_task *task = &by_signal->tasks[id];
	uint64_t used_ns = charge(by_signal, id);

	if (task->is_settled && used_ns > FOREIGN_NS) {
		by_signal->n_foreign++;
		stop(by_signal, id);
	}
	task->is_settled = true;
	task->next_watch_ns = by_signal->last_tick_ns + WATCH_NS;
}

/* One task in one tick. */
static void tick_task(struct enforcer_by_signal *by_signal, uint32_t id, uint64_t elapsed_ns)
{
	struct signal_task *task = &by_signal->tasks[id];

	bucket_fill(&task->bucket, elapsed_ns);
	if (!task->is_stopped)
		(void)charge(by_signal, id);
	else if (by_signal->last_tick_ns >= task->next_watch_ns)
		watch(by_signal, id);
}

/* Stops or continues a task, as its credit is. */
static void decide(struct enforcer_by_signal *by_signal, uint32_t id)
{
	struct signal_task *task = &by_signal->tasks[id];
	bool may_run = task->bucket.quota_us > 0 && by_signal->budget.credit_ns > 0;

	if (!task->is_stopped && (!may_run || task->bucket.credit_ns <= 0))
		stop(by_signal, id);
	else if (task->is_stopped && may_run && task->bucket.credit_ns >= (int64_t)TICK_NS)
		resume(by_signal, id);
}

static void scan(struct enforcer_by_signal *by_signal, uint64_t now_ns)
{
	int n_processes = proctree_scan(by_signal->tree);
	uint64_t pause_ns = n_processes > 0 ? (uint64_t)n_processes * SCAN_PER_PROCESS_NS : 0;

	by_signal->next_scan_ns = now_ns + (pause_ns > SCAN_NS ? pause_ns : SCAN_NS);
	/* A process that was forked while its task was being stopped. */
	for (uint32_t i = 0; i < by_signal->n_tasks_max; i++)
		if (by_signal->tasks[i].is_attached && by_signal->tasks[i].is_stopped)
			(void)proctree_signal(by_signal->tree, i, SIGSTOP);
}

static void signal_tick(struct enforcer *enforcer, uint64_t now_ns)
{
	struct enforcer_by_signal *by_signal = of(enforcer);
	uint64_t elapsed_ns = nsec_sub(now_ns, by_signal->last_tick_ns);

	if (by_signal->is_dry)
		return;
	if (by_signal->last_tick_ns == 0)
		elapsed_ns = 0;
	if (elapsed_ns > ELAPSED_MAX_NS)
		elapsed_ns = ELAPSED_MAX_NS;
	by_signal->last_tick_ns = now_ns;
	if (now_ns >= by_signal->next_scan_ns)
		scan(by_signal, now_ns);
	bucket_fill(&by_signal->budget, elapsed_ns);
	for (uint32_t i = 0; i < by_signal->n_tasks_max; i++)
		if (by_signal->tasks[i].is_attached)
			tick_task(by_signal, i, elapsed_ns);
	for (uint32_t i = 0; i < by_signal->n_tasks_max; i++)
		if (by_signal->tasks[i].is_attached)
			decide(by_signal, i);
}

/* Grants. */

/* Puts one grant into the bucket. What was saved up for a higher rate is lost with it. */
static void take_grant(struct enforcer_by_signal *by_signal, const struct grant *grant)
{
	struct signal_task *task = &by_signal->tasks[grant->task];
	int64_t size_ns;

	task->bucket.quota_us = grant->quota_us;
	task->bucket.period_us = grant->period_us;
	size_ns = grant->quota_us > 0 ? bucket_size_ns(&task->bucket) : 0;
	if (task->bucket.credit_ns > size_ns)
		task->bucket.credit_ns = size_ns;
	if (grant->quota_us == 0 && task->is_attached && !task->is_stopped && !by_signal->is_dry)
		stop(by_signal, grant->task);
}

/* Compares two rates without rounding. */
static int compare_rates(const struct grant *grant, const struct bucket *bucket)
{
	uint64_t new_rate = grant->quota_us * bucket->period_us;
	uint64_t old_rate = bucket->quota_us * grant->period_us;

	return (new_rate > old_rate) - (new_rate < old_rate);
}

static int signal_apply(struct enforcer *enforcer, const struct grant *grants, size_t n_grants,
	struct enforced *ret_enforced, struct fault *fault)
{
	struct enforcer_by_signal *by_signal = of(enforcer);

	*ret_enforced = (struct enforced){.n_foreign = by_signal->n_foreign};
	if (by_signal->n_foreign > 0)
		(void)fault_set(fault, -EEXIST,
			"a stopped task has run: somebody else has continued it, or it has "
			"processes that were not known yet; stopped again");
	by_signal->n_foreign = 0;
	for (int direction = -1; direction <= 1; direction++)
		for (size_t i = 0; i < n_grants; i++) {
			struct signal_task *task = task_of(enforcer, grants[i].task);

			assert(grants[i].period_us > 0);
			if (compare_rates(&grants[i], &task->bucket) != direction)
				continue;
			if (direction == 0) {
				ret_enforced->n_unchanged++;
				continue;
			}
			take_grant(by_signal, &grants[i]);
			ret_enforced->n_writes++;
		}
	for (size_t i = 0; i < n_grants; i++)
		ret_enforced->n_gone += by_signal->tasks[grants[i].task].is_attached &&
			proctree_count(by_signal->tree, grants[i].task) == 0;
	return 0;
}

static int signal_budget_set(struct enforcer *enforcer, double budget_cpus, struct fault *fault)
{
	struct bucket *budget = &of(enforcer)->budget;
	int64_t size_ns;

	assert(budget_cpus > 0);
	(void)fault;
	budget->period_us = MAX_PERIOD_US;
	budget->quota_us = (uint64_t)floor(budget_cpus * MAX_PERIOD_US + 1e-6);
	size_ns = bucket_size_ns(budget);
	if (budget->credit_ns > size_ns)
		budget->credit_ns = size_ns;
	return 0;
}

/* Places. */

static int signal_task_add(struct enforcer *enforcer, uint32_t task, const char *name,
	const char *scope, struct fault *fault)
{
	(void)scope;
	struct enforcer_by_signal *by_signal = of(enforcer);

	assert(task < by_signal->n_tasks_max && !by_signal->tasks[task].is_used);
	(void)name;
	(void)fault;
	by_signal->tasks[task] = (struct signal_task){
		.is_used = true,
		.is_stopped = true,
		.place = {.cgroup2_fd = -EBADF, .cpu1_fd = -EBADF, .cpuacct_fd = -EBADF},
		.bucket = {.period_us = MAX_PERIOD_US},
	};
	return 0;
}

static int signal_place_left(struct enforcer *enforcer, uint32_t least, struct place_left *ret_left)
{
	(void)enforcer;
	(void)least;
	(void)ret_left;
	return 0;
}

static int signal_task_attach(
	struct enforcer *enforcer, uint32_t task, pid_t pid, struct fault *fault)
{
	struct enforcer_by_signal *by_signal = of(enforcer);
	struct signal_task *of_task = task_of(enforcer, task);
	int r;

	if (proctree_n_missed(by_signal->tree) > 0)
		return fault_set(fault, -EMFILE,
			"the tasks that run have more processes than can be watched (%d, and one "
			"descriptor each: see `ulimit -n`)",
			PROCTREE_MEMBERS_MAX);
	r = proctree_task_add(by_signal->tree, task, pid);
	if (r < 0)
		return fault_errno(fault, r, "watch process %d", (int)pid);
	of_task->is_attached = true;
	of_task->place.pid = pid;
	of_task->is_stopped = false;
	if (!by_signal->is_dry && of_task->bucket.quota_us == 0)
		stop(by_signal, task);
	return 0;
}

static const struct place *signal_task_place(struct enforcer *enforcer, uint32_t task)
{
	return &task_of(enforcer, task)->place;
}

static int signal_task_signal(struct enforcer *enforcer, uint32_t task, int signo)
{
	struct enforcer_by_signal *by_signal = of(enforcer);
	int r;

	if (!task_of(enforcer, task)->is_attached)
		return 0;
	r = proctree_scan(by_signal->tree);
	return r < 0 ? r : proctree_signal(by_signal->tree, task, signo);
}

static int signal_task_is_populated(struct enforcer *enforcer, uint32_t task)
{
	struct enforcer_by_signal *by_signal = of(enforcer);
	int r;

	if (!task_of(enforcer, task)->is_attached)
		return 0;
	r = proctree_scan(by_signal->tree);
	return r < 0 ? r : proctree_count(by_signal->tree, task) > 0;
}

static int signal_task_remove(struct enforcer *enforcer, uint32_t task, struct fault *fault)
{
	static const struct timespec pause = {.tv_nsec = REMOVE_PAUSE_NS};
	struct enforcer_by_signal *by_signal = of(enforcer);
	uint64_t waited_ns = 0;
	int r = 0;

	/* A look may find what was forked before the signal: until none is found. */
	while ((r = signal_task_is_populated(enforcer, task)) == 1 && waited_ns < REMOVE_NS) {
		(void)proctree_signal(by_signal->tree, task, SIGKILL);
		(void)nanosleep(&pause, NULL);
		waited_ns += REMOVE_PAUSE_NS;
	}
	if (r == 1) /* still ours: close() tries again */
		return fault_set(fault, -EBUSY,
			"processes of the task were killed but have not ended within a second");
	if (by_signal->tasks[task].is_attached)
		proctree_task_remove(by_signal->tree, task);
	by_signal->tasks[task] = (struct signal_task){.is_used = false};
	return r < 0 ? fault_errno(fault, r, "look for processes in /proc") : 0;
}

static int signal_task_let_go(struct enforcer *enforcer, uint32_t task, struct fault *fault)
{
	struct enforcer_by_signal *by_signal = of(enforcer);
	int r = 0;

	assert(by_signal->tasks[task].is_used);
	if (by_signal->tasks[task].is_attached) {
		r = proctree_signal(by_signal->tree, task, SIGCONT);
		proctree_task_remove(by_signal->tree, task);
	}
	by_signal->tasks[task] = (struct signal_task){.is_used = false};
	return r < 0 ? fault_errno(fault, r, "continue the task's processes") : 0;
}

/* It has no places that outlive it: the processes are all that there is. What they have used so far was
 * another's to hold back; as a debt it would keep a training of an hour from running for hours. */
static int signal_task_adopt(struct enforcer *enforcer, uint32_t task, const char *name,
	const char *scope, pid_t pid, struct fault *fault)
{
	struct enforcer_by_signal *by_signal = of(enforcer);
	int r;

	if (pid == 0)
		return fault_set(
			fault, -ENOENT, "task %s: signals leave no group to take over", name);
	(void)signal_task_add(enforcer, task, name, scope, fault);
	r = signal_task_attach(enforcer, task, pid, fault);
	if (r == -ESRCH)
		return 1;
	if (r == 0) {
		r = proctree_scan(by_signal->tree);
		if (r < 0)
			(void)fault_errno(fault, r, "look for processes in /proc");
	}
	if (r < 0) {
		(void)signal_task_let_go(enforcer, task, /* fault= */ NULL);
		return r;
	}
	by_signal->tasks[task].charged_ns = proctree_cpu_ns(by_signal->tree, task);
	return 0;
}

/* The whole. */

static int signal_probe(const struct enforcer_setup *setup, struct fault *fault)
{
	_cleanup_close_ int fd = process_open(getpid());
	struct process process;
	int r;

	if (fd < 0)
		return fault_errno(fault, fd, "open /proc/self; is /proc mounted?");
	r = process_read(fd, &process);
	if (r == 0)
		r = process_signal(fd, 0);
	if (r < 0)
		return fault_errno(fault, r, "pidfd_send_signal (Linux 5.1 or later is needed)");
	if (setup->task_uid != geteuid() && geteuid() != 0)
		return fault_set(fault, -EPERM,
			"signals to processes of user %" PRIu32 " are not ours to send",
			(uint32_t)setup->task_uid);
	return 0;
}

static struct enforcer *signal_close(struct enforcer *enforcer)
{
	struct enforcer_by_signal *by_signal = of(enforcer);

	if (!enforcer)
		return NULL;
	for (uint32_t i = 0; by_signal->tasks && i < by_signal->n_tasks_max; i++)
		if (by_signal->tasks[i].is_used)
			(void)signal_task_remove(enforcer, i, NULL);
	by_signal->tree = proctree_free(by_signal->tree);
	free(by_signal->tasks);
	free(by_signal);
	return NULL;
}

static int signal_open(
	struct enforcer **ret_enforcer, const struct enforcer_setup *setup, struct fault *fault)
{
	struct enforcer_by_signal *by_signal = calloc(1, sizeof(*by_signal));
	int r;

	if (!by_signal)
		return fault_errno(fault, -ENOMEM, "open the enforcer");
	by_signal->enforcer = (struct enforcer){
		.ops = &enforcer_signal,
		.limits = {.min_quota_us = MIN_QUOTA_US,
			.min_period_us = MIN_PERIOD_US,
			.max_period_us = MAX_PERIOD_US},
		.guarantee = setup->is_dry ? GUARANTEE_NONE : GUARANTEE_COOPERATIVE,
		.tick_ns = setup->is_dry ? 0 : TICK_NS,
	};
	by_signal->is_dry = setup->is_dry;
	by_signal->n_tasks_max = setup->n_tasks_max;
	(void)signal_budget_set(&by_signal->enforcer, setup->budget_cpus, NULL);
	by_signal->tasks = calloc(
		setup->n_tasks_max > 0 ? setup->n_tasks_max : 1, sizeof(*by_signal->tasks));
	r = by_signal->tasks ? proctree_new(&by_signal->tree, setup->n_tasks_max, fault)
			     : fault_errno(fault, -ENOMEM, "open the enforcer");
	if (r < 0) {
		(void)signal_close(&by_signal->enforcer);
		return r;
	}
	*ret_enforcer = &by_signal->enforcer;
	return 0;
}

const struct enforcer_ops enforcer_signal = {
	.name = "signal",
	.probe = signal_probe,
	.open = signal_open,
	.task_add = signal_task_add,
	.task_adopt = signal_task_adopt,
	.place_left = signal_place_left,
	.task_attach = signal_task_attach,
	.task_place = signal_task_place,
	.task_signal = signal_task_signal,
	.task_is_populated = signal_task_is_populated,
	.task_remove = signal_task_remove,
	.task_let_go = signal_task_let_go,
	.budget_set = signal_budget_set,
	.apply = signal_apply,
	.tick = signal_tick,
	.close = signal_close,
};
