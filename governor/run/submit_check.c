// SPDX-License-Identifier: GPL-2.0-or-later
#include "submit_check.h"

#include <errno.h>
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "cleanup.h"
#include "nsec.h"

/* The governor says no by itself to whatever it does not take; but that comes when the first tasks run
 * already. So what can be known is looked at before. Somebody else may be quicker all the same: then
 * that one task has failed. */

int submit_check_bundle(const struct bundle *bundle, struct fault *fault)
{
	if (bundle->n_tasks > RUN_TASKS_MAX)
		return fault_set(fault, -EBADMSG,
			"%s: %zu tasks; at most %d can be submitted at once (split the bundle)",
			bundle->path, bundle->n_tasks, RUN_TASKS_MAX);
	for (size_t i = 0; i < bundle->n_tasks; i++)
		if (!bundle->tasks[i].argv)
			return fault_set(fault, -EBADMSG,
				"%s:%u: [task %s] is only a recorded curve, and a governor takes "
				"commands; add a 'command', or run the bundle without --submit",
				bundle->path, bundle->tasks[i].line, bundle->tasks[i].name);
	return 0;
}

static const struct bundle_task *task_named(const struct bundle *bundle, const char *name)
{
	for (size_t i = 0; i < bundle->n_tasks; i++)
		if (strcmp(bundle->tasks[i].name, name) == 0)
			return &bundle->tasks[i];
	return NULL;
}

static int check_names(const struct bundle *bundle, struct remote *remote,
	enum run_error *ret_error, struct fault *fault)
{
	_cleanup_(remote_tasks_done) struct remote_tasks tasks = {0};
	int r = remote_tasks(remote, &tasks, fault);

	*ret_error = RUN_ERROR_GOVERNOR;
	for (size_t i = 0; r == 0 && i < tasks.n_tasks; i++) {
		const struct bundle_task *planned = task_named(bundle, tasks.tasks[i].name);

		if (!planned || strcmp(tasks.tasks[i].phase, "ended") == 0)
			continue;
		*ret_error = RUN_ERROR_DATA;
		r = fault_set(fault, -EEXIST,
			"%s:%u: a task '%s' runs already under the governor; choose another name, "
			"or wait until it has ended ('coregov wait %s')",
			bundle->path, planned->line, planned->name, planned->name);
	}
	return r;
}

/* The most tasks between begin and deadline at any moment: that is so when one of them begins. */
static uint32_t n_at_once(const struct bundle *bundle)
{
	uint32_t most = 0;

	for (size_t i = 0; i < bundle->n_tasks; i++) {
		uint64_t at_ns = bundle->tasks[i].begin_ns;
		uint32_t n = 0;

		for (size_t k = 0; k < bundle->n_tasks; k++)
			n += bundle->tasks[k].begin_ns <= at_ns &&
				at_ns < bundle->tasks[k].deadline_ns;
		most = n > most ? n : most;
	}
	return most;
}

int submit_check_room(const struct bundle *bundle, struct remote *remote,
	const struct remote_governor *governor, enum run_error *ret_error, struct fault *fault)
{
	uint32_t n = n_at_once(bundle);

	*ret_error = RUN_ERROR_BUDGET;
	if (governor->is_draining)
		return fault_set(fault, -ESHUTDOWN,
			"the governor is being drained and takes no new task; 'coregov drain "
			"--off' ends that");
	if (n > governor->n_vacant)
		return fault_set(fault, -EDQUOT,
			"%s: %" PRIu32 " of its tasks run at the same time, and the governor takes "
			"%" PRIu32 " more of yours now (tasks-max and per-user-tasks of "
			"coregov.conf(5))",
			bundle->path, n, governor->n_vacant);
	return check_names(bundle, remote, ret_error, fault);
}

static void add_word(char *words, size_t size, const char *word)
{
	size_t length = strlen(words);

	(void)snprintf(words + length, size - length, "%s%s", length > 0 ? ", " : "", word);
}

void submit_say_what_is_left(const struct bundle *bundle, const struct remote_governor *governor,
	void (*say)(const char *format, ...) __attribute__((format(printf, 1, 2))))
{
	char keys[128] = "budget";

	if (bundle->budget.n_steps > 1)
		add_word(keys, sizeof(keys), "[budget]");
	if (bundle->has_capacity)
		add_word(keys, sizeof(keys),
			bundle->capacity.n_steps > 1 ? "[capacity]" : "capacity");
	if (bundle->policy_line > bundle->line)
		add_word(keys, sizeof(keys), "policy");
	if (bundle->parameters.n > 0)
		add_word(keys, sizeof(keys), "[policy]");
	if (bundle->schedule_path)
		add_word(keys, sizeof(keys), "schedule");
	if (bundle->slot_line > bundle->line)
		add_word(keys, sizeof(keys), "slot");
	say("left to the governor, which has its own: %s (it shares %g of %g CPUs by %s, every %g "
	    "s)",
		keys, governor->budget_cpus, governor->capacity_cpus, governor->policy,
		(double)governor->slot_us / USEC_PER_SEC);
	for (size_t i = 0; i < bundle->n_tasks; i++) {
		const struct bundle_task *task = &bundle->tasks[i];

		if (ceil(task->threads) > task->threads)
			say("task %s: threads %g becomes %.0f, a governor counts whole ones",
				task->name, task->threads, ceil(task->threads));
	}
}
