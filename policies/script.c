// SPDX-License-Identifier: GPL-2.0-or-later
#include "policy_internal.h"

#include <assert.h>
#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

/* The shares that a schedule prescribes, slot by slot: for examples worked by hand and for replaying
 * what another scheduler did.
 *
 * A row holds from its slot until the next row for the same task. The schedule is sorted by slot, so
 * a cursor walks it once and `cpus` holds what is in force; a view of an earlier slot than the last
 * one starts again at the front. A task without a row has had nothing prescribed and gets nothing.
 * Where the schedule asks for more than a task's threads or than the budget, it is cut, in order of
 * arrival: condition (1) comes before the script. What a task has been seen to need changes nothing:
 * a schedule is to be followed, and replayed, as it is written. */

struct policy_state {
	uint32_t n_bundle;
	struct schedule_row *schedule; /* own copy */
	size_t n_schedule;
	size_t cursor;      /* rows before it are in force */
	uint64_t last_slot; /* of the last view */
	double cpus[];      /* n_bundle; prescribed now */
};

static void script_free(struct policy_state *state)
{
	if (!state)
		return;
	free(state->schedule);
	free(state);
}

static void rewind_schedule(struct policy_state *state)
{
	state->cursor = 0;
	for (uint32_t i = 0; i < state->n_bundle; i++)
		state->cpus[i] = 0;
}

static void schedule_check(const struct policy_setup *setup)
{
	for (size_t i = 0; i < setup->n_schedule; i++) {
		const struct schedule_row *row = &setup->schedule[i];

		assert(row->task < setup->n_bundle);
		assert(isfinite(row->cpus) && row->cpus >= 0);
		assert(i == 0 || setup->schedule[i - 1].slot <= row->slot);
	}
}

static int script_new(struct policy_state **ret_state, const struct policy_setup *setup)
{
	struct policy_state *state;

	schedule_check(setup);
	state = calloc(1, sizeof(*state) + setup->n_bundle * sizeof(state->cpus[0]));
	if (!state)
		return -ENOMEM;
	state->n_bundle = setup->n_bundle;
	state->n_schedule = setup->n_schedule;
	if (setup->n_schedule > 0) {
		state->schedule = calloc(setup->n_schedule, sizeof(state->schedule[0]));
		if (!state->schedule) {
			script_free(state);
			return -ENOMEM;
		}
		memcpy(state->schedule, setup->schedule,
			setup->n_schedule * sizeof(state->schedule[0]));
	}
	*ret_state = state;
	return 0;
}

static void script_plan(struct policy_state *state, const struct policy_view *view,
	double ret_shares[], enum why ret_why[])
{
	double left = view->budget_cpus;

	view_check(view);
	assert(view->n_bundle == state->n_bundle);
	if (view->slot < state->last_slot)
		rewind_schedule(state);
	state->last_slot = view->slot;
	for (; state->cursor < state->n_schedule; state->cursor++) {
		const struct schedule_row *row = &state->schedule[state->cursor];

		if (row->slot > view->slot)
			break;
		state->cpus[row->task] = row->cpus;
	}
	for (uint32_t i = 0; i < view->n_tasks; i++) {
		const struct policy_task *task = &view->tasks[i];

		ret_shares[i] = fmin(fmin(state->cpus[task->id], task->threads), left);
		ret_why[i] = WHY_SCRIPT;
		left -= ret_shares[i];
	}
}

const struct policy policy_script = {
	.name = "script",
	.summary = "the shares that the bundle's schedule prescribes",
	.needs_schedule = true,
	.has_reserve = true,
	.new = script_new,
	.plan = script_plan,
	.free = script_free,
};
