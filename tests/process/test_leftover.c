// SPDX-License-Identifier: GPL-2.0-or-later
#include "leftover.h"

#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>

#include "../unit/suite.h"
#include "cgroup.h"
#include "crew.h"
#include "enforcer.h"

/* What is left when the governor, the keeper, or both are killed: nothing. The test is the subreaper
 * above them all, so that whatever survives ends up as its child: nothing is left when it has no
 * child any more, whatever the processes did to hide. */

/* Processes that leave their parent, their group and their session; the last one clears its
 * environment besides. */
#define HIDING "sleep 1000 & (setsid sleep 1000 &); setsid sh -c 'sleep 1000 & sleep 1000' & "
#define CLEARED "(setsid env -i sleep 1000 &); "

/* A governor in a process of its own, to be killed. */
struct governor {
	char run[RUN_NAME_MAX];
	pid_t pid, keeper_pid;
	unsigned n_released;
};

static struct governor *governor; /* shared with that process */

static void set_up(void)
{
	ck_assert_int_eq(prctl(PR_SET_CHILD_SUBREAPER, 1), 0);
	governor = mmap(
		NULL, sizeof(*governor), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	ck_assert(governor != MAP_FAILED);
}

static pid_t only_child_of(pid_t parent)
{
	_cleanup_closedir_ DIR *proc = opendir("/proc");
	pid_t pid;

	while ((pid = process_next(proc)) > 0) {
		_cleanup_close_ int fd = process_open(pid);
		struct process process;

		if (fd >= 0 && process_read(fd, &process) == 0 && process.parent == parent)
			return pid;
	}
	return 0;
}

/* Starts tasks until it is killed; every second one stays at its gate. */
static _Noreturn void govern(const char *script, unsigned n_tasks)
{
	char *argv[] = {(char *)"sh", (char *)"-c", (char *)script, NULL};
	struct launch launch = crew_launch(argv, STDERR_FILENO);
	struct launched launched;
	struct crew crew;

	crew_start(&crew);
	strcpy(governor->run, crew.run);
	governor->keeper_pid = only_child_of(getpid());
	for (unsigned i = 0; i < n_tasks; i++) {
		launched = crew_spawn(&crew, &launch);
		if (i % 2 == 0)
			keeper_release(crew.keeper, launched.pid, NULL);
		__atomic_add_fetch(&governor->n_released, 1, __ATOMIC_SEQ_CST);
	}
	for (;;)
		pause();
}

static void start_governor(const char *script, unsigned n_tasks)
{
	pid_t pid;

	memset(governor, 0, sizeof(*governor));
	pid = fork();
	ck_assert_int_ge(pid, 0);
	if (pid == 0)
		govern(script, n_tasks);
	governor->pid = pid;
}

/* Waits until as many processes carry the run's name. */
static void wait_for_count(const char *run, size_t n)
{
	for (uint64_t deadline_ns = 0; crew_waits(&deadline_ns);)
		if (crew_count(RUN_ENVIRONMENT, run) == n)
			return;
}

/* Reaps until there is no child left. */
static void wait_for_nothing(void)
{
	for (uint64_t deadline_ns = 0; crew_waits(&deadline_ns);) {
		siginfo_t ended = {.si_pid = 1};
		int r = 0;

		while (r == 0 && ended.si_pid != 0) {
			ended.si_pid = 0;
			r = waitid(P_ALL, 0, &ended, WEXITED | WNOHANG);
		}
		if (r < 0) {
			ck_assert_int_eq(errno, ECHILD);
			return;
		}
	}
}

START_TEST(the_governor_is_killed)
{
	start_governor(HIDING CLEARED "wait", 6);
	for (uint64_t deadline_ns = 0; crew_waits(&deadline_ns);)
		if (governor->n_released == 6)
			break;
	/* Three released: the shell, and four that it started with their environment. */
	wait_for_count(governor->run, 3 * 6);
	ck_assert_int_eq(kill(governor->pid, SIGKILL), 0);
	wait_for_nothing();
	ck_assert_uint_eq(crew_count(RUN_ENVIRONMENT, governor->run), 0);
}
END_TEST

START_TEST(the_governor_is_killed_at_any_moment)
{
	unsigned seed = (unsigned)crew_now_ns();

	for (int i = 0; i < 40; i++) {
		struct timespec a_while = {.tv_nsec = rand_r(&seed) % 40000000};

		start_governor(HIDING CLEARED "wait", 20);
		nanosleep(&a_while, NULL);
		ck_assert_int_eq(kill(governor->pid, SIGKILL), 0);
		wait_for_nothing();
	}
}
END_TEST

START_TEST(the_governor_is_killed_while_tasks_are_stopped)
{
	start_governor("kill -STOP $$", 5);
	for (uint64_t deadline_ns = 0; crew_waits(&deadline_ns);)
		if (governor->n_released == 5 && crew_count(RUN_ENVIRONMENT, governor->run) == 3)
			break;
	ck_assert_int_eq(kill(governor->pid, SIGKILL), 0);
	wait_for_nothing();
}
END_TEST

START_TEST(the_keeper_is_killed)
{
	struct keeper_event event;
	struct crew crew;
	pid_t keeper_pid;

	crew_start(&crew);
	keeper_pid = only_child_of(getpid());
	crew_run(&crew, HIDING "wait", STDERR_FILENO);
	wait_for_count(crew.run, 6);
	ck_assert_int_eq(kill(keeper_pid, SIGKILL), 0);
	do
		event = crew_event(&crew);
	while (event.kind != KEEPER_LOST);
	ck_assert_int_eq(keeper_next(crew.keeper, &event), 0);
	ck_assert_int_eq(keeper_release(crew.keeper, 1, NULL), -EPIPE);
	/* Two had left before: the shell died with the keeper, the others are ours now. */
	ck_assert_int_ge(leftover_end_run(crew.run, NULL), 4);
	ck_assert_int_eq(leftover_end_run(crew.run, NULL), 0);
	crew.keeper = keeper_stop(crew.keeper);
	wait_for_nothing();
}
END_TEST

START_TEST(stopping_a_lost_keeper_does_its_work)
{
	struct crew crew;

	crew_start(&crew);
	crew_run(&crew, HIDING "wait", STDERR_FILENO);
	wait_for_count(crew.run, 6);
	ck_assert_int_eq(kill(only_child_of(getpid()), SIGKILL), 0);
	crew.keeper = keeper_stop(crew.keeper);
	wait_for_nothing();
}
END_TEST

START_TEST(an_orderly_stop_leaves_nothing)
{
	struct crew crew;

	crew_start(&crew);
	crew_run(&crew, HIDING CLEARED "wait", STDERR_FILENO);
	wait_for_count(crew.run, 6);
	crew.keeper = keeper_stop(crew.keeper);
	ck_assert_uint_eq(crew_count(RUN_ENVIRONMENT, crew.run), 0);
	ck_assert_int_eq(waitid(P_ALL, 0, &(siginfo_t){0}, WEXITED | WNOHANG), -1);
	ck_assert_int_eq(errno, ECHILD);
}
END_TEST

START_TEST(both_are_killed_and_the_next_start_clears)
{
	struct crew other;

	start_governor(HIDING "kill -STOP $$", 1);
	for (uint64_t deadline_ns = 0; crew_waits(&deadline_ns);)
		if (governor->n_released == 1 && crew_count(RUN_ENVIRONMENT, governor->run) == 6)
			break;
	/* The keeper first, as it would do its work otherwise. */
	ck_assert_int_eq(kill(governor->pid, SIGSTOP), 0);
	ck_assert_int_eq(kill(governor->keeper_pid, SIGKILL), 0);
	ck_assert_int_eq(kill(governor->pid, SIGKILL), 0);
	ck_assert_int_eq(waitpid(governor->pid, NULL, 0), governor->pid);
	/* The shell dies with the keeper. The kernel hangs up on a stopped group whose parent is
	 * gone, so that what is in it may die, too; what has left it does not. */
	for (uint64_t deadline_ns = 0; crew_waits(&deadline_ns);)
		if (crew_count(RUN_ENVIRONMENT, governor->run) < 6)
			break;
	ck_assert_uint_ge(crew_count(RUN_ENVIRONMENT, governor->run), 4);
	ck_assert_int_eq(run_name_is_alive(governor->run), 0);

	crew_start(&other);
	crew_run(&other, "exec sleep 1000", STDERR_FILENO);
	wait_for_count(other.run, 1);
	ck_assert_int_ge(leftover_clear(NULL), 0);
	ck_assert_uint_eq(crew_count(RUN_ENVIRONMENT, governor->run), 0);
	ck_assert_uint_eq(crew_count(RUN_ENVIRONMENT, other.run), 1); /* that one is alive */
	other.keeper = keeper_stop(other.keeper);
	wait_for_nothing();
}
END_TEST

/* The governor with a task frozen in its group by the v1 freezer, where no signal ends it. */
static _Noreturn void govern_frozen(const struct enforcer_ops *ops)
{
	char *argv[] = {(char *)"sleep", (char *)"1000", NULL};
	struct launch launch = crew_launch(argv, STDERR_FILENO);
	struct enforcer_setup setup = {
		.n_tasks_max = 1, .budget_cpus = 0.5, .capacity_cpus = 1, .task_uid = getuid()};
	struct enforcer *enforcer;
	struct launched launched;
	struct fault fault = FAULT_INIT;
	struct crew crew;

	crew_start(&crew);
	setup.run = crew.run;
	ck_assert_msg(ops->open(&enforcer, &setup, &fault) == 0, "%s", fault.text);
	ck_assert_msg(ops->task_add(enforcer, 0, "frozen", /* scope= */ NULL, &fault) == 0, "%s",
		fault.text);
	launched = crew_spawn(&crew, &launch);
	ck_assert_msg(ops->task_attach(enforcer, 0, launched.pid, &fault) == 0, "%s", fault.text);
	keeper_release(crew.keeper, launched.pid, NULL);
	strcpy(governor->run, crew.run);
	governor->keeper_pid = only_child_of(getpid());
	__atomic_store_n(&governor->n_released, 1, __ATOMIC_SEQ_CST);
	for (;;)
		pause();
}

static bool has_groups(const char *run)
{
	_cleanup_free_ char(*runs)[RUN_NAME_MAX] = NULL;
	size_t n_runs;

	ck_assert_int_eq(cgroup_runs(&runs, &n_runs, NULL), 0);
	for (size_t i = 0; i < n_runs; i++)
		if (strcmp(runs[i], run) == 0)
			return true;
	return false;
}

static void kill_frozen(bool keeper_too)
{
	const struct enforcer_ops *ops = &enforcer_cgroup1;
	char name[RUN_NAME_MAX] = "coregov-1-1";
	struct enforcer_setup setup = {.run = name,
		.n_tasks_max = 1,
		.budget_cpus = 0.5,
		.capacity_cpus = 1,
		.task_uid = getuid()};
	struct fault fault = FAULT_INIT;
	pid_t pid;

	if (ops->probe(&setup, &fault) < 0) {
		fprintf(stderr, "skipped: %s\n", fault.text);
		return;
	}
	memset(governor, 0, sizeof(*governor));
	pid = fork();
	ck_assert_int_ge(pid, 0);
	if (pid == 0)
		govern_frozen(ops);
	governor->pid = pid;
	for (uint64_t deadline_ns = 0; crew_waits(&deadline_ns);)
		if (__atomic_load_n(&governor->n_released, __ATOMIC_SEQ_CST) == 1)
			break;
	ck_assert(has_groups(governor->run));
	if (keeper_too) {
		kill(governor->pid, SIGSTOP);
		kill(governor->keeper_pid, SIGKILL);
	}
	kill(governor->pid, SIGKILL);
	if (keeper_too) {
		ck_assert_int_eq(waitpid(governor->pid, NULL, 0), governor->pid);
		ck_assert(has_groups(governor->run));
		ck_assert_int_ge(leftover_clear(NULL), 0);
	}
	wait_for_nothing();
	ck_assert(!has_groups(governor->run));
}

START_TEST(the_governor_of_a_frozen_task_is_killed)
{
	kill_frozen(/* keeper_too= */ false);
}
END_TEST

START_TEST(both_are_killed_with_a_frozen_task)
{
	kill_frozen(/* keeper_too= */ true);
}
END_TEST

START_TEST(knows_the_names_of_runs)
{
	static const char *const none[] = {"", "coregov", "coregov-1", "coregov-1-", "coregov--1-2",
		"coregov-1-2-3", "coregov-01-2", "coregov-1-+2", "coregov-0-5", "coregov-1-2 ",
		"coregov-99999999999-1", "Coregov-1-2", "coregovd", "coregovd-1", "coregovd-01-2",
		"coregovx-1-2"};
	char run[RUN_NAME_MAX], earlier[RUN_NAME_MAX + 1];
	pid_t pid;

	ck_assert_int_eq(run_name_make(run, NULL), 0);
	ck_assert_int_eq(run_name_is_alive(run), 1);
	snprintf(earlier, sizeof(earlier), "%s0", run);
	ck_assert_int_eq(run_name_is_alive(earlier), 0); /* our pid, another start */
	ck_assert_int_eq(run_name_make_of_service(run, NULL), 0);
	ck_assert_int_eq(run_name_is_alive(run), 1);
	for (size_t i = 0; i < ARRAY_LENGTH(none); i++)
		ck_assert_msg(run_name_is_alive(none[i]) == -EINVAL, "'%s'", none[i]);

	/* A zombie governs nothing. */
	pid = fork();
	if (pid == 0) {
		ck_assert_int_eq(run_name_make(governor->run, NULL), 0);
		_exit(0);
	}
	ck_assert_int_eq(waitid(P_PID, (id_t)pid, &(siginfo_t){0}, WEXITED | WNOWAIT), 0);
	ck_assert_int_eq(run_name_is_alive(governor->run), 0);
	wait_for_nothing();
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("leftover");
	TCase *tcase = tcase_create("all");

	tcase_add_checked_fixture(tcase, set_up, NULL);
	tcase_set_timeout(tcase, 100);
	tcase_add_test(tcase, knows_the_names_of_runs);
	tcase_add_test(tcase, the_governor_is_killed);
	tcase_add_test(tcase, the_governor_is_killed_at_any_moment);
	tcase_add_test(tcase, the_governor_is_killed_while_tasks_are_stopped);
	tcase_add_test(tcase, the_keeper_is_killed);
	tcase_add_test(tcase, stopping_a_lost_keeper_does_its_work);
	tcase_add_test(tcase, an_orderly_stop_leaves_nothing);
	tcase_add_test(tcase, both_are_killed_and_the_next_start_clears);
	tcase_add_test(tcase, the_governor_of_a_frozen_task_is_killed);
	tcase_add_test(tcase, both_are_killed_with_a_frozen_task);
	suite_add_tcase(suite, tcase);
	return suite_run(suite);
}
