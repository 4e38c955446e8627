// SPDX-License-Identifier: GPL-2.0-or-later
#include "preset_internal.h"

#include <errno.h>
#include <math.h>
#include <string.h>

/* The test lines that every preset carries. A preset is data that nobody compiles, so its examples
 * are the only thing that says it still works; they run in the unit tests for what we ship, and for
 * users' own by the same call.
 *
 * A line that must match is also tried against the whole set, with the metric it is about: a preset
 * of the same or higher trust that takes it away makes this one useless. */

/* Relative: both sides come from the same decimal text, except for sums. */
#define TOLERANCE 1e-9

static bool is_near(double a, double b)
{
	if (isnan(a) || isnan(b))
		return isnan(a) && isnan(b);
	if (isinf(a) || isinf(b))
		return isinf(a) && isinf(b) && (a > 0) == (b > 0);
	return fabs(a - b) <= TOLERANCE * fmax(1, fabs(b));
}

/* The value of a place as the tests call it; false: the key is a metric. */
static bool place_value(const struct preset_hit *hit, const char *key, double *ret_value)
{
	const struct {
		const char *key;
		double value;
	} places[] = {
		{"step", (double)hit->step},
		{"total", (double)hit->total},
		{"epoch", hit->has_epoch ? hit->epoch : NAN},
		{"epochs", (double)hit->epochs},
		{"batch", (double)hit->batch},
		{"batches", (double)hit->batches},
		{"samples", (double)hit->samples},
		{"percent", hit->percent},
	};

	for (size_t i = 0; i < sizeof(places) / sizeof(places[0]); i++)
		if (strcmp(places[i].key, key) == 0) {
			*ret_value = places[i].value;
			return true;
		}
	return false;
}

static int check_expected(const struct preset_set *set, const struct preset *preset,
	const struct preset_test *test, const struct preset_expected *expected, struct fault *fault)
{
	size_t length = strlen(test->text);
	struct preset_hit hit;
	double value;

	if (!preset_match_one(set, preset, "loss", test->text, length, &hit))
		return fault_set(fault, -EBADMSG, "%s:%u: this line does not match", preset->path,
			test->line);
	if (!place_value(&hit, expected->key, &value)) {
		if (!preset_match_one(set, preset, expected->key, test->text, length, &hit) ||
			!hit.has_value)
			return fault_set(fault, -EBADMSG, "%s:%u: no '%s' found in the line",
				preset->path, expected->line, expected->key);
		value = hit.value;
		if (!preset_match(set, NULL, expected->key, test->text, length, &hit) ||
			strcmp(hit.preset, preset->name) != 0)
			return fault_set(fault, -EBADMSG,
				"%s:%u: the preset '%s' is tried earlier and takes this line",
				preset->path, expected->line, hit.preset);
	}
	if (!is_near(value, expected->value))
		return fault_set(fault, -EBADMSG, "%s:%u: '%s' is %.17g here, %.17g expected",
			preset->path, expected->line, expected->key, value, expected->value);
	return 0;
}

static int check_test(const struct preset_set *set, const struct preset *preset,
	const struct preset_test *test, struct fault *fault)
{
	struct preset_hit hit;
	int r = 0;

	if (preset_match_one(set, preset, "loss", test->text, strlen(test->text), &hit) !=
		test->matches)
		return fault_set(fault, -EBADMSG, "%s:%u: this line %s", preset->path, test->line,
			test->matches ? "does not match" : "must not match, but does");
	for (size_t i = 0; i < test->n_expected && r == 0; i++)
		r = check_expected(set, preset, test, &test->expected[i], fault);
	return r;
}

int preset_set_check(const struct preset_set *set, struct fault *fault)
{
	int r = 0;

	for (size_t i = 0; i < set->n_presets; i++)
		for (size_t k = 0; k < set->presets[i]->n_tests && r == 0; k++)
			r = check_test(set, set->presets[i], &set->presets[i]->tests[k], fault);
	return r;
}
