// SPDX-License-Identifier: GPL-2.0-or-later
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "doctor_internal.h"
#include "task_group.h"
#include "unit_bus.h"

/* A governor divides its budget by limits that anybody with the right to may change behind its back. It tells of that,
 * once, and leaves it alone; here it is seen for as long as it is so.
 *
 * What a governor says is compared with what is around its tasks. One without a task sets its budget when the next one
 * comes, so nothing is wrong there yet. */

/* CPUQuota= is written in hundredths of a per cent. */
#define NEAR_CPUS 2e-4

static const char *sudo_for(const struct scene *scene, const struct scene_governor *governor)
{
	return scene->uid != 0 && strcmp(governor->option, " --system") == 0 ? "sudo " : "";
}

static void tell_silent(
	const struct scene *scene, const struct scene_governor *governor, struct finding *finding)
{
	found_broken(finding,
		"process %d is one, and does not answer: %s; its tasks keep the shares that they "
		"have",
		(int)governor->pid, governor->why);
	if (governor->error != -ENOTCONN) /* by the bus, or for want of something of our own */
		return;
	if (scene->is_booted && governor->option[0])
		found_remedy(finding, "%ssystemctl %srestart coregovd", sudo_for(scene, governor),
			strcmp(governor->option, " --user") == 0 ? "--user " : "");
	else
		found_remedy(finding, "kill -KILL %d  # and start coregovd again: its tasks go on",
			(int)governor->pid);
}

/* True where that is told. */
static bool is_budget_anothers(const struct scene *scene, const struct scene_governor *governor,
	const struct task_group *group, struct finding *finding)
{
	char limit[64] = "no limit";
	double cpus;

	if (task_group_cpus(scene, group, group->budget_length, &cpus) < 0 ||
		fabs(cpus - governor->budget_cpus) < NEAR_CPUS)
		return false;
	if (cpus > 0)
		(void)snprintf(limit, sizeof(limit), "%.6g CPUs", cpus);
	found_degraded(finding,
		"'/%.*s' has %s, and the budget is %.6g CPUs: somebody else has set %s",
		(int)group->budget_length, group->path, limit, governor->budget_cpus,
		group->scope_length > 0          ? "CPUQuota= of " UNIT_SLICE
			: scene->base.is_unified ? "cpu.max"
						 : "cpu.cfs_quota_us");
	found_remedy(finding, "%scoregov budget%s %.10gcpu", sudo_for(scene, governor),
		governor->option, governor->budget_cpus);
	return true;
}

/* Shares are set below a scope; in itself there is none. */
static bool is_scope_limited(const struct scene *scene, const struct scene_governor *governor,
	const struct task_group *group, struct finding *finding)
{
	const char *scope = group->path + group->budget_length + 1;
	int length = (int)(group->scope_length - group->budget_length - 1);
	double cpus;

	if (group->scope_length == 0 ||
		task_group_cpus(scene, group, group->scope_length, &cpus) < 0 || !(cpus > 0))
		return false;
	found_degraded(finding,
		"task %s: somebody else has set CPUQuota= of its scope, to %.6g CPUs, whatever its "
		"share is",
		group->name, cpus);
	found_remedy(finding,
		"%ssystemctl %sset-property --runtime '%.*s' CPUQuota=", sudo_for(scene, governor),
		strcmp(governor->option, " --user") == 0 ? "--user " : "", length, scope);
	return true;
}

/* True where something is wrong. *ret_group: of one of its tasks; its path is "" where none is in a group. */
static bool is_wrong(const struct scene *scene, const struct scene_governor *governor,
	struct task_group *ret_group, struct finding *finding)
{
	ret_group->path[0] = '\0';
	for (size_t i = 0; i < governor->n_tasks; i++) {
		struct task_group group;

		if (!task_group_find(scene, governor->tasks[i].pid, &group) || !group.is_of_service)
			continue;
		if (!ret_group->path[0] && is_budget_anothers(scene, governor, &group, finding))
			return true;
		*ret_group = group;
		if (is_scope_limited(scene, governor, &group, finding))
			return true;
	}
	return false;
}

void check_governor(const struct scene *scene, struct finding *finding)
{
	char text[FAULT_TEXT_MAX] = "none is there";
	size_t length = 0;

	for (size_t i = 0; i < scene->n_governors; i++) {
		const struct scene_governor *governor = &scene->governors[i];
		struct task_group group;

		/* By its name it was there, and has ended by now. */
		if (governor->error < 0 && governor->pid <= 1)
			continue;
		if (governor->error < 0) {
			tell_silent(scene, governor, finding);
			return;
		}
		if (is_wrong(scene, governor, &group, finding))
			return;
		length += (size_t)snprintf(text + length, sizeof(text) - length,
			"%s%.6g CPUs for %zu tasks", length > 0 ? "; " : "", governor->budget_cpus,
			governor->n_tasks);
		if (group.path[0] && length < sizeof(text))
			length += (size_t)snprintf(text + length, sizeof(text) - length,
				", as '/%.*s' has it", (int)group.budget_length, group.path);
		if (length >= sizeof(text))
			break;
	}
	found_ok(finding, "%s", text);
}
