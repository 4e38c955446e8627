/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "line_scan.h"

/* The last lines that a stream showed, as a terminal would: what ended with \r is overwritten by the
 * next line. Long lines are cut. Pure. */

#define LAST_WORDS_LINES 20
#define LAST_WORDS_BYTES 240

struct last_words {
	char text[LAST_WORDS_LINES][LAST_WORDS_BYTES];
	size_t length[LAST_WORDS_LINES];
	size_t oldest, n_lines;
	bool is_open; /* the newest may be overwritten */
};

#define LAST_WORDS_TEXT_MAX (LAST_WORDS_LINES * (LAST_WORDS_BYTES + 1) + 1)

/* A zeroed struct is ready for use. */
void last_words_add(struct last_words *words, const char *line, size_t length, enum line_end end);
/* The lines with \n between them; what is no printable UTF-8 is '?'. */
void last_words_text(const struct last_words *words, char ret_text[static LAST_WORDS_TEXT_MAX]);
/* Replaces what is no printable UTF-8 by '?', in place; keeps \t and \n. */
void words_make_printable(char *text, size_t length);
