// SPDX-License-Identifier: GPL-2.0-or-later
#include "summary_text.h"

#include <inttypes.h>
#include <json.h>
#include <math.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

/* Two tables: what each policy comes to, and how each compares with the first. What is not known is a dash,
 * and a column that nobody has a number for is left out. Figures are right-aligned, so that they can be
 * compared down a column, and of as many places as they are good for. */

#define NAME_WIDTH_MIN 8
#define CELL_MAX 64

static int name_width(const struct summary_text *text)
{
	size_t width = NAME_WIDTH_MIN;

	for (size_t i = 0; i < text->n_rows; i++)
		if (strlen(text->names[i]) > width)
			width = strlen(text->names[i]);
	return (int)width;
}

static const char *number_cell(
	char ret_cell[static CELL_MAX], int places, double value, const char *unit)
{
	if (isnan(value))
		return "-";
	(void)snprintf(ret_cell, CELL_MAX, "%.*f%s", places, value, unit);
	return ret_cell;
}

static const char *interval_cell(
	char ret_cell[static CELL_MAX], const struct bootstrap_interval *interval, bool is_signed)
{
	if (isnan(interval->low))
		return "-";
	(void)snprintf(ret_cell, CELL_MAX, is_signed ? "%+.4f .. %+.4f" : "%.4f .. %.4f",
		interval->low, interval->high);
	return ret_cell;
}

static const char *signed_cell(char ret_cell[static CELL_MAX], double value)
{
	if (isnan(value))
		return "-";
	(void)snprintf(ret_cell, CELL_MAX, "%+.4f", value);
	return ret_cell;
}

/* Of a part, in per cent. */
static const char *percent_cell(char ret_cell[static CELL_MAX], double part)
{
	return number_cell(ret_cell, 1, 100 * part, " %");
}

static bool has_star(const struct summary_text *text)
{
	for (size_t i = 0; i < text->n_rows; i++)
		if (!isnan(text->rows[i].kappa_star))
			return true;
	return false;
}

static void print_row(const struct summary_text *text, size_t i, int width, FILE *to)
{
	const struct summary_row *row = &text->rows[i];
	char cells[7][CELL_MAX];

	(void)fprintf(to, "%-*s  %7s  %16s", width, text->names[i],
		number_cell(cells[0], 4, row->kappa.mean, ""),
		interval_cell(cells[1], &row->kappa, false));
	if (has_star(text))
		(void)fprintf(to, "  %8s", number_cell(cells[2], 3, row->part_of_star, ""));
	(void)fprintf(to, "  %10s  %8s  %8s  %9s\n",
		number_cell(cells[3], 3, row->data_throughput, ""),
		percent_cell(cells[4], row->used_part), percent_cell(cells[5], row->learned_part),
		number_cell(cells[6], 1, row->to_target, " s"));
}

static void print_policies(const struct summary_text *text, int width, FILE *to)
{
	(void)fprintf(to, "%-*s  %7s  %16s", width, "policy", "kappa", "95 % interval");
	if (has_star(text))
		(void)fprintf(to, "  %8s", "of best");
	(void)fprintf(to, "  %10s  %8s  %8s  %9s\n", "throughput", "used", "useful", "to target");
	for (size_t i = 0; i < text->n_rows; i++)
		print_row(text, i, width, to);
}

static void print_differences(const struct summary_text *text, int width, FILE *to)
{
	int first_width = (int)strlen(text->names[0]) > 7 ? (int)strlen(text->names[0]) : 7;
	char cells[2][CELL_MAX];

	(void)fprintf(to, "\n%-*s  %*s  %18s  %6s  %6s  %6s\n", width, "against", first_width,
		text->names[0], "95 % interval", "better", "equal", "worse");
	for (size_t i = 1; i < text->n_rows; i++) {
		const struct summary_row *row = &text->rows[i];

		(void)fprintf(to, "%-*s  %*s  %18s  %6zu  %6zu  %6zu\n", width, text->names[i],
			first_width, signed_cell(cells[0], row->difference.mean),
			interval_cell(cells[1], &row->difference, true), row->n_better,
			row->n_equal, row->n_worse);
	}
}

static void print_notes(const struct summary_text *text, FILE *to)
{
	bool has_interval = text->n_rows > 0 && !isnan(text->rows[0].kappa.low);

	(void)fprintf(to,
		"\nused: of the budget; useful: of the CPU time used, by tasks that learned;\n"
		"to target: mean time since begin, of the tasks that learn under %s (%" PRIu64
		" of %" PRIu64 ").\n",
		text->n_rows > 1 ? "every policy" : "the policy", summary_n_common(text->summary),
		summary_n_tasks(text->summary));
	if (has_interval)
		(void)fprintf(to,
			"95 %% interval: percentile bootstrap over bundles, %d resamples.\n",
			BOOTSTRAP_RESAMPLES);
}

void summary_print(const struct summary_text *text, FILE *to)
{
	size_t n_bundles = summary_n_bundles(text->summary);
	uint64_t n_tasks = summary_n_tasks(text->summary);
	int width = name_width(text);

	(void)fprintf(to, "%zu bundle%s, %" PRIu64 " task%s", n_bundles, n_bundles == 1 ? "" : "s",
		n_tasks, n_tasks == 1 ? "" : "s");
	if (has_star(text))
		(void)fprintf(to, "; the best that any policy could: kappa %.4f",
			text->rows[0].kappa_star);
	(void)fprintf(to, "\n\n");
	print_policies(text, width, to);
	if (text->n_rows > 1)
		print_differences(text, width, to);
	print_notes(text, to);
}

static struct json_object *json_number(double number)
{
	char text[32];

	if (!isfinite(number))
		return NULL;
	(void)snprintf(text, sizeof(text), "%.9g", number);
	return json_object_new_double_s(number, text);
}

static struct json_object *json_interval(const struct bootstrap_interval *interval)
{
	struct json_object *json = json_object_new_object();

	json_object_object_add(json, "mean", json_number(interval->mean));
	json_object_object_add(json, "low", json_number(interval->low));
	json_object_object_add(json, "high", json_number(interval->high));
	return json;
}

static struct json_object *json_row(const struct summary_text *text, size_t i)
{
	const struct summary_row *row = &text->rows[i];
	struct json_object *json = json_object_new_object(), *against;

	json_object_object_add(json, "policy", json_object_new_string(text->names[i]));
	json_object_object_add(json, "kappa", json_interval(&row->kappa));
	json_object_object_add(json, "kappa_star", json_number(row->kappa_star));
	json_object_object_add(json, "part_of_kappa_star", json_number(row->part_of_star));
	json_object_object_add(json, "data_throughput", json_number(row->data_throughput));
	json_object_object_add(json, "used_part", json_number(row->used_part));
	json_object_object_add(json, "learned_part", json_number(row->learned_part));
	json_object_object_add(json, "to_target_seconds", json_number(row->to_target));
	if (i == 0) {
		json_object_object_add(json, "against_first", NULL);
		return json;
	}
	against = json_interval(&row->difference);
	json_object_object_add(against, "better", json_object_new_uint64(row->n_better));
	json_object_object_add(against, "equal", json_object_new_uint64(row->n_equal));
	json_object_object_add(against, "worse", json_object_new_uint64(row->n_worse));
	json_object_object_add(json, "against_first", against);
	return json;
}

char *summary_json(const struct summary_text *text)
{
	const struct summary *summary = text->summary;
	struct json_object *json = json_object_new_object(), *rows = json_object_new_array();
	const char *string;
	char *copy;

	json_object_object_add(json, "schema", json_object_new_int(1));
	json_object_object_add(json, "bundles", json_object_new_uint64(summary_n_bundles(summary)));
	json_object_object_add(json, "tasks", json_object_new_uint64(summary_n_tasks(summary)));
	json_object_object_add(
		json, "tasks_common", json_object_new_uint64(summary_n_common(summary)));
	json_object_object_add(json, "confidence", json_number(BOOTSTRAP_CONFIDENCE));
	json_object_object_add(json, "resamples", json_object_new_int(BOOTSTRAP_RESAMPLES));
	for (size_t i = 0; i < text->n_rows; i++)
		json_object_array_add(rows, json_row(text, i));
	json_object_object_add(json, "policies", rows);
	string = json_object_to_json_string_ext(
		json, JSON_C_TO_STRING_PLAIN | JSON_C_TO_STRING_NOSLASHESCAPE);
	copy = string ? strdup(string) : NULL;
	json_object_put(json);
	return copy;
}
