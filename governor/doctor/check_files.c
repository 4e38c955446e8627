// SPDX-License-Identifier: GPL-2.0-or-later
#include <errno.h>
#include <stdio.h>
#include <unistd.h>

#include "doctor_internal.h"
#include "preset.h"

/* Coregov's own files: a program that was copied somewhere without them finds nothing. */

#define REINSTALL "sudo meson install -C build (from coregov's source)"
#define REPLAY_LEARNER "coregov-replay"
#define LIBRARY "libcoregov-progress.so.0"

static bool has_file(const char *folder, const char *name, int mode)
{
	char path[PATH_MAX];
	int n = snprintf(path, sizeof(path), "%s/%s", folder, name);

	return n > 0 && n < (int)sizeof(path) && access(path, mode) == 0;
}

void check_learners(const struct scene *scene, struct finding *finding)
{
	if (has_file(scene->learners, REPLAY_LEARNER, X_OK)) {
		found_ok(finding, "in '%s'", scene->learners);
		return;
	}
	found_degraded(finding, "not in '%s': bundles of curves and the examples cannot run",
		scene->learners);
	found_remedy(finding, REINSTALL);
}

void check_library(const struct scene *scene, struct finding *finding)
{
	if (has_file(scene->library, LIBRARY, R_OK)) {
		found_ok(finding, "in '%s'", scene->library);
		return;
	}
	found_degraded(finding, LIBRARY " is not in '%s': programs linked with it do not start",
		scene->library);
	found_remedy(finding, REINSTALL);
}

void check_presets(const struct scene *scene, struct finding *finding)
{
	struct fault fault = FAULT_INIT;
	struct preset_set *set;
	size_t n = 0;

	if (preset_set_read(&set, (const char *const *)scene->presets, &fault) < 0) {
		found_broken(finding, "no bundle can run: %s", fault.text);
		found_remedy(finding, "mend that line, or take the file away");
		return;
	}
	while (preset_set_names(set)[n])
		n++;
	(void)preset_set_free(set);
	if (access(scene->presets[0], R_OK | X_OK) == 0) {
		found_ok(finding, "%zu output formats are known, from '%s' and after it", n,
			scene->presets[0]);
		return;
	}
	found_degraded(finding,
		"'%s' is not there: what programs print is not understood (%zu formats are known)",
		scene->presets[0], n);
	found_remedy(finding, REINSTALL);
}
