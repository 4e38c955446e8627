/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "fault.h"
#include "leftover.h"

/* The claim of the machine's coregovd (see neighbours.h): a file that root alone writes and everybody reads. An
 * abstract name would not do: the service has a network of its own, which is not that of the others.
 *
 * It holds as long as the daemon lives, which has it locked, or tasks of one that has ended are in coregov.slice,
 * whose budget is still in force then. */

#define SERVICE_CLAIM_DIRECTORY "/run/coregov"

struct service_claim {
	char run[RUN_NAME_MAX];
	uint64_t microcpus;
};

/* What is claimed now; false where nothing is. */
bool service_claim_read(struct service_claim *ret_claim);

/* Opens the file as the daemon that has it from now on, until the descriptor is closed. A descriptor, or a negative
 * errno with a sentence. */
int service_claim_open(struct fault *fault);
/* 0 or a negative errno. */
int service_claim_write(int fd, const struct service_claim *claim);

/* Between reading the claims of others and making one's own: until the descriptor is closed, nobody else who asks
 * here does so. -ENOENT where there is no such lock: no daemon has been here since the machine was started. Another
 * negative errno with a sentence. The service goes on where somebody keeps it for long: everybody can. */
int service_claim_lock(bool is_service, struct fault *fault);
