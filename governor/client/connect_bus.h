/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

#include <stdbool.h>

#include "fault.h"

/* The way to a bus, for the governor and for those who call it. */

struct sd_bus;

enum governor_place {
	GOVERNOR_ANY,    /* the user's own where it runs, else the system's */
	GOVERNOR_SYSTEM, /* of the machine, on the system bus */
	GOVERNOR_USER,   /* of one user, on the user bus */
};

/* Opens the system's or the user's bus, or that of COREGOV_BUS_ADDRESS. 0 or a negative errno. */
int connect_bus(enum governor_place place, struct sd_bus **ret_bus, struct fault *fault);

/* True where COREGOV_BUS_ADDRESS names a bus, which then is the only one. */
bool connect_has_address(void);

/* Opens the bus on which the governor is, and starts it where the bus knows how to. -ENOTCONN where
 * there is none: the sentence says how to get one. */
int connect_governor(enum governor_place place, struct sd_bus **ret_bus, struct fault *fault);

/* Opens a bus on which a governor runs already, for GOVERNOR_ANY the user's own first; starts none. 0, or
 * -ENOTCONN. */
int connect_running_governor(enum governor_place place, struct sd_bus **ret_bus);
