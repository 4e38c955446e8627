// SPDX-License-Identifier: GPL-2.0-or-later
#include "task_group.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>

#include "cleanup.h"
#include "leftover.h"
#include "machine.h"
#include "scene.h"
#include "tree.h"
#include "unit_bus.h"

/* Groups are called after what is in them (marks.h, and the enforcers), so that a process tells by its group whose
 * it is: what its environment says may be gone, and nobody but its user may read it. */

#define CGROUP_TEXT_MAX (4 * PATH_MAX) /* of a /proc/PID/cgroup: a line for each hierarchy */
#define SCOPE_END ".scope"

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
	rest = controllers + 1;
	if (is_unified)
		return rest[0] == '\0';
	while ((word = strsep(&rest, ",")))
		if (strcmp(word, "cpu") == 0)
			return true;
	return false;
}

/* A part of a path, up to the next slash. */
struct part {
	char text[NAME_MAX + 1];
	size_t end; /* in the path */
};

static bool next_part(const char *path, size_t from, struct part *ret_part)
{
	size_t length = strcspn(path + from, "/");

	if (length == 0 || length >= sizeof(ret_part->text))
		return false;
	memcpy(ret_part->text, path + from, length);
	ret_part->text[length] = '\0';
	ret_part->end = from + length;
	return true;
}

/* Enforcers put its number before the name: "3-mlp". */
static const char *name_of(const char *part)
{
	size_t n_digits = strspn(part, "0123456789");

	return n_digits > 0 && part[n_digits] == '-' && part[n_digits + 1] ? part + n_digits + 1
									   : NULL;
}

static bool is_scope(const char *part)
{
	size_t length = strlen(part), end = strlen(SCOPE_END);

	return strncmp(part, RUN_NAME "-", strlen(RUN_NAME "-")) == 0 && length > end &&
		strcmp(part + length - end, SCOPE_END) == 0;
}

/* Is the task right below the group with the budget that ends at `at`? */
static bool parse_below(const char *path, size_t at, bool is_slice, struct task_group *ret_group)
{
	struct part part;
	const char *name;

	ret_group->budget_length = at;
	if (path[at] != '/' || !next_part(path, at + 1, &part))
		return false;
	if (is_slice) {
		if (!is_scope(part.text))
			return false;
		ret_group->scope_length = part.end;
		if (path[part.end] != '/' || !next_part(path, part.end + 1, &part))
			return false;
	}
	name = name_of(part.text);
	if (!name)
		return false;
	(void)snprintf(ret_group->name, sizeof(ret_group->name), "%.*s", TASK_NAME_MAX, name);
	(void)snprintf(ret_group->path, sizeof(ret_group->path), "%.*s", (int)part.end, path);
	return true;
}

/* Where a task has a run of its own, that one governs it: the last one counts. */
static bool parse(const char *path, struct task_group *ret_group)
{
	struct part part;
	bool is_found = false;

	for (size_t from = 0; next_part(path, from, &part); from = part.end + 1) {
		bool is_slice = strcmp(part.text, UNIT_SLICE) == 0;
		struct task_group group = {.path = ""};

		if ((is_slice || run_name_is_alive(part.text) != -EINVAL) &&
			parse_below(path, part.end, is_slice, &group)) {
			(void)snprintf(
				group.run, sizeof(group.run), "%.*s", RUN_NAME_MAX - 1, part.text);
			group.is_of_service = is_slice ||
				strncmp(part.text, RUN_NAME_OF_SERVICE "-",
					strlen(RUN_NAME_OF_SERVICE "-")) == 0;
			*ret_group = group;
			is_found = true;
		}
		if (path[part.end] == '\0')
			break;
	}
	return is_found;
}

bool task_group_find(const struct scene *scene, pid_t pid, struct task_group *ret_group)
{
	char file[64], text[CGROUP_TEXT_MAX], *line, *rest = text, *path;

	(void)snprintf(file, sizeof(file), "/proc/%d/cgroup", (int)pid);
	if (!scene->has_base || tree_read(scene->root, file, text, sizeof(text)) < 0)
		return false;
	while ((line = strsep(&rest, "\n")))
		if (is_of_cpu(line, scene->base.is_unified, &path))
			return parse(path, ret_group);
	return false;
}

int task_group_cpus(
	const struct scene *scene, const struct task_group *group, size_t length, double *ret_cpus)
{
	char path[2 * PATH_MAX];
	_cleanup_close_ int fd = -EBADF;

	(void)snprintf(path, sizeof(path), "%s/%.*s", scene->base.mount, (int)length, group->path);
	fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	*ret_cpus = machine_group_cpus(fd);
	return 0;
}
