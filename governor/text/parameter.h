/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "fault.h"

/* The parameters of policies as users write them: in [policy NAME] of a bundle or of coregov.conf, and as
 * POLICY.PARAMETER=VALUE. Which there are, and in which range, is in the policies' own tables. */

struct policy;
struct policy_parameter;

#define PARAMETER_TEXT_MAX 128

/* A number in the parameter's range, and its unit where it has one. -EINVAL or -ERANGE with a sentence that
 * says what is expected. */
int parse_parameter(const struct policy_parameter *parameter, const char *text, double *ret_value,
	struct fault *fault);
/* What that reads as this value, as short as can be. */
void format_parameter(const struct policy_parameter *parameter, double value,
	char ret_text[static PARAMETER_TEXT_MAX]);
/* What a value is: "a number from 0.5 to 1". */
void describe_parameter(
	const struct policy_parameter *parameter, char ret_text[static PARAMETER_TEXT_MAX]);

/* The names of a policy's parameters, NULL-ended, for "did you mean". */
#define PARAMETER_NAMES_MAX 32
void parameter_names(
	const struct policy *policy, const char *ret_names[static PARAMETER_NAMES_MAX]);
/* The names of the policies, likewise. */
#define POLICY_NAMES_MAX 64
void policy_names(const char *ret_names[static POLICY_NAMES_MAX]);

/* What is said of parameters; of others what is usual holds. All zeros: nothing. */
struct parameter_choice {
	const struct policy *policy;
	const struct policy_parameter *parameter; /* in the policy's table */
	double value;
};
struct parameter_choices {
	struct parameter_choice *all; /* each parameter once */
	size_t n;
};

/* The later one counts. 0 or -ENOMEM. */
int parameter_choose(struct parameter_choices *choices, const struct policy *policy,
	const struct policy_parameter *parameter, double value);
/* The same from POLICY.PARAMETER=VALUE. 0; -EINVAL or -ERANGE with the nearest names, or the range; -ENOMEM. */
int parse_parameter_choice(
	const char *text, struct parameter_choices *choices, struct fault *fault);
/* Puts what is said of this policy's parameters into values[], which is beside its table. */
void parameter_choices_apply(
	const struct parameter_choices *choices, const struct policy *policy, double values[]);
void parameter_choices_done(struct parameter_choices *choices);
