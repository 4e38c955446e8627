// SPDX-License-Identifier: GPL-2.0-or-later
#include <stdio.h>
#include <string.h>

#include "daemon_internal.h"

/* What the next daemon has to know. See ledger.h. */

#define FD_NAME_MAX 32

static void failed(struct daemon *daemon, int r)
{
	if (r == 0 || daemon->has_told_ledger)
		return;
	daemon->has_told_ledger = true;
	daemon_say(daemon, "not-kept", /* name= */ NULL,
		"%s cannot be written to (%s): after a restart of the daemon the tasks that "
		"run may not be taken over, or as they were before",
		daemon->setup.ledger_path, strerror(-r));
}

/* As many whole words as fit. */
static void pack_words(char *const words[], char ret_packed[static LEDGER_ARGV_MAX])
{
	size_t n = 0;

	for (size_t i = 0; words && words[i]; i++) {
		size_t length = strlen(words[i]) + 1;

		/* An empty word would end it. */
		if (length == 1 || n + length + 1 > LEDGER_ARGV_MAX)
			break;
		memcpy(ret_packed + n, words[i], length);
		n += length;
	}
	ret_packed[n] = '\0';
}

static void fill(const struct daemon *daemon, const struct member *member, struct ledger_task *ret)
{
	const struct bundle_task *planned = &daemon->bundle.tasks[member->seat];

	memset(ret, 0, sizeof(*ret)); /* also what no member has, on its way to a file */
	ret->number = member->number;
	(void)snprintf(ret->name, sizeof(ret->name), "%s", member->name);
	(void)snprintf(ret->scope, sizeof(ret->scope), "%s", member->scope ? member->scope : "");
	(void)snprintf(ret->directory, sizeof(ret->directory), "%s", member->directory);
	pack_words(member->argv, ret->argv);
	ret->owner = member->owner;
	ret->pid = member->pid;
	ret->start_ticks = member->start_ticks;
	ret->has_target = member->has_target;
	ret->target = member->target;
	ret->deadline = member->deadline;
	ret->threads = member->threads;
	ret->on_target = planned->on_target;
	ret->on_deadline = planned->on_deadline;
	ret->grace_ns = planned->grace_ns;
	ret->began_realtime_ns = member->began_realtime_ns;
	page_place(member->page, &ret->page);
	governor_past(daemon->governor, member->seat, &ret->past);
}

void daemon_keep(struct daemon *daemon, struct member *member)
{
	struct ledger_task task;
	struct task_status status;

	if (!daemon->ledger || member->seat == MEMBER_NO_SEAT)
		return;
	governor_task_status(daemon->governor, member->seat, &status);
	if (status.phase == PHASE_ENDED)
		return;
	fill(daemon, member, &task);
	failed(daemon, ledger_keep(daemon->ledger, member->seat, &task));
	member->kept.n_reports = status.n_reports;
	member->kept.phase = status.phase;
	member->kept.outcome = status.outcome;
	member->kept.is_paused = status.is_paused;
}

/* What it has used is counted by the kernel, too: that alone is no news. */
static bool has_news(const struct daemon *daemon, const struct member *member)
{
	struct task_status status;

	governor_task_status(daemon->governor, member->seat, &status);
	return status.n_reports != member->kept.n_reports || status.phase != member->kept.phase ||
		status.outcome != member->kept.outcome ||
		status.is_paused != member->kept.is_paused;
}

void daemon_keep_news(struct daemon *daemon)
{
	for (uint32_t id = 0; daemon->ledger && id < daemon->setup.n_tasks_max; id++) {
		struct member *member = daemon->stage.seats[id];

		if (member && has_news(daemon, member))
			daemon_keep(daemon, member);
	}
}

void daemon_keep_whole(struct daemon *daemon)
{
	const struct ledger_whole whole = {
		.last_number = daemon->members.last_number,
		.configured_cpus = daemon->configured_cpus,
		.budget_cpus = daemon->setup.budget_cpus,
		.is_draining = daemon->is_draining,
	};

	if (daemon->ledger)
		failed(daemon, ledger_keep_whole(daemon->ledger, &whole));
}

static void name_page(uint64_t number, char ret_name[static FD_NAME_MAX])
{
	(void)snprintf(ret_name, FD_NAME_MAX, "page-%llu", (unsigned long long)number);
}

void daemon_keep_page(struct daemon *daemon, const struct member *member)
{
	char name[FD_NAME_MAX];

	if (!daemon->setup.keep_fd)
		return;
	name_page(member->number, name);
	daemon->setup.keep_fd(daemon->setup.userdata, name, page_fd(member->page));
}

int daemon_kept_page(struct daemon *daemon, uint64_t number)
{
	char name[FD_NAME_MAX];

	if (!daemon->setup.take_fd)
		return -ENOENT;
	name_page(number, name);
	return daemon->setup.take_fd(daemon->setup.userdata, name);
}

void daemon_keep_end(struct daemon *daemon, uint32_t seat, uint64_t number)
{
	char name[FD_NAME_MAX];

	if (daemon->ledger)
		failed(daemon, ledger_forget(daemon->ledger, seat));
	if (!daemon->setup.drop_fd)
		return;
	name_page(number, name);
	daemon->setup.drop_fd(daemon->setup.userdata, name);
}
