// SPDX-License-Identifier: GPL-2.0-or-later
#include "doctor.h"

#include <assert.h>

#include "cleanup.h"
#include "doctor_internal.h"

/* One table. The names are part of the interface: coregov-doctor(1) has them all, which a test holds. */

static const struct check {
	const char *name;
	void (*look)(const struct scene *scene, struct finding *finding);
} checks[] = {
	{"kernel", check_kernel},
	{"cgroups", check_cgroups},
	{"systemd", check_systemd},
	{"delegation", check_delegation},
	{"enforcer", check_enforcer},
	{"guarantee", check_guarantee},
	{"quota", check_quota},
	{"sched_ext", check_sched_ext},
	{"btf", check_btf},
	{"meter", check_meter},
	{"pressure", check_pressure},
	{"clock", check_clock},
	{"limits", check_limits},
	{"claims", check_claims},
	{"leftovers", check_leftovers},
	{"meddlers", check_meddlers},
	{"governor", check_governor},
	{"threads", check_threads},
	{"learners", check_learners},
	{"library", check_library},
	{"presets", check_presets},
};

static_assert(ARRAY_LENGTH(checks) == DOCTOR_CHECKS, "as the header says");

void doctor_examine(const struct scene *scene, struct finding ret_findings[static DOCTOR_CHECKS])
{
	for (size_t i = 0; i < ARRAY_LENGTH(checks); i++) {
		ret_findings[i] = (struct finding){.name = checks[i].name};
		checks[i].look(scene, &ret_findings[i]);
		/* What is not well has a remedy: the whole point of the command. */
		assert((ret_findings[i].state == FINDING_OK) ==
			(ret_findings[i].remedy[0] == '\0'));
	}
}
