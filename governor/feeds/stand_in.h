/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "fault.h"
#include "quantity.h"
#include "report.h"

/* Reports through a progress page that somebody else has made, on behalf of a task that does not
 * speak for itself: what it prints, or writes into a file, is read with its own user's rights, and
 * who governs it sees the page only. */

struct stand_in;

/* Maps the page behind `page_fd`, which is duplicated. It is checked first, so that no access can
 * fault. 0, -EPROTO where it is no page of a version known here, or another negative errno. */
int stand_in_new(struct stand_in **ret_stand_in, int page_fd, struct fault *fault);
struct stand_in *stand_in_free(struct stand_in *stand_in);

uint64_t stand_in_token(const struct stand_in *stand_in);
/* What the page asks for; kept by the stand-in. */
const struct target *stand_in_target(const struct stand_in *stand_in);

/* Writes the reports, and what else is known of the task (may be NULL), into the page. 1; 0 where the
 * task speaks for itself, now and from now on; -EBUSY where a claimer stood in the way: the reports
 * are lost, and counted. */
int stand_in_report(struct stand_in *stand_in, const struct report reports[], size_t n_reports,
	const struct progress_facts *facts);
