// SPDX-License-Identifier: GPL-2.0-or-later
#include "quantity.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

/* Names: which are allowed, and which one was meant.
 *
 * "Did you mean" uses the edit distance with transpositions of neighbours (optimal string
 * alignment), blind to case. A candidate is near when about one letter in three would have to
 * change, or when the word is how it starts ("env" for "environment"): with more freedom a short
 * list of keys always has something "near", and a wrong hint is worse than none. */

#define WORD_MAX 64

static unsigned lower(char c)
{
	return c >= 'A' && c <= 'Z' ? (unsigned)(c - 'A' + 'a') : (unsigned char)c;
}

static size_t least(size_t a, size_t b)
{
	return a < b ? a : b;
}

/* Both at most WORD_MAX long. */
static size_t distance(const char *a, size_t n_a, const char *b, size_t n_b)
{
	size_t rows[3][WORD_MAX + 1];
	size_t *before = rows[0], *last = rows[1], *row = rows[2], *free_row;

	for (size_t j = 0; j <= n_b; j++)
		last[j] = j;
	memset(rows[0], 0, sizeof(rows[0]));
	for (size_t i = 1; i <= n_a; i++) {
		row[0] = i;
		for (size_t j = 1; j <= n_b; j++) {
			bool is_same = lower(a[i - 1]) == lower(b[j - 1]);

			row[j] = least(last[j - 1] + !is_same, least(last[j], row[j - 1]) + 1);
			if (i > 1 && j > 1 && lower(a[i - 1]) == lower(b[j - 2]) &&
				lower(a[i - 2]) == lower(b[j - 1]))
				row[j] = least(row[j], before[j - 2] + 1);
		}
		free_row = before;
		before = last;
		last = row;
		row = free_row;
	}
	return last[n_b];
}

const char *nearest_word(const char *word, const char *const candidates[])
{
	size_t length = strlen(word), best = 1 + (length + 1) / 3, n;
	const char *nearest = NULL;

	if (length > WORD_MAX || length == 0)
		return NULL;
	for (const char *const *candidate = candidates; *candidate; candidate++) {
		size_t n_candidate = strlen(*candidate);

		if (n_candidate > WORD_MAX)
			continue;
		n = distance(word, length, *candidate, n_candidate);
		if (length >= 3 && strncasecmp(word, *candidate, length) == 0)
			n = least(n, 1);
		if (n < best) {
			best = n;
			nearest = *candidate;
		}
	}
	return nearest;
}

bool task_name_is_valid(const char *name)
{
	size_t length = strlen(name);

	if (length < 1 || length > TASK_NAME_MAX)
		return false;
	return strspn(name, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._-") ==
		length;
}

int parse_word(const char *what, const char *text, const char *const words[], size_t *ret_index,
	struct fault *fault)
{
	const char *nearest;
	char list[256] = "";
	size_t length = 0;

	for (size_t i = 0; words[i]; i++) {
		if (strcmp(text, words[i]) == 0) {
			*ret_index = i;
			return 0;
		}
		if (length < sizeof(list))
			length += (size_t)snprintf(list + length, sizeof(list) - length, "%s%s",
				i == 0                 ? ""
					: words[i + 1] ? ", "
						       : " or ",
				words[i]);
	}
	nearest = nearest_word(text, words);
	return fault_set(fault, -EINVAL, "unknown %s '%.*s'%s%s%s; expected %s", what, WORD_MAX,
		text, nearest ? "; did you mean '" : "", nearest ? nearest : "",
		nearest ? "'?" : "", list);
}
