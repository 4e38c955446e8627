// SPDX-License-Identifier: GPL-2.0-or-later
#include "governor_bus_internal.h"

#include <errno.h>
#include <string.h>

#include "cleanup.h"

/* The errno of daemon.h, and what a program on the bus knows it by. */

static const struct {
	int error;
	const char *name;
} names[] = {
	{EEXIST, GOVERNOR_ERROR_NAME_TAKEN},
	{EDQUOT, GOVERNOR_ERROR_OVER_LIMIT},
	{ESHUTDOWN, GOVERNOR_ERROR_DRAINING},
	{ESRCH, GOVERNOR_ERROR_NOT_GOVERNED},
	{ENOENT, GOVERNOR_ERROR_NO_SUCH_TASK},
	{EALREADY, GOVERNOR_ERROR_HAS_ENDED},
	{ERANGE, GOVERNOR_ERROR_BAD_DEADLINE},
	{EINVAL, SD_BUS_ERROR_INVALID_ARGS},
	{ENOMEM, SD_BUS_ERROR_NO_MEMORY},
	{EACCES, SD_BUS_ERROR_ACCESS_DENIED},
	{EPERM, SD_BUS_ERROR_ACCESS_DENIED},
	{EOPNOTSUPP, SD_BUS_ERROR_NOT_SUPPORTED},
};

int fault_to_bus(const struct fault *fault, int r, sd_bus_error *error)
{
	const char *name = GOVERNOR_ERROR_NOT_GOVERNED;

	for (size_t i = 0; i < ARRAY_LENGTH(names); i++)
		if (names[i].error == -r)
			name = names[i].name;
	return sd_bus_error_set(error, name, fault->text[0] ? fault->text : strerror(-r));
}
