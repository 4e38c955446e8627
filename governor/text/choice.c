// SPDX-License-Identifier: GPL-2.0-or-later
#include "choice.h"

#include <errno.h>
#include <stdbool.h>
#include <string.h>

#include "quantity.h"

/* Words for choices. What comes behind the colon of a feed is left to the caller, who knows what a
 * path is relative to, and which presets there are. */

#define WORD_MAX 60

static const char *const feed_names[] = {
	[FEED_AUTO] = "auto",
	[FEED_SHM] = "shm",
	[FEED_OUTPUT] = "output",
	[FEED_FILE] = "file",
	[FEED_NONE] = "none",
	NULL,
};

static int unknown_feed(const char *text, size_t length, struct fault *fault)
{
	char word[WORD_MAX + 1] = "";
	const char *nearest;

	memcpy(word, text, length < WORD_MAX ? length : WORD_MAX);
	nearest = nearest_word(word, feed_names);
	return fault_set(fault, -EINVAL,
		"unknown feed '%s'%s%s%s; expected auto, shm, output, output:PRESET, "
		"file:PATH or none",
		word, nearest ? "; did you mean '" : "", nearest ? nearest : "",
		nearest ? "'?" : "");
}

int parse_feed(
	const char *text, enum feed_kind *ret_feed, const char **ret_more, struct fault *fault)
{
	size_t length = strcspn(text, ":");
	const char *more = text[length] == ':' ? text + length + 1 : NULL;
	unsigned feed = 0;

	while (feed_names[feed] &&
		(strlen(feed_names[feed]) != length ||
			strncmp(feed_names[feed], text, length) != 0))
		feed++;
	if (!feed_names[feed])
		return unknown_feed(text, length, fault);
	if (feed == FEED_FILE && (!more || *more == '\0'))
		return fault_set(fault, -EINVAL, "'%s' names no file; write file:PATH", text);
	if (more && feed != FEED_FILE && (feed != FEED_OUTPUT || *more == '\0'))
		return fault_set(fault, -EINVAL,
			"'%s': nothing goes after the colon here; only output:PRESET "
			"and file:PATH have one",
			text);
	*ret_feed = (enum feed_kind)feed;
	*ret_more = more;
	return 0;
}

int parse_at_end(const char *text, enum at_end *ret_at_end, struct fault *fault)
{
	static const char *const words[] = {"stop", "yield", NULL};
	const char *nearest;

	if (strcmp(text, "stop") == 0) {
		*ret_at_end = AT_END_STOP;
		return 0;
	}
	if (strcmp(text, "yield") == 0) {
		*ret_at_end = AT_END_YIELD;
		return 0;
	}
	nearest = nearest_word(text, words);
	return fault_set(fault, -EINVAL, "'%.60s' is neither 'stop' nor 'yield'%s%s%s", text,
		nearest ? "; did you mean '" : "", nearest ? nearest : "", nearest ? "'?" : "");
}
