// SPDX-License-Identifier: GPL-2.0-or-later
#include "follow.h"

#include <dirent.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "cleanup.h"
#include "follow_internal.h"

/* A path that a training logs to: a file, or a directory with TensorBoard event files.
 *
 * A directory gets a file more with every start of the training and, with some frameworks, one for
 * the evaluation; the last eight by name are followed (the name begins with the time of creation,
 * so that is the order of age too). Which tag stands for the metric is decided once for all of
 * them, in that order, or two curves would be taken for one. */

#define EVENTS_NAME "events.out.tfevents."
#define FILES_MAX 8
#define ENTRIES_MAX 10000

struct follow {
	char *path;
	struct target target;
	struct followed all;
	struct follow_file files[FILES_MAX];
	size_t n_files;
	size_t next; /* whose turn it is: a file with much to say must not silence the others */
};

static void cleanup_follow(struct follow **follow)
{
	(void)follow_free(*follow);
}

int follow_new(struct follow **ret_follow, const char *path, const struct target *target,
	struct fault *fault)
{
	_cleanup_(cleanup_follow) struct follow *follow = calloc(1, sizeof(*follow));

	if (!follow)
		return fault_errno(fault, -ENOMEM, "follow '%s'", path);
	for (size_t i = 0; i < FILES_MAX; i++)
		follow_file_init(&follow->files[i]);
	follow->target = *target;
	follow->all.target = &follow->target;
	follow->path = strdup(path);
	follow->all.buffer = malloc(FOLLOW_BUFFER);
	if (!follow->path || !follow->all.buffer || json_line_reader_new(&follow->all.json) < 0)
		return fault_errno(fault, -ENOMEM, "follow '%s'", path);
	*ret_follow = TAKE_PTR(follow);
	return 0;
}

struct follow *follow_free(struct follow *follow)
{
	if (!follow)
		return NULL;
	for (size_t i = 0; i < FILES_MAX; i++)
		follow_file_done(&follow->files[i]);
	(void)json_line_reader_free(follow->all.json);
	free(follow->all.buffer);
	free(follow->path);
	free(follow);
	return NULL;
}

static bool is_followed(const struct follow *follow, const char *path)
{
	for (size_t i = 0; i < follow->n_files; i++)
		if (strcmp(follow->files[i].path, path) == 0)
			return true;
	return false;
}

/* Follows one more, in the order of their names; where there are too many, the first goes. Takes the
 * path. */
static void follow_path(struct follow *follow, char *path)
{
	struct follow_file *files = follow->files;
	size_t at;

	if (follow->n_files == FILES_MAX) {
		if (strcmp(path, files[0].path) < 0) {
			free(path);
			return;
		}
		follow_file_done(&files[0]);
		memmove(&files[0], &files[1], (FILES_MAX - 1) * sizeof(files[0]));
		follow->n_files--;
	}
	for (at = follow->n_files; at > 0 && strcmp(path, files[at - 1].path) < 0; at--)
		files[at] = files[at - 1];
	follow_file_init(&files[at]);
	files[at].path = path;
	follow->n_files++;
}

static void look_into_directory(struct follow *follow)
{
	_cleanup_closedir_ DIR *dir = opendir(follow->path);
	const struct dirent *entry;

	for (int i = 0; dir && i < ENTRIES_MAX && (entry = readdir(dir)); i++) {
		char *path;

		if (strncmp(entry->d_name, EVENTS_NAME, strlen(EVENTS_NAME)) != 0 ||
			asprintf(&path, "%s/%s", follow->path, entry->d_name) < 0)
			continue;
		if (is_followed(follow, path))
			free(path);
		else
			follow_path(follow, path);
	}
}

static void find_files(struct follow *follow)
{
	struct stat status;
	char *path;

	if (stat(follow->path, &status) < 0)
		return;
	if (S_ISDIR(status.st_mode)) {
		look_into_directory(follow);
	} else if (follow->n_files == 0) {
		path = strdup(follow->path);
		if (path)
			follow_path(follow, path);
	}
}

size_t follow_read(
	struct follow *follow, uint64_t now_ns, struct report ret_reports[], size_t n_max)
{
	struct followed *all = &follow->all;
	size_t n = 0;

	all->now_ns = now_ns;
	all->reports = ret_reports;
	all->n_reports = 0;
	all->n_max = n_max;
	find_files(follow);
	for (; n < follow->n_files; n++)
		if (!follow_file_read(&follow->files[(follow->next + n) % follow->n_files], all))
			break;
	if (follow->n_files > 0)
		follow->next = (follow->next + n) % follow->n_files;
	return all->n_reports;
}

void follow_facts(const struct follow *follow, struct progress_facts *ret_facts)
{
	*ret_facts = follow->all.facts;
}
