// SPDX-License-Identifier: GPL-2.0-or-later
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "bundle.h"
#include "cmd.h"
#include "parameter.h"
#include "policy.h"
#include "quantity.h"

/* coregov(1): one table of commands, and what they share at the edge to the user. */

static const struct command {
	const char *name;
	int (*run)(int argc, char *argv[]);
	const char *summary;
} commands[] = {

	{"budget", cmd_budget, "show or change the budget of a governor"},
	{"bundle", cmd_bundle, "run a bundle of trainings under a budget of CPUs"},
	{"show-config", cmd_show_config, "the configuration in force, and where it comes from"},
	{"doctor", cmd_doctor, "what works on this machine, and how to mend what does not"},
	{"cancel", cmd_cancel, "stop tasks before their end"},
	{"drain", cmd_drain, "take no new tasks"},
	{"list", cmd_list, "the tasks under a governor"},
	{"pause", cmd_pause, "give tasks nothing for a while"},
	{"resume", cmd_resume, "let paused tasks go on"},
	{"set", cmd_set, "change a task's deadline, target or threads"},
	{"show", cmd_show, "all about one task"},
	{"run", cmd_run, "run one command under the machine's governor"},
	{"simulate", cmd_simulate, "what would a policy make of recorded curves?"},
	{"wait", cmd_wait, "wait until tasks have ended"},
};

#define N_COMMANDS (sizeof(commands) / sizeof(commands[0]))

void cmd_message(const char *format, ...)
{
	va_list args;

	(void)fputs("coregov: ", stderr);
	va_start(args, format);
	(void)vfprintf(stderr, format, args);
	va_end(args);
	(void)fputc('\n', stderr);
}

int cmd_usage_error(const char *command, const char *format, ...)
{
	va_list args;

	(void)fprintf(stderr, "coregov %s: ", command);
	va_start(args, format);
	(void)vfprintf(stderr, format, args);
	va_end(args);
	(void)fprintf(stderr, "; try 'coregov %s --help'\n", command);
	return EXIT_STATUS_USAGE;
}

const char *cmd_policy_names(void)
{
	static char names[256];
	size_t length = 0;

	for (size_t i = 0; policies[i] && length < sizeof(names); i++)
		length += (size_t)snprintf(names + length, sizeof(names) - length, "%s%s",
			i > 0 ? ", " : "", policies[i]->name);
	return names;
}

const struct policy *cmd_policy(const char *command, const char *name)
{
	const struct policy *policy = policy_find(name);
	const char *words[POLICY_NAMES_MAX], *nearest;

	if (policy)
		return policy;
	policy_names(words);
	nearest = nearest_word(name, words);
	if (nearest)
		(void)cmd_usage_error(
			command, "unknown policy '%s'; did you mean '%s'?", name, nearest);
	else
		(void)cmd_usage_error(
			command, "unknown policy '%s'; there are %s", name, cmd_policy_names());
	return NULL;
}

int cmd_set_parameter(const char *command, const char *text, struct parameter_choices *set)
{
	struct fault fault = FAULT_INIT;
	int r = parse_parameter_choice(text, set, &fault);

	if (r == -ENOMEM) {
		cmd_message("%s", fault.text);
		return EXIT_STATUS_FAILED;
	}
	return r < 0 ? cmd_usage_error(command, "--set: %s", fault.text) : 0;
}

void cmd_parameters(const struct bundle *bundle, const struct parameter_choices *set,
	const struct policy *policy, double ret_values[])
{
	policy_parameter_values(policy, /* given= */ NULL, ret_values);
	parameter_choices_apply(&bundle->parameters, policy, ret_values);
	parameter_choices_apply(set, policy, ret_values);
}

static void print_help(void)
{
	(void)printf("usage: coregov COMMAND [OPTION...] [ARGUMENT...]\n"
		     "\n"
		     "Share a budget of CPUs among trainings, so that as many as possible learn\n"
		     "well before their deadline.\n"
		     "\n");
	for (size_t i = 0; i < N_COMMANDS; i++)
		(void)printf("  %-12s %s\n", commands[i].name, commands[i].summary);
	(void)printf("\n"
		     "'coregov COMMAND --help' has the options of a command; see also "
		     "coregov(1).\n");
}

static int unknown_command(const char *name)
{
	const char *words[N_COMMANDS + 1] = {NULL}, *nearest;

	for (size_t i = 0; i < N_COMMANDS; i++)
		words[i] = commands[i].name;
	nearest = nearest_word(name, words);
	if (nearest)
		cmd_message("unknown command '%s'; did you mean '%s'?", name, nearest);
	else
		cmd_message("unknown command '%s'; try 'coregov --help'", name);
	return EXIT_STATUS_USAGE;
}

/* Where one of the three is closed, the next file that is opened would take its number, and be
 * written to or handed to a task in its place. Nothing can be written to this standard output, so
 * that a result that nobody gets is told. */
static bool open_standard_descriptors(void)
{
	for (int fd = STDIN_FILENO; fd <= STDERR_FILENO; fd++)
		if (fcntl(fd, F_GETFD) < 0 &&
			open("/dev/null", fd == STDOUT_FILENO ? O_RDONLY : O_RDWR) != fd)
			return false;
	return true;
}

static int run_command(int argc, char *argv[])
{
	if (argc < 2) {
		cmd_message("no command; try 'coregov --help'");
		return EXIT_STATUS_USAGE;
	}
	if (strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "-h") == 0 ||
		strcmp(argv[1], "help") == 0) {
		print_help();
		return EXIT_STATUS_DONE;
	}
	if (strcmp(argv[1], "--version") == 0) {
		(void)printf("coregov %s\n", COREGOV_VERSION);
		return EXIT_STATUS_DONE;
	}
	for (size_t i = 0; i < N_COMMANDS; i++)
		if (strcmp(argv[1], commands[i].name) == 0)
			return commands[i].run(argc - 1, argv + 1);
	return unknown_command(argv[1]);
}

int main(int argc, char *argv[])
{
	int status;

	if (!open_standard_descriptors())
		return EXIT_STATUS_FAILED;
	status = run_command(argc, argv);
	if (status == EXIT_STATUS_DONE && fflush(stdout) != 0) {
		cmd_message("write to standard output: %s", strerror(errno));
		return EXIT_STATUS_FAILED;
	}
	return status;
}
