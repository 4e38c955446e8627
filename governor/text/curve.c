// SPDX-License-Identifier: GPL-2.0-or-later
#include "curve.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "cleanup.h"
#include "csv.h"
#include "nsec.h"
#include "quantity.h"
#include "text_file.h"

/* Reads recorded learning curves: CSV with the header `cpu_seconds,loss`.
 *
 * CPU time is made whole nanoseconds here, once, and must increase strictly in those: all that
 * comes later (the simulator, the replay learner, the oracle) compares integers. A loss may be nan
 * or inf, as real trainings report them. Blank lines, a byte order mark and \r\n are taken;
 * quotes and further columns are not. */

#define CURVE_FILE_MAX ((size_t)512 << 20) /* bytes: CURVE_ROWS_MAX rows of usual length */
#define ROWS_FIRST 64

void curve_done(struct curve *curve)
{
	free(curve->rows);
	*curve = (struct curve){0};
}

static int parse_row(const struct text_line *line, const struct curve *curve,
	struct curve_row *ret_row, struct fault *fault)
{
	char fields[2][CSV_FIELD_MAX];
	struct curve_row row = {0};
	uint64_t last_ns;
	int r;

	if (csv_split(line, 2, fields) < 0)
		return fault_set(fault, -EBADMSG,
			"not two numbers with a comma between them; expected CPU-seconds and "
			"loss such as '1.5,0.35'");
	r = parse_seconds(fields[0], &row.cpu_ns, fault);
	if (r < 0)
		return fault_wrap(fault, r, "cpu_seconds");
	r = parse_measure(fields[1], &row.loss, fault);
	if (r < 0)
		return fault_wrap(fault, r, "loss");
	last_ns = curve->n_rows > 0 ? curve->rows[curve->n_rows - 1].cpu_ns : 0;
	if (curve->n_rows > 0 && row.cpu_ns <= last_ns)
		return fault_set(fault, -EBADMSG,
			"cpu_seconds '%s' is not above the %.9g of the row before; CPU time must "
			"increase strictly from row to row, by a nanosecond at least",
			fields[0], nsec_to_seconds(last_ns));
	*ret_row = row;
	return 0;
}

static int append(struct curve *curve, size_t *size, const struct curve_row *row)
{
	if (curve->n_rows == *size) {
		size_t more = *size == 0 ? ROWS_FIRST : *size * 2;
		struct curve_row *rows = reallocarray(curve->rows, more, sizeof(*rows));

		if (!rows)
			return -ENOMEM;
		curve->rows = rows;
		*size = more;
	}
	curve->rows[curve->n_rows++] = *row;
	return 0;
}

/* A study keeps thousands of curves: no more memory than there are rows. */
static int shrink(struct curve *curve)
{
	struct curve_row *rows = reallocarray(curve->rows, curve->n_rows, sizeof(*rows));

	if (!rows)
		return -ENOMEM;
	curve->rows = rows;
	return 0;
}

static int parse_rows(const char *path, const char *text, size_t length, struct text_line *line,
	struct curve *curve, struct fault *fault)
{
	struct curve_row row = {0};
	size_t size = 0;
	int r;

	while (text_next_line(text, length, line)) {
		if (csv_is_empty(line))
			continue;
		if (curve->n_rows == CURVE_ROWS_MAX)
			return fault_set(fault, -EBADMSG, "%s:%u: more than %d rows", path,
				line->number, CURVE_ROWS_MAX);
		r = parse_row(line, curve, &row, fault);
		if (r < 0)
			return fault_wrap(
				fault, r == -ENOMEM ? r : -EBADMSG, "%s:%u", path, line->number);
		r = append(curve, &size, &row);
		if (r < 0)
			return fault_errno(fault, r, "%s:%u", path, line->number);
	}
	if (curve->n_rows == 0)
		return fault_set(fault, -EBADMSG,
			"%s:%u: no rows after the header; a curve needs at least one", path,
			line->number);
	return 0;
}

int curve_parse(const char *path, const char *text, size_t length, struct curve *ret_curve,
	struct fault *fault)
{
	char fields[2][CSV_FIELD_MAX];
	size_t mark = text_mark(text, length);
	struct text_line line = {0};
	struct curve curve = {0};
	int r;

	text += mark;
	length -= mark;
	if (!text_next_line(text, length, &line) || csv_split(&line, 2, fields) < 0 ||
		strcmp(fields[0], "cpu_seconds") != 0 || strcmp(fields[1], "loss") != 0)
		return fault_set(fault, -EBADMSG,
			"%s:1: a curve starts with the header line 'cpu_seconds,loss'", path);
	r = parse_rows(path, text, length, &line, &curve, fault);
	if (r == 0 && shrink(&curve) < 0)
		r = fault_errno(fault, -ENOMEM, "read '%s'", path);
	if (r < 0) {
		curve_done(&curve);
		return r;
	}
	*ret_curve = curve;
	return 0;
}

int curve_read(const char *path, struct curve *ret_curve, struct fault *fault)
{
	_cleanup_free_ char *text = NULL;
	size_t length;
	int r;

	r = text_file_read(path, CURVE_FILE_MAX, &text, &length, fault);
	if (r < 0)
		return r;
	return curve_parse(path, text, length, ret_curve, fault);
}
