// SPDX-License-Identifier: GPL-2.0-or-later
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "enforcer.h"
#include "figure.h"
#include "keeper.h"
#include "leftover.h"
#include "page.h"

/* How much later a command's main starts because it is wrapped: page, pipes, keeper, place, gate,
 * first grant, against posix_spawn(3) of the same command into a pipe. The command is this program,
 * which sends the time as the first thing it does. Plain and wrapped launches take turns, so that
 * whatever else the machine does comes to both. */

#define N_LAUNCHES 50
#define LIMIT_MS 5.0
#define DEADLINE_MS 30000

struct bench {
	struct keeper *keeper;
	struct enforcer *enforcer; /* NULL: without a place */
	char self[4096];
	char *argv[3];
};

static double ms_since(uint64_t start_ns, uint64_t stamp_ns)
{
	return (double)(stamp_ns - start_ns) / (double)NSEC_PER_MSEC;
}

/* Takes the stamp that the command sends. */
static int receive_stamp(int fd, uint64_t *ret_stamp_ns)
{
	struct pollfd poll_fd = {.fd = fd, .events = POLLIN};

	if (poll(&poll_fd, 1, DEADLINE_MS) != 1)
		return -ETIMEDOUT;
	return read(fd, ret_stamp_ns, sizeof(*ret_stamp_ns)) == sizeof(*ret_stamp_ns) ? 0 : -EIO;
}

static int launch_plain(struct bench *bench, double *ret_ms)
{
	posix_spawn_file_actions_t actions;
	uint64_t start_ns = bench_now_ns(), stamp_ns;
	int pipe_fds[2], r;
	pid_t pid;

	if (pipe2(pipe_fds, O_CLOEXEC) < 0)
		return -errno;
	posix_spawn_file_actions_init(&actions);
	posix_spawn_file_actions_adddup2(&actions, pipe_fds[1], STDOUT_FILENO);
	r = -posix_spawn(&pid, bench->self, &actions, NULL, bench->argv, environ);
	posix_spawn_file_actions_destroy(&actions);
	if (r == 0)
		r = receive_stamp(pipe_fds[0], &stamp_ns);
	if (r == 0) {
		*ret_ms = ms_since(start_ns, stamp_ns);
		(void)waitpid(pid, NULL, 0);
	}
	(void)close(pipe_fds[0]);
	(void)close(pipe_fds[1]);
	return r;
}

/* Puts the process into its place, frozen; opens its gate; and lets it run. In this order it wakes
 * up once. */
static int let_run(struct bench *bench, pid_t pid, struct fault *fault)
{
	struct enforcer *enforcer = bench->enforcer;
	struct enforced enforced;
	struct grant grant;
	int r = 0;

	if (enforcer)
		r = enforcer->ops->task_add(enforcer, 0, "launch", /* scope= */ NULL, fault);
	if (enforcer && r == 0)
		r = enforcer->ops->task_attach(enforcer, 0, pid, fault);
	if (r == 0)
		r = keeper_release(bench->keeper, pid, fault);
	if (!enforcer || r < 0)
		return r;
	grant = (struct grant){.quota_us = enforcer->limits.max_period_us,
		.period_us = enforcer->limits.max_period_us};
	return enforcer->ops->apply(enforcer, &grant, 1, &enforced, fault);
}

static int wait_for_exit(struct keeper *keeper)
{
	struct pollfd poll_fd = {.fd = keeper_fd(keeper), .events = POLLIN};
	struct keeper_event event = {.kind = KEEPER_EXECUTED};

	while (event.kind != KEEPER_EXITED) {
		if (poll(&poll_fd, 1, DEADLINE_MS) != 1)
			return -ETIMEDOUT;
		if (keeper_next(keeper, &event) < 0 || event.kind == KEEPER_LOST)
			return -EPIPE;
	}
	return 0;
}

static int launch_with_page(struct bench *bench, struct page **page, const int out[2],
	const int err[2], uint64_t start_ns, struct fault *fault)
{
	static const struct target target = {.metric = "loss", .in_a_row = 1};
	struct launch launch = {
		.name = "launch",
		.argv = bench->argv,
		.environment = environ,
		.directory = "/",
		.path = "/",
		.stdin_fd = -EBADF,
		.stdout_fd = out[1],
		.stderr_fd = err[1],
	};
	struct launched launched;
	int r;

	r = page_new(page, launch.name, &target, start_ns, start_ns + NSEC_PER_SEC, fault);
	if (r < 0)
		return r;
	launch.page_fd = page_fd(*page);
	r = keeper_spawn(bench->keeper, &launch, &launched, fault);
	if (r < 0)
		return r;
	(void)close(launched.pidfd);
	return let_run(bench, launched.pid, fault);
}

static int launch_wrapped(struct bench *bench, double *ret_ms, struct fault *fault)
{
	uint64_t start_ns = bench_now_ns(), stamp_ns;
	struct page *page = NULL;
	int out[2], err[2], r;

	if (pipe2(out, O_CLOEXEC) < 0 || pipe2(err, O_CLOEXEC) < 0)
		return fault_errno(fault, -errno, "pipe");
	r = launch_with_page(bench, &page, out, err, start_ns, fault);
	if (r == 0)
		r = receive_stamp(out[0], &stamp_ns);
	if (r == 0) {
		*ret_ms = ms_since(start_ns, stamp_ns);
		r = wait_for_exit(bench->keeper);
	}
	if (r == 0 && bench->enforcer)
		r = bench->enforcer->ops->task_remove(bench->enforcer, 0, fault);
	for (int i = 0; i < 2; i++) {
		(void)close(out[i]);
		(void)close(err[i]);
	}
	(void)page_free(page);
	return r;
}

/* Both ways in turns; prints one figure. 1 where it is short. */
static int measure(struct bench *bench, const char *name, struct fault *fault)
{
	double plain_ms[N_LAUNCHES], wrapped_ms[N_LAUNCHES], plain, wrapped;
	int r;

	for (size_t i = 0; i < N_LAUNCHES; i++) {
		r = launch_plain(bench, &plain_ms[i]);
		if (r < 0)
			return fault_errno(fault, r, "launch '%s'", bench->self);
		r = launch_wrapped(bench, &wrapped_ms[i], fault);
		if (r < 0)
			return fault_wrap(fault, r, "launch '%s'", bench->self);
	}
	plain = bench_median(plain_ms, N_LAUNCHES);
	wrapped = bench_median(wrapped_ms, N_LAUNCHES);
	(void)printf("# %s: plain %.3f ms, wrapped %.3f ms\n", name, plain, wrapped);
	return bench_at_most(name, wrapped - plain, LIMIT_MS, "ms") ? 0 : 1;
}

/* The keeper alone, then each enforcer that works here. */
static int measure_all(struct bench *bench, const char *run, struct fault *fault)
{
	struct enforcer_setup setup = {.run = run,
		.n_tasks_max = 1,
		.budget_cpus = 1,
		.capacity_cpus = 1,
		.task_uid = getuid()};
	int n_short = measure(bench, "launch", fault);

	for (size_t i = 0; n_short >= 0 && enforcers[i]; i++) {
		const struct enforcer_ops *ops = enforcers[i];
		char name[64];
		int r;

		/* `signal` gives its first credit a tick later. */
		if (ops == &enforcer_signal || ops->probe(&setup, NULL) < 0)
			continue;
		r = ops->open(&bench->enforcer, &setup, fault);
		if (r < 0)
			return r;
		(void)snprintf(name, sizeof(name), "launch-%s", ops->name);
		r = measure(bench, name, fault);
		bench->enforcer = ops->close(bench->enforcer);
		n_short = r < 0 ? r : n_short + r;
	}
	return n_short;
}

int main(int argc, char **argv)
{
	uint64_t stamp_ns = bench_now_ns();
	struct fault fault = FAULT_INIT;
	struct bench bench = {.self = ""};
	char run[RUN_NAME_MAX];
	int r;

	if (argc > 1 && strcmp(argv[1], "stamp") == 0)
		return write(STDOUT_FILENO, &stamp_ns, sizeof(stamp_ns)) == sizeof(stamp_ns)
			? EXIT_SUCCESS
			: EXIT_FAILURE;
	if (readlink("/proc/self/exe", bench.self, sizeof(bench.self) - 1) < 0)
		return EXIT_FAILURE;
	bench.argv[0] = bench.self;
	bench.argv[1] = (char *)"stamp";
	r = run_name_make(run, &fault);
	if (r == 0)
		r = keeper_start(&bench.keeper, run, &fault);
	if (r == 0)
		r = measure_all(&bench, run, &fault);
	bench.keeper = keeper_stop(bench.keeper);
	if (r < 0)
		(void)fprintf(stderr, "%s\n", fault.text);
	return r == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
