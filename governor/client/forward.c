// SPDX-License-Identifier: GPL-2.0-or-later
#include "forward.h"

#include <errno.h>
#include <string.h>
#include <sys/pidfd.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include "cleanup.h"
#include "process.h"

/* Who was meant? The kernel says where a signal comes from. One of the terminal's (si_code SI_KERNEL)
 * went to the whole foreground group, the command included. One that a process has sent may have gone
 * to the group as well (`kill %1` in a shell); that cannot be told from one to the launcher alone, so
 * it is passed on, and a command that catches it may see it twice. What the command or a process below
 * it sends, to its group as a rule, is never sent back to it.
 *
 * SIGTSTP stops the command, not the launcher: that one stops when the command has (an editor restores
 * the terminal first), with the same signal, so that the shell has its terminal and its message. A
 * command stopped by SIGSTOP is the work of a governor that has no other means, many times a second;
 * the shell is not to know. */

#define DEPTH_MAX 256 /* of a process below the command */

static const int forwarded[] = {
	SIGHUP,
	SIGINT,
	SIGQUIT,
	SIGTERM,
	SIGUSR1,
	SIGUSR2,
	SIGALRM,
	SIGCONT,
	SIGTSTP,
	SIGWINCH,
	SIGPWR,
};

/* What a terminal sends to a group by itself. */
static bool is_from_terminal(const struct signalfd_siginfo *info)
{
	switch (info->ssi_signo) {
	case SIGHUP:
	case SIGINT:
	case SIGQUIT:
	case SIGCONT:
	case SIGTSTP:
	case SIGWINCH:
		return info->ssi_code == SI_KERNEL;
	default:
		return false; /* an alarm that was set before we were executed */
	}
}

/* True for the command and what it has started. */
static bool is_below(pid_t pid, pid_t top)
{
	_cleanup_closedir_ DIR *proc = opendir("/proc");
	struct process process;

	for (int i = 0; proc && i < DEPTH_MAX && pid > 1 && pid != top; i++) {
		if (process_peek(proc, pid, &process) < 0)
			return false;
		pid = process.parent;
	}
	return pid == top;
}

static bool is_stopped(pid_t pid)
{
	_cleanup_close_ int fd = process_open(pid);
	struct process process;

	return fd >= 0 && process_read(fd, &process) == 0 && process.is_stopped;
}

static int on_signal(sd_event_source *source, const struct signalfd_siginfo *info, void *data)
{
	struct forward *forward = data;
	int signo = (int)info->ssi_signo;

	(void)source;
	forward->n_signals++;
	if (is_from_terminal(info)) {
		forward->was_interrupted |= signo == SIGINT;
		return 0;
	}
	if (info->ssi_code == SI_USER && is_below((pid_t)info->ssi_pid, forward->pid))
		return 0;
	/* A shell's `fg` continues the whole group. */
	if (signo == SIGCONT && !is_stopped(forward->pid))
		return 0;
	/* It may have ended meanwhile. */
	(void)pidfd_send_signal(forward->pidfd, signo, NULL, 0);
	return 0;
}

void forward_block(void)
{
	sigset_t set;

	(void)sigemptyset(&set);
	for (size_t i = 0; i < ARRAY_LENGTH(forwarded); i++)
		(void)sigaddset(&set, forwarded[i]);
	(void)sigaddset(&set, SIGCHLD);
	/* To write on the terminal from the background, and to a pipe that nobody reads, is no reason
	 * to stop or to end. */
	(void)sigaddset(&set, SIGTTOU);
	(void)sigaddset(&set, SIGPIPE);
	(void)sigprocmask(SIG_BLOCK, &set, NULL);
}

int forward_start(struct forward *forward, sd_event *event, struct fault *fault)
{
	for (size_t i = 0; i < ARRAY_LENGTH(forwarded); i++) {
		int r = sd_event_add_signal(
			event, /* ret_source= */ NULL, forwarded[i], on_signal, forward);

		if (r < 0)
			return fault_errno(fault, r, "watch for SIG%s", sigabbrev_np(forwarded[i]));
	}
	return 0;
}

void forward_stop(const struct forward *forward, int signo)
{
	const struct sigaction stop = {.sa_handler = SIG_DFL};
	struct sigaction before;
	sigset_t set;

	if ((signo != SIGTSTP && signo != SIGTTIN && signo != SIGTTOU) || !is_stopped(forward->pid))
		return;
	(void)sigemptyset(&set);
	(void)sigaddset(&set, signo);
	(void)sigaction(signo, &stop, &before);
	(void)raise(signo);
	(void)sigprocmask(SIG_UNBLOCK, &set, NULL); /* stops here */
	if (signo != SIGTTIN)
		(void)sigprocmask(SIG_BLOCK, &set, NULL);
	(void)sigaction(signo, &before, NULL);
}
