// SPDX-License-Identifier: GPL-2.0-or-later
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <systemd/sd-bus.h>

#include "connect_bus.h"

/* fake_systemd: a manager on the bus that makes scopes of nothing, when it is told to. Prints each question, as
 * "asked UNIT SLICE PID". A line of its standard input is what becomes of the oldest one:
 *
 *	done, failed    the job ends with that result
 *	refuse          there is no job: the process does not exist
 *	sync            nothing */

#define MANAGER "org.freedesktop.systemd1"
#define PATH "/org/freedesktop/systemd1"
#define INTERFACE MANAGER ".Manager"
#define OPEN_MAX 64

struct question {
	sd_bus_message *message;
	char unit[128];
};

static struct question questions[OPEN_MAX];
static size_t n_questions;
static uint32_t n_jobs;

/* What is of interest of one property. */
static int read_property(sd_bus_message *message, char ret_slice[static 128], uint32_t *ret_pid)
{
	const char *name, *text;
	int r = sd_bus_message_read(message, "s", &name);

	if (r < 0)
		return r;
	if (strcmp(name, "Slice") == 0) {
		r = sd_bus_message_read(message, "v", "s", &text);
		if (r >= 0)
			(void)snprintf(ret_slice, 128, "%s", text);
		return r;
	}
	if (strcmp(name, "PIDs") == 0)
		return sd_bus_message_read(message, "v", "au", 1, ret_pid);
	return sd_bus_message_skip(message, "v");
}

static int start_unit(sd_bus_message *message, void *userdata, sd_bus_error *error)
{
	struct question *question = &questions[n_questions];
	char slice[128] = "-";
	const char *unit, *mode;
	uint32_t pid = 0;
	int r = sd_bus_message_read(message, "ss", &unit, &mode);

	(void)userdata;
	if (n_questions == OPEN_MAX)
		return sd_bus_error_set(error, SD_BUS_ERROR_LIMITS_EXCEEDED, "too many");
	if (r >= 0)
		r = sd_bus_message_enter_container(message, 'a', "(sv)");
	while (r >= 0 && (r = sd_bus_message_enter_container(message, 'r', "sv")) > 0) {
		r = read_property(message, slice, &pid);
		if (r >= 0)
			r = sd_bus_message_exit_container(message);
	}
	if (r < 0)
		return r;
	(void)printf("asked %s %s %u\n", unit, slice, (unsigned)pid);
	question->message = sd_bus_message_ref(message);
	(void)snprintf(question->unit, sizeof(question->unit), "%s", unit);
	n_questions++;
	return 1;
}

static const sd_bus_vtable vtable[] = {
	SD_BUS_VTABLE_START(0),
	SD_BUS_METHOD("StartTransientUnit", "ssa(sv)a(sa(sv))", "o", start_unit,
		SD_BUS_VTABLE_UNPRIVILEGED),
	SD_BUS_SIGNAL("JobRemoved", "uoss", 0),
	SD_BUS_VTABLE_END,
};

static bool answer(sd_bus *bus, const char *how)
{
	struct question first = questions[0];
	char job[64];

	if (n_questions == 0)
		return false;
	n_questions--;
	memmove(questions, questions + 1, n_questions * sizeof(questions[0]));
	if (strcmp(how, "refuse") == 0) {
		(void)sd_bus_reply_method_errorf(first.message,
			"org.freedesktop.DBus.Error.UnixProcessIdUnknown",
			"the process does not exist");
	} else {
		(void)snprintf(job, sizeof(job), PATH "/job/%u", (unsigned)++n_jobs);
		(void)sd_bus_reply_method_return(first.message, "o", job);
		(void)sd_bus_emit_signal(
			bus, PATH, INTERFACE, "JobRemoved", "uoss", n_jobs, job, first.unit, how);
	}
	(void)sd_bus_message_unref(first.message);
	return true;
}

static int heard(sd_event_source *source, int fd, uint32_t events, void *userdata)
{
	char line[64];
	bool is_known;

	(void)fd, (void)events;
	if (!fgets(line, sizeof(line), stdin))
		return sd_event_exit(sd_event_source_get_event(source), 0);
	line[strcspn(line, "\n")] = '\0';
	is_known = strcmp(line, "sync") == 0 || answer(userdata, line);
	(void)sd_bus_flush(userdata);
	(void)puts(is_known ? "ok" : "unknown");
	return 0;
}

int main(void)
{
	sd_event *event = NULL;
	sd_bus *bus = NULL;
	int r;

	(void)setvbuf(stdout, NULL, _IOLBF, 0);
	/* A line is read by itself, or the next would wait unseen. */
	(void)setvbuf(stdin, NULL, _IONBF, 0);
	r = sd_event_new(&event);
	if (r >= 0)
		r = connect_bus(GOVERNOR_SYSTEM, &bus, /* fault= */ NULL);
	if (r >= 0)
		r = sd_bus_add_object_vtable(bus, NULL, PATH, INTERFACE, vtable, NULL);
	if (r >= 0)
		r = sd_bus_request_name(bus, MANAGER, 0);
	if (r >= 0)
		r = sd_bus_attach_event(bus, event, SD_EVENT_PRIORITY_NORMAL);
	if (r >= 0)
		r = sd_event_add_io(event, NULL, 0, 1 /* EPOLLIN */, heard, bus);
	if (r < 0)
		return 1;
	(void)puts("ready");
	(void)sd_event_loop(event);
	while (n_questions > 0)
		(void)sd_bus_message_unref(questions[--n_questions].message);
	(void)sd_bus_flush_close_unref(bus);
	(void)sd_event_unref(event);
	return 0;
}
