// SPDX-License-Identifier: GPL-2.0-or-later
#include "governor_bus_internal.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cleanup.h"
#include "ini.h"
#include "nsec.h"

/* The a{sv} of Submit() and Set(): a table of the options, what type each has, and what takes its
 * value. One that is not known is an error, as in a bundle: a deadline that was misspelt would be
 * no deadline. */

#define COMMAND_BYTES_MAX 16384 /* what is kept of a command, to be looked at */

union value {
	const char *s;
	uint64_t t;
	uint32_t u;
	int b;
	char **as; /* owned */
};

struct option {
	const char *name, *type;
	unsigned of;
	int (*take)(struct options *options, union value *value, sd_bus_error *error);
};

static int invalid(sd_bus_error *error, const char *name, const char *why)
{
	return sd_bus_error_setf(error, SD_BUS_ERROR_INVALID_ARGS, "%s: %s", name, why);
}

static int take_name(struct options *options, union value *value, sd_bus_error *error)
{
	if (!task_name_is_valid(value->s))
		return sd_bus_error_setf(error, SD_BUS_ERROR_INVALID_ARGS,
			"'%.100s' is no name of a task; expected 1 to %d of A-Z a-z 0-9 . _ -",
			value->s, TASK_NAME_MAX);
	options->name = value->s;
	return 0;
}

/* Only to be looked at: of a very long one the beginning is enough, and it may be empty, where a word
 * is no UTF-8. */
static int take_command(struct options *options, union value *value, sd_bus_error *error)
{
	size_t n_bytes = 0, n = 0;

	(void)error;
	if (!value->as)
		return 0;
	for (; value->as[n] && n_bytes + strlen(value->as[n]) < COMMAND_BYTES_MAX; n++)
		n_bytes += strlen(value->as[n]) + 1;
	for (size_t i = n; value->as[i]; i++) {
		free(value->as[i]);
		value->as[i] = NULL;
	}
	options->argv = TAKE_PTR(value->as);
	return 0;
}

static int take_directory(struct options *options, union value *value, sd_bus_error *error)
{
	if (strlen(value->s) >= PATH_MAX)
		return invalid(error, "Directory", "it is longer than a path can be");
	options->directory = value->s;
	return 0;
}

static int take_target(struct options *options, union value *value, sd_bus_error *error)
{
	struct fault fault = FAULT_INIT;

	options->has_target = true;
	options->target.metric[0] = '\0';
	if (value->s[0] == '\0')
		return 0;
	if (parse_target(value->s, &options->target, &fault) < 0)
		return sd_bus_error_set(error, GOVERNOR_ERROR_BAD_TARGET, fault.text);
	return 0;
}

static int take_deadline(
	struct options *options, enum daemon_clock clock, uint64_t at_us, sd_bus_error *error)
{
	if (options->has_deadline)
		return invalid(
			error, "DeadlineRealtime and DeadlineBoottime", "only one may be given");
	options->has_deadline = true;
	options->deadline.clock = clock;
	options->deadline.at_ns = DAEMON_NO_DEADLINE;
	if (at_us == UINT64_MAX)
		return 0;
	if (__builtin_mul_overflow(at_us, NSEC_PER_USEC, &options->deadline.at_ns) ||
		options->deadline.at_ns == DAEMON_NO_DEADLINE)
		return sd_bus_error_setf(error, GOVERNOR_ERROR_BAD_DEADLINE,
			"the deadline is later than time goes here; it is in microseconds");
	return 0;
}

static int take_realtime(struct options *options, union value *value, sd_bus_error *error)
{
	return take_deadline(options, DAEMON_REALTIME, value->t, error);
}

static int take_boottime(struct options *options, union value *value, sd_bus_error *error)
{
	return take_deadline(options, DAEMON_BOOTTIME, value->t, error);
}

static int take_threads(struct options *options, union value *value, sd_bus_error *error)
{
	(void)error;
	options->has_threads = true;
	options->threads = value->u;
	return 0;
}

static int take_at_end(
	const char *name, enum at_end *ret_at_end, const char *word, sd_bus_error *error)
{
	if (strcmp(word, "stop") == 0)
		*ret_at_end = AT_END_STOP;
	else if (strcmp(word, "yield") == 0)
		*ret_at_end = AT_END_YIELD;
	else if (strcmp(word, "auto") == 0)
		*ret_at_end = AT_END_DEFAULT;
	else
		return sd_bus_error_setf(error, SD_BUS_ERROR_INVALID_ARGS,
			"%s: '%.60s' is unknown; expected stop, yield or auto", name, word);
	return 0;
}

static int take_on_target(struct options *options, union value *value, sd_bus_error *error)
{
	options->has_on_target = true;
	return take_at_end("OnTarget", &options->on_target, value->s, error);
}

static int take_on_deadline(struct options *options, union value *value, sd_bus_error *error)
{
	options->has_on_deadline = true;
	return take_at_end("OnDeadline", &options->on_deadline, value->s, error);
}

static int take_grace(struct options *options, union value *value, sd_bus_error *error)
{
	options->has_grace = true;
	if (__builtin_mul_overflow(value->t, NSEC_PER_USEC, &options->grace_ns))
		return invalid(error, "GraceUSec", "it is longer than time goes here");
	return 0;
}

static int take_wait_start(struct options *options, union value *value, sd_bus_error *error)
{
	(void)error;
	options->waits_for_share = value->b;
	return 0;
}

#define OF_BOTH (OPTIONS_OF_SUBMIT | OPTIONS_OF_SET)

static const struct option table[] = {
	{"Command", "as", OPTIONS_OF_SUBMIT, take_command},
	{"DeadlineBoottime", "t", OF_BOTH, take_boottime},
	{"DeadlineRealtime", "t", OF_BOTH, take_realtime},
	{"Directory", "s", OPTIONS_OF_SUBMIT, take_directory},
	{"GraceUSec", "t", OPTIONS_OF_SUBMIT, take_grace},
	{"Name", "s", OPTIONS_OF_SUBMIT, take_name},
	{"OnDeadline", "s", OPTIONS_OF_SUBMIT, take_on_deadline},
	{"OnTarget", "s", OPTIONS_OF_SUBMIT, take_on_target},
	{"Target", "s", OF_BOTH, take_target},
	{"Threads", "u", OF_BOTH, take_threads},
	{"WaitStart", "b", OPTIONS_OF_SUBMIT, take_wait_start},
};

static int unknown(enum options_of of, const char *name, sd_bus_error *error)
{
	const char *words[ARRAY_LENGTH(table) + 1] = {NULL}, *nearest;
	size_t n = 0;

	for (size_t i = 0; i < ARRAY_LENGTH(table); i++)
		if (table[i].of & of)
			words[n++] = table[i].name;
	nearest = nearest_word(name, words);
	if (nearest)
		return sd_bus_error_setf(error, SD_BUS_ERROR_INVALID_ARGS,
			"unknown option '%.60s'; did you mean '%s'?", name, nearest);
	return sd_bus_error_setf(error, SD_BUS_ERROR_INVALID_ARGS, "unknown option '%.60s'", name);
}

/* The message stands before the variant. */
static int read_value(sd_bus_message *message, const struct option *option, struct options *options,
	sd_bus_error *error)
{
	union value value = {.t = 0};
	const char *contents;
	int r = sd_bus_message_peek_type(message, /* type= */ NULL, &contents);

	if (r < 0)
		return r;
	if (strcmp(contents, option->type) != 0)
		return sd_bus_error_setf(error, SD_BUS_ERROR_INVALID_ARGS,
			"%s has the type '%.20s'; expected '%s'", option->name, contents,
			option->type);
	r = sd_bus_message_enter_container(message, 'v', option->type);
	if (r < 0)
		return r;
	if (option->type[0] == 'a') {
		r = sd_bus_message_read_strv(message, &value.as);
		if (r >= 0)
			r = option->take(options, &value, error);
		words_free(value.as);
	} else {
		r = sd_bus_message_read_basic(message, option->type[0], &value);
		if (r >= 0)
			r = option->take(options, &value, error);
	}
	return r < 0 ? r : sd_bus_message_exit_container(message);
}

static int read_option(
	sd_bus_message *message, enum options_of of, struct options *options, sd_bus_error *error)
{
	const char *name;
	int r = sd_bus_message_read(message, "s", &name);

	if (r < 0)
		return r;
	for (size_t i = 0; i < ARRAY_LENGTH(table); i++) {
		if (!(table[i].of & of) || strcmp(table[i].name, name) != 0)
			continue;
		if (options->given & (UINT32_C(1) << i))
			return invalid(error, name, "it is given twice");
		options->given |= UINT32_C(1) << i;
		return read_value(message, &table[i], options, error);
	}
	return unknown(of, name, error);
}

int options_read(sd_bus_message *message, enum options_of of, struct options *ret_options,
	sd_bus_error *error)
{
	struct options options = {.deadline.at_ns = DAEMON_NO_DEADLINE};
	int r = sd_bus_message_enter_container(message, 'a', "{sv}");

	while (r >= 0) {
		r = sd_bus_message_enter_container(message, 'e', "sv");
		if (r <= 0)
			break;
		r = read_option(message, of, &options, error);
		if (r >= 0)
			r = sd_bus_message_exit_container(message);
	}
	if (r >= 0)
		r = sd_bus_message_exit_container(message);
	if (r < 0) {
		options_done(&options);
		return r;
	}
	*ret_options = options;
	return 0;
}

void options_done(struct options *options)
{
	options->argv = words_free(options->argv);
}
