// SPDX-License-Identifier: GPL-2.0-or-later
#include "fake_daemon.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>

#include "cleanup.h"
#include "ini.h"
#include "nsec.h"

#define ROWS_MAX 32
#define PER_USER_MAX 4
#define TOKEN UINT64_C(0x123456789abcdef)

struct daemon {
	struct daemon_task_info rows[ROWS_MAX]; /* number 0: none */
	uint64_t n_given;
	struct daemon_info info;
	struct daemon_listener listener;
	sd_event_source *after; /* tells of the new ones */
	uint64_t n_told;
	int page_fd;
	bool wants_scopes;
	size_t n_user_max;
};

const char *prospect_to_string(enum prospect prospect)
{
	static const char *const names[] = {"unknown", "likely", "unlikely"};

	return names[prospect];
}

static int tell_added(sd_event_source *source, void *userdata)
{
	struct daemon *daemon = userdata;

	(void)source;
	for (; daemon->n_told < daemon->n_given; daemon->n_told++)
		if (daemon->listener.added && fake_task(daemon, daemon->n_told + 1))
			daemon->listener.added(daemon->listener.userdata, daemon->n_told + 1);
	return 0;
}

int fake_daemon_new(struct daemon **ret_daemon, sd_event *event)
{
	struct daemon *daemon = calloc(1, sizeof(*daemon));
	int r;

	if (!daemon)
		return -ENOMEM;
	daemon->info = (struct daemon_info){
		.policy = "core",
		.enforcer = "fake",
		.meter = "fake",
		.guarantee = "kernel",
		.slot_ns = NSEC_PER_SEC,
		.capacity_cpus = 4,
		.budget_cpus = 3,
	};
	daemon->n_user_max = PER_USER_MAX;
	daemon->page_fd = memfd_create("page", MFD_CLOEXEC);
	r = sd_event_add_defer(event, &daemon->after, tell_added, daemon);
	if (r >= 0)
		r = sd_event_source_set_enabled(daemon->after, SD_EVENT_OFF);
	*ret_daemon = daemon;
	return r;
}

struct daemon *daemon_free(struct daemon *daemon)
{
	if (!daemon)
		return NULL;
	for (size_t i = 0; i < ROWS_MAX; i++)
		fake_forget(daemon, daemon->rows[i].number);
	(void)sd_event_source_unref(daemon->after);
	(void)close(daemon->page_fd);
	free(daemon);
	return NULL;
}

struct daemon_task_info *fake_task(struct daemon *daemon, uint64_t number)
{
	for (size_t i = 0; i < ROWS_MAX; i++)
		if (number != 0 && daemon->rows[i].number == number)
			return &daemon->rows[i];
	return NULL;
}

struct daemon_info *fake_info(struct daemon *daemon)
{
	return &daemon->info;
}

const struct daemon_listener *fake_listener(const struct daemon *daemon)
{
	return &daemon->listener;
}

static char **copy_words(const char *const words[])
{
	size_t n = 0;
	char **copy;

	while (words && words[n])
		n++;
	copy = calloc(n + 1, sizeof(*copy));
	for (size_t i = 0; copy && i < n; i++)
		copy[i] = strdup(words[i]);
	return copy;
}

static struct daemon_task_info *add(struct daemon *daemon)
{
	for (size_t i = 0; i < ROWS_MAX; i++)
		if (daemon->rows[i].number == 0) {
			daemon->rows[i] = (struct daemon_task_info){
				.number = ++daemon->n_given,
				.phase = PHASE_ALIVE,
				.threads = 1,
				.deadline.at_ns = DAEMON_NO_DEADLINE,
				.value = (double)NAN,
				.feed = "none",
				.began_realtime_ns = NSEC_PER_SEC,
				.exit_status = -1,
			};
			daemon->info.n_tasks++;
			(void)sd_event_source_set_enabled(daemon->after, SD_EVENT_ONESHOT);
			return &daemon->rows[i];
		}
	return NULL;
}

uint64_t fake_add(struct daemon *daemon, const char *name, uid_t owner)
{
	static const char *const argv[] = {"python3", "train me.py", NULL};
	struct daemon_task_info *row = add(daemon);

	if (!row)
		return 0;
	row->name = strdup(name);
	row->owner = owner;
	row->pid = 4711;
	row->argv = (const char *const *)copy_words(argv);
	row->directory = strdup("/home/somebody");
	return row->number;
}

void fake_forget(struct daemon *daemon, uint64_t number)
{
	struct daemon_task_info *row = fake_task(daemon, number);

	if (!row)
		return;
	free((void *)row->name);
	words_free((char **)row->argv);
	free((void *)row->directory);
	*row = (struct daemon_task_info){0};
}

static void print_deadline(const struct daemon_deadline *deadline)
{
	if (deadline->at_ns == DAEMON_NO_DEADLINE)
		(void)printf(" deadline=none");
	else
		(void)printf(" deadline=%s:%" PRIu64,
			deadline->clock == DAEMON_BOOTTIME ? "boottime" : "realtime",
			deadline->at_ns);
}

static void print_target(bool has_target, const struct target *target)
{
	if (has_target)
		(void)printf(" target=%s%s%g*%" PRIu32, target->metric,
			target->is_raised ? ">=" : "<=", target->value, target->in_a_row);
	else
		(void)printf(" target=none");
}

static void print_submission(const struct daemon_submission *asked)
{
	(void)printf("call submit pid=%d owner=%u name=%s words=", (int)asked->pid,
		(unsigned)asked->owner, asked->name ? asked->name : "-");
	for (size_t i = 0; asked->argv && asked->argv[i]; i++)
		(void)printf("%s%.40s", i > 0 ? "," : "", asked->argv[i]);
	(void)printf(" directory=%s", asked->directory ? asked->directory : "-");
	print_target(asked->has_target, &asked->target);
	print_deadline(&asked->deadline);
	(void)printf(" threads=%g on-target=%d on-deadline=%d grace=%" PRIu64, asked->threads,
		(int)asked->on_target, (int)asked->on_deadline, asked->grace_ns);
	if (asked->scope)
		(void)printf(" scope=%s", asked->scope);
	(void)putchar('\n');
}

static bool has_passed(const struct daemon_deadline *deadline)
{
	struct timespec now;

	if (deadline->at_ns == DAEMON_NO_DEADLINE)
		return false;
	(void)clock_gettime(
		deadline->clock == DAEMON_BOOTTIME ? CLOCK_BOOTTIME : CLOCK_REALTIME, &now);
	return deadline->at_ns <= (uint64_t)now.tv_sec * NSEC_PER_SEC + (uint64_t)now.tv_nsec;
}

static int check_submission(
	const struct daemon *daemon, const struct daemon_submission *asked, struct fault *fault)
{
	size_t n_own = 0;

	if (daemon->info.is_draining)
		return fault_set(fault, -ESHUTDOWN, "the governor takes no tasks at present");
	if (has_passed(&asked->deadline))
		return fault_set(fault, -ERANGE, "the deadline has passed");
	for (size_t i = 0; i < ROWS_MAX; i++) {
		const struct daemon_task_info *row = &daemon->rows[i];

		if (row->number == 0 || row->phase == PHASE_ENDED)
			continue;
		n_own += row->owner == asked->owner;
		if (asked->name && strcmp(row->name, asked->name) == 0)
			return fault_set(fault, -EEXIST, "a task '%s' runs already", asked->name);
	}
	if (n_own >= daemon->n_user_max)
		return fault_set(fault, -EDQUOT, "user %u has %zu tasks already",
			(unsigned)asked->owner, daemon->n_user_max);
	return 0;
}

void fake_want_scopes(struct daemon *daemon)
{
	daemon->wants_scopes = true;
	daemon->n_user_max = ROWS_MAX;
}

bool daemon_wants_scopes(const struct daemon *daemon)
{
	return daemon->wants_scopes;
}

void daemon_confine(const struct daemon *daemon, const char *scope, uid_t sender, const char *why)
{
	(void)daemon, (void)sender, (void)why;
	(void)printf("call confine %s\n", scope);
}

int daemon_check(const struct daemon *daemon, const struct daemon_submission *asked,
	char ret_name[static TASK_NAME_MAX + 1], struct fault *fault)
{
	int r = check_submission(daemon, asked, fault);

	(void)printf("asked %s\n", asked->name ? asked->name : "-");
	if (r == 0)
		(void)snprintf(
			ret_name, TASK_NAME_MAX + 1, "%s", asked->name ? asked->name : "made-up");
	return r;
}

bool daemon_take_again(struct daemon *daemon, const struct daemon_submission *asked,
	uint64_t *ret_number, int *ret_page_fd, uint64_t *ret_token)
{
	(void)daemon, (void)asked, (void)ret_number, (void)ret_page_fd, (void)ret_token;
	return false;
}

int daemon_submit(struct daemon *daemon, const struct daemon_submission *asked,
	uint64_t *ret_number, int *ret_page_fd, uint64_t *ret_token, struct fault *fault)
{
	struct daemon_task_info *row;
	int r = check_submission(daemon, asked, fault);

	if (r < 0)
		return r;
	print_submission(asked);
	row = add(daemon);
	if (!row)
		return fault_set(fault, -EDQUOT, "too many tasks");
	row->name = strdup(asked->name ? asked->name : "made-up");
	row->owner = asked->owner;
	row->pid = asked->pid;
	row->argv = (const char *const *)copy_words(asked->argv);
	row->directory = strdup(asked->directory ? asked->directory : "");
	row->has_target = asked->has_target;
	row->target = asked->target;
	row->deadline = asked->deadline;
	row->threads = asked->threads;
	*ret_number = row->number;
	*ret_page_fd = daemon->page_fd;
	*ret_token = TOKEN;
	return 0;
}

static int find_open(struct daemon *daemon, uint64_t number, struct daemon_task_info **ret_row,
	struct fault *fault)
{
	*ret_row = fake_task(daemon, number);
	if (!*ret_row)
		return fault_set(fault, -ENOENT, "no such task");
	if ((*ret_row)->phase == PHASE_ENDED)
		return fault_set(fault, -EALREADY, "task %s has ended", (*ret_row)->name);
	return 0;
}

int daemon_ended(struct daemon *daemon, uint64_t number, int exit_status, struct fault *fault)
{
	struct daemon_task_info *row;
	int r = find_open(daemon, number, &row, fault);

	if (r == 0)
		(void)printf("call ended %s %d\n", row->name, exit_status);
	return r;
}

int daemon_change(struct daemon *daemon, uint64_t number, const struct daemon_change *change,
	uid_t sender, struct fault *fault)
{
	struct daemon_task_info *row;
	int r = find_open(daemon, number, &row, fault);

	if (r < 0)
		return r;
	if (change->has_deadline && has_passed(&change->deadline))
		return fault_set(fault, -ERANGE, "the deadline has passed");
	(void)printf("call change %s", row->name);
	if (change->has_deadline) {
		print_deadline(&change->deadline);
		row->deadline = change->deadline;
	}
	if (change->has_target) {
		row->has_target = change->target.metric[0] != '\0';
		row->target = change->target;
		print_target(row->has_target, &change->target);
	}
	if (change->has_threads) {
		(void)printf(" threads=%g", change->threads);
		row->threads = change->threads;
	}
	(void)printf(" by %u\n", (unsigned)sender);
	return 0;
}

int daemon_cancel(struct daemon *daemon, uint64_t number, uid_t sender, struct fault *fault)
{
	struct daemon_task_info *row;
	int r = find_open(daemon, number, &row, fault);

	if (r < 0)
		return r;
	(void)printf("call cancel %s by %u\n", row->name, (unsigned)sender);
	row->phase = PHASE_STOPPING;
	row->outcome = OUTCOME_CANCELLED;
	return 0;
}

int daemon_pause(
	struct daemon *daemon, uint64_t number, bool is_paused, uid_t sender, struct fault *fault)
{
	struct daemon_task_info *row;
	int r = find_open(daemon, number, &row, fault);

	if (r < 0)
		return r;
	if (strcmp(row->name, "overloaded") == 0)
		return fault_set(fault, -EDQUOT, "that is too much at once");
	(void)printf(
		"call %s %s by %u\n", is_paused ? "pause" : "resume", row->name, (unsigned)sender);
	row->is_paused = is_paused;
	return 0;
}

int daemon_set_budget(struct daemon *daemon, double budget_cpus, uid_t sender, struct fault *fault)
{
	(void)fault;
	(void)printf("call budget %g by %u\n", budget_cpus, (unsigned)sender);
	daemon->info.budget_cpus = budget_cpus;
	return 0;
}

void daemon_drain(struct daemon *daemon, bool is_draining, uid_t sender)
{
	(void)printf("call drain %d by %u\n", is_draining, (unsigned)sender);
	daemon->info.is_draining = is_draining;
}

bool daemon_next_task(
	const struct daemon *daemon, uint64_t after, struct daemon_task_info *ret_info)
{
	const struct daemon_task_info *next = NULL;

	for (size_t i = 0; i < ROWS_MAX; i++)
		if (daemon->rows[i].number > after &&
			(!next || daemon->rows[i].number < next->number))
			next = &daemon->rows[i];
	if (next)
		*ret_info = *next;
	return next != NULL;
}

bool daemon_task(const struct daemon *daemon, uint64_t number, struct daemon_task_info *ret_info)
{
	return number > 0 && daemon_next_task(daemon, number - 1, ret_info) &&
		ret_info->number == number;
}

uint64_t daemon_find(const struct daemon *daemon, const char *name)
{
	struct daemon_task_info info = {0};
	uint64_t running = 0, newest = 0;

	while (daemon_next_task(daemon, info.number, &info)) {
		if (strcmp(info.name, name) != 0)
			continue;
		newest = info.number;
		if (info.phase != PHASE_ENDED)
			running = info.number;
	}
	return running ? running : newest;
}

void daemon_info(const struct daemon *daemon, struct daemon_info *ret_info)
{
	*ret_info = daemon->info;
}

uint32_t daemon_n_vacant(const struct daemon *daemon, uid_t owner)
{
	uint32_t n_own = 0;

	for (size_t i = 0; i < ROWS_MAX; i++)
		n_own += daemon->rows[i].number != 0 && daemon->rows[i].phase != PHASE_ENDED &&
			daemon->rows[i].owner == owner;
	return daemon->info.is_draining || n_own > daemon->n_user_max
		? 0
		: (uint32_t)(daemon->n_user_max - n_own);
}

void daemon_listen(struct daemon *daemon, const struct daemon_listener *listener)
{
	daemon->listener = *listener;
}
