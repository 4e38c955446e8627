/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

#include <stddef.h>
#include <sys/types.h>
#include <systemd/sd-bus.h>

#include "fault.h"
#include "unit_bus.h"

/* What speaks to systemd shares. */

#define MANAGER "org.freedesktop.systemd1"
#define MANAGER_PATH "/org/freedesktop/systemd1"
#define MANAGER_INTERFACE "org.freedesktop.systemd1.Manager"
#define UNIT_NAME_MAX 128

/* The bus of the system's manager for root, that of one's own for others. */
int unit_bus_open_manager(sd_bus **ret_bus, struct fault *fault);

/* A transient scope with Delegate=cpu, which ends by itself with its last process. */
struct unit_scope {
	const char *unit;        /* "x.scope" */
	const char *description; /* UTF-8 */
	const char *slice;       /* NULL: where systemd puts it */
	const pid_t *pids;       /* n_pids of them */
	size_t n_pids;
};

/* The call of StartTransientUnit() that makes it. The processes are in it when JobRemoved() comes. */
int unit_bus_scope_call(sd_bus *bus, const struct unit_scope *scope, sd_bus_message **ret_call);
