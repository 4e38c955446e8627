/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

/* The commands of coregov(1). Each gets its own argv (argv[0] is its name), prints results to
 * stdout and messages to stderr, and returns the exit status. */

enum exit_status {
	EXIT_STATUS_DONE = 0,
	EXIT_STATUS_FAILED = 1, /* it could not finish, the trace cannot be written; no such task */
	EXIT_STATUS_USAGE = 64, /* unknown option, unknown policy on the command line */
	EXIT_STATUS_DATA = 65,  /* unreadable or invalid bundle or configuration; refused value */
	EXIT_STATUS_UNAVAILABLE = 69, /* no usable enforcer; no governor */
	EXIT_STATUS_TEMPORARY = 75,   /* no budget left, or too much asked: later */
	EXIT_STATUS_PERMISSION = 77,
	EXIT_STATUS_SIGNAL = 128, /* + n */
};

int cmd_budget(int argc, char *argv[]);
int cmd_bundle(int argc, char *argv[]);
int cmd_show_config(int argc, char *argv[]);
int cmd_doctor(int argc, char *argv[]);
int cmd_cancel(int argc, char *argv[]);
int cmd_drain(int argc, char *argv[]);
int cmd_list(int argc, char *argv[]);
int cmd_pause(int argc, char *argv[]);
int cmd_resume(int argc, char *argv[]);
int cmd_set(int argc, char *argv[]);
int cmd_show(int argc, char *argv[]);
int cmd_run(int argc, char *argv[]);
int cmd_simulate(int argc, char *argv[]);
int cmd_wait(int argc, char *argv[]);

/* "coregov: ..." to stderr, one line. */
void cmd_message(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* The message, and "try 'coregov NAME --help'"; returns EXIT_STATUS_USAGE. */
int cmd_usage_error(const char *command, const char *format, ...)
	__attribute__((format(printf, 2, 3)));

/* Names the policies on one line, for messages. */
const char *cmd_policy_names(void);

struct bundle;
struct parameter_choices;
struct policy;
/* The policy of that name, or NULL after a message with the nearest one. */
const struct policy *cmd_policy(const char *command, const char *name);

/* Takes POLICY.PARAMETER=VALUE of `--set`; 0, or the exit status after a message. */
int cmd_set_parameter(const char *command, const char *text, struct parameter_choices *set);
/* What a policy decides by: what is usual, then what the bundle says, then what was set. ret_values has
 * POLICY_PARAMETERS_MAX. */
void cmd_parameters(const struct bundle *bundle, const struct parameter_choices *set,
	const struct policy *policy, double ret_values[]);
