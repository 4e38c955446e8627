/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

#include <stddef.h>
#include <stdint.h>

/* Times as a person says them. Each fills the caller's buffer and returns it. */

#define HUMAN_TEXT_MAX 64

/* The two largest units: "1h 3min", "2d", "45min 10s", "8s", "350ms", "0s". Rounds down. */
const char *format_span(char ret_text[static HUMAN_TEXT_MAX], uint64_t ns);

/* A moment of CLOCK_REALTIME in the time zone of the process: "18:30:15" on the day of now_ns, else
 * "2026-12-01 18:30". */
const char *format_moment(char ret_text[static HUMAN_TEXT_MAX], uint64_t ns, uint64_t now_ns);

/* Words as a shell would have to be given them, for a terminal: quoted where needed, and what could
 * move the cursor or worse is '?'. Cut where it does not fit, and ends in "..." then. */
const char *format_words(char *ret_text, size_t size, const char *const words[]);
