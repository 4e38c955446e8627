// SPDX-License-Identifier: GPL-2.0-or-later
#include <string.h>

#include "doctor_internal.h"
#include "enforcer.h"

/* What a run would choose, and what the better ones are missing. */

void check_enforcer(const struct scene *scene, struct finding *finding)
{
	const char *choice = ladder_choice(&scene->enforcers);
	char reasons[FAULT_TEXT_MAX];

	ladder_reasons(&scene->enforcers, reasons, sizeof(reasons));
	if (!choice)
		found_broken(finding, "none works: %s", reasons);
	else if (strcmp(choice, "signal") == 0)
		found_degraded(finding, "signal (%s)", reasons);
	else if (reasons[0])
		found_ok(finding, "%s (%s)", choice, reasons);
	else
		found_ok(finding, "%s", choice);
	if (finding->state != FINDING_OK)
		remedy_of_groups(scene, finding);
}

/* The tasks of a run are the user's own processes, who owns the groups that hold them as well. */
void check_guarantee(const struct scene *scene, struct finding *finding)
{
	const char *choice = ladder_choice(&scene->enforcers);
	const char *guarantee = guarantee_to_string(GUARANTEE_COOPERATIVE);

	if (!choice)
		found_broken(finding, "none, without an enforcer");
	else if (strcmp(choice, "signal") == 0)
		found_degraded(finding,
			"%s: the budget is held by stopping and continuing processes; excess is "
			"noticed within a slot and taken from the next",
			guarantee);
	else
		found_ok(finding,
			"%s: the kernel holds the budget; a hostile task of the same user could "
			"leave its group, which is noticed within a slot",
			guarantee);
	if (finding->state != FINDING_OK)
		remedy_of_groups(scene, finding);
}

void check_meter(const struct scene *scene, struct finding *finding)
{
	const char *enforcer = ladder_choice(&scene->enforcers);
	const char *choice = ladder_choice(&scene->meters);
	char reasons[FAULT_TEXT_MAX];

	ladder_reasons(&scene->meters, reasons, sizeof(reasons));
	if (!choice)
		found_broken(finding, "%s%s",
			enforcer ? "none works: " : "none, without an enforcer", reasons);
	else if (strcmp(choice, "bpf") == 0)
		found_ok(finding, "bpf: CPU time, and how long threads waited for more");
	else
		found_degraded(finding,
			"%s: CPU time, but not how long threads waited for more (%s)", choice,
			reasons);
	if (finding->state == FINDING_OK)
		return;
	if (!enforcer || strcmp(enforcer, "signal") == 0)
		remedy_of_groups(scene, finding);
	else
		remedy_of_bpf(scene, finding);
}
