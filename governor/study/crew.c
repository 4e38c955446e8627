// SPDX-License-Identifier: GPL-2.0-or-later
#include "crew.h"

#include <assert.h>
#include <errno.h>
#include <inttypes.h>
#include <poll.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "cleanup.h"

/* Processes rather than threads: what is run needs no locks, a crash is told with the item that it
 * happened in, and all that was read before is shared as it is.
 *
 *	caller  --- number of an item --->  worker
 *	caller  <-- struct reply, bytes ---  worker
 *
 * Items are handed out in order, one by one, to whoever is free, so that a long one keeps nobody else
 * waiting; each worker has a second one in its pipe, so that it need not wait for the caller either. What
 * comes back is held until all before it has been taken. Nothing is handed out while more than
 * HELD_BYTES_MAX are held: the memory is bounded by that and what the workers are just making. The item
 * that is waited for has always been handed out already.
 *
 * A failure is a reply, too, and so is a death: the caller writes it itself. It is told when its turn
 * comes, so that what is before it does not depend on who was faster.
 *
 * Workers ignore the signals that the caller takes: it ends them, by SIGKILL, for nothing of theirs needs
 * to be tidied; and the kernel does the same where the caller dies. */

#define HELD_BYTES_MAX ((size_t)64 << 20)
#define IN_PIPE_MAX 2
#define LOOK_MS 200

struct reply {
	uint64_t item;
	int64_t result; /* 0: bytes of what was made, < 0: of the sentence */
	uint64_t length;
};

struct worker {
	pid_t pid;
	int fd;
	size_t items[IN_PIPE_MAX]; /* handed out, the oldest first */
	size_t n_items;
};

/* What has come of one item and is not taken yet. */
struct made {
	bool is_there;
	int result;
	char *bytes;
	size_t length;
};

struct crew {
	const struct crew_work *work;
	const struct crew_signals *signals;
	struct worker *workers;
	unsigned n_workers;
	struct pollfd *polls; /* of the workers, then of the signals */
	struct made *made;    /* by item */
	size_t n_given, n_made, n_taken;
	size_t held_bytes;
	bool has_failed; /* some item has: nothing more is handed out */
};

/* Signals. */

int crew_signals_init(struct crew_signals *signals, struct fault *fault)
{
	static const int ends[] = {SIGINT, SIGTERM, SIGHUP};

	(void)sigemptyset(&signals->taken);
	for (size_t i = 0; i < ARRAY_LENGTH(ends); i++) {
		struct sigaction action;

		/* In the background of a script, or under nohup(1), it is ignored, and stays so. */
		if (sigaction(ends[i], NULL, &action) == 0 && action.sa_handler != SIG_IGN)
			(void)sigaddset(&signals->taken, ends[i]);
	}
	if (sigprocmask(SIG_BLOCK, &signals->taken, &signals->before) < 0)
		return fault_errno(fault, -errno, "block signals");
	signals->fd = signalfd(-1, &signals->taken, SFD_CLOEXEC | SFD_NONBLOCK);
	if (signals->fd < 0) {
		int r = -errno;

		(void)sigprocmask(SIG_SETMASK, &signals->before, NULL);
		return fault_errno(fault, r, "look for signals");
	}
	return 0;
}

void crew_signals_done(struct crew_signals *signals)
{
	if (signals->fd < 0)
		return;
	cleanup_close(&signals->fd);
	signals->fd = -EBADF;
	(void)sigprocmask(SIG_SETMASK, &signals->before, NULL);
}

int crew_signals_next(const struct crew_signals *signals)
{
	struct signalfd_siginfo info;

	if (read(signals->fd, &info, sizeof(info)) != (ssize_t)sizeof(info))
		return 0;
	return (int)info.ssi_signo;
}

/* Bytes through a socket. */

static int send_all(int fd, const void *bytes, size_t length)
{
	const char *from = bytes;

	while (length > 0) {
		ssize_t n = send(fd, from, length, MSG_NOSIGNAL);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -errno;
		from += n;
		length -= (size_t)n;
	}
	return 0;
}

/* -EPIPE where the other side is gone. */
static int receive_all(int fd, void *bytes, size_t length)
{
	char *to = bytes;

	while (length > 0) {
		ssize_t n = recv(fd, to, length, 0);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return n < 0 ? -errno : -EPIPE;
		to += n;
		length -= (size_t)n;
	}
	return 0;
}

/* A worker. */

static int reply_to(int fd, uint64_t item, int result, const char *bytes, size_t length)
{
	struct reply reply = {.item = item, .result = result, .length = length};
	int r = send_all(fd, &reply, sizeof(reply));

	return r < 0 ? r : send_all(fd, bytes, length);
}

static int make_one(const struct crew_work *work, int fd, uint64_t item)
{
	struct fault fault = FAULT_INIT;
	_cleanup_free_ char *bytes = NULL;
	size_t length = 0;
	FILE *to = open_memstream(&bytes, &length);
	int r = -ENOMEM;

	if (to) {
		r = work->make(work->context, (size_t)item, to, &fault);
		if (fclose(to) != 0 && r == 0)
			r = -ENOMEM;
	}
	if (r == 0)
		return reply_to(fd, item, 0, bytes, length);
	if (fault.text[0] == '\0')
		(void)fault_set(&fault, r, "%s", strerror(-r));
	return reply_to(fd, item, r, fault.text, strlen(fault.text));
}

static _Noreturn void worker_main(const struct crew *crew, int fd)
{
	uint64_t item;

	while (receive_all(fd, &item, sizeof(item)) == 0)
		if (make_one(crew->work, fd, item) < 0)
			break;
	/* Nothing that was the caller's is flushed or tidied here. */
	_exit(EXIT_SUCCESS);
}

static int start_worker(struct crew *crew, struct worker *worker, struct fault *fault)
{
	pid_t caller = getpid();
	int fds[2];

	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds) < 0)
		return fault_errno(fault, -errno, "start a process");
	worker->pid = fork();
	if (worker->pid < 0) {
		int r = -errno;

		(void)close(fds[0]);
		(void)close(fds[1]);
		worker->pid = 0;
		return fault_errno(fault, r, "start a process");
	}
	if (worker->pid == 0) {
		for (int signo = 1; signo < NSIG; signo++)
			if (sigismember(&crew->signals->taken, signo) == 1)
				(void)signal(signo, SIG_IGN);
		(void)sigprocmask(SIG_SETMASK, &crew->signals->before, NULL);
		(void)prctl(PR_SET_PDEATHSIG, SIGKILL);
		if (getppid() != caller)
			_exit(EXIT_FAILURE);
		/* Those of the workers before, of whom the caller alone is to know. */
		for (struct worker *other = crew->workers; other != worker; other++)
			(void)close(other->fd);
		(void)close(fds[0]);
		worker_main(crew, fds[1]);
	}
	(void)close(fds[1]);
	worker->fd = fds[0];
	return 0;
}

/* The caller. */

static void end_workers(struct crew *crew)
{
	for (unsigned i = 0; i < crew->n_workers; i++) {
		struct worker *worker = &crew->workers[i];

		if (worker->pid <= 0)
			continue;
		(void)kill(worker->pid, SIGKILL);
		while (waitpid(worker->pid, NULL, 0) < 0 && errno == EINTR)
			;
		worker->pid = 0;
		if (worker->fd >= 0)
			(void)close(worker->fd);
	}
}

static void keep(struct crew *crew, size_t item, int result, char *bytes, size_t length)
{
	crew->made[item] = (struct made){
		.is_there = true, .result = result, .bytes = bytes, .length = length};
	crew->held_bytes += length;
	crew->n_made++;
	crew->has_failed |= result < 0;
}

/* What a worker died of becomes the failure of what it had in hand. */
static void lose_worker(struct crew *crew, struct worker *worker)
{
	int status = 0;
	struct fault fault = FAULT_INIT;

	while (waitpid(worker->pid, &status, 0) < 0 && errno == EINTR)
		;
	if (WIFSIGNALED(status))
		(void)fault_set(&fault, -ECHILD,
			"the process that ran it was killed by signal %d (%s)", WTERMSIG(status),
			strsignal(WTERMSIG(status)));
	else
		(void)fault_set(&fault, -ECHILD, "the process that ran it ended with status %d",
			WEXITSTATUS(status));
	worker->pid = 0;
	(void)close(worker->fd);
	worker->fd = -EBADF;
	for (size_t i = 0; i < worker->n_items; i++)
		keep(crew, worker->items[i], -ECHILD, strdup(fault.text), strlen(fault.text));
	worker->n_items = 0;
}

static int hear(struct crew *crew, struct worker *worker, struct fault *fault)
{
	_cleanup_free_ char *bytes = NULL;
	struct reply reply;
	int r = receive_all(worker->fd, &reply, sizeof(reply));

	if (r == 0) {
		assert(worker->n_items > 0 && reply.item == worker->items[0]);
		bytes = malloc(reply.length + 1);
		if (!bytes)
			return fault_errno(
				fault, -ENOMEM, "a result of %" PRIu64 " bytes", reply.length);
		r = receive_all(worker->fd, bytes, reply.length);
		bytes[reply.length] = '\0';
	}
	if (r < 0) {
		lose_worker(crew, worker);
		return 0;
	}
	worker->n_items--;
	memmove(worker->items, worker->items + 1, worker->n_items * sizeof(worker->items[0]));
	keep(crew, (size_t)reply.item, (int)reply.result, TAKE_PTR(bytes), reply.length);
	return 0;
}

/* What is there up to the first that is not. */
static int take(struct crew *crew, struct fault *fault)
{
	int r = 0;

	while (r == 0 && crew->n_taken < crew->work->n_items &&
		crew->made[crew->n_taken].is_there) {
		struct made *made = &crew->made[crew->n_taken];

		r = crew->work->take(crew->work->context, crew->n_taken, made->result,
			made->bytes ? made->bytes : "", made->length, fault);
		free(made->bytes);
		made->bytes = NULL;
		crew->held_bytes -= made->length;
		crew->n_taken++;
	}
	return r;
}

static bool may_give(const struct crew *crew)
{
	return !crew->has_failed && crew->n_given < crew->work->n_items &&
		(crew->held_bytes <= HELD_BYTES_MAX || crew->n_given == crew->n_taken);
}

/* To those with the least to do first. */
static void give(struct crew *crew)
{
	for (size_t depth = 0; depth < IN_PIPE_MAX; depth++)
		for (unsigned i = 0; i < crew->n_workers && may_give(crew); i++) {
			struct worker *worker = &crew->workers[i];
			uint64_t item = crew->n_given;

			if (worker->fd < 0 || worker->n_items != depth)
				continue;
			/* One that is gone is found out when it is heard. */
			(void)send_all(worker->fd, &item, sizeof(item));
			worker->items[worker->n_items++] = crew->n_given++;
		}
}

/* Waits for workers and signals; *ret_signo where one has come. */
static int wait_for_news(struct crew *crew, int *ret_signo, struct fault *fault)
{
	int r = 0;

	for (unsigned i = 0; i < crew->n_workers; i++)
		crew->polls[i] = (struct pollfd){.fd = crew->workers[i].fd, .events = POLLIN};
	crew->polls[crew->n_workers] = (struct pollfd){.fd = crew->signals->fd, .events = POLLIN};
	if (poll(crew->polls, crew->n_workers + 1, LOOK_MS) < 0)
		return errno == EINTR ? 0 : fault_errno(fault, -errno, "wait for processes");
	*ret_signo = crew_signals_next(crew->signals);
	for (unsigned i = 0; i < crew->n_workers && r == 0 && *ret_signo == 0; i++)
		if (crew->polls[i].revents != 0)
			r = hear(crew, &crew->workers[i], fault);
	return r;
}

static int work_off(struct crew *crew, int *ret_signo, struct fault *fault)
{
	int r = 0;

	while (r == 0 && crew->n_taken < crew->work->n_items) {
		give(crew);
		if (crew->n_given == crew->n_made)
			return fault_set(fault, -ECHILD, "the processes that run them have died");
		r = wait_for_news(crew, ret_signo, fault);
		if (r < 0 || *ret_signo > 0)
			break;
		r = take(crew, fault);
		crew->work->look(crew->work->context, crew->n_made);
	}
	return r;
}

int crew_run(const struct crew_work *work, unsigned n_workers, const struct crew_signals *signals,
	int *ret_signo, struct fault *fault)
{
	struct crew crew = {.work = work, .signals = signals};
	int r = 0;

	assert(n_workers > 0 && n_workers <= CREW_MAX);
	*ret_signo = 0;
	if (work->n_items == 0)
		return 0;
	if (n_workers > work->n_items)
		n_workers = (unsigned)work->n_items;
	crew.workers = calloc(n_workers, sizeof(crew.workers[0]));
	crew.polls = calloc(n_workers + 1, sizeof(crew.polls[0]));
	crew.made = calloc(work->n_items, sizeof(crew.made[0]));
	if (!crew.workers || !crew.polls || !crew.made)
		r = fault_errno(fault, -ENOMEM, "%zu pieces of work", work->n_items);
	while (r == 0 && crew.n_workers < n_workers) {
		r = start_worker(&crew, &crew.workers[crew.n_workers], fault);
		if (r == 0)
			crew.n_workers++;
	}
	/* With some of them it goes, too. */
	if (r < 0 && crew.n_workers > 0)
		r = 0;
	if (r == 0)
		r = work_off(&crew, ret_signo, fault);
	end_workers(&crew);
	for (size_t i = 0; crew.made && i < work->n_items; i++)
		free(crew.made[i].bytes);
	free(crew.workers);
	free(crew.polls);
	free(crew.made);
	return r;
}
