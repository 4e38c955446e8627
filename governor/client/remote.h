/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>
#include <systemd/sd-event.h>

#include "connect_bus.h"
#include "fault.h"

/* A governor as its clients see it: calls that wait for the answer. Times are microseconds of
 * CLOCK_REALTIME, as on the bus; org.coregov.Governor1(5) has the meaning of each member.
 *
 * Errors: -ENOTCONN no governor (any more), -ENOENT no such task, -EALREADY it has ended, -EACCES
 * refused, -EINVAL a value that the governor does not take, -EBUSY this user asks for too much at once and
 * may try again in a moment, -EIO what nobody expects. The sentence is
 * the governor's own. */

#define REMOTE_PATH_MAX 64
#define REMOTE_NEVER UINT64_MAX /* no deadline */
#define REMOTE_UNTOLD (-1)      /* no exit status */

struct remote;

struct remote_governor {
	char *version, *policy, *enforcer, *meter, *guarantee;
	uint64_t slot_us;
	double capacity_cpus, budget_cpus, granted_cpus, used_cpus;
	uint32_t n_tasks, n_at_risk;
	uint32_t n_vacant; /* tasks of ours that it would take now; UINT32_MAX: not told */
	int is_draining;
};

struct remote_task {
	char path[REMOTE_PATH_MAX];
	uint32_t number, owner, pid, threads;
	char *name, *directory, *target, *phase, *outcome, *feed, *prospect;
	char **command; /* NULL-ended; NULL where it is not ours to see */
	uint64_t deadline_us, cpu_us, n_reports, began_us,
		finished_us; /* began, finished: 0 not yet */
	double share_cpus, value;
	int32_t exit_status; /* REMOTE_UNTOLD: nobody has said (yet) */
	int is_unheard;      /* it has a target and reports nothing */
};

struct remote_tasks {
	struct remote_task *tasks; /* by number */
	size_t n_tasks;
};

struct remote_change {
	bool has_deadline, has_target, has_threads;
	bool is_boottime; /* the deadline's clock */
	uint64_t deadline_us;
	const char *target; /* "" for none */
	uint32_t threads;
};

int remote_open(enum governor_place place, struct remote **ret_remote, struct fault *fault);
/* Only one that runs already is taken, and it has two seconds for each answer; -ENOTCONN. */
int remote_open_running(enum governor_place place, struct remote **ret_remote, struct fault *fault);
struct remote *remote_free(struct remote *remote);

int remote_governor(
	struct remote *remote, struct remote_governor *ret_governor, struct fault *fault);
void remote_governor_done(struct remote_governor *governor);

/* The governor's process, as the bus knows it; 0 where it does not. */
pid_t remote_pid(struct remote *remote);

/* All tasks that it knows, also those that have ended. */
int remote_tasks(struct remote *remote, struct remote_tasks *ret_tasks, struct fault *fault);
void remote_tasks_done(struct remote_tasks *tasks);

/* The newest task of that name; where there is none and the word is a number, the task of it. */
int remote_find(struct remote *remote, const char *word, char ret_path[static REMOTE_PATH_MAX],
	struct fault *fault);
int remote_task(
	struct remote *remote, const char *path, struct remote_task *ret_task, struct fault *fault);
void remote_task_done(struct remote_task *task);

int remote_set(struct remote *remote, const char *path, const struct remote_change *change,
	struct fault *fault);
/* method: Cancel, Pause or Resume. */
int remote_do(struct remote *remote, const char *path, const char *method, struct fault *fault);
int remote_set_budget(struct remote *remote, const char *budget, struct fault *fault);
/* The configuration that it goes by, as coregov-show-config(1) prints it; given back by free(). */
int remote_show_configuration(
	struct remote *remote, bool is_json, char **ret_text, struct fault *fault);
int remote_drain(struct remote *remote, bool is_on, struct fault *fault);

/* From now on hears when tasks end; before remote_tasks(), so that no end is missed. */
int remote_watch(struct remote *remote, struct fault *fault);
/* Waits until the next one has ended; -ENOTCONN when the governor goes. */
struct remote_end {
	char path[REMOTE_PATH_MAX];
	char outcome[32];
};
int remote_wait(struct remote *remote, struct remote_end *ret_end, struct fault *fault);
/* How long a governor that has gone is waited for: systemd starts it again at once. */
#define REMOTE_AWAY_PATIENCE_US (30 * USEC_PER_SEC)
/* After remote_wait() with -ENOTCONN: until the governor, or another one in its place, is there. What was
 * known of the tasks has to be read anew. -ENOTCONN where that takes longer than REMOTE_AWAY_PATIENCE_US, or
 * the bus has gone, too. */
int remote_wait_back(struct remote *remote, struct fault *fault);
/* False where the bus has gone: then nothing can come back. */
bool remote_is_connected(const struct remote *remote);

/* Instead of remote_watch() and remote_wait(), where an event loop runs: hears what happens to tasks. */
struct remote_listener {
	void *userdata;
	/* What is known of the task, to be brought up to date; NULL where it is not to be. */
	struct remote_task *(*find)(void *userdata, const char *path);
	void (*changed)(void *userdata, struct remote_task *task);
	/* Told for each, also where a change was left out. */
	void (*ended)(void *userdata, struct remote_task *task);
	void (*gone)(void *userdata); /* the governor; not told again before it is back */
	/* It, or another one in its place: what is known of the tasks has to be read anew. */
	void (*back)(void *userdata);
	void (*lost)(void *userdata); /* the bus: nothing is heard any more */
};
/* The listener is kept by pointer. 0 or a negative errno. */
int remote_listen(struct remote *remote, sd_event *event, const struct remote_listener *listener,
	struct fault *fault);
