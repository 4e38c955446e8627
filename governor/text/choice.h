/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

#include "fault.h"

/* What is chosen for a task by a word, in a bundle or on a command line. The parsers fail with -EINVAL
 * and a sentence that has the nearest word; outputs are untouched then. */

/* What happens to a task that has its outcome. */
enum at_end {
	AT_END_DEFAULT, /* stop for curves and for tasks that speak through the page, else yield */
	AT_END_STOP,
	AT_END_YIELD, /* runs on, on leftovers only */
};

int parse_at_end(const char *text, enum at_end *ret_at_end, struct fault *fault);

enum feed_kind {
	FEED_AUTO,
	FEED_SHM,
	FEED_OUTPUT,
	FEED_FILE,
	FEED_NONE,
};

/* `auto`, `shm`, `output`, `output:PRESET`, `file:PATH` or `none`. *ret_more is the preset or the
 * path within the text, else NULL. */
int parse_feed(
	const char *text, enum feed_kind *ret_feed, const char **ret_more, struct fault *fault);
