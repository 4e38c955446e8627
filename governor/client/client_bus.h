/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <systemd/sd-event.h>

#include "connect_bus.h"
#include "fault.h"
#include "moment.h"
#include "quantity.h"

/* A governor as a client finds and uses it over D-Bus (org.coregov.Governor1). Nothing here blocks but
 * client_ended(), and that for a stated time: the caller runs the event loop, in which it has other
 * things to hear of. */

/* What a task asks for. Strings are the caller's, kept until there is an answer. */
struct submission {
	int process_fd;        /* pidfd of the process at its gate */
	const char *name;      /* NULL: the governor makes one */
	char *const *command;  /* NULL-ended */
	const char *directory; /* NULL: not known */
	const char *target;    /* as written; NULL: none */
	bool has_deadline;
	struct moment deadline;
	uint64_t now_boottime_ns; /* what a deadline that is a span counts from */
	bool has_threads;
	uint32_t threads;      /* 0: auto */
	const char *on_target; /* NULL: not said */
	const char *on_deadline;
	bool has_grace;
	uint64_t grace_ns;
	bool waits_start; /* to be held at the gate until it has a share, however long that takes */
};

enum client_answer {
	CLIENT_WAITING,
	CLIENT_ACCEPTED,           /* the process is in its place and governed */
	CLIENT_REFUSED_DATA,       /* what was asked for cannot be */
	CLIENT_REFUSED_BUSY,       /* not now */
	CLIENT_REFUSED_PERMISSION, /* not for this user */
	CLIENT_ABSENT,             /* no governor, or none that answers */
	CLIENT_FAILED,             /* nobody knows: we lack memory, or a descriptor, to ask */
};

struct client_reply {
	enum client_answer answer;
	char text[FAULT_TEXT_MAX]; /* a sentence, for all but CLIENT_ACCEPTED */
	char task[128];            /* object path */
	char name[TASK_NAME_MAX + 1];
	char prospect[16]; /* "likely", "unlikely", "unknown" */
	int page_fd;       /* owned by the client */
};

struct client;

struct client_setup {
	sd_event *event;
	enum governor_place place;
	bool wants_name; /* the name that the governor has made, at the cost of one more call; else its number */
	/* Told once where an answer takes long and the governor is alive. */
	void (*say)(const char *format, ...) __attribute__((format(printf, 1, 2)));
	/* Told once where the governor has heard nothing of the task's target for too long. */
	void (*unheard)(void *userdata);
	void *userdata;
};

/* Looks for a governor and submits; the answer comes while the event loop runs. A governor that gives
 * no sign of life for five seconds is absent; so is one that is alive and does not answer for a
 * minute, unless the task is to wait for its start. One that goes before it has answered is looked for again for
 * three seconds, and asked again. 0, or a negative errno where not even that can be
 * begun (no memory, no descriptor). */
int client_submit(struct client **ret_client, const struct client_setup *setup,
	const struct submission *submission, struct fault *fault);
struct client *client_free(struct client *client);

/* As of now; valid until client_free(). */
const struct client_reply *client_reply(const struct client *client);

/* Tells the governor how an accepted task has ended: the status as a shell gives it. Runs the event
 * loop for at most two seconds, in which a governor that is started anew may come back. 0, or a negative
 * errno: nobody heard it, and the governor has seen the process end by itself. */
int client_ended(struct client *client, int status);
