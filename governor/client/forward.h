/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

#include <signal.h>
#include <stdbool.h>
#include <sys/types.h>
#include <systemd/sd-event.h>

#include "fault.h"

/* Signals, between a launcher and a command in the same process group: what is sent to the launcher
 * alone goes on to the command; what the terminal sends to the group has reached it already. */

struct forward {
	pid_t pid;
	int pidfd;            /* the caller's */
	bool was_interrupted; /* from the terminal */
	unsigned n_signals;   /* that came, forwarded or not */
};

/* Blocks what is forwarded, and SIGCHLD. */
void forward_block(void);

/* From now on, while the event loop runs. `forward` is kept by pointer. */
int forward_start(struct forward *forward, sd_event *event, struct fault *fault);

/* The command has been stopped by `signo`: where a terminal's user has done that, the launcher stops,
 * too, as it is what the shell watches. Returns when it has been continued. */
void forward_stop(const struct forward *forward, int signo);
