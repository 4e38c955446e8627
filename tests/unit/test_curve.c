// SPDX-License-Identifier: GPL-2.0-or-later
#include "curve.h"

#include <errno.h>
#include <math.h>
#include <string.h>

#include "cleanup.h"
#include "suite.h"

#define TEXT(literal) literal, sizeof(literal) - 1

START_TEST(reads_rows)
{
	static const char text[] = "\xef\xbb\xbf"
				   "cpu_seconds , loss\r\n"
				   "0,2.5\r\n"
				   " 0.1 , nan \r\n"
				   "\r\n"
				   "1e0,-inf\n"
				   "1.0000000014,1e999\n"
				   "1.0000000016,-3";
	struct fault fault = FAULT_INIT;
	struct curve curve;

	ck_assert_msg(curve_parse("c.csv", TEXT(text), &curve, &fault) == 0, "%s", fault.text);
	ck_assert_uint_eq(curve.n_rows, 5);
	ck_assert_uint_eq(curve.rows[0].cpu_ns, 0);
	ck_assert_double_eq(curve.rows[0].loss, 2.5);
	ck_assert_uint_eq(curve.rows[1].cpu_ns, 100000000);
	ck_assert(isnan(curve.rows[1].loss));
	ck_assert(isinf(curve.rows[2].loss));
	ck_assert_uint_eq(curve.rows[3].cpu_ns, 1000000001);
	ck_assert(isinf(curve.rows[3].loss));
	ck_assert_uint_eq(curve.rows[4].cpu_ns, 1000000002);
	ck_assert_double_eq(curve.rows[4].loss, -3);
	curve_done(&curve);
	ck_assert_ptr_null(curve.rows);
	curve_done(&curve);
}
END_TEST

static const struct {
	const char *text;
	size_t length;
	const char *says;
} bad[] = {
	{TEXT(""), "c.csv:1: a curve starts with the header"},
	{TEXT("1,2\n"), "c.csv:1: a curve starts with the header"},
	{TEXT("loss,cpu_seconds\n1,2\n"), "c.csv:1: a curve starts with the header"},
	{TEXT("cpu_seconds,loss,x\n1,2,3\n"), "c.csv:1: a curve starts with the header"},
	{TEXT("cpu_seconds,loss\n"), "no rows"}, {TEXT("cpu_seconds,loss\n\n \n"), "no rows"},
	{TEXT("cpu_seconds,loss\n1\n"), "c.csv:2: not two numbers"},
	{TEXT("cpu_seconds,loss\n1,2,3\n"), "c.csv:2: not two numbers"},
	{TEXT("cpu_seconds,loss\n1,2\0\n"), "c.csv:2: not two numbers"},
	{TEXT("cpu_seconds,loss\n1,\n"), "c.csv:2: loss: ''"},
	{TEXT("cpu_seconds,loss\n1,\"2\"\n"), "c.csv:2: loss"},
	{TEXT("cpu_seconds,loss\n-1,2\n"), "c.csv:2: cpu_seconds: '-1'"},
	{TEXT("cpu_seconds,loss\nnan,2\n"), "c.csv:2: cpu_seconds: 'nan'"},
	{TEXT("cpu_seconds,loss\n1e30,2\n"), "c.csv:2: cpu_seconds: '1e30'"},
	{TEXT("cpu_seconds,loss\n1,2\n2,2\n1.5,2\n"), "c.csv:4: cpu_seconds '1.5' is not above"},
	{TEXT("cpu_seconds,loss\n1,2\n1,1\n"), "c.csv:3: cpu_seconds '1' is not above"},
	{TEXT("cpu_seconds,loss\n1,2\n1.0000000001,1\n"), "c.csv:3"}, /* the same nanosecond */
};

START_TEST(refuses)
{
	struct curve curve = {.n_rows = 7};
	struct fault fault = FAULT_INIT;

	ck_assert_int_eq(
		curve_parse("c.csv", bad[_i].text, bad[_i].length, &curve, &fault), -EBADMSG);
	ck_assert_msg(strstr(fault.text, bad[_i].says), "%s", fault.text);
	ck_assert_uint_eq(curve.n_rows, 7);
}
END_TEST

START_TEST(refuses_a_long_field)
{
	char text[1000] = "cpu_seconds,loss\n1,0.";
	struct fault fault = FAULT_INIT;
	struct curve curve;

	memset(text + strlen(text), '1', 900);
	ck_assert_int_eq(curve_parse("c.csv", text, strlen(text), &curve, &fault), -EBADMSG);
	ck_assert_ptr_nonnull(strstr(fault.text, "c.csv:2: "));
}
END_TEST

START_TEST(reads_files)
{
	struct fault fault = FAULT_INIT;
	char path[SUITE_PATH_MAX];
	struct curve curve;
	int fd;

	ck_assert_int_eq(curve_read("/nonexistent/c.csv", &curve, &fault), -ENOENT);
	ck_assert_ptr_nonnull(strstr(fault.text, "'/nonexistent/c.csv'"));
	fd = mkstemp(suite_template(path));
	ck_assert_int_ge(fd, 0);
	ck_assert_int_eq(dprintf(fd, "cpu_seconds,loss\n1,2\n"), 21);
	ck_assert_int_eq(close(fd), 0);
	ck_assert_int_eq(curve_read(path, &curve, &fault), 0);
	ck_assert_int_eq(unlink(path), 0);
	ck_assert_uint_eq(curve.n_rows, 1);
	curve_done(&curve);
}
END_TEST

/* More rows than the first allocation, and a file of several reads. */
START_TEST(reads_many_rows)
{
	size_t size = 1 << 21, length = 0;
	char *text = malloc(size);
	struct curve curve;

	ck_assert_ptr_nonnull(text);
	length += (size_t)snprintf(text, size, "cpu_seconds,loss\n");
	for (unsigned i = 0; i < 100000; i++)
		length += (size_t)snprintf(text + length, size - length, "%u,%u\n", i, i);
	ck_assert_int_eq(curve_parse("c.csv", text, length, &curve, NULL), 0);
	ck_assert_uint_eq(curve.n_rows, 100000);
	ck_assert_uint_eq(curve.rows[99999].cpu_ns, UINT64_C(99999000000000));
	ck_assert_double_eq(curve.rows[99999].loss, 99999);
	curve_done(&curve);
	free(text);
}
END_TEST

/* The row at which it is met so many times in a row; what is not finite breaks a row. */
START_TEST(needs_what_its_row_says)
{
	static const char text[] = "cpu_seconds,loss\n0.5,3\n1,2\n1.5,4\n2,2\n2.5,1\n3,nan\n"
				   "3.5,1\n4,1\n4.5,0\n";
	struct target target = {.value = 2, .in_a_row = 1};
	struct curve curve;

	ck_assert_int_eq(curve_parse("c.csv", TEXT(text), &curve, NULL), 0);
	ck_assert_uint_eq(curve_need(&curve, &target), UINT64_C(1000000000));
	target.in_a_row = 2;
	ck_assert_uint_eq(curve_need(&curve, &target), UINT64_C(2500000000));
	target.in_a_row = 3;
	ck_assert_uint_eq(curve_need(&curve, &target), UINT64_C(4500000000));
	target.in_a_row = 4;
	ck_assert_uint_eq(curve_need(&curve, &target), UINT64_MAX);
	target = (struct target){.value = 4, .is_raised = true, .in_a_row = 1};
	ck_assert_uint_eq(curve_need(&curve, &target), UINT64_C(1500000000));
	curve_done(&curve);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("curve");
	TCase *tcase = tcase_create("all");

	tcase_add_test(tcase, reads_rows);
	tcase_add_loop_test(tcase, refuses, 0, ARRAY_LENGTH(bad));
	tcase_add_test(tcase, refuses_a_long_field);
	tcase_add_test(tcase, reads_files);
	tcase_add_test(tcase, reads_many_rows);
	tcase_add_test(tcase, needs_what_its_row_says);
	suite_add_tcase(suite, tcase);
	return suite_run(suite);
}
