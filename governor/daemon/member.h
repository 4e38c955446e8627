/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <systemd/sd-event.h>

#include "cleanup.h"
#include "daemon.h"
#include "governor.h"
#include "outlook.h"
#include "page.h"
#include "prior.h"
#include "share_told.h"

/* What the daemon knows of one task, while it runs and for a while after. Owns its strings, its pidfd and
 * its page. */

#define MEMBER_NO_SEAT UINT32_MAX

struct member {
	struct daemon *daemon;
	uint64_t number;
	char *name, *directory;
	char *scope; /* that it is in; NULL: none */
	char **argv;
	uid_t owner;
	pid_t pid;
	int pidfd;            /* -EBADF: it had ended before it was taken over */
	uint64_t start_ticks; /* of that process, 0: not known */
	sd_event_source *exit_source;
	struct page *page;
	bool may_come_again; /* its launcher may have had no answer from the daemon before */
	bool has_lost_page;  /* one that was heard of through it, taken over without it */
	struct page_news news;
	bool has_target;
	struct target target;
	struct daemon_deadline deadline;
	double threads;
	uint32_t seat;   /* its id in the loop, MEMBER_NO_SEAT once it has ended */
	bool is_placed;  /* the enforcer knows it */
	bool is_metered; /* the meter knows it */
	bool has_exited; /* its first process */
	bool has_status;
	int exit_status;
	uint64_t
		exited_ns; /* loop time at which that was seen, or later: it is waited for its status from then on */
	uint64_t began_realtime_ns, finished_realtime_ns;
	struct task_status last;  /* where it has ended */
	char feed[16];            /* likewise */
	struct forecast forecast; /* as of so many reports; 0: none yet */
	uint64_t forecast_reports;
	/* As it was looked at last while it had no outcome. */
	struct {
		bool has_forecast; /* the one above */
		double cpu_s;      /* used by then */
		double left_s;     /* of CPU time that it could have until its deadline */
	} look;
	struct prior prior; /* by earlier runs, as of its start or its newest target */
	struct share_told share_told;
	/* As it was written down last: is it worth writing down again? */
	struct {
		uint64_t n_reports;
		enum phase phase;
		enum outcome outcome;
		bool is_paused;
	} kept;
	struct outlook outlook; /* and what was told of that */
	bool is_told_to_stop; /* that it was made to stop, by the means that follow, has been told */
	enum stop_step told_step;
	/* For the listener, since it was last called. */
	bool is_new, has_changed, has_gone_unheard, has_ended;
};

/* Copies what was submitted (pidfd < 0: its process has ended). 0, or -ENOMEM or what dup() says. `name` is the
 * final one. */
int member_new(struct member **ret_member, const struct daemon_submission *submission,
	const char *name, uint64_t number);
struct member *member_free(struct member *member);
DEFINE_CLEANUP_FUNC(struct member, member_free)

/* A name made from a command: its last part, and what is no part of a name replaced. */
void member_name_from(const char *const argv[], char ret_name[static TASK_NAME_MAX + 1]);

/* Those that are known, by number. */
struct members {
	struct member **all;
	size_t n, n_room;
	uint64_t last_number;
};

/* Room for one more. 0 or -ENOMEM. */
int members_reserve(struct members *members);
void members_add(struct members *members, struct member *member);
/* Takes it out, does not free it. */
void members_remove(struct members *members, struct member *member);
struct member *members_find(const struct members *members, uint64_t number);
/* The first with a number above. */
struct member *members_next(const struct members *members, uint64_t after);
/* The newest of that name; is_running: only among those in a seat. NULL where there is none. */
struct member *members_named(const struct members *members, const char *name, bool is_running);
