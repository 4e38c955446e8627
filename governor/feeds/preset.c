// SPDX-License-Identifier: GPL-2.0-or-later
#include "preset.h"

#include <assert.h>
#include <fnmatch.h>
#include <stdlib.h>
#include <string.h>

#include "cleanup.h"
#include "metric.h"
#include "preset_internal.h"
#include "quantity.h"

/* Finding a metric in a line.
 *
 * The lines come from programs that know nothing of us, maybe hostile ones, so the work per line is
 * bounded: a regex sees at most 8 KiB of the line, starts at one of the first 2048 places only (a
 * tqdm bar may stand before what we look for) and gives up after a fixed number of steps, and at
 * most 64 pairs are looked at. No JIT: a locked task costs one regex a line, and the interpreter
 * works where writable and executable memory is forbidden.
 *
 * The metrics of a matched line are collected first, by name; then the wanted one is chosen. Of
 * several of one name the last counts: the last evaluation set is the one that XGBoost and LightGBM
 * themselves stop by. */

#define REGEX_LINE_MAX 8192
#define PAIRS_MAX 64

/* One metric as found: where its value stands. */
struct found {
	char name[METRIC_NAME_MAX]; /* "set-name" */
	size_t name_length;
	size_t plain; /* where the name without its set begins */
	const char *value;
	size_t value_length;
};

struct found_list {
	struct found found[PAIRS_MAX];
	size_t n;
};

/* The text of group `number`; false where it took no part. */
static bool group_text(pcre2_match_data *data, uint32_t number, const char *line, const char **ret,
	size_t *ret_length)
{
	const PCRE2_SIZE *ends = pcre2_get_ovector_pointer(data);

	if (number == 0 || number >= pcre2_get_ovector_count(data) ||
		ends[2 * number] == PCRE2_UNSET || ends[2 * number + 1] < ends[2 * number])
		return false;
	*ret = line + ends[2 * number];
	*ret_length = ends[2 * number + 1] - ends[2 * number];
	return true;
}

static bool group_value(
	pcre2_match_data *data, uint32_t number, const char *line, double *ret_value)
{
	const char *text;
	size_t length;

	return group_text(data, number, line, &text, &length) &&
		metric_value(text, length, ret_value);
}

static uint64_t group_count(pcre2_match_data *data, uint32_t number, const char *line)
{
	double value;

	if (!group_value(data, number, line, &value) || !(value >= 0) || value > 9e15)
		return 0;
	return (uint64_t)value;
}

/* As group_count(), for a group that counts from 0. */
static uint64_t group_count0(pcre2_match_data *data, uint32_t number, const char *line)
{
	const char *text;
	size_t length;

	if (!group_text(data, number, line, &text, &length))
		return 0;
	return group_count(data, number, line) + 1;
}

static bool regex_run(const struct preset_set *set, const pcre2_code *code, const char *line,
	size_t length, size_t from, pcre2_match_data *data)
{
	return pcre2_match(code, (PCRE2_SPTR)line, length, from, /* options= */ 0, data,
		       set->limits) > 0;
}

static void found_add(struct found_list *list, const char *group, size_t group_length,
	const char *name, size_t name_length, const char *value, size_t value_length)
{
	struct found *found = &list->found[list->n];
	size_t plain = group_length > 0 ? group_length + 1 : 0;

	if (list->n >= PAIRS_MAX || plain + name_length >= sizeof(found->name))
		return;
	if (plain > 0) {
		memcpy(found->name, group, group_length);
		found->name[group_length] = '-';
	}
	memcpy(found->name + plain, name, name_length);
	found->name_length = plain + name_length;
	found->name[found->name_length] = '\0';
	found->plain = plain;
	found->value = value;
	found->value_length = value_length;
	list->n++;
}

static void find_groups(const struct preset_line *kind, pcre2_match_data *data, const char *line,
	struct found_list *list)
{
	const char *text;
	size_t length;

	for (size_t i = 0; i < kind->n_metrics; i++)
		if (group_text(data, kind->metrics[i].number, line, &text, &length))
			found_add(list, "", 0, kind->metrics[i].name, strlen(kind->metrics[i].name),
				text, length);
}

static void find_pairs(const struct preset_set *set, const struct preset_line *kind,
	const char *line, size_t length, struct found_list *list)
{
	pcre2_match_data *data = set->groups[1];
	const char *group, *name, *value;
	size_t group_length, name_length, value_length, from = 0;

	for (size_t i = 0; i < PAIRS_MAX && from < length; i++) {
		if (!regex_run(set, kind->pair, line, length, from, data))
			return;
		if (!group_text(data, kind->pair_set, line, &group, &group_length)) {
			group = "";
			group_length = 0;
		}
		if (group_text(data, kind->pair_name, line, &name, &name_length) &&
			group_text(data, kind->pair_value, line, &value, &value_length))
			found_add(
				list, group, group_length, name, name_length, value, value_length);
		/* A pair that is empty, or that \K has set back, must not stand still. */
		if (pcre2_get_ovector_pointer(data)[1] > from)
			from = pcre2_get_ovector_pointer(data)[1];
		else
			from++;
	}
}

static bool is_raised(const struct preset *preset, const struct found *found)
{
	for (char **glob = preset->raised; *glob; glob++)
		if (fnmatch(*glob, found->name, 0) == 0 ||
			fnmatch(*glob, found->name + found->plain, 0) == 0)
			return true;
	return false;
}

static bool has_name(const struct found *found, const char *name, size_t length)
{
	char wanted[METRIC_NAME_MAX];

	if (length >= sizeof(wanted))
		return false;
	memcpy(wanted, name, length);
	wanted[length] = '\0';
	return metric_is_same(wanted, found->name, found->name_length) ||
		metric_is_same(
			wanted, found->name + found->plain, found->name_length - found->plain);
}

/* The last of that name; false: none, or no number. */
static bool choose_name(
	const struct found_list *list, const char *name, size_t length, double *ret_value)
{
	for (size_t i = list->n; i-- > 0;)
		if (has_name(&list->found[i], name, length))
			return metric_value(
				list->found[i].value, list->found[i].value_length, ret_value);
	return false;
}

/* "box_loss+cls_loss": the first must be there, of the others those that are. */
static bool choose_sum(const struct found_list *list, const char *names, double *ret_value)
{
	double sum = 0, part;

	for (const char *name = names; name; name = strchr(name, '+')) {
		name += *name == '+';
		if (choose_name(list, name, strcspn(name, "+"), &part))
			sum += part;
		else if (name == names)
			return false;
	}
	*ret_value = sum;
	return true;
}

static bool choose_wildcard(const struct preset *preset, const struct found_list *list,
	const char *glob, double *ret_value)
{
	for (size_t i = list->n; i-- > 0;) {
		const struct found *found = &list->found[i];

		if (fnmatch(glob, found->name, 0) == 0 && !is_raised(preset, found))
			return metric_value(found->value, found->value_length, ret_value);
	}
	return false;
}

static bool choose(const struct preset *preset, const struct found_list *list, const char *metric,
	double *ret_value)
{
	if (!metric_is_same(metric, "loss", 4))
		return choose_name(list, metric, strlen(metric), ret_value);
	for (char **loss = preset->loss; *loss; loss++)
		if (strchr(*loss, '*') ? choose_wildcard(preset, list, *loss, ret_value)
				       : choose_sum(list, *loss, ret_value))
			return true;
	return false;
}

static void take_places(
	const uint32_t place[], pcre2_match_data *data, const char *line, struct preset_hit *hit)
{
	hit->step = place[PLACE_STEP] ? group_count(data, place[PLACE_STEP], line)
				      : group_count0(data, place[PLACE_STEP0], line);
	hit->total = group_count(data, place[PLACE_TOTAL], line);
	hit->batch = place[PLACE_BATCH] ? group_count(data, place[PLACE_BATCH], line)
					: group_count0(data, place[PLACE_BATCH0], line);
	hit->batches = group_count(data, place[PLACE_BATCHES], line);
	hit->epochs = group_count(data, place[PLACE_EPOCHS], line);
	hit->samples = group_count(data, place[PLACE_SAMPLES], line);
	if (!group_value(data, place[PLACE_PERCENT], line, &hit->percent))
		hit->percent = 0;
	hit->epoch_from = place[PLACE_EPOCH0] == 0;
	hit->has_epoch = group_value(
		data, place[place[PLACE_EPOCH0] ? PLACE_EPOCH0 : PLACE_EPOCH], line, &hit->epoch);
}

static bool match_line(const struct preset_set *set, const struct preset *preset,
	const struct preset_line *kind, const char *metric, const char *line, size_t length,
	struct preset_hit *ret_hit)
{
	struct preset_hit hit = {.preset = preset->name, .trust = preset->trust};
	struct found_list list = {.n = 0};

	if (kind->match) {
		if (!regex_run(set, kind->match, line, length, 0, set->groups[0]))
			return false;
		take_places(kind->place, set->groups[0], line, &hit);
		find_groups(kind, set->groups[0], line, &list);
	}
	if (kind->pair)
		find_pairs(set, kind, line, length, &list);
	hit.has_value = choose(preset, &list, metric, &hit.value);
	if (kind->needs_metric && !hit.has_value)
		return false;
	*ret_hit = hit;
	return true;
}

static bool match_json(const struct preset_set *set, const struct preset *preset,
	const char *metric, const char *line, size_t length, struct preset_hit *ret_hit)
{
	struct preset_hit hit = {.preset = preset->name, .trust = preset->trust};
	struct metric_choice choice = {.rank = METRIC_RANK_USUAL};
	bool is_core;

	if (!json_line_read(set->json, line, length, metric, &choice, &hit, &is_core))
		return false;
	if (is_core != (preset->kind == PRESET_CORE) || (!is_core && !hit.has_value))
		return false;
	*ret_hit = hit;
	return true;
}

bool preset_match_one(const struct preset_set *set, const struct preset *preset, const char *metric,
	const char *line, size_t length, struct preset_hit *ret_hit)
{
	struct preset_hit hit;
	bool is_known = false;

	if (preset->kind != PRESET_REGEX)
		return match_json(set, preset, metric, line, length, ret_hit);
	if (length > REGEX_LINE_MAX)
		length = REGEX_LINE_MAX;
	for (size_t i = 0; i < preset->n_lines; i++) {
		if (!match_line(set, preset, &preset->lines[i], metric, line, length, &hit))
			continue;
		if (!is_known || hit.has_value)
			*ret_hit = hit;
		is_known = true;
		if (hit.has_value)
			break;
	}
	return is_known;
}

static const struct preset *preset_find(const struct preset_set *set, const char *name)
{
	for (size_t i = 0; i < set->n_presets; i++)
		if (strcmp(set->presets[i]->name, name) == 0)
			return set->presets[i];
	return NULL;
}

bool preset_set_has(const struct preset_set *set, const char *name)
{
	return preset_find(set, name) != NULL;
}

const char *const *preset_set_names(const struct preset_set *set)
{
	return set->names;
}

bool preset_match(const struct preset_set *set, const char *name, const char *metric,
	const char *line, size_t length, struct preset_hit *ret_hit)
{
	const struct preset *preset;
	struct preset_hit hit;
	bool is_known = false;

	if (name) {
		preset = preset_find(set, name);
		return preset && preset_match_one(set, preset, metric, line, length, ret_hit);
	}
	for (size_t i = 0; i < set->n_presets; i++) {
		if (!preset_match_one(set, set->presets[i], metric, line, length, &hit))
			continue;
		if (!is_known || hit.has_value)
			*ret_hit = hit;
		is_known = true;
		if (hit.has_value)
			break;
	}
	return is_known;
}
