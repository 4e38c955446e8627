// SPDX-License-Identifier: GPL-2.0-or-later
#include "bundle_internal.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "cleanup.h"
#include "csv.h"
#include "policy.h"
#include "text_file.h"

/* The schedule of the policy `script`: CSV with the header `slot,task,cpus`.
 *
 * A line holds for its task from its slot on until the task's next line. Lines may come in any
 * order and are sorted by (slot, task); the same slot and task twice is an error. Tasks are named,
 * and found by a binary search in the sorted names. */

#define SCHEDULE_FILE_MAX ((size_t)64 << 20)
#define SCHEDULE_ROWS_MAX 1000000
#define SLOT_MAX UINT32_MAX

/* A row and where it is written, as long as both are needed. */
struct line_row {
	struct schedule_row row;
	unsigned line;
};

struct reading {
	const char *path;
	const struct bundle *bundle;
	const struct bundle_task **by_name;
	struct line_row *rows;
	size_t n_rows;
};

static void reading_done(struct reading *reading)
{
	free(reading->by_name);
	free(reading->rows);
}

static int compare_names(const void *a, const void *b)
{
	const struct bundle_task *left = *(const struct bundle_task *const *)a;
	const struct bundle_task *right = *(const struct bundle_task *const *)b;

	return strcmp(left->name, right->name);
}

static int compare_rows(const void *a, const void *b)
{
	const struct line_row *left = a, *right = b;

	if (left->row.slot != right->row.slot)
		return left->row.slot < right->row.slot ? -1 : 1;
	if (left->row.task != right->row.task)
		return left->row.task < right->row.task ? -1 : 1;
	return left->line < right->line ? -1 : left->line > right->line;
}

static int find_task(
	const struct reading *reading, char *name, uint32_t *ret_task, struct fault *fault)
{
	const struct bundle_task wanted = {.name = name};
	const struct bundle_task *key = &wanted, **found;

	found = bsearch(&key, reading->by_name, reading->bundle->n_tasks, sizeof(*reading->by_name),
		compare_names);
	if (!found)
		return fault_set(fault, -EBADMSG, "no task '%.64s' in the bundle", name);
	*ret_task = (uint32_t)(*found - reading->bundle->tasks);
	return 0;
}

static int parse_row(const struct reading *reading, const struct text_line *line,
	struct schedule_row *ret_row, struct fault *fault)
{
	char fields[3][CSV_FIELD_MAX];
	struct schedule_row row = {0};
	int r;

	if (csv_split(line, 3, fields) < 0)
		return fault_set(fault, -EBADMSG,
			"not three fields with commas between them; expected such as '4,mlp,0.25'");
	r = parse_count(fields[0], 0, SLOT_MAX, &row.slot, fault);
	if (r < 0)
		return fault_wrap(fault, r, "slot");
	r = find_task(reading, fields[1], &row.task, fault);
	if (r < 0)
		return r;
	r = parse_number(fields[2], &row.cpus, fault);
	if (r < 0)
		return fault_wrap(fault, r, "cpus");
	if (row.cpus < 0 || row.cpus > SHARE_NUMBER_MAX)
		return fault_set(fault, -EBADMSG,
			"cpus: '%s' is outside the range; expected 0 to %g", fields[2],
			SHARE_NUMBER_MAX);
	*ret_row = row;
	return 0;
}

static int append(struct reading *reading, const struct schedule_row *row, unsigned line)
{
	size_t n = reading->n_rows;

	/* Powers of two: grows when n is one. */
	if ((n & (n - 1)) == 0) {
		struct line_row *rows = reallocarray(
			reading->rows, n == 0 ? 1 : n * 2, sizeof(*rows));

		if (!rows)
			return -ENOMEM;
		reading->rows = rows;
	}
	reading->rows[reading->n_rows++] = (struct line_row){.row = *row, .line = line};
	return 0;
}

static int sort_rows(struct reading *reading, struct fault *fault)
{
	if (reading->n_rows > 0)
		qsort(reading->rows, reading->n_rows, sizeof(*reading->rows), compare_rows);
	for (size_t i = 1; i < reading->n_rows; i++) {
		const struct line_row *first = &reading->rows[i - 1], *again = first + 1;

		if (first->row.slot == again->row.slot && first->row.task == again->row.task)
			return fault_set(fault, -EBADMSG,
				"%s:%u: slot %" PRIu64
				" of task %s is in line %u already; keep one of them",
				reading->path, again->line, again->row.slot,
				reading->bundle->tasks[again->row.task].name, first->line);
	}
	return 0;
}

static int parse_rows(struct reading *reading, const char *text, size_t length,
	struct text_line *line, struct fault *fault)
{
	struct schedule_row row = {0};
	int r;

	while (text_next_line(text, length, line)) {
		if (csv_is_empty(line))
			continue;
		if (reading->n_rows == SCHEDULE_ROWS_MAX)
			return fault_set(fault, -EBADMSG, "%s:%u: more than %d rows", reading->path,
				line->number, SCHEDULE_ROWS_MAX);
		r = parse_row(reading, line, &row, fault);
		if (r < 0)
			return fault_wrap(fault, r == -ENOMEM ? r : -EBADMSG, "%s:%u",
				reading->path, line->number);
		r = append(reading, &row, line->number);
		if (r < 0)
			return fault_errno(fault, r, "%s:%u", reading->path, line->number);
	}
	return sort_rows(reading, fault);
}

static int sort_names(struct reading *reading)
{
	size_t n = reading->bundle->n_tasks;

	reading->by_name = calloc(n + 1, sizeof(*reading->by_name));
	if (!reading->by_name)
		return -ENOMEM;
	for (size_t i = 0; i < n; i++)
		reading->by_name[i] = &reading->bundle->tasks[i];
	qsort(reading->by_name, n, sizeof(*reading->by_name), compare_names);
	return 0;
}

static int take_rows(struct bundle *bundle, const struct reading *reading)
{
	bundle->schedule = calloc(reading->n_rows + 1, sizeof(*bundle->schedule));
	if (!bundle->schedule)
		return -ENOMEM;
	for (size_t i = 0; i < reading->n_rows; i++)
		bundle->schedule[i] = reading->rows[i].row;
	bundle->n_schedule = reading->n_rows;
	return 0;
}

int schedule_parse(struct bundle *bundle, const char *path, const char *text, size_t length,
	struct fault *fault)
{
	_cleanup_(reading_done) struct reading reading = {.path = path, .bundle = bundle};
	char fields[3][CSV_FIELD_MAX];
	struct text_line line = {0};
	size_t mark = text_mark(text, length);
	int r;

	text += mark;
	length -= mark;
	if (!text_next_line(text, length, &line) || csv_split(&line, 3, fields) < 0 ||
		strcmp(fields[0], "slot") != 0 || strcmp(fields[1], "task") != 0 ||
		strcmp(fields[2], "cpus") != 0)
		return fault_set(fault, -EBADMSG,
			"%s:1: a schedule starts with the header line 'slot,task,cpus'", path);
	r = sort_names(&reading);
	if (r < 0)
		return fault_errno(fault, r, "%s", path);
	r = parse_rows(&reading, text, length, &line, fault);
	if (r < 0)
		return r;
	r = take_rows(bundle, &reading);
	return r < 0 ? fault_errno(fault, r, "%s", path) : 0;
}

int schedule_read(struct bundle *bundle, struct fault *fault)
{
	_cleanup_free_ char *text = NULL;
	size_t length;
	int r;

	r = text_file_read(bundle->schedule_path, SCHEDULE_FILE_MAX, &text, &length, fault);
	if (r < 0)
		return r;
	return schedule_parse(bundle, bundle->schedule_path, text, length, fault);
}
