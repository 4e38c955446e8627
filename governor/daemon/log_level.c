// SPDX-License-Identifier: GPL-2.0-or-later
#include "log_level.h"

#include <errno.h>
#include <string.h>
#include <syslog.h>

#include "quantity.h"

static const char *const names[] = {
	[LOG_EMERG] = "emerg",
	[LOG_ALERT] = "alert",
	[LOG_CRIT] = "crit",
	[LOG_ERR] = "err",
	[LOG_WARNING] = "warning",
	[LOG_NOTICE] = "notice",
	[LOG_INFO] = "info",
	[LOG_DEBUG] = "debug",
	NULL,
};

int log_level_parse(const char *text, int *ret_level, struct fault *fault)
{
	const char *nearest;

	for (int level = LOG_EMERG; level <= LOG_DEBUG; level++)
		if (strcmp(text, names[level]) == 0 || (text[0] == '0' + level && !text[1])) {
			*ret_level = level;
			return 0;
		}
	nearest = nearest_word(text, names);
	if (nearest)
		return fault_set(
			fault, -EINVAL, "'%.60s' is no level; did you mean '%s'?", text, nearest);
	return fault_set(fault, -EINVAL,
		"'%.60s' is no level; expected debug, info, notice, warning or err", text);
}

const char *log_level_to_string(int level)
{
	return names[level];
}
