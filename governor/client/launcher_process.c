// SPDX-License-Identifier: GPL-2.0-or-later
#include "launcher_process.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "cleanup.h"
#include "gate.h"

/* Why a process for each, and not one event loop with many launchers in it? A launcher makes its process
 * the command's stand-in: its standard descriptors, working directory and environment are the command's,
 * it waits where it wants to, and it may be killed without harm to anybody else. So all of it is used as
 * it is, and a task of a bundle is to the governor what `coregov run` would have made of it. The price is
 * one sleeping process a task, next to the training's own.
 *
 * News comes on a socket that keeps messages apart. Its other end is this process's alone (the command
 * closes it by executing, the relay by itself), so that its end of file is the process's end. */

#define CHANNEL_FD 3 /* in the child */
#define PREFIXED_FD 4

/* In the child: where its news goes. A launcher has one channel and says things in many places. */
static int channel = -EBADF;

static void tell(const struct launcher_news *news)
{
	/* Where nobody listens any more it goes on without. */
	(void)send(channel, news, sizeof(*news), MSG_NOSIGNAL);
}

__attribute__((format(printf, 1, 2))) static void say(const char *format, ...)
{
	struct launcher_news news = {.kind = LAUNCHER_SAID};
	va_list args;

	va_start(args, format);
	(void)vsnprintf(news.text, sizeof(news.text), format, args);
	va_end(args);
	tell(&news);
}

static void accepted(const struct client_reply *reply)
{
	struct launcher_news news = {.kind = LAUNCHER_ACCEPTED};

	(void)snprintf(news.text, sizeof(news.text), "%s", reply->task);
	tell(&news);
}

/* As a command that is started from a shell has them. */
static void reset_signals(void)
{
	sigset_t none;

	for (int signo = 1; signo < NSIG; signo++)
		(void)signal(signo, SIG_DFL);
	(void)sigemptyset(&none);
	(void)sigprocmask(SIG_SETMASK, &none, NULL);
}

/* The places may be taken by one another, so all are lifted above them first. What else is open is the
 * caller's. */
static int place_descriptors(const struct launcher_process_setup *setup, int ours)
{
	_cleanup_close_ int null_fd = open("/dev/null", O_RDWR | O_CLOEXEC);
	int from[] = {null_fd, setup->stdout_fd >= 0 ? setup->stdout_fd : null_fd,
		setup->stderr_fd >= 0 ? setup->stderr_fd : null_fd, ours, STDERR_FILENO};

	for (size_t i = 0; i < ARRAY_LENGTH(from); i++) {
		from[i] = fcntl(from[i], F_DUPFD_CLOEXEC, PREFIXED_FD + 1);
		if (from[i] < 0)
			return -errno;
	}
	for (size_t i = 0; i < ARRAY_LENGTH(from); i++)
		if (dup2(from[i], (int)i) < 0)
			return -errno;
	null_fd = -EBADF; /* closed with all the others */
	(void)close_range(PREFIXED_FD + 1, UINT_MAX, 0);
	(void)close_range(CHANNEL_FD, PREFIXED_FD, CLOSE_RANGE_CLOEXEC);
	channel = CHANNEL_FD;
	return 0;
}

static void run(const struct launcher_process_setup *setup, struct launcher_result *ret_result)
{
	struct launcher_setup launcher = setup->launcher;
	_cleanup_free_ char *directory = NULL;
	struct fault fault = FAULT_INIT;

	/* What fails here is the command's failure to start, as in a run of our own. */
	*ret_result = (struct launcher_result){
		.answer = CLIENT_ACCEPTED, .status = GATE_STATUS_NOT_EXECUTED};
	if (chdir(setup->directory) < 0) {
		say("cannot enter directory '%s': %s", setup->directory, strerror(errno));
		return;
	}
	directory = getcwd(NULL, 0);
	environ = setup->environment;
	launcher.request.directory = directory;
	launcher.prefixed_to = PREFIXED_FD;
	launcher.kept_fd = CHANNEL_FD;
	launcher.accepted = accepted;
	launcher.say = say;
	if (launcher_run(&launcher, ret_result, &fault) < 0) {
		say("%s", fault.text);
		*ret_result = (struct launcher_result){
			.answer = CLIENT_ACCEPTED, .status = GATE_STATUS_LAUNCHER};
	}
}

static _Noreturn void run_child(const struct launcher_process_setup *setup, int ours)
{
	struct launcher_news news = {.kind = LAUNCHER_DONE};

	/* Ctrl-C is for who has started us. */
	(void)setsid();
	reset_signals();
	if (place_descriptors(setup, ours) < 0)
		_exit(GATE_STATUS_LAUNCHER);
	run(setup, &news.result);
	tell(&news);
	_exit(EXIT_SUCCESS);
}

int launcher_process_start(struct launcher_process *ret_process,
	const struct launcher_process_setup *setup, struct fault *fault)
{
	_cleanup_close_ int ours = -EBADF, its = -EBADF;
	int ends[2];
	pid_t pid;

	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends) < 0)
		return fault_errno(fault, -errno, "start a launcher");
	ours = ends[0];
	its = ends[1];
	pid = fork();
	if (pid < 0)
		return fault_errno(fault, -errno, "start a launcher");
	if (pid == 0)
		run_child(setup, its);
	*ret_process = (struct launcher_process){.pid = pid, .fd = TAKE_FD(ours)};
	return 0;
}

int launcher_process_next(struct launcher_process *process, struct launcher_news *ret_news)
{
	ssize_t length;

	do
		length = recv(process->fd, ret_news, sizeof(*ret_news), MSG_DONTWAIT);
	while (length < 0 && errno == EINTR);
	if (length == (ssize_t)sizeof(*ret_news))
		return 1;
	if (length < 0 && errno == EAGAIN)
		return -EAGAIN;
	while (waitpid(process->pid, NULL, 0) < 0 && errno == EINTR)
		;
	process->pid = 0;
	return 0;
}

void launcher_process_signal(const struct launcher_process *process, int signo)
{
	if (process->pid <= 0)
		return;
	/* It may have no session of its own yet. */
	if (signo != SIGKILL || kill(-process->pid, signo) < 0)
		(void)kill(process->pid, signo);
}

void launcher_process_forget(struct launcher_process *process)
{
	cleanup_close(&process->fd);
	*process = (struct launcher_process){.fd = -EBADF};
}
