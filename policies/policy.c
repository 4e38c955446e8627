// SPDX-License-Identifier: GPL-2.0-or-later
#include "policy.h"

#include <assert.h>
#include <math.h>
#include <string.h>

#include "policy_internal.h"

/* The list of policies, the words for their reasons, and the check of what they are given. */

const struct policy *const policies[] = {
	&policy_core,
	&policy_edf,
	&policy_equal,
	&policy_exclusive,
	&policy_fifo,
	&policy_fixed,
	&policy_script,
	NULL,
};

const struct policy *policy_find(const char *name)
{
	for (const struct policy *const *policy = policies; *policy; policy++)
		if (strcmp((*policy)->name, name) == 0)
			return *policy;
	return NULL;
}

static const char *const why_names[] = {
	[WHY_EQUAL] = "equal",
	[WHY_FIXED] = "fixed",
	[WHY_FIRST] = "first",
	[WHY_REST] = "rest",
	[WHY_NONE_LEFT] = "none-left",
	[WHY_SCRIPT] = "script",
	[WHY_CHOSEN] = "chosen",
	[WHY_WRITTEN_OFF] = "written-off",
	[WHY_PAUSED] = "paused",
};
static_assert(sizeof(why_names) / sizeof(why_names[0]) == _WHY_MAX, "one name per reason");

const char *why_to_string(enum why why)
{
	assert((unsigned)why < _WHY_MAX);
	return why_names[why];
}

void view_check(const struct policy_view *view)
{
	assert(isfinite(view->budget_cpus) && view->budget_cpus >= 0);
	assert(view->slot_ns > 0);
	assert(view->n_tasks <= view->n_bundle);
	for (uint32_t i = 0; i < view->n_tasks; i++) {
		const struct policy_task *task = &view->tasks[i];

		assert(task->id < view->n_bundle);
		assert(task->name && task->history);
		assert(isfinite(task->threads) && task->threads > 0);
		assert(task->counted > 0 && task->counted <= task->threads);
		assert(task->usable > 0 && task->usable <= task->threads);
		assert(isfinite(task->target));
		assert(task->begin_ns < task->deadline_ns);
	}
}
