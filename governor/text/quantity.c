// SPDX-License-Identifier: GPL-2.0-or-later
#include "quantity.h"

#include <errno.h>
#include <float.h>
#include <inttypes.h>
#include <locale.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <threads.h>

#include "cleanup.h"
#include "nsec.h"

/* Numbers with units, from text.
 *
 * strtod(3) follows the locale and takes hexadecimal, `nan` and `inf`; users of a German locale
 * would write bundles that nobody else can read. So the grammar is checked here first (sign,
 * digits, point, exponent) and only then converted, in the C locale. Times are converted in long
 * double: its 64 bits of mantissa hold every whole nanosecond that uint64_t holds, so "rounds to
 * the nearest nanosecond" is true for years, too. The largest span is half of what uint64_t holds:
 * a sum of two spans cannot overflow.
 *
 * Recorded curves are millions of numbers of few digits. Where these digits are a whole number that the
 * type holds exactly, and so is the power of ten below them, one division rounds once, and correctly: what
 * strtod(3) gives, at a tenth of its price (W. Clinger, How to read floating point numbers accurately, PLDI
 * 1990). */

#define DIGITS_MAX 128
#define FEW_DIGITS 18 /* any number of so many is below 2^64, as is 10^18 */
#define SPAN_NS_MAX ((long double)INT64_MAX)
#define TEXT_SHOWN 60 /* how much of a wrong text a sentence repeats */

static once_flag c_locale_once = ONCE_FLAG_INIT;
static locale_t c_locale;

static void c_locale_make(void)
{
	c_locale = newlocale(LC_ALL_MASK, "C", (locale_t)0);
}

static bool is_digit(char c)
{
	return c >= '0' && c <= '9';
}

static const char *digits_end(const char *text)
{
	while (is_digit(*text))
		text++;
	return text;
}

/* Where the decimal number at the start of `text` ends; `text` itself where there is none. */
static const char *decimal_end(const char *text)
{
	const char *start = text, *end, *exponent;
	size_t n_digits;

	if (*text == '+' || *text == '-')
		text++;
	end = digits_end(text);
	n_digits = (size_t)(end - text);
	if (*end == '.') {
		text = end + 1;
		end = digits_end(text);
		n_digits += (size_t)(end - text);
	}
	if (n_digits == 0)
		return start;
	if (*end != 'e' && *end != 'E')
		return end;
	exponent = end + 1;
	if (*exponent == '+' || *exponent == '-')
		exponent++;
	return is_digit(*exponent) ? digits_end(exponent) : end;
}

/* Whole digits and how many of them are behind the point; false where there are more than 18 digits or an
 * exponent. */
static bool few_digits(const char *text, const char *end, uint64_t *ret_whole, size_t *ret_behind)
{
	uint64_t whole = 0;
	size_t n_digits = 0, n_before = 0;
	bool has_point = false;

	if (text < end && (*text == '+' || *text == '-'))
		text++;
	for (; text < end; text++) {
		if (*text == '.') {
			has_point = true;
			n_before = n_digits;
			continue;
		}
		if (!is_digit(*text) || n_digits == FEW_DIGITS)
			return false;
		whole = whole * 10 + (uint64_t)(*text - '0');
		n_digits++;
	}
	*ret_whole = whole;
	*ret_behind = has_point ? n_digits - n_before : 0;
	return true;
}

/* A double of that, where one division gives it. */
static bool divide_double(uint64_t whole, size_t n_behind, bool is_negative, double *ret_double)
{
	static const double tens[] = {1, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9, 1e10, 1e11,
		1e12, 1e13, 1e14, 1e15, 1e16, 1e17, 1e18};
	double value;

	if (FLT_EVAL_METHOD != 0 || whole > UINT64_C(1) << DBL_MANT_DIG)
		return false;
	value = (double)whole / tens[n_behind];
	*ret_double = is_negative ? -value : value;
	return true;
}

static bool divide_long(uint64_t whole, size_t n_behind, bool is_negative, long double *ret_long)
{
	static const long double tens[] = {1, 1e1L, 1e2L, 1e3L, 1e4L, 1e5L, 1e6L, 1e7L, 1e8L, 1e9L,
		1e10L, 1e11L, 1e12L, 1e13L, 1e14L, 1e15L, 1e16L, 1e17L, 1e18L};
	long double value;

	if (LDBL_MANT_DIG < 64)
		return false;
	value = (long double)whole / tens[n_behind];
	*ret_long = is_negative ? -value : value;
	return true;
}

/* Converts the number text .. end, which decimal_end() found. The result may be infinite. */
static int convert(const char *text, const char *end, long double *ret_long, double *ret_double)
{
	char digits[DIGITS_MAX];
	size_t length = (size_t)(end - text), n_behind;
	uint64_t whole;

	if (length >= sizeof(digits))
		return -ERANGE;
	if (few_digits(text, end, &whole, &n_behind) &&
		(!ret_long || divide_long(whole, n_behind, *text == '-', ret_long)) &&
		(!ret_double || divide_double(whole, n_behind, *text == '-', ret_double)))
		return 0;
	memcpy(digits, text, length);
	digits[length] = '\0';
	call_once(&c_locale_once, c_locale_make);
	if (!c_locale)
		return -ENOMEM;
	if (ret_long)
		*ret_long = strtold_l(digits, NULL, c_locale);
	if (ret_double)
		*ret_double = strtod_l(digits, NULL, c_locale);
	return 0;
}

static const char *skip_blanks(const char *text)
{
	while (*text == ' ' || *text == '\t')
		text++;
	return text;
}

int parse_number(const char *text, double *ret_number, struct fault *fault)
{
	const char *end = decimal_end(text);
	double number;
	int r;

	if (end == text || *end != '\0')
		return fault_set(fault, -EINVAL,
			"'%.*s' is not a finite decimal number such as 0.35 or 1e-3", TEXT_SHOWN,
			text);
	r = convert(text, end, /* ret_long= */ NULL, &number);
	if (r == -ENOMEM)
		return fault_errno(fault, r, "read the number '%.*s'", TEXT_SHOWN, text);
	if (r < 0 || !isfinite(number))
		return fault_set(fault, -ERANGE, "'%.*s' is too large or too long for a number",
			TEXT_SHOWN, text);
	*ret_number = number;
	return 0;
}

int parse_measure(const char *text, double *ret_value, struct fault *fault)
{
	const char *end = decimal_end(text), *word = text + (*text == '-' || *text == '+');
	double sign = *text == '-' ? -1.0 : 1.0;

	if (strcasecmp(word, "inf") == 0 || strcasecmp(word, "infinity") == 0) {
		*ret_value = sign * (double)INFINITY;
		return 0;
	}
	if (strcasecmp(word, "nan") == 0) {
		*ret_value = (double)NAN;
		return 0;
	}
	if (end == text || *end != '\0')
		return fault_set(
			fault, -EINVAL, "'%.*s' is not a number, nan or inf", TEXT_SHOWN, text);
	if (convert(text, end, /* ret_long= */ NULL, ret_value) < 0)
		return fault_set(
			fault, -ERANGE, "'%.*s' is too long for a number", TEXT_SHOWN, text);
	return 0;
}

int parse_count(
	const char *text, uint64_t least, uint64_t most, uint64_t *ret_count, struct fault *fault)
{
	uint64_t count = 0;
	bool is_over = false;

	if (!is_digit(*text) || *digits_end(text) != '\0')
		return fault_set(fault, -EINVAL,
			"'%.*s' is not a whole number; expected one from %" PRIu64 " to %" PRIu64,
			TEXT_SHOWN, text, least, most);
	for (const char *digit = text; *digit; digit++)
		is_over = is_over || __builtin_mul_overflow(count, 10u, &count) ||
			__builtin_add_overflow(count, (uint64_t)(*digit - '0'), &count);
	if (is_over || count < least || count > most)
		return fault_set(fault, -ERANGE,
			"'%.*s' is outside the range; expected a whole number from %" PRIu64
			" to %" PRIu64,
			TEXT_SHOWN, text, least, most);
	*ret_count = count;
	return 0;
}

/* `factor` nanoseconds for each 1 in text .. end. */
static int convert_span(
	const char *text, const char *end, uint64_t factor, uint64_t *ret_ns, struct fault *fault)
{
	long double value;
	int r;

	r = convert(text, end, &value, /* ret_double= */ NULL);
	if (r == -ENOMEM)
		return fault_errno(fault, r, "read the time '%.*s'", TEXT_SHOWN, text);
	if (r == 0)
		value = roundl(value * (long double)factor);
	if (r < 0 || value > SPAN_NS_MAX)
		return fault_set(fault, -ERANGE,
			"'%.*s' is too long a time; the longest is about 292 years", TEXT_SHOWN,
			text);
	*ret_ns = (uint64_t)value;
	return 0;
}

int parse_seconds(const char *text, uint64_t *ret_ns, struct fault *fault)
{
	const char *end = decimal_end(text);

	if (end == text || *end != '\0' || *text == '-')
		return fault_set(fault, -EINVAL, "'%.*s' is not a number of seconds, 0 or more",
			TEXT_SHOWN, text);
	return convert_span(text, end, NSEC_PER_SEC, ret_ns, fault);
}

static const struct {
	const char *name;
	uint64_t ns;
} span_units[] = {
	{"ms", NSEC_PER_MSEC},
	{"s", NSEC_PER_SEC},
	{"min", 60 * NSEC_PER_SEC},
	{"h", 3600 * NSEC_PER_SEC},
};

/* True for 0, 0.0, 0e3: nothing to be a unit of. */
static bool is_zero(const char *text, const char *end)
{
	for (; text < end && *text != 'e' && *text != 'E'; text++)
		if (*text >= '1' && *text <= '9')
			return false;
	return true;
}

int parse_span(const char *text, uint64_t *ret_ns, struct fault *fault)
{
	const char *end = decimal_end(text), *unit = skip_blanks(end);

	if (end == text)
		return fault_set(fault, -EINVAL,
			"'%.*s' is not a time; expected a number and one of ms, s, min, h, "
			"such as 90s",
			TEXT_SHOWN, text);
	if (*text == '-')
		return fault_set(fault, -EINVAL,
			"'%.*s' is negative; expected a time of 0s or more", TEXT_SHOWN, text);
	if (*unit == '\0' && is_zero(text, end)) {
		*ret_ns = 0;
		return 0;
	}
	if (*unit == '\0')
		return fault_set(fault, -EINVAL,
			"'%.*s' has no unit; write one of ms, s, min, h after it, such as 90s",
			TEXT_SHOWN, text);
	for (size_t i = 0; i < ARRAY_LENGTH(span_units); i++)
		if (strcmp(unit, span_units[i].name) == 0)
			return convert_span(text, end, span_units[i].ns, ret_ns, fault);
	return fault_set(fault, -EINVAL,
		"'%.*s' has the unknown unit '%.*s'; expected ms, s, min or h", TEXT_SHOWN, text,
		TEXT_SHOWN, unit);
}

int parse_share(const char *text, struct share *ret_share, struct fault *fault)
{
	const char *end = decimal_end(text), *unit = skip_blanks(end);
	struct share share = {0};
	int r;

	if (end == text)
		return fault_set(fault, -EINVAL,
			"'%.*s' is not a share; expected CPUs such as 1.5cpu, or 75%% of the "
			"capacity",
			TEXT_SHOWN, text);
	if (*unit == '\0')
		return fault_set(fault, -EINVAL,
			"'%.*s' has no unit; write 'cpu' after a number of CPUs, or '%%' after "
			"a share of the capacity",
			TEXT_SHOWN, text);
	share.is_percent = strcmp(unit, "%") == 0;
	if (!share.is_percent && strcmp(unit, "cpu") != 0)
		return fault_set(fault, -EINVAL,
			"'%.*s' has the unknown unit '%.*s'; expected cpu or %%", TEXT_SHOWN, text,
			TEXT_SHOWN, unit);
	if (*text == '-')
		return fault_set(fault, -EINVAL,
			"'%.*s' is negative; expected a share of 0 or more", TEXT_SHOWN, text);
	r = convert(text, end, /* ret_long= */ NULL, &share.number);
	if (r == -ENOMEM)
		return fault_errno(fault, r, "read the share '%.*s'", TEXT_SHOWN, text);
	if (r < 0 || share.number > SHARE_NUMBER_MAX)
		return fault_set(fault, -ERANGE, "'%.*s' is too much; the most is %g%s", TEXT_SHOWN,
			text, SHARE_NUMBER_MAX, unit);
	*ret_share = share;
	return 0;
}
