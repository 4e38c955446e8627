// SPDX-License-Identifier: GPL-2.0-or-later
#include "numbers.h"

#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>

#include "cleanup.h"

/* Two of the data sets are tables of small whole numbers.  A file is read line by line into one
 * array that doubles when it is full; the first line is a header and is skipped.  Whoever asked
 * knows how many columns there must be, so a row with more or less is an error of the file and not
 * a guess. */

#define ROWS_FIRST 1024

static int parse_row(char *line, size_t n_columns, uint16_t ret_values[])
{
	char *rest = line;

	for (size_t i = 0; i < n_columns; i++) {
		char *end;
		unsigned long value;

		if (*rest < '0' || *rest > '9')
			return -EBADMSG;
		value = strtoul(rest, &end, 10);
		if (value > NUMBERS_VALUE_MAX || *end != (i + 1 < n_columns ? ',' : '\0'))
			return -EBADMSG;
		ret_values[i] = (uint16_t)value;
		rest = end + 1;
	}
	return 0;
}

static int grow(struct numbers *numbers, size_t *n_allocated)
{
	size_t n = *n_allocated ? 2 * *n_allocated : ROWS_FIRST;
	uint16_t *values = reallocarray(
		numbers->values, n * numbers->n_columns, sizeof(numbers->values[0]));

	if (!values)
		return -ENOMEM;
	numbers->values = values;
	*n_allocated = n;
	return 0;
}

static int read_rows(FILE *file, const char *path, struct numbers *numbers, struct fault *fault)
{
	_cleanup_free_ char *line = NULL;
	size_t line_bytes = 0, n_allocated = 0;
	ssize_t length;

	for (size_t number = 1; (length = getline(&line, &line_bytes, file)) >= 0; number++) {
		if (number == 1)
			continue;
		if (length > 0 && line[length - 1] == '\n')
			line[length - 1] = '\0';
		if (numbers->n_rows == NUMBERS_ROWS_MAX)
			return fault_set(fault, -EBADMSG, "%s:%zu: more than %d rows", path, number,
				NUMBERS_ROWS_MAX);
		if (numbers->n_rows == n_allocated && grow(numbers, &n_allocated) < 0)
			return fault_errno(fault, -ENOMEM, "read '%s'", path);
		if (parse_row(line, numbers->n_columns,
			    numbers->values + numbers->n_rows * numbers->n_columns) < 0)
			return fault_set(fault, -EBADMSG,
				"%s:%zu: expected %zu whole numbers 0 to %d, separated by commas",
				path, number, numbers->n_columns, NUMBERS_VALUE_MAX);
		numbers->n_rows++;
	}
	if (ferror(file))
		return fault_errno(fault, -EIO, "read '%s'", path);
	if (numbers->n_rows == 0)
		return fault_set(fault, -EBADMSG, "%s: no rows below the header", path);
	return 0;
}

int numbers_read(const char *directory, const char *name, size_t n_columns,
	struct numbers *ret_numbers, struct fault *fault)
{
	struct numbers numbers = {.n_columns = n_columns};
	_cleanup_fclose_ FILE *file = NULL;
	char path[PATH_MAX];
	int r;

	if (snprintf(path, sizeof(path), "%s/%s", directory, name) >= (int)sizeof(path))
		return fault_errno(fault, -ENAMETOOLONG, "read '%s' in '%s'", name, directory);
	file = fopen(path, "re");
	if (!file) {
		r = -errno;
		return fault_errno(fault, r, "read '%s'", path);
	}
	r = read_rows(file, path, &numbers, fault);
	if (r < 0) {
		numbers_done(&numbers);
		return r;
	}
	*ret_numbers = numbers;
	return 0;
}

void numbers_done(struct numbers *numbers)
{
	free(numbers->values);
	*numbers = (struct numbers){0};
}
