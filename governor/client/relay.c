// SPDX-License-Identifier: GPL-2.0-or-later
#include "relay.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include "cleanup.h"
#include "fd_list.h"
#include "follow.h"
#include "monotonic.h"
#include "nsec.h"
#include "output.h"
#include "stand_in.h"

/* Beside the launcher, not in it: a pipe whose reader is killed kills the writer. All signals are
 * blocked here, as what the terminal sends to the group is meant for the command; when that ends, so
 * does its output, and with it this process. What the command has left running in the background
 * may go on writing, as it could without us, and then this goes on reading.
 *
 * `caught up` is when the command has ended and everything that it had written until then is where
 * it belongs. A descendant that writes without pause cannot put that off for ever. */

#define HEARD_BATCH 64
#define LOOK_MS 1000        /* how often a file is looked at */
#define CATCH_UP_READS 4096 /* after the end; each takes what is there, at most 64 KiB */

enum { WATCH_OUT, WATCH_ERR, WATCH_END, WATCH_RESIZE, N_WATCHED };

struct relayer {
	struct output *output;
	struct follow *follow;
	struct stand_in *stand_in;
	int fd;    /* the launcher's other end */
	int pidfd; /* -EBADF once the command has ended */
	int resize_fd;
	bool is_caught_up;
	unsigned n_late_reads;
};

static size_t take_reports(
	struct relayer *relayer, struct report reports[], struct progress_facts *ret_facts)
{
	size_t n;

	if (relayer->output) {
		n = output_read(relayer->output, reports, HEARD_BATCH);
		output_facts(relayer->output, ret_facts);
	} else {
		n = follow_read(relayer->follow, monotonic_ns(), reports, HEARD_BATCH);
		follow_facts(relayer->follow, ret_facts);
	}
	return n;
}

/* What is new goes into the page. */
static void report(struct relayer *relayer)
{
	struct report reports[HEARD_BATCH];
	struct progress_facts facts;
	size_t n;

	do {
		n = take_reports(relayer, reports, &facts);
		if (n > 0)
			(void)stand_in_report(relayer->stand_in, reports, n, &facts);
	} while (n == HEARD_BATCH);
}

static bool is_open(const struct relayer *relayer, int which)
{
	return relayer->output &&
		(output_poll_fd(relayer->output, which) >= 0 ||
			output_write_fd(relayer->output, which) >= 0);
}

/* True while a stream waits for its destination. */
static bool is_held_up(const struct relayer *relayer)
{
	return relayer->output &&
		(output_write_fd(relayer->output, 1) >= 0 ||
			output_write_fd(relayer->output, 2) >= 0);
}

static void set_polls(const struct relayer *relayer, struct pollfd polls[static N_WATCHED])
{
	for (int which = 1; which <= 2; which++) {
		int write_fd = relayer->output ? output_write_fd(relayer->output, which) : -EBADF;
		struct pollfd *poll = &polls[which == 1 ? WATCH_OUT : WATCH_ERR];

		poll->fd = write_fd >= 0  ? write_fd
			: relayer->output ? output_poll_fd(relayer->output, which)
					  : -EBADF;
		poll->events = write_fd >= 0 ? POLLOUT : POLLIN;
	}
	polls[WATCH_END] = (struct pollfd){.fd = relayer->pidfd, .events = POLLIN};
	polls[WATCH_RESIZE] = (struct pollfd){.fd = relayer->resize_fd, .events = POLLIN};
}

static void serve_streams(struct relayer *relayer, const struct pollfd polls[static N_WATCHED])
{
	for (int which = 1; which <= 2; which++) {
		const struct pollfd *poll = &polls[which == 1 ? WATCH_OUT : WATCH_ERR];

		if (poll->fd < 0 || poll->revents == 0)
			continue;
		if (poll->events == POLLOUT)
			(void)output_writable(relayer->output, which);
		else
			(void)output_readable(relayer->output, which, monotonic_ns());
	}
}

static void resize(struct relayer *relayer)
{
	struct signalfd_siginfo info;

	while (read(relayer->resize_fd, &info, sizeof(info)) == (ssize_t)sizeof(info))
		;
	if (relayer->output)
		output_resize(relayer->output);
}

static void catch_up(struct relayer *relayer)
{
	struct relay_end end = {0};

	report(relayer);
	if (relayer->output) {
		end.n_lost_bytes = output_lost_bytes(relayer->output, &end.lost_error);
		(void)snprintf(end.last_words, sizeof(end.last_words), "%s",
			output_last_words(relayer->output));
	}
	(void)send(relayer->fd, &end, sizeof(end), MSG_NOSIGNAL);
	relayer->is_caught_up = true;
}

/* False when nothing is left to do. */
static bool step(struct relayer *relayer)
{
	struct pollfd polls[N_WATCHED] = {{0}};
	bool has_ended = relayer->pidfd < 0;
	bool is_catching_up = has_ended && !relayer->is_caught_up;
	int timeout_ms = relayer->follow ? LOOK_MS : -1, n;

	if (has_ended && !is_open(relayer, 1) && !is_open(relayer, 2))
		return false;
	if (is_catching_up && !is_held_up(relayer))
		timeout_ms = 0;
	set_polls(relayer, polls);
	n = poll(polls, N_WATCHED, timeout_ms);
	if (n < 0)
		return errno == EINTR || errno == ENOMEM;
	serve_streams(relayer, polls);
	if (polls[WATCH_RESIZE].revents != 0)
		resize(relayer);
	if (polls[WATCH_END].revents != 0)
		relayer->pidfd = -EBADF; /* stays open; it ends with us */
	report(relayer);
	if (is_catching_up && !is_held_up(relayer) &&
		(n == 0 || ++relayer->n_late_reads >= CATCH_UP_READS))
		catch_up(relayer);
	return true;
}

/* The rest of the caller's and the launcher's descriptors must not be held by this process: the reader of
 * a pipe waits for its last writer. */
static void let_go(const struct relayer *relayer, const struct relay_setup *setup)
{
	for (size_t i = 0; i < setup->others->n_fds; i++)
		if (setup->others->fds[i] != setup->pidfd)
			(void)close(setup->others->fds[i]);
	(void)close(STDIN_FILENO);
	if (!relayer->output) {
		(void)close(STDOUT_FILENO);
		(void)close(STDERR_FILENO);
	}
}

static int watch_size(struct relayer *relayer)
{
	sigset_t resized;

	(void)sigemptyset(&resized);
	(void)sigaddset(&resized, SIGWINCH);
	relayer->resize_fd = signalfd(-1, &resized, SFD_CLOEXEC | SFD_NONBLOCK);
	return relayer->resize_fd < 0 ? -errno : 0;
}

static _Noreturn void run(const struct relay_setup *setup, int fd)
{
	struct relayer relayer = {.output = setup->output, .fd = fd, .pidfd = setup->pidfd};
	sigset_t all;
	int r;

	(void)sigfillset(&all);
	(void)sigprocmask(SIG_SETMASK, &all, NULL);
	(void)prctl(PR_SET_NAME, "coregov-relay");
	if (relayer.output)
		output_launched(relayer.output);
	r = stand_in_new(&relayer.stand_in, setup->page_fd, /* fault= */ NULL);
	if (r == 0 && setup->file)
		r = follow_new(&relayer.follow, setup->file, stand_in_target(relayer.stand_in),
			/* fault= */ NULL);
	if (r == 0)
		r = watch_size(&relayer);
	let_go(&relayer, setup);
	if (r == 0)
		while (step(&relayer))
			;
	/* Both streams had ended by the time that the command had. */
	if (r == 0 && !relayer.is_caught_up)
		catch_up(&relayer);
	_exit(r == 0 ? EXIT_SUCCESS : EXIT_FAILURE);
}

int relay_start(struct relay *ret_relay, const struct relay_setup *setup, struct fault *fault)
{
	int ends[2];
	pid_t pid;

	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends) < 0)
		return fault_errno(fault, -errno, "listen to the command");
	pid = fork();
	if (pid < 0) {
		int error = -errno;

		(void)close(ends[0]);
		(void)close(ends[1]);
		return fault_errno(fault, error, "listen to the command");
	}
	if (pid == 0) {
		(void)close(ends[0]);
		run(setup, ends[1]);
	}
	(void)close(ends[1]);
	ret_relay->fd = ends[0];
	return 0;
}

void relay_end(const struct relay *relay, struct relay_end *ret_end)
{
	if (recv(relay->fd, ret_end, sizeof(*ret_end), MSG_DONTWAIT) != (ssize_t)sizeof(*ret_end))
		*ret_end = (struct relay_end){0};
}

void relay_done(struct relay *relay)
{
	cleanup_close(&relay->fd);
	relay->fd = -EBADF;
}
