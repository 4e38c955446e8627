/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

/* What the governor is called on the bus, see org.coregov.Governor1(5). */
#define GOVERNOR_NAME "org.coregov.Governor1"
#define GOVERNOR_PATH "/org/coregov/Governor1"
#define GOVERNOR_INTERFACE "org.coregov.Governor1"

/* A task is TASK_PATH "/_N", N its number. */
#define TASK_PATH GOVERNOR_PATH "/task"
#define TASK_INTERFACE "org.coregov.Governor1.Task"

/* Each comes with a whole sentence for the user. */
#define GOVERNOR_ERRORS "org.coregov.Error." /* what all begin with */
#define GOVERNOR_ERROR_BAD_DEADLINE "org.coregov.Error.BadDeadline"
#define GOVERNOR_ERROR_BAD_TARGET "org.coregov.Error.BadTarget"
#define GOVERNOR_ERROR_DRAINING "org.coregov.Error.Draining"
#define GOVERNOR_ERROR_HAS_ENDED "org.coregov.Error.HasEnded"
#define GOVERNOR_ERROR_NAME_TAKEN "org.coregov.Error.NameTaken"
#define GOVERNOR_ERROR_NO_SUCH_TASK "org.coregov.Error.NoSuchTask"
#define GOVERNOR_ERROR_NOT_GOVERNED "org.coregov.Error.NotGoverned"
#define GOVERNOR_ERROR_NOT_YOURS "org.coregov.Error.NotYours"
#define GOVERNOR_ERROR_OVER_LIMIT "org.coregov.Error.OverLimit"

/* The address of a bus to use instead of the system's and the user's own: tests, containers. */
#define GOVERNOR_ADDRESS_VARIABLE "COREGOV_BUS_ADDRESS"

/* The bus itself, which knows who is on it and what it can start. */
#define BUS_NAME "org.freedesktop.DBus"
#define BUS_PATH "/org/freedesktop/DBus"
#define BUS_INTERFACE "org.freedesktop.DBus"
#define PROPERTIES_INTERFACE "org.freedesktop.DBus.Properties"
