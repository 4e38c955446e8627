// SPDX-License-Identifier: GPL-2.0-or-later
#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>

#include "cleanup.h"
#include "cmd.h"
#include "config.h"
#include "machine.h"
#include "remote.h"

/* `coregov show-config`: the configuration that the governor that runs goes by; else, as it would load it, by the
 * same code. */

struct options {
	struct config_setup setup;
	bool is_json, is_check, is_of_files, is_help;
};

static void print_help(void)
{
	(void)printf(
		"usage: coregov show-config [OPTION...]\n"
		"\n"
		"Shows every key of the configuration, its value and the file it comes from: as\n"
		"the governor goes by it that runs, or from the files where none does.\n"
		"\n"
		"  -c, --check     only check the files: print nothing but what is wrong\n"
		"  -f, --files     from the files, also where a governor runs\n"
		"  -j, --json      one JSON object, see coregov-show-config(1)\n"
		"  -r, --root DIR  read the configuration of the system below DIR\n"
		"  -u, --user      of your own governor, whose files are yours, too\n"
		"  -h, --help      this text\n");
}

static int parse(int argc, char *argv[], struct options *ret_options)
{
	static const struct option options[] = {
		{"check", no_argument, NULL, 'c'},
		{"files", no_argument, NULL, 'f'},
		{"json", no_argument, NULL, 'j'},
		{"root", required_argument, NULL, 'r'},
		{"user", no_argument, NULL, 'u'},
		{"help", no_argument, NULL, 'h'},
		{NULL, 0, NULL, 0},
	};
	int option;

	opterr = 0;
	while ((option = getopt_long(argc, argv, ":cfjr:uh", options, NULL)) >= 0) {
		switch (option) {
		case 'c':
			ret_options->is_check = true;
			break;
		case 'f':
			ret_options->is_of_files = true;
			break;
		case 'j':
			ret_options->is_json = true;
			break;
		case 'r':
			ret_options->setup.root = optarg;
			break;
		case 'u':
			ret_options->setup.is_user = true;
			break;
		case 'h':
			ret_options->is_help = true;
			return 0;
		case ':':
			return cmd_usage_error("show-config", "%s needs a value", argv[optind - 1]);
		default:
			return cmd_usage_error(
				"show-config", "unknown option '%s'", argv[optind - 1]);
		}
	}
	if (optind < argc)
		return cmd_usage_error("show-config", "'%s' is too many", argv[optind]);
	if (ret_options->is_check && ret_options->is_json)
		return cmd_usage_error("show-config", "--check prints no result; leave --json out");
	return 0;
}

static int status_of(int error)
{
	if (error == -EACCES || error == -EPERM)
		return EXIT_STATUS_PERMISSION;
	return error == -ENOMEM ? EXIT_STATUS_FAILED : EXIT_STATUS_DATA;
}

static int print(const struct config *config, bool is_json)
{
	_cleanup_free_ char *json = is_json ? config_json(config, /* force= */ NULL) : NULL;

	if (!is_json) {
		config_print(config, /* force= */ NULL, stdout);
		return EXIT_STATUS_DONE;
	}
	if (!json) {
		cmd_message("out of memory");
		return EXIT_STATUS_FAILED;
	}
	(void)puts(json);
	return EXIT_STATUS_DONE;
}

static void cleanup_remote(struct remote **remote)
{
	(void)remote_free(*remote);
}

/* False where none runs, or it cannot say: then it is for the files to. */
static bool print_running(const struct options *options)
{
	_cleanup_(cleanup_remote) struct remote *remote = NULL;
	_cleanup_free_ char *text = NULL;
	enum governor_place place = options->setup.is_user ? GOVERNOR_USER : GOVERNOR_SYSTEM;
	struct fault fault = FAULT_INIT;

	if (remote_open_running(place, &remote, /* fault= */ NULL) < 0)
		return false;
	if (remote_show_configuration(remote, options->is_json, &text, &fault) < 0) {
		cmd_message("a governor runs and does not say what it goes by (%s): from the files",
			fault.text);
		return false;
	}
	(void)printf("%s%s", text, options->is_json ? "\n" : "");
	return true;
}

int cmd_show_config(int argc, char *argv[])
{
	struct options options = {.setup.say = cmd_message};
	struct fault fault = FAULT_INIT;
	struct config *config = NULL;
	int status = parse(argc, argv, &options), r;

	if (status != 0)
		return status;
	if (options.is_help) {
		print_help();
		return EXIT_STATUS_DONE;
	}
	if (!options.setup.root && !options.is_check && !options.is_of_files &&
		print_running(&options))
		return EXIT_STATUS_DONE;
	/* What is below a root is for another machine, whose CPUs are not known. */
	if (!options.setup.root && machine_capacity(&options.setup.machine_cpus, &fault) < 0) {
		cmd_message("%s", fault.text);
		return EXIT_STATUS_FAILED;
	}
	r = config_load(&config, &options.setup, &fault);
	if (r < 0) {
		cmd_message("%s", fault.text);
		return status_of(r);
	}
	if (!options.is_check)
		status = print(config, options.is_json);
	(void)config_free(config);
	return status;
}
