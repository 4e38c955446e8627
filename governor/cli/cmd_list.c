// SPDX-License-Identifier: GPL-2.0-or-later
#include <getopt.h>
#include <stdio.h>
#include <time.h>

#include "cleanup.h"
#include "client_options.h"
#include "cmd.h"
#include "nsec.h"
#include "task_view.h"

/* `coregov list` and `coregov show`: what a governor knows of its tasks. */

DEFINE_CLEANUP_FUNC(struct remote, remote_free)

static uint64_t now_realtime_ns(void)
{
	struct timespec now;

	(void)clock_gettime(CLOCK_REALTIME, &now);
	return (uint64_t)now.tv_sec * NSEC_PER_SEC + (uint64_t)now.tv_nsec;
}

int cmd_list(int argc, char *argv[])
{
	static const struct client_command command = {
		.name = "list",
		.arguments = "",
		.help = "Lists the tasks under a governor.\n",
		.flag = 'a',
		.flag_name = "all",
		.flag_help = "those that have ended, too",
	};
	_cleanup_(cleanup_remote_free) struct remote *remote = NULL;
	_cleanup_(remote_governor_done) struct remote_governor governor = {0};
	_cleanup_(remote_tasks_done) struct remote_tasks tasks = {0};
	struct client_options options;
	struct fault fault = FAULT_INIT;
	int status = client_options_read(&command, argc, argv, &options), r;

	if (status >= 0)
		return status;
	r = remote_open(options.place, &remote, &fault);
	if (r == 0)
		r = remote_tasks(remote, &tasks, &fault);
	if (r == 0)
		r = remote_governor(remote, &governor, &fault);
	if (r < 0)
		return client_failed(r, &fault);
	if (options.is_json)
		view_tasks_json(&tasks, &governor, options.has_flag);
	else
		view_tasks(&tasks, &governor, options.has_flag, now_realtime_ns());
	return EXIT_STATUS_DONE;
}

int cmd_show(int argc, char *argv[])
{
	static const struct client_command command = {
		.name = "show",
		.arguments = "TASK",
		.help = "Shows all that a governor knows of one task.\n",
		.n_least = 1,
		.n_most = 1,
		.missing = "no task",
	};
	_cleanup_(cleanup_remote_free) struct remote *remote = NULL;
	_cleanup_(remote_task_done) struct remote_task task = {0};
	struct client_options options;
	struct fault fault = FAULT_INIT;
	char path[REMOTE_PATH_MAX];
	int status = client_options_read(&command, argc, argv, &options), r;

	if (status >= 0)
		return status;
	r = remote_open(options.place, &remote, &fault);
	if (r == 0)
		r = remote_find(remote, argv[optind], path, &fault);
	if (r == 0)
		r = remote_task(remote, path, &task, &fault);
	if (r < 0)
		return client_failed(r, &fault);
	if (options.is_json)
		view_task_json(&task);
	else
		view_task(&task, now_realtime_ns());
	return EXIT_STATUS_DONE;
}
