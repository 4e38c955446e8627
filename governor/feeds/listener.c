// SPDX-License-Identifier: GPL-2.0-or-later
#include "listener.h"

#include <ctype.h>
#include <math.h>
#include <string.h>

#include "nsec.h"

/* Listening to a task's lines.
 *
 * Trust. The first preset that finds the metric is locked to; a line of a more trusted one replaces
 * it during the first 1000 lines (a configuration that is printed at the start looks like `loss
 * 0.5` to the generic preset). The project's own JSON line does so at any time: nobody prints it by
 * accident. A line that is known but has not the metric says only how far the training is.
 *
 * Steps. Most frameworks let one rank print, not all. So a step that is not newer than the newest is
 * another rank's, and refused; but a step at or before the first one heard is a new start (an epoch
 * that counts from 1 again, the next fold of a cross-validation). After 64 refused in a row it is
 * taken for a start too: a training that went back to a checkpoint.
 *
 * Cost. A bucket of 5000 tokens, refilled at 5000 a second: a line costs one, a long one more, and
 * one of a task that nothing has been understood of for 1000 lines eight. What is not looked at is
 * counted. Lines without a digit, nan or inf cost next to nothing and no token.
 *
 * Room. A long slot or a chatty task has more reports than are held between two reads; the newest
 * stay. But a noisy metric may have met its target in one that went: the first row that did is looked
 * for in all that is heard, and where a part of it was dropped, its last report is handed out as often
 * as the row was long. */

#define PROBE_LINES 1000
#define TOKENS_PER_SECOND 5000
#define TOKENS_MAX 5000
#define TOKEN_BYTES 512
#define UNKNOWN_COST 8
#define OLD_STEPS_MAX 64
#define CORE_START "{\"core\""
#define CORE_TRUST 100

void listener_init(struct listener *listener, const struct preset_set *presets,
	const struct target *target, const char *only)
{
	*listener = (struct listener){
		.presets = presets,
		.target = target,
		.only = only,
		.tokens = TOKENS_MAX,
	};
}

static bool may_have_number(const char *line, size_t length)
{
	for (size_t i = 0; i < length; i++) {
		if (isdigit((unsigned char)line[i]))
			return true;
		/* nan, inf */
		if ((line[i] == 'n' || line[i] == 'N') && i + 1 < length &&
			strchr("aAfF", line[i + 1]))
			return true;
	}
	return false;
}

static bool take_tokens(struct listener *listener, size_t length, uint64_t now_ns)
{
	uint64_t cost = 1 + length / TOKEN_BYTES, gain;

	if (!listener->locked && listener->n_lines >= PROBE_LINES)
		cost *= UNKNOWN_COST;
	gain = nsec_sub(now_ns, listener->filled_ns) / (NSEC_PER_SEC / TOKENS_PER_SECOND);
	if (gain > 0) {
		listener->tokens = gain > TOKENS_MAX - listener->tokens ? TOKENS_MAX
									: listener->tokens + gain;
		listener->filled_ns = now_ns;
	}
	if (listener->tokens < cost)
		return false;
	listener->tokens -= cost;
	return true;
}

static bool match(const struct listener *listener, const char *preset, const char *line,
	size_t length, struct preset_hit *ret_hit)
{
	return preset_match(
		listener->presets, preset, listener->target->metric, line, length, ret_hit);
}

/* The hit of the preset that is to be believed. */
static bool find_hit(const struct listener *listener, const char *line, size_t length,
	struct preset_hit *ret_hit)
{
	struct preset_hit hit;

	if (listener->only)
		return match(listener, listener->only, line, length, ret_hit);
	if (!listener->locked)
		return match(listener, NULL, line, length, ret_hit);
	if (listener->trust < CORE_TRUST && length >= strlen(CORE_START) &&
		memcmp(line, CORE_START, strlen(CORE_START)) == 0 &&
		match(listener, "core", line, length, ret_hit))
		return true;
	if (listener->trust < CORE_TRUST && listener->n_lines < PROBE_LINES &&
		match(listener, NULL, line, length, &hit) && hit.has_value &&
		hit.trust > listener->trust) {
		*ret_hit = hit;
		return true;
	}
	return match(listener, listener->locked, line, length, ret_hit);
}

static void lock(struct listener *listener, const struct preset_hit *hit)
{
	if (listener->locked && strcmp(listener->locked, hit->preset) == 0)
		return;
	listener->locked = hit->preset;
	listener->trust = hit->trust;
	listener->newest_step = 0;
	listener->facts.steps_done = 0;
	listener->facts.steps_total = 0;
}

/* Products of what a task printed: absurd ones are "not known". */
static uint64_t product(uint64_t a, uint64_t b)
{
	uint64_t value;

	return __builtin_mul_overflow(a, b, &value) ? 0 : value;
}

/* The step over all epochs, 0 where not said. */
static uint64_t overall_step(
	const struct listener *listener, const struct preset_hit *hit, uint64_t *ret_total)
{
	uint64_t epochs_done = 0, step;

	*ret_total = hit->total;
	if (hit->step > 0 || hit->batches == 0)
		return hit->step;
	*ret_total = product(listener->epochs, hit->batches);
	if (listener->has_epoch && listener->epoch >= listener->epoch_from && listener->epoch < 1e9)
		epochs_done = (uint64_t)listener->epoch - listener->epoch_from;
	if (hit->batch == 0)
		return 0;
	return __builtin_add_overflow(product(epochs_done, hit->batches), hit->batch, &step) ? 0
											     : step;
}

static void take_epoch(struct listener *listener, const struct preset_hit *hit)
{
	if (hit->has_epoch && isfinite(hit->epoch)) {
		listener->has_epoch = true;
		listener->epoch = hit->epoch;
		listener->epoch_from = hit->epoch_from;
		listener->facts.epoch = hit->epoch;
	}
	if (hit->epochs > 0)
		listener->epochs = hit->epochs;
}

static void take_progress(
	struct listener *listener, const struct preset_hit *hit, uint64_t step, uint64_t total)
{
	struct progress_facts *facts = &listener->facts;

	if (step > 0) {
		facts->steps_done = step;
		facts->steps_total = total >= step ? total : 0;
	} else if (hit->percent > 0 && hit->percent <= 100) {
		/* Nothing but a percentage: in tenths of it. */
		facts->steps_done = (uint64_t)(hit->percent * 10);
		facts->steps_total = 1000;
	}
	if (hit->samples > 0)
		facts->samples_seen = hit->samples;
}

/* False for a step that was heard already. */
static bool take_step(struct listener *listener, uint64_t step)
{
	bool is_old;

	if (step == 0)
		return true;
	is_old = step <= listener->newest_step &&
		(step > listener->first_step || step == listener->newest_step);
	if (is_old && listener->n_old_steps < OLD_STEPS_MAX) {
		listener->n_old_steps++;
		return false;
	}
	if (listener->newest_step == 0 || step <= listener->newest_step)
		listener->first_step = step;
	listener->newest_step = step;
	listener->n_old_steps = 0;
	return true;
}

static struct heard_report *held_at(struct listener *listener, size_t i)
{
	return &listener->held[(listener->oldest + i) % LISTENER_REPORTS];
}

static void let_go_oldest(struct listener *listener)
{
	listener->oldest = (listener->oldest + 1) % LISTENER_REPORTS;
	listener->n_held--;
}

/* Is a report of the first row that met the target missing from what was and will be handed out? */
static bool is_row_broken(const struct listener *listener, uint64_t dropped)
{
	return listener->met.number != 0 && dropped != 0 && dropped <= listener->met.number &&
		listener->met.number - dropped < listener->target->in_a_row;
}

static void put_row_back(struct listener *listener)
{
	while (listener->n_held > 0 && held_at(listener, 0)->number <= listener->met.number)
		let_go_oldest(listener);
	listener->n_copies = listener->target->in_a_row;
}

/* The oldest goes, or the one after it where that met the target and the oldest did not: what was
 * met on both sides of the gap is not one row. */
static void make_room(struct listener *listener)
{
	struct heard_report *oldest = held_at(listener, 0), *second = held_at(listener, 1);
	struct heard_report dropped = *oldest;

	if (!target_is_met(listener->target, oldest->report.value) &&
		target_is_met(listener->target, second->report.value)) {
		dropped = *second;
		*second = *oldest;
	}
	let_go_oldest(listener);
	listener->facts.n_dropped++;
	if (dropped.number > listener->last_dropped)
		listener->last_dropped = dropped.number;
	if (is_row_broken(listener, dropped.number))
		put_row_back(listener);
}

static void look_for_row(struct listener *listener, const struct heard_report *newest)
{
	if (listener->met.number != 0)
		return;
	if (!target_is_met(listener->target, newest->report.value)) {
		listener->n_in_a_row = 0;
		return;
	}
	if (++listener->n_in_a_row < listener->target->in_a_row)
		return;
	listener->met = *newest;
	if (is_row_broken(listener, listener->last_dropped))
		put_row_back(listener);
}

static void add_report(struct listener *listener, const struct report *report)
{
	const struct heard_report newest = {*report, ++listener->facts.n_reports};

	if (listener->n_held == LISTENER_REPORTS)
		make_room(listener);
	*held_at(listener, listener->n_held++) = newest;
	look_for_row(listener, &newest);
}

void listener_line(struct listener *listener, const char *line, size_t length, uint64_t now_ns)
{
	struct preset_hit hit;
	uint64_t step, total;

	if (!may_have_number(line, length))
		return;
	if (!take_tokens(listener, length, now_ns)) {
		listener->facts.n_dropped++;
		return;
	}
	listener->n_lines++;
	if (!find_hit(listener, line, length, &hit))
		return;
	if (hit.has_value)
		lock(listener, &hit);
	take_epoch(listener, &hit);
	step = overall_step(listener, &hit, &total);
	take_progress(listener, &hit, step, total);
	if (!hit.has_value)
		return;
	if (!take_step(listener, step)) {
		listener->facts.n_refused++;
		return;
	}
	add_report(
		listener, &(struct report){.stamp_ns = now_ns, .step = step, .value = hit.value});
}

size_t listener_read(struct listener *listener, struct report ret_reports[], size_t n_max)
{
	size_t n = 0;

	for (; n < n_max && listener->n_copies > 0; listener->n_copies--)
		ret_reports[n++] = listener->met.report;
	for (; n < n_max && listener->n_held > 0; let_go_oldest(listener))
		ret_reports[n++] = held_at(listener, 0)->report;
	return n;
}
