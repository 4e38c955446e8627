// SPDX-License-Identifier: GPL-2.0-or-later
#include "governor_bus.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "cleanup.h"
#include "connect_bus.h"
#include "governor_bus_internal.h"
#include "nsec.h"

/* The object of the governor as a whole, and the way from the daemon's listener to signals. A slot
 * makes one signal for the governor and one for each task that has changed in it. The bus comes after the
 * slots in the event loop, and sd-bus gives it one message a turn: who sends many keeps only the bus
 * waiting. What it does not take is left out (see is_backed_up()), but never that a task has ended. */

#define PRIORITY (SD_EVENT_PRIORITY_NORMAL + 10)

DEFINE_CLEANUP_FUNC(struct governor_bus, governor_bus_free)

static void fill_shown(struct governor_bus *bus, struct governor_shown *shown)
{
	shown->bus = bus;
	daemon_info(bus->setup.daemon, &shown->info);
	shown->slot_us = shown->info.slot_ns / NSEC_PER_USEC;
	shown->worst_late_us = shown->info.worst_late_ns / NSEC_PER_USEC;
	shown->is_draining = shown->info.is_draining;
}

static int show(sd_bus *sd, const char *path, const char *interface, void *userdata,
	void **ret_found, sd_bus_error *error)
{
	struct governor_bus *bus = userdata;
	struct governor_shown *shown = &bus->governor;

	(void)sd, (void)interface, (void)error;
	if (strcmp(path, GOVERNOR_PATH) != 0)
		return 0;
	fill_shown(bus, shown);
	*ret_found = shown;
	return 1;
}

static int no_such_task(struct governor_bus *bus, const char *name, sd_bus_error *error)
{
	const char *words[DAEMON_TASKS_MAX + DAEMON_ENDED_MAX + 1] = {NULL}, *nearest;
	struct daemon_task_info info;
	size_t n = 0;

	for (uint64_t after = 0; n < DAEMON_TASKS_MAX + DAEMON_ENDED_MAX &&
		daemon_next_task(bus->setup.daemon, after, &info);
		after = info.number)
		words[n++] = info.name;
	nearest = nearest_word(name, words);
	if (nearest)
		return sd_bus_error_setf(error, GOVERNOR_ERROR_NO_SUCH_TASK,
			"there is no task '%.100s'; did you mean '%s'?", name, nearest);
	return sd_bus_error_setf(
		error, GOVERNOR_ERROR_NO_SUCH_TASK, "there is no task '%.100s'", name);
}

static int method_get_task(sd_bus_message *message, void *userdata, sd_bus_error *error)
{
	const struct governor_shown *shown = userdata;
	char path[TASK_PATH_MAX];
	const char *name;
	uint64_t number;
	int r = sd_bus_message_read(message, "s", &name);

	if (r < 0)
		return r;
	number = daemon_find(shown->bus->setup.daemon, name);
	if (number == 0)
		return no_such_task(shown->bus, name, error);
	return sd_bus_reply_method_return(message, "o", task_path(path, number));
}

/* No polkit for this: it is a part of running the task, and waits for nobody. */
static int method_ended(sd_bus_message *message, void *userdata, sd_bus_error *error)
{
	const struct governor_shown *shown = userdata;
	struct daemon_task_info info;
	struct fault fault = FAULT_INIT;
	const char *path;
	uint64_t number;
	int32_t status;
	uid_t sender;
	int r = sd_bus_message_read(message, "oi", &path, &status);

	if (r >= 0)
		r = sender_of(shown->bus, message, &sender, error);
	if (r < 0)
		return r;
	if (status < 0 || status > 255)
		return sd_bus_error_setf(error, SD_BUS_ERROR_INVALID_ARGS,
			"%d is no exit status; expected 0 to 255", (int)status);
	if (!task_number(path, &number) || !daemon_task(shown->bus->setup.daemon, number, &info))
		return sd_bus_error_setf(
			error, GOVERNOR_ERROR_NO_SUCH_TASK, "there is no task %.100s", path);
	if (sender != 0 && sender != info.owner)
		return sd_bus_error_setf(error, GOVERNOR_ERROR_NOT_YOURS,
			"task %s is of user %u, not of user %u", info.name, (unsigned)info.owner,
			(unsigned)sender);
	r = daemon_ended(shown->bus->setup.daemon, number, status, &fault);
	return r < 0 ? fault_to_bus(&fault, r, error) : sd_bus_reply_method_return(message, "");
}

static bool tell_changed(struct governor_bus *bus);

static int read_budget(
	struct governor_bus *bus, const char *text, double *ret_cpus, struct fault *fault)
{
	struct daemon_info info;
	struct share share;
	int r = parse_share(text, &share, fault);

	if (r < 0)
		return fault_wrap(fault, -EINVAL, "budget");
	daemon_info(bus->setup.daemon, &info);
	*ret_cpus = share.is_percent ? info.capacity_cpus * share.number / 100 : share.number;
	if (!(*ret_cpus > 0))
		return fault_set(fault, -EINVAL, "budget '%.60s' is nothing to share", text);
	if (*ret_cpus > info.capacity_cpus)
		return fault_set(fault, -EINVAL, "budget '%.60s' is above the capacity of %g CPUs",
			text, info.capacity_cpus);
	return 0;
}

static int do_set_budget(
	struct governor_bus *bus, sd_bus_message *message, uid_t sender, sd_bus_error *error)
{
	struct fault fault = FAULT_INIT;
	const char *text;
	double cpus = 0;
	int r = sd_bus_message_rewind(message, /* complete= */ true);

	if (r >= 0)
		r = sd_bus_message_read(message, "s", &text);
	if (r < 0)
		return r;
	r = read_budget(bus, text, &cpus, &fault);
	if (r >= 0)
		r = daemon_set_budget(bus->setup.daemon, cpus, sender, &fault);
	if (r < 0)
		return fault_to_bus(&fault, r, error);
	(void)tell_changed(bus);
	return sd_bus_reply_method_return(message, "");
}

static int do_drain(
	struct governor_bus *bus, sd_bus_message *message, uid_t sender, sd_bus_error *error)
{
	int is_on, r = sd_bus_message_rewind(message, /* complete= */ true);

	(void)error;
	if (r >= 0)
		r = sd_bus_message_read(message, "b", &is_on);
	if (r < 0)
		return r;
	daemon_drain(bus->setup.daemon, is_on, sender);
	(void)tell_changed(bus);
	return sd_bus_reply_method_return(message, "");
}

static int do_reload(
	struct governor_bus *bus, sd_bus_message *message, uid_t sender, sd_bus_error *error)
{
	struct fault fault = FAULT_INIT;
	int r;

	if (!bus->setup.reload)
		return sd_bus_error_set(error, SD_BUS_ERROR_NOT_SUPPORTED,
			"this governor has no configuration that it could read again");
	r = bus->setup.reload(bus->setup.userdata, sender, &fault);
	if (r < 0)
		return fault_to_bus(&fault, r, error);
	(void)tell_changed(bus);
	return sd_bus_reply_method_return(message, "");
}

/* Everybody may know what they are governed by. */
static int method_show_configuration(sd_bus_message *message, void *userdata, sd_bus_error *error)
{
	const struct governor_shown *shown = userdata;
	const struct governor_bus_setup *setup = &shown->bus->setup;
	_cleanup_free_ char *text = NULL;
	int is_json, r = sd_bus_message_read(message, "b", &is_json);

	if (r < 0)
		return r;
	if (!setup->describe)
		return sd_bus_error_set(error, SD_BUS_ERROR_NOT_SUPPORTED,
			"this governor has no configuration that it could show");
	text = setup->describe(setup->userdata, is_json);
	return text ? sd_bus_reply_method_return(message, "s", text) : -ENOMEM;
}

static int administer(
	sd_bus_message *message, void *userdata, allowed_fn allowed, sd_bus_error *error)
{
	const struct governor_shown *shown = userdata;

	return allow(shown->bus, message, ACTION_SET_BUDGET, allowed, error);
}

static int method_set_budget(sd_bus_message *message, void *userdata, sd_bus_error *error)
{
	return administer(message, userdata, do_set_budget, error);
}

static int method_drain(sd_bus_message *message, void *userdata, sd_bus_error *error)
{
	return administer(message, userdata, do_drain, error);
}

static int method_reload(sd_bus_message *message, void *userdata, sd_bus_error *error)
{
	return administer(message, userdata, do_reload, error);
}

static int get_version(sd_bus *sd, const char *path, const char *interface, const char *property,
	sd_bus_message *reply, void *userdata, sd_bus_error *error)
{
	const struct governor_shown *shown = userdata;

	(void)sd, (void)path, (void)interface, (void)property, (void)error;
	return sd_bus_message_append(reply, "s", shown->bus->setup.version);
}

/* For who asks: the caps are a user's. */
static int get_n_vacant(sd_bus *sd, const char *path, const char *interface, const char *property,
	sd_bus_message *reply, void *userdata, sd_bus_error *error)
{
	const struct governor_shown *shown = userdata;
	sd_bus_message *message = sd_bus_get_current_message(shown->bus->bus);
	uid_t sender;
	int r = message ? sender_of(shown->bus, message, &sender, error) : -EOPNOTSUPP;

	(void)sd, (void)path, (void)interface, (void)property;
	if (r < 0)
		return r;
	return sd_bus_message_append(reply, "u", daemon_n_vacant(shown->bus->setup.daemon, sender));
}

#define SHOWN(member) offsetof(struct governor_shown, member)
#define CONST SD_BUS_VTABLE_PROPERTY_CONST
#define CHANGES SD_BUS_VTABLE_PROPERTY_EMITS_CHANGE
#define OPEN SD_BUS_VTABLE_UNPRIVILEGED /* to all: who may is for allow() to say */

static const sd_bus_vtable vtable[] = {
	SD_BUS_VTABLE_START(0),
	SD_BUS_METHOD_WITH_ARGS("Submit", SD_BUS_ARGS("h", process, "a{sv}", options),
		SD_BUS_RESULT("o", task, "h", page, "t", token, "s", prospect), submit_method,
		OPEN),
	SD_BUS_METHOD_WITH_ARGS(
		"Ended", SD_BUS_ARGS("o", task, "i", status), SD_BUS_NO_RESULT, method_ended, OPEN),
	SD_BUS_METHOD_WITH_ARGS(
		"GetTask", SD_BUS_ARGS("s", name), SD_BUS_RESULT("o", task), method_get_task, OPEN),
	SD_BUS_METHOD_WITH_ARGS(
		"SetBudget", SD_BUS_ARGS("s", budget), SD_BUS_NO_RESULT, method_set_budget, OPEN),
	SD_BUS_METHOD_WITH_ARGS(
		"Drain", SD_BUS_ARGS("b", on), SD_BUS_NO_RESULT, method_drain, OPEN),
	SD_BUS_METHOD_WITH_ARGS("Reload", SD_BUS_NO_ARGS, SD_BUS_NO_RESULT, method_reload, OPEN),
	SD_BUS_METHOD_WITH_ARGS("ShowConfiguration", SD_BUS_ARGS("b", json),
		SD_BUS_RESULT("s", text), method_show_configuration, OPEN),
	SD_BUS_PROPERTY("Version", "s", get_version, 0, CONST),
	SD_BUS_PROPERTY("Policy", "s", NULL, SHOWN(info.policy), CHANGES),
	SD_BUS_PROPERTY("SlotUSec", "t", NULL, SHOWN(slot_us), CHANGES),
	SD_BUS_PROPERTY("CapacityCPUs", "d", NULL, SHOWN(info.capacity_cpus), CHANGES),
	SD_BUS_PROPERTY("BudgetCPUs", "d", NULL, SHOWN(info.budget_cpus), CHANGES),
	SD_BUS_PROPERTY("GrantedCPUs", "d", NULL, SHOWN(info.granted_cpus), CHANGES),
	SD_BUS_PROPERTY("UsedCPUs", "d", NULL, SHOWN(info.used_cpus), CHANGES),
	SD_BUS_PROPERTY("Enforcer", "s", NULL, SHOWN(info.enforcer), CHANGES),
	SD_BUS_PROPERTY("Meter", "s", NULL, SHOWN(info.meter), CHANGES),
	SD_BUS_PROPERTY("Guarantee", "s", NULL, SHOWN(info.guarantee), CHANGES),
	SD_BUS_PROPERTY("NTasks", "u", NULL, SHOWN(info.n_tasks), CHANGES),
	SD_BUS_PROPERTY("NAtRisk", "u", NULL, SHOWN(info.n_at_risk), CHANGES),
	SD_BUS_PROPERTY("NSlots", "t", NULL, SHOWN(info.n_slots), 0),
	SD_BUS_PROPERTY("NSlotsMissed", "t", NULL, SHOWN(info.n_missed), CHANGES),
	SD_BUS_PROPERTY("NSlotsLate", "t", NULL, SHOWN(info.n_late), CHANGES),
	SD_BUS_PROPERTY("WorstLatenessUSec", "t", NULL, SHOWN(worst_late_us), 0),
	SD_BUS_PROPERTY("NVacant", "u", get_n_vacant, 0, 0),
	SD_BUS_PROPERTY("IsDraining", "b", NULL, SHOWN(is_draining), CHANGES),
	SD_BUS_SIGNAL_WITH_ARGS("TaskEnded", SD_BUS_ARGS("o", task, "s", name, "s", outcome), 0),
	SD_BUS_VTABLE_END,
};

/* What is other than it was told. False where the bus does not take it now. */
static bool tell_changed(struct governor_bus *bus)
{
	const char *names[TOLD_NAMES_MAX];
	struct governor_shown now;

	fill_shown(bus, &now);
	if (!told_differs(vtable, &bus->told, &now, names))
		return true;
	if (is_backed_up(bus))
		return false;
	(void)sd_bus_emit_properties_changed_strv(
		bus->bus, GOVERNOR_PATH, GOVERNOR_INTERFACE, (char **)names);
	told_take(vtable, &bus->told, &now);
	return true;
}

static void heard_added(void *userdata, uint64_t number)
{
	task_tell_added(userdata, number);
}

static void heard_removed(void *userdata, uint64_t number)
{
	task_tell_removed(userdata, number);
}

static bool heard_changed(void *userdata, uint64_t number)
{
	return task_tell_changed(userdata, number);
}

static void heard_unheard(void *userdata, uint64_t number)
{
	task_tell_unheard(userdata, number);
}

static void tell_ended(
	struct governor_bus *bus, uint64_t number, const char *name, const char *outcome)
{
	char path[TASK_PATH_MAX];

	(void)sd_bus_emit_signal(bus->bus, GOVERNOR_PATH, GOVERNOR_INTERFACE, "TaskEnded", "oss",
		task_path(path, number), name, outcome);
}

static void heard_ended(void *userdata, uint64_t number)
{
	struct governor_bus *bus = userdata;
	struct daemon_task_info info;

	submit_answer_held(bus);
	if (!daemon_task(bus->setup.daemon, number, &info))
		return;
	tell_ended(bus, number, info.name, outcome_to_string(info.outcome));
}

static bool heard_slot(void *userdata)
{
	struct governor_bus *bus = userdata;

	submit_answer_held(bus);
	return tell_changed(bus);
}

static int heard_lost(sd_bus_message *message, void *userdata, sd_bus_error *error)
{
	struct governor_bus *bus = userdata;

	(void)message, (void)error;
	if (bus->setup.lost)
		bus->setup.lost(bus->setup.userdata);
	return 1;
}

static int add_objects(struct governor_bus *bus)
{
	int r = sd_bus_add_object_manager(bus->bus, /* slot= */ NULL, GOVERNOR_PATH);

	if (r >= 0)
		r = sd_bus_add_fallback_vtable(bus->bus, /* slot= */ NULL, GOVERNOR_PATH,
			GOVERNOR_INTERFACE, vtable, show, bus);
	if (r >= 0)
		r = task_add_vtable(bus);
	if (r >= 0)
		r = log_control_add(bus);
	if (r >= 0)
		r = sd_bus_match_signal(bus->bus, /* slot= */ NULL, /* sender= */ NULL,
			"/org/freedesktop/DBus/Local", "org.freedesktop.DBus.Local", "Disconnected",
			heard_lost, bus);
	if (r >= 0)
		r = sd_bus_attach_event(bus->bus, bus->setup.event, PRIORITY);
	return r;
}

static int take_name(struct governor_bus *bus, struct fault *fault)
{
	int r = sd_bus_request_name(bus->bus, GOVERNOR_NAME, /* flags= */ 0);

	if (r == -EEXIST)
		return fault_set(fault, r, "another governor is on this bus as " GOVERNOR_NAME);
	if (r == -EACCES || r == -EPERM)
		return fault_set(fault, r,
			"the bus does not let this user be " GOVERNOR_NAME
			" (its policy is org.coregov.Governor1.conf)");
	return r < 0 ? fault_errno(fault, r, "take the name " GOVERNOR_NAME " on the bus") : 0;
}

int governor_bus_new(
	struct governor_bus **ret_bus, const struct governor_bus_setup *setup, struct fault *fault)
{
	_cleanup_(cleanup_governor_bus_free) struct governor_bus *bus = calloc(1, sizeof(*bus));
	struct daemon_listener listener = {
		.added = heard_added,
		.removed = heard_removed,
		.changed = heard_changed,
		.unheard = heard_unheard,
		.ended = heard_ended,
		.slot = heard_slot,
	};
	int r;

	if (!bus)
		return fault_errno(fault, -ENOMEM, "go on the bus");
	bus->setup = *setup;
	r = connect_bus(setup->place, &bus->bus, fault);
	if (r < 0)
		return r;
	r = add_objects(bus);
	if (r < 0)
		return fault_errno(fault, r, "go on the bus");
	r = take_name(bus, fault);
	if (r < 0)
		return r;
	fill_shown(bus, &bus->told);
	task_tell_begin(bus);
	listener.userdata = bus;
	daemon_listen(setup->daemon, &listener);
	*ret_bus = TAKE_PTR(bus);
	return 0;
}

void governor_bus_set_defaults(
	struct governor_bus *bus, const struct governor_bus_defaults *defaults)
{
	bus->setup.defaults = *defaults;
}

struct governor_bus *governor_bus_free(struct governor_bus *bus)
{
	static const struct daemon_listener nobody = {0};

	if (!bus)
		return NULL;
	daemon_listen(bus->setup.daemon, &nobody);
	questions_done(bus);
	submit_done(bus);
	task_tell_done(bus);
	(void)sd_bus_flush_close_unref(bus->bus);
	free(bus);
	return NULL;
}
