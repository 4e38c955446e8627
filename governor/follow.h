/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "fault.h"
#include "quantity.h"
#include "report.h"

/* The `file` feed: follows a file that the training writes while it runs: CSV, JSON lines or a
 * TensorBoard event file (or a directory with one). The kind is told from the content. The file may
 * appear late, be rewritten or cut. */

struct follow;

int follow_new(struct follow **ret_follow, const char *path, const struct target *target,
	struct fault *fault);
struct follow *follow_free(struct follow *follow);

/* Looks at the file once: bounded work; what is new is reported with stamp now_ns. Returns how many
 * reports, oldest first. */
size_t follow_read(
	struct follow *follow, uint64_t now_ns, struct report ret_reports[], size_t n_max);
void follow_facts(const struct follow *follow, struct progress_facts *ret_facts);
