/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "fault.h"

/* Runs on one machine know of each other: each holds an abstract unix socket whose name carries
 * its run and its largest budget. The kernel lists those names to everybody (/proc/net/unix) and
 * removes them with the last process that holds one, so nothing can be left behind. Runs in
 * another network namespace are not seen. */

/* Announces this run (also when it has a claim already, which does not count then), unless its budget and those of
 * all others would exceed the capacity: -EDQUOT then, the sentence names the others. *ret_fd (owned by the caller,
 * close-on-exec; the keeper inherits it) holds the claim until it is closed everywhere. */
int neighbours_claim(const char *run, double budget_cpus, double capacity_cpus, int *ret_fd,
	struct fault *fault);

/* The same for the machine's coregovd: by its file (service_claim_open()), which has the old claim until then. */
int neighbours_claim_as_service(int claim_fd, const char *run, double budget_cpus,
	double capacity_cpus, struct fault *fault);

/* Whether one of the others is coregovd, which would take tasks. False where that is not known. */
bool neighbours_have_service(void);

/* Is that descriptor (or -EBADF) the claim of such a budget for that run? */
bool neighbours_is_claim(int fd, const char *run, double budget_cpus);

/* What others have claimed in all, in CPUs; `ret_names` says who, as "RUN (CPUS), ...", cut at `size`.
 * 0 or a negative errno. */
int neighbours_sum(double *ret_cpus, char ret_names[], size_t size, struct fault *fault);
