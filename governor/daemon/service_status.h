/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "daemon.h"

/* The line that `systemctl status` shows, as the governor changes: "3 tasks, 1 unlikely to make it, 1.21 of
 * 1.5 CPUs used". */

#define SERVICE_STATUS_MAX 128
/* It is told at most so often; that there is no task any more is told at once, since nothing would come
 * after it. */
#define SERVICE_STATUS_PAUSE_NS (5 * UINT64_C(1000000000))

/* What was told last; all zero at first. */
struct service_status {
	char text[SERVICE_STATUS_MAX];
	uint64_t told_ns;
};

/* True where the text is to be told now. now_ns: CLOCK_MONOTONIC. */
bool service_status_next(
	struct service_status *status, const struct daemon_info *info, uint64_t now_ns);
