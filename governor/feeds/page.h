/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "fault.h"
#include "quantity.h"
#include "report.h"

/* The governor's side of a progress page (coregov-progress(7), learners/progress/layout.h): a
 * sealed memfd shared with one task. The reader trusts nothing that stands in it. */

struct page;

struct page_news {
	double share_cpus;        /* granted now, >= 0 */
	uint32_t advised_threads; /* >= 1 */
	bool should_stop;         /* "please stop" */
};

/* Makes a page for a task. `name` is the task's, for messages and /proc. now_ns and deadline_ns are
 * on CLOCK_MONOTONIC; no report counts as made before now_ns. Share 0, one thread, no stop until
 * page_tell(). 0 or a negative errno. */
int page_new(struct page **ret_page, const char *name, const struct target *target, uint64_t now_ns,
	uint64_t deadline_ns, struct fault *fault);
struct page *page_free(struct page *page);

int page_fd(const struct page *page); /* the memfd; owned by the page */

/* How far a page has been read: what its reader has to know to go on. Plain: may be kept as it is, and be read
 * again by the same program on the same machine. */
struct page_place {
	uint64_t token;
	uint64_t last_ns;       /* of the last read */
	uint64_t last_stamp_ns; /* of the last report taken, as the task wrote it */
	uint64_t n_taken;       /* position in the ring: reports up to this one are done with */
	uint64_t last_lost;     /* number of the newest report that was lost, 0: none */
	bool first_met_done;    /* the mark was looked at */
	uint64_t n_reports_then, n_others_then, n_lost_then; /* counters at the last read */
	struct progress_facts facts;
};
void page_place(const struct page *page, struct page_place *ret_place);
/* Goes on with a page from that place. fd becomes the page's in any case. -EBADMSG where it is no page of ours:
 * not sealed, of another size, or with another token. */
int page_take_over(struct page **ret_page, int fd, const char *name, const struct target *target,
	const struct page_place *place, struct fault *fault);

/* Long enough for every page_environment(). */
#define PAGE_ENVIRONMENT_MAX 128

/* The string for the task's environment, "COREGOV_PROGRESS=FD:PATH:TOKEN" (layout.h): task_fd is
 * the number the memfd will have in the task (-EBADF: it does not inherit it), the path leads
 * through the calling process, so it holds while that lives and keeps the page, for whoever may
 * look into it (the same user, or root). 0, or -ENOSPC where `size` is too small. */
int page_environment(const struct page *page, int task_fd, char *ret_text, size_t size);

/* What the environment's string ends with: whoever has the memfd and this can make such a string of its
 * own. */
uint64_t page_token(const struct page *page);

/* The target's value and in how many reports in a row it must be met are others from now on; its metric
 * and its direction stay. */
void page_retarget(struct page *page, double value, uint32_t in_a_row);

/* The same for whoever holds a page, without the page: which process, and its descriptor of it. */
struct page_address {
	int task_fd; /* -EBADF: none */
	pid_t holder;
	int holder_fd;
	uint64_t token;
};
int page_address(const struct page_address *address, char *ret_text, size_t size);

/* Writes the governor's side. */
void page_tell(struct page *page, const struct page_news *news);

/* Takes the reports of the target's metric made since the last call, oldest first, at most n_max
 * > 0 (older ones beyond that are counted as dropped). Stamps are clamped to (last call, now_ns]
 * and never go backwards. Values are passed on as they are: nan, inf. Bounded work whatever the
 * writer does. Returns how many.
 *
 * If the report that first met the target, or one of those before it that had to meet it in a row,
 * was lost because reports came too fast, then it is put back from what the page remembers of it,
 * as often as the target asks for in a row. So a target that was met is always seen. */
size_t page_read(struct page *page, uint64_t now_ns, struct report ret_reports[], size_t n_max);

/* As of the last page_read(). n_reports counts all metrics. n_refused counts entries that were torn
 * or absurd, counters that went backwards or grew faster than any program can count (what came with
 * them is skipped), stamps that went backwards, and other processes that wanted to write. */
void page_facts(const struct page *page, struct progress_facts *ret_facts);
