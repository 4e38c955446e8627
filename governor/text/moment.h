/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "fault.h"

/* A moment to come, as a user writes a deadline. */
struct moment {
	bool is_span; /* from now on, however often the clock is set meanwhile */
	uint64_t ns;  /* the span, above 0; else CLOCK_REALTIME, later than now */
};

/* `45min` or `now+2h`, a span (see parse_span()); `18:30` or `18:30:15`, when the clock shows that
 * next, today or tomorrow; `2026-12-01 18:30`, with `T` for the blank if you like, and seconds. Clock
 * times are of the time zone of the process (TZ). now_ns is CLOCK_REALTIME.
 *
 * 0; -EINVAL for what is none of these, or a time that the clock never shows (summer time begins);
 * -ERANGE for a moment that is not to come. */
int parse_moment(const char *text, uint64_t now_ns, struct moment *ret_moment, struct fault *fault);
