// SPDX-License-Identifier: GPL-2.0-or-later
#include "view.h"

#include <assert.h>
#include <errno.h>
#include <inttypes.h>
#include <math.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "nsec.h"

/* The live view. A frame is made whole in memory and written at once, so that it does not flicker:
 * cursor up over the last frame, each line ended by "erase to the end of the line". Never more lines
 * than the terminal has, or the cursor could not get back to the top; and none longer than it is wide,
 * or it would take two. */

#define FRAME_MAX 65536
/* A task's line is 78 columns then. */
#define BAR_WIDTH 10

struct view {
	struct recorder recorder;
	struct view_setup setup;
	unsigned n_lines; /* of the last frame */
	unsigned n_columns;
	uint32_t n_outcomes, n_learned;
	size_t length;
	char frame[FRAME_MAX];
};

static_assert(offsetof(struct view, recorder) == 0, "the casts below");

bool view_can_redraw(FILE *to)
{
	const char *term = getenv("TERM");

	return isatty(fileno(to)) && term && strcmp(term, "dumb") != 0;
}

static void put(struct view *view, const char *format, ...) __attribute__((format(printf, 2, 3)));
static void put(struct view *view, const char *format, ...)
{
	size_t room = sizeof(view->frame) - view->length;
	va_list args;
	int n;

	va_start(args, format);
	n = vsnprintf(view->frame + view->length, room, format, args);
	va_end(args);
	if (n > 0)
		view->length += (size_t)n < room ? (size_t)n : room - 1;
}

static void flush(struct view *view)
{
	(void)fwrite(view->frame, 1, view->length, view->setup.to);
	(void)fflush(view->setup.to);
	view->length = 0;
}

static void erase_frame(struct view *view)
{
	if (view->n_lines > 0)
		put(view, "\x1b[%uA\x1b[J", view->n_lines);
	view->n_lines = 0;
}

/* What a terminal of no known size has. */
#define LINES_DEFAULT 24
#define COLUMNS_DEFAULT 80

static unsigned measure_terminal(struct view *view)
{
	struct winsize size = {0};

	(void)ioctl(fileno(view->setup.to), TIOCGWINSZ, &size);
	/* The last column stays free: a terminal may wrap when it is written to. */
	view->n_columns = (size.ws_col > 1 ? size.ws_col : COLUMNS_DEFAULT) - 1;
	return size.ws_row >= 3 ? size.ws_row : LINES_DEFAULT;
}

/* Ends a line of the frame that begins at `start`, cut to the width of the terminal. Its text is
 * ASCII: a column is a byte. */
static void end_line(struct view *view, size_t start)
{
	if (view->length - start > view->n_columns)
		view->length = start + view->n_columns;
	put(view, "\x1b[K\n");
	view->n_lines++;
}

/* A bar of the share in the budget: '#' for whole, '-' for the rest. */
static void put_bar(struct view *view, double part)
{
	int filled = (int)lround(fmin(fmax(part, 0), 1) * BAR_WIDTH);

	put(view, "%.*s%.*s", filled, "##########", BAR_WIDTH - filled, "----------");
}

static void put_task(
	struct view *view, const struct slot_record *record, const struct slot_task *task)
{
	const struct bundle_task *planned = &view->setup.bundle->tasks[task->seen.task];
	char value[24] = "-";
	size_t start = view->length;
	double left = nsec_to_seconds(nsec_sub(planned->deadline_ns, record->now_ns));

	if (isfinite(task->seen.value))
		(void)snprintf(value, sizeof(value), "%.5g", task->seen.value);
	put(view, "%-16.16s %-8s %5.2f ", planned->name, phase_to_string(task->seen.phase),
		task->share_cpus);
	put_bar(view,
		record->budget_ns > 0 ? (double)task->grant.cpu_ns / (double)record->budget_ns : 0);
	put(view, " %9s %s %-8.5g %6.0f s left", value,
		planned->target.is_raised ? ">=" : "<=", planned->target.value, left);
	end_line(view, start);
}

static void draw(struct view *view, const struct slot_record *record)
{
	unsigned most = measure_terminal(view) - 2;
	double slot_ns = (double)record->slot_ns;
	size_t n_shown = record->n_tasks < most ? record->n_tasks : most;
	size_t start;

	erase_frame(view);
	start = view->length;
	put(view,
		"%6.0f s  budget %.2f, granted %.2f, used %.2f CPU; %zu run, %" PRIu32
		" learned, %" PRIu32 " not",
		nsec_to_seconds(record->now_ns), (double)record->budget_ns / slot_ns,
		(double)record->granted_ns / slot_ns, (double)record->used_ns / slot_ns,
		record->n_tasks, view->n_learned, view->n_outcomes - view->n_learned);
	end_line(view, start);
	for (size_t i = 0; i < n_shown; i++)
		put_task(view, record, &record->tasks[i]);
	flush(view);
}

static void print_grants(struct view *view, const struct slot_record *record)
{
	FILE *to = view->setup.grants_to;

	(void)fprintf(to, "slot %" PRIu64 ":", record->slot);
	for (size_t i = 0; i < record->n_tasks; i++)
		(void)fprintf(to, " %s=%.3f",
			view->setup.bundle->tasks[record->tasks[i].seen.task].name,
			(double)record->tasks[i].grant.cpu_ns / (double)record->slot_ns);
	(void)fputc('\n', to);
	(void)fflush(to);
}

static void view_slot(struct recorder *recorder, const struct slot_record *record)
{
	struct view *view = (struct view *)recorder;

	if (view->setup.grants_to)
		print_grants(view, record);
	if (view->setup.kind == VIEW_TABLE)
		draw(view, record);
}

static void view_report(struct recorder *recorder, uint32_t task, const struct report *report)
{
	(void)recorder;
	(void)task;
	(void)report;
}

static void view_event(struct recorder *recorder, uint64_t now_ns, uint32_t task, const char *kind,
	const char *text)
{
	struct view *view = (struct view *)recorder;

	view->n_learned += strcmp(kind, "learned") == 0;
	view->n_outcomes += strcmp(kind, "learned") == 0 || strcmp(kind, "failed") == 0 ||
		strcmp(kind, "missed-deadline") == 0 || strcmp(kind, "missed-target") == 0 ||
		strcmp(kind, "cancelled") == 0;
	/* What only a trace needs. */
	if (strcmp(kind, "given-on") == 0 || strcmp(kind, "end") == 0)
		return;
	/* The lines stay above the table, which is drawn again with the next slot. */
	erase_frame(view);
	put(view, "%7.1f s  ", nsec_to_seconds(now_ns));
	if (task != RECORD_NO_TASK)
		put(view, "%-16s ", view->setup.bundle->tasks[task].name);
	put(view, "%s: %s\n", kind, text);
	flush(view);
}

static const struct recorder_ops view_ops = {
	.slot = view_slot,
	.report = view_report,
	.event = view_event,
};

int view_new(struct view **ret_view, const struct view_setup *setup, struct fault *fault)
{
	struct view *view = calloc(1, sizeof(*view));

	if (!view)
		return fault_errno(fault, -ENOMEM, "view");
	view->recorder.ops = &view_ops;
	view->setup = *setup;
	*ret_view = view;
	return 0;
}

void view_end(struct view *view)
{
	erase_frame(view);
	flush(view);
}

struct view *view_free(struct view *view)
{
	free(view);
	return NULL;
}

struct recorder *view_recorder(struct view *view)
{
	return &view->recorder;
}
