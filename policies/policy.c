// SPDX-License-Identifier: GPL-2.0-or-later
#include "policy.h"

#include <assert.h>
#include <math.h>
#include <string.h>

#include "policy_internal.h"

/* The list of policies, their parameters, the words for their reasons, and the check of what they are
 * given. */

const struct policy *const policies[] = {
	&policy_core,
	&policy_edf,
	&policy_edf_drop,
	&policy_equal,
	&policy_exclusive,
	&policy_fifo,
	&policy_fixed,
	&policy_flowcon,
	&policy_halving,
	&policy_laira,
	&policy_lara,
	&policy_optimus,
	&policy_oracle,
	&policy_rr,
	&policy_script,
	&policy_slaq,
	&policy_srpt,
	&policy_tradl,
	NULL,
};

const struct policy *policy_find(const char *name)
{
	for (const struct policy *const *policy = policies; *policy; policy++)
		if (strcmp((*policy)->name, name) == 0)
			return *policy;
	return NULL;
}

uint32_t policy_n_parameters(const struct policy *policy)
{
	uint32_t n = 0;

	while (policy->parameters && policy->parameters[n].name)
		n++;
	assert(n <= POLICY_PARAMETERS_MAX);
	return n;
}

const struct policy_parameter *policy_parameter_find(const struct policy *policy, const char *name)
{
	for (uint32_t i = 0; i < policy_n_parameters(policy); i++)
		if (strcmp(policy->parameters[i].name, name) == 0)
			return &policy->parameters[i];
	return NULL;
}

bool policy_parameter_allows(const struct policy_parameter *parameter, double value)
{
	return value >= parameter->least && value <= parameter->most;
}

void policy_parameter_values(const struct policy *policy, const double given[],
	double ret_values[static POLICY_PARAMETERS_MAX])
{
	uint32_t n = policy_n_parameters(policy);

	for (uint32_t i = 0; i < POLICY_PARAMETERS_MAX; i++) {
		double value = 0;

		if (i < n) {
			value = given ? given[i] : policy->parameters[i].usual;
			assert(policy_parameter_allows(&policy->parameters[i], value));
		}
		ret_values[i] = value;
	}
}

bool policy_parameters_are_same(const struct policy *policy, const double a[], const double b[])
{
	double one[POLICY_PARAMETERS_MAX], other[POLICY_PARAMETERS_MAX];

	policy_parameter_values(policy, a, one);
	policy_parameter_values(policy, b, other);
	for (uint32_t i = 0; i < POLICY_PARAMETERS_MAX; i++)
		if (one[i] < other[i] || one[i] > other[i])
			return false;
	return true;
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
