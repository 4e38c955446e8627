// SPDX-License-Identifier: GPL-2.0-or-later
#include "keeper_process.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/pidfd.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/wait.h>

#include "cleanup.h"
#include "keeper.h"
#include "keeper_wire.h"
#include "launch_child.h"
#include "leftover.h"
#include "monotonic.h"
#include "nsec.h"
#include "process.h"

/* The keeper waits for three things: a request, the end of a child, news from a gate. It never
 * blocks on the governor, which may be busy, stopped or dead: what cannot be sent now stays in the
 * record of its task, one record a task with room for all that is ever said of it, so that nothing
 * is lost and nothing grows.
 *
 * Its life ends with the governor's: end of file on the control socket, which the kernel sees to
 * however the governor dies, and which an orderly stop uses as well: one way to end, tried every
 * day. Then all of the run is ended, by name (leftover.h) and by descent: as the subreaper the
 * keeper is handed every orphan of its tasks, also those that have left their group, their session
 * and their environment. It kills what children it has until it has none.
 *
 * It blocks all signals (Ctrl-C in a terminal reaches a whole process group) and has a session of
 * its own: tasks then have no controlling terminal that could stop them for writing to it. */

#define END_DEADLINE_NS (10 * NSEC_PER_SEC)
#define GATE_SECONDS 10
#define END_POLL_MS 50 /* a child forked behind our back sends no SIGCHLD when it becomes ours */

/* One task, from its fork until its end has been told. */
struct kept {
	pid_t pid;
	int channel_fd; /* to its gate; -EBADF once it has executed or ended */
	bool is_about_to_execute;
	bool has_exec_event, has_exit_event; /* to be told, in this order */
	struct keeper_event exec_event, exit_event;
};

struct keeper_process {
	const char *run;
	int control_fd, events_fd, epoll_fd, signal_fd;
	bool wants_room; /* waits for the events socket to take more */
	struct kept *tasks;
	size_t n_tasks, n_allocated;
};

static uint64_t timeval_to_ns(const struct timeval *time)
{
	return (uint64_t)time->tv_sec * NSEC_PER_SEC + (uint64_t)time->tv_usec * NSEC_PER_USEC;
}

static int watch(struct keeper_process *keeper, int operation, int fd, uint32_t events)
{
	struct epoll_event event = {.events = events, .data = {.fd = fd}};

	return epoll_ctl(keeper->epoll_fd, operation, fd, &event) < 0 ? -errno : 0;
}

/* The task that is alive under that pid: an ended one whose end is yet to be told may have had the
 * same. */
static struct kept *find_by_pid(struct keeper_process *keeper, pid_t pid)
{
	for (size_t i = 0; i < keeper->n_tasks; i++)
		if (keeper->tasks[i].pid == pid && !keeper->tasks[i].has_exit_event)
			return &keeper->tasks[i];
	return NULL;
}

static struct kept *find_by_channel(struct keeper_process *keeper, int channel_fd)
{
	for (size_t i = 0; i < keeper->n_tasks; i++)
		if (keeper->tasks[i].channel_fd == channel_fd)
			return &keeper->tasks[i];
	return NULL;
}

/* Sends one event. 1 where it went, 0 where it has to wait. */
static int tell(struct keeper_process *keeper, const struct keeper_event *event)
{
	int r = wire_send(keeper->events_fd, event, sizeof(*event), NULL, 0, MSG_DONTWAIT);

	/* Any other failure means that nobody listens any more. */
	return r == -EAGAIN ? 0 : 1;
}

/* Tells what there is to tell of one task. 1 where all of it went. */
static int tell_task(struct keeper_process *keeper, struct kept *task)
{
	if (task->has_exec_event) {
		if (tell(keeper, &task->exec_event) == 0)
			return 0;
		task->has_exec_event = false;
	}
	if (task->has_exit_event && tell(keeper, &task->exit_event) == 0)
		return 0;
	return 1;
}

/* Tells what there is to tell, and forgets the tasks that are done with. */
static void tell_all(struct keeper_process *keeper)
{
	size_t n_left = 0;
	bool is_full = false;

	for (size_t i = 0; i < keeper->n_tasks; i++) {
		struct kept *task = &keeper->tasks[i];

		if (!is_full)
			is_full = tell_task(keeper, task) == 0;
		if (!is_full && task->has_exit_event)
			continue;
		keeper->tasks[n_left++] = *task;
	}
	keeper->n_tasks = n_left;
	if (is_full != keeper->wants_room) {
		(void)watch(keeper, EPOLL_CTL_MOD, keeper->events_fd, is_full ? EPOLLOUT : 0);
		keeper->wants_room = is_full;
	}
}

static void close_channel(struct kept *task)
{
	(void)close(task->channel_fd); /* the only one there is: it leaves the epoll set with it */
	task->channel_fd = -EBADF;
}

/* Reads what the gate has said so far. */
static void hear(struct kept *task)
{
	int fds[WIRE_FDS_MAX];
	struct wire_news news;
	int r;

	while (task->channel_fd >= 0) {
		r = wire_receive(task->channel_fd, &news, sizeof(news), fds, MSG_DONTWAIT);
		if (r == -EAGAIN)
			return;
		if (r == 1 && news.stage == WIRE_AT_EXECUTE) {
			task->is_about_to_execute = true;
			continue;
		}
		if (r == 1 || task->is_about_to_execute) {
			task->exec_event = (struct keeper_event){
				.kind = r == 1 ? KEEPER_EXEC_FAILED : KEEPER_EXECUTED,
				.pid = task->pid,
				.step = r == 1 ? (enum launch_step)news.step : LAUNCH_COMMAND,
				.error = r == 1 ? news.error : 0,
				.stamp_ns = monotonic_ns(),
			};
			task->has_exec_event = true;
		}
		close_channel(task);
	}
}

/* Reaps every child that has ended: tasks and orphans alike. */
static void reap(struct keeper_process *keeper)
{
	struct rusage used;
	int status;
	pid_t pid;

	while ((pid = wait4(-1, &status, WNOHANG, &used)) > 0) {
		struct kept *task = find_by_pid(keeper, pid);

		if (!task)
			continue;
		hear(task);
		if (task->channel_fd >= 0)
			close_channel(task);
		task->exit_event = (struct keeper_event){
			.kind = KEEPER_EXITED,
			.pid = pid,
			.by_signal = WIFSIGNALED(status),
			.exit_status = WIFSIGNALED(status) ? 128 + WTERMSIG(status)
							   : WEXITSTATUS(status),
			.cpu_ns = timeval_to_ns(&used.ru_utime) + timeval_to_ns(&used.ru_stime),
			.stamp_ns = monotonic_ns(),
		};
		task->has_exit_event = true;
	}
}

/* Makes room for one more record. */
static int reserve(struct keeper_process *keeper)
{
	size_t n_wanted = keeper->n_allocated > 0 ? 2 * keeper->n_allocated : 16;
	struct kept *grown;

	if (keeper->n_tasks < keeper->n_allocated)
		return 0;
	grown = reallocarray(keeper->tasks, n_wanted, sizeof(*grown));
	if (!grown)
		return -ENOMEM;
	keeper->tasks = grown;
	keeper->n_allocated = n_wanted;
	return 0;
}

/* Waits until the new process has let go of all that is the keeper's. Bounded: it has some ten
 * system calls to make. */
static int wait_for_gate(int channel_fd)
{
	static const struct timeval patience = {.tv_sec = GATE_SECONDS};
	int fds[WIRE_FDS_MAX];
	struct wire_news news;
	int r;

	(void)setsockopt(channel_fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience));
	r = wire_receive(channel_fd, &news, sizeof(news), fds, 0);
	if (r < 0)
		return r == -EAGAIN ? -ETIMEDOUT : r;
	/* End of file: somebody has killed it already. */
	return r == 0 ? -ECHILD : news.error;
}

/* Forks the task up to its gate. */
static int fork_child(struct keeper_process *keeper, const struct wire_request *request,
	const int fds[], int channel_fd, int gate_fd, pid_t *ret_pid)
{
	struct launch_child child = {
		.run = keeper->run,
		.keeper = getpid(),
		.gate_fd = gate_fd,
		.pack = {.fd = fds[0],
			.n_arguments = request->n_arguments,
			.n_variables = request->n_variables},
		.stdin_fd = request->has_stdin ? fds[3] : -EBADF,
		.stdout_fd = fds[1],
		.stderr_fd = fds[2],
		.page_fd = request->has_page ? fds[3 + request->has_stdin] : -EBADF,
	};
	pid_t pid = fork();
	int r;

	if (pid < 0)
		return -errno;
	if (pid == 0)
		launch_child_run(&child);
	(void)close(gate_fd); /* else there is no end of file */
	r = wait_for_gate(channel_fd);
	if (r < 0) {
		(void)kill(pid, SIGKILL); /* not reaped yet: the pid is the child's */
		return r;
	}
	*ret_pid = pid;
	return 0;
}

/* Forks the task and enters it into the books. */
static int spawn(struct keeper_process *keeper, const struct wire_request *request, const int fds[],
	pid_t *ret_pid, int *ret_pidfd)
{
	_cleanup_close_ int channel_fd = -EBADF, pidfd = -EBADF;
	int pair[2], r;
	pid_t pid = 0;

	r = reserve(keeper);
	if (r < 0)
		return r;
	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) < 0)
		return -errno;
	channel_fd = pair[0];
	r = fork_child(keeper, request, fds, channel_fd, pair[1], &pid);
	if (r < 0)
		return r;
	pidfd = pidfd_open(pid, 0);
	r = pidfd < 0 ? -errno : watch(keeper, EPOLL_CTL_ADD, channel_fd, EPOLLIN);
	if (r < 0) {
		(void)kill(pid, SIGKILL);
		return r;
	}
	keeper->tasks[keeper->n_tasks++] = (struct kept){
		.pid = pid, .channel_fd = TAKE_FD(channel_fd)};
	*ret_pid = pid;
	*ret_pidfd = TAKE_FD(pidfd);
	return 0;
}

static void serve_spawn(
	struct keeper_process *keeper, const struct wire_request *request, const int fds[])
{
	struct wire_reply reply = {.serial = request->serial};
	_cleanup_close_ int pidfd = -EBADF;

	reply.error = spawn(keeper, request, fds, &reply.pid, &pidfd);
	/* The governor asks one thing at a time and waits: there is room for the reply. If it is
	 * dead, the next read from it says so. */
	(void)wire_send(keeper->control_fd, &reply, sizeof(reply), &pidfd, pidfd >= 0 ? 1 : 0,
		MSG_DONTWAIT);
}

static void serve_release(struct keeper_process *keeper, pid_t pid)
{
	struct kept *task = find_by_pid(keeper, pid);

	if (task && task->channel_fd >= 0)
		(void)wire_send(task->channel_fd, "", 1, NULL, 0, MSG_DONTWAIT);
}

/* Serves one request. False once the governor is gone. */
static bool serve(struct keeper_process *keeper)
{
	struct wire_request request;
	int fds[WIRE_FDS_MAX];
	int r;

	r = wire_receive(keeper->control_fd, &request, sizeof(request), fds, MSG_DONTWAIT);
	if (r == -EMFILE) {
		/* Without its descriptors there is no telling whose request it was. */
		struct wire_reply reply = {.serial = request.serial, .error = -EMFILE};

		(void)wire_send(keeper->control_fd, &reply, sizeof(reply), NULL, 0, MSG_DONTWAIT);
		return true;
	}
	if (r <= 0)
		return r == -EAGAIN;
	if (request.kind == WIRE_SPAWN)
		serve_spawn(keeper, &request, fds);
	else
		serve_release(keeper, request.pid);
	wire_close(fds);
	return true;
}

static void drain_signals(struct keeper_process *keeper)
{
	struct signalfd_siginfo info[16];

	while (read(keeper->signal_fd, info, sizeof(info)) > 0)
		;
}

/* Works until the governor is gone. */
static void work(struct keeper_process *keeper)
{
	struct epoll_event events[16];

	for (;;) {
		bool has_governor = true;
		int n = epoll_wait(keeper->epoll_fd, events, ARRAY_LENGTH(events), -1);

		for (int i = 0; i < n; i++) {
			int fd = events[i].data.fd;
			struct kept *task = find_by_channel(keeper, fd);

			if (fd == keeper->control_fd)
				has_governor = serve(keeper);
			else if (fd == keeper->signal_fd)
				drain_signals(keeper);
			else if (task)
				hear(task);
		}
		if (!has_governor)
			return;
		reap(keeper);
		tell_all(keeper);
	}
}

/* Kills all children of this process. */
static void kill_children(void)
{
	_cleanup_closedir_ DIR *proc = opendir("/proc");
	pid_t pid;

	while (proc && (pid = process_next(proc)) > 0) {
		_cleanup_close_ int fd = process_open(pid);
		struct process process;

		if (fd >= 0 && process_read(fd, &process) == 0 && process.parent == getpid())
			(void)process_signal(fd, SIGKILL);
	}
}

/* Ends everything of the run: first by descent, so that those we know of go at once, then by name,
 * then again whom the others left to us. */
static void end_run(struct keeper_process *keeper)
{
	uint64_t deadline_ns = monotonic_ns() + END_DEADLINE_NS;
	struct pollfd child_ended = {.fd = keeper->signal_fd, .events = POLLIN};
	siginfo_t ended;

	kill_children();
	(void)leftover_end_run(keeper->run, NULL); /* nobody is left to be told */
	while (monotonic_ns() < deadline_ns) {
		ended.si_pid = 0;
		if (waitid(P_ALL, 0, &ended, WEXITED | WNOHANG) < 0)
			return; /* ECHILD: none left */
		if (ended.si_pid != 0)
			continue;
		kill_children();
		(void)poll(&child_ended, 1, END_POLL_MS);
		drain_signals(keeper);
	}
}

/* Lets go of what belongs to the governor's caller: standard streams, and whatever it left open
 * without close-on-exec. Else a pipe it waits on would not end with the governor. */
static void let_go_of_descriptors(void)
{
	_cleanup_closedir_ DIR *own = opendir("/proc/self/fd");
	int null_fd = open("/dev/null", O_RDWR | O_CLOEXEC);
	const struct dirent *entry;

	while (own && (entry = readdir(own))) {
		int fd = (int)strtol(entry->d_name, NULL, 10); /* 0 for "." and ".." */
		int flags = fcntl(fd, F_GETFD);

		if (fd > STDERR_FILENO && flags >= 0 && !(flags & FD_CLOEXEC))
			(void)close(fd);
	}
	for (int fd = STDIN_FILENO; fd <= STDERR_FILENO && null_fd >= 0; fd++)
		(void)dup2(null_fd, fd);
	if (null_fd > STDERR_FILENO)
		(void)close(null_fd);
}

static int set_up(struct keeper_process *keeper)
{
	/* Tasks stop and continue all the time under the signal enforcer: none of our business. */
	static const struct sigaction ends_only = {.sa_handler = SIG_DFL, .sa_flags = SA_NOCLDSTOP};
	sigset_t child;
	int r;

	(void)setsid();
	(void)prctl(PR_SET_NAME, "coregov-keeper");
	if (prctl(PR_SET_CHILD_SUBREAPER, 1) < 0)
		return -errno;
	(void)sigaction(SIGCHLD, &ends_only, NULL);
	(void)sigemptyset(&child);
	(void)sigaddset(&child, SIGCHLD);
	keeper->signal_fd = signalfd(-1, &child, SFD_CLOEXEC | SFD_NONBLOCK);
	keeper->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
	if (keeper->signal_fd < 0 || keeper->epoll_fd < 0)
		return -errno;
	r = watch(keeper, EPOLL_CTL_ADD, keeper->control_fd, EPOLLIN);
	if (r == 0)
		r = watch(keeper, EPOLL_CTL_ADD, keeper->signal_fd, EPOLLIN);
	if (r == 0)
		r = watch(keeper, EPOLL_CTL_ADD, keeper->events_fd, 0);
	return r;
}

_Noreturn void keeper_process_run(const char *run, int control_fd, int events_fd)
{
	struct keeper_process keeper = {
		.run = run,
		.control_fd = control_fd,
		.events_fd = events_fd,
	};
	struct wire_reply ready = {.serial = 0};

	let_go_of_descriptors();
	ready.error = set_up(&keeper);
	(void)wire_send(control_fd, &ready, sizeof(ready), NULL, 0, MSG_DONTWAIT);
	if (ready.error < 0)
		_exit(EXIT_FAILURE);
	work(&keeper);
	end_run(&keeper);
	_exit(EXIT_SUCCESS);
}
