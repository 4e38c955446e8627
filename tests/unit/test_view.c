// SPDX-License-Identifier: GPL-2.0-or-later
#include "view.h"

#include <math.h>
#include <pty.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "nsec.h"
#include "suite.h"

/* The live view on terminals of any size: never more lines than there are, and none that wraps. */

#define N_TASKS 5
#define FRAME_MAX 65536
#define LINE_END "\x1b[K\r\n"

static char name[] = "a-name-that-is-longer-than-its-column";
static struct bundle_task tasks[N_TASKS];
static struct bundle bundle = {.tasks = tasks, .n_tasks = N_TASKS};
static struct slot_task rows[N_TASKS];

static void prepare(void)
{
	for (uint32_t i = 0; i < N_TASKS; i++) {
		tasks[i] = (struct bundle_task){
			.name = name,
			.deadline_ns = UINT64_MAX,
			.target = {.metric = "loss", .value = -1.2345678e-300},
		};
		rows[i] = (struct slot_task){
			.seen = {.task = i, .phase = PHASE_STOPPING, .value = -1.2345678e-300},
			.share_cpus = 12345.678,
			.grant = {.cpu_ns = NSEC_PER_SEC},
		};
	}
}

/* What a terminal of that size is sent for one frame. */
static void draw(unsigned short n_lines, unsigned short n_columns, char text[static FRAME_MAX])
{
	struct winsize window = {.ws_row = n_lines, .ws_col = n_columns};
	struct slot_record record = {
		.now_ns = 123456 * NSEC_PER_SEC,
		.slot_ns = NSEC_PER_SEC,
		.budget_ns = NSEC_PER_SEC,
		.granted_ns = NSEC_PER_SEC,
		.n_tasks = N_TASKS,
		.tasks = rows,
	};
	struct view_setup setup = {.bundle = &bundle, .kind = VIEW_TABLE};
	struct fault fault = FAULT_INIT;
	struct view *view;
	int master, slave;
	size_t length = 0;
	ssize_t n;

	ck_assert_int_eq(openpty(&master, &slave, NULL, NULL, &window), 0);
	setup.to = fdopen(slave, "w");
	ck_assert_ptr_nonnull(setup.to);
	ck_assert_int_eq(view_new(&view, &setup, &fault), 0);
	view_recorder(view)->ops->slot(view_recorder(view), &record);
	view_free(view);
	ck_assert_int_eq(fclose(setup.to), 0);
	/* EIO once all is read, since nobody has the other end any more. */
	while ((n = read(master, text + length, FRAME_MAX - 1 - length)) > 0)
		length += (size_t)n;
	text[length] = '\0';
	ck_assert_int_eq(close(master), 0);
}

/* Lines, and the width of the widest. */
static size_t measure(char *text, size_t *ret_width)
{
	size_t n_lines = 0;

	*ret_width = 0;
	for (char *end, *line = text; *line != '\0'; line = end + strlen(LINE_END)) {
		end = strstr(line, LINE_END);
		ck_assert_ptr_nonnull(end);
		n_lines++;
		if ((size_t)(end - line) > *ret_width)
			*ret_width = (size_t)(end - line);
	}
	return n_lines;
}

START_TEST(a_frame_fits_its_terminal)
{
	static const struct {
		unsigned short n_lines, n_columns;
		size_t lines, width; /* as drawn; 0: as wide as it is */
	} cases[] = {
		{24, 200, 1 + N_TASKS, 0},
		{24, 80, 1 + N_TASKS, 79},
		{24, 40, 1 + N_TASKS, 39},
		{24, 2, 1 + N_TASKS, 1},
		{5, 80, 4, 79},
		{3, 80, 2, 79},
		/* Of no known size: 24 lines of 80. */
		{0, 0, 1 + N_TASKS, 79},
	};
	static char text[FRAME_MAX];
	size_t width;

	draw(cases[_i].n_lines, cases[_i].n_columns, text);
	ck_assert_uint_eq(measure(text, &width), cases[_i].lines);
	if (cases[_i].width > 0)
		ck_assert_uint_eq(width, cases[_i].width);
	else
		ck_assert_uint_gt(width, 79);
}
END_TEST

/* What an ordinary run shows is whole on a terminal of the usual width. */
START_TEST(eighty_columns_suffice)
{
	static char text[FRAME_MAX];

	for (uint32_t i = 0; i < N_TASKS; i++) {
		tasks[i].target.value = 0.12345;
		tasks[i].deadline_ns = 123460 * NSEC_PER_SEC;
		rows[i].seen.value = 0.12345;
		rows[i].share_cpus = 1.5;
	}
	draw(24, 80, text);
	ck_assert_ptr_nonnull(strstr(text, "0 learned, 0 not" LINE_END));
	ck_assert_ptr_nonnull(strstr(
		text, "stopping  1.50 ##########   0.12345 <= 0.12345       4 s left" LINE_END));
}
END_TEST

static Suite *view_suite(void)
{
	Suite *suite = suite_create("view");
	TCase *tcase = tcase_create("view");

	tcase_add_checked_fixture(tcase, prepare, NULL);
	tcase_add_loop_test(tcase, a_frame_fits_its_terminal, 0, 7);
	tcase_add_test(tcase, eighty_columns_suffice);
	suite_add_tcase(suite, tcase);
	return suite;
}

int main(void)
{
	return suite_run_on_terminals(view_suite());
}
