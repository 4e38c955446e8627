// SPDX-License-Identifier: GPL-2.0-or-later
#include "preset.h"

#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "suite.h"

static struct preset_set *set;

static void shipped(void)
{
	const char *directories[] = {getenv("COREGOV_PRESETS"), NULL};
	struct fault fault = FAULT_INIT;

	ck_assert_ptr_nonnull(directories[0]);
	ck_assert_msg(preset_set_read(&set, directories, &fault) == 0, "%s", fault.text);
}

static void done(void)
{
	set = preset_set_free(set);
}

START_TEST(test_lines)
{
	struct fault fault = FAULT_INIT;

	ck_assert_msg(preset_set_check(set, &fault) == 0, "%s", fault.text);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("preset");
	TCase *tcase = tcase_create("shipped");

	tcase_add_checked_fixture(tcase, shipped, done);
	tcase_add_test(tcase, test_lines);
	suite_add_tcase(suite, tcase);
	return suite_run(suite);
}
