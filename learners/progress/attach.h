/* SPDX-License-Identifier: MIT */
#pragma once

#include "layout.h"

/* The way from the environment to the page (layout.h). Does I/O; not for the fast path. */

/* Finds the page that `text`, the value of COREGOV_PROGRESS, names, and maps it for good.
 * `text` NULL or empty: 0. 1 and *ret_page, or -EPROTO where no page can be had by it. */
int attach_page(const char *text, struct coregov_page **ret_page);

/* Tries to become the writer. 1; 0 where another living process is the writer (it is counted);
 * -EPROTO where the page cannot be had any more, -EBUSY where the record lock cannot be had. */
int attach_claim(const char *text, struct coregov_page *page);
