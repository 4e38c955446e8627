// SPDX-License-Identifier: GPL-2.0-or-later
#include "moment.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "nsec.h"
#include "quantity.h"

/* Deadlines from text.
 *
 * A clock shows some times twice (summer time ends) and some never (it begins). So a local time is
 * asked for under both readings, and only one that comes out as it went in counts. Of two the
 * earlier that is still to come is meant: "18:30" is when the clock shows it next. */

#define FORMS "expected a time such as 45min, now+2h, 18:30 or '2026-12-01 18:30'"
#define SEARCH_DAYS 3 /* today, tomorrow, and the day after where summer time swallowed it */

static bool is_digit(char c)
{
	return c >= '0' && c <= '9';
}

/* Exactly n digits; moves on, or returns false. */
static bool take_digits(const char **at, unsigned n, int *ret_value)
{
	int value = 0;

	for (unsigned i = 0; i < n; i++) {
		if (!is_digit((*at)[i]))
			return false;
		value = value * 10 + ((*at)[i] - '0');
	}
	*at += n;
	*ret_value = value;
	return true;
}

static bool take_char(const char **at, char c)
{
	if (**at != c)
		return false;
	(*at)++;
	return true;
}

/* HH:MM[:SS], or H:MM. */
static bool take_clock(const char **at, struct tm *time)
{
	if (!take_digits(at, 2, &time->tm_hour) && !take_digits(at, 1, &time->tm_hour))
		return false;
	if (!take_char(at, ':') || !take_digits(at, 2, &time->tm_min))
		return false;
	time->tm_sec = 0;
	return !take_char(at, ':') || take_digits(at, 2, &time->tm_sec);
}

/* YYYY-MM-DD and a blank or T. */
static bool take_date(const char **at, struct tm *time)
{
	if (!take_digits(at, 4, &time->tm_year) || !take_char(at, '-') ||
		!take_digits(at, 2, &time->tm_mon) || !take_char(at, '-') ||
		!take_digits(at, 2, &time->tm_mday))
		return false;
	time->tm_year -= 1900;
	time->tm_mon--;
	if (!take_char(at, 'T') && !take_char(at, ' '))
		return false;
	while (**at == ' ')
		(*at)++;
	return true;
}

static bool is_same(const struct tm *a, const struct tm *b)
{
	return a->tm_year == b->tm_year && a->tm_mon == b->tm_mon && a->tm_mday == b->tm_mday &&
		a->tm_hour == b->tm_hour && a->tm_min == b->tm_min && a->tm_sec == b->tm_sec;
}

/* The earliest moment after now_ns at which the clock shows `wanted`. 1; 0 where it has shown it for
 * the last time; -1 where it never does. */
static int find_moment(const struct tm *wanted, uint64_t now_ns, uint64_t *ret_ns)
{
	bool is_shown = false, is_to_come = false;

	for (int is_summer = 0; is_summer <= 1; is_summer++) {
		struct tm asked = *wanted, shown;
		time_t seconds;
		uint64_t ns;

		asked.tm_isdst = is_summer;
		seconds = mktime(&asked);
		if (seconds < 0 || !localtime_r(&seconds, &shown) || !is_same(wanted, &shown))
			continue;
		is_shown = true;
		ns = (uint64_t)seconds * NSEC_PER_SEC;
		if (ns <= now_ns || (is_to_come && ns >= *ret_ns))
			continue;
		is_to_come = true;
		*ret_ns = ns;
	}
	return is_to_come ? 1 : is_shown ? 0 : -1;
}

static int find_date(const char *text, const struct tm *wanted, uint64_t now_ns, uint64_t *ret_ns,
	struct fault *fault)
{
	int found = find_moment(wanted, now_ns, ret_ns);

	if (found == 0)
		return fault_set(fault, -ERANGE, "'%.60s' has passed already", text);
	if (found < 0)
		return fault_set(fault, -EINVAL,
			"'%.60s' is no time that the clock will show; " FORMS, text);
	return 0;
}

/* The next time that the clock shows it: the day begins with that of now. */
static int find_clock(const char *text, const struct tm *wanted, uint64_t now_ns, uint64_t *ret_ns,
	struct fault *fault)
{
	time_t seconds = (time_t)(now_ns / NSEC_PER_SEC);
	struct tm today;

	if (wanted->tm_hour > 23 || wanted->tm_min > 59 || wanted->tm_sec > 59 ||
		!localtime_r(&seconds, &today))
		return fault_set(fault, -EINVAL, "'%.60s' is no time of a day; " FORMS, text);
	for (int day = 0; day < SEARCH_DAYS; day++) {
		struct tm noon = {
			.tm_year = today.tm_year,
			.tm_mon = today.tm_mon,
			.tm_mday = today.tm_mday + day,
			.tm_hour = 12,
			.tm_isdst = -1,
		};

		(void)mktime(&noon); /* the end of a month is passed */
		noon.tm_hour = wanted->tm_hour;
		noon.tm_min = wanted->tm_min;
		noon.tm_sec = wanted->tm_sec;
		if (find_moment(&noon, now_ns, ret_ns) > 0)
			return 0;
	}
	return fault_set(fault, -EINVAL, "'%.60s' is no time that the clock will show", text);
}

static int parse_clock(const char *text, uint64_t now_ns, uint64_t *ret_ns, struct fault *fault)
{
	const char *at = text;
	struct tm wanted = {0};
	bool has_date = take_date(&at, &wanted);

	if (!has_date) {
		at = text;
		wanted = (struct tm){0};
	}
	if (!take_clock(&at, &wanted) || *at != '\0')
		return fault_set(fault, -EINVAL, "'%.60s' is no deadline; " FORMS, text);
	return has_date ? find_date(text, &wanted, now_ns, ret_ns, fault)
			: find_clock(text, &wanted, now_ns, ret_ns, fault);
}

static int parse_from_now(const char *text, uint64_t *ret_ns, struct fault *fault)
{
	uint64_t ns;
	int r = parse_span(text, &ns, fault);

	if (r < 0)
		return r;
	if (ns == 0)
		return fault_set(fault, -ERANGE, "'%.60s' from now has passed already", text);
	*ret_ns = ns;
	return 0;
}

static const char *skip_blanks(const char *text)
{
	while (*text == ' ')
		text++;
	return text;
}

int parse_moment(const char *text, uint64_t now_ns, struct moment *ret_moment, struct fault *fault)
{
	struct moment moment = {.is_span = true};
	bool is_from_now = strncmp(text, "now", 3) == 0;
	const char *span = text;
	int r;

	if (is_from_now) {
		span = skip_blanks(text + 3);
		if (!take_char(&span, '+'))
			return fault_set(
				fault, -EINVAL, "'%.60s': what follows 'now'? " FORMS, text);
		span = skip_blanks(span);
	}
	/* A colon or a date; no span has either. */
	if (!is_from_now && (strchr(text, ':') || (strlen(text) >= 8 && text[4] == '-'))) {
		moment.is_span = false;
		r = parse_clock(text, now_ns, &moment.ns, fault);
	} else {
		r = parse_from_now(span, &moment.ns, fault);
		if (r == -EINVAL && !is_from_now && !is_digit(*text) && *text != '-')
			r = fault_set(fault, r, "'%.60s' is no deadline; " FORMS, text);
	}
	if (r == 0)
		*ret_moment = moment;
	return r;
}
