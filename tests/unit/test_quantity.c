// SPDX-License-Identifier: GPL-2.0-or-later
#include "quantity.h"

#include <errno.h>
#include <inttypes.h>
#include <locale.h>
#include <math.h>
#include <string.h>

#include "cleanup.h"
#include "nsec.h"
#include "suite.h"

static const struct {
	const char *text;
	uint64_t ns;
} spans[] = {
	{"0", 0}, {"0.0", 0}, {"0s", 0}, {"1s", NSEC_PER_SEC}, {"1.5s", 1500000000},
	{".5 s", 500000000}, {"1e3ms", NSEC_PER_SEC}, {"50ms", 50000000},
	{"45min", 2700 * NSEC_PER_SEC}, {"2\th", 7200 * NSEC_PER_SEC}, {"0.0000000004s", 0},
	{"0.0000000006s", 1}, {"9223372036.854775807s", INT64_MAX},
	{"9007199254.740993s", UINT64_C(9007199254740993000)}, /* more than a double holds */
};

START_TEST(reads_spans)
{
	uint64_t ns = 7;
	struct fault fault = FAULT_INIT;

	ck_assert_msg(
		parse_span(spans[_i].text, &ns, &fault) == 0, "%s: %s", spans[_i].text, fault.text);
	ck_assert_uint_eq(ns, spans[_i].ns);
}
END_TEST

static const struct {
	const char *text;
	int error;
	const char *says;
} bad_spans[] = {
	{"", -EINVAL, "not a time"},
	{"s", -EINVAL, "not a time"},
	{"90", -EINVAL, "no unit"},
	{"-1s", -EINVAL, "negative"},
	{"1sec", -EINVAL, "ms, s, min or h"},
	{"1 s ", -EINVAL, "unknown unit"},
	{"1S", -EINVAL, "unknown unit"},
	{"0x10s", -EINVAL, "unknown unit"},
	{"nans", -EINVAL, "not a time"},
	{"infs", -EINVAL, "not a time"},
	{"1,5s", -EINVAL, "unknown unit"},
	{" 1s", -EINVAL, "not a time"},
	{"1e", -EINVAL, "unknown unit"},
	{"300000000000h", -ERANGE, "292 years"},
	{"1e999h", -ERANGE, "292 years"},
	{"9223372036.854775809s", -ERANGE, "292 years"},
};

START_TEST(refuses_spans)
{
	struct fault fault = FAULT_INIT;
	uint64_t ns = 7;

	ck_assert_int_eq(parse_span(bad_spans[_i].text, &ns, &fault), bad_spans[_i].error);
	ck_assert_msg(strstr(fault.text, bad_spans[_i].says), "%s", fault.text);
	ck_assert_msg(strstr(fault.text, bad_spans[_i].text), "%s", fault.text);
	ck_assert_uint_eq(ns, 7);
}
END_TEST

START_TEST(reads_seconds)
{
	uint64_t ns;

	ck_assert_int_eq(parse_seconds("0", &ns, NULL), 0);
	ck_assert_uint_eq(ns, 0);
	ck_assert_int_eq(parse_seconds("0.1", &ns, NULL), 0);
	ck_assert_uint_eq(ns, 100000000);
	ck_assert_int_eq(parse_seconds("-0.1", &ns, NULL), -EINVAL);
	ck_assert_int_eq(parse_seconds("1s", &ns, NULL), -EINVAL);
	ck_assert_int_eq(parse_seconds("", &ns, NULL), -EINVAL);
	ck_assert_int_eq(parse_seconds("inf", &ns, NULL), -EINVAL);
	ck_assert_int_eq(parse_seconds("1e300", &ns, NULL), -ERANGE);
	ck_assert_uint_eq(ns, 100000000);
}
END_TEST

START_TEST(reads_shares)
{
	struct share share;

	ck_assert_int_eq(parse_share("1.5cpu", &share, NULL), 0);
	ck_assert_double_eq(share.number, 1.5);
	ck_assert(!share.is_percent);
	ck_assert_int_eq(parse_share("75 %", &share, NULL), 0);
	ck_assert_double_eq(share.number, 75);
	ck_assert(share.is_percent);
	ck_assert_int_eq(parse_share("0cpu", &share, NULL), 0);
	ck_assert_double_eq(share.number, 0);
}
END_TEST

static const struct {
	const char *text;
	int error;
	const char *says;
} bad_shares[] = {
	{"", -EINVAL, "not a share"},
	{"cpu", -EINVAL, "not a share"},
	{"1.5", -EINVAL, "no unit"},
	{"-1cpu", -EINVAL, "negative"},
	{"1cpus", -EINVAL, "cpu or %"},
	{"50%%", -EINVAL, "cpu or %"},
	{"nan%", -EINVAL, "not a share"},
	{"1e7cpu", -ERANGE, "too much"},
	{"1e400%", -ERANGE, "too much"},
};

START_TEST(refuses_shares)
{
	struct share share = {.number = 7};
	struct fault fault = FAULT_INIT;

	ck_assert_int_eq(parse_share(bad_shares[_i].text, &share, &fault), bad_shares[_i].error);
	ck_assert_msg(strstr(fault.text, bad_shares[_i].says), "%s", fault.text);
	ck_assert_double_eq(share.number, 7);
}
END_TEST

START_TEST(reads_numbers_and_counts)
{
	struct fault fault = FAULT_INIT;
	double number = 7;
	uint64_t count = 7;

	ck_assert_int_eq(parse_number("-1.25e-2", &number, NULL), 0);
	ck_assert_double_eq(number, -0.0125);
	ck_assert_int_eq(parse_number("nan", &number, &fault), -EINVAL);
	ck_assert_int_eq(parse_number("0x1", &number, NULL), -EINVAL);
	ck_assert_int_eq(parse_number("1 ", &number, NULL), -EINVAL);
	ck_assert_int_eq(parse_number(".", &number, NULL), -EINVAL);
	ck_assert_int_eq(parse_number("1e400", &number, NULL), -ERANGE);
	ck_assert_double_eq(number, -0.0125);

	ck_assert_int_eq(parse_count("18446744073709551615", 0, UINT64_MAX, &count, NULL), 0);
	ck_assert_uint_eq(count, UINT64_MAX);
	ck_assert_int_eq(parse_count("18446744073709551616", 0, UINT64_MAX, &count, NULL), -ERANGE);
	ck_assert_int_eq(parse_count("0", 1, 5, &count, &fault), -ERANGE);
	ck_assert_ptr_nonnull(strstr(fault.text, "from 1 to 5"));
	ck_assert_int_eq(parse_count("-1", 0, 5, &count, NULL), -EINVAL);
	ck_assert_int_eq(parse_count("", 0, 5, &count, NULL), -EINVAL);
	ck_assert_int_eq(parse_count("1.0", 0, 5, &count, NULL), -EINVAL);
}
END_TEST

START_TEST(reads_measures)
{
	double value = 7;

	ck_assert_int_eq(parse_measure("0.5", &value, NULL), 0);
	ck_assert_double_eq(value, 0.5);
	ck_assert_int_eq(parse_measure("NaN", &value, NULL), 0);
	ck_assert(isnan(value));
	ck_assert_int_eq(parse_measure("-Infinity", &value, NULL), 0);
	ck_assert(isinf(value) && value < 0);
	ck_assert_int_eq(parse_measure("inf", &value, NULL), 0);
	ck_assert(isinf(value) && value > 0);
	ck_assert_int_eq(parse_measure("1e999", &value, NULL), 0);
	ck_assert(isinf(value));
	value = 7;
	ck_assert_int_eq(parse_measure("infinite", &value, NULL), -EINVAL);
	ck_assert_int_eq(parse_measure("", &value, NULL), -EINVAL);
	ck_assert_int_eq(parse_measure("0x10", &value, NULL), -EINVAL);
	ck_assert_double_eq(value, 7);
}
END_TEST

/* Runs where such a locale is installed; elsewhere setlocale() refuses and the test is the plain
 * one. */
/* Numbers of few digits go a short way, which must lead to the same. */
START_TEST(reads_what_the_c_library_reads)
{
	uint64_t state = 1, ns, expected_ns;
	char text[64];
	double value;

	for (unsigned i = 0; i < 200000; i++) {
		size_t n_digits, point, length = 0;

		state = state * UINT64_C(6364136223846793005) + 1442695040888963407;
		n_digits = 1 + (state >> 33) % 20;
		point = (state >> 40) % (n_digits + 1);
		for (size_t digit = 0; digit < n_digits; digit++) {
			state = state * UINT64_C(6364136223846793005) + 1442695040888963407;
			if (digit == point && digit > 0)
				text[length++] = '.';
			text[length++] = (char)('0' + (state >> 33) % 10);
		}
		text[length] = '\0';
		ck_assert_int_eq(parse_number(text, &value, NULL), 0);
		ck_assert_msg(value == strtod(text, NULL), "%s: %.17g", text, value);
		if (strtold(text, NULL) > 9e9L)
			continue;
		expected_ns = (uint64_t)roundl(strtold(text, NULL) * 1e9L);
		ck_assert_int_eq(parse_seconds(text, &ns, NULL), 0);
		ck_assert_msg(ns == expected_ns, "%s: %" PRIu64, text, ns);
	}
	ck_assert_int_eq(parse_measure("-0", &value, NULL), 0);
	ck_assert(signbit(value));
	ck_assert_int_eq(parse_measure("-0.25", &value, NULL), 0);
	ck_assert_double_eq(value, -0.25);
	/* 2^53 + 1 is no double; one division of it would round twice. */
	ck_assert_int_eq(parse_number("9007199254740993", &value, NULL), 0);
	ck_assert_double_eq(value, strtod("9007199254740993", NULL));
}
END_TEST

START_TEST(ignores_the_locale)
{
	static const char *const locales[] = {"de_DE.UTF-8", "fr_FR.UTF-8", "C.UTF-8"};
	double number;

	for (size_t i = 0; i < ARRAY_LENGTH(locales); i++)
		if (setlocale(LC_ALL, locales[i]))
			break;
	ck_assert_int_eq(parse_number("1.5", &number, NULL), 0);
	ck_assert_double_eq(number, 1.5);
	ck_assert_int_eq(parse_number("1,5", &number, NULL), -EINVAL);
}
END_TEST

static const struct {
	const char *text, *metric;
	double value;
	bool is_raised;
	uint32_t in_a_row;
} targets[] = {
	{"0.35", "loss", 0.35, false, 1},
	{"-1e-3", "loss", -1e-3, false, 1},
	{"0.35 for 3", "loss", 0.35, false, 3},
	{"loss <= 0.35", "loss", 0.35, false, 1},
	{"loss<=0.35", "loss", 0.35, false, 1},
	{"accuracy >= 0.9 for 3", "accuracy", 0.9, true, 3},
	{"eval/loss-0 <= 2", "eval/loss-0", 2, false, 1},
	{"\tval_acc\t>=\t.9\tfor\t12\t", "val_acc", 0.9, true, 12},
	{"before >= 1", "before", 1, true, 1},
};

START_TEST(reads_targets)
{
	struct fault fault = FAULT_INIT;
	struct target target;

	ck_assert_msg(parse_target(targets[_i].text, &target, &fault) == 0, "%s", fault.text);
	ck_assert_str_eq(target.metric, targets[_i].metric);
	ck_assert_double_eq(target.value, targets[_i].value);
	ck_assert_int_eq(target.is_raised, targets[_i].is_raised);
	ck_assert_uint_eq(target.in_a_row, targets[_i].in_a_row);
}
END_TEST

static const struct {
	const char *text, *says;
} bad_targets[] = {
	{"", "loss <= 0.35"},
	{"loss", "loss <= 0.35"},
	{"nan", "not a finite"},
	{"loss <= nan", "not a finite"},
	{"loss <= inf", "not a finite"},
	{"loss <= 1e999", "too large"},
	{"loss < 0.35", "write '<='"},
	{"accuracy > 0.9", "write '>='"},
	{"loss = 0.35", "write '<='"},
	{"loss == 0.35", "write '<='"},
	{"loss =< 0.35", "write '<='"},
	{"accuracy => 0.9", "write '>='"},
	{"loss <== 0.35", "write '<='"},
	{"loss <= 0.35 <= 1", "not a finite"},
	{"<= 0.35", "no metric"},
	{"val loss <= 0.35", "blank"},
	{"loss <= 0.35 for", "in a row"},
	{"loss <= 0.35 for 0", "from 1"},
	{"loss <= 0.35 for -1", "whole number"},
	{"loss <= 0.35 for 4294967296", "from 1"},
	{"loss <= 0.35 for 2 for 3", "not a finite"},
	{"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa <= 1", "63 bytes"},
};

START_TEST(refuses_targets)
{
	struct target target = {.in_a_row = 77};
	struct fault fault = FAULT_INIT;
	int r;

	r = parse_target(bad_targets[_i].text, &target, &fault);
	ck_assert_msg(r == -EINVAL || r == -ERANGE, "%d", r);
	ck_assert_msg(strstr(fault.text, bad_targets[_i].says), "%s", fault.text);
	ck_assert_uint_eq(target.in_a_row, 77);
}
END_TEST

START_TEST(meets_targets)
{
	const struct target loss = {.value = 0.5}, accuracy = {.value = 0.5, .is_raised = true};

	ck_assert(target_is_met(&loss, 0.5));
	ck_assert(target_is_met(&loss, -3));
	ck_assert(!target_is_met(&loss, 0.5000001));
	ck_assert(target_is_met(&accuracy, 0.5));
	ck_assert(!target_is_met(&accuracy, 0.4999999));
	ck_assert(!target_is_met(&loss, (double)NAN));
	ck_assert(!target_is_met(&loss, -(double)INFINITY));
	ck_assert(!target_is_met(&accuracy, (double)INFINITY));
}
END_TEST

START_TEST(finds_the_nearest_word)
{
	static const char *const keys[] = {"deadline", "directory", "environment", "begin",
		"target", "threads", "budget", NULL};
	static const char *const feeds[] = {"auto", "shm", "none", NULL};
	char longest[200];

	ck_assert_str_eq(nearest_word("dedline", keys), "deadline");
	ck_assert_str_eq(nearest_word("Deadline", keys), "deadline");
	ck_assert_str_eq(nearest_word("daedline", keys), "deadline");
	ck_assert_str_eq(nearest_word("buget", keys), "budget");
	ck_assert_str_eq(nearest_word("treads", keys), "threads");
	ck_assert_str_eq(nearest_word("env", keys), "environment");
	ck_assert_str_eq(nearest_word("smh", feeds), "shm"); /* a swap is one mistake, not two */
	ck_assert_ptr_null(nearest_word("hms", feeds));
	ck_assert_ptr_null(nearest_word("color", keys));
	ck_assert_ptr_null(nearest_word("x", keys));
	ck_assert_ptr_null(nearest_word("", keys));
	memset(longest, 'd', sizeof(longest) - 1);
	longest[sizeof(longest) - 1] = '\0';
	ck_assert_ptr_null(nearest_word(longest, keys));
	longest[64] = '\0'; /* the longest that is compared */
	ck_assert_ptr_null(nearest_word(longest, keys));
}
END_TEST

START_TEST(chooses_words)
{
	static const char *const words[] = {"stop", "yield", "auto", NULL};
	struct fault fault = FAULT_INIT;
	size_t chosen = 77;

	ck_assert_int_eq(parse_word("end", "stopp", words, &chosen, &fault), -EINVAL);
	ck_assert_str_eq(fault.text,
		"unknown end 'stopp'; did you mean 'stop'?; expected stop, yield or auto");
	ck_assert_int_eq(parse_word("end", "", words, &chosen, &fault), -EINVAL);
	ck_assert_str_eq(fault.text, "unknown end ''; expected stop, yield or auto");
	ck_assert_uint_eq(chosen, 77);
	ck_assert_int_eq(parse_word("end", "yield", words, &chosen, &fault), 0);
	ck_assert_uint_eq(chosen, 1);
}
END_TEST

START_TEST(knows_task_names)
{
	char name[TASK_NAME_MAX + 2];

	memset(name, 'a', sizeof(name));
	name[TASK_NAME_MAX] = '\0';
	ck_assert(task_name_is_valid(name));
	name[TASK_NAME_MAX] = 'a';
	name[TASK_NAME_MAX + 1] = '\0';
	ck_assert(!task_name_is_valid(name));
	ck_assert(task_name_is_valid("A-z_0.9"));
	ck_assert(!task_name_is_valid(""));
	ck_assert(!task_name_is_valid("a b"));
	ck_assert(!task_name_is_valid("a/b"));
	ck_assert(!task_name_is_valid("\xc3\xa4"));
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("quantity");
	TCase *tcase = tcase_create("all");

	tcase_add_loop_test(tcase, reads_spans, 0, ARRAY_LENGTH(spans));
	tcase_add_loop_test(tcase, refuses_spans, 0, ARRAY_LENGTH(bad_spans));
	tcase_add_test(tcase, reads_seconds);
	tcase_add_test(tcase, reads_shares);
	tcase_add_loop_test(tcase, refuses_shares, 0, ARRAY_LENGTH(bad_shares));
	tcase_add_test(tcase, reads_numbers_and_counts);
	tcase_add_test(tcase, reads_measures);
	tcase_add_test(tcase, reads_what_the_c_library_reads);
	tcase_add_test(tcase, ignores_the_locale);
	tcase_add_loop_test(tcase, reads_targets, 0, ARRAY_LENGTH(targets));
	tcase_add_loop_test(tcase, refuses_targets, 0, ARRAY_LENGTH(bad_targets));
	tcase_add_test(tcase, meets_targets);
	tcase_add_test(tcase, finds_the_nearest_word);
	tcase_add_test(tcase, chooses_words);
	tcase_add_test(tcase, knows_task_names);
	suite_add_tcase(suite, tcase);
	return suite_run(suite);
}
