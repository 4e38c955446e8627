/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "fault.h"
#include "quantity.h"
#include "report.h"

/* The governor's side of a progress page (coregov-progress(7), learners/progress/layout.h): a
 * sealed memfd shared with one task. The reader trusts nothing that stands in it. */

struct page;

struct page_news {
	double share_cpus;        /* granted now */
	uint32_t advised_threads; /* >= 1 */
	bool should_stop;         /* "please stop" */
};

/* Makes a page for a task. deadline_ns is on CLOCK_MONOTONIC. */
int page_new(struct page **ret_page, const char *name, const struct target *target,
	uint64_t deadline_ns, struct fault *fault);
struct page *page_free(struct page *page);

int page_fd(const struct page *page); /* the memfd; owned by the page */

/* Writes the governor's side. */
void page_tell(struct page *page, const struct page_news *news);

/* Takes the reports of the target's metric made since the last call, oldest first, at most n_max
 * (older ones beyond that are counted as dropped). Stamps are clamped to (last call, now_ns].
 * Bounded work whatever the writer does. Returns how many. */
size_t page_read(struct page *page, uint64_t now_ns, struct report ret_reports[], size_t n_max);
void page_facts(const struct page *page, struct progress_facts *ret_facts);
