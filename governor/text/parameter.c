// SPDX-License-Identifier: GPL-2.0-or-later
#include "parameter.h"

#include <assert.h>
#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cleanup.h"
#include "policy.h"
#include "quantity.h"

/* Everything here goes by the tables of the policies: a new parameter is a line there. Choices are few, so
 * they are looked for one by one. */

#define NUMBER_MAX 160
#define TEXT_SHOWN 60
#define DIGITS_MOST 17 /* of a double that reads back */
#define DIGITS_PLAIN 6 /* what has no more before the point is written without an exponent */

/* Copies the text without the unit at its end; false where that is not there. */
static bool take_unit(const char *text, const char *unit, char ret_number[static NUMBER_MAX])
{
	size_t length = strlen(text), n_unit = strlen(unit);

	if (length < n_unit || strcmp(text + length - n_unit, unit) != 0)
		return false;
	length -= n_unit;
	while (n_unit > 0 && length > 0 && (text[length - 1] == ' ' || text[length - 1] == '\t'))
		length--;
	(void)snprintf(ret_number, NUMBER_MAX, "%.*s", (int)length, text);
	return true;
}

int parse_parameter(const struct policy_parameter *parameter, const char *text, double *ret_value,
	struct fault *fault)
{
	char number[NUMBER_MAX], expected[PARAMETER_TEXT_MAX];
	double value = 0;
	int r;

	describe_parameter(parameter, expected);
	if (!take_unit(text, parameter->unit, number))
		return fault_set(fault, -EINVAL, "'%.*s' has no unit '%s'; expected %s", TEXT_SHOWN,
			text, parameter->unit, expected);
	r = parse_number(number, &value, fault);
	if (r == -ENOMEM)
		return r;
	if (r < 0)
		return fault_wrap(fault, r, "expected %s", expected);
	if (!policy_parameter_allows(parameter, value))
		return fault_set(fault, -ERANGE, "'%.*s' is outside the range; expected %s",
			TEXT_SHOWN, text, expected);
	*ret_value = value;
	return 0;
}

void format_parameter(const struct policy_parameter *parameter, double value,
	char ret_text[static PARAMETER_TEXT_MAX])
{
	double again = 0;

	for (int digits = 1; digits <= DIGITS_MOST; digits++) {
		(void)snprintf(ret_text, PARAMETER_TEXT_MAX, "%.*g", digits, value);
		/* 10 is as good as 1e+01 for a program only. */
		if (strstr(ret_text, "e+") && digits < DIGITS_PLAIN)
			continue;
		if (parse_number(ret_text, &again, /* fault= */ NULL) == 0 &&
			!(again < value || again > value))
			break;
	}
	(void)snprintf(ret_text + strlen(ret_text), PARAMETER_TEXT_MAX - strlen(ret_text), "%s",
		parameter->unit);
}

void describe_parameter(
	const struct policy_parameter *parameter, char ret_text[static PARAMETER_TEXT_MAX])
{
	char least[PARAMETER_TEXT_MAX], most[PARAMETER_TEXT_MAX];

	format_parameter(parameter, parameter->least, least);
	format_parameter(parameter, parameter->most, most);
	(void)snprintf(ret_text, PARAMETER_TEXT_MAX, "a number from %.48s to %.48s", least, most);
}

void parameter_names(const struct policy *policy, const char *ret_names[static PARAMETER_NAMES_MAX])
{
	uint32_t n = policy_n_parameters(policy);

	static_assert(POLICY_PARAMETERS_MAX < PARAMETER_NAMES_MAX, "room for the NULL");
	for (uint32_t i = 0; i < n; i++)
		ret_names[i] = policy->parameters[i].name;
	ret_names[n] = NULL;
}

void policy_names(const char *ret_names[static POLICY_NAMES_MAX])
{
	size_t n = 0;

	for (; policies[n] && n + 1 < POLICY_NAMES_MAX; n++)
		ret_names[n] = policies[n]->name;
	ret_names[n] = NULL;
}

int parameter_choose(struct parameter_choices *choices, const struct policy *policy,
	const struct policy_parameter *parameter, double value)
{
	struct parameter_choice *all;

	for (size_t i = 0; i < choices->n; i++)
		if (choices->all[i].parameter == parameter) {
			choices->all[i].value = value;
			return 0;
		}
	all = reallocarray(choices->all, choices->n + 1, sizeof(*all));
	if (!all)
		return -ENOMEM;
	choices->all = all;
	all[choices->n++] = (struct parameter_choice){
		.policy = policy,
		.parameter = parameter,
		.value = value,
	};
	return 0;
}

/* "core" and "capacity-part" of "core.capacity-part=0.9"; returns where the value is, NULL where it is
 * nothing of the kind. */
static const char *split(const char *text, char **ret_policy, char **ret_parameter)
{
	const char *dot = strchr(text, '.'), *equals = strchr(text, '=');

	if (!dot || !equals || dot > equals || dot == text || dot + 1 == equals)
		return NULL;
	*ret_policy = strndup(text, (size_t)(dot - text));
	*ret_parameter = strndup(dot + 1, (size_t)(equals - dot - 1));
	return equals + 1;
}

static int choose_by_name(struct parameter_choices *choices, const char *policy_name,
	const char *name, const char *text, struct fault *fault)
{
	const char *policies_there[POLICY_NAMES_MAX], *names[PARAMETER_NAMES_MAX];
	const struct policy *policy;
	char what[64];
	size_t chosen;
	double value = 0;
	int r;

	policy_names(policies_there);
	r = parse_word("policy", policy_name, policies_there, &chosen, fault);
	if (r < 0)
		return r;
	policy = policies[chosen];
	parameter_names(policy, names);
	if (!names[0])
		return fault_set(fault, -EINVAL, "the policy '%s' has no parameters", policy->name);
	(void)snprintf(what, sizeof(what), "parameter of %s", policy->name);
	r = parse_word(what, name, names, &chosen, fault);
	if (r < 0)
		return r;
	r = parse_parameter(&policy->parameters[chosen], text, &value, fault);
	return r < 0 ? fault_wrap(fault, r, "%s.%s", policy_name, name)
		     : parameter_choose(choices, policy, &policy->parameters[chosen], value);
}

int parse_parameter_choice(const char *text, struct parameter_choices *choices, struct fault *fault)
{
	_cleanup_free_ char *policy = NULL, *parameter = NULL;
	const char *value = split(text, &policy, &parameter);
	int r;

	if (!value)
		return fault_set(fault, -EINVAL,
			"'%.*s' is not of the form POLICY.PARAMETER=VALUE, such as "
			"core.capacity-part=0.9",
			TEXT_SHOWN, text);
	r = policy && parameter ? choose_by_name(choices, policy, parameter, value, fault)
				: -ENOMEM;
	return r == -ENOMEM ? fault_errno(fault, r, "read '%.*s'", TEXT_SHOWN, text) : r;
}

void parameter_choices_apply(
	const struct parameter_choices *choices, const struct policy *policy, double values[])
{
	for (size_t i = 0; i < choices->n; i++)
		if (choices->all[i].policy == policy)
			values[choices->all[i].parameter - policy->parameters] =
				choices->all[i].value;
}

void parameter_choices_done(struct parameter_choices *choices)
{
	free(choices->all);
	*choices = (struct parameter_choices){0};
}
