/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

#include <stdbool.h>

#include "remote.h"

/* What the commands that call a governor have in common. */

struct client_command {
	const char *name;
	const char *arguments; /* after the name in the usage */
	const char *help;      /* lines of what it does */
	char flag;             /* a further option without a value, 0: none */
	const char *flag_name, *flag_help;
	int n_least, n_most; /* arguments; n_most -1: any number */
	const char *missing; /* what is missing where there are fewer */
};

struct client_options {
	enum governor_place place;
	bool is_json;
	bool has_flag;
};

/* Reads the options, moves optind to the arguments. -1: go on, else the exit status. */
int client_options_read(const struct client_command *command, int argc, char *argv[],
	struct client_options *ret_options);

/* Says the sentence; returns the exit status for an error of remote.h. */
int client_failed(int error, const struct fault *fault);
