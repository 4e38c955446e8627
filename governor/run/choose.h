/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

#include "enforcer.h"
#include "fault.h"
#include "meter.h"

/* The best implementation that works here, by probing in the order of preference; the reasons of
 * those that do not are kept. */

typedef void (*choose_say)(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* `forced`: only that one, or NULL. `say` gets one line: what was chosen, and what each better one
 * was missing; then the enforcer's warning, if it has one. 0, or the errno of the forced one (-EINVAL
 * for an unknown name) or of the last, with all the reasons in the sentence. */
int choose_enforcer(struct enforcer **ret_enforcer, const struct enforcer_setup *setup,
	const char *forced, choose_say say, struct fault *fault);
int choose_meter(struct meter **ret_meter, const struct enforcer *enforcer, uint32_t n_tasks_max,
	const char *forced, choose_say say, struct fault *fault);
