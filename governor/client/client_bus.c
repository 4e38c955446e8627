// SPDX-License-Identifier: GPL-2.0-or-later
#include "client_bus.h"

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <systemd/sd-bus.h>
#include <time.h>

#include "cleanup.h"
#include "governor_names.h"
#include "nsec.h"
#include "submission_bus.h"

/* The way to a governor is a few calls, each begun when the answer to the one before is there:
 *
 *	is it on the user's bus?  ->  is it on the system's?  ->  can it be started there?
 *	->  Submit  ->  the task's name  ->  done
 *
 * The buses are asked, not tried: a bus whose policy knows no governor would refuse the Submit, and
 * that could not be told from a governor that refuses.
 *
 * A governor that goes while it has a Submit is waited for a moment, and asked again: one that was killed or is
 * upgraded is back soon, and where the one before had taken the process it has it, too.
 *
 * How long is too long? A burst of submissions may keep a governor busy for longer than anybody would
 * wait for a dead one. So where no answer comes within a second it is sent a Ping, and again every five
 * seconds: silence is what counts. */

#define SILENCE_US (5 * USEC_PER_SEC)
#define PING_AFTER_US (1 * USEC_PER_SEC)
#define SILENCES_MAX 12 /* a minute */
#define BACK_WITHIN_US (3 * USEC_PER_SEC)
#define BACK_PAUSE_US (100 * USEC_PER_MSEC)
#define NAME_TIMEOUT_US (1 * USEC_PER_SEC)
#define ENDED_TIMEOUT_US (2 * USEC_PER_SEC)
#define ENDED_PAUSE_NS (50 * NSEC_PER_MSEC)
#define SYSTEMD_ERRORS "org.freedesktop.systemd1."
#define SPAWN_ERRORS "org.freedesktop.DBus.Error.Spawn."
#define NO_TIMEOUT UINT64_MAX

DEFINE_CLEANUP_FUNC(sd_bus_message, sd_bus_message_unref)
DEFINE_CLEANUP_FUNC(sd_event_source, sd_event_source_unref)

struct client {
	struct client_setup setup;
	struct submission submission;
	sd_bus *bus;                /* owned; NULL between two buses */
	enum governor_place on_bus; /* which that is */
	sd_event_source *silence;   /* owned */
	sd_event_source *back;  /* owned; looks again for a governor that has gone with a Submit */
	uint64_t gone_us;       /* since when; 0: it has not, or is back and well */
	bool is_again;          /* it is asked for the second time, or more */
	bool is_asked;          /* whether it is alive */
	bool is_alive;          /* it has answered since it was asked */
	unsigned n_silences;    /* looked so often */
	bool is_unheard;        /* has been told so */
	bool is_heard;          /* the end was */
	bool has_to_tell_again; /* it was not */
	struct client_reply reply;
};

static const struct {
	const char *error;
	enum client_answer answer;
} refusals[] = {
	{GOVERNOR_ERROR_BAD_TARGET, CLIENT_REFUSED_DATA},
	{GOVERNOR_ERROR_BAD_DEADLINE, CLIENT_REFUSED_DATA},
	{GOVERNOR_ERROR_NAME_TAKEN, CLIENT_REFUSED_DATA},
	{SD_BUS_ERROR_INVALID_ARGS, CLIENT_REFUSED_DATA},
	{GOVERNOR_ERROR_OVER_LIMIT, CLIENT_REFUSED_BUSY},
	{GOVERNOR_ERROR_DRAINING, CLIENT_REFUSED_BUSY},
	{GOVERNOR_ERROR_NOT_YOURS, CLIENT_REFUSED_PERMISSION},
	{SD_BUS_ERROR_ACCESS_DENIED, CLIENT_REFUSED_PERMISSION},
	{SD_BUS_ERROR_AUTH_FAILED, CLIENT_REFUSED_PERMISSION},
	{SD_BUS_ERROR_INTERACTIVE_AUTHORIZATION_REQUIRED, CLIENT_REFUSED_PERMISSION},
};

static int find_governor(struct client *client);
static int await_silence(sd_event_source *source, uint64_t span_us);

static void answer(struct client *client, enum client_answer given, const char *format, ...)
	__attribute__((format(printf, 3, 4)));

static void answer(struct client *client, enum client_answer given, const char *format, ...)
{
	va_list args;

	if (client->reply.answer != CLIENT_WAITING)
		return;
	client->reply.answer = given;
	client->silence = sd_event_source_disable_unref(client->silence);
	client->back = sd_event_source_disable_unref(client->back);
	va_start(args, format);
	(void)vsnprintf(client->reply.text, sizeof(client->reply.text), format, args);
	va_end(args);
}

/* What says nothing of a governor, nor of a bus. */
static bool is_want_of_ours(int error)
{
	return error == -EMFILE || error == -ENFILE || error == -ENOMEM;
}

/* Our own side fails: to the command that is no governor either. */
static int absent_for(struct client *client, int error)
{
	answer(client, is_want_of_ours(error) ? CLIENT_FAILED : CLIENT_ABSENT,
		"the governor cannot be asked: %s", strerror(-error));
	return 0;
}

/* What is asked for again was right the first time: it is a governor that cannot, then. */
static void take_error(struct client *client, const sd_bus_error *error)
{
	for (size_t i = 0; i < ARRAY_LENGTH(refusals); i++)
		if (sd_bus_error_has_name(error, refusals[i].error)) {
			enum client_answer given = refusals[i].answer;

			if (given == CLIENT_REFUSED_DATA && client->is_again)
				given = CLIENT_ABSENT;
			answer(client, given, "%s", error->message);
			return;
		}
	if (sd_bus_error_has_name(error, SD_BUS_ERROR_SERVICE_UNKNOWN) ||
		sd_bus_error_has_name(error, SD_BUS_ERROR_NAME_HAS_NO_OWNER))
		answer(client, CLIENT_ABSENT, "no governor runs here");
	else if (strncmp(error->name, GOVERNOR_ERRORS, strlen(GOVERNOR_ERRORS)) == 0)
		answer(client, CLIENT_ABSENT, "%s", error->message);
	else
		answer(client, CLIENT_ABSENT, "the governor cannot be asked: %s", error->message);
}

static bool is_nobody_there(const sd_bus_error *error)
{
	return sd_bus_error_has_name(error, SD_BUS_ERROR_SERVICE_UNKNOWN) ||
		sd_bus_error_has_name(error, SD_BUS_ERROR_NAME_HAS_NO_OWNER) ||
		sd_bus_error_has_name(error, SD_BUS_ERROR_NO_REPLY) ||
		/* What the bus has to say where it cannot start one. */
		strncmp(error->name, SYSTEMD_ERRORS, strlen(SYSTEMD_ERRORS)) == 0 ||
		strncmp(error->name, SPAWN_ERRORS, strlen(SPAWN_ERRORS)) == 0;
}

static int on_back(sd_event_source *source, uint64_t due_us, void *data)
{
	struct client *client = data;
	int r = await_silence(client->silence, PING_AFTER_US);

	(void)source;
	(void)due_us;
	return r < 0 ? absent_for(client, r) : find_governor(client);
}

/* False where it has not gone with a Submit, or is not back in time. */
static bool look_again(struct client *client, const sd_bus_error *error)
{
	uint64_t now_us;

	if (!is_nobody_there(error) ||
		sd_event_now(client->setup.event, CLOCK_MONOTONIC, &now_us) < 0)
		return false;
	if (client->gone_us == 0 && sd_bus_error_has_name(error, SD_BUS_ERROR_NO_REPLY))
		client->gone_us = now_us;
	if (client->gone_us == 0 || now_us - client->gone_us > BACK_WITHIN_US)
		return false;
	client->back = sd_event_source_disable_unref(client->back);
	/* Whether the one that has gone is alive is no question any more. */
	client->is_again = true;
	client->is_asked = client->is_alive = false;
	(void)sd_event_source_set_enabled(client->silence, SD_EVENT_OFF);
	return sd_event_add_time_relative(client->setup.event, &client->back, CLOCK_MONOTONIC,
		       BACK_PAUSE_US, /* accuracy= */ 0, on_back, client) >= 0;
}

/* Buses. */

static int open_bus(struct client *client)
{
	int r;

	client->bus = sd_bus_close_unref(client->bus);
	r = connect_bus(client->on_bus, &client->bus, /* fault= */ NULL);
	if (r >= 0)
		r = sd_bus_attach_event(client->bus, client->setup.event, SD_EVENT_PRIORITY_NORMAL);
	return r;
}

/* After the answer. */

static void take_name(struct client *client, const char *name)
{
	(void)snprintf(client->reply.name, sizeof(client->reply.name), "%.*s", TASK_NAME_MAX, name);
	answer(client, CLIENT_ACCEPTED, "%s", "");
}

/* By its number a task is found, too. */
static const char *number_of(const struct client *client)
{
	const char *number = strrchr(client->reply.task, '_');

	return number ? number + 1 : client->reply.task;
}

static int on_name(sd_bus_message *reply, void *data, sd_bus_error *error)
{
	struct client *client = data;
	const char *name;

	(void)error;
	if (sd_bus_message_is_method_error(reply, NULL) ||
		sd_bus_message_read(reply, "v", "s", &name) < 0)
		name = number_of(client);
	take_name(client, name);
	return 0;
}

static int on_unheard(sd_bus_message *message, void *data, sd_bus_error *error)
{
	struct client *client = data;

	(void)message;
	(void)error;
	if (!client->is_unheard)
		client->setup.unheard(client->setup.userdata);
	client->is_unheard = true;
	return 0;
}

/* Nothing is lost by a governor that does not tell. */
static int listen_for_unheard(struct client *client)
{
	return sd_bus_match_signal_async(client->bus, /* ret_slot= */ NULL, GOVERNOR_NAME,
		client->reply.task, TASK_INTERFACE, "Unheard", on_unheard,
		/* install_callback= */ NULL, client);
}

static int ask_name(struct client *client)
{
	_cleanup_(cleanup_sd_bus_message_unref) sd_bus_message *call = NULL;
	int r = sd_bus_message_new_method_call(
		client->bus, &call, GOVERNOR_NAME, client->reply.task, PROPERTIES_INTERFACE, "Get");

	if (r >= 0)
		r = sd_bus_message_append(call, "ss", TASK_INTERFACE, "Name");
	if (r >= 0)
		r = sd_bus_call_async(
			client->bus, /* ret_slot= */ NULL, call, on_name, client, NAME_TIMEOUT_US);
	return r;
}

static int read_reply(struct client *client, sd_bus_message *message)
{
	struct client_reply *reply = &client->reply;
	const char *task, *prospect;
	uint64_t token; /* the page has it, too */
	int fd, r = sd_bus_message_read(message, "ohts", &task, &fd, &token, &prospect);

	if (r < 0)
		return r;
	reply->page_fd = fcntl(fd, F_DUPFD_CLOEXEC, 3);
	if (reply->page_fd < 0)
		return -errno;
	if (strlen(task) >= sizeof(reply->task))
		return -ENAMETOOLONG;
	strcpy(reply->task, task);
	(void)snprintf(reply->prospect, sizeof(reply->prospect), "%s", prospect);
	return 0;
}

static int on_submitted(sd_bus_message *message, void *data, sd_bus_error *error)
{
	struct client *client = data;
	const struct submission *submission = &client->submission;
	int r;

	(void)error;
	if (sd_bus_message_is_method_error(message, NULL)) {
		if (!look_again(client, sd_bus_message_get_error(message)))
			take_error(client, sd_bus_message_get_error(message));
		return 0;
	}
	r = read_reply(client, message);
	if (r >= 0 && submission->target)
		r = listen_for_unheard(client);
	if (r >= 0 && !submission->name && client->setup.wants_name)
		r = ask_name(client);
	else if (r >= 0)
		take_name(client, submission->name ? submission->name : number_of(client));
	return r < 0 ? absent_for(client, r) : 0;
}

/* Submitting. */

static int on_pong(sd_bus_message *message, void *data, sd_bus_error *error)
{
	struct client *client = data;

	(void)error;
	if (sd_bus_message_is_method_error(message, NULL))
		return 0;
	client->is_alive = true;
	client->gone_us = 0;
	return 0;
}

static int await_silence(sd_event_source *source, uint64_t span_us)
{
	int r = sd_event_source_set_time_relative(source, span_us);

	return r < 0 ? r : sd_event_source_set_enabled(source, SD_EVENT_ONESHOT);
}

static int ping(struct client *client)
{
	client->is_alive = false;
	return sd_bus_call_method_async(client->bus, /* ret_slot= */ NULL, GOVERNOR_NAME,
		GOVERNOR_PATH, "org.freedesktop.DBus.Peer", "Ping", on_pong, client,
		/* types= */ NULL);
}

static int submit(struct client *client)
{
	_cleanup_(cleanup_sd_bus_message_unref) sd_bus_message *call = NULL;
	int r = submission_call(client->bus, &client->submission, &call);
	if (r >= 0)
		r = sd_bus_call_async(
			client->bus, /* ret_slot= */ NULL, call, on_submitted, client, NO_TIMEOUT);
	return r;
}

static int on_started(sd_bus_message *message, void *data, sd_bus_error *error)
{
	struct client *client = data;
	int r;

	(void)error;
	if (sd_bus_message_is_method_error(message, NULL)) {
		if (!look_again(client, sd_bus_message_get_error(message)))
			take_error(client, sd_bus_message_get_error(message));
		return 0;
	}
	r = submit(client);
	return r < 0 ? absent_for(client, r) : 0;
}

static int on_owner(sd_bus_message *message, void *data, sd_bus_error *error)
{
	struct client *client = data;
	int r;

	(void)error;
	if (!sd_bus_message_is_method_error(message, NULL)) {
		r = submit(client);
	} else if (client->on_bus == GOVERNOR_SYSTEM) {
		r = sd_bus_call_method_async(client->bus, /* ret_slot= */ NULL, BUS_NAME, BUS_PATH,
			BUS_INTERFACE, "StartServiceByName", on_started, client, "su",
			GOVERNOR_NAME, 0);
	} else if (look_again(client, sd_bus_message_get_error(message))) {
		r = 0;
	} else if (client->setup.place == GOVERNOR_ANY) {
		client->on_bus = GOVERNOR_SYSTEM;
		r = find_governor(client);
	} else {
		answer(client, CLIENT_ABSENT, "no governor of your own runs here");
		r = 0;
	}
	return r < 0 ? absent_for(client, r) : 0;
}

/* Asks the bus for the governor. */
static int find_governor(struct client *client)
{
	int r = open_bus(client);

	if (is_want_of_ours(r))
		return r;
	/* No user's bus is no reason to give up. */
	if (r < 0 && client->on_bus == GOVERNOR_USER && client->setup.place == GOVERNOR_ANY) {
		client->on_bus = GOVERNOR_SYSTEM;
		r = open_bus(client);
	}
	if (r < 0) {
		answer(client, CLIENT_ABSENT, "no governor runs here, for lack of a bus: %s",
			strerror(-r));
		return 0;
	}
	return sd_bus_call_method_async(client->bus, /* ret_slot= */ NULL, BUS_NAME, BUS_PATH,
		BUS_INTERFACE, "GetNameOwner", on_owner, client, "s", GOVERNOR_NAME);
}

/* Most have their answer before that: only after a while it is asked whether it is there at all. */
static int on_silence(sd_event_source *source, uint64_t due_us, void *data)
{
	struct client *client = data;
	int r = 0;

	(void)due_us;
	client->is_asked = !client->is_asked;
	if (client->is_asked) {
		r = ping(client);
		return r < 0 ? absent_for(client, r)
			     : await_silence(source, SILENCE_US - PING_AFTER_US);
	}
	if (!client->is_alive) {
		answer(client, CLIENT_ABSENT, "the governor does not answer");
		return 0;
	}
	if (++client->n_silences == SILENCES_MAX && !client->submission.waits_start) {
		answer(client, CLIENT_ABSENT, "the governor is too busy to answer");
		return 0;
	}
	if (client->n_silences == 1 && client->setup.say)
		client->setup.say(client->submission.waits_start
				? "waiting until there is a share for it"
				: "waiting for the governor, which is busy");
	return await_silence(source, PING_AFTER_US);
}

static void cleanup_client(struct client **client)
{
	(void)client_free(*client);
}

int client_submit(struct client **ret_client, const struct client_setup *setup,
	const struct submission *submission, struct fault *fault)
{
	_cleanup_(cleanup_client) struct client *client = calloc(1, sizeof(*client));
	int r;

	if (!client)
		return fault_errno(fault, -ENOMEM, "ask the governor");
	client->setup = *setup;
	client->submission = *submission;
	client->reply.page_fd = -EBADF;
	client->on_bus = setup->place == GOVERNOR_SYSTEM || connect_has_address() ? GOVERNOR_SYSTEM
										  : GOVERNOR_USER;
	r = sd_event_add_time_relative(setup->event, &client->silence, CLOCK_MONOTONIC,
		PING_AFTER_US, /* accuracy= */ 0, on_silence, client);
	if (r >= 0)
		r = find_governor(client);
	if (r < 0)
		return fault_errno(fault, r, "ask the governor");
	*ret_client = TAKE_PTR(client);
	return 0;
}

struct client *client_free(struct client *client)
{
	if (!client)
		return NULL;
	client->silence = sd_event_source_disable_unref(client->silence);
	client->back = sd_event_source_disable_unref(client->back);
	/* Calls that were not answered go with the bus, and never come back to us. */
	client->bus = sd_bus_close_unref(client->bus);
	cleanup_close(&client->reply.page_fd);
	free(client);
	return NULL;
}

const struct client_reply *client_reply(const struct client *client)
{
	return &client->reply;
}

/* The end. A governor that is being started anew takes the task over, and wants to know of it then. */

static int on_ended(sd_bus_message *message, void *data, sd_bus_error *error)
{
	struct client *client = data;

	(void)error;
	if (sd_bus_message_is_method_error(message, NULL) &&
		is_nobody_there(sd_bus_message_get_error(message)))
		client->has_to_tell_again = true;
	else
		client->is_heard = true;
	return 0;
}

static int call_ended(struct client *client, int status)
{
	return sd_bus_call_method_async(client->bus, /* ret_slot= */ NULL, GOVERNOR_NAME,
		GOVERNOR_PATH, GOVERNOR_INTERFACE, "Ended", on_ended, client, "oi",
		client->reply.task, (int32_t)status);
}

/* Not at once, or it would only be asked again and again. */
static int tell_again(struct client *client, int status)
{
	const struct timespec pause = {.tv_nsec = ENDED_PAUSE_NS};

	client->has_to_tell_again = false;
	(void)nanosleep(&pause, NULL);
	return call_ended(client, status);
}

static int on_too_late(sd_event_source *source, uint64_t due_us, void *data)
{
	bool *is_late = data;

	(void)source;
	(void)due_us;
	*is_late = true;
	return 0;
}

int client_ended(struct client *client, int status)
{
	_cleanup_(cleanup_sd_event_source_unref) sd_event_source *timer = NULL;
	bool is_late = false;
	int r;

	/* The bus may have been started anew since. */
	r = sd_bus_is_open(client->bus) > 0 ? call_ended(client, status) : -ENOTCONN;
	if (r < 0)
		r = open_bus(client) < 0 ? r : call_ended(client, status);
	if (r >= 0)
		r = sd_event_add_time_relative(client->setup.event, &timer, CLOCK_MONOTONIC,
			ENDED_TIMEOUT_US, /* accuracy= */ 0, on_too_late, &is_late);
	while (r >= 0 && !client->is_heard && !is_late) {
		r = sd_event_run(client->setup.event, UINT64_MAX);
		if (r >= 0 && client->has_to_tell_again)
			r = tell_again(client, status);
	}
	return is_late ? -ETIMEDOUT : r < 0 ? r : 0;
}
