// SPDX-License-Identifier: GPL-2.0-or-later
#include "scene.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include "leftover.h"
#include "locate.h"
#include "machine.h"
#include "neighbours.h"
#include "preset.h"
#include "remote.h"
#include "unit_bus.h"

/* Everything that cannot be read from a file below a root is asked here, and judged elsewhere. */

static void look_at_groups(struct scene *scene)
{
	scene->is_booted = unit_bus_is_booted();
	if (scene->is_booted)
		(void)unit_bus_version(scene->systemd, sizeof(scene->systemd));
	scene->has_base = cgroup_find("cpu", &scene->base, /* fault= */ NULL) == 0;
	scene->has_home = home_look(&scene->home, /* fault= */ NULL) == 0;
}

static void look_at_cpus(struct scene *scene)
{
	struct fault fault = FAULT_INIT;
	const char *enforcer;

	scene->n_cpus = (double)sysconf(_SC_NPROCESSORS_ONLN);
	scene->capacity_error = machine_capacity(&scene->capacity_cpus, &fault);
	(void)snprintf(scene->capacity_why, sizeof(scene->capacity_why), "%s", fault.text);
	if (scene->capacity_error < 0)
		scene->capacity_cpus = scene->n_cpus;
	ladder_of_enforcers(&scene->enforcers, scene->capacity_cpus);
	enforcer = ladder_choice(&scene->enforcers);
	if (enforcer)
		ladder_of_meters(&scene->meters, enforcer);
}

static void look_at_runs(struct scene *scene)
{
	struct fault fault = FAULT_INIT;

	scene->claims_error = neighbours_sum(
		&scene->claimed_cpus, scene->claims, sizeof(scene->claims), &fault);
	if (scene->claims_error < 0)
		(void)snprintf(scene->claims, sizeof(scene->claims), "%s", fault.text);
	scene->is_service_there = neighbours_have_service();
	scene->n_leftovers = leftover_find(scene->leftovers, sizeof(scene->leftovers), &fault);
	if (scene->n_leftovers < 0)
		(void)snprintf(scene->leftovers, sizeof(scene->leftovers), "%s", fault.text);
}

static int take_tasks(struct scene_governor *governor, const struct remote_tasks *tasks)
{
	governor->tasks = calloc(tasks->n_tasks + 1, sizeof(*governor->tasks));
	if (!governor->tasks)
		return -ENOMEM;
	for (size_t i = 0; i < tasks->n_tasks; i++) {
		const struct remote_task *from = &tasks->tasks[i];
		struct scene_task *to = &governor->tasks[governor->n_tasks];

		if (strcmp(from->phase, "ended") == 0)
			continue;
		governor->n_tasks++;
		to->pid = (pid_t)from->pid;
		to->share_cpus = from->share_cpus;
		to->threads = from->threads;
		(void)snprintf(to->name, sizeof(to->name), "%s", from->name);
	}
	return 0;
}

static int ask_governor(
	struct remote *remote, struct scene_governor *ret_governor, struct fault *fault)
{
	struct remote_governor governor;
	struct remote_tasks tasks;
	int r = remote_governor(remote, &governor, fault);

	if (r < 0)
		return r;
	ret_governor->budget_cpus = governor.budget_cpus;
	remote_governor_done(&governor);
	r = remote_tasks(remote, &tasks, fault);
	if (r < 0)
		return r;
	r = take_tasks(ret_governor, &tasks);
	remote_tasks_done(&tasks);
	return r < 0 ? fault_errno(fault, r, "tasks") : 0;
}

/* Only where it runs already. */
static void look_at_governor(struct scene *scene, enum governor_place place, const char *option)
{
	struct scene_governor *governor = &scene->governors[scene->n_governors];
	struct fault fault = FAULT_INIT;
	struct remote *remote = NULL;

	if (remote_open_running(place, &remote, /* fault= */ NULL) < 0)
		return;
	governor->option = option;
	governor->pid = remote_pid(remote);
	governor->error = ask_governor(remote, governor, &fault);
	(void)snprintf(governor->why, sizeof(governor->why), "%s", fault.text);
	scene->n_governors++;
	(void)remote_free(remote);
}

static void look_at_governors(struct scene *scene)
{
	if (connect_has_address()) {
		look_at_governor(scene, GOVERNOR_ANY, "");
	} else {
		look_at_governor(scene, GOVERNOR_USER, " --user");
		look_at_governor(scene, GOVERNOR_SYSTEM, " --system");
	}
}

static void look_at_limits(struct scene *scene)
{
	struct rlimit files = {0}, locked = {0};

	(void)getrlimit(RLIMIT_NOFILE, &files);
	(void)getrlimit(RLIMIT_MEMLOCK, &locked);
	scene->n_files_max = files.rlim_max;
	scene->locked_bytes = locked.rlim_cur == RLIM_INFINITY ? UINT64_MAX : locked.rlim_cur;
}

struct scene *scene_look(void)
{
	struct scene *scene = calloc(1, sizeof(*scene));

	if (!scene)
		return NULL;
	scene->root = "";
	scene->uid = geteuid();
	scene->learners = learner_directory();
	scene->library = library_directory();
	if (preset_directories(preset_directory(), /* more= */ NULL, &scene->presets) < 0)
		return scene_free(scene);
	look_at_limits(scene);
	look_at_groups(scene);
	look_at_cpus(scene);
	look_at_runs(scene);
	look_at_governors(scene);
	return scene;
}

struct scene *scene_free(struct scene *scene)
{
	if (!scene)
		return NULL;
	(void)preset_directories_free(scene->presets);
	for (size_t i = 0; i < scene->n_governors; i++)
		free(scene->governors[i].tasks);
	free(scene);
	return NULL;
}
