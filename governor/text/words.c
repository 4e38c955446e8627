// SPDX-License-Identifier: GPL-2.0-or-later
#include "ini.h"

#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "cleanup.h"

/* Splits a command line into words as sh(1) does, quoting only: '...' is literal; in "..." a
 * backslash quotes `"`, `\`, `$` and a backquote and stays before anything else; outside, it quotes
 * any character. `$`, `*`, `~`, `|`, `>`, `&` and the like are ordinary characters, since no shell
 * is behind this.
 *
 * A word never is longer than its text, so one buffer of the text's length takes each in turn. */

struct splitter {
	const char *at;
	char *word; /* as long as the text */
	size_t n_word;
};

static bool is_blank(char c)
{
	return c == ' ' || c == '\t' || c == '\n';
}

/* From after the opening quote to after the closing one. */
static int take_quoted(struct splitter *split, char quote, struct fault *fault)
{
	while (*split->at != quote) {
		if (*split->at == '\0')
			return fault_set(fault, -EINVAL,
				"the quote %c is not closed; close it, or write %s for the "
				"character itself",
				quote, quote == '"' ? "\\\"" : "\"'\"");
		if (quote == '"' && *split->at == '\\' && split->at[1] != '\0' &&
			strchr("\"\\$`", split->at[1]))
			split->at++;
		split->word[split->n_word++] = *split->at++;
	}
	split->at++;
	return 0;
}

static int take_word(struct splitter *split, struct fault *fault)
{
	int r;

	split->n_word = 0;
	while (*split->at != '\0' && !is_blank(*split->at)) {
		char c = *split->at++;

		if (c == '"' || c == '\'') {
			r = take_quoted(split, c, fault);
			if (r < 0)
				return r;
			continue;
		}
		if (c == '\\') {
			if (*split->at == '\0')
				return fault_set(fault, -EINVAL,
					"a backslash at the end quotes nothing; write \\\\ for "
					"the character itself");
			c = *split->at++;
		}
		split->word[split->n_word++] = c;
	}
	split->word[split->n_word] = '\0';
	return 0;
}

static int append(char ***words, size_t *n_words, const char *word)
{
	char **grown = *words;

	/* Powers of two, with room for the NULL at the end. */
	if (((*n_words + 1) & *n_words) == 0)
		grown = reallocarray(*words, (*n_words + 1) * 2, sizeof(*grown));
	if (!grown)
		return -ENOMEM;
	*words = grown;
	grown[*n_words] = strdup(word);
	if (!grown[*n_words])
		return -ENOMEM;
	grown[++*n_words] = NULL;
	return 0;
}

DEFINE_CLEANUP_FUNC(char *, words_free)

int words_split(const char *text, char ***ret_words, struct fault *fault)
{
	_cleanup_(cleanup_words_free) char **words = NULL;
	_cleanup_free_ char *word = malloc(strlen(text) + 1);
	struct splitter split = {.at = text, .word = word};
	size_t n_words = 0;
	int r;

	if (!word)
		return fault_errno(fault, -ENOMEM, "split into words");
	for (;;) {
		while (is_blank(*split.at))
			split.at++;
		if (*split.at == '\0')
			break;
		r = take_word(&split, fault);
		if (r < 0)
			return r;
		r = append(&words, &n_words, word);
		if (r < 0)
			return fault_errno(fault, r, "split into words");
	}
	if (n_words == 0)
		return fault_set(fault, -EINVAL, "no word there");
	*ret_words = TAKE_PTR(words);
	return 0;
}

char **words_free(char **words)
{
	if (!words)
		return NULL;
	for (char **word = words; *word; word++)
		free(*word);
	free(words);
	return NULL;
}
