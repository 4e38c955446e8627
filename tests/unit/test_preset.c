// SPDX-License-Identifier: GPL-2.0-or-later
#include "preset.h"

#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "cleanup.h"
#include "metric.h"
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

START_TEST(names_are_sorted_and_known)
{
	const char *const *names = preset_set_names(set);

	ck_assert_ptr_nonnull(names[0]);
	for (size_t i = 1; names[i]; i++)
		ck_assert_int_lt(strcmp(names[i - 1], names[i]), 0);
	ck_assert(preset_set_has(set, "core"));
	ck_assert(preset_set_has(set, "xgboost"));
	ck_assert(!preset_set_has(set, "xgb"));
}
END_TEST

static bool match(const char *line, struct preset_hit *hit)
{
	return preset_match(set, NULL, "loss", line, strlen(line), hit);
}

START_TEST(json_of_our_own_and_of_others)
{
	struct preset_hit hit;

	ck_assert(match(
		"{\"core\":1,\"step\":120,\"total\":1000,\"loss\":0.532,\"epoch\":1.2}", &hit));
	ck_assert_str_eq(hit.preset, "core");
	ck_assert_double_eq_tol(hit.value, 0.532, 1e-12);
	ck_assert_uint_eq(hit.step, 120);
	ck_assert_uint_eq(hit.total, 1000);
	/* A version that we do not know, and no version at all. */
	ck_assert(match("{\"core\":2,\"loss\":0.5}", &hit));
	ck_assert_str_eq(hit.preset, "json");
	ck_assert(match("  {\"iteration\": 7, \"loss\": 0.5} ", &hit));
	ck_assert_str_eq(hit.preset, "json");
	ck_assert_uint_eq(hit.step, 7);
	/* Not the very name: left to whoever else finds it. */
	ck_assert(match("{\"train_loss\": 0.5}", &hit));
	ck_assert_str_eq(hit.preset, "generic");
	ck_assert(!match("[1]", &hit));
}
END_TEST

/* Lines made to keep a regex busy; what is asserted is that each ends, within the suite's time. */
START_TEST(hostile_lines_end)
{
	static const char *const units[] = {"1", "a", "a=", "a 1", " ", "\t", "'", "{'a': 1", "[",
		"(", "1/1 ", "0%|", "0%|| 1/1 [,", "loss", "loss ", "epoch ", "step 1/",
		"| a: ", "- a: 1 ", "a.a-", ": ", "1:\tlearn: 1\t"};
	static char line[65536];
	struct preset_hit hit;

	for (size_t i = 0; i < sizeof(units) / sizeof(units[0]); i++) {
		size_t length = strlen(units[i]);

		for (size_t k = 0; k + length <= sizeof(line); k += length)
			memcpy(line + k, units[i], length);
		(void)preset_match(set, NULL, "loss", line, sizeof(line) / length * length, &hit);
		(void)preset_match(
			set, NULL, "no-such", line, sizeof(line) / length * length, &hit);
	}
}
END_TEST

/* Users' presets. */

static char directory[SUITE_PATH_MAX];

static void put(const char *name, const char *text)
{
	char path[128];
	FILE *file;

	snprintf(path, sizeof(path), "%s/%s", directory, name);
	file = fopen(path, "we");
	ck_assert_ptr_nonnull(file);
	ck_assert_int_ge(fputs(text, file), 0);
	ck_assert_int_eq(fclose(file), 0);
}

static void own(void)
{
	ck_assert_ptr_nonnull(mkdtemp(suite_template(directory)));
}

static void own_done(void)
{
	set = preset_set_free(set);
	ck_assert_int_eq(suite_remove(directory), 0);
}

static int read_own(struct fault *fault)
{
	const char *directories[] = {
		getenv("COREGOV_PRESETS"), "/no/such/directory", directory, NULL};

	return preset_set_read(&set, directories, fault);
}

START_TEST(a_file_replaces_a_shipped_one)
{
	struct fault fault = FAULT_INIT;
	struct preset_hit hit;

	put("xgboost.preset", "[line a]\nmatch = '^round (?<loss>(?&number))'\n");
	put("not-a-preset.txt", "nonsense");
	ck_assert_int_eq(read_own(&fault), 0);
	ck_assert(match("round 0.5", &hit));
	ck_assert_str_eq(hit.preset, "xgboost");
	ck_assert(!match("[0]\ttrain-logloss:0.5", &hit));
}
END_TEST

static const struct {
	const char *text, *says;
} malformed[] = {
	{"[line a]\nmatch = '('\n", "own.preset:2: match: missing closing parenthesis at byte 1"},
	{"[line a]\n", "own.preset:1: a line needs `match`, `pair` or both"},
	{"[line a]\npair = 'x'\n", "own.preset:2: `pair` needs the groups"},
	{"[line a]\nmacth = 'x'\n", "own.preset:2: unknown key 'macth'"},
	{"[line a]\nmatch = 'x'\nneeds = value\n", "own.preset:3: expected `needs = metric`"},
	{"[preset]\ntrust = 100\n[line a]\nmatch = 'x'\n", "own.preset:2: trust"},
	{"[preset]\nlos = x\n[line a]\nmatch = 'x'\n", "own.preset:2: unknown key 'los'"},
	{"[preset]\nloss = x\n", "no [line NAME]"},
	{"[line]\nmatch = 'x'\n", "own.preset:1: expected [preset], [line NAME] or [test NAME]"},
	{"[line a]\nmatch = 'x'\n[test 1]\nloss = 1\n", "own.preset:3: a test needs `line`"},
	{"[line a]\nmatch = 'x'\n[test 1]\nline = x\nloss = y\n",
		"own.preset:5: expected a number"},
	{"[line a]\nmatch = 'x'\n[test 1]\nline = x\nmatches = yes\n",
		"own.preset:5: expected `matches = no`"},
};

START_TEST(what_is_malformed_is_told)
{
	struct fault fault = FAULT_INIT;

	put("own.preset", malformed[_i].text);
	ck_assert_int_eq(read_own(&fault), -EBADMSG);
	ck_assert_msg(strstr(fault.text, malformed[_i].says) != NULL, "%s", fault.text);
	ck_assert_ptr_null(set);
}
END_TEST

START_TEST(a_built_in_name_is_refused)
{
	struct fault fault = FAULT_INIT;

	put("json.preset", "[line a]\nmatch = 'x'\n");
	ck_assert_int_eq(read_own(&fault), -EBADMSG);
	ck_assert_msg(strstr(fault.text, "built in") != NULL, "%s", fault.text);
}
END_TEST

static const struct {
	const char *text, *says;
} failing[] = {
	{"line = x\n", "own.preset:3: this line does not match"},
	{"line = z0.5\nmatches = no\n", "own.preset:3: this line must not match, but does"},
	{"line = z0.5\nloss = 0.6\n", "own.preset:5: 'loss' is 0.5 here"},
	{"line = z0.5\nstep = 1\n", "own.preset:5: 'step' is 0 here, 1 expected"},
	{"line = z0.5\nacc = 1\n", "own.preset:5: no 'acc' found in the line"},
};

START_TEST(test_lines_can_fail)
{
	struct fault fault = FAULT_INIT;
	char text[256];

	snprintf(text, sizeof(text), "[line a]\nmatch = 'z(?<loss>(?&number))'\n[test 1]\n%s",
		failing[_i].text);
	put("own.preset", text);
	ck_assert_msg(read_own(&fault) == 0, "%s", fault.text);
	ck_assert_int_eq(preset_set_check(set, &fault), -EBADMSG);
	ck_assert_msg(strstr(fault.text, failing[_i].says) != NULL, "%s", fault.text);
}
END_TEST

START_TEST(a_line_that_another_preset_takes)
{
	struct fault fault = FAULT_INIT;

	put("own.preset",
		"[preset]\ntrust = 20\n[line a]\nmatch = '^Iteration .*loss = "
		"(?<loss>(?&number))'\n"
		"[test 1]\nline = \"Iteration 1, loss = 0.5\"\nloss = 0.5\n");
	ck_assert_msg(read_own(&fault) == 0, "%s", fault.text);
	ck_assert_int_eq(preset_set_check(set, &fault), -EBADMSG);
	ck_assert_msg(strstr(fault.text, "the preset 'sklearn' is tried earlier") != NULL, "%s",
		fault.text);
}
END_TEST

START_TEST(directories_in_their_order)
{
	char **list;

	ck_assert_int_eq(setenv("XDG_CONFIG_HOME", "/x", 1), 0);
	ck_assert_int_eq(preset_directories("/own", NULL, &list), 0);
	ck_assert_str_eq(list[0], "/own");
	ck_assert_str_eq(list[1], "/etc/coregov/presets");
	ck_assert_str_eq(list[2], "/x/coregov/presets");
	ck_assert_ptr_null(list[3]);
	preset_directories_free(list);
	ck_assert_int_eq(unsetenv("XDG_CONFIG_HOME"), 0);
	ck_assert_int_eq(setenv("HOME", "/h", 1), 0);
	ck_assert_int_eq(preset_directories("/own", NULL, &list), 0);
	ck_assert_str_eq(list[2], "/h/.config/coregov/presets");
	preset_directories_free(list);
	ck_assert_int_eq(unsetenv("HOME"), 0);
	ck_assert_int_eq(preset_directories("/own", NULL, &list), 0);
	ck_assert_ptr_null(list[2]);
	preset_directories_free(list);
}
END_TEST

START_TEST(directories_of_the_configuration_come_last)
{
	char one[] = "/one", two[] = "/two", *more[] = {one, two, NULL}, **list;

	ck_assert_int_eq(setenv("XDG_CONFIG_HOME", "/x", 1), 0);
	ck_assert_int_eq(preset_directories("/own", more, &list), 0);
	ck_assert_str_eq(list[2], "/x/coregov/presets");
	ck_assert_str_eq(list[3], "/one");
	ck_assert_str_eq(list[4], "/two");
	ck_assert_ptr_null(list[5]);
	preset_directories_free(list);
	ck_assert_int_eq(unsetenv("XDG_CONFIG_HOME"), 0);
	ck_assert_int_eq(unsetenv("HOME"), 0);
	ck_assert_int_eq(preset_directories("/own", more, &list), 0);
	ck_assert_str_eq(list[2], "/one");
	preset_directories_free(list);
}
END_TEST

/* Names and values. */

START_TEST(names_of_metrics)
{
	ck_assert(metric_is_same("eval-auc", "eval_auc", 8));
	ck_assert(metric_is_same("val_loss", "Val  Loss", 9));
	ck_assert(!metric_is_same("loss", "loss_", 5));
	ck_assert(!metric_is_same("loss", "los", 3));
	ck_assert(!metric_is_same("loss", "lossy", 5));
	ck_assert_int_eq(metric_rank("loss", "Loss", 4), METRIC_RANK_SAME);
	ck_assert_int_eq(metric_rank("loss", "Loss/train", 10), METRIC_RANK_USUAL);
	ck_assert_int_eq(metric_rank("loss", "train/box_loss", 14), METRIC_RANK_PART);
	ck_assert_int_eq(metric_rank("loss", "logloss", 7), METRIC_RANK_NONE);
	ck_assert_int_eq(metric_rank("acc", "loss", 4), METRIC_RANK_NONE);
}
END_TEST

static const struct {
	const char *text;
	bool is_value;
	double value;
} values[] = {
	{"0.5", true, 0.5},
	{"-1e-3", true, -0.001},
	{"1.38629D+00", true, 1.38629},
	{"+7.", true, 7},
	{"1e999", true, INFINITY},
	{"-1e999", true, -INFINITY},
	{"Infinity", true, INFINITY},
	{"", false, 0},
	{"0x10", false, 0},
	{"1.5x", false, 0},
	{"1,5", false, 0},
	{"--1", false, 0},
	{"nano", false, 0},
	{"11111111111111111111111111111111111111111111111111111111111111111", false, 0},
};

START_TEST(values_of_metrics)
{
	double value = 77;

	ck_assert_int_eq(metric_value(values[_i].text, strlen(values[_i].text), &value),
		values[_i].is_value);
	if (!values[_i].is_value)
		ck_assert_double_eq(value, 77);
	else if (isinf(values[_i].value))
		ck_assert(isinf(value) && (value > 0) == (values[_i].value > 0));
	else
		ck_assert_double_eq_tol(value, values[_i].value, 1e-15);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("preset");
	TCase *tcase = tcase_create("shipped");

	tcase_set_timeout(tcase, 30);
	tcase_add_checked_fixture(tcase, shipped, done);
	tcase_add_test(tcase, test_lines);
	tcase_add_test(tcase, names_are_sorted_and_known);
	tcase_add_test(tcase, json_of_our_own_and_of_others);
	tcase_add_test(tcase, hostile_lines_end);
	suite_add_tcase(suite, tcase);

	tcase = tcase_create("own");
	tcase_add_checked_fixture(tcase, own, own_done);
	tcase_add_test(tcase, a_file_replaces_a_shipped_one);
	tcase_add_loop_test(tcase, what_is_malformed_is_told, 0, ARRAY_LENGTH(malformed));
	tcase_add_test(tcase, a_built_in_name_is_refused);
	tcase_add_loop_test(tcase, test_lines_can_fail, 0, ARRAY_LENGTH(failing));
	tcase_add_test(tcase, a_line_that_another_preset_takes);
	suite_add_tcase(suite, tcase);

	tcase = tcase_create("names");
	tcase_add_test(tcase, directories_in_their_order);
	tcase_add_test(tcase, directories_of_the_configuration_come_last);
	tcase_add_test(tcase, names_of_metrics);
	tcase_add_loop_test(tcase, values_of_metrics, 0, ARRAY_LENGTH(values));
	suite_add_tcase(suite, tcase);
	return suite_run(suite);
}
