/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>
#include <systemd/sd-bus.h>

#include "daemon.h"
#include "enforcer.h"
#include "governor_bus.h"
#include "governor_names.h"
#include "pace.h"
#include "scope_maker.h"

/* What the files behind governor_bus.h share. */

/* Who the sender of a message is. A bus never gives a connection's name to another one, so it needs
 * to be asked once only. */
#define SENDERS_KEPT 16
#define SENDER_NAME_MAX 32
struct sender {
	char name[SENDER_NAME_MAX]; /* "": none */
	uid_t uid;
};

/* Questions that polkit has not answered yet. */
#define QUESTIONS_MAX 64
#define QUESTIONS_PER_USER 8

/* Does what the message asks for and replies, or returns a negative errno with the fault set in
 * `error`. Called when the sender may, which can be much later than the message came:
 * it looks at everything anew. */
typedef int (*allowed_fn)(
	struct governor_bus *bus, sd_bus_message *message, uid_t sender, sd_bus_error *error);

struct question {
	struct governor_bus *bus;
	sd_bus_message *message; /* NULL: the place is free */
	sd_bus_slot *slot;
	uid_t sender;
	int action;
	allowed_fn allowed;
};

/* A task whose launcher gets its answer when the task has a share. */
struct held {
	uint64_t number;
	sd_bus_message *message;
	int page_fd; /* the daemon's */
	uint64_t token;
};

/* A submission whose process is being put into a scope. */
struct placing {
	struct governor_bus *bus;
	struct placing *next;
	sd_bus_message *message;
	uid_t sender;
	pid_t pid;
	char scope[SCOPE_NAME_MAX];
};

/* A task as it is seen on the bus: what its vtable reads. */
struct task_shown {
	struct governor_bus *bus;
	struct daemon_task_info info;
	uint32_t number, owner, pid, threads;
	char target[METRIC_NAME_MAX + 64];
	const char *target_text; /* the line before: sd-bus wants a pointer */
	uint64_t deadline_us, cpu_us, began_us, finished_us;
	const char *phase, *outcome, *prospect;
	int32_t exit_status;
	int is_unheard; /* a D-Bus boolean */
};

struct governor_shown {
	struct governor_bus *bus;
	struct daemon_info info;
	uint64_t slot_us, worst_late_us;
	int is_draining; /* a D-Bus boolean */
};

/* A task as it was told last. */
struct task_told {
	uint64_t number;
	struct task_shown shown;
};

struct governor_bus {
	struct governor_bus_setup setup;
	sd_bus *bus;
	struct task_shown task; /* the one that the message at hand is about */
	struct governor_shown governor;
	/* As they were told last, or were when this began: then whoever listens has read them since. */
	struct governor_shown told;
	struct task_told **told_tasks; /* n_told of them, by number */
	size_t n_told, n_told_room;
	bool is_telling_all; /* a signal is being made, which anybody may read */
	bool has_said_no_polkit;
	struct sender senders[SENDERS_KEPT];
	size_t next_sender;
	struct question questions[QUESTIONS_MAX];
	struct pace pace;  /* of changes */
	struct held *held; /* n_held of them */
	size_t n_held;
	struct scope_maker *scope_maker;
	struct placing *placings;
	uint64_t n_unsent; /* signals that nobody has got, since the bus does not take them */
};

/* allow_bus.c */
enum action {
	ACTION_SUBMIT,
	ACTION_CHANGE_OWN,
	ACTION_CHANGE_OTHERS,
	ACTION_SET_BUDGET, /* and all else that is for the governor as a whole */
	_ACTION_MAX,
};
int allow(struct governor_bus *bus, sd_bus_message *message, enum action action, allowed_fn allowed,
	sd_bus_error *error);
/* The same for a change of a task of `owner`. is_paced: it costs a decision, and whom polkit is asked about
 * may ask for so many only (pace.h). */
int allow_change(struct governor_bus *bus, sd_bus_message *message, uid_t owner, bool is_paced,
	allowed_fn allowed, sd_bus_error *error);
int sender_of(
	struct governor_bus *bus, sd_bus_message *message, uid_t *ret_uid, sd_bus_error *error);
void questions_done(struct governor_bus *bus);

/* fault_bus.c: the error's name from the errno of daemon.h, with the fault's sentence. */
int fault_to_bus(const struct fault *fault, int r, sd_bus_error *error);

/* task_bus.c */
#define TASK_PATH_MAX (sizeof(TASK_PATH "/_") + 20)
const char *task_path(char ret_path[static TASK_PATH_MAX], uint64_t number);
/* False where it is no task's path. */
bool task_number(const char *path, uint64_t *ret_number);
int task_add_vtable(struct governor_bus *bus);
void task_tell_added(struct governor_bus *bus, uint64_t number);
void task_tell_removed(struct governor_bus *bus, uint64_t number);
/* What is other than it was told, if anything is. False where too much waits to be sent already. */
bool task_tell_changed(struct governor_bus *bus, uint64_t number);
void task_tell_unheard(struct governor_bus *bus, uint64_t number);
/* Those that are there by now need not be told of. */
void task_tell_begin(struct governor_bus *bus);
void task_tell_done(struct governor_bus *bus);
/* Is the bus so far behind that what can be left out is? Counts. */
bool is_backed_up(struct governor_bus *bus);

/* told_bus.c: told and now are what the vtable reads, of one object. */
#define TOLD_NAMES_MAX 32
/* The properties that emit a change and are not as they were told, NULL-ended; told NULL: all of them. True where
 * they are worth a signal. */
bool told_differs(const struct sd_bus_vtable *vtable, const void *told, const void *now,
	const char *ret_names[static TOLD_NAMES_MAX]);
/* They have been told. Strings stay where they are. */
void told_take(const struct sd_bus_vtable *vtable, void *told, const void *now);

/* options_bus.c: what Submit() and Set() are given, checked. Strings are the message's. */
struct options {
	uint32_t given; /* a bit for each that was */
	const char *name, *directory;
	char **argv; /* NULL-ended, or NULL */
	bool has_deadline, has_target, has_threads;
	struct target target; /* metric "" for none */
	struct daemon_deadline deadline;
	uint32_t threads;
	bool has_on_target, has_on_deadline;
	enum at_end on_target, on_deadline;
	bool has_grace;
	uint64_t grace_ns;
	bool waits_for_share;
};
enum options_of {
	OPTIONS_OF_SUBMIT = 1 << 0,
	OPTIONS_OF_SET = 1 << 1,
};
int options_read(sd_bus_message *message, enum options_of of, struct options *ret_options,
	sd_bus_error *error);
void options_done(struct options *options);

/* log_control_bus.c */
int log_control_add(struct governor_bus *bus);

/* submit_bus.c */
int submit_method(sd_bus_message *message, void *userdata, sd_bus_error *error);
/* Answers for tasks that have their share now, or will never have one. */
void submit_answer_held(struct governor_bus *bus);
void submit_done(struct governor_bus *bus);
