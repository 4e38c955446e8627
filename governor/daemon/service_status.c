// SPDX-License-Identifier: GPL-2.0-or-later
#include "service_status.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "nsec.h"

static void format(char ret_text[static SERVICE_STATUS_MAX], const struct daemon_info *info)
{
	const char *draining = info->is_draining ? ", draining" : "";
	char at_risk[40] = "";

	if (info->n_tasks == 0) {
		(void)snprintf(ret_text, SERVICE_STATUS_MAX, "no task%s", draining);
		return;
	}
	if (info->n_at_risk > 0)
		(void)snprintf(at_risk, sizeof(at_risk), ", %" PRIu32 " unlikely to make it",
			info->n_at_risk);
	(void)snprintf(ret_text, SERVICE_STATUS_MAX,
		"%" PRIu32 " task%s%s, %.2f of %.4g CPUs used%s", info->n_tasks,
		info->n_tasks == 1 ? "" : "s", at_risk, info->used_cpus, info->budget_cpus,
		draining);
}

bool service_status_next(
	struct service_status *status, const struct daemon_info *info, uint64_t now_ns)
{
	char text[SERVICE_STATUS_MAX];

	if (info->n_tasks > 0 && status->told_ns > 0 &&
		nsec_sub(now_ns, status->told_ns) < SERVICE_STATUS_PAUSE_NS)
		return false;
	format(text, info);
	if (strcmp(text, status->text) == 0)
		return false;
	(void)strcpy(status->text, text);
	status->told_ns = now_ns;
	return true;
}
