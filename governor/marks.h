/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

/* How what belongs to a run is known on the machine: groups are called after the run, and the
 * environment of every process of it says so. */

/* "coregov-PID-STARTTIME", see run_name_make(); of the service "coregovd-PID-STARTTIME": its tasks run on
 * without it, so nobody ends them because it is dead. */
#define RUN_NAME_MAX 64
#define RUN_NAME "coregov"
#define RUN_NAME_OF_SERVICE "coregovd"
#define RUN_ENVIRONMENT "COREGOV_RUN"

/* The pid of the task's first process, so that a process that left its group and its parents is
 * still known to be of that task. */
#define TASK_PID_ENVIRONMENT "COREGOV_TASK_PID"
