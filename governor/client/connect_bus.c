// SPDX-License-Identifier: GPL-2.0-or-later
#include "connect_bus.h"

#include <stdlib.h>
#include <string.h>
#include <systemd/sd-bus.h>

#include "cleanup.h"
#include "governor_names.h"

/* Which bus. A user who has a governor of their own means that one; nothing is started on the user
 * bus to find out. That a bus cannot be reached and that no governor is on it are one and the same
 * for a caller, so both are -ENOTCONN with a sentence of what to do. */

DEFINE_CLEANUP_FUNC(sd_bus, sd_bus_flush_close_unref)
DEFINE_CLEANUP_FUNC(sd_bus_message, sd_bus_message_unref)

static int open_address(const char *address, sd_bus **ret_bus)
{
	_cleanup_(cleanup_sd_bus_flush_close_unref) sd_bus *bus = NULL;
	int r = sd_bus_new(&bus);

	if (r >= 0)
		r = sd_bus_set_address(bus, address);
	if (r >= 0)
		r = sd_bus_set_bus_client(bus, /* b= */ true);
	if (r >= 0)
		r = sd_bus_start(bus);
	if (r >= 0)
		*ret_bus = TAKE_PTR(bus);
	return r;
}

/* NULL where none is given. */
static const char *given_address(void)
{
	const char *address = secure_getenv(GOVERNOR_ADDRESS_VARIABLE);

	return address && address[0] != '\0' ? address : NULL;
}

bool connect_has_address(void)
{
	return given_address() != NULL;
}

int connect_bus(enum governor_place place, sd_bus **ret_bus, struct fault *fault)
{
	const char *address = given_address();
	int r;

	if (address) {
		r = open_address(address, ret_bus);
		return r < 0 ? fault_errno(fault, r,
				       "reach the bus '%s' of " GOVERNOR_ADDRESS_VARIABLE, address)
			     : 0;
	}
	if (place == GOVERNOR_USER) {
		r = sd_bus_open_user(ret_bus);
		return r < 0 ? fault_errno(fault, r,
				       "reach the user bus (log in with the package "
				       "dbus-user-session installed)")
			     : 0;
	}
	r = sd_bus_open_system(ret_bus);
	return r < 0
		? fault_errno(fault, r, "reach the system bus (is the package dbus installed?)")
		: 0;
}

static bool is_owned(sd_bus *bus)
{
	_cleanup_(cleanup_sd_bus_message_unref) sd_bus_message *reply = NULL;
	int is_there = 0;

	return sd_bus_call_method(bus, BUS_NAME, BUS_PATH, BUS_INTERFACE, "NameHasOwner",
		       /* reterr_error= */ NULL, &reply, "s", GOVERNOR_NAME) >= 0 &&
		sd_bus_message_read(reply, "b", &is_there) >= 0 && is_there;
}

static const char *way_to_start(enum governor_place place)
{
	return place == GOVERNOR_USER
		? "start your own with 'systemctl --user start coregovd' or 'coregovd --user'"
		: "start it with 'systemctl start coregovd' as root, or your own with "
		  "'coregovd --user'";
}

/* A bus that has a service file for the governor starts it now. */
static int start_governor(sd_bus *bus, enum governor_place place, struct fault *fault)
{
	_cleanup_(sd_bus_error_free) sd_bus_error error = SD_BUS_ERROR_NULL;

	if (is_owned(bus))
		return 0;
	if (sd_bus_call_method(bus, BUS_NAME, BUS_PATH, BUS_INTERFACE, "StartServiceByName", &error,
		    /* ret_reply= */ NULL, "su", GOVERNOR_NAME, (uint32_t)0) >= 0)
		return 0;
	if (!error.message || sd_bus_error_has_name(&error, SD_BUS_ERROR_SERVICE_UNKNOWN))
		return fault_set(
			fault, -ENOTCONN, "no governor runs here; %s", way_to_start(place));
	return fault_set(fault, -ENOTCONN,
		"no governor runs here, and it cannot be started (%s); %s", error.message,
		way_to_start(place));
}

static bool connect_running(enum governor_place place, sd_bus **ret_bus)
{
	_cleanup_(cleanup_sd_bus_flush_close_unref) sd_bus *bus = NULL;

	if (connect_bus(place, &bus, /* fault= */ NULL) < 0 || !is_owned(bus))
		return false;
	*ret_bus = TAKE_PTR(bus);
	return true;
}

int connect_running_governor(enum governor_place place, sd_bus **ret_bus)
{
	if ((place != GOVERNOR_SYSTEM && connect_running(GOVERNOR_USER, ret_bus)) ||
		(place != GOVERNOR_USER && connect_running(GOVERNOR_SYSTEM, ret_bus)))
		return 0;
	return -ENOTCONN;
}

int connect_governor(enum governor_place place, sd_bus **ret_bus, struct fault *fault)
{
	_cleanup_(cleanup_sd_bus_flush_close_unref) sd_bus *bus = NULL;
	struct fault why = FAULT_INIT;
	int r;

	if (place == GOVERNOR_ANY && connect_running(GOVERNOR_USER, ret_bus))
		return 0;
	if (connect_bus(place, &bus, &why) < 0)
		return fault_set(fault, -ENOTCONN, "no governor can be reached: %s; %s", why.text,
			way_to_start(place));
	r = start_governor(bus, place, fault);
	if (r == 0)
		*ret_bus = TAKE_PTR(bus);
	return r;
}
