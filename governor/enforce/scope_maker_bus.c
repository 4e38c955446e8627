// SPDX-License-Identifier: GPL-2.0-or-later
#include "scope_maker.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cleanup.h"
#include "nsec.h"
#include "unit_bus_internal.h"

/* The same as in unit_bus.c, with several at once, and a connection that stays. systemd takes one call after the
 * other, and everybody else's, too: so many wait there at most, and the rest here. What came first is made
 * first.
 *
 * Where somebody has subscribed to systemd's signals, as logind has, the end of each job on the machine is told to
 * all who listen. So that is listened to while a scope is wanted only: an idle governor is not woken up. */

#define AT_ONCE 16
#define PATIENCE_US (60 * USEC_PER_SEC)
#define PRIORITY (SD_EVENT_PRIORITY_NORMAL + 10) /* after the slots */

DEFINE_CLEANUP_FUNC(sd_bus_message, sd_bus_message_unref)

struct wanted {
	struct scope_maker *maker;
	struct wanted *next;
	char unit[UNIT_NAME_MAX];
	char *description;
	pid_t pid;
	int pidfd; /* duplicated */
	scope_made_fn made;
	void *userdata;
	bool is_asked_for;
	sd_bus_slot *slot; /* the call */
	sd_event_source *timer;
};

struct scope_maker {
	sd_event *event;
	sd_bus *bus;          /* NULL: none yet */
	sd_bus_slot *jobs;    /* listens to the ends of jobs; NULL: it does not */
	bool is_lost;         /* the connection; a bus is not let go of while it calls us */
	struct wanted *first; /* in their order */
	unsigned n_asked_for;
	char manager[64]; /* systemd's name on the bus, as it answers */
};

static struct wanted *wanted_free(struct wanted *wanted)
{
	if (!wanted)
		return NULL;
	(void)sd_bus_slot_unref(wanted->slot);
	(void)sd_event_source_disable_unref(wanted->timer);
	if (wanted->pidfd >= 0)
		(void)close(wanted->pidfd);
	free(wanted->description);
	free(wanted);
	return NULL;
}

static void take_out(struct wanted *wanted)
{
	struct scope_maker *maker = wanted->maker;
	struct wanted **link = &maker->first;

	while (*link != wanted)
		link = &(*link)->next;
	*link = wanted->next;
	maker->n_asked_for -= wanted->is_asked_for;
}

/* The last that happens with it. */
static void tell(struct wanted *wanted, int r, const char *why)
{
	struct scope_maker *maker = wanted->maker;
	struct fault fault = FAULT_INIT;

	take_out(wanted);
	if (r < 0)
		(void)fault_set(&fault, r, "systemd did not make %s: %s", wanted->unit, why);
	wanted->made(wanted->userdata, r, &fault);
	(void)wanted_free(wanted);
	if (!maker->first)
		maker->jobs = sd_bus_slot_unref(maker->jobs);
}

static void ask(struct scope_maker *maker);

static int on_answer(sd_bus_message *answer, void *userdata, sd_bus_error *ignored)
{
	struct wanted *wanted = userdata;
	struct scope_maker *maker = wanted->maker;
	const sd_bus_error *error = sd_bus_message_get_error(answer);
	int r = sd_bus_message_get_errno(answer);

	(void)ignored;
	if (!error) { /* the job is under way */
		const char *manager = sd_bus_message_get_sender(answer);

		(void)snprintf(
			maker->manager, sizeof(maker->manager), "%s", manager ? manager : "");
		return 1;
	}
	tell(wanted, r > 0 ? -r : -EIO, error->message ? error->message : error->name);
	ask(maker);
	return 1;
}

static int call(struct wanted *wanted)
{
	_cleanup_(cleanup_sd_bus_message_unref) sd_bus_message *message = NULL;
	const struct unit_scope scope = {
		.unit = wanted->unit,
		.description = wanted->description,
		.slice = UNIT_SLICE,
		.pids = &wanted->pid,
		.n_pids = 1,
	};
	struct pollfd ended = {.fd = wanted->pidfd, .events = POLLIN};
	sd_bus *bus = wanted->maker->bus;
	int r;

	/* It may have waited, and its number may be another's by now. */
	if (poll(&ended, 1, 0) != 0)
		return -ESRCH;
	r = unit_bus_scope_call(bus, &scope, &message);
	if (r >= 0)
		r = sd_bus_call_async(bus, &wanted->slot, message, on_answer, wanted, PATIENCE_US);
	return r;
}

/* For as many as may be. */
static void ask(struct scope_maker *maker)
{
	struct wanted *wanted = maker->first;

	while (wanted && maker->n_asked_for < AT_ONCE) {
		int r = 0;

		if (!wanted->is_asked_for) {
			wanted->is_asked_for = true;
			maker->n_asked_for++;
			r = call(wanted);
		}
		if (r < 0)
			tell(wanted, r, strerror(-r));
		wanted = r < 0 ? maker->first : wanted->next;
	}
}

/* Whoever has asked for a job hears of its end. */
static int on_job_removed(sd_bus_message *message, void *userdata, sd_bus_error *ignored)
{
	struct scope_maker *maker = userdata;
	struct wanted *wanted = maker->first;
	const char *path, *unit, *result, *sender = sd_bus_message_get_sender(message);
	uint32_t id;

	(void)ignored;
	/* sd-bus lets everybody's through. */
	if (!sender || strcmp(sender, maker->manager) != 0)
		return 0;
	if (sd_bus_message_read(message, "uoss", &id, &path, &unit, &result) < 0)
		return 0;
	while (wanted && !(wanted->is_asked_for && strcmp(wanted->unit, unit) == 0))
		wanted = wanted->next;
	if (!wanted)
		return 0;
	tell(wanted, strcmp(result, "done") == 0 ? 0 : -EIO, result);
	ask(maker);
	return 0;
}

static int on_lost(sd_bus_message *message, void *userdata, sd_bus_error *ignored)
{
	struct scope_maker *maker = userdata;

	(void)message, (void)ignored;
	maker->is_lost = true;
	while (maker->first)
		tell(maker->first, -ECONNRESET, "the connection to it was lost");
	return 1;
}

static int on_too_late(sd_event_source *source, uint64_t usec, void *userdata)
{
	struct wanted *wanted = userdata;
	struct scope_maker *maker = wanted->maker;

	(void)source, (void)usec;
	tell(wanted, -ETIMEDOUT, "it took more than a minute");
	ask(maker);
	return 0;
}

static void leave_bus(struct scope_maker *maker)
{
	maker->jobs = sd_bus_slot_unref(maker->jobs);
	(void)sd_bus_detach_event(maker->bus);
	maker->bus = sd_bus_close_unref(maker->bus);
	maker->is_lost = false;
}

static int connect(struct scope_maker *maker, struct fault *fault)
{
	int r;

	if (maker->bus && maker->is_lost)
		leave_bus(maker);
	if (maker->bus)
		return 0;
	r = unit_bus_open_manager(&maker->bus, fault);
	if (r < 0)
		return r;
	r = sd_bus_match_signal(maker->bus, /* ret= */ NULL, /* sender= */ NULL,
		"/org/freedesktop/DBus/Local", "org.freedesktop.DBus.Local", "Disconnected",
		on_lost, maker);
	if (r >= 0)
		r = sd_bus_attach_event(maker->bus, maker->event, PRIORITY);
	if (r >= 0)
		return 0;
	leave_bus(maker);
	return fault_errno(fault, r, "ask systemd for scopes");
}

/* The bus takes this before the call that comes after it; where it refuses, the connection is lost. */
static int listen_to_jobs(struct scope_maker *maker, struct fault *fault)
{
	int r = maker->jobs ? 0
			    : sd_bus_match_signal_async(maker->bus, &maker->jobs, MANAGER,
				      MANAGER_PATH, MANAGER_INTERFACE, "JobRemoved", on_job_removed,
				      /* install_callback= */ NULL, maker);

	return r < 0 ? fault_errno(fault, r, "ask systemd for scopes") : 0;
}

int scope_maker_make(struct scope_maker *maker, const char *unit, const char *description,
	int pidfd, pid_t pid, scope_made_fn made, void *userdata, struct fault *fault)
{
	struct wanted *wanted, **link = &maker->first;
	int r = connect(maker, fault);

	if (r < 0)
		return r;
	wanted = calloc(1, sizeof(*wanted));
	if (!wanted)
		return fault_errno(fault, -ENOMEM, "scope");
	wanted->maker = maker;
	(void)snprintf(wanted->unit, sizeof(wanted->unit), "%s", unit);
	wanted->description = strdup(description);
	wanted->pid = pid;
	wanted->pidfd = fcntl(pidfd, F_DUPFD_CLOEXEC, 3);
	wanted->made = made;
	wanted->userdata = userdata;
	r = wanted->description && wanted->pidfd >= 0
		? sd_event_add_time_relative(maker->event, &wanted->timer, CLOCK_MONOTONIC,
			  PATIENCE_US, /* accuracy= */ USEC_PER_SEC, on_too_late, wanted)
		: -ENOMEM;
	if (r < 0)
		(void)fault_errno(fault, r, "scope");
	else
		r = listen_to_jobs(maker, fault);
	if (r < 0) {
		(void)wanted_free(wanted);
		return r;
	}
	while (*link)
		link = &(*link)->next;
	*link = wanted;
	ask(maker);
	return 0;
}

int scope_maker_new(struct scope_maker **ret_maker, sd_event *event)
{
	struct scope_maker *maker = calloc(1, sizeof(*maker));

	if (!maker)
		return -ENOMEM;
	maker->event = sd_event_ref(event);
	*ret_maker = maker;
	return 0;
}

struct scope_maker *scope_maker_free(struct scope_maker *maker)
{
	if (!maker)
		return NULL;
	while (maker->first) {
		struct wanted *wanted = maker->first;

		take_out(wanted);
		(void)wanted_free(wanted);
	}
	if (maker->bus)
		leave_bus(maker);
	(void)sd_event_unref(maker->event);
	free(maker);
	return NULL;
}
