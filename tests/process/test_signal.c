// SPDX-License-Identifier: GPL-2.0-or-later
#include "enforcer.h"

#include <inttypes.h>
#include <sys/resource.h>

#include "../unit/suite.h"
#include "crew.h"
#include "meter.h"

/* The signal enforcer and the meter without groups, on real processes that burn CPU. How fast a
 * task may go is asserted against the time that has really passed and the ticks that were really
 * late; how slow it may go depends on who else is on the machine, so that it only has to get there
 * in the end. The grants are small, so that a busy machine cannot hide that nothing is limited. */

#define BUSY "while :; do :; done"
#define SLACK_NS (25 * NSEC_PER_MSEC) /* a tick beyond nothing, and the kernel's clocks */

static struct crew crew;
static struct enforcer *enforcer;
static struct meter *meter;
static uint64_t last_tick_ns, longest_gap_ns;

static void open_enforcer(bool is_dry)
{
	struct enforcer_setup setup = {
		.run = crew.run,
		.n_tasks_max = 4,
		.budget_cpus = 1.5,
		.capacity_cpus = 2,
		.is_dry = is_dry,
		.task_uid = geteuid(),
	};
	struct fault fault = FAULT_INIT;

	ck_assert_msg(enforcer_signal.probe(&setup, &fault) == 0, "%s", fault.text);
	ck_assert_msg(enforcer_signal.open(&enforcer, &setup, &fault) == 0, "%s", fault.text);
	ck_assert_msg(meter_proc.probe(enforcer, &fault) == 0, "%s", fault.text);
	ck_assert_msg(meter_proc.open(&meter, 4, &fault) == 0, "%s", fault.text);
	last_tick_ns = longest_gap_ns = 0;
}

static void set_up(void)
{
	crew_start(&crew);
	open_enforcer(/* is_dry= */ false);
}

static void tear_down(void)
{
	meter = meter_proc.close(meter);
	enforcer = enforcer_signal.close(enforcer);
	crew.keeper = keeper_stop(crew.keeper);
}

/* Starts a script as a task, released, without a grant. */
static pid_t add_task(uint32_t task, const char *script)
{
	char *argv[] = {(char *)"sh", (char *)"-c", (char *)script, NULL};
	struct launch launch = crew_launch(argv, STDERR_FILENO);
	struct fault fault = FAULT_INIT;
	struct launched launched;

	ck_assert_int_eq(
		enforcer_signal.task_add(enforcer, task, "busy", /* scope= */ NULL, &fault), 0);
	launched = crew_spawn(&crew, &launch);
	close(launched.pidfd);
	ck_assert_msg(enforcer_signal.task_attach(enforcer, task, launched.pid, &fault) == 0, "%s",
		fault.text);
	ck_assert_int_eq(meter_proc.task_add(
				 meter, task, enforcer_signal.task_place(enforcer, task), &fault),
		0);
	ck_assert_int_eq(keeper_release(crew.keeper, launched.pid, NULL), 0);
	return launched.pid;
}

static struct enforced grant(uint32_t task, uint64_t quota_us)
{
	struct grant grants[] = {{.task = task, .quota_us = quota_us, .period_us = 100000}};
	struct enforced enforced;

	ck_assert_int_eq(enforcer_signal.apply(enforcer, grants, 1, &enforced, NULL), 0);
	return enforced;
}

/* One tick, some milliseconds after the one before. */
static uint64_t tick(void)
{
	uint64_t now_ns;

	crew_pause();
	crew_pause();
	now_ns = crew_now_ns();
	if (last_tick_ns > 0 && now_ns - last_tick_ns > longest_gap_ns)
		longest_gap_ns = now_ns - last_tick_ns;
	last_tick_ns = now_ns;
	enforcer_signal.tick(enforcer, now_ns);
	return now_ns;
}

static void tick_for(uint64_t span_ns)
{
	uint64_t end_ns = crew_now_ns() + span_ns;

	while (crew_now_ns() < end_ns)
		tick();
}

static uint64_t used_ns(uint32_t task)
{
	struct meter_reading reading;

	meter_proc.refresh(meter);
	ck_assert_int_eq(meter_proc.read(meter, task, &reading), 0);
	return reading.cpu_ns;
}

START_TEST(two_tasks_get_what_they_are_granted)
{
	static const uint64_t quota_us[] = {4000, 8000}; /* of 100 ms */
	uint64_t begin_ns, goal_ns = 250 * NSEC_PER_MSEC;

	add_task(0, BUSY);
	add_task(1, BUSY);
	tick();
	begin_ns = last_tick_ns;
	grant(0, quota_us[0]);
	ck_assert_uint_eq(grant(1, quota_us[1]).n_writes, 1);
	ck_assert_uint_eq(grant(1, quota_us[1]).n_unchanged, 1);
	for (uint64_t deadline_ns = 0; crew_waits(&deadline_ns);) {
		uint64_t elapsed_ns, cpu_ns[2];

		tick_for(50 * NSEC_PER_MSEC);
		elapsed_ns = last_tick_ns - begin_ns;
		for (uint32_t i = 0; i < 2; i++) {
			cpu_ns[i] = used_ns(i);
			ck_assert_uint_le(cpu_ns[i],
				elapsed_ns * quota_us[i] / 100000 + longest_gap_ns + SLACK_NS);
		}
		if (cpu_ns[0] < goal_ns / 2 || cpu_ns[1] < goal_ns)
			continue;
		printf("# granted 0.04 and 0.08, used %.3f and %.3f CPUs in %.2f s\n",
			(double)cpu_ns[0] / (double)elapsed_ns,
			(double)cpu_ns[1] / (double)elapsed_ns, nsec_to_seconds(elapsed_ns));
		return;
	}
}
END_TEST

/* The threads of a task are many processes here, in groups and sessions of their own. */
START_TEST(all_processes_of_a_task_share_its_grant)
{
	uint64_t begin_ns;

	add_task(0, "(setsid sh -c '" BUSY "' &); setsid sh -c '" BUSY "' & " BUSY " & " BUSY);
	grant(0, 40000);
	tick();
	begin_ns = last_tick_ns;
	/* Found at the next scan at the latest: what they use until then is charged, too. */
	for (uint64_t deadline_ns = 0; crew_waits(&deadline_ns);) {
		uint64_t elapsed_ns = tick() - begin_ns;

		if (elapsed_ns < 3 * NSEC_PER_SEC)
			continue;
		ck_assert_uint_le(
			used_ns(0), elapsed_ns * 4 / 10 + 2 * longest_gap_ns + 200 * NSEC_PER_MSEC);
		if (used_ns(0) > 500 * NSEC_PER_MSEC)
			return;
	}
}
END_TEST

/* Grants that together go beyond the budget are the guard's mistake; it holds all the same. */
START_TEST(the_budget_holds_for_all_together)
{
	uint64_t begin_ns;

	add_task(0, BUSY);
	add_task(1, BUSY);
	grant(0, 100000);
	grant(1, 100000);
	ck_assert_int_eq(enforcer_signal.budget_set(enforcer, 0.05, NULL), 0);
	tick();
	begin_ns = last_tick_ns;
	for (uint64_t deadline_ns = 0; crew_waits(&deadline_ns);) {
		uint64_t cpu_ns;

		tick_for(50 * NSEC_PER_MSEC);
		cpu_ns = used_ns(0) + used_ns(1);
		ck_assert_uint_le(
			cpu_ns, (last_tick_ns - begin_ns) / 20 + 2 * longest_gap_ns + 2 * SLACK_NS);
		if (cpu_ns > 150 * NSEC_PER_MSEC)
			return;
	}
}
END_TEST

START_TEST(without_a_grant_nothing_runs)
{
	uint64_t cpu_ns;

	add_task(0, BUSY);
	tick_for(200 * NSEC_PER_MSEC);
	cpu_ns = used_ns(0);
	ck_assert_uint_le(cpu_ns, 10 * NSEC_PER_MSEC); /* up to the gate */
	ck_assert_int_eq(keeper_next(crew.keeper, &(struct keeper_event){0}), 0);
	grant(0, 50000);
	for (uint64_t deadline_ns = 0; crew_waits(&deadline_ns);) {
		tick();
		if (used_ns(0) > 100 * NSEC_PER_MSEC)
			break;
	}
	ck_assert_int_eq(crew_event(&crew).kind, KEEPER_EXECUTED);
	/* And back to nothing. */
	grant(0, 0);
	tick_for(100 * NSEC_PER_MSEC);
	cpu_ns = used_ns(0);
	tick_for(300 * NSEC_PER_MSEC);
	ck_assert_uint_eq(used_ns(0), cpu_ns);
}
END_TEST

START_TEST(who_continues_a_task_from_outside_is_noticed)
{
	pid_t pid = add_task(0, BUSY);
	uint64_t cpu_ns;

	tick();
	grant(0, 1000); /* 0.01 CPU */
	for (uint64_t deadline_ns = 0; crew_waits(&deadline_ns);) {
		struct enforced enforced;

		kill(pid, SIGCONT);
		tick();
		enforced = grant(0, 1000);
		if (enforced.n_foreign > 0)
			break;
	}
	/* What was used too much is paid back: hundreds of ms at 0.01 CPU. */
	tick_for(250 * NSEC_PER_MSEC);
	cpu_ns = used_ns(0);
	tick_for(300 * NSEC_PER_MSEC);
	ck_assert_uint_eq(used_ns(0), cpu_ns);
}
END_TEST

START_TEST(nothing_stays_stopped_or_alive)
{
	add_task(0, "(setsid sh -c '" BUSY "' &); " BUSY);
	add_task(1, BUSY);
	grant(0, 30000);
	tick_for(400 * NSEC_PER_MSEC);
	ck_assert_int_eq(enforcer_signal.task_is_populated(enforcer, 0), 1);
	ck_assert_int_eq(enforcer_signal.task_signal(enforcer, 0, 0), 2);
	ck_assert_int_eq(enforcer_signal.task_remove(enforcer, 0, NULL), 0);
	ck_assert_uint_eq(crew_count(RUN_ENVIRONMENT, crew.run), 0); /* task 1 is at its gate */
	enforcer = enforcer_signal.close(enforcer);
	for (int n_exited = 0; n_exited < 2;) {
		struct keeper_event event = crew_event(&crew);

		n_exited += event.kind == KEEPER_EXITED;
		if (event.kind == KEEPER_EXITED)
			ck_assert_int_eq(event.exit_status, 128 + SIGKILL);
	}
}
END_TEST

START_TEST(a_task_that_ended_is_no_error)
{
	add_task(0, "exit 0");
	grant(0, 50000);
	for (uint64_t deadline_ns = 0; crew_waits(&deadline_ns);) {
		tick();
		if (enforcer_signal.task_is_populated(enforcer, 0) == 0)
			break;
	}
	ck_assert_uint_eq(grant(0, 60000).n_gone, 1);
	ck_assert_uint_eq(grant(0, 0).n_gone, 1);
	ck_assert_int_eq(enforcer_signal.task_signal(enforcer, 0, SIGTERM), 0);
	ck_assert_int_eq(enforcer_signal.task_remove(enforcer, 0, NULL), 0);
	used_ns(0);
}
END_TEST

/* More processes than there are descriptors to hold them: no further task is let in. */
START_TEST(more_processes_than_can_be_watched_are_an_error)
{
	char *argv[] = {(char *)"true", NULL};
	struct launch launch = crew_launch(argv, STDERR_FILENO);
	struct launched second = crew_spawn(&crew, &launch);
	struct rlimit small = {.rlim_cur = 40, .rlim_max = 40};
	struct fault fault = FAULT_INIT;

	pid_t pid = crew_run(
		&crew, "for i in $(seq 60); do sleep 1000 & done; wait", STDERR_FILENO);

	close(second.pidfd);
	for (uint64_t deadline_ns = 0; crew_waits(&deadline_ns);)
		if (crew_count(RUN_ENVIRONMENT, crew.run) > 50)
			break;
	enforcer_signal.task_add(enforcer, 0, "first", /* scope= */ NULL, NULL);
	enforcer_signal.task_add(enforcer, 1, "second", /* scope= */ NULL, NULL);
	ck_assert_int_eq(setrlimit(RLIMIT_NOFILE, &small), 0);
	ck_assert_int_eq(enforcer_signal.task_attach(enforcer, 0, pid, NULL), 0);
	ck_assert_int_eq(enforcer_signal.task_is_populated(enforcer, 0), 1); /* looks */
	ck_assert_int_eq(enforcer_signal.task_attach(enforcer, 1, second.pid, &fault), -EMFILE);
	ck_assert_ptr_nonnull(strstr(fault.text, "more processes than can be watched"));
	ck_assert_int_eq(enforcer_signal.task_remove(enforcer, 0, NULL), 0);
}
END_TEST

START_TEST(a_dry_run_limits_nothing)
{
	enforcer = enforcer_signal.close(enforcer);
	meter = meter_proc.close(meter);
	open_enforcer(/* is_dry= */ true);
	ck_assert_int_eq(enforcer->guarantee, GUARANTEE_NONE);
	add_task(0, BUSY);
	grant(0, 0);
	for (uint64_t deadline_ns = 0; crew_waits(&deadline_ns);)
		if (used_ns(0) > 100 * NSEC_PER_MSEC)
			break;
}
END_TEST

/* The meter against what the kernel tells the keeper at the end: children that were waited for and
 * came and went between two looks, some of them for a long time and some for none. */
START_TEST(the_meter_agrees_with_the_kernel)
{
	struct keeper_event event;
	uint64_t cpu_ns = 0, last_ns = 0;
	pid_t pid;

	pid = add_task(0,
		"i=0; while [ $i -lt 30000 ]; do i=$((i + 1)); done &"
		"i=0; while [ $i -lt 60000 ]; do i=$((i + 1)); done; wait;"
		"sh -c 'i=0; while [ $i -lt 50000 ]; do i=$((i + 1)); done; sh -c true';"
		"i=0; while [ $i -lt 60 ]; do i=$((i + 1)); /bin/true; done; kill -STOP $$");
	grant(0, 100000);
	/* A budget that stops nobody, so that only the task stops itself. */
	enforcer_signal.budget_set(enforcer, 16, NULL);
	grant(0, 1600000);
	for (uint64_t deadline_ns = 0; crew_waits(&deadline_ns);) {
		_cleanup_close_ int fd = process_open(pid);
		struct process process;

		tick();
		cpu_ns = used_ns(0);
		ck_assert_uint_ge(cpu_ns, last_ns);
		last_ns = cpu_ns;
		ck_assert_int_eq(process_read(fd, &process), 0);
		if (process.is_stopped && last_ns > 50 * NSEC_PER_MSEC)
			break;
	}
	used_ns(0);
	cpu_ns = used_ns(0); /* looked again */
	kill(pid, SIGCONT);
	do
		event = crew_event(&crew);
	while (event.kind != KEEPER_EXITED);
	printf("# metered %.3f ms, the kernel says %.3f ms\n", (double)cpu_ns / 1e6,
		(double)event.cpu_ns / 1e6);
	/* Two fields in steps of 10 ms, and some microseconds to the end. */
	ck_assert_uint_le(cpu_ns, event.cpu_ns + 5 * NSEC_PER_MSEC);
	ck_assert_uint_ge(cpu_ns + 30 * NSEC_PER_MSEC, event.cpu_ns);
	ck_assert_uint_ge(used_ns(0), cpu_ns);
	ck_assert_uint_ge(used_ns(0), cpu_ns);
}
END_TEST

/* Orphans that nobody waits for: what was seen of them last stays. */
START_TEST(the_meter_never_goes_back)
{
	uint64_t last_ns = 0;

	add_task(0,
		"while :; do (setsid sh -c 'i=0; while [ $i -lt 20000 ]; do i=$((i + 1)); done' &);"
		"sleep 0.05; sh -c 'i=0; while [ $i -lt 9000 ]; do i=$((i + 1)); done' & done");
	grant(0, 80000);
	for (uint64_t deadline_ns = 0; crew_waits(&deadline_ns);) {
		uint64_t cpu_ns;

		tick();
		cpu_ns = used_ns(0);
		ck_assert_uint_ge(cpu_ns, last_ns);
		last_ns = cpu_ns;
		if (cpu_ns > 800 * NSEC_PER_MSEC)
			break;
	}
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("signal");
	TCase *tcase = tcase_create("all");

	tcase_add_checked_fixture(tcase, set_up, tear_down);
	tcase_set_timeout(tcase, 60);
	tcase_add_test(tcase, two_tasks_get_what_they_are_granted);
	tcase_add_test(tcase, all_processes_of_a_task_share_its_grant);
	tcase_add_test(tcase, the_budget_holds_for_all_together);
	tcase_add_test(tcase, without_a_grant_nothing_runs);
	tcase_add_test(tcase, who_continues_a_task_from_outside_is_noticed);
	tcase_add_test(tcase, nothing_stays_stopped_or_alive);
	tcase_add_test(tcase, a_task_that_ended_is_no_error);
	tcase_add_test(tcase, more_processes_than_can_be_watched_are_an_error);
	tcase_add_test(tcase, a_dry_run_limits_nothing);
	tcase_add_test(tcase, the_meter_agrees_with_the_kernel);
	tcase_add_test(tcase, the_meter_never_goes_back);
	suite_add_tcase(suite, tcase);
	return suite_run(suite);
}
