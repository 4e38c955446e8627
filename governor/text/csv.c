// SPDX-License-Identifier: GPL-2.0-or-later
#include "csv.h"

#include <errno.h>
#include <string.h>

/* Splits lines of the CSV files that coregov reads: curves and schedules. Their fields are numbers
 * and task names, which hold neither comma nor quote, so the quoting of RFC 4180 has nothing to do
 * here, and a quote makes the field what it then is: no number. */

static bool is_blank(char c)
{
	return c == ' ' || c == '\t';
}

static int take_field(const char *start, const char *end, char ret_field[static CSV_FIELD_MAX])
{
	while (start < end && is_blank(*start))
		start++;
	while (end > start && is_blank(end[-1]))
		end--;
	if (end - start >= CSV_FIELD_MAX || memchr(start, '\0', (size_t)(end - start)))
		return -EINVAL;
	memcpy(ret_field, start, (size_t)(end - start));
	ret_field[end - start] = '\0';
	return 0;
}

int csv_split(const struct text_line *line, size_t n_fields, char ret_fields[][CSV_FIELD_MAX])
{
	const char *start = line->start, *end = line->start + line->length, *comma;

	for (size_t i = 0; i < n_fields; i++) {
		comma = memchr(start, ',', (size_t)(end - start));
		if (!comma != (i + 1 == n_fields))
			return -EINVAL;
		if (take_field(start, comma ? comma : end, ret_fields[i]) < 0)
			return -EINVAL;
		start = comma ? comma + 1 : end;
	}
	return 0;
}

bool csv_is_empty(const struct text_line *line)
{
	for (size_t i = 0; i < line->length; i++)
		if (!is_blank(line->start[i]))
			return false;
	return true;
}
