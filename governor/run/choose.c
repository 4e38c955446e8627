// SPDX-License-Identifier: GPL-2.0-or-later
#include "choose.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

/* A ladder that keeps its reasons: whoever gets the second best learns in the same line what the
 * best one was missing. */

struct reasons {
	char text[FAULT_TEXT_MAX];
	size_t length;
};

static void add_reason(struct reasons *reasons, const char *name, const char *why)
{
	int n;

	if (reasons->length >= sizeof(reasons->text))
		return;
	n = snprintf(reasons->text + reasons->length, sizeof(reasons->text) - reasons->length,
		"%s%s: %s", reasons->length > 0 ? "; " : "", name, why);
	if (n > 0)
		reasons->length += (size_t)n;
}

static void tell_choice(const struct choose_listener *listener, const char *what, const char *name,
	const struct reasons *reasons)
{
	char sentence[FAULT_TEXT_MAX + 64];

	if (!listener)
		return;
	if (reasons->length > 0)
		(void)snprintf(sentence, sizeof(sentence), "%s %s (%s)", what, name, reasons->text);
	else
		(void)snprintf(sentence, sizeof(sentence), "%s %s", what, name);
	listener->chosen(listener->userdata, sentence);
}

int choose_enforcer(struct enforcer **ret_enforcer, const struct enforcer_setup *setup,
	const char *forced, const struct choose_listener *listener, struct fault *fault)
{
	struct reasons reasons = {0};
	int r = -EINVAL;

	for (const struct enforcer_ops *const *ops = enforcers; *ops; ops++) {
		struct fault why = FAULT_INIT;

		if (forced && strcmp(forced, (*ops)->name) != 0)
			continue;
		r = (*ops)->probe(setup, &why);
		if (r == 0)
			r = (*ops)->open(ret_enforcer, setup, &why);
		if (r == 0) {
			tell_choice(listener, "enforcer", (*ops)->name, &reasons);
			if (listener && (*ret_enforcer)->warning)
				listener->warned(listener->userdata, (*ret_enforcer)->warning);
			return 0;
		}
		add_reason(&reasons, (*ops)->name, why.text);
	}
	if (reasons.length == 0)
		return fault_set(fault, -EINVAL, "unknown enforcer '%s'", forced);
	return fault_set(fault, r, "%s: %s",
		forced ? "the enforcer asked for does not work here"
		       : "no enforcer works on this machine",
		reasons.text);
}

int choose_meter(struct meter **ret_meter, const struct enforcer *enforcer, uint32_t n_tasks_max,
	const char *forced, const struct choose_listener *listener, struct fault *fault)
{
	struct reasons reasons = {0};
	int r = -EINVAL;

	for (const struct meter_ops *const *ops = meters; *ops; ops++) {
		struct fault why = FAULT_INIT;

		if (forced && strcmp(forced, (*ops)->name) != 0)
			continue;
		r = (*ops)->probe(enforcer, &why);
		if (r == 0)
			r = (*ops)->open(ret_meter, n_tasks_max, &why);
		if (r == 0) {
			tell_choice(listener, "meter", (*ops)->name, &reasons);
			return 0;
		}
		add_reason(&reasons, (*ops)->name, why.text);
	}
	if (reasons.length == 0)
		return fault_set(fault, -EINVAL, "unknown meter '%s'", forced);
	return fault_set(fault, r, "%s: %s",
		forced ? "the meter asked for does not work here"
		       : "no meter works on this machine",
		reasons.text);
}
