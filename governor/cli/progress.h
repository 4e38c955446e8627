/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

/* How far a long piece of work has come, on one line of a terminal that is drawn over and in the end taken
 * away. */

struct progress {
	FILE *to;         /* NULL: nothing is drawn */
	const char *what; /* is counted: "runs" */
	size_t n_all;
	uint64_t start_ns, drawn_ns; /* on the caller's clock */
	bool is_drawn;
};

/* Draws it where that is due: not in the first half second, and ten times a second at most. */
void progress_look(struct progress *progress, size_t n_done, uint64_t now_ns);
/* Takes it off the terminal, until it is drawn again. */
void progress_hide(struct progress *progress);

#define PROGRESS_TEXT_MAX 128
/* The line, at most `columns` wide. */
void progress_text(char ret_text[static PROGRESS_TEXT_MAX], const char *what, size_t n_done,
	size_t n_all, double seconds, unsigned columns);
