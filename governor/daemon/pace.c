// SPDX-License-Identifier: GPL-2.0-or-later
#include "pace.h"

#include "nsec.h"

/* A token bucket, written as the moment when it is full again: each call moves that on by a tenth of a
 * second, and it must not be more than two seconds ahead. An integer, so nothing is lost by rounding. */

#define STEP_NS (NSEC_PER_SEC / PACE_PER_SECOND)
#define AHEAD_MAX_NS (PACE_BURST * STEP_NS)

/* The user's own place, else the one that is full or will be first. */
static struct pace_user *place_of(struct pace *pace, uid_t uid)
{
	struct pace_user *first = &pace->users[0];

	for (int i = 0; i < PACE_USERS_MAX; i++) {
		struct pace_user *user = &pace->users[i];

		if (user->full_ns > 0 && user->uid == uid)
			return user;
		if (user->full_ns < first->full_ns)
			first = user;
	}
	*first = (struct pace_user){.uid = uid};
	return first;
}

bool pace_take(struct pace *pace, uid_t uid, uint64_t now_ns)
{
	struct pace_user *user = place_of(pace, uid);
	uint64_t full_ns = user->full_ns > now_ns ? user->full_ns : now_ns;

	if (full_ns + STEP_NS > now_ns + AHEAD_MAX_NS)
		return false;
	user->full_ns = full_ns + STEP_NS;
	return true;
}
