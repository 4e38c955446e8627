/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

#include "bundle.h"
#include "fault.h"
#include "remote.h"
#include "run.h"

/* What is known of a bundle that is to be submitted before anything is. */

/* What can run under no governor. 0 or -EBADMSG, with file:line. */
int submit_check_bundle(const struct bundle *bundle, struct fault *fault);

/* What this governor would not take: names that are in use, more tasks at a time than it has room for.
 * 0, or a negative errno and *ret_error. */
int submit_check_room(const struct bundle *bundle, struct remote *remote,
	const struct remote_governor *governor, enum run_error *ret_error, struct fault *fault);

/* Says which of the bundle's keys the governor has its own word for; before bundle_leave_to(). */
void submit_say_what_is_left(const struct bundle *bundle, const struct remote_governor *governor,
	void (*say)(const char *format, ...) __attribute__((format(printf, 1, 2))));
