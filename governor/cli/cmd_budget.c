// SPDX-License-Identifier: GPL-2.0-or-later
#include <getopt.h>

#include "cleanup.h"
#include "client_options.h"
#include "cmd.h"
#include "quantity.h"
#include "task_view.h"

/* `coregov budget` and `coregov drain`: the governor as a whole. */

DEFINE_CLEANUP_FUNC(struct remote, remote_free)

/* The governor as it is now. */
static int show(struct remote *remote, bool is_json, struct fault *fault)
{
	_cleanup_(remote_governor_done) struct remote_governor governor = {0};
	int r = remote_governor(remote, &governor, fault);

	if (r < 0)
		return r;
	if (is_json)
		view_governor_json(&governor);
	else
		view_governor(&governor);
	return 0;
}

int cmd_budget(int argc, char *argv[])
{
	static const struct client_command command = {
		.name = "budget",
		.arguments = "[VALUE]",
		.help = "Shows a governor's budget, or changes it: 1.5cpu, or 75% of the "
			"capacity.\n",
		.n_most = 1,
	};
	_cleanup_(cleanup_remote_free) struct remote *remote = NULL;
	struct client_options options;
	struct fault fault = FAULT_INIT;
	struct share share;
	int status = client_options_read(&command, argc, argv, &options), r;
	const char *value = status < 0 && optind < argc ? argv[optind] : NULL;

	if (status >= 0)
		return status;
	if (value && parse_share(value, &share, &fault) < 0)
		return cmd_usage_error("budget", "%s", fault.text);
	r = remote_open(options.place, &remote, &fault);
	if (r == 0 && value)
		r = remote_set_budget(remote, value, &fault);
	if (r == 0 && (!value || options.is_json))
		r = show(remote, options.is_json, &fault);
	return r < 0 ? client_failed(r, &fault) : EXIT_STATUS_DONE;
}

int cmd_drain(int argc, char *argv[])
{
	static const struct client_command command = {
		.name = "drain",
		.arguments = "",
		.help = "Takes no new tasks from now on; those that run go on.\n",
		.flag = 'o',
		.flag_name = "off",
		.flag_help = "takes tasks again",
	};
	_cleanup_(cleanup_remote_free) struct remote *remote = NULL;
	struct client_options options;
	struct fault fault = FAULT_INIT;
	int status = client_options_read(&command, argc, argv, &options), r;

	if (status >= 0)
		return status;
	r = remote_open(options.place, &remote, &fault);
	if (r == 0)
		r = remote_drain(remote, !options.has_flag, &fault);
	if (r == 0 && options.is_json)
		r = show(remote, /* is_json= */ true, &fault);
	return r < 0 ? client_failed(r, &fault) : EXIT_STATUS_DONE;
}
