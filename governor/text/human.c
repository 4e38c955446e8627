// SPDX-License-Identifier: GPL-2.0-or-later
#include "human.h"

#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "cleanup.h"
#include "nsec.h"

/* What is written for people: two units are as exact as anybody wants to know how long something
 * takes. Words that come from another user are written as a shell quotes them, and nothing of them gets
 * to act on the terminal: an escape sequence in somebody's command line is not ours to pass on. */

#define CUT "..."

const char *format_span(char ret_text[static HUMAN_TEXT_MAX], uint64_t ns)
{
	static const struct {
		const char *name;
		uint64_t ns;
	} units[] = {
		{"d", 24 * 3600 * NSEC_PER_SEC},
		{"h", 3600 * NSEC_PER_SEC},
		{"min", 60 * NSEC_PER_SEC},
		{"s", NSEC_PER_SEC},
	};

	for (size_t i = 0; i < ARRAY_LENGTH(units); i++) {
		uint64_t many = ns / units[i].ns, rest = 0;

		if (many == 0)
			continue;
		if (i + 1 < ARRAY_LENGTH(units))
			rest = ns % units[i].ns / units[i + 1].ns;
		if (rest > 0)
			(void)snprintf(ret_text, HUMAN_TEXT_MAX, "%" PRIu64 "%s %" PRIu64 "%s",
				many, units[i].name, rest, units[i + 1].name);
		else
			(void)snprintf(
				ret_text, HUMAN_TEXT_MAX, "%" PRIu64 "%s", many, units[i].name);
		return ret_text;
	}
	if (ns >= NSEC_PER_MSEC)
		(void)snprintf(ret_text, HUMAN_TEXT_MAX, "%" PRIu64 "ms", ns / NSEC_PER_MSEC);
	else
		(void)snprintf(ret_text, HUMAN_TEXT_MAX, "0s");
	return ret_text;
}

const char *format_moment(char ret_text[static HUMAN_TEXT_MAX], uint64_t ns, uint64_t now_ns)
{
	time_t seconds = (time_t)(ns / NSEC_PER_SEC), now = (time_t)(now_ns / NSEC_PER_SEC);
	struct tm moment, today;
	bool is_today;

	if (!localtime_r(&seconds, &moment) || !localtime_r(&now, &today)) {
		(void)snprintf(ret_text, HUMAN_TEXT_MAX, "far away");
		return ret_text;
	}
	is_today = moment.tm_year == today.tm_year && moment.tm_yday == today.tm_yday;
	(void)strftime(ret_text, HUMAN_TEXT_MAX, is_today ? "%H:%M:%S" : "%Y-%m-%d %H:%M", &moment);
	return ret_text;
}

/* Appends what fits, with room for a NUL. */
struct writer {
	char *text;
	size_t size, length;
	bool is_cut;
};

static void put(struct writer *writer, const char *bytes, size_t n)
{
	if (writer->is_cut || writer->length + n >= writer->size) {
		writer->is_cut = true;
		return;
	}
	memcpy(writer->text + writer->length, bytes, n);
	writer->length += n;
}

static bool is_plain(const char *word)
{
	return *word &&
		strspn(word,
			"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789"
			"._-+/=:,@%") == strlen(word);
}

/* How many bytes of a control character are there: those of ASCII, and those of Latin-1 as UTF-8 has
 * them (0xc2 0x80 to 0xc2 0x9f). */
static size_t control_length(const char *text)
{
	unsigned char c = (unsigned char)text[0], next = (unsigned char)text[c != '\0'];

	if (c == 0xc2 && next >= 0x80 && next <= 0x9f)
		return 2;
	return c < ' ' || c == 0x7f;
}

static void put_word(struct writer *writer, const char *word)
{
	if (is_plain(word)) {
		put(writer, word, strlen(word));
		return;
	}
	put(writer, "'", 1);
	while (*word) {
		size_t n_control = control_length(word);

		if (n_control > 0)
			put(writer, "?", 1);
		else if (*word == '\'')
			put(writer, "'\\''", 4);
		else
			put(writer, word, 1);
		word += n_control > 0 ? n_control : 1;
	}
	put(writer, "'", 1);
}

const char *format_words(char *ret_text, size_t size, const char *const words[])
{
	struct writer writer = {.text = ret_text, .size = size - strlen(CUT)};

	for (const char *const *word = words; word && *word; word++) {
		if (word != words)
			put(&writer, " ", 1);
		put_word(&writer, *word);
	}
	ret_text[writer.length] = '\0';
	if (writer.is_cut)
		strcpy(ret_text + writer.length, CUT);
	return ret_text;
}
