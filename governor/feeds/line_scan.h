/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Bytes from a program's output to clean lines. Pure. */

#define LINE_SCAN_MAX 65536 /* bytes of a line; a longer one is dropped whole and counted */

/* What ended a line. */
enum line_end {
	LINE_END_NEWLINE,
	LINE_END_RETURN, /* \r, or the cursor was moved: the next line overwrites this one */
	LINE_END_FILE,
};

/* Called for each line, empty ones too. The line has no \n, \r, escape sequence or control
 * character but \t; it is not NUL-terminated and valid during the call. */
typedef void line_scan_fn(void *context, const char *line, size_t length, enum line_end end);

struct line_scan {
	char text[LINE_SCAN_MAX];
	size_t length;
	bool is_overlong;
	int state;
	uint64_t n_overlong;
};

/* A zeroed struct is ready for use. */
void line_scan_bytes(struct line_scan *scan, const char *bytes, size_t n_bytes, line_scan_fn *line,
	void *context);
/* End of file: what is left is a line, if it is not empty. */
void line_scan_end(struct line_scan *scan, line_scan_fn *line, void *context);
