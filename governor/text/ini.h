/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

#include <stddef.h>

#include "fault.h"

/* The one reader of `[section name]` / `key = value` files: bundles, configuration and presets.
 *
 * UTF-8, with or without a byte order mark, lines ending in \n or \r\n; control characters but the
 * tab are refused. A comment is `;` or `#` at the start of a line or after a blank, outside quotes;
 * a backslash outside '...' makes the character after it an ordinary one. No continuation lines.
 * Quotes ('...' and "...", with \" and \\ inside the latter) are kept in the value, and so are
 * backslashes: what they mean is the business of the key. A repeated section or key is an error
 * here; an unknown one is the caller's (ini_unknown_key() words it). */

#define INI_FILE_MAX (16u << 20) /* bytes */
#define INI_LINE_MAX 65536u      /* bytes */

struct ini_key {
	char *key;
	char *value; /* trimmed, without the comment; "" where empty */
	unsigned line;
};

struct ini_section {
	char *kind; /* "task" of [task mlp] */
	char *name; /* "mlp", or NULL */
	unsigned line;
	struct ini_key *keys; /* in the order of the file */
	size_t n_keys;
};

struct ini {
	char *path; /* for messages */
	struct ini_section *sections;
	size_t n_sections;
};

/* 0, -EBADMSG with file:line, -ENOENT and the like, -EFBIG, -ENOMEM. */
int ini_read(const char *path, struct ini **ret_ini, struct fault *fault);
int ini_parse(const char *path, const char *text, size_t length, struct ini **ret_ini,
	struct fault *fault);
struct ini *ini_free(struct ini *ini);

/* The key of that section, or NULL. */
const struct ini_key *ini_find(const struct ini_section *section, const char *key);

/* -EBADMSG with "file:line: unknown key 'x' in [task mlp]; did you mean 'y'?" */
int ini_unknown_key(const struct ini *ini, const struct ini_section *section,
	const struct ini_key *key, const char *const known[], struct fault *fault);

/* Splits a value as a shell splits words, with its quoting and nothing else of it (no variables, no
 * globs, no operators); see words.c. *ret_words is a NULL-ended array, given back by words_free(). -EINVAL for
 * an open quote, a trailing backslash, or no word at all. */
int words_split(const char *text, char ***ret_words, struct fault *fault);
char **words_free(char **words);
