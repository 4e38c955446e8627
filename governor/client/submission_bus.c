// SPDX-License-Identifier: GPL-2.0-or-later
#include "submission_bus.h"

#include <errno.h>
#include <systemd/sd-bus.h>

#include "cleanup.h"
#include "client_bus.h"
#include "governor_names.h"
#include "nsec.h"

/* Submit(h process, a{sv} options), with an option for each thing that was said, and none for what was
 * not: the defaults are the governor's.
 *
 * D-Bus strings are UTF-8. A command or a folder that is not goes without: they are for show. */

DEFINE_CLEANUP_FUNC(sd_bus_message, sd_bus_message_unref)

static int append_deadline(sd_bus_message *call, const struct submission *submission)
{
	const struct moment *deadline = &submission->deadline;

	if (!submission->has_deadline)
		return 0;
	if (deadline->is_span)
		return sd_bus_message_append(call, "{sv}", "DeadlineBoottime", "t",
			(submission->now_boottime_ns + deadline->ns) / NSEC_PER_USEC);
	return sd_bus_message_append(
		call, "{sv}", "DeadlineRealtime", "t", deadline->ns / NSEC_PER_USEC);
}

static int append_string(sd_bus_message *call, const char *option, const char *value)
{
	return value ? sd_bus_message_append(call, "{sv}", option, "s", value) : 0;
}

static int append_command(sd_bus_message *call, char *const *command)
{
	int r = sd_bus_message_open_container(call, 'e', "sv");

	if (r >= 0)
		r = sd_bus_message_append(call, "s", "Command");
	if (r >= 0)
		r = sd_bus_message_open_container(call, 'v', "as");
	if (r >= 0)
		r = sd_bus_message_append_strv(call, (char **)command);
	for (int level = 0; r >= 0 && level < 2; level++)
		r = sd_bus_message_close_container(call);
	return r;
}

static int append_options(sd_bus_message *call, const struct submission *submission)
{
	int r = sd_bus_message_open_container(call, 'a', "{sv}");

	if (r >= 0)
		r = append_string(call, "Name", submission->name);
	if (r >= 0)
		r = append_command(call, submission->command);
	if (r >= 0)
		r = append_string(call, "Directory", submission->directory);
	if (r >= 0)
		r = append_string(call, "Target", submission->target);
	if (r >= 0)
		r = append_deadline(call, submission);
	if (r >= 0 && submission->has_threads)
		r = sd_bus_message_append(call, "{sv}", "Threads", "u", submission->threads);
	if (r >= 0)
		r = append_string(call, "OnTarget", submission->on_target);
	if (r >= 0)
		r = append_string(call, "OnDeadline", submission->on_deadline);
	if (r >= 0 && submission->has_grace)
		r = sd_bus_message_append(
			call, "{sv}", "GraceUSec", "t", submission->grace_ns / NSEC_PER_USEC);
	if (r >= 0 && submission->waits_start)
		r = sd_bus_message_append(call, "{sv}", "WaitStart", "b", true);
	if (r >= 0)
		r = sd_bus_message_close_container(call);
	return r;
}

int submission_call(sd_bus *bus, const struct submission *submission, sd_bus_message **ret_call)
{
	static char *const nothing[] = {NULL};
	_cleanup_(cleanup_sd_bus_message_unref) sd_bus_message *call = NULL;
	struct submission plain = *submission;
	int r;

	for (int i = 0; i < 2; i++) {
		call = sd_bus_message_unref(call);
		r = sd_bus_message_new_method_call(
			bus, &call, GOVERNOR_NAME, GOVERNOR_PATH, GOVERNOR_INTERFACE, "Submit");
		if (r >= 0)
			r = sd_bus_message_append(call, "h", plain.process_fd);
		if (r >= 0)
			r = append_options(call, &plain);
		if (r != -EINVAL)
			break;
		plain.command = nothing;
		plain.directory = NULL;
	}
	if (r >= 0)
		*ret_call = TAKE_PTR(call);
	return r;
}
