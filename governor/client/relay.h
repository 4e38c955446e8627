/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

#include <stdint.h>
#include <sys/types.h>

#include "fault.h"
#include "last_words.h"

/* A process that listens to a command for its launcher: passes on what it prints, unchanged, and puts
 * what it reports there, or into a file, into the progress page. It outlives a launcher that is
 * killed, so that the command never writes to nobody. */

struct fd_list;
struct output;

struct relay {
	int fd; /* owned; readable once all is passed on and in the page; -EBADF: no relay */
};

/* What is known then of what the command has written. */
struct relay_end {
	uint64_t n_lost_bytes; /* that no destination took, and why (a negative errno) */
	int lost_error;
	char last_words[LAST_WORDS_TEXT_MAX];
};

struct relay_setup {
	struct output *output; /* NULL: nothing is read. The caller frees its copy afterwards */
	const char *file;      /* NULL: none */
	int page_fd;
	int pidfd; /* of the command: when it ends, what is there is passed on, and fd told */
	const struct fd_list
		*others; /* what was open before the output was made: not the relay's */
};

/* Forks it. 0 or a negative errno. */
int relay_start(struct relay *ret_relay, const struct relay_setup *setup, struct fault *fault);
/* Once it is readable; zeros where the relay has ended before. */
void relay_end(const struct relay *relay, struct relay_end *ret_end);
void relay_done(struct relay *relay);
