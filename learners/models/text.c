// SPDX-License-Identifier: GPL-2.0-or-later
#include "text.h"

#include <errno.h>
#include <limits.h>
#include <stdlib.h>

#include "cleanup.h"

/* Newton's Opticks for the language models.  The last tenth is held out as one piece: pieces from
 * everywhere would have neighbours in training whose words they share.  The alphabet is taken from
 * the whole text, so a held-out character always has a number. */

#define HELD_OUT_PART 10

static int read_bytes(
	FILE *file, const char *path, uint8_t **ret_bytes, size_t *ret_n, struct fault *fault)
{
	_cleanup_free_ uint8_t *bytes = NULL;
	size_t n = 0, n_allocated = 0;

	do {
		uint8_t *more;

		if (n == TEXT_BYTES_MAX)
			return fault_set(
				fault, -EBADMSG, "%s: longer than %u bytes", path, TEXT_BYTES_MAX);
		n_allocated = n_allocated ? 2 * n_allocated : 1u << 16;
		more = realloc(bytes, n_allocated);
		if (!more)
			return fault_errno(fault, -ENOMEM, "read '%s'", path);
		bytes = more;
		n += fread(bytes + n, 1, n_allocated - n, file);
	} while (n == n_allocated);
	if (ferror(file))
		return fault_errno(fault, -EIO, "read '%s'", path);
	*ret_bytes = TAKE_PTR(bytes);
	*ret_n = n;
	return 0;
}

/* Bytes become symbols in place. */
static int number(struct text *text, const char *path, struct fault *fault)
{
	uint8_t number_of[UCHAR_MAX + 1] = {0};

	for (size_t i = 0; i < text->n; i++) {
		if (text->symbols[i] == '\n')
			text->symbols[i] = ' ';
		number_of[text->symbols[i]] = 1;
	}
	for (size_t c = 0; c <= UCHAR_MAX; c++)
		if (number_of[c])
			number_of[c] = (uint8_t)text->n_symbols++;
	if (text->n_symbols < 2 || text->n_symbols > TEXT_SYMBOLS_MAX)
		return fault_set(fault, -EBADMSG,
			"%s: has %zu different characters, expected 2 to %d", path, text->n_symbols,
			TEXT_SYMBOLS_MAX);
	for (size_t i = 0; i < text->n; i++)
		text->symbols[i] = number_of[text->symbols[i]];
	return 0;
}

int text_read(const char *directory, struct text *ret_text, struct fault *fault)
{
	struct text text = {0};
	_cleanup_fclose_ FILE *file = NULL;
	char path[PATH_MAX];
	int r;

	if (snprintf(path, sizeof(path), "%s/opticks.txt", directory) >= (int)sizeof(path))
		return fault_errno(fault, -ENAMETOOLONG, "read opticks.txt in '%s'", directory);
	file = fopen(path, "re");
	if (!file) {
		r = -errno;
		return fault_errno(fault, r, "read '%s'", path);
	}
	r = read_bytes(file, path, &text.symbols, &text.n, fault);
	if (r < 0)
		return r;
	r = text.n < TEXT_BYTES_MIN
		? fault_set(fault, -EBADMSG, "%s: shorter than %d characters", path, TEXT_BYTES_MIN)
		: number(&text, path, fault);
	if (r < 0) {
		text_done(&text);
		return r;
	}
	text.n_train = text.n - text.n / HELD_OUT_PART;
	*ret_text = text;
	return 0;
}

void text_done(struct text *text)
{
	free(text->symbols);
	*text = (struct text){0};
}
