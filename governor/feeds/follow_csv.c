// SPDX-License-Identifier: GPL-2.0-or-later
#include "follow_internal.h"

#include <string.h>

#include "cleanup.h"
#include "metric.h"

/* Rows of numbers under a header, as trainings log them: separated by commas, tabs or semicolons,
 * quoted fields with "" for a quote inside. A cell may be empty (Lightning writes a row for the
 * training loss and another for the validation loss). A row without any number is a header, also in
 * the middle of a file: logs get concatenated. */

struct cell {
	const char *text;
	size_t length;
};

static bool is_blank(char c)
{
	return c == ' ' || c == '\t';
}

static struct cell trim(struct cell cell)
{
	while (cell.length > 0 && is_blank(*cell.text)) {
		cell.text++;
		cell.length--;
	}
	while (cell.length > 0 && is_blank(cell.text[cell.length - 1]))
		cell.length--;
	if (cell.length >= 2 && *cell.text == '"' && cell.text[cell.length - 1] == '"') {
		cell.text++;
		cell.length -= 2;
	}
	return cell;
}

/* Columns beyond the most are left out. */
static size_t split(const char *row, size_t length, char separator, struct cell cells[])
{
	size_t n = 0, start = 0;
	bool is_quoted = false;

	for (size_t i = 0; i <= length && n < CSV_COLUMNS_MAX; i++) {
		if (i < length && row[i] == '"')
			is_quoted = !is_quoted;
		if (i < length && (row[i] != separator || is_quoted))
			continue;
		cells[n++] = trim((struct cell){row + start, i - start});
		start = i + 1;
	}
	return n;
}

/* The one of `,`, tab and `;` that occurs most; `,` where none does. */
static char find_separator(const char *row, size_t length)
{
	static const char candidates[] = {',', '\t', ';'};
	size_t best = 0;
	char separator = ',';

	for (size_t i = 0; i < ARRAY_LENGTH(candidates); i++) {
		size_t n = 0;

		for (size_t k = 0; k < length; k++)
			n += row[k] == candidates[i];
		if (n > best) {
			best = n;
			separator = candidates[i];
		}
	}
	return separator;
}

static bool is_one_of(const struct cell *cell, const char *const names[], size_t n_names)
{
	for (size_t i = 0; i < n_names; i++)
		if (metric_is_same(names[i], cell->text, cell->length))
			return true;
	return false;
}

static void read_header(
	struct follow_file *file, struct followed *all, const char *row, size_t length)
{
	static const char *const steps[] = {"step", "iteration", "iter", "global_step", "batch"};
	static const char *const epochs[] = {"epoch"};
	struct csv_columns columns = {.is_read = true, .value = -1, .step = -1, .epoch = -1};
	struct metric_choice choice = {.rank = METRIC_RANK_NONE};
	struct cell cells[CSV_COLUMNS_MAX];
	size_t n;

	columns.separator = find_separator(row, length);
	n = split(row, length, columns.separator, cells);
	for (size_t i = 0; i < n; i++) {
		if (metric_choose(&choice, all->target->metric, cells[i].text, cells[i].length))
			columns.value = (int)i;
		else if (columns.step < 0 && is_one_of(&cells[i], steps, ARRAY_LENGTH(steps)))
			columns.step = (int)i;
		else if (columns.epoch < 0 && is_one_of(&cells[i], epochs, ARRAY_LENGTH(epochs)))
			columns.epoch = (int)i;
	}
	file->columns = columns;
}

static bool cell_value(const struct cell cells[], size_t n, int column, double *ret_value)
{
	return column >= 0 && (size_t)column < n &&
		metric_value(cells[column].text, cells[column].length, ret_value);
}

static bool has_number(const struct cell cells[], size_t n)
{
	double value;

	for (size_t i = 0; i < n; i++)
		if (metric_value(cells[i].text, cells[i].length, &value))
			return true;
	return false;
}

void follow_csv_row(struct follow_file *file, struct followed *all, const char *row, size_t length)
{
	const struct csv_columns *columns = &file->columns;
	struct report report = {.stamp_ns = all->now_ns};
	struct cell cells[CSV_COLUMNS_MAX];
	double value;
	size_t n;

	if (length > 0 && row[length - 1] == '\r')
		length--;
	if (length == 0)
		return;
	n = split(row, length, columns->is_read ? columns->separator : find_separator(row, length),
		cells);
	if (!has_number(cells, n)) {
		read_header(file, all, row, length);
		return;
	}
	if (!columns->is_read) {
		all->facts.n_refused++;
		return;
	}
	if (cell_value(cells, n, columns->epoch, &value))
		all->facts.epoch = value;
	if (cell_value(cells, n, columns->step, &value) && value >= 0 && value < 9e15)
		all->facts.steps_done = report.step = (uint64_t)value;
	if (!cell_value(cells, n, columns->value, &report.value))
		return;
	follow_file_report(file, all, &report);
}
