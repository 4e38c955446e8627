/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

/* How many lines of the journal each user may cause. What one has used up takes nothing from another, and what
 * a user can ask for without end takes nothing from what becomes of his tasks. Pure.
 *
 * LIMIT_LINES at once: 200 tasks that are submitted together, have a share and another, are cancelled together,
 * made to stop, have a last share and end, are 1400 lines, and are told whole (test_burst). LIMIT_PER_SECOND after
 * that: a loop of `coregov run` is told of at that pace, and of 200 tasks whose shares change all the time each is
 * told of every 20 s. Shares leave LIMIT_AFTER_SHARES lines, since they can wait, so that it is told when such tasks begin and end.
 *
 * Of these, LIMIT_ASKED at once are for what is asked for as often as one likes (a task is set, paused, resumed),
 * and LIMIT_ASKED_PER_SECOND: whoever does that all the time uses up less than comes back. LIMIT_RESERVE are kept
 * for what matters most, what tasks come to. */
#define LIMIT_LINES 1600
#define LIMIT_PER_SECOND 10
#define LIMIT_ASKED 200
#define LIMIT_ASKED_PER_SECOND 2
#define LIMIT_AFTER_SHARES 800
#define LIMIT_RESERVE 100

/* How many were left out is told so long after the first of them. */
#define LIMIT_TELL_NS (10 * UINT64_C(1000000000))

/* Users that are remembered at a time: as many as may have tasks, and some. */
#define LIMIT_USERS_MAX 1024

enum limit_rank {
	LIMIT_RANK_LATER,   /* it is told as it is then: a share */
	LIMIT_RANK_ASKED,   /* somebody asks for it, again and again */
	LIMIT_RANK_LIFE,    /* a task begins, is made to stop, ends */
	LIMIT_RANK_OUTCOME, /* what has become of it, or will; what was decided for all */
};

struct limit_user {
	uid_t uid;
	uint64_t full_ns,
		asked_full_ns; /* when all may be had at once again; the former 0: nobody's place */
	uint64_t n_left_out;   /* and not told of; of those the first */
	uint64_t left_out_ns;
};

/* All zero at first. */
struct limit {
	struct limit_user users[LIMIT_USERS_MAX];
};

/* Takes one of the user's; false where there is none left. now_ns: of a clock that does not go back. */
bool limit_take(struct limit *limit, uid_t uid, enum limit_rank rank, uint64_t now_ns);
/* One was left out for that, and does not come later. */
void limit_leave_out(struct limit *limit, uid_t uid, uint64_t now_ns);

/* When the next user's are to be told of; UINT64_MAX: there are none. */
uint64_t limit_due_ns(const struct limit *limit);
/* One whose are due by now: true, who that is, and how many were left out, which counts from 0 again. */
bool limit_next_due(struct limit *limit, uint64_t now_ns, uid_t *ret_uid, uint64_t *ret_n_left_out);
