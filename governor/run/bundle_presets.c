// SPDX-License-Identifier: GPL-2.0-or-later
#include "bundle_presets.h"

#include <errno.h>

#include "locate.h"
#include "quantity.h"

static int unknown_preset(const struct bundle *bundle, const struct bundle_task *task,
	const struct preset_set *set, struct fault *fault)
{
	const char *preset = task->feed_preset;
	const char *nearest = nearest_word(preset, preset_set_names(set));

	if (nearest)
		return fault_set(fault, -EBADMSG,
			"%s:%u: task %s: no preset '%s'; did you mean '%s'?", bundle->path,
			task->line, task->name, preset, nearest);
	return fault_set(fault, -EBADMSG, "%s:%u: task %s: no preset '%s' in %s", bundle->path,
		task->line, task->name, preset, preset_directory());
}

int bundle_presets_read(
	struct preset_set **ret_set, const struct bundle *bundle, struct fault *fault)
{
	char **directories;
	int r = preset_directories(preset_directory(), /* more= */ NULL, &directories);

	*ret_set = NULL;
	if (r < 0)
		return fault_errno(fault, r, "presets");
	r = preset_set_read(ret_set, (const char *const *)directories, fault);
	(void)preset_directories_free(directories);
	for (size_t i = 0; i < bundle->n_tasks && r == 0; i++) {
		const struct bundle_task *task = &bundle->tasks[i];

		if (task->feed_preset && !preset_set_has(*ret_set, task->feed_preset))
			r = unknown_preset(bundle, task, *ret_set, fault);
	}
	return r;
}
