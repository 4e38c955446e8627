// SPDX-License-Identifier: GPL-2.0-or-later
#include "follow.h"

#include <fcntl.h>
#include <math.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "event_file.h"
#include "suite.h"

static char directory[SUITE_PATH_MAX];
static char path[128];
static struct follow *follow;
static struct report reports[1000];

static void begin(void)
{
	ck_assert_ptr_nonnull(mkdtemp(suite_template(directory)));
	snprintf(path, sizeof(path), "%s/log", directory);
}

static void finish(void)
{
	follow = follow_free(follow);
	ck_assert_int_eq(suite_remove(directory), 0);
}

static void open_follow(const char *metric)
{
	struct target target = {.value = 0, .in_a_row = 1};

	strcpy(target.metric, metric);
	ck_assert_int_eq(follow_new(&follow, path, &target, NULL), 0);
}

static void put_bytes(const char *name, int flags, const void *bytes, size_t n_bytes)
{
	int fd = open(name, O_WRONLY | O_CREAT | O_CLOEXEC | flags, 0600);

	ck_assert_int_ge(fd, 0);
	ck_assert_int_eq(write(fd, bytes, n_bytes), (ssize_t)n_bytes);
	close(fd);
}

static void add(const char *text)
{
	put_bytes(path, O_APPEND, text, strlen(text));
}

/* In place: the same inode. */
static void rewrite(const char *text)
{
	put_bytes(path, O_TRUNC, text, strlen(text));
}

static size_t look(void)
{
	return follow_read(follow, 7, reports, 1000);
}

static void expect(double value)
{
	ck_assert_uint_eq(look(), 1);
	ck_assert_double_eq_tol(reports[0].value, value, 1e-6);
}

static uint64_t n_refused(void)
{
	struct progress_facts facts;

	follow_facts(follow, &facts);
	return facts.n_refused;
}

START_TEST(csv_appears_late_and_grows)
{
	open_follow("loss");
	ck_assert_uint_eq(look(), 0);
	add("step,lo");
	ck_assert_uint_eq(look(), 0);
	add("ss\n1,0.5\n2,0.");
	expect(0.5);
	ck_assert_uint_eq(reports[0].step, 1);
	ck_assert_uint_eq(reports[0].stamp_ns, 7);
	ck_assert_uint_eq(look(), 0);
	add("25\n");
	expect(0.25);
}
END_TEST

START_TEST(csv_columns)
{
	open_follow("val_loss");
	add("epoch\t\"lr;x\"\tval loss\ttrain_loss\r\n0\t0.1\t\t0.9\r\n0\t0.1\t0.75\t\r\n");
	expect(0.75);
}
END_TEST

START_TEST(csv_quotes)
{
	open_follow("loss");
	add("note,loss\n\"a, \"\"b\"\"\",0.5\n");
	expect(0.5);
}
END_TEST

START_TEST(csv_prefers_the_loss_itself)
{
	open_follow("loss");
	add("val_loss,train_loss,loss_box,lr\n1,2,3,4\n");
	expect(2);
	add("val_loss,loss,train_loss\n1,5,3\n");
	expect(5);
}
END_TEST

/* What Lightning does when a column is added. */
START_TEST(csv_written_anew_with_a_column_more)
{
	open_follow("train_loss");
	add("step,train_loss\n1,0.5\n2,0.4\n");
	ck_assert_uint_eq(look(), 2);
	rewrite("step,train_loss,val_loss\n1,0.5,\n2,0.4,\n3,0.3,0.6\n");
	expect(0.3);
	ck_assert_uint_eq(reports[0].step, 3);
}
END_TEST

START_TEST(csv_cut_by_a_new_training)
{
	open_follow("loss");
	add("step,loss\n1,0.5\n2,0.4\n3,0.3\n");
	ck_assert_uint_eq(look(), 3);
	rewrite("step,loss\n1,0.9\n");
	expect(0.9);
	add("2,0.8\n");
	expect(0.8);
}
END_TEST

/* As long as before: only the bytes tell. */
START_TEST(csv_written_over)
{
	open_follow("loss");
	add("step,loss\n1,0.5\n2,0.4\n");
	ck_assert_uint_eq(look(), 2);
	put_bytes(path, 0, "step,loss\n1,0.5\n2,0.3\n", 22);
	expect(0.3);
}
END_TEST

START_TEST(rotated_after_more_was_written)
{
	char old[140];

	open_follow("loss");
	add("step,loss\n1,0.5\n");
	ck_assert_uint_eq(look(), 1);
	add("2,0.4\n");
	snprintf(old, sizeof(old), "%s.1", path);
	ck_assert_int_eq(rename(path, old), 0);
	rewrite("step,loss\n3,0.3\n");
	ck_assert_uint_eq(look(), 2);
	ck_assert_double_eq_tol(reports[0].value, 0.4, 1e-9);
	ck_assert_double_eq_tol(reports[1].value, 0.3, 1e-9);
}
END_TEST

START_TEST(json_lines)
{
	struct progress_facts facts;

	open_follow("loss");
	add("{\"step\": 10, \"total\": 100, \"loss\": 0.5, \"val\": {\"loss\": 9}}\n"
	    "{\"step\": 10, \"val_loss\": 0.7}\nnonsense\n{\"step\": 20, \"loss\": \"0.25\"}\n"
	    "{\"step\": 30, \"loss\": NaN}\n");
	ck_assert_uint_eq(look(), 3);
	ck_assert_double_eq_tol(reports[0].value, 0.5, 1e-9);
	ck_assert_uint_eq(reports[1].step, 20);
	ck_assert_double_eq_tol(reports[1].value, 0.25, 1e-9);
	ck_assert(isnan(reports[2].value));
	follow_facts(follow, &facts);
	ck_assert_uint_eq(facts.n_refused, 1);
	ck_assert_uint_eq(facts.steps_done, 30);
	ck_assert_uint_eq(facts.n_reports, 3);
}
END_TEST

START_TEST(a_full_call_goes_on_where_it_stopped)
{
	open_follow("loss");
	add("loss\n");
	for (int i = 0; i < 500; i++)
		add("0.5\n");
	ck_assert_uint_eq(follow_read(follow, 1, reports, 300), 300);
	ck_assert_uint_eq(follow_read(follow, 1, reports, 300), 200);
	ck_assert_uint_eq(follow_read(follow, 1, reports, 300), 0);
}
END_TEST

START_TEST(a_line_too_long_is_stepped_over)
{
	static char line[300001];

	memset(line, 'x', sizeof(line) - 1);
	open_follow("loss");
	add("loss\n0.5\n");
	add(line);
	ck_assert_uint_eq(look(), 1);
	add("\n0.25\n");
	expect(0.25);
	ck_assert_uint_eq(n_refused(), 1);
}
END_TEST

START_TEST(a_call_is_bounded)
{
	static char rows[1 << 20];
	size_t n = 0, calls = 0, got;

	/* No metric in it: nothing stops the reading but the bound. */
	for (size_t i = 0; i < sizeof(rows); i += 4)
		memcpy(rows + i, "1,\n\n", 4);
	open_follow("loss");
	add("step,loss\n");
	put_bytes(path, O_APPEND, rows, sizeof(rows));
	put_bytes(path, O_APPEND, rows, sizeof(rows));
	add("9,0.5\n");
	do {
		got = look();
		n += got;
		calls++;
	} while (got == 0 && calls < 100);
	ck_assert_uint_eq(n, 1);
	ck_assert_uint_eq(calls, 5);
}
END_TEST

START_TEST(garbage)
{
	uint8_t bytes[4096];
	unsigned seed = 1;

	for (size_t i = 0; i < sizeof(bytes); i++)
		bytes[i] = (uint8_t)((seed = seed * 1103515245 + 12345) >> 16);
	open_follow("loss");
	put_bytes(path, 0, bytes, sizeof(bytes));
	ck_assert_uint_eq(look(), 0);
	rewrite("loss\n0.5\n");
	expect(0.5);
}
END_TEST

START_TEST(events_of_pytorch_and_tensorflow)
{
	struct event_file events = {.n = 0};

	event_file_version(&events);
	event_file_scalar(&events, 1, "Loss/train", 0.5F);
	event_file_tensor(&events, 2, "Loss/train", 0.25F);
	event_file_scalar(&events, 2, "Accuracy", 0.9F);
	open_follow("loss");
	put_bytes(path, 0, events.bytes, events.n);
	ck_assert_uint_eq(look(), 2);
	ck_assert_double_eq_tol(reports[0].value, 0.5, 1e-6);
	ck_assert_double_eq_tol(reports[1].value, 0.25, 1e-6);
	ck_assert_uint_eq(reports[1].step, 2);
	event_file_done(&events);
}
END_TEST

/* The first bytes of every event file, as TensorFlow and PyTorch write them. */
START_TEST(the_head_is_the_real_one)
{
	struct event_file events = {.n = 0};

	event_file_version(&events);
	ck_assert_mem_eq(events.bytes, "\x18\0\0\0\0\0\0\0\xa3\x7f\x4b\x22", 12);
	event_file_done(&events);
}
END_TEST

START_TEST(half_a_record_is_not_there_yet)
{
	struct event_file events = {.n = 0};
	size_t first;

	event_file_version(&events);
	first = events.n;
	event_file_scalar(&events, 1, "loss", 0.5F);
	open_follow("loss");
	for (size_t n = 0; n < events.n; n++) {
		put_bytes(path, O_APPEND, events.bytes + n, 1);
		if (n + 1 < events.n)
			ck_assert_uint_eq(look(), 0);
	}
	ck_assert_uint_gt(events.n, first);
	expect(0.5);
	ck_assert_uint_eq(n_refused(), 0);
	event_file_done(&events);
}
END_TEST

START_TEST(a_record_with_a_wrong_checksum_is_stepped_over)
{
	struct event_file events = {.n = 0};
	size_t second;

	event_file_version(&events);
	event_file_scalar(&events, 1, "loss", 0.5F);
	second = events.n;
	event_file_scalar(&events, 2, "loss", 0.4F);
	events.bytes[second + 14] ^= 1;
	event_file_scalar(&events, 3, "loss", 0.3F);
	open_follow("loss");
	put_bytes(path, 0, events.bytes, events.n);
	ck_assert_uint_eq(look(), 2);
	ck_assert_uint_eq(reports[1].step, 3);
	ck_assert_uint_eq(n_refused(), 1);
	event_file_done(&events);
}
END_TEST

START_TEST(lost_framing_is_counted_once_and_waited_for)
{
	struct event_file events = {.n = 0};
	size_t second;

	event_file_version(&events);
	event_file_scalar(&events, 1, "loss", 0.5F);
	second = events.n;
	event_file_scalar(&events, 2, "loss", 0.4F);
	events.bytes[second + 9] ^= 1;
	open_follow("loss");
	put_bytes(path, 0, events.bytes, events.n);
	expect(0.5);
	ck_assert_uint_eq(look(), 0);
	ck_assert_uint_eq(look(), 0);
	ck_assert_uint_eq(n_refused(), 1);
	events.bytes[second + 9] ^= 1;
	put_bytes(path, 0, events.bytes, events.n);
	expect(0.4);
	event_file_done(&events);
}
END_TEST

START_TEST(a_large_record_is_stepped_over)
{
	static struct event_file events;
	static uint8_t image[400000];

	event_file_version(&events);
	event_file_record(&events, image, sizeof(image));
	event_file_scalar(&events, 3, "loss", 0.3F);
	open_follow("loss");
	put_bytes(path, 0, events.bytes, 300000);
	ck_assert_uint_eq(look(), 0);
	put_bytes(path, O_APPEND, events.bytes + 300000, events.n - 300000);
	expect(0.3);
	event_file_done(&events);
}
END_TEST

START_TEST(a_directory_with_event_files)
{
	struct event_file events = {.n = 0};
	char name[200];

	open_follow("loss");
	ck_assert_int_eq(mkdir(path, 0700), 0);
	ck_assert_uint_eq(look(), 0);
	event_file_version(&events);
	event_file_scalar(&events, 1, "train/loss", 0.5F);
	snprintf(name, sizeof(name), "%s/events.out.tfevents.1700000000.host.1.0", path);
	put_bytes(name, 0, events.bytes, events.n);
	events.n = 0;
	event_file_version(&events);
	event_file_scalar(&events, 1, "eval/loss", 0.7F);
	event_file_scalar(&events, 2, "train/loss", 0.4F);
	snprintf(name, sizeof(name), "%s/events.out.tfevents.1700000001.host.1.1", path);
	put_bytes(name, 0, events.bytes, events.n);
	snprintf(name, sizeof(name), "%s/hparams.yaml", path);
	put_bytes(name, 0, "loss\n1\n", 7);
	ck_assert_uint_eq(look(), 2);
	event_file_done(&events);
}
END_TEST

START_TEST(the_newest_eight_of_many)
{
	struct event_file events = {.n = 0};
	char name[200];

	open_follow("loss");
	ck_assert_int_eq(mkdir(path, 0700), 0);
	for (int i = 10; i < 30; i++) {
		events.n = 0;
		event_file_version(&events);
		event_file_scalar(&events, (uint64_t)i, "loss", 0.5F);
		snprintf(name, sizeof(name), "%s/events.out.tfevents.17000000%d.h", path, i);
		put_bytes(name, 0, events.bytes, events.n);
	}
	ck_assert_uint_eq(look(), 8);
	for (size_t i = 0; i < 8; i++)
		ck_assert_uint_ge(reports[i].step, 22);
	event_file_done(&events);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("follow");
	TCase *tcase = tcase_create("all");

	tcase_add_checked_fixture(tcase, begin, finish);
	tcase_add_test(tcase, csv_appears_late_and_grows);
	tcase_add_test(tcase, csv_columns);
	tcase_add_test(tcase, csv_quotes);
	tcase_add_test(tcase, csv_prefers_the_loss_itself);
	tcase_add_test(tcase, csv_written_anew_with_a_column_more);
	tcase_add_test(tcase, csv_cut_by_a_new_training);
	tcase_add_test(tcase, csv_written_over);
	tcase_add_test(tcase, rotated_after_more_was_written);
	tcase_add_test(tcase, json_lines);
	tcase_add_test(tcase, a_full_call_goes_on_where_it_stopped);
	tcase_add_test(tcase, a_line_too_long_is_stepped_over);
	tcase_add_test(tcase, a_call_is_bounded);
	tcase_add_test(tcase, garbage);
	tcase_add_test(tcase, events_of_pytorch_and_tensorflow);
	tcase_add_test(tcase, the_head_is_the_real_one);
	tcase_add_test(tcase, half_a_record_is_not_there_yet);
	tcase_add_test(tcase, a_record_with_a_wrong_checksum_is_stepped_over);
	tcase_add_test(tcase, lost_framing_is_counted_once_and_waited_for);
	tcase_add_test(tcase, a_large_record_is_stepped_over);
	tcase_add_test(tcase, a_directory_with_event_files);
	tcase_add_test(tcase, the_newest_eight_of_many);
	suite_add_tcase(suite, tcase);
	return suite_run(suite);
}
