/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

/* Processes that burn CPU from the moment their gate opens, for tests and benchmarks of what
 * governs them. They die with the process that made them. */

struct busy {
	pid_t pid;
	int gate_fd; /* write end; -EBADF once opened */
};

/* Forks a process that waits at its gate. Aborts where that is not possible. */
struct busy busy_start(void);
/* The same, but it forks n more once its gate is open, which are busy too. */
struct busy busy_start_tree(unsigned n);
void busy_release(struct busy *busy);
/* Kills and reaps it. Fine where it is dead already. */
void busy_end(struct busy *busy);
/* Waits until it is dead (not reaped yet), at most 10 s; false where it lives on. */
bool busy_is_dead(const struct busy *busy);

uint64_t busy_clock_ns(void); /* CLOCK_MONOTONIC */
/* Sleeps until that moment. */
void busy_sleep_until(uint64_t when_ns);
