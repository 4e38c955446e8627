/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

#include <stdbool.h>

#include "choice.h"
#include "fault.h"
#include "client_bus.h"
#include "relay.h"

/* Runs one command under a governor that is there already, in the caller's session. */

struct preset_set;

struct launcher_setup {
	enum governor_place place;
	struct submission request; /* the process is the launcher's to fill in */
	enum feed_kind feed;
	const char *feed_more;            /* the preset, or the path; NULL: none */
	const struct preset_set *presets; /* NULL: output is not read */
	const char *required_by;          /* the option that wants a governor; NULL: none does */
	bool is_quiet;                    /* nothing is said about a task that was accepted */
	const char *prefix; /* before each line of what is read, which is shown on `prefixed_to`,
	                     * too; NULL: it is not */
	int prefixed_to;
	/* Told once, before the command runs; may be NULL. */
	void (*accepted)(const struct client_reply *reply);
	int kept_fd; /* above the standard three: not let go of with what we have inherited; 0: none */
	void (*say)(const char *format, ...) __attribute__((format(printf, 1, 2)));
};

struct launcher_result {
	/* CLIENT_ACCEPTED: `status` is the command's, as a shell gives it, whether it was governed or
	 * could not be executed; else nothing was run, and it has been said why. */
	enum client_answer answer;
	int status;
	bool was_interrupted; /* the command died of SIGINT from the terminal, which came to us, too */
	struct relay_end relayed;
};

/* Returns when the command has ended. Where there is no governor, and none is required, it becomes the
 * command, and returns only if that fails. 0, or a negative errno where the command cannot be waited
 * for any more. */
int launcher_run(const struct launcher_setup *setup, struct launcher_result *ret_result,
	struct fault *fault);
