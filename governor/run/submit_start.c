// SPDX-License-Identifier: GPL-2.0-or-later
#include "submit_internal.h"

#include <errno.h>
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <unistd.h>

#include "cleanup.h"
#include "environment.h"
#include "locate.h"
#include "path.h"

/* A task of the bundle is put into a launcher of its own. */

static const char *at_end_word(enum at_end at_end)
{
	static const char *const words[] = {
		[AT_END_DEFAULT] = "auto",
		[AT_END_STOP] = "stop",
		[AT_END_YIELD] = "yield",
	};

	return words[at_end];
}

static void target_text(const struct target *target, char ret_text[], size_t size)
{
	int n = snprintf(ret_text, size, "%s %s %.17g", target->metric,
		target->is_raised ? ">=" : "<=", target->value);

	if (target->in_a_row > 1 && n > 0 && (size_t)n < size)
		(void)snprintf(ret_text + n, size - (size_t)n, " for %" PRIu32, target->in_a_row);
}

/* As the governor that is embedded does it, but for the page, which a launcher adds. */
static int start_process(struct entry *entry, struct fault *fault)
{
	struct submit *submit = entry->submit;
	const struct bundle_task *planned = entry_planned(entry);
	char target[METRIC_NAME_MAX + 64], prefix[TASK_NAME_MAX + sizeof(": ")];
	_cleanup_(cleanup_words) char **environment = NULL;
	_cleanup_(cleanup_words) char **argv = NULL;
	_cleanup_free_ char *feed_path = NULL;
	bool reads_output = planned->feed == FEED_AUTO || planned->feed == FEED_OUTPUT;
	bool is_shown_as_it_is = submit->setup.is_verbose && !reads_output;
	struct launcher_process_setup setup = {
		.launcher =
			{
				.place = submit->setup.place,
				.request =
					{
						.name = planned->name,
						.target = target,
						.has_deadline = true,
						.deadline = {.is_span = true,
							.ns = planned->deadline_ns},
						.now_boottime_ns = submit->start_ns,
						.threads = (uint32_t)ceil(planned->threads),
						.on_target = at_end_word(planned->on_target),
						.on_deadline = at_end_word(planned->on_deadline),
						.has_grace = true,
						.grace_ns = planned->grace_ns,
					},
				.feed = planned->feed,
				.feed_more = planned->feed_preset,
				.presets = submit->presets,
				.required_by = "--submit",
				.is_quiet = true,
				.prefix = submit->setup.is_verbose ? prefix : NULL,
			},
		.directory = planned->directory,
		.stdout_fd = entry->files[0],
		.stderr_fd = entry->files[1],
	};
	int r = environment_of_task(planned, /* page= */ "", &environment, fault);

	if (r == 0)
		r = command_of_task(planned, &argv, fault);
	if (r == 0)
		r = find_learner(argv, environment, learner_directory(), fault);
	if (r == 0 && planned->feed == FEED_FILE) {
		/* It is read from the task's own directory. */
		r = path_absolute(planned->feed_path, &feed_path);
		setup.launcher.feed_more = feed_path;
		if (r < 0)
			r = fault_errno(fault, r, "find '%s'", planned->feed_path);
	}
	if (r < 0)
		return r;
	target_text(&planned->target, target, sizeof(target));
	(void)snprintf(prefix, sizeof(prefix), "%s: ", planned->name);
	if (setup.stdout_fd < 0 && is_shown_as_it_is)
		setup.stdout_fd = setup.stderr_fd = STDERR_FILENO;
	setup.environment = environment;
	setup.launcher.request.command = argv;
	return launcher_process_start(&entry->process, &setup, fault);
}

int entry_start(struct entry *entry, struct fault *fault)
{
	struct submit *submit = entry->submit;
	const struct bundle_task *planned = entry_planned(entry);
	const char *directory = submit->setup.output_directory;
	int r = open_output_of_task(directory, planned->name, "out", &entry->files[0], fault);

	if (r == 0)
		r = open_output_of_task(directory, planned->name, "err", &entry->files[1], fault);
	if (r == 0)
		r = start_process(entry, fault);
	for (size_t i = 0; i < ARRAY_LENGTH(entry->files); i++) {
		cleanup_close(&entry->files[i]);
		entry->files[i] = -EBADF;
	}
	return r;
}
