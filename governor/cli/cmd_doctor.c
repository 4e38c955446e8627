// SPDX-License-Identifier: GPL-2.0-or-later
#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cleanup.h"
#include "cmd.h"
#include "doctor.h"
#include "quantity.h"
#include "scene.h"

/* `coregov doctor`: what works on this machine, and how to mend what does not. The exit status is the
 * worst that was found. */

static const int statuses[] = {
	[FINDING_OK] = EXIT_STATUS_DONE,
	[FINDING_DEGRADED] = 1,
	[FINDING_BROKEN] = 2,
};

DEFINE_CLEANUP_FUNC(struct scene, scene_free)

static void print_help(void)
{
	(void)printf("usage: coregov doctor [OPTION...]\n"
		     "\n"
		     "Says what works on this machine, and how to mend what does not.\n"
		     "\n"
		     "  -j, --json  one JSON object\n"
		     "  -h, --help  this text\n");
}

static bool is_colour_wanted(void)
{
	const char *no_colour = getenv("NO_COLOR"), *term = getenv("TERM");

	return isatty(STDOUT_FILENO) && !(no_colour && no_colour[0]) && term &&
		strcmp(term, "dumb") != 0;
}

static int unknown_option(const char *option)
{
	static const char *const words[] = {"--json", "--help", NULL};
	const char *nearest = nearest_word(option, words);

	if (nearest)
		return cmd_usage_error(
			"doctor", "unknown option '%s'; did you mean '%s'?", option, nearest);
	return cmd_usage_error("doctor", "unknown option '%s'", option);
}

static int parse(int argc, char *argv[], bool *ret_is_json, bool *ret_is_help)
{
	static const struct option options[] = {
		{"json", no_argument, NULL, 'j'},
		{"help", no_argument, NULL, 'h'},
		{NULL, 0, NULL, 0},
	};
	int option;

	opterr = 0;
	while ((option = getopt_long(argc, argv, ":jh", options, NULL)) >= 0) {
		switch (option) {
		case 'j':
			*ret_is_json = true;
			break;
		case 'h':
			*ret_is_help = true;
			return 0;
		default:
			return unknown_option(argv[optind - 1]);
		}
	}
	if (optind < argc)
		return cmd_usage_error("doctor", "'%s' is too many", argv[optind]);
	return 0;
}

/* 0, or the status of a failure. */
static int print(const struct finding findings[], bool is_json)
{
	if (is_json) {
		_cleanup_free_ char *json = findings_json(findings, DOCTOR_CHECKS);

		if (!json) {
			cmd_message("out of memory");
			return EXIT_STATUS_FAILED;
		}
		(void)puts(json);
	} else {
		findings_print(findings, DOCTOR_CHECKS, is_colour_wanted(), stdout);
	}
	if (fflush(stdout) != 0) {
		cmd_message("write to standard output: %s", strerror(errno));
		return EXIT_STATUS_FAILED;
	}
	return 0;
}

int cmd_doctor(int argc, char *argv[])
{
	_cleanup_(cleanup_scene_free) struct scene *scene = NULL;
	_cleanup_free_ struct finding *findings = NULL;
	bool is_json = false, is_help = false;
	int status = parse(argc, argv, &is_json, &is_help);

	if (status != 0)
		return status;
	if (is_help) {
		print_help();
		return EXIT_STATUS_DONE;
	}
	scene = scene_look();
	findings = calloc(DOCTOR_CHECKS, sizeof(findings[0]));
	if (!scene || !findings) {
		cmd_message("out of memory");
		return EXIT_STATUS_FAILED;
	}
	doctor_examine(scene, findings);
	status = print(findings, is_json);
	return status != 0 ? status : statuses[findings_worst(findings, DOCTOR_CHECKS)];
}
