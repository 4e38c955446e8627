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
#include "machine.h"
#include "marks.h"
#include "process.h"
#include "tree.h"

/* What else is going on: other runs, what dead ones have left, programs that are known to change groups
 * or stop processes of others, and tasks whose threads get in each other's way. */

void check_claims(const struct scene *scene, struct finding *finding)
{
	if (scene->claims_error < 0) {
		found_broken(finding, "%s", scene->claims);
		found_remedy(finding, "mount -t proc proc /proc");
	} else if (scene->claimed_cpus <= 0) {
		found_ok(finding, "no other run is there");
	} else if (scene->claimed_cpus < scene->capacity_cpus - 1e-6) {
		found_ok(finding, "%g of %g CPUs are other runs': %s", scene->claimed_cpus,
			scene->capacity_cpus, scene->claims);
	} else if (scene->is_service_there) {
		found_ok(finding, "all of %g CPUs are for 'coregov run' and 'bundle --submit': %s",
			scene->capacity_cpus, scene->claims);
	} else {
		found_degraded(finding, "all of %g CPUs are other runs', a new one is refused: %s",
			scene->capacity_cpus, scene->claims);
		found_remedy(finding,
			"wait until they end, or end one: kill PID (the first number in its name)");
	}
}

void check_leftovers(const struct scene *scene, struct finding *finding)
{
	if (scene->n_leftovers < 0) {
		found_broken(finding, "%s", scene->leftovers);
		found_remedy(finding, "mount -t proc proc /proc");
	} else if (scene->n_leftovers == 0) {
		found_ok(finding, "none of dead runs");
	} else {
		found_degraded(finding, "groups or processes of dead runs: %s", scene->leftovers);
		found_remedy(finding,
			"the next run of their user clears them, as in: coregov "
			"bundle FILE");
	}
}

/* ---- programs that meddle ---- */

static const struct meddler {
	const char *name; /* as in /proc/PID/comm: 15 bytes */
	const char *does;
	const char *unit; /* of systemd; NULL: it is started by hand */
} meddlers[] = {
	{"ananicy", "changes the groups and priorities of others' processes", "ananicy"},
	{"ananicy-cpp", "changes the groups and priorities of others' processes", "ananicy-cpp"},
	{"cgrulesengd", "moves processes out of the groups they are in", "cgred"},
	{"cpulimit", "stops and continues others' processes", NULL},
};

static const struct meddler *find_meddler(const char *name)
{
	for (size_t i = 0; i < ARRAY_LENGTH(meddlers); i++)
		if (strcmp(meddlers[i].name, name) == 0)
			return &meddlers[i];
	return NULL;
}

static DIR *open_proc(const struct scene *scene)
{
	_cleanup_close_ int fd = tree_open(scene->root, "/proc");
	DIR *proc = fd < 0 ? NULL : fdopendir(fd);

	if (proc)
		fd = -EBADF; /* the stream's now */
	return proc;
}

static void no_proc(struct finding *finding)
{
	found_broken(finding, "/proc cannot be read");
	found_remedy(finding, "mount -t proc proc /proc");
}

void check_meddlers(const struct scene *scene, struct finding *finding)
{
	_cleanup_closedir_ DIR *proc = open_proc(scene);
	pid_t pid;

	if (!proc) {
		no_proc(finding);
		return;
	}
	while ((pid = process_next(proc)) > 0) {
		const struct meddler *meddler;
		char path[64], name[64];

		(void)snprintf(path, sizeof(path), "/proc/%d/comm", (int)pid);
		if (tree_read(scene->root, path, name, sizeof(name)) < 0)
			continue;
		meddler = find_meddler(name);
		if (!meddler)
			continue;
		found_degraded(finding, "process %d, %s: %s", (int)pid, name, meddler->does);
		if (meddler->unit)
			found_remedy(finding, "sudo systemctl stop %s", meddler->unit);
		else
			found_remedy(finding, "kill %d", (int)pid);
		return;
	}
	found_ok(finding, "none of the programs that are known to change others' groups runs");
}

/* ---- threads ---- */

/* A process of a task, as far as it can be seen from outside. */
struct trained {
	char run[RUN_NAME_MAX];
	char task[256]; /* its name */
	double cpus;    /* its quota */
	unsigned n_threads;
	bool is_passive; /* its OpenMP threads wait without spinning */
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

/* True for the line of /proc/PID/cgroup that is about the cpu controller; *ret_group without the slash
 * at its start. */
static bool is_of_cpu(char *line, bool is_unified, char **ret_group)
{
	char *controllers = strchr(line, ':'), *group, *word, *rest;

	group = controllers ? strchr(controllers + 1, ':') : NULL;
	if (!group || group[1] != '/')
		return false;
	*group = '\0';
	*ret_group = group + 2;
	(*ret_group)[strcspn(*ret_group, "\n")] = '\0';
	rest = controllers + 1;
	if (is_unified)
		return rest[0] == '\0';
	while ((word = strsep(&rest, ",")))
		if (strcmp(word, "cpu") == 0)
			return true;
	return false;
}

/* Cuts a group below that of a task: "A/RUN/TASK/own" becomes "A/RUN/TASK", which has the name. False
 * where it is none. */
static bool cut_to_task(char *group, struct trained *trained)
{
	char *at = strstr(group, trained->run), *slash, *name;

	if (!at || at[strlen(trained->run)] != '/')
		return false;
	at += strlen(trained->run) + 1;
	slash = strchr(at, '/');
	if (slash)
		*slash = '\0';
	name = strchr(at, '-'); /* enforcers put its number before the name */
	(void)snprintf(trained->task, sizeof(trained->task), "%s", name ? name + 1 : at);
	return true;
}

/* The quota of its task's group; 0 where there is none. */
static double read_quota(const struct scene *scene, int process_fd, struct trained *trained)
{
	_cleanup_close_ int fd = openat(process_fd, "cgroup", O_RDONLY | O_CLOEXEC);
	_cleanup_fclose_ FILE *file = fd < 0 ? NULL : fdopen(fd, "re");
	char line[PATH_MAX], path[2 * PATH_MAX], *group;

	if (!file)
		return 0;
	fd = -EBADF; /* the file's now */
	while (fgets(line, sizeof(line), file)) {
		_cleanup_close_ int dir_fd = -EBADF;

		if (!is_of_cpu(line, scene->base.is_unified, &group))
			continue;
		if (!cut_to_task(group, trained))
			return 0;
		(void)snprintf(path, sizeof(path), "%s/%s", scene->base.mount, group);
		dir_fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
		return dir_fd < 0 ? 0 : machine_group_cpus(dir_fd);
	}
	return 0;
}

/* False where that is no process of a task under a quota. */
static bool read_trained(
	const struct scene *scene, DIR *proc, pid_t pid, struct trained *ret_trained)
{
	_cleanup_close_ int fd = -EBADF;
	char name[32], policy[32];

	(void)snprintf(name, sizeof(name), "%d", (int)pid);
	fd = openat(dirfd(proc), name, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0 ||
		process_variable(fd, RUN_ENVIRONMENT, ret_trained->run, sizeof(ret_trained->run)) !=
			1)
		return false;
	ret_trained->cpus = read_quota(scene, fd, ret_trained);
	ret_trained->n_threads = read_n_threads(fd);
	ret_trained->is_passive = process_variable(fd, "OMP_WAIT_POLICY", policy, sizeof(policy)) ==
			1 &&
		strcasecmp(policy, "PASSIVE") == 0;
	return ret_trained->cpus > 0;
}

/* A single thread always has less than a CPU's worth to wait for. */
static bool is_crowded(const struct trained *trained)
{
	return !trained->is_passive && trained->n_threads > fmax(1, ceil(trained->cpus - 1e-9));
}

void check_threads(const struct scene *scene, struct finding *finding)
{
	_cleanup_closedir_ DIR *proc = open_proc(scene);
	struct trained trained;
	unsigned n_seen = 0;
	pid_t pid;

	if (!proc) {
		no_proc(finding);
		return;
	}
	while (scene->has_base && (pid = process_next(proc)) > 0) {
		if (!read_trained(scene, proc, pid, &trained))
			continue;
		n_seen++;
		if (!is_crowded(&trained))
			continue;
		found_degraded(finding,
			"task %s of %s: process %d has %u threads for %.3g CPUs, and they may "
			"spin while they wait",
			trained.task, trained.run, (int)pid, trained.n_threads, trained.cpus);
		found_remedy(finding,
			"in the bundle, [task %s]: environment = OMP_WAIT_POLICY=PASSIVE "
			"OMP_NUM_THREADS=%.0f",
			trained.task, fmax(1, floor(trained.cpus)));
		return;
	}
	found_ok(finding,
		n_seen > 0 ? "%u processes of tasks, none with threads that spin for more "
			     "than their share"
			   : "no process of a task under a quota can be seen",
		n_seen);
}
