/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

#include <stddef.h>

#include "fault.h"

/* A whole file that a user wrote, in memory. Files, pipes and /dev/fd/N alike.
 *
 * *ret_text is one allocation, given back by free(); a NUL that is not counted in *ret_length ends
 * it. 0, -ENOENT and the like, -EISDIR, -EFBIG beyond most_bytes, -ENOMEM; the sentence names the
 * path. */
int text_file_read(const char *path, size_t most_bytes, char **ret_text, size_t *ret_length,
	struct fault *fault);

/* How many bytes of `text` a byte order mark takes: 3 or 0. */
size_t text_mark(const char *text, size_t length);

/* The offset of the first byte that is no valid UTF-8 (RFC 3629: shortest form, no surrogates, up to
 * U+10FFFF), or `length` where all is well. */
size_t text_utf8_valid(const char *text, size_t length);

/* One line of a text, without its line end (\n or \r\n). */
struct text_line {
	const char *start;
	size_t length;
	unsigned number; /* from 1 */
};

/* The next line, from *line on; start with a zeroed one. Returns 0 after the last, and is not called
 * again then. */
int text_next_line(const char *text, size_t length, struct text_line *line);
