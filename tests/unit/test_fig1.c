// SPDX-License-Identifier: GPL-2.0-or-later
#include "bundle.h"

#include <math.h>
#include <string.h>

#include "cleanup.h"
#include "governor.h"
#include "nsec.h"
#include "policy.h"
#include "record.h"
#include "sim.h"
#include "suite.h"

/* The two worked examples of the paper, Figure 1(c) and 1(d), slot by slot in simulation: the shares
 * in data units (1/64 CPU-second a second), their sum, who is alive, and what becomes of each task.
 * The tables are those in the comments of examples/fig1c.bundle and fig1d.bundle. */

#define SLOTS 8
#define TASKS 5
#define AWAY (-1) /* not in the alive set */

DEFINE_CLEANUP_FUNC(struct bundle, bundle_free)
DEFINE_CLEANUP_FUNC(struct governor, governor_free)
DEFINE_CLEANUP_FUNC(struct sim, sim_free)

/* What was recorded: units[slot][task]. */
struct picture {
	struct recorder recorder;
	size_t n_slots;
	double units[SLOTS + 1][TASKS];
	uint64_t granted_ns[SLOTS + 1];
};

static void picture_slot(struct recorder *recorder, const struct slot_record *record)
{
	struct picture *picture = (struct picture *)recorder;
	double *units = picture->units[record->slot];

	ck_assert_uint_le(record->slot, SLOTS);
	ck_assert_uint_le(record->granted_ns, record->budget_ns);
	picture->n_slots = record->slot + 1;
	picture->granted_ns[record->slot] = record->granted_ns;
	for (size_t i = 0; i < TASKS; i++)
		units[i] = AWAY;
	for (size_t i = 0; i < record->n_tasks; i++)
		if (record->tasks[i].seen.phase == PHASE_ALIVE)
			units[record->tasks[i].seen.task] = record->tasks[i].share_cpus * 64;
}

static void picture_report(struct recorder *recorder, uint32_t task, const struct report *report)
{
	(void)recorder;
	(void)task;
	(void)report;
}

static void picture_event(struct recorder *recorder, uint64_t now_ns, uint32_t task,
	const char *kind, const char *text)
{
	(void)recorder;
	(void)now_ns;
	(void)task;
	(void)kind;
	(void)text;
}

static const struct recorder_ops picture_ops = {
	.slot = picture_slot,
	.report = picture_report,
	.event = picture_event,
};

struct expected {
	const char *bundle, *policy;
	size_t n_tasks;
	bool has_units;
	int units[SLOTS][TASKS];
	enum outcome outcomes[TASKS];
	double finish[TASKS]; /* seconds */
};

#define L OUTCOME_LEARNED
#define A OUTCOME_MISSED_DEADLINE
#define B OUTCOME_MISSED_TARGET
static const struct expected figures[] = {
	{
		.bundle = "fig1c.bundle",
		.policy = "script",
		.n_tasks = 5,
		.has_units = true,
		.units =
			{
				{16, AWAY, 16, AWAY, AWAY},
				{16, 8, 8, AWAY, AWAY},
				{16, 8, 8, AWAY, AWAY},
				{AWAY, 16, 16, AWAY, AWAY},
				{AWAY, 0, 16, 16, AWAY},
				{AWAY, 0, 8, 8, 16},
				{AWAY, 0, 16, 0, 16},
				{AWAY, 16, AWAY, 16, AWAY},
			},
		.outcomes = {L, B, L, L, A},
		.finish = {2.625, 7.5625, 6.4375, 7.5625, 7},
	},
	{
		.bundle = "fig1d.bundle",
		.policy = "equal",
		.n_tasks = 2,
		.has_units = true,
		.units = {{16, 16}, {16, 16}, {16, 16}, {16, 16}, {16, 16}, {16, 16}, {16, 16},
			{16, 16}},
		.outcomes = {A, A},
		.finish = {8, 8},
	},
	{
		.bundle = "fig1d.bundle",
		.policy = "script",
		.n_tasks = 2,
		.has_units = true,
		.units = {{16, 16}, {16, 16}, {16, 16}, {16, 16}, {0, 32}, {0, 32}, {0, 32},
			{0, AWAY}},
		.outcomes = {A, L},
		.finish = {8, 6.6875},
	},
	/* Whatever the paper's psi does, ours is to learn as many. */
	{.bundle = "fig1c.bundle", .policy = "core", .n_tasks = 5, .outcomes = {L, B, L, L, A}},
	{.bundle = "fig1d.bundle", .policy = "core", .n_tasks = 2, .outcomes = {A, L}},
};

static struct bundle *read_figure(const char *name)
{
	struct fault fault = FAULT_INIT;
	struct bundle *bundle = NULL;
	char path[4096];

	(void)snprintf(path, sizeof(path), "%s/%s", getenv("COREGOV_EXAMPLES"), name);
	ck_assert_msg(bundle_read(path, &bundle, &fault) == 0, "%s", fault.text);
	ck_assert_msg(bundle_resolve(bundle, BUNDLE_SIMULATED, 0, &fault) == 0, "%s", fault.text);
	return bundle;
}

static void compare_units(const struct picture *picture, const struct expected *expected)
{
	/* The loop may look once more at t8, to find that nobody is alive. */
	ck_assert_uint_ge(picture->n_slots, SLOTS);
	for (size_t task = 0; picture->n_slots > SLOTS && task < TASKS; task++)
		ck_assert_double_eq(picture->units[SLOTS][task], AWAY);
	for (size_t slot = 0; slot < SLOTS; slot++) {
		double sum = 0;

		for (size_t task = 0; task < expected->n_tasks; task++) {
			double units = picture->units[slot][task];

			ck_assert_msg(fabs(units - expected->units[slot][task]) < 1e-6,
				"slot %zu, task %zu: %g units", slot, task + 1, units);
			sum += units > 0 ? units : 0;
		}
		ck_assert_double_le(sum, 32);
		ck_assert_uint_eq(
			picture->granted_ns[slot], (uint64_t)(sum / 64 * (double)NSEC_PER_SEC));
	}
}

static void compare_outcomes(const struct governor *governor, const struct expected *expected)
{
	size_t n_learned = 0, n_expected = 0;

	for (uint32_t task = 0; task < expected->n_tasks; task++) {
		struct task_status status;

		governor_task_status(governor, task, &status);
		n_learned += status.outcome == L;
		n_expected += expected->outcomes[task] == L;
		if (!expected->has_units)
			continue;
		ck_assert_msg(status.outcome == expected->outcomes[task], "task %u: %s", task + 1,
			outcome_to_string(status.outcome));
		ck_assert_double_eq_tol(
			nsec_to_seconds(status.finish_ns), expected->finish[task], 1e-6);
	}
	ck_assert_uint_ge(n_learned, n_expected);
}

START_TEST(goes_as_in_the_paper)
{
	const struct expected *expected = &figures[_i];
	_cleanup_(cleanup_bundle_free) struct bundle *bundle = read_figure(expected->bundle);
	_cleanup_(cleanup_sim_free) struct sim *sim = NULL;
	_cleanup_(cleanup_governor_free) struct governor *governor = NULL;
	struct picture picture = {.recorder.ops = &picture_ops};
	struct recorder *recorders[] = {&picture.recorder};

	ck_assert_uint_eq(bundle->n_tasks, expected->n_tasks);
	ck_assert_int_eq(sim_new(&sim, bundle, NULL), 0);
	ck_assert_int_eq(
		sim_govern(sim, policy_find(expected->policy), NULL, recorders, 1, &governor, NULL),
		0);
	ck_assert_int_eq(sim_run(sim, governor, NULL), 0);
	if (expected->has_units)
		compare_units(&picture, expected);
	compare_outcomes(governor, expected);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("fig1");
	TCase *tcase = tcase_create("all");

	tcase_add_loop_test(tcase, goes_as_in_the_paper, 0, ARRAY_LENGTH(figures));
	suite_add_tcase(suite, tcase);
	return suite_run(suite);
}
