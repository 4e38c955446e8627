// SPDX-License-Identifier: GPL-2.0-or-later
#include "metric.h"

#include <errno.h>
#include <math.h>
#include <string.h>
#include <strings.h>

/* How programs spell a metric and its value.
 *
 * A target's metric has no blanks (quantity.h), but programs print "lm loss", "eval-auc" and
 * "Loss/train"; so a separator is a separator, whichever it is. The value is cut out of a line by
 * a regex or comes from a file; it is first told apart from nan and inf, which are values here (a
 * training that diverges says so), and then read by the one parser of numbers. */

#define VALUE_TEXT_MAX 64

static bool is_separator(char c)
{
	return c == ' ' || c == '_' || c == '-' || c == '.' || c == '/';
}

/* The character at *at and the position after it; a run of separators is one '_'. 0 at the end. */
static char next_letter(const char *name, size_t length, size_t *at)
{
	char c;

	if (*at >= length)
		return '\0';
	c = name[(*at)++];
	if (is_separator(c)) {
		while (*at < length && is_separator(name[*at]))
			(*at)++;
		return '_';
	}
	return c >= 'A' && c <= 'Z' ? (char)(c - 'A' + 'a') : c;
}

bool metric_is_same(const char *wanted, const char *name, size_t length)
{
	size_t wanted_length = strlen(wanted), i = 0, k = 0;
	char a, b;

	do {
		a = next_letter(wanted, wanted_length, &i);
		b = next_letter(name, length, &k);
	} while (a == b && a != '\0');
	return a == b && i == wanted_length && k == length;
}

/* "loss" as a word of its own in the name. */
static bool has_loss(const char *name, size_t length)
{
	for (size_t i = 0; i + 4 <= length; i++)
		if (strncasecmp(name + i, "loss", 4) == 0 &&
			(i == 0 || is_separator(name[i - 1])) &&
			(i + 4 == length || is_separator(name[i + 4])))
			return true;
	return false;
}

enum metric_rank metric_rank(const char *wanted, const char *name, size_t length)
{
	static const char *const usual[] = {"train_loss", "loss_train", "training_loss",
		"total_loss", "epoch_loss", "avg_loss", "train_loss_step", "train_loss_epoch"};

	if (metric_is_same(wanted, name, length))
		return METRIC_RANK_SAME;
	if (!metric_is_same(wanted, "loss", 4))
		return METRIC_RANK_NONE;
	for (size_t i = 0; i < sizeof(usual) / sizeof(usual[0]); i++)
		if (metric_is_same(usual[i], name, length))
			return METRIC_RANK_USUAL;
	return has_loss(name, length) ? METRIC_RANK_PART : METRIC_RANK_NONE;
}

bool metric_choose(
	struct metric_choice *choice, const char *wanted, const char *name, size_t length)
{
	enum metric_rank rank = metric_rank(wanted, name, length);

	if (length >= sizeof(choice->name) || memchr(name, '\0', length))
		return false;
	if (rank <= choice->rank)
		return rank == choice->rank && strncmp(choice->name, name, length) == 0 &&
			choice->name[length] == '\0' && length > 0;
	choice->rank = rank;
	memcpy(choice->name, name, length);
	choice->name[length] = '\0';
	return true;
}

static bool special_value(const char *text, double *ret_value)
{
	double sign = *text == '-' ? -1 : 1;

	if (*text == '-' || *text == '+')
		text++;
	if (strcasecmp(text, "nan") == 0)
		*ret_value = NAN;
	else if (strcasecmp(text, "inf") == 0 || strcasecmp(text, "infinity") == 0)
		*ret_value = sign * INFINITY;
	else
		return false;
	return true;
}

bool metric_value(const char *text, size_t length, double *ret_value)
{
	char copy[VALUE_TEXT_MAX];
	double value;
	int r;

	if (length == 0 || length >= sizeof(copy) || memchr(text, '\0', length))
		return false;
	memcpy(copy, text, length);
	copy[length] = '\0';
	if (special_value(copy, ret_value))
		return true;
	for (char *c = copy; *c; c++)
		if (*c == 'D' || *c == 'd')
			*c = 'e';
	r = parse_number(copy, &value, /* fault= */ NULL);
	if (r == -ERANGE)
		value = copy[0] == '-' ? -INFINITY : INFINITY;
	else if (r < 0)
		return false;
	*ret_value = value;
	return true;
}
