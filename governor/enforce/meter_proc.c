// SPDX-License-Identifier: GPL-2.0-or-later
#include <assert.h>
#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>

#include "cleanup.h"
#include "meter.h"
#include "proctree.h"

/* The meter without groups: the CPU clocks of a task's processes, found by descent (proctree.c).
 *
 * Looking for processes costs some milliseconds, reading the known ones microseconds: refresh()
 * looks, once a slot for all tasks.
 *
 * What it cannot see: the last moments of a process whose parent did not wait for it, and orphans
 * that came and went between two looks. */

struct metered {
	const struct place *place; /* NULL: no such task */
	bool is_in_tree;
};

struct meter_proc {
	struct meter meter;
	uint32_t n_tasks_max;
	struct proctree *tree;
	int scanned; /* what the last look returned */
	struct metered *tasks;
};

static struct meter_proc *meter_proc_of(struct meter *meter)
{
	return (struct meter_proc *)meter;
}

static int proc_probe(const struct enforcer *enforcer, struct fault *fault)
{
	if (enforcer->guarantee == GUARANTEE_SIM)
		return fault_set(fault, -EOPNOTSUPP, "simulated tasks have no processes");
	if (access("/proc/self/stat", R_OK) < 0)
		return fault_errno(fault, -errno, "read /proc/self/stat; is /proc mounted?");
	return 0;
}

static struct meter *proc_close(struct meter *meter)
{
	struct meter_proc *proc = meter_proc_of(meter);

	if (!proc)
		return NULL;
	proc->tree = proctree_free(proc->tree);
	free(proc->tasks);
	free(proc);
	return NULL;
}

static int proc_open(struct meter **ret_meter, uint32_t n_tasks_max, struct fault *fault)
{
	struct meter_proc *proc = calloc(1, sizeof(*proc));
	int r;

	if (!proc)
		return fault_errno(fault, -ENOMEM, "open the meter");
	proc->meter.ops = &meter_proc;
	proc->n_tasks_max = n_tasks_max;
	proc->tasks = calloc(n_tasks_max > 0 ? n_tasks_max : 1, sizeof(*proc->tasks));
	r = proc->tasks ? proctree_new(&proc->tree, n_tasks_max, fault)
			: fault_errno(fault, -ENOMEM, "open the meter");
	if (r < 0) {
		(void)proc_close(&proc->meter);
		return r;
	}
	*ret_meter = &proc->meter;
	return 0;
}

static int proc_task_add(
	struct meter *meter, uint32_t task, const struct place *place, struct fault *fault)
{
	struct meter_proc *proc = meter_proc_of(meter);

	assert(task < proc->n_tasks_max && !proc->tasks[task].place);
	(void)fault;
	/* Its first process may be attached later. */
	proc->tasks[task] = (struct metered){.place = place};
	return 0;
}

static void proc_task_remove(struct meter *meter, uint32_t task)
{
	struct meter_proc *proc = meter_proc_of(meter);

	assert(task < proc->n_tasks_max);
	if (proc->tasks[task].is_in_tree)
		proctree_task_remove(proc->tree, task);
	proc->tasks[task] = (struct metered){.place = NULL};
}

/* Looks for the processes of all tasks. */
static void proc_refresh(struct meter *meter)
{
	struct meter_proc *proc = meter_proc_of(meter);

	proc->scanned = proctree_scan(proc->tree);
}

static int proc_read(struct meter *meter, uint32_t task, struct meter_reading *ret_reading)
{
	struct meter_proc *proc = meter_proc_of(meter);
	struct metered *metered = &proc->tasks[task];
	int r = 0;

	assert(task < proc->n_tasks_max);
	if (!metered->place)
		return -ENOENT;
	if (!metered->is_in_tree) {
		r = metered->place->pid > 0
			? proctree_task_add(proc->tree, task, metered->place->pid)
			: -ESRCH;
		if (r == -ESRCH) {
			/* Nothing has run yet, or it ended before it was seen. */
			*ret_reading = (struct meter_reading){.cpu_ns = 0};
			return 0;
		}
		if (r < 0)
			return r;
		metered->is_in_tree = true;
	}
	if (proc->scanned < 0)
		return proc->scanned;
	*ret_reading = (struct meter_reading){.cpu_ns = proctree_cpu_ns(proc->tree, task)};
	return 0;
}

const struct meter_ops meter_proc = {
	.name = "proc",
	.is_from_birth = true,
	.probe = proc_probe,
	.open = proc_open,
	.task_add = proc_task_add,
	.task_remove = proc_task_remove,
	.refresh = proc_refresh,
	.read = proc_read,
	.close = proc_close,
};
