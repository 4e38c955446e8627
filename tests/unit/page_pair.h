/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "keeper.h"
#include "page.h"
#include "coregov-progress.h"
#include "progress/layout.h"

/* Both sides of a progress page in one process (check forks one for each test): the library
 * reports, page_read() reads. A test that plays a hostile task writes pair.shared itself. */

#define PAIR_TASK_FD KEEPER_PAGE_FD
#define PAIR_N_MAX 200

struct page_pair {
	struct target target;
	struct page *page;
	struct coregov_page *shared; /* a mapping of its own */
	struct report reports[PAIR_N_MAX];
};
extern struct page_pair pair;

/* Makes the page for "loss <= 0.5 for in_a_row", or "accuracy >= 0.9 for in_a_row", at
 * PAIR_TASK_FD and in the environment. */
void pair_make(bool is_raised, uint32_t in_a_row);
void pair_make_plain(void); /* loss, 1 */
void pair_drop(void);

/* Points COREGOV_PROGRESS at the page, the descriptor being fd. */
void pair_set_environment(int fd);

/* Reads into pair.reports, now. */
size_t pair_read(void);
struct progress_facts pair_facts(void);
uint64_t pair_now(void); /* CLOCK_MONOTONIC */

/* Runs `test` in a forked child; what it returns, 0 .. 255. */
int pair_in_child(int (*test)(void));
