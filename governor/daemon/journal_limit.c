// SPDX-License-Identifier: GPL-2.0-or-later
#include "journal_limit.h"

#include "nsec.h"

/* Token buckets, each written as the moment when it is full again, as in pace.c. A line that is asked for takes
 * one of both. */

#define STEP_NS (NSEC_PER_SEC / LIMIT_PER_SECOND)
#define ASKED_STEP_NS (NSEC_PER_SEC / LIMIT_ASKED_PER_SECOND)

static uint64_t least_full_ns(uint64_t full_ns, uint64_t now_ns)
{
	return full_ns > now_ns ? full_ns : now_ns;
}

/* Who has something to be told of keeps the place; else it is that of who needs it least. */
static bool is_better_place(const struct limit_user *a, const struct limit_user *b)
{
	if ((a->n_left_out == 0) != (b->n_left_out == 0))
		return a->n_left_out == 0;
	return a->full_ns < b->full_ns;
}

static struct limit_user *place_of(struct limit *limit, uid_t uid)
{
	struct limit_user *best = &limit->users[0];

	for (int i = 0; i < LIMIT_USERS_MAX; i++) {
		struct limit_user *user = &limit->users[i];

		if (user->full_ns > 0 && user->uid == uid)
			return user;
		if (is_better_place(user, best))
			best = user;
	}
	*best = (struct limit_user){.uid = uid};
	return best;
}

/* So many are kept for what is worth more. */
static const uint64_t n_kept[] = {
	[LIMIT_RANK_LATER] = LIMIT_AFTER_SHARES,
	[LIMIT_RANK_ASKED] = LIMIT_RESERVE,
	[LIMIT_RANK_LIFE] = LIMIT_RESERVE,
	[LIMIT_RANK_OUTCOME] = 0,
};

bool limit_take(struct limit *limit, uid_t uid, enum limit_rank rank, uint64_t now_ns)
{
	struct limit_user *user = place_of(limit, uid);
	uint64_t full_ns = least_full_ns(user->full_ns, now_ns) + STEP_NS;
	uint64_t asked_full_ns = least_full_ns(user->asked_full_ns, now_ns) + ASKED_STEP_NS;
	uint64_t n_most = LIMIT_LINES - n_kept[rank];

	/* One that is refused has a place, too: it is counted. */
	user->full_ns = least_full_ns(user->full_ns, now_ns);
	if (full_ns > now_ns + n_most * STEP_NS)
		return false;
	if (rank == LIMIT_RANK_ASKED) {
		if (asked_full_ns > now_ns + LIMIT_ASKED * ASKED_STEP_NS)
			return false;
		user->asked_full_ns = asked_full_ns;
	}
	user->full_ns = full_ns;
	return true;
}

void limit_leave_out(struct limit *limit, uid_t uid, uint64_t now_ns)
{
	struct limit_user *user = place_of(limit, uid);

	user->full_ns = least_full_ns(user->full_ns, now_ns);
	if (user->n_left_out++ == 0)
		user->left_out_ns = now_ns;
}

uint64_t limit_due_ns(const struct limit *limit)
{
	uint64_t due_ns = UINT64_MAX;

	for (int i = 0; i < LIMIT_USERS_MAX; i++) {
		const struct limit_user *user = &limit->users[i];

		if (user->n_left_out > 0 && user->left_out_ns + LIMIT_TELL_NS < due_ns)
			due_ns = user->left_out_ns + LIMIT_TELL_NS;
	}
	return due_ns;
}

bool limit_next_due(struct limit *limit, uint64_t now_ns, uid_t *ret_uid, uint64_t *ret_n_left_out)
{
	for (int i = 0; i < LIMIT_USERS_MAX; i++) {
		struct limit_user *user = &limit->users[i];

		if (user->n_left_out == 0 || user->left_out_ns + LIMIT_TELL_NS > now_ns)
			continue;
		*ret_uid = user->uid;
		*ret_n_left_out = user->n_left_out;
		user->n_left_out = 0;
		return true;
	}
	return false;
}
