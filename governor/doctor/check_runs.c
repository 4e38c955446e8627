// SPDX-License-Identifier: GPL-2.0-or-later
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/types.h>

#include "cleanup.h"
#include "doctor_internal.h"
#include "marks.h"
#include "process.h"
#include "tree.h"

/* What else is going on: other runs, what dead ones have left, programs that are known to change groups
 * or stop processes of others. */

/* A run is called after its process. */
static void remedy_of_claims(const struct scene *scene, struct finding *finding)
{
	int pid;

	if (sscanf(scene->claims, RUN_NAME "-%d-", &pid) == 1)
		found_remedy(
			finding, "%skill %d  # or wait until a run ends", remedy_sudo(scene), pid);
	else
		found_remedy(finding,
			"wait until they end, or end one: kill PID (the first number in its name)");
}

void check_claims(const struct scene *scene, struct finding *finding)
{
	if (scene->claims_error < 0) {
		found_broken(finding, "%s", scene->claims);
		found_remedy(finding, "%smount -t proc proc /proc", remedy_sudo(scene));
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
		remedy_of_claims(scene, finding);
	}
}

void check_leftovers(const struct scene *scene, struct finding *finding)
{
	if (scene->n_leftovers < 0) {
		found_broken(finding, "%s", scene->leftovers);
		found_remedy(finding, "%smount -t proc proc /proc", remedy_sudo(scene));
	} else if (scene->n_leftovers == 0) {
		found_ok(finding, "none of dead runs");
	} else {
		found_degraded(finding, "groups or processes of dead runs: %s", scene->leftovers);
		found_remedy(finding,
			"printf '[bundle]\\nbudget = 1%%%%\\n' | coregov bundle /dev/stdin  # as "
			"their user: the next run of a user clears them, this is one of no tasks");
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

DIR *open_processes(const struct scene *scene, struct finding *finding)
{
	_cleanup_close_ int fd = tree_open(scene->root, "/proc");
	DIR *proc = fd < 0 ? NULL : fdopendir(fd);

	if (proc) {
		fd = -EBADF; /* the stream's now */
	} else {
		found_broken(finding, "/proc cannot be read");
		found_remedy(finding, "%smount -t proc proc /proc", remedy_sudo(scene));
	}
	return proc;
}

void check_meddlers(const struct scene *scene, struct finding *finding)
{
	_cleanup_closedir_ DIR *proc = open_processes(scene, finding);
	pid_t pid;

	if (!proc)
		return;
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
			found_remedy(
				finding, "%ssystemctl stop %s", remedy_sudo(scene), meddler->unit);
		else
			found_remedy(finding, "%skill %d", remedy_sudo(scene), (int)pid);
		return;
	}
	found_ok(finding, "none of the programs that are known to change others' groups runs");
}
