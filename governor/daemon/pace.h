/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

/* How often each user may ask for what costs a decision: PACE_BURST times at once, then PACE_PER_SECOND.
 * What one has used up takes nothing from another. */

#define PACE_BURST 20
#define PACE_PER_SECOND 10

/* Users that are remembered at a time. One who has waited for two seconds need not be: it is another's place
 * then. Where all of them are in a hurry it is the place of who has asked least. */
#define PACE_USERS_MAX 64

struct pace_user {
	uid_t uid;
	uint64_t full_ns; /* when it may ask PACE_BURST times at once again; 0: nobody's place */
};

/* All zero at first. */
struct pace {
	struct pace_user users[PACE_USERS_MAX];
};

/* Takes one of the user's; false where there is none left. now_ns: of a clock that does not go back. */
bool pace_take(struct pace *pace, uid_t uid, uint64_t now_ns);
