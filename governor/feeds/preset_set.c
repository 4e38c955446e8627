// SPDX-License-Identifier: GPL-2.0-or-later
#include "preset_internal.h"

#include <dirent.h>
#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "cleanup.h"
#include "metric.h"
#include "quantity.h"

/* The set of all presets: found in directories, ordered by trust, checked by their test lines.
 *
 * A file's name is its preset's name, so a user replaces a shipped preset by a file of the same
 * name in a directory of higher precedence. Presets are tried in the order of their trust, then of
 * their names: the order is the same on every machine, whatever readdir(3) says. */

#define PRESET_SUFFIX ".preset"
#define PRESETS_MAX 1000

/* What a line may cost: see preset.c. */
#define MATCH_LIMIT 5000
#define HEAP_LIMIT_KIB 1024
#define OFFSET_LIMIT 2048

static void cleanup_set(struct preset_set **set)
{
	(void)preset_set_free(*set);
}

struct preset_set *preset_set_free(struct preset_set *set)
{
	if (!set)
		return NULL;
	for (size_t i = 0; i < set->n_presets; i++)
		(void)preset_free(set->presets[i]);
	free(set->presets);
	free(set->names);
	pcre2_match_context_free(set->limits);
	for (size_t i = 0; i < ARRAY_LENGTH(set->groups); i++)
		pcre2_match_data_free(set->groups[i]);
	(void)json_line_reader_free(set->json);
	free(set);
	return NULL;
}

/* Adds the preset, in the place of one of the same name. Owns it in any case. */
static int set_add(struct preset_set *set, struct preset *preset, struct fault *fault)
{
	for (size_t i = 0; i < set->n_presets; i++)
		if (strcmp(set->presets[i]->name, preset->name) == 0) {
			if (set->presets[i]->kind != PRESET_REGEX) {
				fault_set(fault, -EBADMSG,
					"%s: the preset '%s' is built in; choose another name",
					preset->path, preset->name);
				(void)preset_free(preset);
				return -EBADMSG;
			}
			(void)preset_free(set->presets[i]);
			set->presets[i] = preset;
			return 0;
		}
	if (set->n_presets == PRESETS_MAX) {
		(void)preset_free(preset);
		return fault_set(fault, -EBADMSG, "more than %d presets", PRESETS_MAX);
	}
	set->presets[set->n_presets++] = preset;
	return 0;
}

static bool name_is_valid(const char *name, size_t length)
{
	return length > 0 && length <= TASK_NAME_MAX &&
		strspn(name, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._-") >=
		length;
}

static int file_read(
	struct preset_set *set, const char *directory, const char *file, struct fault *fault)
{
	size_t length = strlen(file), suffix = strlen(PRESET_SUFFIX);
	_cleanup_free_ char *path = NULL, *name = NULL;
	struct preset *preset;
	int r;

	if (length <= suffix || strcmp(file + length - suffix, PRESET_SUFFIX) != 0 ||
		!name_is_valid(file, length - suffix))
		return 0;
	name = strndup(file, length - suffix);
	if (!name || asprintf(&path, "%s/%s", directory, file) < 0) {
		path = NULL;
		return -ENOMEM;
	}
	r = preset_read(name, path, &preset, fault);
	return r < 0 ? r : set_add(set, preset, fault);
}

static int directory_read(struct preset_set *set, const char *path, struct fault *fault)
{
	_cleanup_closedir_ DIR *dir = opendir(path);
	const struct dirent *entry;
	int r = 0;

	if (!dir) {
		if (errno == ENOENT || errno == ENOTDIR || errno == EACCES)
			return 0;
		return fault_errno(fault, -errno, "directory of presets '%s'", path);
	}
	while (r == 0 && (entry = readdir(dir)))
		r = file_read(set, path, entry->d_name, fault);
	return r;
}

static int by_trust(const void *a, const void *b)
{
	const struct preset *one = *(struct preset *const *)a, *two = *(struct preset *const *)b;

	if (one->trust != two->trust)
		return one->trust > two->trust ? -1 : 1;
	return strcmp(one->name, two->name);
}

static int by_name(const void *a, const void *b)
{
	return strcmp(*(const char *const *)a, *(const char *const *)b);
}

static int scratch_make(struct preset_set *set)
{
	set->limits = pcre2_match_context_create(NULL);
	for (size_t i = 0; i < ARRAY_LENGTH(set->groups); i++) {
		set->groups[i] = pcre2_match_data_create(PRESET_GROUPS_MAX, NULL);
		if (!set->groups[i])
			return -ENOMEM;
	}
	if (!set->limits)
		return -ENOMEM;
	(void)pcre2_set_match_limit(set->limits, MATCH_LIMIT);
	(void)pcre2_set_heap_limit(set->limits, HEAP_LIMIT_KIB);
	(void)pcre2_set_offset_limit(set->limits, OFFSET_LIMIT);
	return json_line_reader_new(&set->json);
}

static int built_ins_add(struct preset_set *set)
{
	static const enum preset_kind kinds[] = {PRESET_CORE, PRESET_JSON};
	struct preset *preset;
	int r;

	for (size_t i = 0; i < ARRAY_LENGTH(kinds); i++) {
		r = preset_built_in(kinds[i], &preset);
		if (r == 0)
			r = set_add(set, preset, /* fault= */ NULL);
		if (r < 0)
			return r;
	}
	return 0;
}

int preset_set_read(
	struct preset_set **ret_set, const char *const directories[], struct fault *fault)
{
	_cleanup_(cleanup_set) struct preset_set *set = calloc(1, sizeof(*set));
	int r;

	if (!set)
		return -ENOMEM;
	set->presets = calloc(PRESETS_MAX, sizeof(struct preset *));
	r = set->presets ? scratch_make(set) : -ENOMEM;
	if (r == 0)
		r = built_ins_add(set);
	for (const char *const *directory = directories; *directory && r == 0; directory++)
		r = directory_read(set, *directory, fault);
	if (r < 0)
		return r;
	set->names = calloc(set->n_presets + 1, sizeof(*set->names));
	if (!set->names)
		return -ENOMEM;
	for (size_t i = 0; i < set->n_presets; i++)
		set->names[i] = set->presets[i]->name;
	qsort(set->names, set->n_presets, sizeof(*set->names), by_name);
	qsort(set->presets, set->n_presets, sizeof(struct preset *), by_trust);
	*ret_set = TAKE_PTR(set);
	return 0;
}

char **preset_directories_free(char **directories)
{
	for (char **directory = directories; directory && *directory; directory++)
		free(*directory);
	free(directories);
	return NULL;
}

int preset_directories(const char *own, char *const more[], char ***ret_directories)
{
	const char *home = secure_getenv("HOME");
	const char *config = secure_getenv("XDG_CONFIG_HOME");
	size_t n = 0, n_more = 0;
	char **list;

	while (more && more[n_more])
		n_more++;
	list = calloc(n_more + 4, sizeof(*list));
	if (!list)
		return -ENOMEM;
	list[n] = strdup(own);
	if (!list[n++])
		goto out_of_memory;
	list[n] = strdup("/etc/coregov/presets");
	if (!list[n++])
		goto out_of_memory;
	if (config && *config == '/') {
		if (asprintf(&list[n], "%s/coregov/presets", config) < 0)
			goto out_of_memory;
		n++;
	} else if (home && *home == '/') {
		if (asprintf(&list[n], "%s/.config/coregov/presets", home) < 0)
			goto out_of_memory;
		n++;
	}
	for (size_t i = 0; i < n_more; i++, n++) {
		list[n] = strdup(more[i]);
		if (!list[n])
			goto out_of_memory;
	}
	*ret_directories = list;
	return 0;

out_of_memory:
	list[n] = NULL;
	(void)preset_directories_free(list);
	return -ENOMEM;
}
