/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "connect_bus.h"
#include "fault.h"

/* A governor as its clients see it: calls that wait for the answer. Times are microseconds of
 * CLOCK_REALTIME, as on the bus; org.coregov.Governor1(5) has the meaning of each member.
 *
 * Errors: -ENOTCONN no governor (any more), -ENOENT no such task, -EALREADY it has ended, -EACCES
 * refused, -EINVAL a value that the governor does not take, -EIO what nobody expects. The sentence is
 * the governor's own. */

#define CLIENT_PATH_MAX 64
#define CLIENT_NEVER UINT64_MAX /* no deadline */

struct client;

struct client_governor {
	char *version, *policy, *enforcer, *meter, *guarantee;
	uint64_t slot_us;
	double capacity_cpus, budget_cpus, granted_cpus, used_cpus;
	uint32_t n_tasks, n_at_risk;
	int is_draining;
};

struct client_task {
	char path[CLIENT_PATH_MAX];
	uint32_t number, owner, pid, threads;
	char *name, *directory, *target, *phase, *outcome, *feed, *prospect;
	char **command; /* NULL-ended; NULL where it is not ours to see */
	uint64_t deadline_us, cpu_us, n_reports, began_us,
		finished_us; /* began, finished: 0 not yet */
	double share_cpus, value;
};

struct client_tasks {
	struct client_task *tasks; /* by number */
	size_t n_tasks;
};

struct client_change {
	bool has_deadline, has_target, has_threads;
	bool is_boottime; /* the deadline's clock */
	uint64_t deadline_us;
	const char *target; /* "" for none */
	uint32_t threads;
};

int client_open(enum governor_place place, struct client **ret_client, struct fault *fault);
struct client *client_free(struct client *client);

int client_governor(
	struct client *client, struct client_governor *ret_governor, struct fault *fault);
void client_governor_done(struct client_governor *governor);

/* All tasks that it knows, also those that have ended. */
int client_tasks(struct client *client, struct client_tasks *ret_tasks, struct fault *fault);
void client_tasks_done(struct client_tasks *tasks);

/* The newest task of that name; where there is none and the word is a number, the task of it. */
int client_find(struct client *client, const char *word, char ret_path[static CLIENT_PATH_MAX],
	struct fault *fault);
int client_task(
	struct client *client, const char *path, struct client_task *ret_task, struct fault *fault);
void client_task_done(struct client_task *task);

int client_set(struct client *client, const char *path, const struct client_change *change,
	struct fault *fault);
/* method: Cancel, Pause or Resume. */
int client_do(struct client *client, const char *path, const char *method, struct fault *fault);
int client_set_budget(struct client *client, const char *budget, struct fault *fault);
int client_drain(struct client *client, bool is_on, struct fault *fault);

/* From now on hears when tasks end; before client_tasks(), so that no end is missed. */
int client_watch(struct client *client, struct fault *fault);
/* Waits until the next one has ended; -ENOTCONN when the governor goes. */
struct client_end {
	char path[CLIENT_PATH_MAX];
	char outcome[32];
};
int client_wait(struct client *client, struct client_end *ret_end, struct fault *fault);
