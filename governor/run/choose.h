/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

#include "enforcer.h"
#include "fault.h"
#include "meter.h"

/* The best implementation that works here, by probing in the order of preference; the reasons of
 * those that do not are kept. */

/* Who hears of it: what was chosen, and what each better one was missing; then the enforcer's warning, if it
 * has one. */
struct choose_listener {
	void *userdata;
	void (*chosen)(void *userdata, const char *sentence);
	void (*warned)(void *userdata, const char *sentence);
};

/* `forced`: only that one, or NULL. `listener`: NULL for nobody. 0, or the errno of the forced one (-EINVAL
 * for an unknown name) or of the last, with all the reasons in the sentence. */
int choose_enforcer(struct enforcer **ret_enforcer, const struct enforcer_setup *setup,
	const char *forced, const struct choose_listener *listener, struct fault *fault);
int choose_meter(struct meter **ret_meter, const struct enforcer *enforcer, uint32_t n_tasks_max,
	const char *forced, const struct choose_listener *listener, struct fault *fault);
