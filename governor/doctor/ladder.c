// SPDX-License-Identifier: GPL-2.0-or-later
#include "ladder.h"

#include <assert.h>
#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "enforcer.h"
#include "leftover.h"
#include "meter.h"

/* The same order and the same questions as when a run chooses (run/choose.c), with one difference:
 * enforcers are not opened. Under systemd that would move us into a scope of our own, which is a change
 * that nobody wants who only asked. */

#define PROBE_TASKS 1

static struct rung *add_rung(struct ladder *ladder, const char *name)
{
	struct rung *rung = &ladder->rungs[ladder->n_rungs++];

	assert(ladder->n_rungs <= LADDER_RUNGS_MAX);
	*rung = (struct rung){.name = name};
	return rung;
}

void ladder_of_enforcers(struct ladder *ret_ladder, double capacity_cpus)
{
	char run[RUN_NAME_MAX];
	struct fault fault = FAULT_INIT;
	const struct enforcer_setup setup = {
		.run = run,
		.n_tasks_max = PROBE_TASKS,
		.budget_cpus = fmin(1, capacity_cpus),
		.capacity_cpus = capacity_cpus,
		.task_uid = getuid(),
	};
	int r = run_name_make(run, &fault);

	ret_ladder->n_rungs = 0;
	for (const struct enforcer_ops *const *ops = enforcers; *ops; ops++) {
		struct rung *rung = add_rung(ret_ladder, (*ops)->name);

		if (r == 0) {
			fault = FAULT_INIT;
			rung->error = (*ops)->probe(&setup, &fault);
		} else {
			rung->error = r;
		}
		(void)snprintf(rung->why, sizeof(rung->why), "%s", fault.text);
		if (rung->error == 0)
			return;
	}
}

static const struct enforcer_ops *find_enforcer(const char *name)
{
	for (const struct enforcer_ops *const *ops = enforcers; *ops; ops++)
		if (strcmp((*ops)->name, name) == 0)
			return *ops;
	return NULL;
}

void ladder_of_meters(struct ladder *ret_ladder, const char *name)
{
	/* Of an enforcer they ask its name, and whether it is a simulated one. */
	const struct enforcer enforcer = {
		.ops = find_enforcer(name),
		.guarantee = GUARANTEE_COOPERATIVE,
	};

	ret_ladder->n_rungs = 0;
	assert(enforcer.ops);
	for (const struct meter_ops *const *ops = meters; *ops; ops++) {
		struct rung *rung = add_rung(ret_ladder, (*ops)->name);
		struct fault fault = FAULT_INIT;
		struct meter *meter = NULL;

		rung->error = (*ops)->probe(&enforcer, &fault);
		if (rung->error == 0)
			rung->error = (*ops)->open(&meter, PROBE_TASKS, &fault);
		(void)snprintf(rung->why, sizeof(rung->why), "%s", fault.text);
		if (rung->error < 0)
			continue;
		(void)(*ops)->close(meter);
		return;
	}
}

const char *ladder_choice(const struct ladder *ladder)
{
	for (size_t i = 0; i < ladder->n_rungs; i++)
		if (ladder->rungs[i].error == 0)
			return ladder->rungs[i].name;
	return NULL;
}

const struct rung *ladder_rung(const struct ladder *ladder, const char *name)
{
	for (size_t i = 0; i < ladder->n_rungs; i++)
		if (strcmp(ladder->rungs[i].name, name) == 0)
			return &ladder->rungs[i];
	return NULL;
}

void ladder_reasons(const struct ladder *ladder, char ret_text[], size_t size)
{
	size_t length = 0;

	ret_text[0] = '\0';
	for (size_t i = 0; i < ladder->n_rungs && length < size; i++)
		if (ladder->rungs[i].error < 0)
			length += (size_t)snprintf(ret_text + length, size - length, "%s%s: %s",
				length > 0 ? "; " : "", ladder->rungs[i].name,
				ladder->rungs[i].why);
}
