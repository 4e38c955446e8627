/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "fault.h"
#include "quantity.h"
#include "report.h"

/* The `file` feed: follows a file that the training writes while it runs: CSV, JSON lines or a
 * TensorBoard event file, or a directory with event files. The kind is told from the content. The
 * file may appear late, be rewritten, cut, or replaced by another of its name. Only whole lines and
 * records count: what has no line end yet is still being written. */

struct follow;

/* The path need not exist yet. 0 or -ENOMEM. */
int follow_new(struct follow **ret_follow, const char *path, const struct target *target,
	struct fault *fault);
struct follow *follow_free(struct follow *follow);

/* Looks at the file once: at most 512 KiB of each; what is new is reported with stamp now_ns. At
 * most n_max reports, oldest first; what follows waits in the file for the next call. A file that
 * cannot be read now is tried again at the next call. */
size_t follow_read(
	struct follow *follow, uint64_t now_ns, struct report ret_reports[], size_t n_max);
/* n_refused counts lines and records that were malformed. */
void follow_facts(const struct follow *follow, struct progress_facts *ret_facts);
