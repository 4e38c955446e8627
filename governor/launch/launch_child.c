// SPDX-License-Identifier: GPL-2.0-or-later
#include "launch_child.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "cleanup.h"
#include "keeper_wire.h"

/* A new task before it is one. First it lets go of all that is the keeper's (descriptors, so that
 * the governor sees the keeper die; signal mask; process group) and says so: it may be frozen any
 * moment from then on. Then it waits at the gate, then it reads the launch and becomes the command.
 * All that can fail for the user's reasons happens behind the gate, in its place and on its
 * account, and is reported the same way: which step, which error.
 *
 * SIGKILL at the death of the keeper stays set through execve(2): a task that is stopped at its
 * gate has no name in its environment yet, and nobody else would find it.
 *
 * argv[0] is looked up as execvpe(3) does, with two differences: in the PATH of the launch, not in
 * our own environment, and a file without a #! line is an error, not a shell script. */

#define STATUS_NOT_FOUND 127
#define STATUS_NOT_EXECUTED 126
#define GATE_FD 3 /* in the child, until it executes */

static void tell(int gate_fd, enum wire_stage stage, enum launch_step step, int error)
{
	struct wire_news news = {.stage = stage, .step = (int)step, .error = error};

	/* If the keeper is gone SIGKILL is on its way. */
	(void)wire_send(gate_fd, &news, sizeof(news), NULL, 0, 0);
}

static _Noreturn void fail(enum launch_step step, int error)
{
	tell(GATE_FD, WIRE_FAILED, step, error);
	_exit(step == LAUNCH_COMMAND && error == -ENOENT ? STATUS_NOT_FOUND : STATUS_NOT_EXECUTED);
}

/* Puts the descriptors in their places and closes all others. The places may be taken by one
 * another, so all are lifted above them first. */
static int place_descriptors(const struct launch_child *child, int *ret_pack_fd)
{
	int from[] = {child->stdin_fd, child->stdout_fd, child->stderr_fd, child->gate_fd,
		child->page_fd, child->pack.fd};
	static const int to[] = {
		STDIN_FILENO, STDOUT_FILENO, STDERR_FILENO, GATE_FD, KEEPER_PAGE_FD, GATE_FD + 1};

	if (from[0] < 0)
		from[0] = open("/dev/null", O_RDWR | O_CLOEXEC);
	if (from[0] < 0)
		return -errno;
	for (size_t i = 0; i < ARRAY_LENGTH(from); i++) {
		if (from[i] < 0)
			continue;
		from[i] = fcntl(from[i], F_DUPFD_CLOEXEC, KEEPER_PAGE_FD + 1);
		if (from[i] < 0)
			/* EINVAL: the number itself is above the limit. */
			return errno == EINVAL ? -EMFILE : -errno;
	}
	for (size_t i = 0; i < ARRAY_LENGTH(from); i++)
		if (from[i] >= 0 && dup2(from[i], to[i]) < 0)
			return -errno;
	(void)close_range(GATE_FD + 2, KEEPER_PAGE_FD - 1, 0);
	(void)close_range(KEEPER_PAGE_FD + 1, UINT_MAX, 0);
	if (child->page_fd < 0)
		(void)close(KEEPER_PAGE_FD);
	(void)close_range(GATE_FD, GATE_FD + 1, CLOSE_RANGE_CLOEXEC);
	*ret_pack_fd = GATE_FD + 1;
	return 0;
}

static void reset_signals(void)
{
	sigset_t none;

	for (int signo = 1; signo < NSIG; signo++)
		(void)signal(signo, SIG_DFL); /* EINVAL for SIGKILL, SIGSTOP and libc's own */
	(void)sigemptyset(&none);
	(void)sigprocmask(SIG_SETMASK, &none, NULL);
}

/* Returns when the gate opens; ends the process when the keeper is gone. */
static void wait_at_gate(void)
{
	char byte;
	ssize_t length;

	do
		length = recv(GATE_FD, &byte, 1, 0);
	while (length < 0 && errno == EINTR);
	if (length != 1)
		_exit(STATUS_NOT_EXECUTED);
}

/* Tries each directory of the path. Returns the error that says most: that of a file that is there
 * but cannot be executed goes before -ENOENT. */
static int execute_in_path(const struct launch_strings *strings)
{
	int error = -ENOENT;

	for (const char *next, *at = strings->path; at; at = next) {
		size_t length = strcspn(at, ":");
		char file[PATH_MAX];
		int n;

		next = at[length] == ':' ? at + length + 1 : NULL;
		/* An empty entry is the working directory. */
		n = snprintf(file, sizeof(file), "%.*s%s%s", (int)length, at, length > 0 ? "/" : "",
			strings->argv[0]);
		if (n < 0 || (size_t)n >= sizeof(file))
			continue;
		(void)execve(file, strings->argv, strings->environment);
		if (errno == ENOENT || errno == ENOTDIR)
			continue;
		if (errno != EACCES)
			return -errno;
		error = -EACCES;
	}
	return error;
}

/* Returns only with an error. */
static int execute(const struct launch_strings *strings)
{
	if (!strchr(strings->argv[0], '/'))
		return execute_in_path(strings);
	(void)execve(strings->argv[0], strings->argv, strings->environment);
	return -errno;
}

_Noreturn void launch_child_run(const struct launch_child *child)
{
	struct launch_pack pack = child->pack;
	struct launch_strings strings;
	int r;

	(void)setpgid(0, 0);
	(void)prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (getppid() != child->keeper)
		_exit(STATUS_NOT_EXECUTED);
	r = place_descriptors(child, &pack.fd);
	if (r < 0) {
		/* It failed before a place was taken: the gate is still where it was. */
		tell(child->gate_fd, WIRE_AT_GATE, LAUNCH_COMMAND, r);
		_exit(STATUS_NOT_EXECUTED);
	}
	reset_signals();
	tell(GATE_FD, WIRE_AT_GATE, LAUNCH_COMMAND, 0);
	wait_at_gate();
	r = launch_unpack(&pack, child->run, getpid(), &strings);
	if (r < 0)
		fail(LAUNCH_COMMAND, r);
	if (chdir(strings.directory) < 0)
		fail(LAUNCH_DIRECTORY, -errno);
	tell(GATE_FD, WIRE_AT_EXECUTE, LAUNCH_COMMAND, 0);
	fail(LAUNCH_COMMAND, execute(&strings));
}
