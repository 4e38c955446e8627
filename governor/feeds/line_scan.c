// SPDX-License-Identifier: GPL-2.0-or-later
#include "line_scan.h"

/* Splitting and cleaning.
 *
 * Progress bars end their lines with \r, some with a cursor movement, and log lines end with \n; all
 * three end a line here. Escape sequences are taken out by the grammar of ECMA-48: ESC [ parameters
 * final byte (CSI, colours and movements), ESC ] ... BEL or ESC \ (OSC, titles and links), and ESC
 * with one more character. Keras prints them even into a pipe. A run of \b, by which Keras 2 goes
 * back before its \r, is just left out, like every other control character.
 *
 * The state lives from call to call, since a sequence may be cut anywhere by the pipe. A program
 * that opens a sequence and never ends it loses what follows up to the next line end. */

enum {
	STATE_TEXT,
	STATE_ESCAPE,     /* after ESC */
	STATE_ESCAPE_ONE, /* ESC ( and the like: one more character */
	STATE_CSI,
	STATE_OSC,
	STATE_OSC_ESCAPE, /* ESC within OSC: \ ends it */
};

#define ESCAPE '\033'
#define BELL '\a'

static void end_line(struct line_scan *scan, line_scan_fn *line, void *context, enum line_end end)
{
	if (scan->is_overlong)
		scan->n_overlong++;
	else
		line(context, scan->text, scan->length, end);
	scan->length = 0;
	scan->is_overlong = false;
}

static void add(struct line_scan *scan, char c)
{
	if (scan->length < sizeof(scan->text))
		scan->text[scan->length++] = c;
	else
		scan->is_overlong = true;
}

static int after_escape(char c)
{
	if (c == '[')
		return STATE_CSI;
	if (c == ']')
		return STATE_OSC;
	/* Intermediate bytes: character sets and the like. */
	return c >= ' ' && c <= '/' ? STATE_ESCAPE_ONE : STATE_TEXT;
}

static bool moves_cursor(char final)
{
	return (final >= 'A' && final <= 'H') || final == 'd' || final == 'f';
}

/* One byte within an escape sequence. */
static void escape_byte(struct line_scan *scan, char c, line_scan_fn *line, void *context)
{
	switch (scan->state) {
	case STATE_ESCAPE:
		scan->state = after_escape(c);
		break;
	case STATE_CSI:
		if (c >= '@' && c <= '~') {
			scan->state = STATE_TEXT;
			if (moves_cursor(c) && scan->length > 0)
				end_line(scan, line, context, LINE_END_RETURN);
		}
		break;
	case STATE_OSC:
		if (c == BELL)
			scan->state = STATE_TEXT;
		else if (c == ESCAPE)
			scan->state = STATE_OSC_ESCAPE;
		break;
	default:
		scan->state = STATE_TEXT;
		break;
	}
}

void line_scan_bytes(struct line_scan *scan, const char *bytes, size_t n_bytes, line_scan_fn *line,
	void *context)
{
	for (size_t i = 0; i < n_bytes; i++) {
		char c = bytes[i];

		if (c == '\n' || c == '\r') {
			scan->state = STATE_TEXT;
			end_line(scan, line, context,
				c == '\n' ? LINE_END_NEWLINE : LINE_END_RETURN);
		} else if (scan->state != STATE_TEXT) {
			escape_byte(scan, c, line, context);
		} else if (c == ESCAPE) {
			scan->state = STATE_ESCAPE;
		} else if ((unsigned char)c >= ' ' ? c != 0x7f : c == '\t') {
			add(scan, c);
		}
	}
}

void line_scan_end(struct line_scan *scan, line_scan_fn *line, void *context)
{
	if (scan->length > 0)
		end_line(scan, line, context, LINE_END_FILE);
}
