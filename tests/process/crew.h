/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

#include <check.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "cleanup.h"
#include "keeper.h"
#include "leftover.h"
#include "nsec.h"
#include "process.h"

/* What the tests with real processes share: a keeper, tasks that are shell commands, and waiting
 * for an event with a deadline. A deadline is only there so that a broken test ends. */

#define CREW_DEADLINE_NS (30 * NSEC_PER_SEC)

struct crew {
	struct keeper *keeper;
	char run[RUN_NAME_MAX];
};

static inline uint64_t crew_now_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * NSEC_PER_SEC + (uint64_t)now.tv_nsec;
}

static inline void crew_pause(void)
{
	static const struct timespec pause = {.tv_nsec = 2000000};

	nanosleep(&pause, NULL);
}

/* `while (crew_waits(&deadline_ns)) if (it happened) break;` with deadline_ns 0 at first. */
static inline bool crew_waits(uint64_t *deadline_ns)
{
	if (*deadline_ns == 0)
		*deadline_ns = crew_now_ns() + CREW_DEADLINE_NS;
	else
		crew_pause();
	ck_assert_msg(crew_now_ns() < *deadline_ns, "it did not happen in time");
	return true;
}

static inline void crew_start(struct crew *crew)
{
	struct fault fault = FAULT_INIT;

	ck_assert_msg(run_name_make(crew->run, &fault) == 0, "%s", fault.text);
	ck_assert_msg(keeper_start(&crew->keeper, crew->run, &fault) == 0, "%s", fault.text);
}

/* A launch of `argv` with output to `output_fd`. */
static inline struct launch crew_launch(char *const argv[], int output_fd)
{
	return (struct launch){
		.name = "test",
		.argv = argv,
		.environment = environ,
		.directory = "/",
		.path = "/usr/bin:/bin",
		.stdin_fd = -EBADF,
		.stdout_fd = output_fd,
		.stderr_fd = STDERR_FILENO,
		.page_fd = -EBADF,
	};
}

static inline struct launched crew_spawn(struct crew *crew, const struct launch *launch)
{
	struct fault fault = FAULT_INIT;
	struct launched launched;

	ck_assert_msg(keeper_spawn(crew->keeper, launch, &launched, &fault) == 0, "%s", fault.text);
	return launched;
}

/* Starts `sh -c script` and lets it go. The pidfd is closed. */
static inline pid_t crew_run(struct crew *crew, const char *script, int output_fd)
{
	char *const argv[] = {(char *)"sh", (char *)"-c", (char *)script, NULL};
	struct launch launch = crew_launch(argv, output_fd);
	struct launched launched = crew_spawn(crew, &launch);

	close(launched.pidfd);
	ck_assert_int_eq(keeper_release(crew->keeper, launched.pid, NULL), 0);
	return launched.pid;
}

/* The keeper's next event, waited for. */
static inline struct keeper_event crew_event(struct crew *crew)
{
	struct pollfd poll_fd = {.fd = keeper_fd(crew->keeper), .events = POLLIN};
	struct keeper_event event;

	ck_assert_msg(poll(&poll_fd, 1, (int)(CREW_DEADLINE_NS / NSEC_PER_MSEC)) == 1,
		"no event from the keeper");
	ck_assert_int_eq(keeper_next(crew->keeper, &event), 1);
	return event;
}

/* The status of a task that executes and ends. */
static inline int crew_status(struct crew *crew, pid_t pid)
{
	struct keeper_event event = crew_event(crew);

	ck_assert_int_eq(event.kind, KEEPER_EXECUTED);
	ck_assert_int_eq(event.pid, pid);
	event = crew_event(crew);
	ck_assert_int_eq(event.kind, KEEPER_EXITED);
	ck_assert_int_eq(event.pid, pid);
	return event.exit_status;
}

/* Reads until end of file, waited for. The text is NUL-ended. */
static inline void crew_read(int fd, char *text, size_t size)
{
	size_t length = 0;

	for (;;) {
		struct pollfd poll_fd = {.fd = fd, .events = POLLIN};
		ssize_t n;

		ck_assert_msg(poll(&poll_fd, 1, (int)(CREW_DEADLINE_NS / NSEC_PER_MSEC)) == 1,
			"no end of file");
		n = read(fd, text + length, size - 1 - length);
		ck_assert_int_ge(n, 0);
		length += (size_t)n;
		if (n == 0 || length == size - 1)
			break;
	}
	text[length] = '\0';
}

/* What a script prints. */
static inline int crew_output(struct crew *crew, const char *script, char *text, size_t size)
{
	int pipe_fds[2];
	pid_t pid;

	ck_assert_int_eq(pipe2(pipe_fds, O_CLOEXEC), 0);
	pid = crew_run(crew, script, pipe_fds[1]);
	close(pipe_fds[1]);
	crew_read(pipe_fds[0], text, size);
	close(pipe_fds[0]);
	return crew_status(crew, pid);
}

/* How many living processes have NAME=value in their environment. */
static inline size_t crew_count(const char *name, const char *value)
{
	_cleanup_closedir_ DIR *proc = opendir("/proc");
	char its_value[256];
	size_t n = 0;
	pid_t pid;

	while ((pid = process_next(proc)) > 0) {
		_cleanup_close_ int fd = process_open(pid);

		if (fd >= 0 && process_variable(fd, name, its_value, sizeof(its_value)) == 1 &&
			strcmp(its_value, value) == 0)
			n++;
	}
	return n;
}
