/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

#include <stdbool.h>

#include "bundle.h"
#include "connect_bus.h"
#include "fault.h"
#include "record.h"
#include "result.h"
#include "run.h"

/* A run of a bundle under a governor that is there already: each task is submitted when it arrives, by a
 * launcher of its own (launcher_process.h), and what becomes of it is heard from the governor. */

struct submit_setup {
	struct bundle
		*bundle; /* as read; the governor's capacity, budget and slot are put into it */
	enum governor_place place;
	const char *output_directory; /* or NULL */
	bool is_verbose;
	struct recorder *view; /* is told of events */
	bool is_drawn;         /* the view wants slots, too */
	void (*say)(const char *format, ...) __attribute__((format(printf, 1, 2)));
};

struct submit;

/* Finds the governor, and refuses what can be known to be refused: nothing has been started then. 0 or a
 * negative errno. */
int submit_new(struct submit **ret_submit, const struct submit_setup *setup,
	enum run_error *ret_error, struct fault *fault);

/* Runs until every task has ended. 0, or a negative errno: *ret_error is RUN_ERROR_OTHER where it could
 * not go on, and another where the governor has refused the first of the tasks, so that nothing has
 * run. *ret_signo is the signal that cancelled it, or 0. */
int submit_loop(
	struct submit *submit, int *ret_signo, enum run_error *ret_error, struct fault *fault);

/* As of run.h; valid until submit_free(). */
void submit_result(const struct submit *submit, struct result_setup *ret_result);
const char *submit_last_words(const struct submit *submit, uint32_t task);
uint64_t submit_lost_bytes(const struct submit *submit, uint32_t task, int *ret_error);

/* Tasks that still run go on under the governor. NULL is fine; returns NULL. */
struct submit *submit_free(struct submit *submit);
