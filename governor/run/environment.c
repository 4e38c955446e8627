// SPDX-License-Identifier: GPL-2.0-or-later
#include "environment.h"

#include <errno.h>
#include <fcntl.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "cleanup.h"
#include "ini.h"

/* Three things make a training suffer under a quota although it never asked for them: Python holds
 * back what it prints into a pipe until it exits, so that there is no progress to read; OpenMP
 * threads that wait spin, and spinning is CPU time that is paid for and learns nothing (an OpenMP
 * loop on half a CPU did 2.5 times the steps with one thread that it did with two, twice with
 * passive waiting); and libraries start a thread per CPU of the machine, whatever their share of it
 * is. So each gets a default that a user can still override. */

#define DEFAULT_PATH "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"

struct variables {
	char **items; /* NULL-ended */
	size_t n_items, n_room;
};

void cleanup_words(char ***words)
{
	(void)words_free(*words);
}

static bool is_same_name(const char *a, const char *b)
{
	size_t length = strcspn(a, "=");

	return strncmp(a, b, length) == 0 && b[length] == '=';
}

static int add(struct variables *variables, const char *text)
{
	char *copy = strdup(text);

	if (!copy)
		return -ENOMEM;
	if (variables->n_items + 1 >= variables->n_room) {
		size_t n_room = variables->n_room * 2 + 16;
		char **items = reallocarray(variables->items, n_room, sizeof(items[0]));

		if (!items) {
			free(copy);
			return -ENOMEM;
		}
		variables->items = items;
		variables->n_room = n_room;
	}
	variables->items[variables->n_items++] = copy;
	variables->items[variables->n_items] = NULL;
	return 0;
}

/* Sets a variable; `keep`: only where it is not set yet. */
static int set(struct variables *variables, const char *text, bool keep)
{
	for (size_t i = 0; i < variables->n_items; i++) {
		char *copy;

		if (!is_same_name(text, variables->items[i]))
			continue;
		if (keep)
			return 0;
		copy = strdup(text);
		if (!copy)
			return -ENOMEM;
		free(variables->items[i]);
		variables->items[i] = copy;
		return 0;
	}
	return add(variables, text);
}

static int fill(struct variables *variables, const struct bundle_task *task, const char *page)
{
	char threads[40];
	int r = 0;

	for (char **item = environ; *item && r == 0; item++)
		r = add(variables, *item);
	for (char **item = task->environment; item && *item && r == 0; item++)
		r = set(variables, *item, /* keep= */ false);
	(void)snprintf(threads, sizeof(threads), "OMP_NUM_THREADS=%.0f",
		task->threads < 1 ? 1 : fmin(floor(task->threads), 100000));
	if (r == 0)
		r = set(variables, "PYTHONUNBUFFERED=1", /* keep= */ true);
	if (r == 0)
		r = set(variables, "OMP_WAIT_POLICY=PASSIVE", /* keep= */ true);
	if (r == 0)
		r = set(variables, threads, /* keep= */ true);
	if (r == 0 && page[0] != '\0')
		r = set(variables, page, /* keep= */ false);
	return r;
}

int environment_of_task(const struct bundle_task *task, const char *page, char ***ret_environment,
	struct fault *fault)
{
	struct variables variables = {0};
	int r = fill(&variables, task, page);

	if (r < 0) {
		(void)words_free(variables.items);
		return fault_errno(fault, r, "environment");
	}
	*ret_environment = variables.items;
	return 0;
}

int command_of_task(const struct bundle_task *task, char ***ret_argv, struct fault *fault)
{
	struct variables words = {0};
	int r = 0;

	if (!task->argv) {
		/* Absolute, because the task has a working directory of its own. */
		_cleanup_free_ char *curve = realpath(task->curve_path, NULL);

		if (!curve)
			return fault_errno(fault, -errno, "curve '%s'", task->curve_path);
		r = add(&words, REPLAY_LEARNER);
		if (r == 0)
			r = add(&words, curve);
	}
	for (char **word = task->argv; word && *word && r == 0; word++)
		r = add(&words, *word);
	if (r < 0) {
		(void)words_free(words.items);
		return fault_errno(fault, r, "command");
	}
	*ret_argv = words.items;
	return 0;
}

static const char *path_of(char *const environment[])
{
	const char *path = DEFAULT_PATH;

	for (char *const *item = environment; *item; item++)
		if (strncmp(*item, "PATH=", strlen("PATH=")) == 0)
			path = *item + strlen("PATH=");
	return path;
}

int search_path(char *const environment[], const char *learner_directory, char **ret_path,
	struct fault *fault)
{
	if (asprintf(ret_path, "%s:%s", path_of(environment), learner_directory) < 0)
		return fault_errno(fault, -ENOMEM, "PATH");
	return 0;
}

static bool is_in_path(const char *name, char *const environment[])
{
	bool is_there = false;

	for (const char *next, *at = path_of(environment); at && !is_there; at = next) {
		size_t length = strcspn(at, ":");
		_cleanup_free_ char *file = NULL;

		next = at[length] == ':' ? at + length + 1 : NULL;
		if (asprintf(&file, "%.*s%s%s", (int)length, at, length > 0 ? "/" : "", name) < 0)
			return true;
		is_there = access(file, X_OK) == 0;
	}
	return is_there;
}

int find_learner(
	char *argv[], char *const environment[], const char *learner_directory, struct fault *fault)
{
	char *file;

	if (strchr(argv[0], '/') || is_in_path(argv[0], environment))
		return 0;
	if (asprintf(&file, "%s/%s", learner_directory, argv[0]) < 0)
		return fault_errno(fault, -ENOMEM, "command");
	if (access(file, X_OK) < 0) {
		free(file);
		return 0;
	}
	free(argv[0]);
	argv[0] = file;
	return 0;
}

int open_output_of_task(const char *directory, const char *name, const char *suffix, int *ret_fd,
	struct fault *fault)
{
	_cleanup_free_ char *path = NULL;

	*ret_fd = -EBADF;
	if (!directory)
		return 0;
	if (asprintf(&path, "%s/%s.%s", directory, name, suffix) < 0)
		return fault_errno(fault, -ENOMEM, "output of task %s", name);
	*ret_fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOCTTY, 0666);
	if (*ret_fd < 0)
		return fault_errno(
			fault, -errno, "open '%s' for the output of task %s", path, name);
	return 0;
}
