// SPDX-License-Identifier: GPL-2.0-or-later
#include "busy.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "nsec.h"

/* See busy.h. A busy process makes no system calls after its gate, so that all it uses is its own
 * time, and PR_SET_PDEATHSIG ends it with a test that crashed. */

static void spin(void) __attribute__((noreturn));

static void spin(void)
{
	for (volatile uint64_t i = 0;; i++)
		;
}

static void run(int gate_fd, unsigned n_more)
{
	char byte;

	(void)prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (read(gate_fd, &byte, 1) != 1)
		_exit(EXIT_FAILURE);
	for (unsigned i = 0; i < n_more; i++) {
		if (fork() == 0) {
			(void)prctl(PR_SET_PDEATHSIG, SIGKILL);
			spin();
		}
	}
	spin();
}

struct busy busy_start_tree(unsigned n)
{
	struct busy busy;
	int fds[2];

	if (pipe2(fds, O_CLOEXEC) < 0)
		abort();
	busy.pid = fork();
	if (busy.pid < 0)
		abort();
	if (busy.pid == 0) {
		(void)close(fds[1]);
		run(fds[0], n);
	}
	(void)close(fds[0]);
	busy.gate_fd = fds[1];
	return busy;
}

struct busy busy_start(void)
{
	return busy_start_tree(0);
}

void busy_release(struct busy *busy)
{
	if (write(busy->gate_fd, "x", 1) != 1)
		abort();
	(void)close(busy->gate_fd);
	busy->gate_fd = -EBADF;
}

void busy_end(struct busy *busy)
{
	if (busy->pid <= 0)
		return;
	(void)kill(busy->pid, SIGKILL);
	(void)waitpid(busy->pid, NULL, 0);
	if (busy->gate_fd >= 0)
		(void)close(busy->gate_fd);
	*busy = (struct busy){.gate_fd = -EBADF};
}

bool busy_is_dead(const struct busy *busy)
{
	const uint64_t deadline_ns = busy_clock_ns() + 10 * NSEC_PER_SEC;

	while (busy_clock_ns() < deadline_ns) {
		siginfo_t info = {.si_pid = 0};

		if (waitid(P_PID, (id_t)busy->pid, &info, WEXITED | WNOHANG | WNOWAIT) < 0)
			return errno == ECHILD;
		if (info.si_pid == busy->pid)
			return true;
		busy_sleep_until(busy_clock_ns() + NSEC_PER_MSEC);
	}
	return false;
}

uint64_t busy_clock_ns(void)
{
	struct timespec now;

	(void)clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * NSEC_PER_SEC + (uint64_t)now.tv_nsec;
}

void busy_sleep_until(uint64_t when_ns)
{
	const struct timespec when = {
		.tv_sec = (time_t)(when_ns / NSEC_PER_SEC),
		.tv_nsec = (long)(when_ns % NSEC_PER_SEC),
	};

	while (clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &when, NULL) == EINTR)
		;
}
