// SPDX-License-Identifier: GPL-2.0-or-later
#include <assert.h>
#include <math.h>

#include "daemon_internal.h"

/* The users that have tasks, as parties with caps (governor_set_caps()). A user has a number while a task
 * of his runs; there are never more of them than tasks. */

struct daemon_caps party_caps(const struct daemon *daemon, uid_t owner)
{
	if (!daemon->setup.caps_of)
		return (struct daemon_caps){.cpus = INFINITY, .n_tasks = UINT32_MAX};
	return daemon->setup.caps_of(daemon->setup.userdata, owner);
}

static uint32_t party_of(const struct daemon *daemon, uid_t owner)
{
	uint32_t party = 0;

	while (party < daemon->setup.n_tasks_max &&
		(daemon->parties[party].n_tasks == 0 || daemon->parties[party].owner != owner))
		party++;
	return party;
}

uint32_t party_n_tasks(const struct daemon *daemon, uid_t owner)
{
	uint32_t party = party_of(daemon, owner);

	return party < daemon->setup.n_tasks_max ? daemon->parties[party].n_tasks : 0;
}

uint32_t daemon_n_vacant(const struct daemon *daemon, uid_t owner)
{
	uint32_t n_most = party_caps(daemon, owner).n_tasks, n_own = party_n_tasks(daemon, owner);
	uint32_t n_free = 0, n_own_free = n_most > n_own ? n_most - n_own : 0;

	if (daemon->is_draining)
		return 0;
	for (uint32_t id = 0; id < daemon->setup.n_tasks_max; id++)
		n_free += !daemon->stage.seats[id];
	return n_free < n_own_free ? n_free : n_own_free;
}

uint32_t party_join(struct daemon *daemon, uid_t owner)
{
	uint32_t party = party_of(daemon, owner);

	if (party == daemon->setup.n_tasks_max)
		for (party = 0; daemon->parties[party].n_tasks > 0; party++)
			assert(party + 1 < daemon->setup.n_tasks_max);
	daemon->parties[party].owner = owner;
	daemon->parties[party].n_tasks++;
	daemon->caps[party] = party_caps(daemon, owner).cpus;
	return party;
}

void party_leave(struct daemon *daemon, uint32_t party)
{
	assert(daemon->parties[party].n_tasks > 0);
	if (--daemon->parties[party].n_tasks == 0)
		daemon->caps[party] = INFINITY;
}

void parties_refresh(struct daemon *daemon)
{
	for (uint32_t party = 0; party < daemon->setup.n_tasks_max; party++)
		if (daemon->parties[party].n_tasks > 0)
			daemon->caps[party] = party_caps(daemon, daemon->parties[party].owner).cpus;
}
