// SPDX-License-Identifier: GPL-2.0-or-later
#include "remote.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <systemd/sd-bus.h>

#include "cleanup.h"
#include "remote_bus_internal.h"
#include "governor_names.h"
#include "monotonic.h"
#include "nsec.h"
#include "quantity.h"

/* The calls. A question to a person may stand between one and its answer (polkit), so an answer may
 * take a while.
 *
 * Signals that come while an answer is waited for are queued by sd-bus, and are met in order by
 * remote_wait(). */

#define ANSWER_TIMEOUT_US (90 * USEC_PER_SEC)
#define GLANCE_TIMEOUT_US (2 * USEC_PER_SEC) /* for what is good to know, and no more */
#define ENDS_MAX_STEP 64

struct remote {
	sd_bus *bus;
	uint64_t timeout_us;
	const struct remote_listener *listener;
	struct remote_end *ends; /* heard and not taken yet, from first_end on; owned */
	size_t n_ends, first_end;
	bool has_gone;
	bool is_back; /* the last that was heard, in remote_wait_back() */
	int error;    /* of the callbacks */
};

DEFINE_CLEANUP_FUNC(sd_bus_message, sd_bus_message_unref)
DEFINE_CLEANUP_FUNC(struct remote, remote_free)

static const struct {
	const char *name;
	int error;
} errors[] = {
	{GOVERNOR_ERROR_NO_SUCH_TASK, -ENOENT},
	{SD_BUS_ERROR_UNKNOWN_OBJECT, -ENOENT},
	{GOVERNOR_ERROR_HAS_ENDED, -EALREADY},
	{GOVERNOR_ERROR_NOT_YOURS, -EACCES},
	{SD_BUS_ERROR_ACCESS_DENIED, -EACCES},
	{SD_BUS_ERROR_INTERACTIVE_AUTHORIZATION_REQUIRED, -EACCES},
	{GOVERNOR_ERROR_OVER_LIMIT, -EBUSY},
	{GOVERNOR_ERROR_BAD_DEADLINE, -EINVAL},
	{GOVERNOR_ERROR_BAD_TARGET, -EINVAL},
	{SD_BUS_ERROR_INVALID_ARGS, -EINVAL},
	{SD_BUS_ERROR_SERVICE_UNKNOWN, -ENOTCONN},
	{SD_BUS_ERROR_NAME_HAS_NO_OWNER, -ENOTCONN},
	{SD_BUS_ERROR_NO_REPLY, -ENOTCONN},
	{SD_BUS_ERROR_DISCONNECTED, -ENOTCONN},
};

static int gone(struct fault *fault)
{
	return fault_set(fault, -ENOTCONN, "the governor has gone");
}

static int failed(struct fault *fault, int r, const sd_bus_error *error)
{
	for (size_t i = 0; error->name && i < ARRAY_LENGTH(errors); i++)
		if (strcmp(errors[i].name, error->name) == 0)
			return errors[i].error == -ENOTCONN
				? gone(fault)
				: fault_set(fault, errors[i].error, "%s", error->message);
	if (r == -ECONNRESET || r == -ENOTCONN || r == -EPIPE)
		return gone(fault);
	if (r == -ETIMEDOUT)
		return fault_set(fault, -ENOTCONN, "the governor does not answer");
	return fault_set(fault, -EIO, "%s", error->message ? error->message : strerror(-r));
}

/* Sends the call, which may ask a person for leave. ret_reply may be NULL. */
static int call(struct remote *remote, sd_bus_message *message, sd_bus_message **ret_reply,
	struct fault *fault)
{
	_cleanup_(sd_bus_error_free) sd_bus_error error = SD_BUS_ERROR_NULL;
	int r = sd_bus_message_set_allow_interactive_authorization(message, /* b= */ true);

	if (r >= 0)
		r = sd_bus_call(remote->bus, message, remote->timeout_us, &error, ret_reply);
	return r < 0 ? failed(fault, r, &error) : 0;
}

static int new_call(struct remote *remote, const char *path, const char *interface,
	const char *method, sd_bus_message **ret_message, struct fault *fault)
{
	int r = sd_bus_message_new_method_call(
		remote->bus, ret_message, GOVERNOR_NAME, path, interface, method);

	return r < 0 ? fault_errno(fault, r, "call the governor") : 0;
}

static int appended(int r, struct fault *fault)
{
	return r < 0 ? fault_errno(fault, r, "call the governor") : 0;
}

static int get_all(struct remote *remote, const char *path, const char *interface,
	const struct property properties[], void *object, struct fault *fault)
{
	_cleanup_(cleanup_sd_bus_message_unref) sd_bus_message *message = NULL, *reply = NULL;
	int r = new_call(remote, path, PROPERTIES_INTERFACE, "GetAll", &message, fault);

	if (r >= 0)
		r = appended(sd_bus_message_append(message, "s", interface), fault);
	if (r >= 0)
		r = call(remote, message, &reply, fault);
	if (r < 0)
		return r;
	r = properties_read(reply, properties, object);
	if (r >= 0)
		r = properties_complete(properties, object);
	if (r >= 0)
		return 0;
	properties_done(properties, object);
	return fault_errno(fault, r, "read the governor's answer");
}

int remote_governor(
	struct remote *remote, struct remote_governor *ret_governor, struct fault *fault)
{
	*ret_governor = (struct remote_governor){.n_vacant = UINT32_MAX};
	return get_all(remote, GOVERNOR_PATH, GOVERNOR_INTERFACE, governor_properties, ret_governor,
		fault);
}

pid_t remote_pid(struct remote *remote)
{
	sd_bus_creds *creds = NULL;
	pid_t pid = 0;

	if (sd_bus_get_name_creds(remote->bus, GOVERNOR_NAME, SD_BUS_CREDS_PID, &creds) >= 0)
		(void)sd_bus_creds_get_pid(creds, &pid);
	(void)sd_bus_creds_unref(creds);
	return pid;
}

int remote_task(
	struct remote *remote, const char *path, struct remote_task *ret_task, struct fault *fault)
{
	*ret_task = (struct remote_task){.exit_status = REMOTE_UNTOLD};
	(void)snprintf(ret_task->path, sizeof(ret_task->path), "%s", path);
	return get_all(remote, path, TASK_INTERFACE, task_properties, ret_task, fault);
}

/* The object that comes next; one that is no task is passed over. */
static int read_object(sd_bus_message *message, struct remote_tasks *tasks)
{
	struct remote_task task = {.exit_status = REMOTE_UNTOLD}, *grown;
	bool is_task = false;
	const char *path, *interface;
	int r = sd_bus_message_read(message, "o", &path);

	if (r >= 0)
		r = sd_bus_message_enter_container(message, 'a', "{sa{sv}}");
	while (r >= 0 && (r = sd_bus_message_enter_container(message, 'e', "sa{sv}")) > 0) {
		r = sd_bus_message_read(message, "s", &interface);
		if (r >= 0 && strcmp(interface, TASK_INTERFACE) == 0) {
			is_task = true;
			r = properties_read(message, task_properties, &task);
		} else if (r >= 0) {
			r = sd_bus_message_skip(message, "a{sv}");
		}
		if (r >= 0)
			r = sd_bus_message_exit_container(message);
	}
	if (r >= 0)
		r = sd_bus_message_exit_container(message);
	if (r >= 0 && is_task)
		r = properties_complete(task_properties, &task);
	if (r < 0 || !is_task) {
		remote_task_done(&task);
		return r;
	}
	(void)snprintf(task.path, sizeof(task.path), "%s", path);
	grown = reallocarray(tasks->tasks, tasks->n_tasks + 1, sizeof(*grown));
	if (!grown) {
		remote_task_done(&task);
		return -ENOMEM;
	}
	tasks->tasks = grown;
	grown[tasks->n_tasks++] = task;
	return 0;
}

static int by_number(const void *a, const void *b)
{
	const struct remote_task *one = a, *other = b;

	return one->number < other->number ? -1 : one->number > other->number;
}

int remote_tasks(struct remote *remote, struct remote_tasks *ret_tasks, struct fault *fault)
{
	_cleanup_(cleanup_sd_bus_message_unref) sd_bus_message *message = NULL, *reply = NULL;
	struct remote_tasks tasks = {0};
	int r = new_call(remote, GOVERNOR_PATH, "org.freedesktop.DBus.ObjectManager",
		"GetManagedObjects", &message, fault);

	if (r >= 0)
		r = call(remote, message, &reply, fault);
	if (r < 0)
		return r;
	r = sd_bus_message_enter_container(reply, 'a', "{oa{sa{sv}}}");
	while (r >= 0 && (r = sd_bus_message_enter_container(reply, 'e', "oa{sa{sv}}")) > 0) {
		r = read_object(reply, &tasks);
		if (r >= 0)
			r = sd_bus_message_exit_container(reply);
	}
	if (r < 0) {
		remote_tasks_done(&tasks);
		return fault_errno(fault, r, "read the governor's answer");
	}
	if (tasks.n_tasks > 0)
		qsort(tasks.tasks, tasks.n_tasks, sizeof(tasks.tasks[0]), by_number);
	*ret_tasks = tasks;
	return 0;
}

void remote_tasks_done(struct remote_tasks *tasks)
{
	for (size_t i = 0; i < tasks->n_tasks; i++)
		remote_task_done(&tasks->tasks[i]);
	free(tasks->tasks);
	*tasks = (struct remote_tasks){0};
}

static int find_name(struct remote *remote, const char *name, char ret_path[static REMOTE_PATH_MAX],
	struct fault *fault)
{
	_cleanup_(cleanup_sd_bus_message_unref) sd_bus_message *message = NULL, *reply = NULL;
	const char *path;
	int r = new_call(remote, GOVERNOR_PATH, GOVERNOR_INTERFACE, "GetTask", &message, fault);

	if (r >= 0)
		r = appended(sd_bus_message_append(message, "s", name), fault);
	if (r >= 0)
		r = call(remote, message, &reply, fault);
	if (r < 0)
		return r;
	if (sd_bus_message_read(reply, "o", &path) < 0 || strlen(path) >= REMOTE_PATH_MAX)
		return fault_set(fault, -EIO, "the governor's answer cannot be read");
	strcpy(ret_path, path);
	return 0;
}

int remote_find(struct remote *remote, const char *word, char ret_path[static REMOTE_PATH_MAX],
	struct fault *fault)
{
	struct remote_task task;
	char path[REMOTE_PATH_MAX];
	uint64_t number;
	int r = find_name(remote, word, ret_path, fault);

	if (r != -ENOENT || parse_count(word, 1, UINT32_MAX, &number, /* fault= */ NULL) < 0)
		return r;
	(void)snprintf(path, sizeof(path), TASK_PATH "/_%" PRIu64, number);
	if (remote_task(remote, path, &task, /* fault= */ NULL) < 0)
		return r;
	remote_task_done(&task);
	strcpy(ret_path, path);
	return 0;
}

static int append_change(sd_bus_message *message, const struct remote_change *change)
{
	int r = sd_bus_message_open_container(message, 'a', "{sv}");

	if (r >= 0 && change->has_deadline)
		r = sd_bus_message_append(message, "{sv}",
			change->is_boottime ? "DeadlineBoottime" : "DeadlineRealtime", "t",
			change->deadline_us);
	if (r >= 0 && change->has_target)
		r = sd_bus_message_append(message, "{sv}", "Target", "s", change->target);
	if (r >= 0 && change->has_threads)
		r = sd_bus_message_append(message, "{sv}", "Threads", "u", change->threads);
	return r < 0 ? r : sd_bus_message_close_container(message);
}

int remote_set(struct remote *remote, const char *path, const struct remote_change *change,
	struct fault *fault)
{
	_cleanup_(cleanup_sd_bus_message_unref) sd_bus_message *message = NULL;
	int r = new_call(remote, path, TASK_INTERFACE, "Set", &message, fault);

	if (r >= 0)
		r = appended(append_change(message, change), fault);
	return r < 0 ? r : call(remote, message, /* ret_reply= */ NULL, fault);
}

int remote_do(struct remote *remote, const char *path, const char *method, struct fault *fault)
{
	_cleanup_(cleanup_sd_bus_message_unref) sd_bus_message *message = NULL;
	int r = new_call(remote, path, TASK_INTERFACE, method, &message, fault);

	return r < 0 ? r : call(remote, message, /* ret_reply= */ NULL, fault);
}

int remote_set_budget(struct remote *remote, const char *budget, struct fault *fault)
{
	_cleanup_(cleanup_sd_bus_message_unref) sd_bus_message *message = NULL;
	int r = new_call(remote, GOVERNOR_PATH, GOVERNOR_INTERFACE, "SetBudget", &message, fault);

	if (r >= 0)
		r = appended(sd_bus_message_append(message, "s", budget), fault);
	return r < 0 ? r : call(remote, message, /* ret_reply= */ NULL, fault);
}

int remote_show_configuration(
	struct remote *remote, bool is_json, char **ret_text, struct fault *fault)
{
	_cleanup_(cleanup_sd_bus_message_unref) sd_bus_message *message = NULL, *reply = NULL;
	const char *text;
	int r = new_call(
		remote, GOVERNOR_PATH, GOVERNOR_INTERFACE, "ShowConfiguration", &message, fault);

	if (r >= 0)
		r = appended(sd_bus_message_append(message, "b", (int)is_json), fault);
	if (r >= 0)
		r = call(remote, message, &reply, fault);
	if (r < 0)
		return r;
	if (sd_bus_message_read(reply, "s", &text) < 0)
		return fault_set(fault, -EIO, "the governor's answer cannot be read");
	*ret_text = strdup(text);
	return *ret_text ? 0 : fault_errno(fault, -ENOMEM, "read the governor's answer");
}

int remote_drain(struct remote *remote, bool is_on, struct fault *fault)
{
	_cleanup_(cleanup_sd_bus_message_unref) sd_bus_message *message = NULL;
	int r = new_call(remote, GOVERNOR_PATH, GOVERNOR_INTERFACE, "Drain", &message, fault);

	if (r >= 0)
		r = appended(sd_bus_message_append(message, "b", (int)is_on), fault);
	return r < 0 ? r : call(remote, message, /* ret_reply= */ NULL, fault);
}

static int heard_end(sd_bus_message *message, void *userdata, sd_bus_error *error)
{
	struct remote *remote = userdata;
	const char *path, *name, *outcome;
	struct remote_end *grown;

	(void)error;
	if (sd_bus_message_read(message, "oss", &path, &name, &outcome) < 0)
		return 0;
	if (remote->n_ends % ENDS_MAX_STEP == 0) {
		grown = reallocarray(
			remote->ends, remote->n_ends + ENDS_MAX_STEP, sizeof(*remote->ends));
		if (!grown) {
			remote->error = -ENOMEM;
			return 0;
		}
		remote->ends = grown;
	}
	(void)snprintf(remote->ends[remote->n_ends].path, REMOTE_PATH_MAX, "%s", path);
	(void)snprintf(remote->ends[remote->n_ends].outcome,
		sizeof(remote->ends[remote->n_ends].outcome), "%s", outcome);
	remote->n_ends++;
	return 0;
}

static int heard_owner(sd_bus_message *message, void *userdata, sd_bus_error *error)
{
	struct remote *remote = userdata;
	const char *name, *before, *after;

	(void)error;
	if (sd_bus_message_read(message, "sss", &name, &before, &after) < 0)
		return 0;
	remote->has_gone |= *before != '\0';
	remote->is_back = *after != '\0';
	return 0;
}

static int match_end(struct remote *remote, sd_bus_message_handler_t handler)
{
	return sd_bus_match_signal(remote->bus, /* slot= */ NULL, GOVERNOR_NAME, GOVERNOR_PATH,
		GOVERNOR_INTERFACE, "TaskEnded", handler, remote);
}

/* Who has the governor's name. */
static int match_owner(struct remote *remote, sd_bus_message_handler_t handler)
{
	return sd_bus_add_match(remote->bus, /* slot= */ NULL,
		"type='signal',sender='" BUS_NAME "',"
		"interface='" BUS_INTERFACE "',member='NameOwnerChanged',"
		"arg0='" GOVERNOR_NAME "'",
		handler, remote);
}

int remote_watch(struct remote *remote, struct fault *fault)
{
	int r = match_end(remote, heard_end);

	if (r >= 0)
		r = match_owner(remote, heard_owner);
	return r < 0 ? fault_errno(fault, r, "listen to the governor") : 0;
}

/* The event loop. */

static int told_change(sd_bus_message *message, void *userdata, sd_bus_error *error)
{
	struct remote *remote = userdata;
	const struct remote_listener *listener = remote->listener;
	struct remote_task *task = listener->find(
		listener->userdata, sd_bus_message_get_path(message));

	(void)error;
	/* What cannot be read now comes again with the next change. */
	if (task && sd_bus_message_skip(message, "s") >= 0 &&
		properties_read(message, task_properties, task) >= 0)
		listener->changed(listener->userdata, task);
	return 0;
}

static int told_end(sd_bus_message *message, void *userdata, sd_bus_error *error)
{
	struct remote *remote = userdata;
	const struct remote_listener *listener = remote->listener;
	const char *path, *name, *outcome;
	struct remote_task *task;
	char *kept;

	(void)error;
	if (sd_bus_message_read(message, "oss", &path, &name, &outcome) < 0)
		return 0;
	task = listener->find(listener->userdata, path);
	if (!task)
		return 0;
	kept = strdup(outcome);
	if (kept) {
		free(task->outcome);
		task->outcome = kept;
	}
	listener->ended(listener->userdata, task);
	return 0;
}

static void tell_gone(struct remote *remote)
{
	if (!remote->has_gone)
		remote->listener->gone(remote->listener->userdata);
	remote->has_gone = true;
}

static int told_owner(sd_bus_message *message, void *userdata, sd_bus_error *error)
{
	struct remote *remote = userdata;
	const char *name, *before, *after;

	(void)error;
	if (sd_bus_message_read(message, "sss", &name, &before, &after) < 0)
		return 0;
	if (*before)
		tell_gone(remote);
	if (*after && remote->has_gone) {
		remote->has_gone = false;
		remote->listener->back(remote->listener->userdata);
	}
	return 0;
}

static int told_disconnected(sd_bus_message *message, void *userdata, sd_bus_error *error)
{
	struct remote *remote = userdata;

	(void)message, (void)error;
	tell_gone(remote);
	remote->listener->lost(remote->listener->userdata);
	return 0;
}

int remote_listen(struct remote *remote, sd_event *event, const struct remote_listener *listener,
	struct fault *fault)
{
	int r;

	remote->listener = listener;
	r = sd_bus_add_match(remote->bus, /* slot= */ NULL,
		"type='signal',sender='" GOVERNOR_NAME "',path_namespace='" TASK_PATH "',"
		"interface='" PROPERTIES_INTERFACE "',member='PropertiesChanged'",
		told_change, remote);
	if (r >= 0)
		r = match_end(remote, told_end);
	if (r >= 0)
		r = match_owner(remote, told_owner);
	if (r >= 0)
		r = sd_bus_match_signal(remote->bus, /* slot= */ NULL, /* sender= */ NULL,
			"/org/freedesktop/DBus/Local", "org.freedesktop.DBus.Local", "Disconnected",
			told_disconnected, remote);
	if (r >= 0)
		r = sd_bus_attach_event(remote->bus, event, SD_EVENT_PRIORITY_NORMAL);
	return r < 0 ? fault_errno(fault, r, "listen to the governor") : 0;
}

int remote_wait(struct remote *remote, struct remote_end *ret_end, struct fault *fault)
{
	while (remote->first_end == remote->n_ends) {
		int r = remote->has_gone ? -ENOTCONN : sd_bus_process(remote->bus, /* ret= */ NULL);

		if (r == 0)
			r = sd_bus_wait(remote->bus, UINT64_MAX);
		if (remote->error < 0)
			return fault_errno(fault, remote->error, "wait for the governor");
		if (r < 0 && r != -EINTR)
			return gone(fault);
	}
	*ret_end = remote->ends[remote->first_end++];
	return 0;
}

bool remote_is_connected(const struct remote *remote)
{
	return sd_bus_is_open(remote->bus) > 0;
}

int remote_wait_back(struct remote *remote, struct fault *fault)
{
	const uint64_t end_us = monotonic_ns() / NSEC_PER_USEC + REMOTE_AWAY_PATIENCE_US;

	while (!remote->is_back) {
		uint64_t now_us = monotonic_ns() / NSEC_PER_USEC;
		int r = sd_bus_process(remote->bus, /* ret= */ NULL);

		if (r == 0 && now_us < end_us)
			r = sd_bus_wait(remote->bus, end_us - now_us);
		if ((r < 0 && r != -EINTR) || now_us >= end_us)
			return gone(fault);
	}
	remote->has_gone = remote->is_back = false;
	return 0;
}

int remote_open(enum governor_place place, struct remote **ret_remote, struct fault *fault)
{
	_cleanup_(cleanup_remote_free) struct remote *remote = calloc(1, sizeof(*remote));
	int r;

	if (!remote)
		return fault_errno(fault, -ENOMEM, "call the governor");
	remote->timeout_us = ANSWER_TIMEOUT_US;
	r = connect_governor(place, &remote->bus, fault);
	if (r < 0)
		return r;
	*ret_remote = TAKE_PTR(remote);
	return 0;
}

int remote_open_running(enum governor_place place, struct remote **ret_remote, struct fault *fault)
{
	_cleanup_(cleanup_remote_free) struct remote *remote = calloc(1, sizeof(*remote));
	int r;

	if (!remote)
		return fault_errno(fault, -ENOMEM, "call the governor");
	remote->timeout_us = GLANCE_TIMEOUT_US;
	r = connect_running_governor(place, &remote->bus);
	if (r < 0)
		return fault_set(fault, r, "no governor runs here");
	*ret_remote = TAKE_PTR(remote);
	return 0;
}

struct remote *remote_free(struct remote *remote)
{
	if (!remote)
		return NULL;
	(void)sd_bus_flush_close_unref(remote->bus);
	free(remote->ends);
	free(remote);
	return NULL;
}
