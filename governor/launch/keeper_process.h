/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

/* The keeper's own life, from the governor's fork to its end (keeper.h, keeper_wire.h). Both
 * sockets are its own; the governor's ends are closed. All signals are blocked. */
_Noreturn void keeper_process_run(const char *run, int control_fd, int events_fd);
