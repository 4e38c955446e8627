// SPDX-License-Identifier: GPL-2.0-or-later
#include "gate.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/pidfd.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "cleanup.h"
#include "keeper.h"
#include "keeper_wire.h"
#include "marks.h"

/* One SOCK_SEQPACKET pair between launcher and child: the order goes one way, with the descriptors,
 * an error the other. The child's end closes when the command is executed, and tells so.
 *
 * The child has nothing of the launcher's but that end: all else that the launcher opens before the
 * fork is close-on-exec. Where the launcher is gone before the gate opened, nothing has begun, and
 * nothing does. */

/* What goes over the socket with the descriptors, in the order page, stdout, stderr. */
struct order_message {
	bool has_page, has_stdout, has_stderr;
	struct page_address page;
	uint32_t threads;
};

int gate_status(int error)
{
	return error == -ENOENT ? GATE_STATUS_NOT_FOUND : GATE_STATUS_NOT_EXECUTED;
}

int gate_become(char *const argv[], const struct gate_signals *signals)
{
	(void)sigaction(SIGCHLD, &signals->child, NULL);
	(void)sigprocmask(SIG_SETMASK, &signals->mask, NULL);
	(void)execvp(argv[0], argv);
	return -errno;
}

/* The page's descriptor under a number that stays out of the way. -EBADF where no descriptor is
 * allowed any more: the path still leads to it. */
static int place_page(int fd)
{
	int placed = fcntl(fd, F_DUPFD, KEEPER_PAGE_FD);

	/* EINVAL: the number itself is above the limit. */
	if (placed < 0)
		placed = fcntl(fd, F_DUPFD, STDERR_FILENO + 1);
	return placed < 0 ? -EBADF : placed;
}

static int set_variable(const char *text)
{
	char name[64];
	const char *value = strchr(text, '=');

	assert(value && (size_t)(value - text) < sizeof(name));
	memcpy(name, text, (size_t)(value - text));
	name[value - text] = '\0';
	return setenv(name, value + 1, /* overwrite= */ 1) < 0 ? -errno : 0;
}

/* As in environment.c, and for the same reasons; but nothing here is set for whoever is not
 * governed. */
static int set_variables(const struct order_message *order, int page_fd)
{
	struct page_address page = order->page;
	char text[PAGE_ENVIRONMENT_MAX], threads[16], pid[16];
	int r = 0;

	if (order->has_page) {
		page.task_fd = page_fd;
		r = page_address(&page, text, sizeof(text));
		if (r == 0)
			r = set_variable(text);
	}
	(void)snprintf(pid, sizeof(pid), "%d", (int)getpid());
	(void)snprintf(threads, sizeof(threads), "%u", order->threads);
	if (r == 0)
		r = setenv(TASK_PID_ENVIRONMENT, pid, /* overwrite= */ 1);
	if (r == 0)
		r = setenv("OMP_WAIT_POLICY", "PASSIVE", /* overwrite= */ 0);
	if (r == 0 && (order->has_stdout || order->has_stderr))
		r = setenv("PYTHONUNBUFFERED", "1", /* overwrite= */ 0);
	if (r == 0 && order->threads > 0)
		r = setenv("OMP_NUM_THREADS", threads, /* overwrite= */ 0);
	return r < 0 ? -errno : 0;
}

static int obey(const struct order_message *order, const int fds[])
{
	int page_fd = -EBADF, next = 0;

	if (order->has_page)
		page_fd = place_page(fds[next++]);
	if (order->has_stdout && dup2(fds[next++], STDOUT_FILENO) < 0)
		return -errno;
	if (order->has_stderr && dup2(fds[next++], STDERR_FILENO) < 0)
		return -errno;
	return set_variables(order, page_fd);
}

static _Noreturn void run_child(
	int fd, char *const argv[], const struct gate_signals *signals, int death_signal)
{
	struct order_message order;
	int fds[WIRE_FDS_MAX], r;

	(void)prctl(PR_SET_PDEATHSIG, death_signal);
	/* What comes at the gate does what it would do to the command. */
	(void)sigprocmask(SIG_SETMASK, &signals->mask, NULL);
	do
		r = wire_receive(fd, &order, sizeof(order), fds, /* flags= */ 0);
	while (r == -EINTR);
	if (r <= 0)
		_exit(GATE_STATUS_LAUNCHER);
	r = obey(&order, fds);
	if (r == 0)
		r = gate_become(argv, signals);
	(void)wire_send(fd, &r, sizeof(r), NULL, 0, MSG_NOSIGNAL);
	_exit(gate_status(r));
}

int gate_make(struct gate *ret_gate, char *const argv[], const struct gate_signals *signals,
	struct fault *fault)
{
	_cleanup_close_ int ours = -EBADF, its = -EBADF;
	int ends[2], death_signal = 0, pidfd;
	pid_t pid;

	/* Who asked to be killed with its parent, as we may have been, meant the command. */
	(void)prctl(PR_GET_PDEATHSIG, &death_signal);
	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends) < 0)
		return fault_errno(fault, -errno, "make a gate");
	ours = ends[0];
	its = ends[1];
	pid = fork();
	if (pid < 0)
		return fault_errno(fault, -errno, "start a process");
	if (pid == 0) {
		/* Or the end of the launcher would not be seen. */
		(void)close(ours);
		run_child(its, argv, signals, death_signal);
	}
	pidfd = pidfd_open(pid, 0);
	if (pidfd < 0) {
		int error = -errno;

		cleanup_close(&ours);
		ours = -EBADF;
		(void)waitpid(pid, NULL, 0);
		return fault_errno(fault, error, "hold the process by a descriptor");
	}
	*ret_gate = (struct gate){.pid = pid, .pidfd = pidfd, .fd = TAKE_FD(ours)};
	return 0;
}

int gate_open(struct gate *gate, const struct gate_order *order)
{
	const struct order_message message = {
		.has_page = order->page_fd >= 0,
		.has_stdout = order->stdout_fd >= 0,
		.has_stderr = order->stderr_fd >= 0,
		.page = order->page,
		.threads = order->threads,
	};
	int fds[3];
	size_t n_fds = 0;

	if (message.has_page)
		fds[n_fds++] = order->page_fd;
	if (message.has_stdout)
		fds[n_fds++] = order->stdout_fd;
	if (message.has_stderr)
		fds[n_fds++] = order->stderr_fd;
	return wire_send(gate->fd, &message, sizeof(message), fds, n_fds, MSG_NOSIGNAL);
}

int gate_news(struct gate *gate, int *ret_error)
{
	int fds[WIRE_FDS_MAX], error, r;

	r = wire_receive(gate->fd, &error, sizeof(error), fds, MSG_DONTWAIT);
	if (r == -EAGAIN || r == -EINTR)
		return -EAGAIN;
	cleanup_close(&gate->fd);
	gate->fd = -EBADF;
	if (r <= 0)
		return 1;
	*ret_error = error;
	return 0;
}

void gate_close(struct gate *gate)
{
	cleanup_close(&gate->fd);
	cleanup_close(&gate->pidfd);
	gate->fd = gate->pidfd = -EBADF;
}

void gate_drop(struct gate *gate)
{
	if (gate->pidfd >= 0)
		(void)pidfd_send_signal(gate->pidfd, SIGKILL, NULL, 0);
	gate_close(gate);
	while (waitpid(gate->pid, NULL, 0) < 0 && errno == EINTR)
		;
}
