// SPDX-License-Identifier: GPL-2.0-or-later
#include "remote_bus_internal.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "cleanup.h"
#include "remote.h"
#include "ini.h"

/* Properties are read by a table, so that a governor that is newer or older than its client can be
 * talked to: what it has besides is skipped, what it lacks stays zero. */

#define OF_TASK(member) offsetof(struct remote_task, member)
const struct property task_properties[] = {
	{"BeganRealtime", 't', OF_TASK(began_us)},
	{"CPUUSec", 't', OF_TASK(cpu_us)},
	{"Command", 'a', OF_TASK(command)},
	{"DeadlineRealtime", 't', OF_TASK(deadline_us)},
	{"Directory", 's', OF_TASK(directory)},
	{"ExitStatus", 'i', OF_TASK(exit_status)},
	{"Feed", 's', OF_TASK(feed)},
	{"FinishedRealtime", 't', OF_TASK(finished_us)},
	{"IsUnheard", 'b', OF_TASK(is_unheard)},
	{"NReports", 't', OF_TASK(n_reports)},
	{"Name", 's', OF_TASK(name)},
	{"Number", 'u', OF_TASK(number)},
	{"Outcome", 's', OF_TASK(outcome)},
	{"OwnerUID", 'u', OF_TASK(owner)},
	{"PID", 'u', OF_TASK(pid)},
	{"Phase", 's', OF_TASK(phase)},
	{"Prospect", 's', OF_TASK(prospect)},
	{"ShareCPUs", 'd', OF_TASK(share_cpus)},
	{"Target", 's', OF_TASK(target)},
	{"Threads", 'u', OF_TASK(threads)},
	{"Value", 'd', OF_TASK(value)},
	{NULL, 0, 0},
};

#define OF_GOVERNOR(member) offsetof(struct remote_governor, member)
const struct property governor_properties[] = {
	{"BudgetCPUs", 'd', OF_GOVERNOR(budget_cpus)},
	{"CapacityCPUs", 'd', OF_GOVERNOR(capacity_cpus)},
	{"Enforcer", 's', OF_GOVERNOR(enforcer)},
	{"GrantedCPUs", 'd', OF_GOVERNOR(granted_cpus)},
	{"Guarantee", 's', OF_GOVERNOR(guarantee)},
	{"IsDraining", 'b', OF_GOVERNOR(is_draining)},
	{"Meter", 's', OF_GOVERNOR(meter)},
	{"NAtRisk", 'u', OF_GOVERNOR(n_at_risk)},
	{"NTasks", 'u', OF_GOVERNOR(n_tasks)},
	{"NVacant", 'u', OF_GOVERNOR(n_vacant)},
	{"Policy", 's', OF_GOVERNOR(policy)},
	{"SlotUSec", 't', OF_GOVERNOR(slot_us)},
	{"UsedCPUs", 'd', OF_GOVERNOR(used_cpus)},
	{"Version", 's', OF_GOVERNOR(version)},
	{NULL, 0, 0},
};

/* The variant that comes next, into the member. */
static int read_property(sd_bus_message *message, const struct property *property, void *object)
{
	char type[3] = {property->type, property->type == 'a' ? 's' : '\0', '\0'};
	void *member = (char *)object + property->offset;
	const char *text;
	int r = sd_bus_message_enter_container(message, 'v', type);

	if (r < 0)
		return r;
	if (property->type == 'a') {
		words_free(*(char ***)member);
		*(char ***)member = NULL;
		r = sd_bus_message_read_strv(message, member);
	} else if (property->type == 's') {
		r = sd_bus_message_read(message, "s", &text);
		if (r >= 0) {
			free(*(char **)member);
			*(char **)member = strdup(text);
			r = *(char **)member ? 0 : -ENOMEM;
		}
	} else {
		r = sd_bus_message_read_basic(message, property->type, member);
	}
	return r < 0 ? r : sd_bus_message_exit_container(message);
}

int properties_read(sd_bus_message *message, const struct property properties[], void *object)
{
	int r = sd_bus_message_enter_container(message, 'a', "{sv}");

	while (r >= 0 && (r = sd_bus_message_enter_container(message, 'e', "sv")) > 0) {
		const struct property *property = properties;
		const char *name;

		r = sd_bus_message_read(message, "s", &name);
		if (r < 0)
			return r;
		while (property->name && strcmp(property->name, name) != 0)
			property++;
		r = property->name ? read_property(message, property, object)
				   : sd_bus_message_skip(message, "v");
		if (r >= 0)
			r = sd_bus_message_exit_container(message);
	}
	return r < 0 ? r : sd_bus_message_exit_container(message);
}

/* A string that a governor does not tell is "", so that nobody has to look. */
int properties_complete(const struct property properties[], void *object)
{
	for (const struct property *property = properties; property->name; property++) {
		char **member = (void *)((char *)object + property->offset);

		if (property->type == 's' && !*member && !(*member = strdup("")))
			return -ENOMEM;
	}
	return 0;
}

void properties_done(const struct property properties[], void *object)
{
	for (const struct property *property = properties; property->name; property++) {
		void *member = (char *)object + property->offset;

		if (property->type == 's') {
			free(*(char **)member);
			*(char **)member = NULL;
		} else if (property->type == 'a') {
			*(char ***)member = words_free(*(char ***)member);
		}
	}
}

void remote_task_done(struct remote_task *task)
{
	properties_done(task_properties, task);
}

void remote_governor_done(struct remote_governor *governor)
{
	properties_done(governor_properties, governor);
}
