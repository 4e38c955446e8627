// SPDX-License-Identifier: GPL-2.0-or-later
#include "bootstrap.h"

#include <math.h>

#include "suite.h"

/* The figures with many digits are those of a program in another language, which has the generator's
 * reference numbers and the percentiles of its library of statistics (the method that numpy calls linear). */

START_TEST(draws_the_numbers_of_splitmix64)
{
	uint64_t state = 0;

	ck_assert_uint_eq(bootstrap_next(&state), UINT64_C(0xe220a8397b1dcdaf));
	ck_assert_uint_eq(bootstrap_next(&state), UINT64_C(0x6e789e6aa1b965f4));
	ck_assert_uint_eq(bootstrap_next(&state), UINT64_C(0x06c45d188009454f));
}
END_TEST

START_TEST(of_five_values)
{
	const double values[] = {0.1, 0.5, 0.5, 0.9, 0.3};
	struct bootstrap_interval interval;

	ck_assert_int_eq(bootstrap_mean(values, 5, &interval), 0);
	ck_assert_double_eq_tol(interval.mean, 0.46, 1e-12);
	ck_assert_double_eq_tol(interval.low, 0.26, 1e-12);
	ck_assert_double_eq_tol(interval.high, 0.66, 1e-12);
}
END_TEST

/* There it is as wide as the theory of large numbers has it: 0.4772 .. 0.5131. */
START_TEST(of_a_thousand_values)
{
	double values[1000];
	struct bootstrap_interval interval;

	for (unsigned i = 0; i < 1000; i++)
		values[i] = i * 37 % 101 / 101.0;
	ck_assert_int_eq(bootstrap_mean(values, 1000, &interval), 0);
	ck_assert_double_eq_tol(interval.mean, 0.4951485148514852, 1e-12);
	ck_assert_double_eq_tol(interval.low, 0.4772257425742576, 1e-12);
	ck_assert_double_eq_tol(interval.high, 0.5139225247524752, 1e-12);
}
END_TEST

START_TEST(of_values_that_are_all_the_same)
{
	const double values[] = {0.25, 0.25, 0.25};
	struct bootstrap_interval interval;

	ck_assert_int_eq(bootstrap_mean(values, 3, &interval), 0);
	ck_assert_double_eq(interval.low, 0.25);
	ck_assert_double_eq(interval.mean, 0.25);
	ck_assert_double_eq(interval.high, 0.25);
}
END_TEST

START_TEST(of_one_value_there_is_no_interval)
{
	const double value = 0.25;
	struct bootstrap_interval interval;

	ck_assert_int_eq(bootstrap_mean(&value, 1, &interval), 0);
	ck_assert_double_eq(interval.mean, 0.25);
	ck_assert_double_nan(interval.low);
	ck_assert_double_nan(interval.high);
	ck_assert_int_eq(bootstrap_mean(&value, 0, &interval), 0);
	ck_assert_double_nan(interval.mean);
	ck_assert_double_nan(interval.low);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("bootstrap");
	TCase *tcase = tcase_create("all");

	tcase_add_test(tcase, draws_the_numbers_of_splitmix64);
	tcase_add_test(tcase, of_five_values);
	tcase_add_test(tcase, of_a_thousand_values);
	tcase_add_test(tcase, of_values_that_are_all_the_same);
	tcase_add_test(tcase, of_one_value_there_is_no_interval);
	suite_add_tcase(suite, tcase);
	return suite_run(suite);
}
