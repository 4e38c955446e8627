// SPDX-License-Identifier: GPL-2.0-or-later
#include "keeper.h"

#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include "../unit/suite.h"
#include "crew.h"

/* How tasks are started, and what their end looks like. What is left when somebody is killed is
 * asked in test_leftover.c. */

static struct crew crew;

static void set_up(void)
{
	crew_start(&crew);
}

static void tear_down(void)
{
	crew.keeper = keeper_stop(crew.keeper);
}

START_TEST(tells_every_kind_of_end)
{
	static const struct {
		const char *script;
		int status;
		bool by_signal;
	} cases[] = {
		{"exit 0", 0, false},
		{"exit 7", 7, false},
		{"exit 255", 255, false},
		{"kill -TERM $$", 128 + SIGTERM, true},
		{"kill -KILL $$", 128 + SIGKILL, true},
		{"exit 143", 128 + SIGTERM, false},
	};
	uint64_t before_ns = crew_now_ns();
	struct keeper_event event;
	pid_t pid;

	pid = crew_run(&crew, cases[_i].script, STDERR_FILENO);
	event = crew_event(&crew);
	ck_assert_int_eq(event.kind, KEEPER_EXECUTED);
	ck_assert_int_eq(event.pid, pid);
	ck_assert_uint_ge(event.stamp_ns, before_ns);
	before_ns = event.stamp_ns;
	event = crew_event(&crew);
	ck_assert_int_eq(event.kind, KEEPER_EXITED);
	ck_assert_int_eq(event.pid, pid);
	ck_assert_int_eq(event.exit_status, cases[_i].status);
	ck_assert_int_eq(event.by_signal, cases[_i].by_signal);
	ck_assert_uint_ge(event.stamp_ns, before_ns);
	ck_assert_uint_le(event.stamp_ns, crew_now_ns());
	ck_assert_int_eq(keeper_next(crew.keeper, &event), 0);
}
END_TEST

START_TEST(nothing_runs_before_the_gate_opens)
{
	char directory[SUITE_PATH_MAX], file[128], script[256];
	char *argv[] = {(char *)"sh", (char *)"-c", script, NULL};
	struct launch launch = crew_launch(argv, STDERR_FILENO);
	struct launched first, second;

	ck_assert_ptr_nonnull(mkdtemp(suite_template(directory)));
	snprintf(file, sizeof(file), "%s/made", directory);
	snprintf(script, sizeof(script), "> %s", file);
	first = crew_spawn(&crew, &launch);
	/* A second one, started later, runs to its end: the first had all the time to go wrong. */
	second = crew_spawn(&crew, &launch);
	snprintf(script, sizeof(script), "exit 3");
	ck_assert_int_eq(keeper_release(crew.keeper, second.pid, NULL), 0);
	ck_assert_int_eq(crew_status(&crew, second.pid), 0);
	ck_assert_int_eq(unlink(file), 0);
	ck_assert_int_eq(crew_status(&crew, crew_run(&crew, "exit 4", STDERR_FILENO)), 4);
	ck_assert_int_eq(access(file, F_OK), -1);
	ck_assert_int_eq(keeper_release(crew.keeper, first.pid, NULL), 0);
	ck_assert_int_eq(crew_status(&crew, first.pid), 0);
	ck_assert_int_eq(access(file, F_OK), 0);
	unlink(file);
	rmdir(directory);
	close(first.pidfd);
	close(second.pidfd);
}
END_TEST

START_TEST(killed_at_the_gate_it_has_not_executed)
{
	char *argv[] = {(char *)"true", NULL};
	struct launch launch = crew_launch(argv, STDERR_FILENO);
	struct launched launched = crew_spawn(&crew, &launch);
	struct keeper_event event;

	ck_assert_int_eq(process_signal(launched.pidfd, SIGTERM), 0);
	event = crew_event(&crew);
	ck_assert_int_eq(event.kind, KEEPER_EXITED);
	ck_assert_int_eq(event.pid, launched.pid);
	ck_assert_int_eq(event.exit_status, 128 + SIGTERM);
	/* Too late, and harmless. */
	ck_assert_int_eq(keeper_release(crew.keeper, launched.pid, NULL), 0);
	ck_assert_int_eq(crew_status(&crew, crew_run(&crew, "exit 0", STDERR_FILENO)), 0);
	close(launched.pidfd);
}
END_TEST

static void check_failure(struct launch *launch, enum launch_step step, int error, int status)
{
	struct launched launched = crew_spawn(&crew, launch);
	struct keeper_event event;

	ck_assert_int_eq(keeper_release(crew.keeper, launched.pid, NULL), 0);
	event = crew_event(&crew);
	ck_assert_int_eq(event.kind, KEEPER_EXEC_FAILED);
	ck_assert_int_eq(event.pid, launched.pid);
	ck_assert_int_eq(event.step, step);
	ck_assert_int_eq(event.error, error);
	event = crew_event(&crew);
	ck_assert_int_eq(event.kind, KEEPER_EXITED);
	ck_assert_int_eq(event.pid, launched.pid);
	ck_assert_int_eq(event.exit_status, status);
	ck_assert(!event.by_signal);
	close(launched.pidfd);
}

START_TEST(says_what_a_launch_failed_at)
{
	char directory[SUITE_PATH_MAX], plain[128], slashed[128];
	char *argv[] = {(char *)"no-such-command-here", NULL};
	struct launch launch = crew_launch(argv, STDERR_FILENO);

	ck_assert_ptr_nonnull(mkdtemp(suite_template(directory)));
	snprintf(plain, sizeof(plain), "%s/plain", directory);
	snprintf(slashed, sizeof(slashed), "%s/none", directory);
	close(creat(plain, 0644));

	check_failure(&launch, LAUNCH_COMMAND, -ENOENT, 127);
	argv[0] = slashed;
	check_failure(&launch, LAUNCH_COMMAND, -ENOENT, 127);
	argv[0] = plain;
	check_failure(&launch, LAUNCH_COMMAND, -EACCES, 126);
	/* Found in the path, but not to be executed; and a later directory does not have it. */
	argv[0] = (char *)"plain";
	launch.path = directory;
	check_failure(&launch, LAUNCH_COMMAND, -EACCES, 126);
	/* No #! line, no binary: an error, not a shell script. */
	chmod(plain, 0755);
	check_failure(&launch, LAUNCH_COMMAND, -ENOEXEC, 126);
	argv[0] = (char *)"true";
	launch.path = "/usr/bin:/bin";
	launch.directory = slashed;
	check_failure(&launch, LAUNCH_DIRECTORY, -ENOENT, 126);
	launch.directory = plain;
	check_failure(&launch, LAUNCH_DIRECTORY, -ENOTDIR, 126);
	unlink(plain);
	rmdir(directory);
}
END_TEST

START_TEST(refuses_an_empty_command)
{
	char *none[] = {NULL}, *empty[] = {(char *)"", NULL};
	struct launch launch = crew_launch(none, STDERR_FILENO);
	struct fault fault = FAULT_INIT;
	struct launched launched;

	ck_assert_int_eq(keeper_spawn(crew.keeper, &launch, &launched, &fault), -EINVAL);
	ck_assert_str_eq(fault.text, "task test: there is no command to execute");
	launch.argv = empty;
	ck_assert_int_eq(keeper_spawn(crew.keeper, &launch, &launched, &fault), -EINVAL);
}
END_TEST

START_TEST(starts_in_its_directory_with_a_clean_slate)
{
	char text[4096], expected[RUN_NAME_MAX + 16];
	sigset_t blocked;
	int status;

	/* Nothing of this reaches the task, nor does it reach the keeper that is there already. */
	signal(SIGPIPE, SIG_IGN);
	signal(SIGINT, SIG_IGN);
	sigfillset(&blocked);
	sigprocmask(SIG_SETMASK, &blocked, NULL);
	status = crew_output(&crew,
		"grep -E 'Sig(Blk|Ign)' /proc/self/status | cut -f2 | tr '\\n' ' '; pwd", text,
		sizeof(text));
	ck_assert_int_eq(status, 0);
	ck_assert_str_eq(text, "0000000000000000 0000000000000000 /\n");

	/* Nothing is open but 0 (nothing to read), 1, 2, and what ls itself opened. */
	crew_output(&crew, "cat; ls -l /proc/self/fd | grep -c -- '->'", text, sizeof(text));
	ck_assert_str_eq(text, "4\n");

	/* A process group of its own, without a terminal (field 7). */
	crew_output(&crew,
		"set -- $(cat /proc/$$/stat); echo $(($$ == $5)) $(($6 == $4)) $7; "
		"echo $COREGOV_RUN $((COREGOV_TASK_PID == $$))",
		text, sizeof(text));
	snprintf(expected, sizeof(expected), "1 1 0\n%s 1\n", crew.run);
	ck_assert_str_eq(text, expected);
}
END_TEST

START_TEST(sets_its_variables_once)
{
	char *argv[] = {(char *)"env", NULL},
	     *variables[] = {(char *)"COREGOV_RUN=outer", (char *)"A=1",
		     (char *)"COREGOV_TASK_PID=1", (char *)"COREGOV_RUNNER=x", NULL};
	struct launch launch;
	struct launched launched;
	char text[4096], expected[256];
	int pipe_fds[2];

	ck_assert_int_eq(pipe2(pipe_fds, O_CLOEXEC), 0);
	launch = crew_launch(argv, pipe_fds[1]);
	launch.environment = variables;
	launched = crew_spawn(&crew, &launch);
	close(pipe_fds[1]);
	keeper_release(crew.keeper, launched.pid, NULL);
	crew_read(pipe_fds[0], text, sizeof(text));
	snprintf(expected, sizeof(expected),
		"COREGOV_RUN=%s\nCOREGOV_TASK_PID=%d\nA=1\nCOREGOV_RUNNER=x\n", crew.run,
		(int)launched.pid);
	ck_assert_str_eq(text, expected);
	close(pipe_fds[0]);
	close(launched.pidfd);
}
END_TEST

START_TEST(hands_over_input_output_and_page)
{
	char *argv[] = {(char *)"sh", (char *)"-c",
		(char *)"cat; cat /proc/self/fd/199; echo err >&2", NULL};
	int page_fd = memfd_create("page", MFD_CLOEXEC), out[2], err[2], in[2];
	struct launched launched;
	struct launch launch;
	char text[4096];

	ck_assert_int_eq(KEEPER_PAGE_FD, 199);
	ck_assert_int_eq(pipe2(out, O_CLOEXEC) | pipe2(err, O_CLOEXEC) | pipe2(in, O_CLOEXEC), 0);
	ck_assert_int_eq(write(page_fd, "page\n", 5), 5);
	lseek(page_fd, 0, SEEK_SET);
	ck_assert_int_eq(write(in[1], "input\n", 6), 6);
	close(in[1]);
	launch = crew_launch(argv, out[1]);
	launch.stdin_fd = in[0];
	launch.stderr_fd = err[1];
	launch.page_fd = page_fd;
	launched = crew_spawn(&crew, &launch);
	ck_assert_int_eq(launched.page_fd_number, KEEPER_PAGE_FD);
	close(out[1]);
	close(err[1]);
	keeper_release(crew.keeper, launched.pid, NULL);
	crew_read(out[0], text, sizeof(text));
	ck_assert_str_eq(text, "input\npage\n");
	crew_read(err[0], text, sizeof(text));
	ck_assert_str_eq(text, "err\n");
	ck_assert_int_eq(crew_status(&crew, launched.pid), 0);
	close(launched.pidfd);
	launch.page_fd = -EBADF;
	launch.stdout_fd = launch.stderr_fd = STDERR_FILENO;
	launched = crew_spawn(&crew, &launch);
	ck_assert_int_eq(launched.page_fd_number, -EBADF);
	close(launched.pidfd);
}
END_TEST

/* As much as the kernel takes comes through; what it does not take is an error of the launch. */
START_TEST(takes_long_arguments)
{
	enum { N_LONG = 12, LENGTH = 120000 };
	char *argv[N_LONG + 5] = {(char *)"sh", (char *)"-c",
		(char *)"echo $# ${#1} $(printf %s \"$@\" | wc -c)", (char *)"sh"};
	char *longer = malloc(LENGTH + 1), text[64];
	struct launched launched;
	struct launch launch;
	int pipe_fds[2];

	memset(longer, 'x', LENGTH);
	longer[LENGTH] = '\0';
	for (int i = 0; i < N_LONG; i++)
		argv[4 + i] = longer;
	ck_assert_int_eq(pipe2(pipe_fds, O_CLOEXEC), 0);
	launch = crew_launch(argv, pipe_fds[1]);
	launched = crew_spawn(&crew, &launch);
	close(pipe_fds[1]);
	keeper_release(crew.keeper, launched.pid, NULL);
	crew_read(pipe_fds[0], text, sizeof(text));
	ck_assert_str_eq(text, "12 120000 1440000\n");
	ck_assert_int_eq(crew_status(&crew, launched.pid), 0);
	close(launched.pidfd);
	close(pipe_fds[0]);
	free(longer);

	longer = malloc(200001);
	memset(longer, 'x', 200000); /* one argument may have 128 KiB */
	longer[200000] = '\0';
	argv[4] = longer;
	argv[5] = NULL;
	launch = crew_launch(argv, STDERR_FILENO);
	check_failure(&launch, LAUNCH_COMMAND, -E2BIG, 126);
	free(longer);
}
END_TEST

START_TEST(refuses_what_is_longer_than_any_kernel_takes)
{
	char *longer = malloc(LAUNCH_BYTES_MAX + 1), *argv[] = {(char *)"true", longer, NULL};
	struct launch launch = crew_launch(argv, STDERR_FILENO);
	struct launched launched;

	memset(longer, 'x', LAUNCH_BYTES_MAX);
	longer[LAUNCH_BYTES_MAX] = '\0';
	ck_assert_int_eq(keeper_spawn(crew.keeper, &launch, &launched, NULL), -E2BIG);
	free(longer);
}
END_TEST

/* Nobody reads the events of hundreds of tasks; all of them are there later, in order. */
START_TEST(loses_no_event)
{
	enum { N = 400 };
	struct keeper_event event;
	pid_t *pids = calloc(N, sizeof(*pids));
	size_t n_executed = 0, n_exited = 0;
	char *argv[] = {(char *)"true", NULL};
	struct launch launch = crew_launch(argv, STDERR_FILENO);

	for (int i = 0; i < N; i++) {
		struct launched launched = crew_spawn(&crew, &launch);

		pids[i] = launched.pid;
		close(launched.pidfd);
		ck_assert_int_eq(keeper_release(crew.keeper, pids[i], NULL), 0);
	}
	while (n_exited < N) {
		event = crew_event(&crew);
		if (event.kind == KEEPER_EXECUTED) {
			n_executed++;
			continue;
		}
		ck_assert_int_eq(event.kind, KEEPER_EXITED);
		ck_assert_int_eq(event.exit_status, 0);
		n_exited++;
		ck_assert_uint_le(n_exited, n_executed);
	}
	ck_assert_uint_eq(n_executed, N);
	free(pids);
}
END_TEST

/* A task that stops and continues has not ended. */
START_TEST(stopping_is_no_end)
{
	pid_t pid = crew_run(&crew, "kill -STOP $$; exit 6", STDERR_FILENO);

	ck_assert_int_eq(crew_event(&crew).kind, KEEPER_EXECUTED);
	for (uint64_t deadline_ns = 0; crew_waits(&deadline_ns);) {
		_cleanup_close_ int fd = process_open(pid);
		struct process process;

		ck_assert_int_eq(process_read(fd, &process), 0);
		if (process.is_stopped)
			break;
	}
	kill(pid, SIGCONT);
	ck_assert_int_eq(crew_event(&crew).exit_status, 6);
}
END_TEST

/* Orphans come to the keeper and are reaped by it. */
START_TEST(reaps_orphans)
{
	char text[64];
	pid_t orphan;

	ck_assert_int_eq(crew_output(&crew, "(setsid sh -c 'echo $$; exec >&-; read x' &)", text,
				 sizeof(text)),
		0);
	orphan = (pid_t)atoi(text);
	ck_assert_int_gt(orphan, 1);
	for (uint64_t deadline_ns = 0; crew_waits(&deadline_ns);)
		if (kill(orphan, 0) < 0)
			break;
}
END_TEST

START_TEST(survives_the_terminals_signals)
{
	static const int signals[] = {SIGINT, SIGTERM, SIGHUP, SIGQUIT, SIGTSTP, SIGUSR1, SIGPIPE};
	_cleanup_closedir_ DIR *proc = opendir("/proc");
	pid_t pid, n_keepers = 0;

	while ((pid = process_next(proc)) > 0) {
		_cleanup_close_ int fd = process_open(pid);
		struct process process;

		if (fd < 0 || process_read(fd, &process) < 0 || process.parent != getpid())
			continue;
		n_keepers++;
		for (size_t i = 0; i < ARRAY_LENGTH(signals); i++)
			ck_assert_int_eq(process_signal(fd, signals[i]), 0);
	}
	ck_assert_int_eq(n_keepers, 1);
	ck_assert_int_eq(crew_status(&crew, crew_run(&crew, "exit 9", STDERR_FILENO)), 9);
}
END_TEST

/* What the caller left open must not stay open for the keeper's sake: somebody may wait for its end.
 * What is close-on-exec is ours, and stays: a claim has to. */
START_TEST(lets_go_of_what_is_not_its_own)
{
	int theirs[2], ours[2];
	struct pollfd poll_fd;
	struct crew other;
	char byte;

	ck_assert_int_eq(pipe2(theirs, O_CLOEXEC) | pipe2(ours, O_CLOEXEC), 0);
	ck_assert_int_eq(fcntl(theirs[1], F_SETFD, 0), 0);
	crew_start(&other);
	close(theirs[1]);
	close(ours[1]);
	ck_assert_int_eq(read(theirs[0], &byte, 1), 0); /* waits for the end of file */
	poll_fd = (struct pollfd){.fd = ours[0], .events = POLLIN};
	ck_assert_int_eq(poll(&poll_fd, 1, 0), 0);
	other.keeper = keeper_stop(other.keeper);
	ck_assert_int_eq(read(ours[0], &byte, 1), 0);
	close(theirs[0]);
	close(ours[0]);
}
END_TEST

START_TEST(says_when_descriptors_do_not_suffice)
{
	struct rlimit before, small = {.rlim_cur = KEEPER_PAGE_FD};
	char *argv[] = {(char *)"true", NULL};
	struct launch launch = crew_launch(argv, STDERR_FILENO);
	struct fault fault = FAULT_INIT;
	struct launched launched;
	struct crew other;

	ck_assert_int_eq(getrlimit(RLIMIT_NOFILE, &before), 0);
	small.rlim_max = before.rlim_max;
	ck_assert_int_eq(setrlimit(RLIMIT_NOFILE, &small), 0);
	crew_start(&other);
	ck_assert_int_eq(keeper_spawn(other.keeper, &launch, &launched, &fault), -EMFILE);
	ck_assert_str_eq(fault.text, "task test: start a process: Too many open files");
	other.keeper = keeper_stop(other.keeper);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("keeper");
	TCase *tcase = tcase_create("all");

	tcase_add_checked_fixture(tcase, set_up, tear_down);
	tcase_set_timeout(tcase, 60);
	tcase_add_loop_test(tcase, tells_every_kind_of_end, 0, 6);
	tcase_add_test(tcase, nothing_runs_before_the_gate_opens);
	tcase_add_test(tcase, killed_at_the_gate_it_has_not_executed);
	tcase_add_test(tcase, says_what_a_launch_failed_at);
	tcase_add_test(tcase, refuses_an_empty_command);
	tcase_add_test(tcase, starts_in_its_directory_with_a_clean_slate);
	tcase_add_test(tcase, sets_its_variables_once);
	tcase_add_test(tcase, hands_over_input_output_and_page);
	tcase_add_test(tcase, takes_long_arguments);
	tcase_add_test(tcase, refuses_what_is_longer_than_any_kernel_takes);
	tcase_add_test(tcase, loses_no_event);
	tcase_add_test(tcase, stopping_is_no_end);
	tcase_add_test(tcase, reaps_orphans);
	tcase_add_test(tcase, lets_go_of_what_is_not_its_own);
	tcase_add_test(tcase, says_when_descriptors_do_not_suffice);
	tcase_add_test(tcase, survives_the_terminals_signals);
	suite_add_tcase(suite, tcase);
	return suite_run(suite);
}
