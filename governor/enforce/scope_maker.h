/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

#include <sys/types.h>
#include <systemd/sd-event.h>

#include "fault.h"

/* Scopes of systemd's for tasks that come while a loop runs: in UNIT_SLICE, delegated, one around each process.
 * Nobody waits for systemd. */

struct scope_maker;

/* r: 0, and the process is in the scope now; or a negative errno, and the fault has the sentence. Called once for
 * each scope, from the event loop, or before scope_maker_make() returns. */
typedef void (*scope_made_fn)(void *userdata, int r, const struct fault *fault);

/* `event` is referenced. 0 or -ENOMEM. */
int scope_maker_new(struct scope_maker **ret_maker, sd_event *event);
/* Nobody hears any more of those that are not made yet. NULL is fine; returns NULL. */
struct scope_maker *scope_maker_free(struct scope_maker *maker);

/* unit: "x.scope", of a name that no other unit has; description: UTF-8. Both are copied, and the pidfd is duplicated; pid: read
 * through it. 0 or a negative errno
 * with a sentence: then made() is not called. */
int scope_maker_make(struct scope_maker *maker, const char *unit, const char *description,
	int pidfd, pid_t pid, scope_made_fn made, void *userdata, struct fault *fault);
