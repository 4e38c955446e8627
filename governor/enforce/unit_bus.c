// SPDX-License-Identifier: GPL-2.0-or-later
#include "unit_bus.h"

#include <errno.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <systemd/sd-bus.h>
#include <systemd/sd-daemon.h>
#include <time.h>
#include <unistd.h>

#include "cleanup.h"
#include "nsec.h"

/* StartTransientUnit, as systemd-run --scope does it, because only a delegated unit may be written
 * to below. It runs once, before the loop starts, so it may block: the reply names a job, and the
 * processes are in the scope when JobRemoved comes for that job. The match is installed before the
 * call, or a quick job would be missed; signals that come during the call wait in the queue until
 * sd_bus_process(), when the job's path is known.
 *
 * A user's manager may not move processes out of the login session by itself; it asks the system
 * manager to do that (since systemd 238), which allows it for processes of the same user. */

#define MANAGER "org.freedesktop.systemd1"
#define MANAGER_PATH "/org/freedesktop/systemd1"
#define MANAGER_INTERFACE "org.freedesktop.systemd1.Manager"
#define JOB_TIMEOUT_US (5 * USEC_PER_SEC)
#define UNIT_NAME_MAX 128

DEFINE_CLEANUP_FUNC(sd_bus, sd_bus_flush_close_unref)
DEFINE_CLEANUP_FUNC(sd_bus_message, sd_bus_message_unref)
DEFINE_CLEANUP_FUNC(sd_bus_slot, sd_bus_slot_unref)

struct job {
	char path[256];
	char result[64]; /* "" until it is done */
};

bool unit_bus_is_booted(void)
{
	return sd_booted() > 0;
}

static int open_manager(sd_bus **ret_bus, struct fault *fault)
{
	bool is_root = geteuid() == 0;
	int r = is_root ? sd_bus_open_system(ret_bus) : sd_bus_open_user(ret_bus);

	if (r < 0)
		return fault_errno(fault, r, "reach the %s manager of systemd by D-Bus",
			is_root ? "system" : "user");
	return 0;
}

int unit_bus_probe(struct fault *fault)
{
	_cleanup_(cleanup_sd_bus_flush_close_unref) sd_bus *bus = NULL;

	return open_manager(&bus, fault);
}

static int job_removed(sd_bus_message *message, void *data, sd_bus_error *error)
{
	struct job *job = data;
	const char *path, *unit, *result;
	uint32_t id;
	int r = sd_bus_message_read(message, "uoss", &id, &path, &unit, &result);

	(void)error;
	if (r < 0)
		return r;
	if (strcmp(job->path, path) == 0)
		(void)snprintf(job->result, sizeof(job->result), "%s", result);
	return 0;
}

static int append_pids(sd_bus_message *message, const pid_t pids[], size_t n_pids)
{
	int r = sd_bus_message_open_container(message, 'r', "sv");

	if (r >= 0)
		r = sd_bus_message_append(message, "s", "PIDs");
	if (r >= 0)
		r = sd_bus_message_open_container(message, 'v', "au");
	if (r >= 0)
		r = sd_bus_message_open_container(message, 'a', "u");
	for (size_t i = 0; r >= 0 && i < n_pids; i++)
		r = sd_bus_message_append(message, "u", (uint32_t)pids[i]);
	for (int level = 0; r >= 0 && level < 3; level++)
		r = sd_bus_message_close_container(message);
	return r;
}

static int build_call(sd_bus *bus, const char *unit, const pid_t pids[], size_t n_pids,
	sd_bus_message **ret_message)
{
	_cleanup_(cleanup_sd_bus_message_unref) sd_bus_message *message = NULL;
	int r = sd_bus_message_new_method_call(
		bus, &message, MANAGER, MANAGER_PATH, MANAGER_INTERFACE, "StartTransientUnit");

	if (r >= 0)
		r = sd_bus_message_append(message, "ss", unit, "fail");
	if (r >= 0)
		r = sd_bus_message_open_container(message, 'a', "(sv)");
	if (r >= 0)
		r = append_pids(message, pids, n_pids);
	if (r >= 0)
		r = sd_bus_message_append(message, "(sv)(sv)(sv)", "Description", "s",
			"trainings under coregov", "CollectMode", "s", "inactive-or-failed",
			"DelegateControllers", "as", 1, "cpu");
	if (r >= 0)
		r = sd_bus_message_close_container(message);
	if (r >= 0)
		r = sd_bus_message_append(message, "a(sa(sv))", 0);
	if (r < 0)
		return r;
	*ret_message = TAKE_PTR(message);
	return 0;
}

static uint64_t monotonic_us(void)
{
	struct timespec now;

	(void)clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * USEC_PER_SEC + (uint64_t)now.tv_nsec / NSEC_PER_USEC;
}

static int wait_for(sd_bus *bus, struct job *job, const char *unit, struct fault *fault)
{
	uint64_t deadline_us = monotonic_us() + JOB_TIMEOUT_US, now_us;
	int r;

	for (;;) {
		r = sd_bus_process(bus, /* ret= */ NULL);
		if (r < 0)
			return fault_errno(fault, r, "wait for %s", unit);
		if (job->result[0])
			break;
		if (r > 0)
			continue;
		now_us = monotonic_us();
		if (now_us >= deadline_us)
			return fault_set(
				fault, -ETIMEDOUT, "systemd did not start %s in 5 s", unit);
		r = sd_bus_wait(bus, deadline_us - now_us);
		if (r < 0 && r != -EINTR)
			return fault_errno(fault, r, "wait for %s", unit);
	}
	if (strcmp(job->result, "done") != 0)
		return fault_set(fault, -EIO, "systemd did not start %s: %s", unit, job->result);
	return 0;
}

int unit_bus_make_scope(const char *run, const pid_t pids[], size_t n_pids, struct fault *fault)
{
	_cleanup_(cleanup_sd_bus_flush_close_unref) sd_bus *bus = NULL;
	_cleanup_(cleanup_sd_bus_slot_unref) sd_bus_slot *slot = NULL;
	_cleanup_(cleanup_sd_bus_message_unref) sd_bus_message *call = NULL, *reply = NULL;
	_cleanup_(sd_bus_error_free) sd_bus_error error = SD_BUS_ERROR_NULL;
	struct job job = {.path = ""};
	char unit[UNIT_NAME_MAX];
	const char *path;
	int r;

	(void)snprintf(unit, sizeof(unit), "%s.scope", run);
	r = open_manager(&bus, fault);
	if (r < 0)
		return r;
	r = sd_bus_match_signal(bus, &slot, MANAGER, MANAGER_PATH, MANAGER_INTERFACE, "JobRemoved",
		job_removed, &job);
	if (r >= 0)
		r = build_call(bus, unit, pids, n_pids, &call);
	if (r < 0)
		return fault_errno(fault, r, "ask systemd for %s", unit);
	r = sd_bus_call(bus, call, JOB_TIMEOUT_US, &error, &reply);
	if (r < 0)
		return fault_set(fault, r, "ask systemd for %s: %s", unit,
			error.message ? error.message : strerror(-r));
	r = sd_bus_message_read(reply, "o", &path);
	if (r < 0)
		return fault_errno(fault, r, "read systemd's answer for %s", unit);
	(void)snprintf(job.path, sizeof(job.path), "%s", path);
	return wait_for(bus, &job, unit, fault);
}
