// SPDX-License-Identifier: GPL-2.0-or-later
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cleanup.h"
#include "client_options.h"
#include "cmd.h"
#include "task_view.h"

/* `coregov wait`: until tasks have ended. The signals are listened to before the list is asked for,
 * so an end is either in the list or comes as a signal. Nothing is asked again and again. */

DEFINE_CLEANUP_FUNC(struct remote, remote_free)

struct wait {
	struct remote *remote;
	bool is_json;
	char (*paths)[REMOTE_PATH_MAX]; /* that are waited for; "": has ended */
	size_t n_paths, n_open;
	bool has_failed; /* one has ended without having learned */
};

/* Says it, and counts it. */
static int take_end(struct wait *wait, size_t i, const char *outcome, struct fault *fault)
{
	_cleanup_(remote_task_done) struct remote_task task = {0};
	int r = remote_task(wait->remote, wait->paths[i], &task, fault);

	if (r < 0)
		return r;
	wait->has_failed |= strcmp(outcome, "learned") != 0;
	wait->paths[i][0] = '\0';
	wait->n_open--;
	if (wait->is_json)
		view_task_json(&task);
	else
		(void)printf("%s: %s\n", task.name, outcome);
	(void)fflush(stdout);
	return 0;
}

static bool is_waited_for(const struct wait *wait, const char *path)
{
	for (size_t i = 0; i < wait->n_paths; i++)
		if (strcmp(wait->paths[i], path) == 0)
			return true;
	return false;
}

static int add_named(struct wait *wait, char *names[], int n_names, struct fault *fault)
{
	for (int i = 0; i < n_names; i++) {
		char path[REMOTE_PATH_MAX];
		int r = remote_find(wait->remote, names[i], path, fault);

		if (r < 0)
			return r;
		if (!is_waited_for(wait, path))
			strcpy(wait->paths[wait->n_paths++], path);
	}
	wait->n_open = wait->n_paths;
	return 0;
}

/* All that have not ended, of this user or of all. */
static int add_open(struct wait *wait, const struct remote_tasks *tasks, bool is_all)
{
	for (size_t i = 0; i < tasks->n_tasks; i++) {
		const struct remote_task *task = &tasks->tasks[i];

		if (strcmp(task->phase, "ended") != 0 && (is_all || task->owner == geteuid()))
			strcpy(wait->paths[wait->n_paths++], task->path);
	}
	wait->n_open = wait->n_paths;
	return 0;
}

static int take_those_that_have_ended(
	struct wait *wait, const struct remote_tasks *tasks, struct fault *fault)
{
	for (size_t i = 0; i < wait->n_paths; i++)
		for (size_t k = 0; k < tasks->n_tasks; k++) {
			const struct remote_task *task = &tasks->tasks[k];
			int r;

			if (strcmp(task->path, wait->paths[i]) != 0 ||
				strcmp(task->phase, "ended") != 0)
				continue;
			r = take_end(wait, i, task->outcome, fault);
			if (r < 0)
				return r;
		}
	return 0;
}

static int wait_for_next(struct wait *wait, struct fault *fault)
{
	struct remote_end end;
	int r = remote_wait(wait->remote, &end, fault);

	for (size_t i = 0; r == 0 && i < wait->n_paths; i++)
		if (strcmp(wait->paths[i], end.path) == 0)
			r = take_end(wait, i, end.outcome, fault);
	return r;
}

/* What has ended while no governor was there, or was told to nobody. */
static int look_again(struct wait *wait, struct fault *fault)
{
	for (size_t i = 0; i < wait->n_paths; i++) {
		_cleanup_(remote_task_done) struct remote_task task = {0};
		int r = 0;

		if (wait->paths[i][0])
			r = remote_task(wait->remote, wait->paths[i], &task, fault);
		if (r == -ENOENT) {
			(void)fprintf(stderr,
				"coregov: the governor that is back does not know %s\n",
				wait->paths[i]);
			wait->has_failed = true;
			wait->paths[i][0] = '\0';
			wait->n_open--;
			r = 0;
		}
		if (r == 0 && task.phase && strcmp(task.phase, "ended") == 0)
			r = take_end(wait, i, task.outcome, fault);
		if (r < 0)
			return r;
	}
	return 0;
}

/* The tasks go on without a governor, and with the next one under the same numbers. */
static int wait_for_open(struct wait *wait, struct fault *fault)
{
	int r = 0;

	while (wait->n_open > 0 && r == 0) {
		r = wait_for_next(wait, fault);
		while (r == -ENOTCONN) {
			if (remote_is_connected(wait->remote))
				(void)fputs("coregov: the governor has gone: it is waited for\n",
					stderr);
			r = remote_wait_back(wait->remote, fault);
			if (r < 0)
				return r;
			r = look_again(wait, fault);
		}
	}
	return r;
}

static int wait_for(struct wait *wait, char *names[], int n_names, bool is_all, struct fault *fault)
{
	_cleanup_(remote_tasks_done) struct remote_tasks tasks = {0};
	int r = remote_watch(wait->remote, fault);

	if (r == 0)
		r = remote_tasks(wait->remote, &tasks, fault);
	if (r < 0)
		return r;
	wait->paths = calloc(tasks.n_tasks + (size_t)n_names + 1, sizeof(wait->paths[0]));
	if (!wait->paths)
		return fault_errno(fault, -ENOMEM, "wait");
	r = n_names > 0 ? add_named(wait, names, n_names, fault) : add_open(wait, &tasks, is_all);
	if (r == 0)
		r = take_those_that_have_ended(wait, &tasks, fault);
	return r < 0 ? r : wait_for_open(wait, fault);
}

int cmd_wait(int argc, char *argv[])
{
	static const struct client_command command = {
		.name = "wait",
		.arguments = "[TASK...]",
		.help = "Waits until tasks have ended; without any named, until all of yours "
			"have.\n",
		.flag = 'a',
		.flag_name = "all",
		.flag_help = "those of all users",
		.n_most = -1,
	};
	_cleanup_(cleanup_remote_free) struct remote *remote = NULL;
	struct client_options options;
	struct fault fault = FAULT_INIT;
	struct wait wait = {0};
	int status = client_options_read(&command, argc, argv, &options), r;

	if (status >= 0)
		return status;
	if (options.has_flag && optind < argc)
		return cmd_usage_error("wait", "--all and '%s' exclude each other", argv[optind]);
	r = remote_open(options.place, &remote, &fault);
	wait.remote = remote;
	wait.is_json = options.is_json;
	if (r == 0)
		r = wait_for(&wait, argv + optind, argc - optind, options.has_flag, &fault);
	free(wait.paths);
	if (r < 0)
		return client_failed(r, &fault);
	return wait.has_failed ? EXIT_STATUS_FAILED : EXIT_STATUS_DONE;
}
