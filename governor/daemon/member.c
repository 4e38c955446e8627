// SPDX-License-Identifier: GPL-2.0-or-later
#include "member.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cleanup.h"

static void free_words(char **words)
{
	for (size_t i = 0; words && words[i]; i++)
		free(words[i]);
	free(words);
}

static char **copy_words(const char *const words[])
{
	size_t n = 0;
	char **copy;

	while (words && words[n])
		n++;
	copy = calloc(n + 1, sizeof(*copy));
	for (size_t i = 0; copy && i < n; i++) {
		copy[i] = strdup(words[i]);
		if (!copy[i]) {
			free_words(copy);
			return NULL;
		}
	}
	return copy;
}

struct member *member_free(struct member *member)
{
	if (!member)
		return NULL;
	(void)sd_event_source_disable_unref(member->exit_source);
	if (member->pidfd >= 0)
		(void)close(member->pidfd);
	page_free(member->page);
	free(member->name);
	free(member->directory);
	free(member->scope);
	free_words(member->argv);
	free(member);
	return NULL;
}

int member_new(struct member **ret_member, const struct daemon_submission *submission,
	const char *name, uint64_t number)
{
	_cleanup_(cleanup_member_free) struct member *member = calloc(1, sizeof(*member));

	if (!member)
		return -ENOMEM;
	*member = (struct member){
		.number = number,
		.owner = submission->owner,
		.pid = submission->pid,
		.pidfd = -EBADF,
		.has_target = submission->has_target,
		.target = submission->target,
		.deadline = submission->deadline,
		.threads = submission->threads,
		.seat = MEMBER_NO_SEAT,
		.news = {.advised_threads = 1},
	};
	if (submission->pidfd >= 0)
		member->pidfd = fcntl(submission->pidfd, F_DUPFD_CLOEXEC, 3);
	if (submission->pidfd >= 0 && member->pidfd < 0)
		return -errno;
	member->name = strdup(name);
	member->directory = strdup(submission->directory ? submission->directory : "");
	member->argv = copy_words(submission->argv);
	if (submission->scope)
		member->scope = strdup(submission->scope);
	if (!member->name || !member->directory || !member->argv ||
		(submission->scope && !member->scope))
		return -ENOMEM;
	*ret_member = TAKE_PTR(member);
	return 0;
}

void member_name_from(const char *const argv[], char ret_name[static TASK_NAME_MAX + 1])
{
	const char *word = argv && argv[0] ? argv[0] : "task", *slash = strrchr(word, '/');
	size_t n = 0;

	if (slash && slash[1])
		word = slash + 1;
	for (; *word && n < TASK_NAME_MAX - 8; word++) /* room for a number behind it */
		ret_name[n++] = (*word >= 'a' && *word <= 'z') || (*word >= 'A' && *word <= 'Z') ||
				(*word >= '0' && *word <= '9') || strchr("._-", *word)
			? *word
			: '_';
	ret_name[n] = '\0';
	if (!task_name_is_valid(ret_name))
		(void)strcpy(ret_name, "task");
}

int members_reserve(struct members *members)
{
	size_t n_room = members->n_room > 0 ? 2 * members->n_room : 16;
	struct member **all;

	if (members->n < members->n_room)
		return 0;
	all = reallocarray(members->all, n_room, sizeof(*all));
	if (!all)
		return -ENOMEM;
	members->all = all;
	members->n_room = n_room;
	return 0;
}

void members_add(struct members *members, struct member *member)
{
	members->all[members->n++] = member;
	members->last_number = member->number;
}

void members_remove(struct members *members, struct member *member)
{
	size_t at = 0;

	while (at < members->n && members->all[at] != member)
		at++;
	if (at == members->n)
		return;
	members->n--;
	memmove(&members->all[at], &members->all[at + 1],
		(members->n - at) * sizeof(members->all[0]));
}

struct member *members_next(const struct members *members, uint64_t after)
{
	size_t least = 0, most = members->n;

	while (least < most) {
		size_t middle = least + (most - least) / 2;

		if (members->all[middle]->number > after)
			most = middle;
		else
			least = middle + 1;
	}
	return least < members->n ? members->all[least] : NULL;
}

struct member *members_find(const struct members *members, uint64_t number)
{
	struct member *member = number > 0 ? members_next(members, number - 1) : NULL;

	return member && member->number == number ? member : NULL;
}

struct member *members_named(const struct members *members, const char *name, bool is_running)
{
	for (size_t i = members->n; i > 0; i--) {
		struct member *member = members->all[i - 1];

		if ((!is_running || member->seat != MEMBER_NO_SEAT) &&
			strcmp(member->name, name) == 0)
			return member;
	}
	return NULL;
}
