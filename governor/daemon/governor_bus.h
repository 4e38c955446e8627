/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>
#include <systemd/sd-event.h>

#include "bundle.h"
#include "connect_bus.h"
#include "fault.h"

/* The governor on the bus: org.coregov.Governor1(5). Turns messages into calls of daemon.h, and what
 * it hears from there into signals. */

struct daemon;
struct governor_bus;

/* What a submission does not say. */
struct governor_bus_defaults {
	double threads; /* 0: auto, see daemon.h */
	uint64_t grace_ns;
	enum at_end on_target, on_deadline;
};

struct governor_bus_setup {
	sd_event *event;       /* referenced; messages come after what has a normal priority */
	struct daemon *daemon; /* kept by pointer; is listened to until governor_bus_free() */
	enum governor_place
		place; /* GOVERNOR_SYSTEM or GOVERNOR_USER; an address in the environment
				    * comes first */
	/* Asks polkit who may do what, if it is on that bus; else, and where this is false, the owner
	 * of a task and root may change it. */
	bool asks_polkit;
	const char *version;
	struct governor_bus_defaults defaults;
	void *userdata; /* of what follows; each may be NULL */
	/* Reads the configuration again; sender: who asks for it. */
	int (*reload)(void *userdata, uid_t sender, struct fault *fault);
	/* The configuration in force as text or JSON, given back by free(); NULL: no memory. */
	char *(*describe)(void *userdata, bool is_json);
	void (*lost)(void *userdata); /* the bus has gone. The tasks are governed on: free this, and
				       * try again later */
	/* polkit was to be asked, and is not on the bus: told once. */
	void (*no_polkit)(void *userdata, const char *sentence);
	/* How much is told, a level of syslog(3): both, or it cannot be asked for and set. log_target: where to,
	 * "journal" or "console". */
	int (*log_level)(void *userdata);
	void (*set_log_level)(void *userdata, int level, uid_t sender);
	const char *log_target;
};

/* Takes the name on the bus; when it returns calls are answered. -EEXIST where another governor has
 * the name, else a negative errno. */
int governor_bus_new(
	struct governor_bus **ret_bus, const struct governor_bus_setup *setup, struct fault *fault);
/* What later submissions do not say. */
void governor_bus_set_defaults(
	struct governor_bus *bus, const struct governor_bus_defaults *defaults);
/* NULL is fine; returns NULL. */
struct governor_bus *governor_bus_free(struct governor_bus *bus);
