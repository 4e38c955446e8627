// SPDX-License-Identifier: GPL-2.0-or-later
#include "quantity.h"

#include <errno.h>
#include <math.h>
#include <string.h>

/* The target of a task: METRIC OPERATOR NUMBER [for COUNT], or NUMBER [for COUNT], a loss.
 *
 * Read from its end: ` for COUNT` is cut off first, then the operator splits what is left. Only
 * `<=` and `>=` exist. A loss compared by `<` would differ from `<=` on a set of measure zero, but
 * both spellings would have to be kept apart in every place that shows or stores a target; so the
 * others are refused with the right form. */

#define TARGET_TEXT_MAX 256
#define TARGET_FORM "expected such as 'loss <= 0.35', 'accuracy >= 0.9 for 3' or '0.35' (a loss)"

static bool is_blank(char c)
{
	return c == ' ' || c == '\t';
}

static char *trim(char *text)
{
	size_t length;

	while (is_blank(*text))
		text++;
	length = strlen(text);
	while (length > 0 && is_blank(text[length - 1]))
		text[--length] = '\0';
	return text;
}

/* Cuts ` for COUNT` off the end of text. */
static int take_in_a_row(char *text, uint32_t *ret_in_a_row, struct fault *fault)
{
	uint64_t count = 1;
	char *word = NULL;
	int r;

	for (char *at = text; (at = strstr(at, "for")); at++)
		if (at > text && is_blank(at[-1]) && (is_blank(at[3]) || at[3] == '\0'))
			word = at;
	if (word) {
		r = parse_count(trim(word + 3), 1, UINT32_MAX, &count, fault);
		if (r < 0)
			return fault_wrap(fault, r, "after 'for', reports in a row");
		*word = '\0';
	}
	*ret_in_a_row = (uint32_t)count;
	return 0;
}

static int take_metric(const char *name, struct target *target, struct fault *fault)
{
	if (*name == '\0')
		return fault_set(fault, -EINVAL, "no metric before the operator; " TARGET_FORM);
	if (strlen(name) >= METRIC_NAME_MAX)
		return fault_set(fault, -ERANGE, "the metric's name has more than %d bytes",
			METRIC_NAME_MAX - 1);
	for (const char *c = name; *c; c++)
		if ((unsigned char)*c <= ' ' || *c == 0x7f || *c == '"' || *c == '\'')
			return fault_set(fault, -EINVAL,
				"the metric's name '%s' has a blank, a quote or a control "
				"character; " TARGET_FORM,
				name);
	strcpy(target->metric, name);
	return 0;
}

/* Reads the operator at `at`, ends the metric there; returns where the number starts. */
static int take_operator(char *at, char **ret_number, struct target *target, struct fault *fault)
{
	size_t length = strspn(at, "<>=");
	char right = memchr(at, '>', length) ? '>' : '<';

	if (length != 2 || at[0] != right || at[1] != '=')
		return fault_set(fault, -EINVAL, "'%.*s' is no operator of a target; write '%c='",
			(int)length, at, right);
	target->is_raised = right == '>';
	*at = '\0';
	*ret_number = at + 2;
	return 0;
}

static int parse_parts(char *text, struct target *target, struct fault *fault)
{
	char *number = text, *sign;
	int r;

	r = take_in_a_row(text, &target->in_a_row, fault);
	if (r < 0)
		return r;
	sign = strpbrk(text, "<>=");
	if (sign) {
		r = take_operator(sign, &number, target, fault);
		if (r < 0)
			return r;
	}
	r = take_metric(sign ? trim(text) : "loss", target, fault);
	if (r < 0)
		return r;
	r = parse_number(trim(number), &target->value, fault);
	return r < 0 ? fault_wrap(fault, r, TARGET_FORM) : 0;
}

int parse_target(const char *text, struct target *ret_target, struct fault *fault)
{
	struct target target = {.in_a_row = 1};
	char copy[TARGET_TEXT_MAX];
	int r;

	if (strlen(text) >= sizeof(copy))
		return fault_set(fault, -ERANGE, "the target has more than %d bytes; " TARGET_FORM,
			TARGET_TEXT_MAX - 1);
	strcpy(copy, text);
	r = parse_parts(copy, &target, fault);
	if (r < 0)
		return fault_wrap(fault, r, "target '%s'", text);
	*ret_target = target;
	return 0;
}

bool target_is_met(const struct target *target, double value)
{
	if (!isfinite(value))
		return false;
	return target->is_raised ? value >= target->value : value <= target->value;
}
