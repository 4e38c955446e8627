// SPDX-License-Identifier: GPL-2.0-or-later
#include "fault.h"

#include <errno.h>
#include <string.h>

#include "suite.h"

START_TEST(wraps_outer_context_first)
{
	struct fault fault = FAULT_INIT;

	ck_assert_int_eq(fault_errno(&fault, -ENOENT, "read '%s'", "x"), -ENOENT);
	ck_assert_int_eq(fault_wrap(&fault, -ENOENT, "task %s", "a"), -ENOENT);
	ck_assert_str_eq(fault.text, "task a: read 'x': No such file or directory");
}
END_TEST

START_TEST(no_carrier_is_fine)
{
	ck_assert_int_eq(fault_set(NULL, -EINVAL, "x"), -EINVAL);
	ck_assert_int_eq(fault_wrap(NULL, -EINVAL, "x"), -EINVAL);
	ck_assert_int_eq(fault_errno(NULL, -EINVAL, "x"), -EINVAL);
}
END_TEST

START_TEST(cuts_what_does_not_fit)
{
	struct fault fault = FAULT_INIT;
	char longer[FAULT_TEXT_MAX + 10];

	memset(longer, 'x', sizeof(longer) - 1);
	longer[sizeof(longer) - 1] = '\0';
	fault_set(&fault, -EINVAL, "%s", longer);
	ck_assert_uint_eq(strlen(fault.text), FAULT_TEXT_MAX - 1);
	fault_wrap(&fault, -EINVAL, "%s", longer);
	ck_assert_uint_eq(strlen(fault.text), FAULT_TEXT_MAX - 1);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("fault");
	TCase *tcase = tcase_create("all");

	tcase_add_test(tcase, wraps_outer_context_first);
	tcase_add_test(tcase, no_carrier_is_fine);
	tcase_add_test(tcase, cuts_what_does_not_fit);
	suite_add_tcase(suite, tcase);
	return suite_run(suite);
}
