// SPDX-License-Identifier: GPL-2.0-or-later
#include <errno.h>
#include <fcntl.h>
#include <math.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>
#include <sys/types.h>

#include "cleanup.h"
#include "doctor_internal.h"
#include "marks.h"
#include "process.h"
#include "task_group.h"

/* Tasks whose threads get in each other's way: what they have now, if they spin, beside their share now; and what their
 * environment makes their libraries start, beside what they may ever have. Whose a process is its group tells, or what
 * a launcher has put into its environment, where there is no group (enforcer signal). */

/* Variables by which libraries are told how many threads to start; a number, or a list that begins with one. */
static const char *const settings[] = {
	"OMP_NUM_THREADS",
	"MKL_NUM_THREADS",
	"OPENBLAS_NUM_THREADS",
	"BLIS_NUM_THREADS",
	"NUMEXPR_NUM_THREADS",
	"RAYON_NUM_THREADS",
	"JULIA_NUM_THREADS",
};

/* A process of a task, as far as it can be seen from outside. */
struct trained {
	const struct scene_task *task; /* what its governor says of it; NULL: nothing */
	struct task_group group;       /* path "": it is in none */
	const char *name;              /* of the task */
	double cpus;                   /* its share now */
	double most_cpus;              /* what it may ever have; INFINITY: anything */
	unsigned n_threads;
	bool is_passive;     /* its OpenMP threads wait without spinning */
	const char *setting; /* that asks for more threads than that; NULL: none */
	unsigned n_asked;    /* for so many */
};

static unsigned read_n_threads(int process_fd)
{
	_cleanup_close_ int fd = openat(process_fd, "status", O_RDONLY | O_CLOEXEC);
	_cleanup_fclose_ FILE *file = fd < 0 ? NULL : fdopen(fd, "re");
	char line[256];
	unsigned n = 0;

	if (!file)
		return 0;
	fd = -EBADF; /* the file's now */
	while (fgets(line, sizeof(line), file))
		if (sscanf(line, "Threads: %u", &n) == 1)
			break;
	return n;
}

/* By what a launcher has put into the environment, which may have been inherited. NULL where no governor knows of it.
 * 0, or a negative errno where its environment is not for us. */
static int find_task(const struct scene *scene, int process_fd, const struct scene_task **ret_task)
{
	char text[32];
	int pid, r = process_variable(process_fd, TASK_PID_ENVIRONMENT, text, sizeof(text));

	*ret_task = NULL;
	if (r != 1 || sscanf(text, "%d", &pid) != 1)
		return r < 0 ? r : 0;
	for (size_t i = 0; i < scene->n_governors; i++)
		for (size_t j = 0; j < scene->governors[i].n_tasks; j++)
			if (scene->governors[i].tasks[j].pid == pid)
				*ret_task = &scene->governors[i].tasks[j];
	return 0;
}

/* A group that has no limit is one that nobody governs now: then what is around it counts. */
static void read_limits(const struct scene *scene, struct trained *trained)
{
	const struct task_group *group = &trained->group;
	double budget_cpus = 0;

	trained->most_cpus = INFINITY;
	if (group->path[0]) {
		(void)task_group_cpus(scene, group, strlen(group->path), &trained->cpus);
		(void)task_group_cpus(scene, group, group->budget_length, &budget_cpus);
	} else if (trained->task) {
		trained->cpus = trained->task->share_cpus;
	}
	if (budget_cpus > 0)
		trained->most_cpus = budget_cpus;
	if (!(trained->cpus > 0))
		trained->cpus = budget_cpus;
	if (trained->task && trained->task->threads > 0)
		trained->most_cpus = fmin(trained->most_cpus, trained->task->threads);
}

static void read_settings(int process_fd, struct trained *trained)
{
	char text[64];

	trained->is_passive = process_variable(process_fd, "OMP_WAIT_POLICY", text, sizeof(text)) ==
			1 &&
		strcasecmp(text, "PASSIVE") == 0;
	for (size_t i = 0; i < ARRAY_LENGTH(settings) && !trained->setting; i++) {
		if (process_variable(process_fd, settings[i], text, sizeof(text)) != 1 ||
			sscanf(text, "%9u", &trained->n_asked) != 1)
			continue;
		if (trained->n_asked > ceil(trained->most_cpus - 1e-9))
			trained->setting = settings[i];
	}
}

/* False where that is no process of a task under a quota, or of somebody whose environment is not for us. */
static bool read_trained(
	const struct scene *scene, DIR *proc, pid_t pid, struct trained *ret_trained)
{
	_cleanup_close_ int fd = -EBADF;
	char name[32];

	*ret_trained = (struct trained){.task = NULL};
	(void)snprintf(name, sizeof(name), "%d", (int)pid);
	fd = openat(dirfd(proc), name, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0 || find_task(scene, fd, &ret_trained->task) < 0)
		return false;
	if (!task_group_find(scene, pid, &ret_trained->group))
		ret_trained->group.path[0] = '\0';
	if (!ret_trained->group.path[0] && !ret_trained->task)
		return false;
	ret_trained->name = ret_trained->group.path[0] ? ret_trained->group.name
						       : ret_trained->task->name;
	ret_trained->n_threads = read_n_threads(fd);
	read_limits(scene, ret_trained);
	read_settings(fd, ret_trained);
	return ret_trained->cpus > 0;
}

/* A single thread always has less than a CPU's worth to wait for. */
static bool is_crowded(const struct trained *trained)
{
	return !trained->is_passive && trained->n_threads > fmax(1, ceil(trained->cpus - 1e-9));
}

/* variables: what its environment is to have, "A=1 B=2". */
static void remedy_of_threads(const struct trained *trained, const char *variables,
	double n_threads, struct finding *finding)
{
	if (trained->group.path[0] && !trained->group.is_of_service)
		found_remedy(finding, "in the bundle, [task %s]: environment = %s", trained->name,
			variables);
	else
		found_remedy(finding,
			"env %s coregov run --threads %.0f -- COMMAND  # to start it anew; in a "
			"bundle that was submitted, [task %s]: threads = %.0f and environment = %s",
			variables, n_threads, trained->name, n_threads, variables);
}

static void tell_crowd(const struct trained *trained, pid_t pid, struct finding *finding)
{
	double n_threads = fmax(1, floor(trained->cpus + 1e-9));
	char variables[96];

	found_degraded(finding,
		"task %s of %s: process %d has %u threads for %.3g CPUs, and they may spin while "
		"they wait",
		trained->name, trained->group.path[0] ? trained->group.run : "a governor", (int)pid,
		trained->n_threads, trained->cpus);
	(void)snprintf(variables, sizeof(variables), "OMP_WAIT_POLICY=PASSIVE OMP_NUM_THREADS=%.0f",
		n_threads);
	remedy_of_threads(trained, variables, n_threads, finding);
}

/* Where a task was said to use less than its environment lets it, and the budget has that much, the governor can be
 * told while it runs. */
static void tell_setting(const struct scene *scene, const struct trained *trained, pid_t pid,
	struct finding *finding)
{
	double n_threads = fmax(1, floor(trained->most_cpus + 1e-9)), budget_cpus = 0;
	char variables[96];

	found_degraded(finding,
		"task %s of %s: process %d is told by %s=%u to start that many threads, and the "
		"task may have %.3g CPUs at most: more get in each other's way",
		trained->name, trained->group.path[0] ? trained->group.run : "a governor", (int)pid,
		trained->setting, trained->n_asked, trained->most_cpus);
	if (trained->group.path[0])
		(void)task_group_cpus(
			scene, &trained->group, trained->group.budget_length, &budget_cpus);
	if (trained->task && trained->n_asked <= ceil(budget_cpus - 1e-9)) {
		found_remedy(finding, "coregov set %s threads=%u", trained->task->name,
			trained->n_asked);
		return;
	}
	(void)snprintf(variables, sizeof(variables), "%s=%.0f", trained->setting, n_threads);
	remedy_of_threads(trained, variables, n_threads, finding);
}

void check_threads(const struct scene *scene, struct finding *finding)
{
	_cleanup_closedir_ DIR *proc = open_processes(scene, finding);
	struct trained trained;
	unsigned n_seen = 0;
	pid_t pid;

	if (!proc)
		return;
	while ((pid = process_next(proc)) > 0) {
		if (!read_trained(scene, proc, pid, &trained))
			continue;
		n_seen++;
		if (is_crowded(&trained))
			tell_crowd(&trained, pid, finding);
		else if (trained.setting)
			tell_setting(scene, &trained, pid, finding);
		else
			continue;
		return;
	}
	found_ok(finding,
		n_seen > 0 ? "%u processes of tasks, none with threads that spin for more than "
			     "their share, or told to start more than it may have"
			   : "no process of a task under a quota can be seen",
		n_seen);
}
