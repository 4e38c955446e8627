// SPDX-License-Identifier: GPL-2.0-or-later
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "doctor_internal.h"
#include "preset.h"

/* Coregov's own files: a program that was copied somewhere without them finds nothing. */

#define REINSTALL "%smeson install -C build  # in coregov's source"
#define PRESET_END ".preset"
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
	found_remedy(finding, REINSTALL, remedy_sudo(scene));
}

void check_library(const struct scene *scene, struct finding *finding)
{
	if (has_file(scene->library, LIBRARY, R_OK)) {
		found_ok(finding, "in '%s'", scene->library);
		return;
	}
	found_degraded(finding, LIBRARY " is not in '%s': programs linked with it do not start",
		scene->library);
	found_remedy(finding, REINSTALL, remedy_sudo(scene));
}

/* The sentence begins with the file. One of another name is not read. */
static void remedy_of_preset(
	const struct scene *scene, const char *sentence, struct finding *finding)
{
	const char *end = strstr(sentence, PRESET_END ":");
	char path[PATH_MAX], folder[PATH_MAX], *slash;

	if (!end || sentence[0] != '/' || end - sentence > PATH_MAX - 16) {
		found_remedy(finding, "mend that line, or take the file away");
		return;
	}
	(void)snprintf(path, sizeof(path), "%.*s" PRESET_END, (int)(end - sentence), sentence);
	(void)strcpy(folder, path);
	slash = strrchr(folder, '/');
	*slash = '\0';
	found_remedy(finding, "%smv '%s' '%s.off'  # or mend that line",
		access(folder, W_OK) == 0 ? "" : remedy_sudo(scene), path, path);
}

void check_presets(const struct scene *scene, struct finding *finding)
{
	struct fault fault = FAULT_INIT;
	struct preset_set *set;
	size_t n = 0;

	if (preset_set_read(&set, (const char *const *)scene->presets, &fault) < 0) {
		found_broken(finding, "no bundle can run: %s", fault.text);
		remedy_of_preset(scene, fault.text, finding);
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
	found_remedy(finding, REINSTALL, remedy_sudo(scene));
}
