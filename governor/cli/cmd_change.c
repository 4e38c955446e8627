// SPDX-License-Identifier: GPL-2.0-or-later
#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "cleanup.h"
#include "client_options.h"
#include "cmd.h"
#include "moment.h"
#include "nsec.h"
#include "quantity.h"
#include "task_view.h"

/* `coregov set`, `cancel`, `pause` and `resume`. A mistake in what was typed shows before a governor
 * is called; of several tasks each is tried, and the first failure is the exit status. A governor takes
 * only so many changes of a user at once: what is too many for it waits here for its turn. */

#define TURN_PAUSE_NS (100 * NSEC_PER_MSEC)
#define TURN_PATIENCE_NS (3 * NSEC_PER_SEC)

DEFINE_CLEANUP_FUNC(struct remote, remote_free)

static uint64_t now_ns(clockid_t clock)
{
	struct timespec now;

	(void)clock_gettime(clock, &now);
	return (uint64_t)now.tv_sec * NSEC_PER_SEC + (uint64_t)now.tv_nsec;
}

/* True where a change was refused as one of too many, and is to be tried again. */
static bool waits_for_turn(int r, uint64_t *waited_ns)
{
	const struct timespec pause = {.tv_nsec = TURN_PAUSE_NS};

	if (r != -EBUSY || *waited_ns >= TURN_PATIENCE_NS)
		return false;
	(void)nanosleep(&pause, NULL);
	*waited_ns += TURN_PAUSE_NS;
	return true;
}

static int do_in_turn(
	struct remote *remote, const char *path, const char *method, struct fault *fault)
{
	uint64_t waited_ns = 0;
	int r;

	do
		r = remote_do(remote, path, method, fault);
	while (waits_for_turn(r, &waited_ns));
	return r;
}

static int set_in_turn(struct remote *remote, const char *path, const struct remote_change *change,
	struct fault *fault)
{
	uint64_t waited_ns = 0;
	int r;

	do
		r = remote_set(remote, path, change, fault);
	while (waits_for_turn(r, &waited_ns));
	return r;
}

/* With --json, the task as it is now. */
static int show_again(struct remote *remote, const char *path, struct fault *fault)
{
	_cleanup_(remote_task_done) struct remote_task task = {0};
	int r = remote_task(remote, path, &task, fault);

	if (r == 0)
		view_task_json(&task);
	return r;
}

static int change_all(
	const struct client_command *command, const char *method, int argc, char *argv[])
{
	_cleanup_(cleanup_remote_free) struct remote *remote = NULL;
	struct client_options options;
	struct fault fault = FAULT_INIT;
	int status = client_options_read(command, argc, argv, &options), r;

	if (status >= 0)
		return status;
	r = remote_open(options.place, &remote, &fault);
	if (r < 0)
		return client_failed(r, &fault);
	status = EXIT_STATUS_DONE;
	for (int i = optind; i < argc; i++) {
		char path[REMOTE_PATH_MAX];

		r = remote_find(remote, argv[i], path, &fault);
		if (r == 0)
			r = do_in_turn(remote, path, method, &fault);
		if (r == 0 && options.is_json)
			r = show_again(remote, path, &fault);
		if (r < 0) {
			int failure = client_failed(r, &fault);

			status = status == EXIT_STATUS_DONE ? failure : status;
		}
	}
	return status;
}

int cmd_cancel(int argc, char *argv[])
{
	static const struct client_command command = {
		.name = "cancel",
		.arguments = "TASK...",
		.help = "Stops tasks before their end.\n",
		.n_least = 1,
		.n_most = -1,
		.missing = "no task",
	};

	return change_all(&command, "Cancel", argc, argv);
}

int cmd_pause(int argc, char *argv[])
{
	static const struct client_command command = {
		.name = "pause",
		.arguments = "TASK...",
		.help = "Gives tasks nothing until 'coregov resume'. Their deadlines stay.\n",
		.n_least = 1,
		.n_most = -1,
		.missing = "no task",
	};

	return change_all(&command, "Pause", argc, argv);
}

int cmd_resume(int argc, char *argv[])
{
	static const struct client_command command = {
		.name = "resume",
		.arguments = "TASK...",
		.help = "Lets tasks go on after 'coregov pause'.\n",
		.n_least = 1,
		.n_most = -1,
		.missing = "no task",
	};

	return change_all(&command, "Resume", argc, argv);
}

static int read_deadline(const char *value, struct remote_change *change, struct fault *fault)
{
	struct moment moment;
	int r;

	change->has_deadline = true;
	if (strcmp(value, "none") == 0) {
		change->deadline_us = REMOTE_NEVER;
		return 0;
	}
	r = parse_moment(value, now_ns(CLOCK_REALTIME), &moment, fault);
	if (r < 0)
		return r;
	/* A span counts on, also while the machine sleeps and when its clock is set. */
	change->is_boottime = moment.is_span;
	change->deadline_us = ((moment.is_span ? now_ns(CLOCK_BOOTTIME) : 0) + moment.ns) /
		NSEC_PER_USEC;
	return 0;
}

static int read_target(const char *value, struct remote_change *change, struct fault *fault)
{
	struct target target;

	change->has_target = true;
	change->target = strcmp(value, "none") == 0 ? "" : value;
	return change->target[0] ? parse_target(value, &target, fault) : 0;
}

static int read_threads(const char *value, struct remote_change *change, struct fault *fault)
{
	uint64_t threads = 0;
	int r = strcmp(value, "auto") == 0 ? 0 : parse_count(value, 1, UINT32_MAX, &threads, fault);

	if (r < 0)
		return fault_wrap(fault, r, "threads: neither 'auto' nor a number of CPUs");
	change->has_threads = true;
	change->threads = (uint32_t)threads;
	return 0;
}

/* KEY=VALUE; 0, or the exit status. */
static int read_setting(char *setting, struct remote_change *change)
{
	static const struct {
		const char *key;
		int (*read)(const char *value, struct remote_change *change, struct fault *fault);
		size_t is_given; /* a bool of the change */
	} keys[] = {
		{"deadline", read_deadline, offsetof(struct remote_change, has_deadline)},
		{"target", read_target, offsetof(struct remote_change, has_target)},
		{"threads", read_threads, offsetof(struct remote_change, has_threads)},
	};
	const char *words[] = {keys[0].key, keys[1].key, keys[2].key, NULL}, *nearest;
	struct fault fault = FAULT_INIT;
	char *value = strchr(setting, '=');

	if (!value)
		return cmd_usage_error("set", "'%s' is not KEY=VALUE", setting);
	*value++ = '\0';
	for (size_t i = 0; i < ARRAY_LENGTH(keys); i++) {
		if (strcmp(keys[i].key, setting) != 0)
			continue;
		if (*(bool *)((char *)change + keys[i].is_given))
			return cmd_usage_error("set", "%s is given twice", setting);
		return keys[i].read(value, change, &fault) < 0
			? cmd_usage_error("set", "%s", fault.text)
			: 0;
	}
	nearest = nearest_word(setting, words);
	if (nearest)
		return cmd_usage_error(
			"set", "unknown key '%s'; did you mean '%s'?", setting, nearest);
	return cmd_usage_error(
		"set", "unknown key '%s'; there are deadline, target, threads", setting);
}

int cmd_set(int argc, char *argv[])
{
	static const struct client_command command = {
		.name = "set",
		.arguments = "TASK KEY=VALUE...",
		.help = "Changes what is asked of a task:\n"
			"  deadline=45min|now+2h|18:30|'2026-12-01 18:30'|none\n"
			"  target='loss <= 0.1'|none\n"
			"  threads=N|auto\n",
		.n_least = 2,
		.n_most = -1,
		.missing = "expected a task and KEY=VALUE",
	};
	_cleanup_(cleanup_remote_free) struct remote *remote = NULL;
	struct remote_change change = {0};
	struct client_options options;
	struct fault fault = FAULT_INIT;
	char path[REMOTE_PATH_MAX];
	int status = client_options_read(&command, argc, argv, &options), r;

	if (status >= 0)
		return status;
	for (int i = optind + 1; i < argc; i++) {
		status = read_setting(argv[i], &change);
		if (status > 0)
			return status;
	}
	r = remote_open(options.place, &remote, &fault);
	if (r == 0)
		r = remote_find(remote, argv[optind], path, &fault);
	if (r == 0)
		r = set_in_turn(remote, path, &change, &fault);
	if (r == 0 && options.is_json)
		r = show_again(remote, path, &fault);
	return r < 0 ? client_failed(r, &fault) : EXIT_STATUS_DONE;
}
