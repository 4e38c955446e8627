// SPDX-License-Identifier: GPL-2.0-or-later
#include "text_file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cleanup.h"

/* Reads a text whole, and walks it by lines.
 *
 * Files that users write are small, so they are read at once and parsed in memory: the parsers are
 * then pure functions of their bytes, which is what tests and the fuzzer feed. A stated limit keeps
 * a device or an endless pipe from eating the memory. The file may grow while it is read; what
 * counts is what read(2) gave. */

#define READ_FIRST 65536u

static int grow(char **text, size_t *size, size_t most_bytes)
{
	size_t more = *size == 0 ? READ_FIRST : *size * 2;
	char *grown;

	if (more > most_bytes + 2)
		more = most_bytes + 2;
	grown = realloc(*text, more);
	if (!grown)
		return -ENOMEM;
	*text = grown;
	*size = more;
	return 0;
}

static int read_all(int fd, size_t most_bytes, char **ret_text, size_t *ret_length)
{
	_cleanup_free_ char *text = NULL;
	size_t size = 0, length = 0;

	for (;;) {
		ssize_t n;
		int r;

		/* One byte beyond the limit tells a file that is too large from one that fits. */
		if (length + 1 >= size && length <= most_bytes) {
			r = grow(&text, &size, most_bytes);
			if (r < 0)
				return r;
		}
		n = read(fd, text + length, size - 1 - length);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -errno;
		if (n == 0)
			break;
		length += (size_t)n;
		if (length > most_bytes)
			return -EFBIG;
	}
	text[length] = '\0';
	*ret_text = TAKE_PTR(text);
	*ret_length = length;
	return 0;
}

int text_file_read(const char *path, size_t most_bytes, char **ret_text, size_t *ret_length,
	struct fault *fault)
{
	_cleanup_close_ int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY);
	size_t length = 0;
	char *text = NULL;
	int r;

	if (fd < 0)
		return fault_errno(fault, -errno, "cannot read '%s'", path);
	r = read_all(fd, most_bytes, &text, &length);
	if (r == -EFBIG)
		return fault_set(fault, r,
			"'%s' has more than %zu bytes, too many for a file of its kind", path,
			most_bytes);
	if (r < 0)
		return fault_errno(fault, r, "cannot read '%s'", path);
	*ret_text = text;
	*ret_length = length;
	return 0;
}

size_t text_mark(const char *text, size_t length)
{
	return length >= 3 && memcmp(text, "\xef\xbb\xbf", 3) == 0 ? 3 : 0;
}

/* Length of the sequence at the start of `byte`, 0 where it is not valid (RFC 3629, section 4). */
static size_t utf8_sequence(const unsigned char *byte, size_t left)
{
	unsigned char low = 0x80, high = 0xbf;
	size_t length;

	if (byte[0] < 0x80)
		return 1;
	if (byte[0] >= 0xc2 && byte[0] <= 0xdf)
		length = 2;
	else if (byte[0] >= 0xe0 && byte[0] <= 0xef)
		length = 3;
	else if (byte[0] >= 0xf0 && byte[0] <= 0xf4)
		length = 4;
	else
		return 0;
	if (byte[0] == 0xe0)
		low = 0xa0; /* shorter forms exist below */
	else if (byte[0] == 0xed)
		high = 0x9f; /* surrogates above */
	else if (byte[0] == 0xf0)
		low = 0x90;
	else if (byte[0] == 0xf4)
		high = 0x8f; /* beyond U+10FFFF above */
	if (length > left || byte[1] < low || byte[1] > high)
		return 0;
	for (size_t i = 2; i < length; i++)
		if (byte[i] < 0x80 || byte[i] > 0xbf)
			return 0;
	return length;
}

size_t text_utf8_valid(const char *text, size_t length)
{
	size_t at = 0, n;

	while (at < length) {
		n = utf8_sequence((const unsigned char *)text + at, length - at);
		if (n == 0)
			return at;
		at += n;
	}
	return length;
}

int text_next_line(const char *text, size_t length, struct text_line *line)
{
	const char *end = text + length, *newline;

	if (!line->start) {
		line->start = text;
	} else {
		line->start += line->length;
		if (line->start < end && *line->start == '\r')
			line->start++;
		if (line->start < end)
			line->start++;
	}
	if (line->start >= end)
		return 0;
	newline = memchr(line->start, '\n', (size_t)(end - line->start));
	line->length = (size_t)((newline ? newline : end) - line->start);
	if (newline && line->length > 0 && line->start[line->length - 1] == '\r')
		line->length--;
	line->number++;
	return 1;
}
