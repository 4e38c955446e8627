// SPDX-License-Identifier: GPL-2.0-or-later
#include "last_words.h"

#include <string.h>

#include "text_file.h"

/* The last lines of a stream, kept for the sentence about a task that failed. They are printed to a
 * user's terminal later, so nothing in them may be more than text: control characters (the C1 ones
 * too, which some terminals obey) and broken UTF-8 become question marks. */

static size_t newest(const struct last_words *words)
{
	return (words->oldest + words->n_lines - 1) % LAST_WORDS_LINES;
}

void last_words_add(struct last_words *words, const char *line, size_t length, enum line_end end)
{
	size_t at;

	if (length == 0) {
		/* \r\n: the line stays. Empty lines are not worth a place. */
		if (end == LINE_END_NEWLINE)
			words->is_open = false;
		return;
	}
	if (!words->is_open) {
		if (words->n_lines == LAST_WORDS_LINES)
			words->oldest = (words->oldest + 1) % LAST_WORDS_LINES;
		else
			words->n_lines++;
	}
	at = newest(words);
	words->length[at] = length < LAST_WORDS_BYTES ? length : LAST_WORDS_BYTES;
	memcpy(words->text[at], line, words->length[at]);
	words->is_open = end == LINE_END_RETURN;
}

void words_make_printable(char *text, size_t length)
{
	size_t i = 0;

	while (i < length) {
		i += text_utf8_valid(text + i, length - i);
		if (i < length)
			text[i++] = '?';
	}
	for (i = 0; i < length; i++) {
		if (((unsigned char)text[i] < ' ' && text[i] != '\t' && text[i] != '\n') ||
			text[i] == 0x7f)
			text[i] = '?';
		/* U+0080 .. U+009F */
		if ((unsigned char)text[i] == 0xc2 && i + 1 < length &&
			(unsigned char)text[i + 1] < 0xa0)
			text[i] = text[i + 1] = '?';
	}
}

void last_words_text(const struct last_words *words, char ret_text[static LAST_WORDS_TEXT_MAX])
{
	size_t n = 0;

	for (size_t i = 0; i < words->n_lines; i++) {
		size_t at = (words->oldest + i) % LAST_WORDS_LINES;

		if (i > 0)
			ret_text[n++] = '\n';
		memcpy(ret_text + n, words->text[at], words->length[at]);
		words_make_printable(ret_text + n, words->length[at]);
		n += words->length[at];
	}
	ret_text[n] = '\0';
}
