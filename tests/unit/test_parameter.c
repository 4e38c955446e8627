// SPDX-License-Identifier: GPL-2.0-or-later
#include "parameter.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "policy.h"
#include "suite.h"

/* What users write of parameters, against the policies' tables and against one of our own, with a unit. */

static const struct policy_parameter plain = {
	.name = "plain", .unit = "", .least = 0.1, .most = 1e6, .usual = 1.0 / 3};
static const struct policy_parameter slots = {
	.name = "slots", .unit = "slots", .least = -2, .most = 8, .usual = 1};

static struct parameter_choices choices;
static double values[POLICY_PARAMETERS_MAX];

static const struct {
	const struct policy_parameter *parameter;
	const char *text;
	double value;
} good[] = {
	{&plain, "0.1", 0.1},
	{&plain, "1e6", 1e6},
	{&plain, "0.97", 0.97},
	{&slots, "-2slots", -2},
	{&slots, "8 \t slots", 8},
	{&slots, "1.5 slots", 1.5},
};

START_TEST(reads_values)
{
	double value = 0;

	ck_assert_int_eq(parse_parameter(good[_i].parameter, good[_i].text, &value, NULL), 0);
	ck_assert_double_eq(value, good[_i].value);
}
END_TEST

static const struct {
	const struct policy_parameter *parameter;
	const char *text;
	int error;
	const char *says;
} bad[] = {
	{&plain, "0.09", -ERANGE,
		"'0.09' is outside the range; expected a number from 0.1 to 1e+06"},
	{&plain, "1000001", -ERANGE, "'1000001' is outside"},
	{&plain, "1e999", -ERANGE, "expected a number from 0.1 to 1e+06: '1e999' is too large"},
	{&plain, "", -EINVAL, "expected a number from 0.1 to 1e+06: '' is not"},
	{&plain, "nan", -EINVAL, "expected a number from 0.1 to 1e+06: 'nan' is not"},
	{&plain, "0,5", -EINVAL, "expected a number from 0.1 to 1e+06: '0,5' is not"},
	{&plain, "50%", -EINVAL, "expected a number from 0.1 to 1e+06: '50%' is not"},
	{&plain, "1 ", -EINVAL, "expected a number"},
	{&slots, "1", -EINVAL, "'1' has no unit 'slots'; expected a number from -2slots to 8slots"},
	{&slots, "slots", -EINVAL, "expected a number from -2slots to 8slots: '' is not"},
	{&slots, "9slots", -ERANGE, "'9slots' is outside"},
};

START_TEST(refuses_values)
{
	struct fault fault = FAULT_INIT;
	double value = 7;

	ck_assert_int_eq(
		parse_parameter(bad[_i].parameter, bad[_i].text, &value, &fault), bad[_i].error);
	ck_assert_msg(strstr(fault.text, bad[_i].says) == fault.text, "%s", fault.text);
	ck_assert_double_eq(value, 7);
}
END_TEST

START_TEST(a_long_number_is_not_cut)
{
	char text[1000];
	double value = 7;

	memset(text, '0', sizeof(text) - 1);
	text[0] = '1'; /* then 997 zeros, and a letter that is not to be lost */
	text[1] = '.';
	text[sizeof(text) - 2] = 'x';
	text[sizeof(text) - 1] = '\0';
	ck_assert_int_lt(parse_parameter(&plain, text, &value, NULL), 0);
	ck_assert_double_eq(value, 7);
}
END_TEST

static void expect_text(
	const struct policy_parameter *parameter, double value, const char *expected)
{
	char text[PARAMETER_TEXT_MAX];
	double again = 0;

	format_parameter(parameter, value, text);
	if (expected)
		ck_assert_str_eq(text, expected);
	ck_assert_int_eq(parse_parameter(parameter, text, &again, NULL), 0);
	ck_assert_double_eq(again, value);
}

START_TEST(writes_what_reads_back)
{
	expect_text(&plain, 0.1, "0.1");
	expect_text(&plain, 1, "1");
	expect_text(&plain, 0.875, "0.875");
	expect_text(&plain, 10, "10");
	expect_text(&plain, 1500.5, "1500.5");
	expect_text(&plain, 500000, "500000");
	expect_text(&plain, 1e6, "1e+06");
	expect_text(&plain, 1.0 / 3, "0.3333333333333333");
	expect_text(&plain, 0.1 + 0.2, "0.30000000000000004");
	expect_text(&slots, -2, "-2slots");
	for (const struct policy *const *policy = policies; *policy; policy++)
		for (uint32_t i = 0; i < policy_n_parameters(*policy); i++) {
			const struct policy_parameter *parameter = &(*policy)->parameters[i];

			expect_text(parameter, parameter->least, NULL);
			expect_text(parameter, parameter->usual, NULL);
			expect_text(parameter, parameter->most, NULL);
		}
}
END_TEST

/* What holds for `core` by the choices, by name. */
static double value_of(const char *name)
{
	const struct policy *core = policy_find("core");

	policy_parameter_values(core, NULL, values);
	parameter_choices_apply(&choices, core, values);
	return values[policy_parameter_find(core, name) - core->parameters];
}

START_TEST(the_later_choice_counts)
{
	ck_assert_int_eq(parse_parameter_choice("core.capacity-part=0.5", &choices, NULL), 0);
	ck_assert_int_eq(parse_parameter_choice("core.unseen-part=1", &choices, NULL), 0);
	ck_assert_int_eq(parse_parameter_choice("core.capacity-part=6e-1", &choices, NULL), 0);
	ck_assert_uint_eq(choices.n, 2);
	ck_assert_double_eq(value_of("capacity-part"), 0.6);
	ck_assert_double_eq(value_of("unseen-part"), 1);
	ck_assert_double_eq(value_of("charge-unused"), 0.7);
	/* They are not another's. */
	policy_parameter_values(policy_find("edf"), NULL, values);
	parameter_choices_apply(&choices, policy_find("edf"), values);
	ck_assert_double_eq(values[0], 0);
	parameter_choices_done(&choices);
	ck_assert_double_eq(value_of("capacity-part"), 0.97);
}
END_TEST

static const struct {
	const char *text;
	int error;
	const char *says;
} bad_choices[] = {
	{"", -EINVAL,
		"'' is not of the form POLICY.PARAMETER=VALUE, such as core.capacity-part=0.9"},
	{"core", -EINVAL, "'core' is not of the form"},
	{"core=1", -EINVAL, "'core=1' is not of the form"},
	{"capacity-part=0.9", -EINVAL, "'capacity-part=0.9' is not of the form"},
	{".capacity-part=1", -EINVAL, "'.capacity-part=1' is not of the form"},
	{"core.=1", -EINVAL, "'core.=1' is not of the form"},
	{"cor.capacity-part=1", -EINVAL,
		"unknown policy 'cor'; did you mean 'core'?; expected core, edf"},
	{"edf.capacity-part=1", -EINVAL, "the policy 'edf' has no parameters"},
	{"core.capacity-prt=1", -EINVAL,
		"unknown parameter of core 'capacity-prt'; did you mean 'capacity-part'?; expected "
		"capacity-part, "},
	{"core.zzzzzzzz=1", -EINVAL,
		"unknown parameter of core 'zzzzzzzz'; expected capacity-part"},
	{"core.capacity-part=", -EINVAL, "core.capacity-part: expected a number from 0.5 to 1: ''"},
	{"core.capacity-part=2", -ERANGE,
		"core.capacity-part: '2' is outside the range; expected a number from 0.5 to 1"},
};

START_TEST(refuses_choices)
{
	struct fault fault = FAULT_INIT;

	ck_assert_int_eq(parse_parameter_choice(bad_choices[_i].text, &choices, &fault),
		bad_choices[_i].error);
	ck_assert_msg(strstr(fault.text, bad_choices[_i].says) == fault.text, "%s", fault.text);
	ck_assert_uint_eq(choices.n, 0);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("parameter");
	TCase *tcase = tcase_create("all");

	tcase_add_loop_test(tcase, reads_values, 0, (int)(sizeof(good) / sizeof(good[0])));
	tcase_add_loop_test(tcase, refuses_values, 0, (int)(sizeof(bad) / sizeof(bad[0])));
	tcase_add_test(tcase, a_long_number_is_not_cut);
	tcase_add_test(tcase, writes_what_reads_back);
	tcase_add_test(tcase, the_later_choice_counts);
	tcase_add_loop_test(
		tcase, refuses_choices, 0, (int)(sizeof(bad_choices) / sizeof(bad_choices[0])));
	suite_add_tcase(suite, tcase);
	return suite_run(suite);
}
