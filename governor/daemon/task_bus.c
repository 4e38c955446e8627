// SPDX-License-Identifier: GPL-2.0-or-later
#include "governor_bus_internal.h"

#include <errno.h>
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "cleanup.h"
#include "ini.h"
#include "nsec.h"

/* One object for each task that the daemon knows. There is nothing to be kept here: an object is
 * found by the number in its path, and what is shown of it is made when it is asked for.
 *
 * What a task runs is its owner's business: only the owner and root see command and directory, in
 * a signal nobody does. */

#define SIGNALS_QUEUED_MAX 4096

const char *task_path(char ret_path[static TASK_PATH_MAX], uint64_t number)
{
	(void)snprintf(ret_path, TASK_PATH_MAX, TASK_PATH "/_%" PRIu64, number);
	return ret_path;
}

bool task_number(const char *path, uint64_t *ret_number)
{
	const char *digits = path + strlen(TASK_PATH "/_");

	if (strncmp(path, TASK_PATH "/_", strlen(TASK_PATH "/_")) != 0 || digits[0] == '0')
		return false;
	return parse_count(digits, 1, UINT64_MAX, ret_number, /* fault= */ NULL) == 0;
}

/* In this one's time, which may be set between two looks at it. */
static uint64_t deadline_realtime_us(const struct daemon_deadline *deadline)
{
	struct timespec real, boot;
	int64_t ahead_ns;

	if (deadline->at_ns == DAEMON_NO_DEADLINE)
		return UINT64_MAX;
	if (deadline->clock == DAEMON_REALTIME)
		return deadline->at_ns / NSEC_PER_USEC;
	(void)clock_gettime(CLOCK_REALTIME, &real);
	(void)clock_gettime(CLOCK_BOOTTIME, &boot);
	ahead_ns = (int64_t)(real.tv_sec - boot.tv_sec) * (int64_t)NSEC_PER_SEC +
		(real.tv_nsec - boot.tv_nsec);
	return (deadline->at_ns + (uint64_t)ahead_ns) / NSEC_PER_USEC;
}

static const char *phase_word(const struct daemon_task_info *info)
{
	static const char *const words[_PHASE_MAX] = {
		[PHASE_WAITING] = "waiting",
		[PHASE_ALIVE] = "alive",
		[PHASE_YIELDED] = "yielding",
		[PHASE_STOPPING] = "stopping",
		[PHASE_ENDED] = "ended",
		[PHASE_VACANT] = "ended",
	};

	if (info->is_paused && info->phase != PHASE_ENDED)
		return "paused";
	return words[info->phase];
}

static void show_target(struct task_shown *shown)
{
	const struct target *target = &shown->info.target;
	int n;

	shown->target[0] = '\0';
	shown->target_text = shown->target;
	if (!shown->info.has_target)
		return;
	n = snprintf(shown->target, sizeof(shown->target), "%s %s %.15g", target->metric,
		target->is_raised ? ">=" : "<=", target->value);
	if (target->in_a_row > 1)
		(void)snprintf(shown->target + n, sizeof(shown->target) - (size_t)n,
			" for %" PRIu32, target->in_a_row);
}

/* False where there is no such task. */
static bool fill_shown(struct governor_bus *bus, uint64_t number, struct task_shown *shown)
{
	const struct daemon_task_info *info = &shown->info;

	if (!daemon_task(bus->setup.daemon, number, &shown->info))
		return false;
	shown->bus = bus;
	shown->owner = info->owner;
	shown->pid = (uint32_t)info->pid;
	/* 0 is auto; less than one is one. */
	shown->threads = info->threads > 0 ? (uint32_t)lround(fmax(info->threads, 1)) : 0;
	show_target(shown);
	shown->number = (uint32_t)info->number;
	shown->deadline_us = deadline_realtime_us(&info->deadline);
	shown->cpu_us = info->cpu_ns / NSEC_PER_USEC;
	shown->began_us = info->began_realtime_ns / NSEC_PER_USEC;
	shown->finished_us = info->finished_realtime_ns / NSEC_PER_USEC;
	shown->phase = phase_word(info);
	shown->outcome = info->outcome == OUTCOME_NONE ? "" : outcome_to_string(info->outcome);
	shown->prospect = prospect_to_string(info->prospect);
	shown->exit_status = info->exit_status;
	shown->is_unheard = info->is_unheard;
	return true;
}

/* Fills bus->task. */
static bool show(struct governor_bus *bus, uint64_t number)
{
	return fill_shown(bus, number, &bus->task);
}

static int find(sd_bus *sd, const char *path, const char *interface, void *userdata,
	void **ret_found, sd_bus_error *error)
{
	struct governor_bus *bus = userdata;
	uint64_t number;

	(void)sd;
	(void)interface;
	(void)error;
	if (!task_number(path, &number) || !show(bus, number))
		return 0;
	*ret_found = &bus->task;
	return 1;
}

static int list(
	sd_bus *sd, const char *prefix, void *userdata, char ***ret_paths, sd_bus_error *error)
{
	struct governor_bus *bus = userdata;
	struct daemon_task_info info = {0};
	size_t n_max = DAEMON_TASKS_MAX + DAEMON_ENDED_MAX, n = 0;
	char **paths = calloc(n_max + 1, sizeof(*paths));

	(void)sd, (void)prefix, (void)error;
	while (paths && n < n_max && daemon_next_task(bus->setup.daemon, info.number, &info)) {
		paths[n] = malloc(TASK_PATH_MAX);
		if (!paths[n]) {
			paths = words_free(paths);
			break;
		}
		(void)task_path(paths[n++], info.number);
	}
	if (!paths)
		return -ENOMEM;
	*ret_paths = paths;
	return 1;
}

/* True for the owner and root, in the answer to a message of theirs. */
static bool may_look(const struct task_shown *task)
{
	sd_bus_message *message = sd_bus_get_current_message(task->bus->bus);
	uid_t sender;

	if (task->bus->is_telling_all || !message ||
		sender_of(task->bus, message, &sender, /* error= */ NULL) < 0)
		return false;
	return sender == 0 || sender == task->info.owner;
}

static int get_command(sd_bus *sd, const char *path, const char *interface, const char *property,
	sd_bus_message *reply, void *userdata, sd_bus_error *error)
{
	const struct task_shown *task = userdata;
	bool is_shown = may_look(task) && task->info.argv;

	(void)sd, (void)path, (void)interface, (void)property, (void)error;
	return sd_bus_message_append_strv(reply, is_shown ? (char **)task->info.argv : NULL);
}

static int get_directory(sd_bus *sd, const char *path, const char *interface, const char *property,
	sd_bus_message *reply, void *userdata, sd_bus_error *error)
{
	const struct task_shown *task = userdata;
	bool is_shown = may_look(task) && task->info.directory;

	(void)sd, (void)path, (void)interface, (void)property, (void)error;
	return sd_bus_message_append(reply, "s", is_shown ? task->info.directory : "");
}

static int no_longer(uint64_t number, sd_bus_error *error)
{
	return sd_bus_error_setf(error, GOVERNOR_ERROR_NO_SUCH_TASK,
		"there is no task of the number %" PRIu64 " any more", number);
}

/* The number of the message's object, whose task is there and in bus->task. */
static int find_again(struct governor_bus *bus, sd_bus_message *message, uint64_t *ret_number,
	sd_bus_error *error)
{
	*ret_number = 0;
	if (!task_number(sd_bus_message_get_path(message), ret_number) || !show(bus, *ret_number))
		return no_longer(*ret_number, error);
	return 0;
}

static int reply(int r, const struct fault *fault, sd_bus_message *message, sd_bus_error *error)
{
	return r < 0 ? fault_to_bus(fault, r, error) : sd_bus_reply_method_return(message, "");
}

static int do_set(
	struct governor_bus *bus, sd_bus_message *message, uid_t sender, sd_bus_error *error)
{
	struct fault fault = FAULT_INIT;
	struct daemon_change change;
	struct options options;
	uint64_t number;
	int r = find_again(bus, message, &number, error);

	if (r >= 0)
		r = sd_bus_message_rewind(message, /* complete= */ true);
	if (r >= 0)
		r = options_read(message, OPTIONS_OF_SET, &options, error);
	if (r < 0)
		return r;
	change = (struct daemon_change){
		.has_deadline = options.has_deadline,
		.has_target = options.has_target,
		.has_threads = options.has_threads,
		.deadline = options.deadline,
		.target = options.target,
		.threads = options.threads,
	};
	options_done(&options);
	r = daemon_change(bus->setup.daemon, number, &change, sender, &fault);
	if (r >= 0)
		(void)task_tell_changed(bus, number);
	return reply(r, &fault, message, error);
}

static int do_cancel(
	struct governor_bus *bus, sd_bus_message *message, uid_t sender, sd_bus_error *error)
{
	struct fault fault = FAULT_INIT;
	uint64_t number;
	int r = find_again(bus, message, &number, error);

	if (r < 0)
		return r;
	r = daemon_cancel(bus->setup.daemon, number, sender, &fault);
	if (r >= 0)
		(void)task_tell_changed(bus, number);
	return reply(r, &fault, message, error);
}

static int do_pause(struct governor_bus *bus, sd_bus_message *message, bool is_paused, uid_t sender,
	sd_bus_error *error)
{
	struct fault fault = FAULT_INIT;
	uint64_t number;
	int r = find_again(bus, message, &number, error);

	if (r < 0)
		return r;
	r = daemon_pause(bus->setup.daemon, number, is_paused, sender, &fault);
	if (r >= 0)
		(void)task_tell_changed(bus, number);
	return reply(r, &fault, message, error);
}

static int do_pause_on(
	struct governor_bus *bus, sd_bus_message *message, uid_t sender, sd_bus_error *error)
{
	return do_pause(bus, message, /* is_paused= */ true, sender, error);
}

static int do_pause_off(
	struct governor_bus *bus, sd_bus_message *message, uid_t sender, sd_bus_error *error)
{
	return do_pause(bus, message, /* is_paused= */ false, sender, error);
}

/* Each is a new decision, and may be new quotas. */
static int change(sd_bus_message *message, void *userdata, allowed_fn allowed, sd_bus_error *error)
{
	const struct task_shown *task = userdata;

	return allow_change(
		task->bus, message, task->info.owner, /* is_paced= */ true, allowed, error);
}

static int method_set(sd_bus_message *message, void *userdata, sd_bus_error *error)
{
	return change(message, userdata, do_set, error);
}

/* No pace: a task has an end but once. */
static int method_cancel(sd_bus_message *message, void *userdata, sd_bus_error *error)
{
	const struct task_shown *task = userdata;

	return allow_change(
		task->bus, message, task->info.owner, /* is_paced= */ false, do_cancel, error);
}

static int method_pause(sd_bus_message *message, void *userdata, sd_bus_error *error)
{
	return change(message, userdata, do_pause_on, error);
}

static int method_resume(sd_bus_message *message, void *userdata, sd_bus_error *error)
{
	return change(message, userdata, do_pause_off, error);
}

#define SHOWN(member) offsetof(struct task_shown, member)
#define CONST SD_BUS_VTABLE_PROPERTY_CONST
#define CHANGES SD_BUS_VTABLE_PROPERTY_EMITS_CHANGE
#define OPEN SD_BUS_VTABLE_UNPRIVILEGED /* to all: who may is for allow() to say */

static const sd_bus_vtable vtable[] = {
	SD_BUS_VTABLE_START(0),
	SD_BUS_METHOD_WITH_ARGS(
		"Set", SD_BUS_ARGS("a{sv}", changes), SD_BUS_NO_RESULT, method_set, OPEN),
	SD_BUS_METHOD_WITH_ARGS("Cancel", SD_BUS_NO_ARGS, SD_BUS_NO_RESULT, method_cancel, OPEN),
	SD_BUS_METHOD_WITH_ARGS("Pause", SD_BUS_NO_ARGS, SD_BUS_NO_RESULT, method_pause, OPEN),
	SD_BUS_METHOD_WITH_ARGS("Resume", SD_BUS_NO_ARGS, SD_BUS_NO_RESULT, method_resume, OPEN),
	SD_BUS_PROPERTY("Number", "u", NULL, SHOWN(number), CONST),
	SD_BUS_PROPERTY("Name", "s", NULL, SHOWN(info.name), CONST),
	SD_BUS_PROPERTY("OwnerUID", "u", NULL, SHOWN(owner), CONST),
	SD_BUS_PROPERTY("PID", "u", NULL, SHOWN(pid), CONST),
	SD_BUS_PROPERTY("Command", "as", get_command, 0, 0),
	SD_BUS_PROPERTY("Directory", "s", get_directory, 0, 0),
	SD_BUS_PROPERTY("Target", "s", NULL, SHOWN(target_text), CHANGES),
	SD_BUS_PROPERTY("DeadlineRealtime", "t", NULL, SHOWN(deadline_us), CHANGES),
	SD_BUS_PROPERTY("Threads", "u", NULL, SHOWN(threads), CHANGES),
	SD_BUS_PROPERTY("Phase", "s", NULL, SHOWN(phase), CHANGES),
	SD_BUS_PROPERTY("Outcome", "s", NULL, SHOWN(outcome), CHANGES),
	SD_BUS_PROPERTY("ShareCPUs", "d", NULL, SHOWN(info.share_cpus), CHANGES),
	SD_BUS_PROPERTY("CPUUSec", "t", NULL, SHOWN(cpu_us), CHANGES),
	SD_BUS_PROPERTY("Value", "d", NULL, SHOWN(info.value), CHANGES),
	SD_BUS_PROPERTY("NReports", "t", NULL, SHOWN(info.n_reports), CHANGES),
	SD_BUS_PROPERTY("Feed", "s", NULL, SHOWN(info.feed), CHANGES),
	SD_BUS_PROPERTY("IsUnheard", "b", NULL, SHOWN(is_unheard), CHANGES),
	SD_BUS_PROPERTY("Prospect", "s", NULL, SHOWN(prospect), CHANGES),
	SD_BUS_PROPERTY("BeganRealtime", "t", NULL, SHOWN(began_us), CHANGES),
	SD_BUS_PROPERTY("FinishedRealtime", "t", NULL, SHOWN(finished_us), CHANGES),
	SD_BUS_PROPERTY("ExitStatus", "i", NULL, SHOWN(exit_status), CHANGES),
	SD_BUS_SIGNAL_WITH_ARGS("Unheard", SD_BUS_NO_ARGS, 0),
	SD_BUS_VTABLE_END,
};

int task_add_vtable(struct governor_bus *bus)
{
	int r = sd_bus_add_fallback_vtable(
		bus->bus, /* slot= */ NULL, TASK_PATH, TASK_INTERFACE, vtable, find, bus);

	return r < 0 ? r
		     : sd_bus_add_node_enumerator(bus->bus, /* slot= */ NULL, TASK_PATH, list, bus);
}

bool is_backed_up(struct governor_bus *bus)
{
	uint64_t n_queued = 0;

	if (sd_bus_get_n_queued_write(bus->bus, &n_queued) < 0 || n_queued <= SIGNALS_QUEUED_MAX)
		return false;
	bus->n_unsent++;
	return true;
}

/* ---- what was told ---- */

/* The place of the first that has this number or a higher one. */
static size_t told_place(const struct governor_bus *bus, uint64_t number)
{
	size_t first = 0, end = bus->n_told;

	while (first < end) {
		size_t middle = first + (end - first) / 2;

		if (bus->told_tasks[middle]->number < number)
			first = middle + 1;
		else
			end = middle;
	}
	return first;
}

/* NULL: it was not told of, or there is no memory to know. */
static struct task_told *find_told(const struct governor_bus *bus, uint64_t number)
{
	size_t place = told_place(bus, number);

	return place < bus->n_told && bus->told_tasks[place]->number == number
		? bus->told_tasks[place]
		: NULL;
}

static struct task_told *add_told(struct governor_bus *bus, uint64_t number)
{
	size_t place = told_place(bus, number);
	struct task_told *told;

	if (bus->n_told == bus->n_told_room) {
		size_t n_room = bus->n_told_room * 2 + 64;
		struct task_told **grown = reallocarray(
			bus->told_tasks, n_room, sizeof(struct task_told *));

		if (!grown)
			return NULL;
		bus->told_tasks = grown;
		bus->n_told_room = n_room;
	}
	told = calloc(1, sizeof(*told));
	if (!told)
		return NULL;
	told->number = number;
	memmove(&bus->told_tasks[place + 1], &bus->told_tasks[place],
		(bus->n_told - place) * sizeof(struct task_told *));
	bus->told_tasks[place] = told;
	bus->n_told++;
	return told;
}

/* As in bus->task. Its text of the target has a place of its own. */
static void take_told(struct governor_bus *bus, uint64_t number)
{
	struct task_told *told = find_told(bus, number);

	if (!told)
		told = add_told(bus, number);
	if (!told)
		return;
	told_take(vtable, &told->shown, &bus->task);
	(void)strcpy(told->shown.target, bus->task.target);
	told->shown.target_text = told->shown.target;
}

void task_tell_begin(struct governor_bus *bus)
{
	struct daemon_task_info info = {0};

	while (daemon_next_task(bus->setup.daemon, info.number, &info))
		if (show(bus, info.number))
			take_told(bus, info.number);
}

void task_tell_done(struct governor_bus *bus)
{
	for (size_t i = 0; i < bus->n_told; i++)
		free(bus->told_tasks[i]);
	free(bus->told_tasks);
	bus->told_tasks = NULL;
	bus->n_told = bus->n_told_room = 0;
}

void task_tell_added(struct governor_bus *bus, uint64_t number)
{
	char path[TASK_PATH_MAX];

	bus->is_telling_all = true;
	(void)sd_bus_emit_object_added(bus->bus, task_path(path, number));
	bus->is_telling_all = false;
	if (show(bus, number))
		take_told(bus, number);
}

void task_tell_removed(struct governor_bus *bus, uint64_t number)
{
	size_t place = told_place(bus, number);
	char path[TASK_PATH_MAX];

	(void)sd_bus_emit_interfaces_removed(
		bus->bus, task_path(path, number), TASK_INTERFACE, NULL);
	if (place == bus->n_told || bus->told_tasks[place]->number != number)
		return;
	free(bus->told_tasks[place]);
	bus->n_told--;
	memmove(&bus->told_tasks[place], &bus->told_tasks[place + 1],
		(bus->n_told - place) * sizeof(struct task_told *));
}

bool task_tell_changed(struct governor_bus *bus, uint64_t number)
{
	const struct task_told *told = find_told(bus, number);
	const char *names[TOLD_NAMES_MAX];
	char path[TASK_PATH_MAX];

	if (!show(bus, number) ||
		!told_differs(vtable, told ? &told->shown : NULL, &bus->task, names))
		return true;
	if (is_backed_up(bus))
		return false;
	(void)sd_bus_emit_properties_changed_strv(
		bus->bus, task_path(path, number), TASK_INTERFACE, (char **)names);
	take_told(bus, number);
	return true;
}

void task_tell_unheard(struct governor_bus *bus, uint64_t number)
{
	char path[TASK_PATH_MAX];

	(void)sd_bus_emit_signal(
		bus->bus, task_path(path, number), TASK_INTERFACE, "Unheard", /* types= */ NULL);
}
