/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

#include <stdio.h>

#include "bundle.h"
#include "fault.h"
#include "record.h"

/* What a person sees of a run while it goes on: on a terminal a table that is redrawn each slot,
 * else a line per event. */

struct view;

enum view_kind {
	VIEW_TABLE, /* a terminal that can move its cursor */
	VIEW_LINES,
};

struct view_setup {
	const struct bundle *bundle; /* kept by pointer */
	FILE *to;
	enum view_kind kind;
	FILE *grants_to; /* each slot's grants as a line ("dry run"), or NULL */
};

int view_new(struct view **ret_view, const struct view_setup *setup, struct fault *fault);
/* Takes the table off the terminal; the results are printed where it was. */
void view_end(struct view *view);
struct view *view_free(struct view *view);
struct recorder *view_recorder(struct view *view);

/* Whether `to` is a terminal on which a table can be drawn (and TERM is not "dumb"). */
bool view_can_redraw(FILE *to);
