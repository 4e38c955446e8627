// SPDX-License-Identifier: GPL-2.0-or-later
#include "client_options.h"

#include <errno.h>
#include <getopt.h>
#include <stdio.h>

#include "cleanup.h"
#include "cmd.h"
#include "quantity.h"

/* -j, -s, -u and -h, and at most one flag of a command's own. */

static void print_help(const struct client_command *command)
{
	char flag[32];

	(void)printf("usage: coregov %s%s%s [OPTION...]\n\n%s\n", command->name,
		command->arguments[0] ? " " : "", command->arguments, command->help);
	if (command->flag) {
		(void)snprintf(flag, sizeof(flag), "-%c, --%s", command->flag, command->flag_name);
		(void)printf("  %-14s %s\n", flag, command->flag_help);
	}
	(void)printf(
		"  -j, --json     for programs: one JSON object a line\n"
		"  -s, --system   the governor of the machine\n"
		"  -u, --user     your own governor; without either yours where it runs, else\n"
		"                 the machine's\n"
		"  -h, --help     this text\n");
}

static int unknown_option(const struct client_command *command, const char *option)
{
	const char *words[] = {"--json", "--system", "--user", "--help", NULL, NULL}, *nearest;
	char flag[32];

	if (command->flag) {
		(void)snprintf(flag, sizeof(flag), "--%s", command->flag_name);
		words[4] = flag;
	}
	nearest = nearest_word(option, words);
	if (nearest)
		return cmd_usage_error(
			command->name, "unknown option '%s'; did you mean '%s'?", option, nearest);
	return cmd_usage_error(command->name, "unknown option '%s'", option);
}

static int take_place(const struct client_command *command, struct client_options *options,
	enum governor_place place)
{
	if (options->place != GOVERNOR_ANY && options->place != place)
		return cmd_usage_error(command->name, "--system and --user exclude each other");
	options->place = place;
	return -1;
}

static int check_arguments(const struct client_command *command, int argc, char *argv[])
{
	int n = argc - optind;

	if (n < command->n_least)
		return cmd_usage_error(command->name, "%s", command->missing);
	if (command->n_most >= 0 && n > command->n_most)
		return cmd_usage_error(
			command->name, "'%s' is too much", argv[optind + command->n_most]);
	return -1;
}

int client_options_read(const struct client_command *command, int argc, char *argv[],
	struct client_options *ret_options)
{
	const struct option options[] = {
		{"help", no_argument, NULL, 'h'},
		{"json", no_argument, NULL, 'j'},
		{"system", no_argument, NULL, 's'},
		{"user", no_argument, NULL, 'u'},
		{command->flag ? command->flag_name : NULL, no_argument, NULL, command->flag},
		{NULL, 0, NULL, 0},
	};
	char letters[] = {'h', 'j', 's', 'u', command->flag, '\0'};
	int option, status = -1;

	*ret_options = (struct client_options){.place = GOVERNOR_ANY};
	opterr = 0;
	while (status < 0 && (option = getopt_long(argc, argv, letters, options, NULL)) >= 0) {
		if (option == 'h') {
			print_help(command);
			return EXIT_STATUS_DONE;
		}
		if (option == 'j')
			ret_options->is_json = true;
		else if (option == 's')
			status = take_place(command, ret_options, GOVERNOR_SYSTEM);
		else if (option == 'u')
			status = take_place(command, ret_options, GOVERNOR_USER);
		else if (command->flag && option == command->flag)
			ret_options->has_flag = true;
		else
			status = unknown_option(command, argv[optind - 1]);
	}
	return status >= 0 ? status : check_arguments(command, argc, argv);
}

int client_failed(int error, const struct fault *fault)
{
	cmd_message("%s", fault->text);
	switch (error) {
	case -EACCES:
		return EXIT_STATUS_PERMISSION;
	case -EINVAL:
		return EXIT_STATUS_DATA;
	case -EBUSY:
		return EXIT_STATUS_TEMPORARY;
	case -ENOTCONN:
		return EXIT_STATUS_UNAVAILABLE;
	default:
		return EXIT_STATUS_FAILED;
	}
}
