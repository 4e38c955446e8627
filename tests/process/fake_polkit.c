// SPDX-License-Identifier: GPL-2.0-or-later
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <systemd/sd-bus.h>

#include "connect_bus.h"

/* fake_polkit ACTION=yes|no|later...: polkit's question and an answer out of a table. "later" is
 * yes, when a line comes on standard input for each question that waits. Prints each question. */

#define LATER_MAX 256

static char **answers;
static sd_bus_message *later[LATER_MAX];
static size_t n_later;

static const char *answer_for(const char *action)
{
	for (char **answer = answers; *answer; answer++)
		if (strncmp(*answer, action, strlen(action)) == 0 &&
			(*answer)[strlen(action)] == '=')
			return *answer + strlen(action) + 1;
	return "no";
}

static int reply(sd_bus_message *message, bool is_authorized)
{
	return sd_bus_reply_method_return(message, "(bba{ss})", (int)is_authorized, 0, 0);
}

static int check(sd_bus_message *message, void *userdata, sd_bus_error *error)
{
	const char *kind, *key, *name, *action, *answer, *cancel;
	uint32_t flags;
	int r = sd_bus_message_enter_container(message, 'r', "sa{sv}");

	(void)userdata, (void)error;
	if (r >= 0)
		r = sd_bus_message_read(message, "s", &kind);
	if (r >= 0)
		r = sd_bus_message_read(message, "a{sv}", 1, &key, "s", &name);
	if (r >= 0)
		r = sd_bus_message_exit_container(message);
	if (r >= 0)
		r = sd_bus_message_read(message, "s", &action);
	if (r >= 0)
		r = sd_bus_message_skip(message, "a{ss}");
	if (r >= 0)
		r = sd_bus_message_read(message, "us", &flags, &cancel);
	if (r < 0)
		return r;
	(void)printf("asked %s %s %s %u\n", kind, name, action, (unsigned)flags);
	answer = answer_for(action);
	if (strcmp(answer, "later") != 0 || n_later == LATER_MAX)
		return reply(message, strcmp(answer, "yes") == 0);
	later[n_later++] = sd_bus_message_ref(message);
	return 1;
}

static const sd_bus_vtable vtable[] = {
	SD_BUS_VTABLE_START(0),
	SD_BUS_METHOD("CheckAuthorization", "(sa{sv})sa{ss}us", "(bba{ss})", check,
		SD_BUS_VTABLE_UNPRIVILEGED),
	SD_BUS_VTABLE_END,
};

static int heard(sd_event_source *source, int fd, uint32_t events, void *userdata)
{
	char line[64];

	(void)fd, (void)events;
	if (!fgets(line, sizeof(line), stdin))
		return sd_event_exit(sd_event_source_get_event(source), 0);
	while (n_later > 0) {
		(void)reply(later[--n_later], /* is_authorized= */ true);
		later[n_later] = sd_bus_message_unref(later[n_later]);
	}
	(void)sd_bus_flush(userdata);
	(void)puts("ok");
	return 0;
}

int main(int argc, char *argv[])
{
	sd_event *event = NULL;
	sd_bus *bus = NULL;
	int r;

	(void)argc;
	answers = argv + 1;
	(void)setvbuf(stdout, NULL, _IOLBF, 0);
	if (sd_event_new(&event) < 0 || connect_bus(GOVERNOR_SYSTEM, &bus, /* fault= */ NULL) < 0)
		return 1;
	r = sd_bus_add_object_vtable(bus, NULL, "/org/freedesktop/PolicyKit1/Authority",
		"org.freedesktop.PolicyKit1.Authority", vtable, NULL);
	if (r >= 0)
		r = sd_bus_request_name(bus, "org.freedesktop.PolicyKit1", 0);
	if (r >= 0)
		r = sd_bus_attach_event(bus, event, SD_EVENT_PRIORITY_NORMAL);
	if (r >= 0)
		r = sd_event_add_io(event, NULL, 0, 1 /* EPOLLIN */, heard, bus);
	if (r < 0)
		return 1;
	(void)puts("ready");
	(void)sd_event_loop(event);
	(void)sd_bus_flush_close_unref(bus);
	(void)sd_event_unref(event);
	return 0;
}
