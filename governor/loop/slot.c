// SPDX-License-Identifier: GPL-2.0-or-later
#include "slot.h"

#include <assert.h>

/* The words for what a task is and has come to, as they stand in results and traces; and when a slot is late. */

static const char *const outcome_names[] = {
	[OUTCOME_NONE] = "none",
	[OUTCOME_LEARNED] = "learned",
	[OUTCOME_MISSED_DEADLINE] = "missed-deadline",
	[OUTCOME_MISSED_TARGET] = "missed-target",
	[OUTCOME_FAILED] = "failed",
	[OUTCOME_CANCELLED] = "cancelled",
};
static_assert(sizeof(outcome_names) / sizeof(outcome_names[0]) == _OUTCOME_MAX, "one name each");

const char *outcome_to_string(enum outcome outcome)
{
	assert((unsigned)outcome < _OUTCOME_MAX);
	return outcome_names[outcome];
}

static const char *const phase_names[] = {
	[PHASE_WAITING] = "waiting",
	[PHASE_ALIVE] = "alive",
	[PHASE_YIELDED] = "yielded",
	[PHASE_STOPPING] = "stopping",
	[PHASE_ENDED] = "ended",
	[PHASE_VACANT] = "vacant",
};
static_assert(sizeof(phase_names) / sizeof(phase_names[0]) == _PHASE_MAX, "one name each");

const char *phase_to_string(enum phase phase)
{
	assert((unsigned)phase < _PHASE_MAX);
	return phase_names[phase];
}

#define LATE_PART 10

bool slot_is_late(uint64_t late_ns, uint64_t slot_ns)
{
	return late_ns > slot_ns / LATE_PART;
}
