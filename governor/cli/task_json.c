// SPDX-License-Identifier: GPL-2.0-or-later
#include "task_view.h"

#include <inttypes.h>
#include <json.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "cleanup.h"
#include "nsec.h"

/* The same for programs: seconds and CPUs as numbers, null for what is not there. */

#define SCHEMA 1

static void cleanup_json(struct json_object **object)
{
	(void)json_object_put(*object);
}

static struct json_object *new_number(double number)
{
	char text[32];

	if (!isfinite(number))
		return NULL;
	(void)snprintf(text, sizeof(text), "%.9g", number);
	return json_object_new_double_s(number, text);
}

/* Exact: a double holds no microseconds of this century. */
static struct json_object *new_seconds(uint64_t us)
{
	char text[40];

	(void)snprintf(
		text, sizeof(text), "%" PRIu64 ".%06" PRIu64, us / USEC_PER_SEC, us % USEC_PER_SEC);
	return json_object_new_double_s((double)us / (double)USEC_PER_SEC, text);
}

static struct json_object *new_moment(uint64_t us)
{
	return us == 0 || us == REMOTE_NEVER ? NULL : new_seconds(us);
}

static struct json_object *new_text(const char *text)
{
	return text[0] ? json_object_new_string(text) : NULL;
}

static struct json_object *new_words(char *const words[])
{
	struct json_object *array;

	if (!words || !words[0])
		return NULL;
	array = json_object_new_array();
	for (char *const *word = words; array && *word; word++)
		(void)json_object_array_add(array, json_object_new_string(*word));
	return array;
}

static void add(struct json_object *object, const char *key, struct json_object *value)
{
	(void)json_object_object_add(object, key, value);
}

static struct json_object *new_task(const struct remote_task *task)
{
	struct json_object *object = json_object_new_object();

	if (!object)
		return NULL;
	add(object, "number", json_object_new_int64(task->number));
	add(object, "name", json_object_new_string(task->name));
	add(object, "owner_uid", json_object_new_int64(task->owner));
	add(object, "pid", json_object_new_int64(task->pid));
	add(object, "command", new_words(task->command));
	add(object, "directory", new_text(task->directory));
	add(object, "target", new_text(task->target));
	add(object, "deadline_unix_seconds", new_moment(task->deadline_us));
	add(object, "threads", task->threads > 0 ? json_object_new_int64(task->threads) : NULL);
	add(object, "phase", new_text(task->phase));
	add(object, "outcome", new_text(task->outcome));
	add(object, "prospect", new_text(task->prospect));
	add(object, "share_cpus", new_number(task->share_cpus));
	add(object, "cpu_seconds", new_seconds(task->cpu_us));
	add(object, "value", new_number(task->value));
	add(object, "reports", json_object_new_uint64(task->n_reports));
	add(object, "feed", new_text(task->feed));
	add(object, "unheard", json_object_new_boolean(task->is_unheard));
	add(object, "began_unix_seconds", new_moment(task->began_us));
	add(object, "finished_unix_seconds", new_moment(task->finished_us));
	add(object, "exit_status",
		task->exit_status == REMOTE_UNTOLD ? NULL : json_object_new_int(task->exit_status));
	return object;
}

static struct json_object *new_governor(const struct remote_governor *governor)
{
	struct json_object *object = json_object_new_object();

	if (!object)
		return NULL;
	add(object, "version", new_text(governor->version));
	add(object, "policy", new_text(governor->policy));
	add(object, "enforcer", new_text(governor->enforcer));
	add(object, "meter", new_text(governor->meter));
	add(object, "guarantee", new_text(governor->guarantee));
	add(object, "slot_seconds", new_seconds(governor->slot_us));
	add(object, "capacity_cpus", new_number(governor->capacity_cpus));
	add(object, "budget_cpus", new_number(governor->budget_cpus));
	add(object, "granted_cpus", new_number(governor->granted_cpus));
	add(object, "used_cpus", new_number(governor->used_cpus));
	add(object, "tasks", json_object_new_int64(governor->n_tasks));
	add(object, "at_risk", json_object_new_int64(governor->n_at_risk));
	add(object, "draining", json_object_new_boolean(governor->is_draining));
	return object;
}

static void print(struct json_object *object)
{
	(void)puts(json_object_to_json_string_ext(
		object, JSON_C_TO_STRING_PLAIN | JSON_C_TO_STRING_NOSLASHESCAPE));
}

void view_task_json(const struct remote_task *task)
{
	_cleanup_(cleanup_json) struct json_object *object = new_task(task);

	print(object);
}

void view_governor_json(const struct remote_governor *governor)
{
	_cleanup_(cleanup_json) struct json_object *object = new_governor(governor);

	print(object);
}

void view_tasks_json(
	const struct remote_tasks *tasks, const struct remote_governor *governor, bool with_ended)
{
	_cleanup_(cleanup_json) struct json_object *object = json_object_new_object();
	struct json_object *array = json_object_new_array();

	for (size_t i = 0; i < tasks->n_tasks; i++)
		if (with_ended || strcmp(tasks->tasks[i].phase, "ended") != 0)
			(void)json_object_array_add(array, new_task(&tasks->tasks[i]));
	add(object, "schema", json_object_new_int(SCHEMA));
	add(object, "governor", new_governor(governor));
	add(object, "tasks", array);
	print(object);
}
