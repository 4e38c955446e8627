// SPDX-License-Identifier: GPL-2.0-or-later
#include "task_view.h"

#include <inttypes.h>
#include <math.h>
#include <pwd.h>
#include <stdio.h>
#include <string.h>

#include "cleanup.h"
#include "human.h"
#include "nsec.h"

/* The table is as wide as what is in it: cells first, then the widest of each column. */

#define CELL_MAX 96
#define COMMAND_SHOWN 2000

enum column {
	COLUMN_NAME,
	COLUMN_OWNER,
	COLUMN_PHASE,
	COLUMN_SHARE,
	COLUMN_CPU,
	COLUMN_VALUE,
	COLUMN_TARGET,
	COLUMN_DEADLINE,
	COLUMN_LEFT,
	COLUMN_OUTLOOK,
	_COLUMN_MAX,
};

struct row {
	char cells[_COLUMN_MAX][CELL_MAX];
};

static const struct row title = {
	.cells = {"TASK", "OWNER", "PHASE", "SHARE", "CPU TIME", "VALUE", "TARGET", "DEADLINE",
		"LEFT", "OUTLOOK"},
};

static bool is_number(enum column column)
{
	return column == COLUMN_SHARE || column == COLUMN_CPU || column == COLUMN_VALUE ||
		column == COLUMN_LEFT;
}

static bool has_ended(const struct remote_task *task)
{
	return strcmp(task->phase, "ended") == 0;
}

static void owner_text(char ret_text[static CELL_MAX], uint32_t owner)
{
	const struct passwd *user = getpwuid(owner);

	if (user)
		(void)snprintf(ret_text, CELL_MAX, "%s", user->pw_name);
	else
		(void)snprintf(ret_text, CELL_MAX, "%" PRIu32, owner);
}

static void value_text(char ret_text[static CELL_MAX], double value)
{
	(void)snprintf(ret_text, CELL_MAX, isnan(value) ? "-" : "%.5g", value);
}

/* Microseconds of the bus, up to the end of time. */
static uint64_t to_ns(uint64_t us)
{
	uint64_t ns;

	return __builtin_mul_overflow(us, NSEC_PER_USEC, &ns) ? UINT64_MAX : ns;
}

static void deadline_text(char ret_at[static CELL_MAX], char ret_left[static CELL_MAX],
	const struct remote_task *task, uint64_t now_ns)
{
	uint64_t at_ns = to_ns(task->deadline_us);
	char text[HUMAN_TEXT_MAX];

	strcpy(ret_at, "none");
	strcpy(ret_left, "-");
	if (task->deadline_us == REMOTE_NEVER)
		return;
	(void)snprintf(ret_at, CELL_MAX, "%s", format_moment(text, at_ns, now_ns));
	if (!has_ended(task))
		(void)snprintf(ret_left, CELL_MAX, "%s",
			at_ns > now_ns ? format_span(text, at_ns - now_ns) : "passed");
}

static void fill_row(struct row *row, const struct remote_task *task, uint64_t now_ns)
{
	char text[HUMAN_TEXT_MAX], (*cells)[CELL_MAX] = row->cells;

	(void)snprintf(cells[COLUMN_NAME], CELL_MAX, "%s", task->name);
	owner_text(cells[COLUMN_OWNER], task->owner);
	(void)snprintf(cells[COLUMN_PHASE], CELL_MAX, "%s", task->phase);
	(void)snprintf(cells[COLUMN_SHARE], CELL_MAX, "%.2f", task->share_cpus);
	(void)snprintf(cells[COLUMN_CPU], CELL_MAX, "%s", format_span(text, to_ns(task->cpu_us)));
	value_text(cells[COLUMN_VALUE], task->value);
	(void)snprintf(
		cells[COLUMN_TARGET], CELL_MAX, "%s", task->target[0] ? task->target : "none");
	deadline_text(cells[COLUMN_DEADLINE], cells[COLUMN_LEFT], task, now_ns);
	(void)snprintf(cells[COLUMN_OUTLOOK], CELL_MAX, "%s",
		task->outcome[0] ? task->outcome : task->prospect);
}

static void print_row(const struct row *row, const int widths[static _COLUMN_MAX])
{
	for (enum column column = 0; column < _COLUMN_MAX; column++) {
		bool is_last = column + 1 == _COLUMN_MAX;
		int width = is_last ? 0 : is_number(column) ? widths[column] : -widths[column];

		(void)printf("%*s%s", width, row->cells[column], is_last ? "\n" : "  ");
	}
}

static void widen(int widths[static _COLUMN_MAX], const struct row *row)
{
	for (enum column column = 0; column < _COLUMN_MAX; column++) {
		int width = (int)strlen(row->cells[column]);

		if (width > widths[column])
			widths[column] = width;
	}
}

void view_tasks(const struct remote_tasks *tasks, const struct remote_governor *governor,
	bool with_ended, uint64_t now_ns)
{
	_cleanup_free_ struct row *rows = calloc(tasks->n_tasks + 1, sizeof(*rows));
	int widths[_COLUMN_MAX] = {0};
	size_t n_rows = 0;

	for (size_t i = 0; rows && i < tasks->n_tasks; i++)
		if (with_ended || !has_ended(&tasks->tasks[i]))
			fill_row(&rows[n_rows++], &tasks->tasks[i], now_ns);
	if (n_rows > 0) {
		widen(widths, &title);
		for (size_t i = 0; i < n_rows; i++)
			widen(widths, &rows[i]);
		print_row(&title, widths);
		for (size_t i = 0; i < n_rows; i++)
			print_row(&rows[i], widths);
		(void)putchar('\n');
	}
	(void)printf("%" PRIu32 " task%s, %" PRIu32 " at risk; ", governor->n_tasks,
		governor->n_tasks == 1 ? "" : "s", governor->n_at_risk);
	view_governor(governor);
}

void view_governor(const struct remote_governor *governor)
{
	(void)printf("budget %.4gcpu of %.4gcpu, %.2f granted, %.2f used%s\n",
		governor->budget_cpus, governor->capacity_cpus, governor->granted_cpus,
		governor->used_cpus, governor->is_draining ? "; draining: no task is taken" : "");
}

static void print_moment(const char *label, uint64_t us, const char *none, uint64_t now_ns)
{
	char text[HUMAN_TEXT_MAX];

	(void)printf("%-10s %s\n", label,
		us == 0 || us == REMOTE_NEVER ? none : format_moment(text, to_ns(us), now_ns));
}

/* Of one that has ended. */
static void print_status(const struct remote_task *task)
{
	if (task->exit_status == REMOTE_UNTOLD)
		(void)printf("%-10s nobody said\n", "status");
	else
		(void)printf("%-10s %" PRId32 "\n", "status", task->exit_status);
}

static void print_deadline(const struct remote_task *task, uint64_t now_ns)
{
	char at[CELL_MAX], left[CELL_MAX];

	deadline_text(at, left, task, now_ns);
	if (strcmp(left, "-") == 0)
		(void)printf("%-10s %s\n", "deadline", at);
	else if (strcmp(left, "passed") == 0)
		(void)printf("%-10s %s, passed\n", "deadline", at);
	else
		(void)printf("%-10s %s, %s left\n", "deadline", at, left);
}

void view_task(const struct remote_task *task, uint64_t now_ns)
{
	char owner[CELL_MAX], value[CELL_MAX], span[HUMAN_TEXT_MAX], words[COMMAND_SHOWN];

	owner_text(owner, task->owner);
	value_text(value, task->value);
	(void)printf("%-10s %s\n", "task", task->name);
	(void)printf("%-10s %" PRIu32 "\n", "number", task->number);
	(void)printf("%-10s %s\n", "owner", owner);
	(void)printf("%-10s %" PRIu32 "\n", "process", task->pid);
	if (task->command && task->command[0])
		(void)printf("%-10s %s\n", "command",
			format_words(words, sizeof(words), (const char *const *)task->command));
	if (task->directory[0])
		(void)printf("%-10s %s\n", "directory",
			format_words(
				words, sizeof(words), (const char *[]){task->directory, NULL}));
	(void)printf("%-10s %s\n", "target", task->target[0] ? task->target : "none");
	print_deadline(task, now_ns);
	if (task->threads > 0)
		(void)printf("%-10s %" PRIu32 "\n", "threads", task->threads);
	else
		(void)printf("%-10s %s\n", "threads", "auto");
	(void)printf("%-10s %s\n", "phase", task->phase);
	if (task->outcome[0])
		(void)printf("%-10s %s\n", "outcome", task->outcome);
	else
		(void)printf("%-10s %s\n", "prospect", task->prospect);
	(void)printf("%-10s %.2f CPUs\n", "share", task->share_cpus);
	(void)printf("%-10s %s\n", "CPU time", format_span(span, to_ns(task->cpu_us)));
	(void)printf("%-10s %s after %" PRIu64 " reports (%s)\n", "value", value, task->n_reports,
		task->feed);
	if (task->is_unheard)
		(void)printf("%-10s nothing was reported in that time: see --feed in "
			     "coregov-run(1)\n",
			"feed");
	print_moment("began", task->began_us, "not yet", now_ns);
	print_moment("finished", task->finished_us, "not yet", now_ns);
	if (has_ended(task))
		print_status(task);
}
