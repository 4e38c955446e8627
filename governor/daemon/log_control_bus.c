// SPDX-License-Identifier: GPL-2.0-or-later
#include "governor_bus_internal.h"

#include <errno.h>

#include "log_level.h"

/* org.freedesktop.LogControl1(5), by which `systemctl service-log-level coregovd debug` makes a governor that runs
 * tell more, or less again. sd-bus lets only root, and the governor's own user, set what is not marked to be for
 * all. Where the lines go is decided when it is started. */

#define LOG_CONTROL_PATH "/org/freedesktop/LogControl1"
#define LOG_CONTROL_INTERFACE "org.freedesktop.LogControl1"

static int get_level(sd_bus *sd, const char *path, const char *interface, const char *property,
	sd_bus_message *reply, void *userdata, sd_bus_error *error)
{
	const struct governor_bus *bus = userdata;

	(void)sd, (void)path, (void)interface, (void)property, (void)error;
	return sd_bus_message_append(
		reply, "s", log_level_to_string(bus->setup.log_level(bus->setup.userdata)));
}

static int set_level(sd_bus *sd, const char *path, const char *interface, const char *property,
	sd_bus_message *value, void *userdata, sd_bus_error *error)
{
	struct governor_bus *bus = userdata;
	sd_bus_message *message = sd_bus_get_current_message(sd);
	struct fault fault = FAULT_INIT;
	uid_t sender = DAEMON_NOBODY;
	const char *text;
	int level = 0, r = sd_bus_message_read(value, "s", &text);

	(void)path, (void)interface, (void)property;
	if (r >= 0 && message)
		r = sender_of(bus, message, &sender, error);
	if (r < 0)
		return r;
	r = log_level_parse(text, &level, &fault);
	if (r < 0)
		return fault_to_bus(&fault, r, error);
	bus->setup.set_log_level(bus->setup.userdata, level, sender);
	return 0;
}

static int get_target(sd_bus *sd, const char *path, const char *interface, const char *property,
	sd_bus_message *reply, void *userdata, sd_bus_error *error)
{
	const struct governor_bus *bus = userdata;

	(void)sd, (void)path, (void)interface, (void)property, (void)error;
	return sd_bus_message_append(reply, "s", bus->setup.log_target);
}

static int set_target(sd_bus *sd, const char *path, const char *interface, const char *property,
	sd_bus_message *value, void *userdata, sd_bus_error *error)
{
	const struct governor_bus *bus = userdata;

	(void)sd, (void)path, (void)interface, (void)property, (void)value;
	return sd_bus_error_setf(error, SD_BUS_ERROR_NOT_SUPPORTED,
		"what is told goes to the %s, as when the governor was started",
		bus->setup.log_target);
}

static int get_identifier(sd_bus *sd, const char *path, const char *interface, const char *property,
	sd_bus_message *reply, void *userdata, sd_bus_error *error)
{
	(void)sd, (void)path, (void)interface, (void)property, (void)userdata, (void)error;
	return sd_bus_message_append(reply, "s", "coregovd");
}

static const sd_bus_vtable vtable[] = {
	SD_BUS_VTABLE_START(0),
	SD_BUS_WRITABLE_PROPERTY("LogLevel", "s", get_level, set_level, 0, 0),
	SD_BUS_WRITABLE_PROPERTY("LogTarget", "s", get_target, set_target, 0, 0),
	SD_BUS_PROPERTY("SyslogIdentifier", "s", get_identifier, 0, SD_BUS_VTABLE_PROPERTY_CONST),
	SD_BUS_VTABLE_END,
};

int log_control_add(struct governor_bus *bus)
{
	if (!bus->setup.set_log_level)
		return 0;
	return sd_bus_add_object_vtable(
		bus->bus, /* slot= */ NULL, LOG_CONTROL_PATH, LOG_CONTROL_INTERFACE, vtable, bus);
}
