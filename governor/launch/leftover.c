// SPDX-License-Identifier: GPL-2.0-or-later
#include "leftover.h"

#include <errno.h>
#include <inttypes.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/pidfd.h>

#include "cgroup.h"
#include "cleanup.h"
#include "monotonic.h"
#include "nsec.h"
#include "process.h"

/* Ends what a run has left, found by name only: whoever calls this may know nothing of the run but
 * that (a keeper whose governor is gone, a governor whose keeper is gone, the next start).
 *
 * Groups come first, because a process in a frozen v1 group does not die before it is thawed. Then
 * every process that carries the run in its environment is killed, pass after pass until a whole
 * pass finds none: a process forked behind the back of one pass is there for the next, and the dead
 * fork no more. SIGKILL at once, no grace: nobody is left who could hold the budget meanwhile, and
 * a grace without an end is a leftover. SIGKILL also ends what is stopped, without continuing it.
 *
 * Out of reach is a process that has left its group, has cleared its environment and is no child of
 * the caller (the keeper ends its own children besides).
 *
 * Run names hold pids of the governor's own pid namespace, while groups are seen from all of them: a
 * container may see the tree of the host, and the host that of the container. So a living governor
 * holds its groups (group.h), and groups that are held are left alone whatever their name says.
 * Processes of another pid namespace are left alone unless their run is known by its groups. */

#define DEADLINE_NS (10 * NSEC_PER_SEC) /* of a whole clearing; a kill takes milliseconds */
#define VICTIMS_MAX 128                 /* killed and waited for at a time */

/* The start time of a living process; -ESRCH for a zombie, too. */
static int start_of(pid_t pid, uint64_t *ret_start_ticks)
{
	_cleanup_close_ int fd = process_open(pid);
	struct process process;
	int r;

	if (fd < 0)
		return fd;
	r = process_read(fd, &process);
	if (r < 0)
		return r;
	if (process.has_ended)
		return -ESRCH;
	*ret_start_ticks = process.start_ticks;
	return 0;
}

static int make_name(const char *what, char ret_name[static RUN_NAME_MAX], struct fault *fault)
{
	uint64_t start_ticks;
	int r;

	r = start_of(getpid(), &start_ticks);
	if (r < 0)
		return fault_errno(
			fault, r, "read /proc/self/stat (is /proc mounted?) to name this run");
	(void)snprintf(ret_name, RUN_NAME_MAX, "%s-%d-%" PRIu64, what, (int)getpid(), start_ticks);
	return 0;
}

int run_name_make(char ret_name[static RUN_NAME_MAX], struct fault *fault)
{
	return make_name(RUN_NAME, ret_name, fault);
}

int run_name_make_of_service(char ret_name[static RUN_NAME_MAX], struct fault *fault)
{
	return make_name(RUN_NAME_OF_SERVICE, ret_name, fault);
}

static bool is_of_service(const char *run)
{
	return strncmp(run, RUN_NAME_OF_SERVICE "-", strlen(RUN_NAME_OF_SERVICE "-")) == 0;
}

int run_name_is_alive(const char *run)
{
	const char *what = is_of_service(run) ? RUN_NAME_OF_SERVICE : RUN_NAME;
	char canonical[RUN_NAME_MAX];
	uint64_t start_ticks, start_now;
	int pid;

	if (strncmp(run, what, strlen(what)) != 0 ||
		sscanf(run + strlen(what), "-%9d-%19" SCNu64, &pid, &start_ticks) != 2 || pid <= 0)
		return -EINVAL;
	/* What does not print back the same has signs, zeros or a tail. */
	(void)snprintf(canonical, sizeof(canonical), "%s-%d-%" PRIu64, what, pid, start_ticks);
	if (strcmp(canonical, run) != 0)
		return -EINVAL;
	return start_of(pid, &start_now) == 0 && start_now == start_ticks;
}

struct victims {
	int pidfds[VICTIMS_MAX];
	pid_t pids[VICTIMS_MAX];
	size_t n;
};

/* Kills the process if it belongs to the run. */
static void kill_if_of_run(pid_t pid, const char *run, struct victims *victims)
{
	_cleanup_close_ int fd = process_open(pid);
	char its_run[RUN_NAME_MAX];
	int pidfd;

	if (fd < 0 || process_variable(fd, RUN_ENVIRONMENT, its_run, sizeof(its_run)) != 1 ||
		strcmp(its_run, run) != 0)
		return;
	/* Only a pidfd can be waited for. It is of the same process as fd if that one is there
	 * afterwards to take the signal. */
	pidfd = pidfd_open(pid, 0);
	if (pidfd < 0)
		return;
	if (process_signal(fd, SIGKILL) < 0) {
		(void)close(pidfd);
		return;
	}
	victims->pids[victims->n] = pid;
	victims->pidfds[victims->n++] = pidfd;
}

/* Waits for the end of all victims. 0, or -ETIMEDOUT and a sentence. */
static int wait_for(struct victims *victims, uint64_t deadline_ns, struct fault *fault)
{
	int r = 0;

	for (size_t i = 0; i < victims->n; i++) {
		struct pollfd poll_fd = {.fd = victims->pidfds[i], .events = POLLIN};
		uint64_t left_ns = nsec_sub(deadline_ns, monotonic_ns());

		if (poll(&poll_fd, 1, (int)(left_ns / NSEC_PER_MSEC)) == 0 && r == 0)
			r = fault_set(fault, -ETIMEDOUT,
				"process %d was killed but does not end (is it frozen, or waiting "
				"for a device?)",
				(int)victims->pids[i]);
		(void)close(victims->pidfds[i]);
	}
	victims->n = 0;
	return r;
}

/* Kills every process of the run. Returns how many, or a negative errno. */
static int end_processes(const char *run, uint64_t deadline_ns, struct fault *fault)
{
	struct victims victims = {.n = 0};
	int n_ended = 0;

	do {
		_cleanup_closedir_ DIR *proc = opendir("/proc");
		pid_t pid;
		int r;

		if (!proc)
			return fault_errno(fault, -errno, "open /proc");
		while (victims.n < VICTIMS_MAX && (pid = process_next(proc)) > 0)
			if (pid != getpid())
				kill_if_of_run(pid, run, &victims);
		if (victims.n == 0)
			return n_ended;
		n_ended += (int)victims.n;
		r = wait_for(&victims, deadline_ns, fault);
		if (r < 0)
			return r;
	} while (monotonic_ns() < deadline_ns);
	return fault_set(fault, -ETIMEDOUT,
		"processes of %s are started faster than they can be killed", run);
}

int leftover_end_run(const char *run, struct fault *fault)
{
	uint64_t deadline_ns = monotonic_ns() + DEADLINE_NS;
	struct fault of_groups = FAULT_INIT;
	int n_groups, n_processes;

	/* Whatever happens to the groups, the processes are ended. */
	n_groups = cgroup_run_end(run, &of_groups);
	n_processes = end_processes(run, deadline_ns, fault);
	if (n_processes < 0)
		return n_processes;
	if (n_groups < 0)
		return fault_set(fault, n_groups, "%s", of_groups.text);
	return n_groups + n_processes;
}

static bool is_leftover(const char *run)
{
	const char *own_run = getenv(RUN_ENVIRONMENT);

	/* Started from what a dead run left: do not saw off the branch. */
	if (own_run && strcmp(own_run, run) == 0)
		return false;
	return !is_of_service(run) && run_name_is_alive(run) == 0 &&
		cgroup_run_is_held(run, NULL) != 1;
}

/* Ends the run if its governor is dead; keeps the first error and its sentence. */
static void end_if_dead(const char *run, int *n_ended, int *error, struct fault *fault)
{
	int r;

	/* Another governor may have taken it over. */
	if (is_of_service(run) && run_name_is_alive(run) == 0 && cgroup_run_is_held(run, NULL) != 1)
		(void)cgroup_run_sweep(run, /* fault= */ NULL);
	if (!is_leftover(run))
		return;
	r = leftover_end_run(run, *error == 0 ? fault : NULL);
	if (r >= 0)
		*n_ended += r;
	else if (*error == 0)
		*error = fault_wrap(fault, r, "clear what the dead run %s left", run);
}

/* True where the process lives in our pid namespace, where its run's name means something. */
static bool is_in_our_namespace(int process_fd)
{
	char ours[64] = "", its[64] = "";

	return readlink("/proc/self/ns/pid", ours, sizeof(ours) - 1) > 0 &&
		readlinkat(process_fd, "ns/pid", its, sizeof(its) - 1) > 0 &&
		strcmp(ours, its) == 0;
}

/* Whose process is that, as far as that can be known here? */
static bool read_run(pid_t pid, char ret_run[static RUN_NAME_MAX])
{
	_cleanup_close_ int fd = process_open(pid);

	return fd >= 0 && process_variable(fd, RUN_ENVIRONMENT, ret_run, RUN_NAME_MAX) == 1 &&
		is_in_our_namespace(fd);
}

static void clear_by_processes(int *n_ended, int *error, struct fault *fault)
{
	_cleanup_closedir_ DIR *proc = opendir("/proc");
	pid_t pid;

	if (!proc) {
		if (*error == 0)
			*error = fault_errno(fault, -errno, "open /proc");
		return;
	}
	/* A process that does not end holds a pass up for seconds: the first one is enough. */
	while (*error == 0 && (pid = process_next(proc)) > 0) {
		char run[RUN_NAME_MAX];

		if (read_run(pid, run))
			end_if_dead(run, n_ended, error, fault);
	}
}

int leftover_clear(struct fault *fault)
{
	_cleanup_free_ char(*runs)[RUN_NAME_MAX] = NULL;
	size_t n_runs = 0;
	int n_ended = 0, error;

	error = cgroup_runs(&runs, &n_runs, fault);
	if (error > 0)
		error = 0;
	for (size_t i = 0; i < n_runs; i++)
		end_if_dead(runs[i], &n_ended, &error, fault);
	clear_by_processes(&n_ended, &error, fault);
	return error < 0 ? error : n_ended;
}

int leftover_thaw(struct fault *fault)
{
	_cleanup_free_ char(*runs)[RUN_NAME_MAX] = NULL;
	size_t n_runs = 0;
	int r = cgroup_runs(&runs, &n_runs, fault);

	for (size_t i = 0; r >= 0 && i < n_runs; i++)
		if (is_of_service(runs[i]) && run_name_is_alive(runs[i]) == 0 &&
			cgroup_run_is_held(runs[i], NULL) != 1)
			r = cgroup_run_thaw(runs[i], fault);
	return r < 0 ? r : 0;
}

/* What leftover_find() has found. */
struct found {
	char *names;
	size_t length, size;
	int n;
};

static void note_if_dead(const char *run, struct found *found)
{
	size_t length = found->length;

	/* A run has many processes. */
	if (strstr(found->names, run) || !is_leftover(run))
		return;
	found->n++;
	if (length >= found->size)
		return;
	found->length += (size_t)snprintf(
		found->names + length, found->size - length, "%s%s", length > 0 ? ", " : "", run);
}

int leftover_find(char ret_names[], size_t size, struct fault *fault)
{
	_cleanup_free_ char(*runs)[RUN_NAME_MAX] = NULL;
	_cleanup_closedir_ DIR *proc = opendir("/proc");
	struct found found = {.names = ret_names, .size = size};
	size_t n_runs = 0;
	pid_t pid;
	int r = proc ? 0 : fault_errno(fault, -errno, "open /proc");

	ret_names[0] = '\0';
	if (r == 0)
		r = cgroup_runs(&runs, &n_runs, fault);
	if (r < 0)
		return r;
	for (size_t i = 0; i < n_runs; i++)
		note_if_dead(runs[i], &found);
	while ((pid = process_next(proc)) > 0) {
		char run[RUN_NAME_MAX];

		if (read_run(pid, run))
			note_if_dead(run, &found);
	}
	return found.n;
}
