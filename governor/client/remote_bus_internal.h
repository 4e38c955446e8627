/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

#include <stddef.h>
#include <systemd/sd-bus.h>

/* The properties of an object on the bus as members of a plain struct. */

struct property {
	const char *name;
	char type; /* 'a' for "as" */
	size_t offset;
};

extern const struct property task_properties[];     /* of struct remote_task, up to a NULL name */
extern const struct property governor_properties[]; /* of struct remote_governor */

/* Reads an a{sv} into the members; what is in no table is skipped. Strings are the struct's. */
int properties_read(sd_bus_message *message, const struct property properties[], void *object);
/* Strings that were not told become "". 0 or -ENOMEM. */
int properties_complete(const struct property properties[], void *object);
void properties_done(const struct property properties[], void *object);
