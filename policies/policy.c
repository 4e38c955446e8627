// SPDX-License-Identifier: GPL-2.0-or-later
#include "policy.h"

#include <assert.h>
#include <string.h>

/* The list of policies, and the words for their reasons. */

const struct policy *const policies[] = {
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
};
static_assert(sizeof(why_names) / sizeof(why_names[0]) == _WHY_MAX, "one name per reason");

const char *why_to_string(enum why why)
{
	assert((unsigned)why < _WHY_MAX);
	return why_names[why];
}
