// SPDX-License-Identifier: GPL-2.0-or-later
#include "keeper.h"

#include <assert.h>
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/pidfd.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>

#include "cleanup.h"
#include "keeper_process.h"
#include "keeper_wire.h"
#include "launch_pack.h"
#include "leftover.h"

/* The governor's side of the keeper. Requests and replies have a socket of their own, so that a
 * reply is never behind an event and nothing has to be put aside here. A reply is waited for, but
 * not for ever: a keeper that does not answer (stopped by somebody) is an error, and its late reply
 * is known by its serial and dropped.
 *
 * An orderly stop is the same to the keeper as our death: the sockets close. What differs is that
 * we wait, and do its work if it cannot. */

#define ANSWER_SECONDS 20 /* longer than the keeper waits for a new process */
#define STOP_MS 30000     /* longer than the keeper tries (keeper_process.c) */

struct keeper {
	char run[RUN_NAME_MAX];
	pid_t pid;
	int pidfd;
	int control_fd, events_fd;
	uint32_t serial; /* of the last request */
	bool is_lost;
};

static void set_patience(int fd)
{
	static const struct timeval patience = {.tv_sec = ANSWER_SECONDS};

	(void)setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience));
	(void)setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof(patience));
}

/* Forks with all signals blocked: no handler of ours runs in the keeper. */
static pid_t fork_keeper(const struct keeper *keeper, int its_control_fd, int its_events_fd)
{
	sigset_t all, before;
	pid_t pid;
	int error;

	(void)sigfillset(&all);
	(void)sigprocmask(SIG_BLOCK, &all, &before);
	pid = fork();
	error = errno;
	if (pid == 0) {
		(void)close(keeper->control_fd);
		(void)close(keeper->events_fd);
		keeper_process_run(keeper->run, its_control_fd, its_events_fd);
	}
	(void)sigprocmask(SIG_SETMASK, &before, NULL);
	errno = error;
	return pid;
}

static int send_request(struct keeper *keeper, const struct wire_request *request, const int fds[],
	size_t n_fds, struct fault *fault)
{
	int r = -EPIPE;

	/* It may be told lost before this socket has closed. */
	if (!keeper->is_lost)
		r = wire_send(keeper->control_fd, request, sizeof(*request), fds, n_fds, 0);
	if (r == -EPIPE || r == -ECONNRESET || r == -ENOTCONN)
		return fault_set(fault, -EPIPE, "the keeper (pid %d) is gone", (int)keeper->pid);
	if (r == -EAGAIN)
		return fault_set(fault, -ETIMEDOUT,
			"the keeper (pid %d) takes no requests; is it stopped?", (int)keeper->pid);
	return r < 0 ? fault_errno(fault, r, "ask the keeper (pid %d)", (int)keeper->pid) : 0;
}

/* Waits for the reply to the last request; its pidfd is the caller's. */
static int receive_reply(struct keeper *keeper, pid_t *ret_pid, int *ret_pidfd, struct fault *fault)
{
	struct wire_reply reply;
	int fds[WIRE_FDS_MAX];
	int r;

	for (;;) {
		r = wire_receive(keeper->control_fd, &reply, sizeof(reply), fds, 0);
		if (r == 0)
			return fault_set(
				fault, -EPIPE, "the keeper (pid %d) is gone", (int)keeper->pid);
		if (r == -EAGAIN)
			return fault_set(fault, -ETIMEDOUT,
				"the keeper (pid %d) does not answer; is it stopped?",
				(int)keeper->pid);
		if (r < 0)
			return fault_errno(fault, r, "read the keeper's reply");
		if (reply.serial == keeper->serial)
			break;
		wire_close(fds); /* the late reply to a request that was given up */
	}
	if (reply.error < 0) {
		wire_close(fds);
		return fault_errno(fault, reply.error, "start a process");
	}
	*ret_pid = reply.pid;
	*ret_pidfd = fds[0];
	return 0;
}

/* Makes the sockets and the process. */
static int start(struct keeper *keeper, struct fault *fault)
{
	_cleanup_close_ int its_control_fd = -EBADF, its_events_fd = -EBADF;
	int pair[2], no_fd;
	pid_t no_pid;

	if (prctl(PR_SET_CHILD_SUBREAPER, 1) < 0)
		return fault_errno(fault, -errno, "become a subreaper");
	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) < 0)
		return fault_errno(fault, -errno, "make a socket");
	keeper->control_fd = pair[0];
	its_control_fd = pair[1];
	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) < 0)
		return fault_errno(fault, -errno, "make a socket");
	keeper->events_fd = pair[0];
	its_events_fd = pair[1];
	keeper->pid = fork_keeper(keeper, its_control_fd, its_events_fd);
	if (keeper->pid < 0)
		return fault_errno(fault, -errno, "fork");
	(void)close(TAKE_FD(its_control_fd)); /* else there is no end of file to read */
	keeper->pidfd = pidfd_open(keeper->pid, 0);
	if (keeper->pidfd < 0)
		return fault_errno(fault, -errno, "pidfd_open (Linux 5.11 or later is needed)");
	set_patience(keeper->control_fd);
	return receive_reply(keeper, &no_pid, &no_fd, fault); /* it says that it is ready */
}

int keeper_start(struct keeper **ret_keeper, const char *run, struct fault *fault)
{
	struct keeper *keeper = malloc(sizeof(*keeper));
	int r;

	assert(strlen(run) < RUN_NAME_MAX);
	if (!keeper)
		return fault_errno(fault, -ENOMEM, "start the keeper");
	*keeper = (struct keeper){.pidfd = -EBADF, .control_fd = -EBADF, .events_fd = -EBADF};
	(void)strcpy(keeper->run, run);
	r = start(keeper, fault);
	if (r < 0) {
		(void)keeper_stop(keeper);
		return fault_wrap(fault, r, "start the keeper");
	}
	*ret_keeper = keeper;
	return 0;
}

int keeper_spawn(struct keeper *keeper, const struct launch *launch, struct launched *ret_launched,
	struct fault *fault)
{
	struct launch_pack pack;
	struct wire_request request = {.kind = WIRE_SPAWN};
	int fds[WIRE_FDS_MAX];
	size_t n_fds = 0;
	int r;

	r = launch_pack(launch, &pack, fault);
	if (r < 0)
		return fault_wrap(fault, r, "task %s", launch->name);
	request.serial = ++keeper->serial;
	request.n_arguments = pack.n_arguments;
	request.n_variables = pack.n_variables;
	request.has_stdin = launch->stdin_fd >= 0;
	request.has_page = launch->page_fd >= 0;
	fds[n_fds++] = pack.fd;
	fds[n_fds++] = launch->stdout_fd;
	fds[n_fds++] = launch->stderr_fd;
	if (request.has_stdin)
		fds[n_fds++] = launch->stdin_fd;
	if (request.has_page)
		fds[n_fds++] = launch->page_fd;
	r = send_request(keeper, &request, fds, n_fds, fault);
	(void)close(pack.fd);
	if (r == 0)
		r = receive_reply(keeper, &ret_launched->pid, &ret_launched->pidfd, fault);
	if (r < 0)
		return fault_wrap(fault, r, "task %s", launch->name);
	ret_launched->page_fd_number = request.has_page ? KEEPER_PAGE_FD : -EBADF;
	return 0;
}

int keeper_release(struct keeper *keeper, pid_t pid, struct fault *fault)
{
	struct wire_request request = {
		.kind = WIRE_RELEASE,
		.serial = ++keeper->serial,
		.pid = pid,
	};

	return send_request(keeper, &request, NULL, 0, fault);
}

int keeper_fd(const struct keeper *keeper)
{
	return keeper->events_fd;
}

int keeper_next(struct keeper *keeper, struct keeper_event *ret_event)
{
	int fds[WIRE_FDS_MAX];
	int r;

	if (keeper->is_lost)
		return 0;
	r = wire_receive(keeper->events_fd, ret_event, sizeof(*ret_event), fds, MSG_DONTWAIT);
	if (r == -EAGAIN)
		return 0;
	if (r != 0)
		return r;
	keeper->is_lost = true;
	*ret_event = (struct keeper_event){.kind = KEEPER_LOST, .pid = keeper->pid};
	return 1;
}

/* Waits for the keeper's end, which it comes to by itself once its sockets have closed; a keeper
 * that does not is killed. True where it ended in good order. */
static bool wait_for_end(struct keeper *keeper)
{
	struct pollfd ended = {.fd = keeper->pidfd, .events = POLLIN};
	siginfo_t status = {.si_code = 0};
	int r;

	do
		r = poll(&ended, 1, STOP_MS);
	while (r < 0 && errno == EINTR);
	if (r != 1)
		(void)kill(keeper->pid, SIGKILL); /* our child, not reaped: the pid is its */
	do
		r = waitid(P_PID, (id_t)keeper->pid, &status, WEXITED);
	while (r < 0 && errno == EINTR);
	return r == 0 && status.si_code == CLD_EXITED && status.si_status == EXIT_SUCCESS;
}

struct keeper *keeper_stop(struct keeper *keeper)
{
	if (!keeper)
		return NULL;
	if (keeper->control_fd >= 0)
		(void)close(keeper->control_fd);
	if (keeper->events_fd >= 0)
		(void)close(keeper->events_fd);
	if (keeper->pid > 0 && !wait_for_end(keeper))
		(void)leftover_end_run(keeper->run, NULL); /* the next start tries again */
	if (keeper->pidfd >= 0)
		(void)close(keeper->pidfd);
	free(keeper);
	return NULL;
}
