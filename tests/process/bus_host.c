// SPDX-License-Identifier: GPL-2.0-or-later
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "fake_daemon.h"
#include "governor_bus.h"
#include "nsec.h"

/* bus_host [--polkit] [--reload ok|bad] [--scopes]: the governor's side of the bus over a fake daemon. A line
 * of its standard input is something that happens to the daemon, and is answered by "ok" when it
 * has been told; standard input's end is the end. */

struct host {
	struct governor_bus_setup setup;
	sd_event *event;
	struct daemon *daemon;
	struct governor_bus *bus;
	const char *reload;
};

static void no_polkit(void *userdata, const char *sentence)
{
	(void)userdata;
	(void)printf("say %s\n", sentence);
}

static int reload(void *userdata, uid_t sender, struct fault *fault)
{
	const struct host *host = userdata;

	(void)printf("call reload by %u\n", (unsigned)sender);
	if (strcmp(host->reload, "bad") == 0)
		return fault_set(fault, -EINVAL, "/etc/coregov/coregov.conf:3: budget has no unit");
	return 0;
}

static void lost(void *userdata)
{
	const struct host *host = userdata;

	(void)puts("call lost");
	(void)sd_event_exit(host->event, 0);
}

static enum outcome read_outcome(const char *word)
{
	for (int outcome = 0; outcome < _OUTCOME_MAX; outcome++)
		if (strcmp(outcome_to_string((enum outcome)outcome), word) == 0)
			return (enum outcome)outcome;
	return OUTCOME_NONE;
}

static void end(struct daemon *daemon, struct daemon_task_info *row, const char *outcome)
{
	row->phase = PHASE_ENDED;
	row->outcome = read_outcome(outcome);
	row->finished_realtime_ns = 2 * NSEC_PER_SEC;
	row->share_cpus = 0;
	fake_info(daemon)->n_tasks--;
	(void)fake_listener(daemon)->changed(fake_listener(daemon)->userdata, row->number);
	fake_listener(daemon)->ended(fake_listener(daemon)->userdata, row->number);
}

static uint64_t boottime_ns(double seconds_ahead)
{
	struct timespec now;

	(void)clock_gettime(CLOCK_BOOTTIME, &now);
	return (uint64_t)now.tv_sec * NSEC_PER_SEC + (uint64_t)now.tv_nsec +
		(uint64_t)(seconds_ahead * (double)NSEC_PER_SEC);
}

/* What is to be with the governor as a whole, which nobody has asked for: true where it is known. */
static bool change_whole(struct daemon_info *info, const char *what, const char *value)
{
	double number = strtod(value, NULL);
	uint32_t count = (uint32_t)number;

	if (strcmp(what, "policy") == 0)
		info->policy = "edf";
	else if (strcmp(what, "enforcer") == 0)
		info->enforcer = "signal";
	else if (strcmp(what, "meter") == 0)
		info->meter = "proc";
	else if (strcmp(what, "guarantee") == 0)
		info->guarantee = "cooperative";
	else if (strcmp(what, "slot-seconds") == 0)
		info->slot_ns = (uint64_t)(number * (double)NSEC_PER_SEC);
	else if (strcmp(what, "capacity") == 0)
		info->capacity_cpus = number;
	else if (strcmp(what, "budget") == 0)
		info->budget_cpus = number;
	else if (strcmp(what, "granted") == 0)
		info->granted_cpus = number;
	else if (strcmp(what, "used") == 0)
		info->used_cpus = number;
	else if (strcmp(what, "tasks") == 0)
		info->n_tasks = count;
	else if (strcmp(what, "at-risk") == 0)
		info->n_at_risk = count;
	else if (strcmp(what, "missed") == 0)
		info->n_missed = count;
	else if (strcmp(what, "late") == 0)
		info->n_late = count;
	else if (strcmp(what, "draining") == 0)
		info->is_draining = count > 0;
	else
		return strcmp(what, "nothing") == 0;
	return true;
}

/* What is to be with the row of a task; true where it is known. */
static bool change_row(struct daemon_task_info *row, const char *what, const char *value)
{
	double number = strtod(value, NULL);

	if (strcmp(what, "share") == 0)
		row->share_cpus = number;
	else if (strcmp(what, "value") == 0)
		row->value = number;
	else if (strcmp(what, "cpu") == 0)
		row->cpu_ns = (uint64_t)(number * (double)NSEC_PER_SEC);
	else if (strcmp(what, "prospect") == 0)
		row->prospect = strcmp(value, "likely") == 0 ? PROSPECT_LIKELY : PROSPECT_UNLIKELY;
	else if (strcmp(what, "phase") == 0)
		row->phase = strcmp(value, "yielded") == 0 ? PHASE_YIELDED : PHASE_WAITING;
	else if (strcmp(what, "status") == 0)
		row->exit_status = (int)number;
	else if (strcmp(what, "target") == 0)
		row->has_target = parse_target("accuracy >= 0.9 for 3", &row->target, NULL) == 0;
	else if (strcmp(what, "threads") == 0)
		row->threads = number;
	else if (strcmp(what, "reports") == 0)
		row->n_reports = (uint64_t)number;
	else if (strcmp(what, "feed") == 0)
		row->feed = strcmp(value, "shm") == 0 ? "shm" : "launcher";
	else if (strcmp(what, "outcome") == 0)
		row->outcome = read_outcome(value);
	else if (strcmp(what, "began") == 0)
		row->began_realtime_ns = (uint64_t)number * NSEC_PER_SEC;
	else if (strcmp(what, "finished") == 0)
		row->finished_realtime_ns = (uint64_t)number * NSEC_PER_SEC;
	else if (strcmp(what, "due-in") == 0) /* on the other clock */
		row->deadline = (struct daemon_deadline){DAEMON_BOOTTIME, boottime_ns(number)};
	else
		return false;
	return true;
}

static bool happen(struct host *host, char *line)
{
	const struct daemon_listener *listener = fake_listener(host->daemon);
	char what[32] = "", name[64] = "", value[64] = "";
	struct daemon_task_info *row;

	(void)sscanf(line, "%31s %63s %63s", what, name, value);
	row = fake_task(host->daemon, daemon_find(host->daemon, name));
	if (strcmp(what, "task") == 0)
		return fake_add(host->daemon, name, (uid_t)strtoul(value, NULL, 10)) > 0;
	if (strcmp(what, "slot") == 0) {
		fake_info(host->daemon)->used_cpus += 0.25;
		listener->slot(listener->userdata);
		return true;
	}
	if (strcmp(what, "rejoin") == 0) { /* as after the bus was lost */
		host->bus = governor_bus_free(host->bus);
		return governor_bus_new(&host->bus, &host->setup, /* fault= */ NULL) == 0;
	}
	if (strcmp(what, "whole") == 0) {
		bool is_known = change_whole(fake_info(host->daemon), name, value);

		listener->slot(listener->userdata);
		return is_known;
	}
	if (!row)
		return false;
	if (strcmp(what, "end") == 0) {
		end(host->daemon, row, value);
	} else if (strcmp(what, "unheard") == 0) {
		row->is_unheard = strcmp(value, "yes") == 0;
		listener->changed(listener->userdata, row->number);
		if (row->is_unheard)
			listener->unheard(listener->userdata, row->number);
	} else if (strcmp(what, "forget") == 0) {
		uint64_t number = row->number;

		fake_forget(host->daemon, number);
		listener->removed(listener->userdata, number);
	} else if (change_row(row, what, value)) {
		listener->changed(listener->userdata, row->number);
	} else {
		return false;
	}
	return true;
}

static int heard(sd_event_source *source, int fd, uint32_t events, void *userdata)
{
	static char buffer[4096];
	static size_t n_buffer;
	struct host *host = userdata;
	ssize_t n = read(fd, buffer + n_buffer, sizeof(buffer) - 1 - n_buffer);
	char *line = buffer, *newline;

	(void)source, (void)events;
	if (n <= 0)
		return sd_event_exit(host->event, 0);
	n_buffer += (size_t)n;
	buffer[n_buffer] = '\0';
	while ((newline = strchr(line, '\n'))) {
		*newline = '\0';
		(void)puts(strcmp(line, "sync") == 0 || happen(host, line) ? "ok" : "unknown");
		line = newline + 1;
	}
	n_buffer -= (size_t)(line - buffer);
	memmove(buffer, line, n_buffer);
	return 0;
}

int main(int argc, char *argv[])
{
	struct host host = {0};
	struct governor_bus_setup setup = {
		.place = GOVERNOR_SYSTEM,
		.version = "1.2.3",
		.userdata = &host,
		.lost = lost,
		.no_polkit = no_polkit,
	};
	struct fault fault = FAULT_INIT;
	bool wants_scopes = false;

	(void)setvbuf(stdout, NULL, _IOLBF, 0);
	for (int i = 1; i < argc; i++) {
		if (strcmp(argv[i], "--polkit") == 0) {
			setup.asks_polkit = true;
		} else if (strcmp(argv[i], "--scopes") == 0) {
			wants_scopes = true;
		} else if (strcmp(argv[i], "--reload") == 0 && i + 1 < argc) {
			host.reload = argv[++i];
			setup.reload = reload;
		}
	}
	if (sd_event_new(&host.event) < 0 || fake_daemon_new(&host.daemon, host.event) < 0)
		return 1;
	if (wants_scopes)
		fake_want_scopes(host.daemon);
	setup.event = host.event;
	setup.daemon = host.daemon;
	host.setup = setup;
	if (governor_bus_new(&host.bus, &setup, &fault) < 0) {
		(void)fprintf(stderr, "%s\n", fault.text);
		return 1;
	}
	if (sd_event_add_io(host.event, NULL, STDIN_FILENO, 1 /* EPOLLIN */, heard, &host) < 0)
		return 1;
	(void)puts("ready");
	(void)sd_event_loop(host.event);
	host.bus = governor_bus_free(host.bus);
	host.daemon = daemon_free(host.daemon);
	(void)sd_event_unref(host.event);
	return 0;
}
