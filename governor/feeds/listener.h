/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "preset.h"
#include "quantity.h"
#include "report.h"

/* Clean lines of one task to reports: which preset to believe, which step was heard already, how
 * much listening a chatty task is worth. Pure up to its state: time is an argument. */

#define LISTENER_REPORTS 256

/* A report and its number among all that were heard, from 1. */
struct heard_report {
	struct report report;
	uint64_t number;
};

struct listener {
	const struct preset_set *presets;
	const struct target *target;
	const char *only;   /* the one preset to use, or NULL */
	const char *locked; /* the preset it locked to, or NULL */
	unsigned trust;     /* of that */
	uint64_t n_lines;   /* looked at */

	/* What may be looked at: refilled by time. */
	uint64_t tokens, filled_ns;

	/* Steps already heard; see listener.c. */
	uint64_t first_step, newest_step;
	unsigned n_old_steps;

	/* The epoch may stand in a line of its own. */
	bool has_epoch;
	double epoch;
	unsigned epoch_from;
	uint64_t epochs;

	struct progress_facts facts;
	struct heard_report held[LISTENER_REPORTS];
	size_t oldest, n_held;
	uint64_t last_dropped; /* its number, 0 for none */

	/* The first row of reports that met the target, in all that was heard; see listener.c. */
	uint32_t n_in_a_row;
	struct heard_report met; /* the row's last; number 0: not yet */
	uint32_t n_copies;       /* of met, to be handed out in the place of its row */
};

void listener_init(struct listener *listener, const struct preset_set *presets,
	const struct target *target, const char *only);

void listener_line(struct listener *listener, const char *line, size_t length, uint64_t now_ns);

/* At most n_max, oldest first; the rest waits. Where more were heard than are held, the newest are
 * there and the first that met the target: as often as the target asks for in a row. */
size_t listener_read(struct listener *listener, struct report ret_reports[], size_t n_max);
