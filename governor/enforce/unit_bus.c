// SPDX-License-Identifier: GPL-2.0-or-later
#include "unit_bus.h"

#include <errno.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <systemd/sd-daemon.h>
#include <systemd/sd-login.h>
#include <unistd.h>

#include "cleanup.h"
#include "monotonic.h"
#include "nsec.h"
#include "unit_bus_internal.h"

/* StartTransientUnit, as systemd-run --scope does it, because only a delegated unit may be written
 * to below. What is here runs before the loop starts, or seldom, so it may block: the reply names a job,
 * and the processes are in the scope when JobRemoved comes for that job. The match is installed before the
 * call, or a quick job would be missed; signals that come during the call wait in the queue until
 * sd_bus_process(), when the job's path is known.
 *
 * A user's manager may not move processes out of the login session by itself; it asks the system
 * manager to do that (since systemd 238), which allows it for processes of the same user.
 *
 * Whether a unit is delegated is asked for, too: the extended attribute by which the system manager
 * marks such a group is not set by a user's manager (systemd 252). */

#define UNITS_PATH "/org/freedesktop/systemd1/unit"
#define SLICE_INTERFACE "org.freedesktop.systemd1.Slice"
#define JOB_TIMEOUT_US (5 * USEC_PER_SEC)

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

static int open_own_address(sd_bus **ret_bus)
{
	_cleanup_(cleanup_sd_bus_flush_close_unref) sd_bus *bus = NULL;
	char address[64];
	int r;

	(void)snprintf(address, sizeof(address), "unix:path=/run/user/%u/bus", (unsigned)geteuid());
	r = sd_bus_new(&bus);
	if (r >= 0)
		r = sd_bus_set_address(bus, address);
	if (r >= 0)
		r = sd_bus_set_bus_client(bus, /* b= */ true);
	if (r >= 0)
		r = sd_bus_start(bus);
	if (r >= 0)
		*ret_bus = TAKE_PTR(bus);
	return r;
}

/* A user who came by su or sudo has a manager where he has logged in otherwise, too, or may linger,
 * but not the variables that lead to it, or those of somebody else. A bus of somebody else can often
 * be reached, and fails later; so they come second. */
static int open_user_manager(sd_bus **ret_bus)
{
	int r = open_own_address(ret_bus);

	return r >= 0 || sd_bus_open_user(ret_bus) >= 0 ? 0 : r;
}

int unit_bus_open_manager(sd_bus **ret_bus, struct fault *fault)
{
	int r;

	if (geteuid() == 0) {
		r = sd_bus_open_system(ret_bus);
		return r < 0
			? fault_errno(fault, r,
				  "reach systemd through the system bus to ask for a group (is "
				  "the package dbus installed?)")
			: 0;
	}
	r = open_user_manager(ret_bus);
	return r < 0
		? fault_errno(fault, r,
			  "reach your own systemd through the user bus to ask for a group (log in "
			  "at a console or by ssh with the package dbus-user-session "
			  "installed, or 'loginctl enable-linger')")
		: 0;
}

static const char *unit_interface(const char *unit)
{
	const char *dot = strrchr(unit, '.');

	if (dot && strcmp(dot, ".service") == 0)
		return "org.freedesktop.systemd1.Service";
	if (dot && strcmp(dot, ".scope") == 0)
		return "org.freedesktop.systemd1.Scope";
	return NULL;
}

static int read_delegate(sd_bus *bus, const char *unit)
{
	_cleanup_free_ char *path = NULL;
	const char *interface = unit_interface(unit);
	int is_delegated, r;

	if (!interface)
		return 0; /* neither slices nor anything else can be delegated */
	r = sd_bus_path_encode(UNITS_PATH, unit, &path);
	if (r >= 0)
		r = sd_bus_get_property_trivial(bus, MANAGER, path, interface, "Delegate",
			/* reterr_error= */ NULL, 'b', &is_delegated);
	return r < 0 ? r : is_delegated;
}

int unit_bus_is_delegated(void)
{
	_cleanup_(cleanup_sd_bus_flush_close_unref) sd_bus *bus = NULL;
	_cleanup_free_ char *unit = NULL;
	int r = sd_pid_get_user_unit(0, &unit);

	if (r >= 0) {
		r = open_user_manager(&bus);
	} else {
		r = sd_pid_get_unit(0, &unit);
		if (r >= 0)
			r = sd_bus_open_system(&bus);
	}
	return r < 0 ? r : read_delegate(bus, unit);
}

int unit_bus_probe(char ret_group[static PATH_MAX], struct fault *fault)
{
	_cleanup_(cleanup_sd_bus_flush_close_unref) sd_bus *bus = NULL;
	_cleanup_(sd_bus_error_free) sd_bus_error error = SD_BUS_ERROR_NULL;
	_cleanup_free_ char *group = NULL;
	int r = unit_bus_open_manager(&bus, fault);

	if (r < 0)
		return r;
	r = sd_bus_get_property_string(
		bus, MANAGER, MANAGER_PATH, MANAGER_INTERFACE, "ControlGroup", &error, &group);
	if (r < 0)
		return fault_set(fault, r, "ask systemd for its group: %s",
			error.message ? error.message : strerror(-r));
	if (strlen(group) >= PATH_MAX)
		return fault_set(fault, -ENAMETOOLONG, "systemd's group has too long a name");
	strcpy(ret_group, group[0] == '/' ? group + 1 : group);
	return 0;
}

int unit_bus_version(char ret_version[], size_t size)
{
	_cleanup_(cleanup_sd_bus_flush_close_unref) sd_bus *bus = NULL;
	_cleanup_free_ char *version = NULL;
	int r = sd_bus_open_system(&bus);

	if (r >= 0)
		r = sd_bus_get_property_string(bus, MANAGER, MANAGER_PATH, MANAGER_INTERFACE,
			"Version", /* reterr_error= */ NULL, &version);
	if (r < 0)
		return r;
	(void)snprintf(ret_version, size, "%s", version);
	return 0;
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

int unit_bus_scope_call(sd_bus *bus, const struct unit_scope *scope, sd_bus_message **ret_call)
{
	_cleanup_(cleanup_sd_bus_message_unref) sd_bus_message *message = NULL;
	int r = sd_bus_message_new_method_call(
		bus, &message, MANAGER, MANAGER_PATH, MANAGER_INTERFACE, "StartTransientUnit");

	if (r >= 0)
		r = sd_bus_message_append(message, "ss", scope->unit, "fail");
	if (r >= 0)
		r = sd_bus_message_open_container(message, 'a', "(sv)");
	if (r >= 0)
		r = append_pids(message, scope->pids, scope->n_pids);
	if (r >= 0)
		r = sd_bus_message_append(message, "(sv)(sv)(sv)", "Description", "s",
			scope->description, "CollectMode", "s", "inactive-or-failed",
			"DelegateControllers", "as", 1, "cpu");
	if (r >= 0 && scope->slice)
		r = sd_bus_message_append(message, "(sv)", "Slice", "s", scope->slice);
	if (r >= 0)
		r = sd_bus_message_close_container(message);
	if (r >= 0)
		r = sd_bus_message_append(message, "a(sa(sv))", 0);
	if (r < 0)
		return r;
	*ret_call = TAKE_PTR(message);
	return 0;
}

static int wait_for(sd_bus *bus, struct job *job, const char *unit, struct fault *fault)
{
	uint64_t deadline_us = monotonic_ns() / NSEC_PER_USEC + JOB_TIMEOUT_US, now_us;
	int r;

	for (;;) {
		r = sd_bus_process(bus, /* ret= */ NULL);
		if (r < 0)
			return fault_errno(fault, r, "wait for %s", unit);
		if (job->result[0])
			break;
		if (r > 0)
			continue;
		now_us = monotonic_ns() / NSEC_PER_USEC;
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

/* A call that makes a job of the unit, and the end of that job. */
static int do_job(sd_bus *bus, sd_bus_message *call, const char *unit, struct fault *fault)
{
	_cleanup_(cleanup_sd_bus_slot_unref) sd_bus_slot *slot = NULL;
	_cleanup_(cleanup_sd_bus_message_unref) sd_bus_message *reply = NULL;
	_cleanup_(sd_bus_error_free) sd_bus_error error = SD_BUS_ERROR_NULL;
	struct job job = {.path = ""};
	const char *path;
	int r = sd_bus_match_signal(bus, &slot, MANAGER, MANAGER_PATH, MANAGER_INTERFACE,
		"JobRemoved", job_removed, &job);

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

int unit_bus_make_scope(const char *run, const pid_t pids[], size_t n_pids, struct fault *fault)
{
	_cleanup_(cleanup_sd_bus_flush_close_unref) sd_bus *bus = NULL;
	_cleanup_(cleanup_sd_bus_message_unref) sd_bus_message *call = NULL;
	_cleanup_free_ char *slice = NULL;
	char unit[UNIT_NAME_MAX];
	struct unit_scope scope = {
		.unit = unit,
		.description = "trainings under coregov",
		.pids = pids,
		.n_pids = n_pids,
	};
	int r = unit_bus_open_manager(&bus, fault);

	if (r < 0)
		return r;
	(void)snprintf(unit, sizeof(unit), "%s.scope", run);
	/* Root's scope would be in system.slice, and out of the limits of the slice it was started in. A
	 * user's manager has slices of its own. */
	if (geteuid() == 0 && sd_pid_get_slice(0, &slice) >= 0)
		scope.slice = slice;
	r = unit_bus_scope_call(bus, &scope, &call);
	return r < 0 ? fault_errno(fault, r, "ask systemd for %s", unit)
		     : do_job(bus, call, unit, fault);
}

static int set_quota(sd_bus *bus, uint64_t quota_us, uint32_t period_us, struct fault *fault)
{
	_cleanup_(sd_bus_error_free) sd_bus_error error = SD_BUS_ERROR_NULL;
	/* Rounded up: systemd cuts what it computes from this for the period. */
	uint64_t a_second_us = (quota_us * USEC_PER_SEC + period_us - 1) / period_us;
	int r = sd_bus_call_method(bus, MANAGER, MANAGER_PATH, MANAGER_INTERFACE,
		"SetUnitProperties", &error, /* ret_reply= */ NULL, "sba(sv)", UNIT_SLICE,
		/* runtime= */ true, 2, "CPUQuotaPerSecUSec", "t", a_second_us,
		"CPUQuotaPeriodUSec", "t", (uint64_t)period_us);

	return r < 0 ? fault_set(fault, r, "set CPUQuota= of " UNIT_SLICE ": %s",
			       error.message ? error.message : strerror(-r))
		     : 0;
}

int unit_bus_set_quota(uint64_t quota_us, uint32_t period_us, struct fault *fault)
{
	_cleanup_(cleanup_sd_bus_flush_close_unref) sd_bus *bus = NULL;
	int r = unit_bus_open_manager(&bus, fault);

	if (r >= 0)
		r = sd_bus_set_method_call_timeout(bus, JOB_TIMEOUT_US);
	return r < 0 ? r : set_quota(bus, quota_us, period_us, fault);
}

static int start_slice(sd_bus *bus, struct fault *fault)
{
	_cleanup_(cleanup_sd_bus_message_unref) sd_bus_message *call = NULL;
	int r = sd_bus_message_new_method_call(
		bus, &call, MANAGER, MANAGER_PATH, MANAGER_INTERFACE, "StartUnit");

	if (r >= 0)
		r = sd_bus_message_append(call, "ss", UNIT_SLICE, "fail");
	return r < 0 ? fault_errno(fault, r, "ask systemd for " UNIT_SLICE)
		     : do_job(bus, call, UNIT_SLICE, fault);
}

int unit_bus_open_slice(uint64_t quota_us, uint32_t period_us, bool keeps_quota,
	char ret_group[static PATH_MAX], struct fault *fault)
{
	_cleanup_(cleanup_sd_bus_flush_close_unref) sd_bus *bus = NULL;
	_cleanup_free_ char *path = NULL, *group = NULL;
	uint64_t a_second_us = UINT64_MAX;
	int r = unit_bus_open_manager(&bus, fault);

	if (r < 0)
		return r;
	r = sd_bus_path_encode(UNITS_PATH, UNIT_SLICE, &path);
	if (r >= 0 && keeps_quota)
		(void)sd_bus_get_property_trivial(bus, MANAGER, path, SLICE_INTERFACE,
			"CPUQuotaPerSecUSec", /* reterr_error= */ NULL, 't', &a_second_us);
	if (r >= 0 && a_second_us == UINT64_MAX)
		r = set_quota(bus, quota_us, period_us, fault);
	else if (r < 0)
		(void)fault_errno(fault, r, "ask systemd for " UNIT_SLICE);
	if (r >= 0)
		r = start_slice(bus, fault);
	if (r < 0)
		return r;
	r = sd_bus_get_property_string(bus, MANAGER, path, SLICE_INTERFACE, "ControlGroup",
		/* reterr_error= */ NULL, &group);
	if (r < 0 || group[0] != '/' || strlen(group) >= PATH_MAX)
		return fault_errno(
			fault, r < 0 ? r : -ENOENT, "ask systemd for the group of " UNIT_SLICE);
	strcpy(ret_group, group + 1);
	return 0;
}
