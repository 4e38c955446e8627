// SPDX-License-Identifier: GPL-2.0-or-later
#include "stand.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "../unit/suite.h"
#include "cgroup.h"
#include "nsec.h"

struct stand stand;

static struct enforcer_setup setup_with(double budget_cpus)
{
	return (struct enforcer_setup){
		.run = stand.run,
		.n_tasks_max = STAND_N_TASKS,
		.budget_cpus = budget_cpus,
		.capacity_cpus = 2,
		.task_uid = getuid(),
	};
}

static void open_enforcer(const struct enforcer_setup *setup)
{
	stand.fault = FAULT_INIT;
	ck_assert_msg(stand.kind->enforcer->open(&stand.enforcer, setup, &stand.fault) == 0,
		"open: %s", stand.fault.text);
}

static void open_meter(void)
{
	ck_assert_msg(meter_cgroup.open(&stand.meter, STAND_N_TASKS, &stand.fault) == 0, "open: %s",
		stand.fault.text);
}

void stand_open(double budget_cpus)
{
	struct enforcer_setup setup = setup_with(budget_cpus);

	open_enforcer(&setup);
	open_meter();
}

void stand_close(void)
{
	if (stand.meter)
		stand.meter = stand.meter->ops->close(stand.meter);
	if (stand.enforcer)
		stand.enforcer = stand.enforcer->ops->close(stand.enforcer);
}

void stand_add(uint32_t task, struct busy process)
{
	const struct enforcer_ops *ops = stand.enforcer->ops;
	struct fault *fault = &stand.fault;

	stand.busy[task] = process;
	ck_assert_msg(ops->task_add(stand.enforcer, task, "tasks", /* scope= */ NULL, fault) == 0,
		"add: %s", fault->text);
	ck_assert_msg(ops->task_attach(stand.enforcer, task, process.pid, fault) == 0, "attach: %s",
		fault->text);
	ck_assert_msg(stand.meter->ops->task_add(
			      stand.meter, task, ops->task_place(stand.enforcer, task), fault) == 0,
		"meter: %s", fault->text);
	busy_release(&stand.busy[task]);
}

struct grant stand_grant(uint32_t task, double cpus)
{
	return (struct grant){
		.task = task,
		.period_us = STAND_PERIOD_US,
		.quota_us = (uint64_t)(cpus * STAND_PERIOD_US + 0.5),
	};
}

struct enforced stand_apply(const struct grant grants[], size_t n)
{
	struct enforced enforced;
	int r = stand.enforcer->ops->apply(stand.enforcer, grants, n, &enforced, &stand.fault);

	ck_assert_msg(r == 0, "apply: %s", stand.fault.text);
	return enforced;
}

int stand_budget(double cpus)
{
	return stand.enforcer->ops->budget_set(stand.enforcer, cpus, &stand.fault);
}

int stand_signal(uint32_t task, int signo)
{
	return stand.enforcer->ops->task_signal(stand.enforcer, task, signo);
}

int stand_is_populated(uint32_t task)
{
	return stand.enforcer->ops->task_is_populated(stand.enforcer, task);
}

void stand_remove(uint32_t task)
{
	ck_assert_msg(stand.enforcer->ops->task_remove(stand.enforcer, task, &stand.fault) == 0,
		"remove: %s", stand.fault.text);
}

uint64_t stand_used_ns(uint32_t task)
{
	struct meter_reading reading;

	stand.meter->ops->refresh(stand.meter);
	ck_assert_int_eq(stand.meter->ops->read(stand.meter, task, &reading), 0);
	return reading.cpu_ns;
}

double stand_use_over(uint32_t task, uint64_t span_ns)
{
	uint64_t from_ns = busy_clock_ns(), used = stand_used_ns(task);

	busy_sleep_until(from_ns + span_ns);
	return (double)(stand_used_ns(task) - used) / (double)(busy_clock_ns() - from_ns);
}

bool stand_is_used_soon(uint32_t task, uint64_t cpu_ns)
{
	const uint64_t deadline_ns = busy_clock_ns() + 30 * NSEC_PER_SEC;

	while (stand_used_ns(task) < cpu_ns) {
		if (busy_clock_ns() > deadline_ns)
			return false;
		busy_sleep_until(busy_clock_ns() + NSEC_PER_MSEC);
	}
	return true;
}

static void assert_quota(uint32_t task, uint64_t quota_us, uint32_t period_us)
{
	struct quota quota = stand.kind->read_quota(task);

	ck_assert_uint_eq(quota.quota_us, quota_us);
	ck_assert_uint_eq(quota.period_us, period_us);
}

/* A test that failed ran no teardown. */
static void setup(void)
{
	ck_assert_int_ge(cgroup_run_end(stand.run, &stand.fault), 0);
	if (stand.kind->clear)
		stand.kind->clear();
}

static void teardown(void)
{
	stand_close();
	for (int i = 0; i < STAND_N_TASKS; i++)
		busy_end(&stand.busy[i]);
	stand.kind->assert_no_groups();
}

START_TEST(nothing_runs_before_the_first_grant)
{
	stand_open(1);
	stand_add(0, busy_start());
	ck_assert_uint_lt(stand_used_ns(0), 20 * NSEC_PER_MSEC);
	ck_assert(stand_use_over(0, 200 * NSEC_PER_MSEC) < 0.001);
	stand_apply((struct grant[]){stand_grant(0, 0.5)}, 1);
	ck_assert(stand_is_used_soon(0, 20 * NSEC_PER_MSEC));
}
END_TEST

/* Only too much is an error: another load may take what is theirs. */
START_TEST(shares_hold_and_the_parent_holds_the_budget)
{
	const struct grant grants[] = {stand_grant(0, 0.3), stand_grant(1, 0.1), stand_grant(2, 0)};
	uint64_t from_ns, used[3], span_ns;
	double cpus[3];

	stand_open(0.4);
	for (uint32_t i = 0; i < 3; i++)
		stand_add(i, busy_start());
	ck_assert_uint_eq(stand_apply(grants, 3).n_unchanged, 1); /* the frozen one */
	from_ns = busy_clock_ns();
	for (uint32_t i = 0; i < 3; i++)
		used[i] = stand_used_ns(i);
	for (int slot = 1; slot <= 10; slot++) {
		busy_sleep_until(from_ns + (uint64_t)slot * 200 * NSEC_PER_MSEC);
		ck_assert_uint_eq(stand_apply(grants, 3).n_writes, 0);
		ck_assert_int_eq(stand_budget(0.4), 0);
	}
	span_ns = busy_clock_ns() - from_ns;
	for (uint32_t i = 0; i < 3; i++) {
		cpus[i] = (double)(stand_used_ns(i) - used[i]) / (double)span_ns;
		ck_assert_msg(cpus[i] < stand.kind->most_cpus[i], "%u: %g", i, cpus[i]);
	}
	ck_assert_msg(cpus[0] + cpus[1] < 0.43, "0.4: %g", cpus[0] + cpus[1]);
	ck_assert(stand_is_used_soon(0, 100 * NSEC_PER_MSEC) &&
		stand_is_used_soon(1, 30 * NSEC_PER_MSEC));
}
END_TEST

START_TEST(removal_ends_what_is_frozen)
{
	stand_open(1);
	stand_add(0, busy_start_tree(2));
	stand.meter->ops->task_remove(stand.meter, 0);
	stand_remove(0);
	ck_assert(busy_is_dead(&stand.busy[0]));
	busy_end(&stand.busy[0]);
	/* Its number is free again. */
	stand_add(0, busy_start());
}
END_TEST

START_TEST(a_stranger_is_reported_and_left_alone)
{
	const struct grant grants[] = {stand_grant(0, 0.3), stand_grant(1, 0.1)};
	const uint64_t budget_us = _i == 0 ? 90000 : QUOTA_UNLIMITED;
	uint32_t n_foreign = 0;

	stand_open(1);
	stand_add(0, busy_start());
	stand_add(1, busy_start());
	stand_apply(grants, 2);
	stand.kind->write_quota(1, (struct quota){7000, STAND_PERIOD_US});
	stand.kind->write_quota(STAND_RUN, (struct quota){budget_us, 100000});
	for (int slot = 0; slot < 2 * STAND_N_TASKS; slot++) {
		struct enforced enforced = stand_apply(grants, 2);

		n_foreign += enforced.n_foreign;
		ck_assert_uint_eq(enforced.n_writes, 0);
	}
	ck_assert_uint_eq(n_foreign, 2);
	assert_quota(1, 7000, STAND_PERIOD_US);
	assert_quota(STAND_RUN, budget_us, 100000);
	stand_apply((struct grant[]){stand_grant(1, 0.2)}, 1);
	assert_quota(1, 4000, STAND_PERIOD_US);
	ck_assert_int_eq(stand_budget(0.6), 0);
	assert_quota(STAND_RUN, 60000, 100000);
	/* Seen or not: whoever sets it, sets it, to the same as well. */
	stand.kind->write_quota(STAND_RUN, (struct quota){budget_us, 100000});
	ck_assert_int_eq(stand_budget(0.6), 0);
	assert_quota(STAND_RUN, 60000, 100000);
	for (int slot = 0; slot < 2 * STAND_N_TASKS; slot++)
		ck_assert_uint_eq(stand_apply(grants, 2).n_foreign, 0);
}
END_TEST

/* Where a round is over, the budget is looked at in the same slot as the first task. */
START_TEST(a_strangers_budget_is_told_of_after_his_quota)
{
	const struct grant grant = stand_grant(0, 0.3);
	uint32_t n_foreign = 0, n_told[2] = {0};

	stand_open(1);
	stand_add(0, busy_start());
	stand_apply(&grant, 1);
	stand.kind->write_quota(0, (struct quota){7000, STAND_PERIOD_US});
	stand.kind->write_quota(STAND_RUN, (struct quota){90000, 100000});
	for (int slot = 0; slot < 4; slot++) {
		struct enforced enforced = stand_apply(&grant, 1);

		n_foreign += enforced.n_foreign;
		n_told[0] += enforced.n_foreign > 0 && strstr(stand.fault.text, "its group");
		n_told[1] += enforced.n_foreign > 0 && strstr(stand.fault.text, "set the budget");
	}
	ck_assert_uint_eq(n_foreign, 2);
	ck_assert_uint_eq(n_told[0], 1);
	ck_assert_uint_eq(n_told[1], 1);
}
END_TEST

START_TEST(a_foreign_thaw_is_seen)
{
	uint32_t n_foreign = 0;

	stand_open(1);
	stand_add(0, busy_start());
	stand.kind->thaw(0);
	for (int slot = 0; slot < STAND_N_TASKS; slot++)
		n_foreign += stand_apply((struct grant[]){stand_grant(0, 0)}, 1).n_foreign;
	ck_assert_uint_eq(n_foreign, 1);
}
END_TEST

/* Who owns the groups may move itself out of one; neither quota nor meter see it there. */
START_TEST(a_stray_is_put_back)
{
	const struct grant grant = stand_grant(0, 0.5);
	uint64_t now_ns = busy_clock_ns();

	stand_open(1);
	ck_assert_uint_gt(stand.enforcer->tick_ns, 0);
	stand_add(0, busy_start());
	(void)stand_apply(&grant, 1);
	stand.enforcer->ops->tick(stand.enforcer, now_ns);
	ck_assert_uint_eq(stand_apply(&grant, 1).n_foreign, 0);

	stand.kind->let_out(stand.busy[0].pid);
	ck_assert_int_eq(stand_is_populated(0), 0);

	/* Later than any pause between two looks. */
	stand.enforcer->ops->tick(stand.enforcer, now_ns + 3600 * NSEC_PER_SEC);
	ck_assert_int_eq(stand_is_populated(0), 1);
	ck_assert_uint_eq(stand_apply(&grant, 1).n_foreign, 1);
	ck_assert_ptr_nonnull(strstr(stand.fault.text, "put back"));
	ck_assert_uint_eq(stand_apply(&grant, 1).n_foreign, 0);
}
END_TEST

/* Both are seen in the same slot. */
START_TEST(a_stray_is_told_of_after_a_stranger)
{
	const struct grant grant = stand_grant(0, 0.5);

	stand_open(1);
	stand_add(0, busy_start());
	(void)stand_apply(&grant, 1);
	stand.kind->write_quota(0, (struct quota){7000, STAND_PERIOD_US});
	stand.kind->let_out(stand.busy[0].pid);
	stand.enforcer->ops->tick(stand.enforcer, busy_clock_ns());
	ck_assert_uint_eq(stand_apply(&grant, 1).n_foreign, 1);
	ck_assert_ptr_nonnull(strstr(stand.fault.text, "somebody else set its group"));
	ck_assert_uint_eq(stand_apply(&grant, 1).n_foreign, 1);
	ck_assert_ptr_nonnull(strstr(stand.fault.text, "put back"));
	ck_assert_uint_eq(stand_apply(&grant, 1).n_foreign, 0);
}
END_TEST

/* Where the kernel refuses a child above its parent, the budget falls after the grants and rises
 * before them, and what a frozen task has kept must not be in the way. */
START_TEST(the_budget_changes)
{
	stand_open(1);
	stand_add(0, busy_start());
	stand_add(1, busy_start());
	stand_apply((struct grant[]){stand_grant(0, 1), stand_grant(1, 0)}, 2);
	stand_apply((struct grant[]){stand_grant(0, 0), stand_grant(1, 0.2)}, 2);
	assert_quota(0, STAND_PERIOD_US, STAND_PERIOD_US);
	ck_assert_msg(stand_budget(0.25) == 0, "%s", stand.fault.text);
	assert_quota(STAND_RUN, 25000, 100000);
	if (stand.kind->is_child_below)
		ck_assert_uint_le(stand.kind->read_quota(0).quota_us, STAND_PERIOD_US / 4);
	assert_quota(1, STAND_PERIOD_US / 5, STAND_PERIOD_US);
	ck_assert_int_eq(stand_budget(2), 0);
	stand_apply((struct grant[]){stand_grant(0, 1), stand_grant(1, 1)}, 2);
	/* To a budget whose parent needs another period, and back. */
	stand_apply((struct grant[]){stand_grant(0, 0), stand_grant(1, 0)}, 2);
	ck_assert_msg(stand_budget(0.005) == 0, "%s", stand.fault.text);
	assert_quota(STAND_RUN, 5000, 1000000);
	if (stand.kind->is_child_below)
		ck_assert_uint_eq(stand.kind->read_quota(0).period_us, 200000);
}
END_TEST

START_TEST(small_budgets)
{
	stand_open(0.005);
	stand_add(0, busy_start());
	assert_quota(STAND_RUN, 5000, 1000000);
	ck_assert_int_eq(stand_budget(0.5), 0);
	assert_quota(STAND_RUN, 50000, 100000);
	ck_assert_int_eq(stand_budget(0.0001), -ERANGE);
}
END_TEST

/* Somebody kills the task and removes its groups between two slots. */
START_TEST(a_task_vanishes_under_our_hands)
{
	const struct grant grants[] = {stand_grant(0, 0.3), stand_grant(1, 0.1)};
	const struct grant more[] = {stand_grant(0, 0.2), stand_grant(1, 0.5)};
	uint32_t n_gone = 0;

	stand_open(1);
	stand_add(0, busy_start());
	stand_add(1, busy_start());
	stand_apply(grants, 2);
	busy_end(&stand.busy[0]);
	stand_apply(grants, 2); /* dead, its groups are still there: nothing to notice */
	stand.kind->remove_groups(0);
	for (int slot = 0; slot < STAND_N_TASKS; slot++)
		n_gone += stand_apply(more, 2).n_gone;
	ck_assert_uint_eq(n_gone, 1);
	assert_quota(1, STAND_PERIOD_US / 2, STAND_PERIOD_US);
	ck_assert_int_eq(stand_is_populated(0), 0);
	stand_remove(0);
}
END_TEST

START_TEST(attaching_the_dead_says_so)
{
	struct busy dead = busy_start();
	const struct enforcer_ops *ops = stand.kind->enforcer;
	pid_t pid = dead.pid;

	stand_open(1);
	ck_assert_int_eq(
		ops->task_add(stand.enforcer, 0, "dead", /* scope= */ NULL, &stand.fault), 0);
	busy_end(&dead);
	ck_assert_int_eq(ops->task_attach(stand.enforcer, 0, pid, &stand.fault), -ESRCH);
	ck_assert_ptr_nonnull(strstr(stand.fault.text, "0-dead"));
}
END_TEST

START_TEST(a_dry_run_limits_nothing)
{
	struct enforcer_setup dry = setup_with(0.1);

	dry.is_dry = true;
	open_enforcer(&dry);
	open_meter();
	ck_assert_int_eq(stand.enforcer->guarantee, GUARANTEE_NONE);
	stand_add(0, busy_start());
	stand_apply((struct grant[]){stand_grant(0, 0)}, 1);
	assert_quota(STAND_RUN, QUOTA_UNLIMITED, 100000);
	assert_quota(0, QUOTA_UNLIMITED, 100000);
	ck_assert(stand_is_used_soon(0, 20 * NSEC_PER_MSEC));
}
END_TEST

START_TEST(the_guarantee_depends_on_the_user)
{
	struct enforcer_setup other = setup_with(1);

	other.task_uid = 12345;
	open_enforcer(&other);
	ck_assert_int_eq(stand.enforcer->guarantee, GUARANTEE_KERNEL);
	stand_close();
	other.task_uid = getuid();
	open_enforcer(&other);
	ck_assert_int_eq(stand.enforcer->guarantee, GUARANTEE_COOPERATIVE);
}
END_TEST

/* By the scheduler's own account, whatever group it is in. */
static uint64_t ran_ns(const struct busy *busy)
{
	char path[64];
	unsigned long long ns = 0;
	FILE *file;

	(void)snprintf(path, sizeof(path), "/proc/%d/schedstat", (int)busy->pid);
	file = fopen(path, "re");
	ck_assert_ptr_nonnull(file);
	ck_assert_int_eq(fscanf(file, "%llu", &ns), 1);
	(void)fclose(file);
	return ns;
}

START_TEST(who_is_let_go_runs_on_under_the_budget)
{
	uint64_t from_ns, ran[2];
	double cpus;

	stand_open(0.4);
	stand_add(0, busy_start()); /* frozen: never had a grant */
	stand_add(1, busy_start());
	stand_add(2, busy_start());
	stand_apply((struct grant[]){stand_grant(1, 0.1), stand_grant(2, 0.1)}, 2);
	for (uint32_t task = 0; task < 2; task++) {
		stand.meter->ops->task_remove(stand.meter, task);
		ck_assert_msg(
			stand.enforcer->ops->task_let_go(stand.enforcer, task, &stand.fault) == 0,
			"%s", stand.fault.text);
	}
	stand_close();
	ck_assert(busy_is_dead(&stand.busy[2])); /* that was not let go */
	from_ns = busy_clock_ns();
	ran[0] = ran_ns(&stand.busy[0]);
	ran[1] = ran_ns(&stand.busy[1]);
	busy_sleep_until(from_ns + 2 * NSEC_PER_SEC);
	cpus = (double)(ran_ns(&stand.busy[0]) + ran_ns(&stand.busy[1]) - ran[0] - ran[1]) /
		(double)(busy_clock_ns() - from_ns);
	ck_assert_msg(cpus < 0.46, "%g of 0.4 CPUs", cpus);
	for (int i = 0; i < 2; i++) {
		const uint64_t until_ns = busy_clock_ns() + 30 * NSEC_PER_SEC;

		while (ran_ns(&stand.busy[i]) < ran[i] + 50 * NSEC_PER_MSEC) {
			ck_assert_uint_lt(busy_clock_ns(), until_ns);
			busy_sleep_until(busy_clock_ns() + NSEC_PER_MSEC);
		}
	}
	/* What was above them was in use until now, and nobody has put it back. */
	ck_assert_int_gt(cgroup_run_end(stand.run, &stand.fault), 0);
	if (stand.kind->clear)
		stand.kind->clear();
}
END_TEST

/* What a governor that is killed leaves: task 0 with 0.3 CPUs, task 1 frozen. */
static void leave_tasks(const struct enforcer_setup *setup)
{
	const struct grant grants[] = {stand_grant(0, 0.3), stand_grant(1, 0)};
	const pid_t pid = fork();
	int status;

	ck_assert_int_ge(pid, 0);
	if (pid > 0) {
		ck_assert_int_eq(waitpid(pid, &status, 0), pid);
		ck_assert_int_eq(status, SIGKILL); /* it came to its end */
		return;
	}
	if (stand.kind->enforcer->open(&stand.enforcer, setup, &stand.fault) < 0)
		_exit(1);
	for (uint32_t i = 0; i < 2; i++)
		if (stand.enforcer->ops->task_add(
			    stand.enforcer, i, "tasks", /* scope= */ NULL, NULL) < 0 ||
			stand.enforcer->ops->task_attach(
				stand.enforcer, i, stand.busy[i].pid, NULL) < 0)
			_exit(2);
	(void)stand_apply(grants, 2);
	(void)raise(SIGKILL); /* and not stand_close() */
}

static int adopt(uint32_t task)
{
	return stand.enforcer->ops->task_adopt(stand.enforcer, task, "tasks", /* scope= */ NULL,
		stand.busy[task].pid, &stand.fault);
}

START_TEST(another_governor_takes_over)
{
	const struct grant grants[] = {stand_grant(0, 0.1), stand_grant(1, 0.3)};
	struct enforcer_setup setup = setup_with(1);
	struct place_left left;
	double used;

	setup.is_apart = true;
	stand.busy[0] = busy_start();
	stand.busy[1] = busy_start();
	leave_tasks(&setup);
	busy_release(&stand.busy[0]);
	busy_release(&stand.busy[1]);

	setup.takes_over = true;
	setup.budget_cpus = 0.5;
	open_enforcer(&setup);
	open_meter();
	ck_assert_int_eq(stand.enforcer->ops->place_left(stand.enforcer, 0, &left), 1);
	ck_assert_uint_eq(left.task, 0);
	ck_assert_str_eq(left.name, "tasks");
	ck_assert_int_eq(left.pid, stand.busy[0].pid);
	ck_assert_int_eq(stand.enforcer->ops->place_left(stand.enforcer, 1, &left), 1);
	ck_assert_int_eq(left.pid, stand.busy[1].pid);
	ck_assert_int_eq(stand.enforcer->ops->place_left(stand.enforcer, 2, &left), 0);
	for (uint32_t i = 0; i < 2; i++) {
		ck_assert_msg(adopt(i) == 0, "adopt: %s", stand.fault.text);
		ck_assert_int_eq(
			stand.meter->ops->task_add(stand.meter, i,
				stand.enforcer->ops->task_place(stand.enforcer, i), &stand.fault),
			0);
	}
	ck_assert_int_eq(adopt(2), -ENOENT);
	/* All as it was. */
	assert_quota(STAND_RUN, 100000, 100000);
	assert_quota(0, (uint64_t)(0.3 * STAND_PERIOD_US + 0.5), STAND_PERIOD_US);
	used = stand_use_over(0, NSEC_PER_SEC);
	ck_assert_msg(used > 0 && used < stand.kind->most_cpus[0], "%g CPUs", used);
	ck_assert_uint_lt(stand_used_ns(1), NSEC_PER_MSEC);

	ck_assert_int_eq(stand_budget(0.5), 0);
	assert_quota(STAND_RUN, 50000, 100000);
	(void)stand_apply(grants, 2);
	ck_assert(stand_is_used_soon(1, 30 * NSEC_PER_MSEC));
	stand_remove(0);
	ck_assert(busy_is_dead(&stand.busy[0]));
	ck_assert_int_eq(waitpid(stand.busy[1].pid, NULL, WNOHANG), 0);
	/* The leaf of one that was killed stays for the next. */
	stand_close();
	if (stand.kind->clear)
		stand.kind->clear();
}
END_TEST

START_TEST(a_dead_run_is_found_and_ended)
{
	struct fault *fault = &stand.fault;
	char(*runs)[RUN_NAME_MAX];
	size_t n_runs;
	bool is_found = false;

	stand_open(1);
	stand_add(0, busy_start_tree(2)); /* frozen: never had a grant */
	stand_add(1, busy_start());
	stand_apply((struct grant[]){stand_grant(1, 0.1)}, 1);
	ck_assert_msg(cgroup_runs(&runs, &n_runs, fault) == 0, "%s", fault->text);
	for (size_t i = 0; i < n_runs; i++)
		is_found = is_found || strcmp(runs[i], stand.run) == 0;
	free(runs);
	ck_assert(is_found);
	ck_assert_int_eq(cgroup_run_is_held(stand.run, fault), 1);
	ck_assert_int_gt(cgroup_run_end(stand.run, fault), 0);
	ck_assert(busy_is_dead(&stand.busy[0]));
	ck_assert(busy_is_dead(&stand.busy[1]));
	ck_assert_int_eq(cgroup_run_end(stand.run, fault), 0);
	ck_assert_int_eq(cgroup_run_end("..", fault), -EINVAL);
}
END_TEST

TCase *stand_case(Suite *suite, const char *name)
{
	TCase *tcase = tcase_create(name);

	tcase_add_checked_fixture(tcase, setup, teardown);
	tcase_set_timeout(tcase, 60);
	suite_add_tcase(suite, tcase);
	return tcase;
}

static Suite *make_suite(void)
{
	Suite *suite = suite_create(stand.kind->name);
	TCase *tcase = stand_case(suite, "real");

	tcase_add_test(tcase, nothing_runs_before_the_first_grant);
	tcase_add_test(tcase, shares_hold_and_the_parent_holds_the_budget);
	tcase_add_test(tcase, removal_ends_what_is_frozen);
	tcase_add_loop_test(tcase, a_stranger_is_reported_and_left_alone, 0, 2);
	tcase_add_test(tcase, a_strangers_budget_is_told_of_after_his_quota);
	tcase_add_test(tcase, a_foreign_thaw_is_seen);
	tcase_add_test(tcase, a_stray_is_put_back);
	tcase_add_test(tcase, a_stray_is_told_of_after_a_stranger);
	tcase_add_test(tcase, the_budget_changes);
	tcase_add_test(tcase, small_budgets);
	tcase_add_test(tcase, a_task_vanishes_under_our_hands);
	tcase_add_test(tcase, attaching_the_dead_says_so);
	tcase_add_test(tcase, a_dry_run_limits_nothing);
	tcase_add_test(tcase, the_guarantee_depends_on_the_user);
	tcase_add_test(tcase, who_is_let_go_runs_on_under_the_budget);
	tcase_add_test(tcase, another_governor_takes_over);
	tcase_add_test(tcase, a_dead_run_is_found_and_ended);
	stand.kind->add_tests(suite, tcase);
	return suite;
}

int stand_main(const struct stand_kind *kind)
{
	struct enforcer_setup probe;
	int r;

	stand.kind = kind;
	if (run_name_make(stand.run, &stand.fault) < 0)
		return EXIT_FAILURE;
	probe = setup_with(1);
	r = kind->enforcer->probe(&probe, &stand.fault);
	if (r == 0 && kind->prepare)
		r = kind->prepare(&stand.fault);
	if (r < 0) {
		printf("1..0 # SKIP %s\n", stand.fault.text);
		return EXIT_SUCCESS;
	}
	r = suite_run(make_suite());
	if (cgroup_run_end(stand.run, &stand.fault) != 0)
		fprintf(stderr, "ended what a test had left behind\n");
	return r;
}
