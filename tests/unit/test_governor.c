// SPDX-License-Identifier: GPL-2.0-or-later
#include "governor.h"

#include <errno.h>
#include <inttypes.h>
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cleanup.h"
#include "nsec.h"
#include "suite.h"

/* The loop over a machine that does as it is told, and fails when it is told to: each seam keeps what
 * it was asked, in the order in which it was asked. */

#define N_MAX 4
#define SECOND NSEC_PER_SEC

static struct {
	struct enforcer enforcer;
	struct meter meter;
	struct stage stage;
	struct recorder recorder;
	char calls[256]; /* 'B'udget and 'A'pply since the last look, with their values */
	int budget_error, apply_error, meter_error, start_error;
	uint32_t n_foreign;
	uint64_t cpu_ns[N_MAX], wait_ns[N_MAX];
	uint32_t n_runnable[N_MAX];
	uint64_t n_missed;
	bool has_no_wait;
	uint64_t granted_ns[N_MAX];
	double share_cpus[N_MAX];
	struct report reports[N_MAX][8];
	size_t n_reports[N_MAX];
	bool speaks_page;
	char stops[N_MAX][16]; /* A, T and K for each step */
	unsigned n_cleared;
	char events[4096];
	struct slot_record slot;
	struct slot_task rows[N_MAX];
	struct report report; /* the last that was recorded */
	uint32_t advised_threads[N_MAX];
} machine;

static char path[SUITE_PATH_MAX];
static struct bundle *bundle;
static struct governor *governor;

static void say(char *to, size_t size, const char *format, ...)
	__attribute__((format(printf, 3, 4)));
static void say(char *to, size_t size, const char *format, ...)
{
	size_t length = strlen(to);
	va_list args;

	va_start(args, format);
	ck_assert_int_lt(vsnprintf(to + length, size - length, format, args), (int)(size - length));
	va_end(args);
}

static int budget_set(struct enforcer *enforcer, double budget_cpus, struct fault *fault)
{
	(void)enforcer;
	say(machine.calls, sizeof(machine.calls), "B%g ", budget_cpus);
	return machine.budget_error < 0 ? fault_set(fault, machine.budget_error, "no budget") : 0;
}

static int apply(struct enforcer *enforcer, const struct grant *grants, size_t n_grants,
	struct enforced *ret_enforced, struct fault *fault)
{
	(void)enforcer;
	say(machine.calls, sizeof(machine.calls), "A ");
	if (machine.apply_error < 0)
		return fault_set(fault, machine.apply_error, "no grant");
	for (size_t i = 0; i < n_grants; i++)
		machine.granted_ns[grants[i].task] = grants[i].cpu_ns;
	ret_enforced->n_foreign = machine.n_foreign;
	return machine.n_foreign > 0 ? (fault_set(fault, -EEXIST, "a stranger"), 0) : 0;
}

static void meter_refresh(struct meter *meter)
{
	(void)meter;
}

static int meter_read(struct meter *meter, uint32_t task, struct meter_reading *ret_reading)
{
	(void)meter;
	if (machine.meter_error < 0)
		return machine.meter_error;
	*ret_reading = (struct meter_reading){
		.cpu_ns = machine.cpu_ns[task],
		.has_wait = !machine.has_no_wait,
		.wait_ns = machine.wait_ns[task],
		.n_runnable = machine.n_runnable[task],
	};
	return 0;
}

static uint64_t meter_n_missed(const struct meter *meter)
{
	(void)meter;
	return machine.n_missed;
}

static int start(struct stage *stage, uint32_t task, uint64_t now_ns, struct fault *fault)
{
	(void)stage;
	(void)task;
	(void)now_ns;
	return machine.start_error < 0 ? fault_set(fault, machine.start_error, "no start") : 0;
}

static size_t take_reports(struct stage *stage, uint32_t task, uint64_t now_ns,
	struct report ret_reports[], size_t n_max)
{
	size_t n = machine.n_reports[task];

	(void)stage;
	(void)now_ns;
	ck_assert_uint_le(n, n_max);
	memcpy(ret_reports, machine.reports[task], n * sizeof(ret_reports[0]));
	machine.n_reports[task] = 0;
	return n;
}

static void facts(struct stage *stage, uint32_t task, struct progress_facts *ret_facts)
{
	(void)stage;
	(void)task;
	*ret_facts = (struct progress_facts){.speaks_page = machine.speaks_page};
}

static void tell(struct stage *stage, uint32_t task, const struct stage_news *news)
{
	(void)stage;
	machine.share_cpus[task] = news->share_cpus;
	machine.advised_threads[task] = news->advised_threads;
}

static bool stop(struct stage *stage, uint32_t task, enum stop_step step)
{
	(void)stage;
	say(machine.stops[task], sizeof(machine.stops[task]), "%c",
		step == STOP_ASK            ? 'A'
			: step == STOP_TERM ? 'T'
					    : 'K');
	return false;
}

static void clear(struct stage *stage, uint32_t task)
{
	(void)stage;
	(void)task;
	machine.n_cleared++;
}

static const char *feed_name(struct stage *stage, uint32_t task)
{
	(void)stage;
	(void)task;
	return "none";
}

static void record_slot(struct recorder *recorder, const struct slot_record *slot)
{
	(void)recorder;
	machine.slot = *slot;
	memcpy(machine.rows, slot->tasks, slot->n_tasks * sizeof(machine.rows[0]));
}

static void record_report(struct recorder *recorder, uint32_t task, const struct report *report)
{
	(void)recorder;
	(void)task;
	machine.report = *report;
}

static void keep_event(struct recorder *recorder, uint64_t now_ns, uint32_t task, const char *kind,
	const char *text)
{
	(void)recorder;
	(void)now_ns;
	(void)task;
	say(machine.events, sizeof(machine.events), "%s: %s\n", kind, text);
}

static const struct enforcer_ops enforcer_ops = {
	.name = "test",
	.budget_set = budget_set,
	.apply = apply,
};
static const struct meter_ops meter_ops = {
	.name = "test",
	.refresh = meter_refresh,
	.read = meter_read,
	.n_missed = meter_n_missed,
};
static const struct stage_ops stage_ops = {
	.max_batches = 1,
	.start = start,
	.reports = take_reports,
	.facts = facts,
	.tell = tell,
	.stop = stop,
	.clear = clear,
	.feed_name = feed_name,
};
static const struct recorder_ops recorder_ops = {
	.slot = record_slot,
	.report = record_report,
	.event = keep_event,
};

static bool is_open;

static void prepare_as(const char *text, const char *policy, enum guarantee guarantee)
{
	static struct recorder *recorders[] = {&machine.recorder};
	struct governor_setup setup = {
		.policy = policy_find(policy),
		.enforcer = &machine.enforcer,
		.meter = &machine.meter,
		.stage = &machine.stage,
		.recorders = recorders,
		.n_recorders = 1,
	};
	struct fault fault = FAULT_INIT;
	int fd = mkstemp(suite_template(path));

	ck_assert_int_ge(fd, 0);
	ck_assert_int_eq(write(fd, text, strlen(text)), (ssize_t)strlen(text));
	ck_assert_int_eq(close(fd), 0);
	ck_assert_msg(bundle_read(path, &bundle, &fault) == 0, "%s", fault.text);
	ck_assert_msg(bundle_resolve(bundle, BUNDLE_REAL, 4, &fault) == 0, "%s", fault.text);
	ck_assert_int_eq(unlink(path), 0);
	/* Whatever they have used so far: they want to run. */
	for (uint32_t task = 0; task < N_MAX; task++)
		machine.n_runnable[task] = 1000;
	machine.enforcer.ops = &enforcer_ops;
	machine.enforcer.guarantee = guarantee;
	machine.meter.ops = &meter_ops;
	machine.stage.ops = &stage_ops;
	machine.recorder.ops = &recorder_ops;
	setup.bundle = bundle;
	setup.is_open = is_open;
	ck_assert_int_eq(governor_new(&governor, &setup, &fault), 0);
}

static void prepare(const char *text, const char *policy)
{
	prepare_as(text, policy, GUARANTEE_COOPERATIVE);
}

static void tear_down(void)
{
	governor = governor_free(governor);
	bundle_free(bundle);
}

/* What the enforcer was asked since the last look. */
static const char *calls(void)
{
	static char copy[sizeof(machine.calls)];

	memcpy(copy, machine.calls, sizeof(copy));
	machine.calls[0] = '\0';
	return copy;
}

static struct task_status status_of(uint32_t task)
{
	struct task_status status;

	governor_task_status(governor, task, &status);
	return status;
}

static struct governor_totals totals(void)
{
	struct governor_totals sums;

	governor_totals(governor, &sums);
	return sums;
}

static void report(uint32_t task, uint64_t stamp_ns, double value)
{
	machine.reports[task][machine.n_reports[task]++] = (struct report){
		.stamp_ns = stamp_ns, .value = value};
}

#define TASK(name) "[task " name "]\ncommand = x\ntarget = 0.1\ngrace = 2s\ndeadline = "

START_TEST(the_budget_is_lowered_last_and_raised_first)
{
	prepare("[bundle]\nbudget = 1cpu\n[budget]\n1s = 2cpu\n3s = 0.5cpu\n4s = 0cpu\n5s = "
		"0.5cpu\n"
		"6s = 1cpu\n" TASK("a") "9s\n",
		"equal");
	for (uint64_t slot = 0; slot <= 6; slot++) {
		static const char *const expected[] = {
			"B1 A ", "B2 A ", "A ", "A B0.5 ", "A ", "A ", "B1 A "};

		ck_assert_int_eq(governor_slot(governor, slot * SECOND, 0, NULL), 0);
		ck_assert_str_eq(calls(), expected[slot]);
		ck_assert_uint_eq(machine.granted_ns[0],
			slot == 4                        ? 0
				: slot == 3 || slot == 5 ? SECOND / 2
							 : SECOND);
	}
}
END_TEST

START_TEST(a_budget_that_fell_is_set_though_a_grant_failed)
{
	struct fault fault = FAULT_INIT;

	prepare("[bundle]\nbudget = 2cpu\n[budget]\n1s = 1cpu\n" TASK("a") "9s\n", "equal");
	ck_assert_int_eq(governor_slot(governor, 0, 0, NULL), 0);
	ck_assert_str_eq(calls(), "B2 A ");
	machine.apply_error = -EIO;
	ck_assert_int_eq(governor_slot(governor, SECOND, 0, &fault), -EIO);
	ck_assert_str_eq(fault.text, "no grant");
	ck_assert_str_eq(calls(), "A B1 ");
	ck_assert_ptr_nonnull(strstr(machine.events, "enforce: no grant\n"));
	/* It is in force: it is not written again. */
	machine.apply_error = 0;
	ck_assert_int_eq(governor_slot(governor, 2 * SECOND, 0, &fault), 0);
	ck_assert_str_eq(calls(), "A ");
}
END_TEST

START_TEST(nothing_is_raised_under_a_budget_that_could_not)
{
	struct fault fault = FAULT_INIT;

	prepare("[bundle]\nbudget = 1cpu\n" TASK("a") "9s\n", "equal");
	machine.budget_error = -EACCES;
	ck_assert_int_eq(governor_slot(governor, 0, 0, &fault), -EACCES);
	ck_assert_str_eq(fault.text, "no budget");
	ck_assert_str_eq(calls(), "B1 ");
	/* It is tried again. */
	machine.budget_error = 0;
	ck_assert_int_eq(governor_slot(governor, SECOND, 0, &fault), 0);
	ck_assert_str_eq(calls(), "B1 A ");
}
END_TEST

START_TEST(slots_that_were_missed_have_passed)
{
	prepare("[bundle]\nbudget = 1cpu\n[budget]\n2s = 2cpu\n" TASK("a") "9s\n", "equal");
	ck_assert_int_eq(governor_slot(governor, 0, 0, NULL), 0);
	ck_assert_uint_eq(machine.slot.slot, 0);
	/* Due at 1 s; slots 1 and 2 could not be made. */
	ck_assert_int_eq(governor_slot(governor, 3 * SECOND + 1, 2 * SECOND + 1, NULL), 0);
	ck_assert_uint_eq(machine.slot.slot, 3);
	governor_task_ended(governor, 0, 3 * SECOND + 2, &(struct task_end){0});
	ck_assert_uint_eq(totals().n_slots, 4);
	ck_assert_uint_eq(totals().budget_ns, (1 + 1 + 2 + 2) * SECOND);
	ck_assert_uint_eq(totals().n_late, 3);
	ck_assert_uint_eq(totals().worst_late_ns, 2 * SECOND + 1);
}
END_TEST

START_TEST(a_slot_is_late_after_a_tenth_of_it)
{
	prepare("[bundle]\nbudget = 1cpu\n" TASK("a") "9s\n", "equal");
	ck_assert_int_eq(governor_slot(governor, SECOND / 10, SECOND / 10, NULL), 0);
	ck_assert_uint_eq(totals().n_late, 0);
	ck_assert_int_eq(governor_slot(governor, SECOND * 12 / 10, SECOND / 5, NULL), 0);
	ck_assert_uint_eq(totals().n_late, 1);
	ck_assert_double_eq_tol(totals().granted_cpus_max, 1, 1e-9);
}
END_TEST

START_TEST(what_an_ended_task_used_is_excess_too)
{
	prepare("[bundle]\nbudget = 1cpu\n" TASK("a") "9s\n" TASK("b") "9s\n", "equal");
	ck_assert_int_eq(governor_slot(governor, 0, 0, NULL), 0);
	machine.cpu_ns[0] = 2 * SECOND;
	governor_task_ended(governor, 0, SECOND - 1, &(struct task_end){.exit_status = 1});
	ck_assert_int_eq(governor_slot(governor, SECOND, 0, NULL), 0);
	ck_assert_uint_eq(machine.slot.excess_ns, SECOND);
	ck_assert_uint_eq(machine.slot.granted_ns, 0);
	ck_assert_uint_eq(totals().excess_ns, SECOND);
	ck_assert_uint_eq(totals().n_excess_slots, 1);
	ck_assert_ptr_nonnull(strstr(machine.events, "excess: "));
	/* Once. */
	ck_assert_int_eq(governor_slot(governor, 2 * SECOND, 0, NULL), 0);
	ck_assert_uint_eq(machine.slot.excess_ns, 0);
	ck_assert_uint_eq(machine.slot.granted_ns, SECOND);
	ck_assert_uint_eq(totals().excess_ns, SECOND);
}
END_TEST

START_TEST(a_dry_run_holds_nothing_against_a_task)
{
	prepare_as("[bundle]\nbudget = 0.2cpu\n" TASK("a") "9s\n" TASK("b") "9s\n", "equal",
		GUARANTEE_NONE);
	for (uint64_t slot = 0; slot < 5; slot++) {
		machine.cpu_ns[0] = machine.cpu_ns[1] = slot * SECOND;
		ck_assert_int_eq(governor_slot(governor, slot * SECOND, 0, NULL), 0);
		ck_assert_uint_eq(machine.granted_ns[0], SECOND / 10);
		ck_assert_uint_eq(machine.granted_ns[1], SECOND / 10);
	}
	ck_assert_uint_eq(totals().n_excess_slots, 0);
}
END_TEST

START_TEST(strangers_are_counted_between_slots_too)
{
	prepare("[bundle]\nbudget = 1cpu\n" TASK("a") "9s\n" TASK("b") "9s\n", "equal");
	machine.n_foreign = 2;
	ck_assert_int_eq(governor_slot(governor, 0, 0, NULL), 0);
	governor_task_ended(governor, 0, 1, &(struct task_end){.exit_status = 1});
	ck_assert_int_eq(governor_give_on(governor, 1, NULL), 0);
	ck_assert_uint_eq(totals().n_foreign, 4);
	ck_assert_ptr_nonnull(strstr(machine.events, "foreign: a stranger\n"));
}
END_TEST

START_TEST(what_the_meter_missed_is_told_when_it_doubles)
{
	static const struct {
		uint64_t n_missed;
		bool is_told;
	} slots[] = {
		{0, false}, {3, true}, {3, false}, {5, false}, {6, true}, {11, false}, {40, true}};
	char sentence[64];

	prepare("[bundle]\nbudget = 1cpu\n" TASK("a") "20s\n", "equal");
	for (size_t i = 0; i < ARRAY_LENGTH(slots); i++) {
		machine.events[0] = '\0';
		machine.n_missed = slots[i].n_missed;
		ck_assert_int_eq(governor_slot(governor, i * SECOND, 0, NULL), 0);
		(void)snprintf(sentence, sizeof(sentence),
			"meter: the meter test could not count %" PRIu64 " threads",
			slots[i].n_missed);
		ck_assert_int_eq(strstr(machine.events, "meter: ") != NULL, slots[i].is_told);
		ck_assert_int_eq(strstr(machine.events, sentence) != NULL, slots[i].is_told);
	}
}
END_TEST

START_TEST(a_meter_that_fails_is_told_once)
{
	const char *first;

	prepare("[bundle]\nbudget = 1cpu\n" TASK("a") "20s\n", "equal");
	ck_assert_int_eq(governor_slot(governor, 0, 0, NULL), 0);
	machine.cpu_ns[0] = 7;
	ck_assert_int_eq(governor_slot(governor, SECOND, 0, NULL), 0);
	machine.meter_error = -EIO;
	for (uint64_t slot = 2; slot < 10; slot++) {
		ck_assert_int_eq(governor_slot(governor, slot * SECOND, 0, NULL), 0);
		ck_assert_int_eq(strstr(machine.events, "meter: ") != NULL, slot >= 4);
	}
	first = strstr(machine.events, "meter: ");
	ck_assert_ptr_null(strstr(first + 1, "meter: "));
	ck_assert_uint_eq(status_of(0).cpu_ns, 7);
}
END_TEST

START_TEST(stopping_takes_its_steps)
{
	prepare("[bundle]\nbudget = 1cpu\n" TASK("a") "1s\non-deadline = stop\n" TASK("b") "99s\n",
		"equal");
	machine.speaks_page = true;
	for (uint64_t slot = 0; slot < 9; slot++)
		ck_assert_int_eq(governor_slot(governor, slot * SECOND, 0, NULL), 0);
	/* Asked at 1 s, then a step every 2 s: at 3 s, 5 s and 7 s. */
	ck_assert_str_eq(machine.stops[0], "ATKK");
	ck_assert_int_eq(status_of(0).phase, PHASE_STOPPING);
	/* The least it needs to hear of it; the rest is for the living. */
	ck_assert_double_eq_tol(machine.share_cpus[0], 0.05, 1e-9);
	ck_assert_double_eq_tol(machine.share_cpus[1], 0.95, 1e-9);
	governor_task_ended(governor, 0, 9 * SECOND, &(struct task_end){.exit_status = 137});
	ck_assert_int_eq(status_of(0).outcome, OUTCOME_MISSED_DEADLINE);
	ck_assert_uint_eq(status_of(0).finish_ns, 9 * SECOND);
	ck_assert_uint_eq(machine.n_cleared, 1);
	/* Twice is once. */
	governor_task_ended(governor, 0, 9 * SECOND, &(struct task_end){0});
	ck_assert_uint_eq(machine.n_cleared, 1);
}
END_TEST

START_TEST(who_has_no_page_is_not_asked)
{
	prepare("[bundle]\nbudget = 1cpu\n" TASK("a") "9s\n", "equal");
	ck_assert_int_eq(governor_slot(governor, 0, 0, NULL), 0);
	governor_cancel(governor, 1, STOP_ASK);
	ck_assert_str_eq(machine.stops[0], "T");
	/* The same again changes nothing, a harder one does. */
	governor_cancel(governor, 2, STOP_ASK);
	ck_assert_str_eq(machine.stops[0], "T");
	governor_cancel(governor, 3, STOP_KILL);
	ck_assert_str_eq(machine.stops[0], "TK");
	ck_assert_int_eq(status_of(0).outcome, OUTCOME_CANCELLED);
	ck_assert(governor_is_decided(governor));
	ck_assert(!governor_is_done(governor));
}
END_TEST

START_TEST(all_that_stop_get_a_fifth_at_most)
{
	prepare("[bundle]\nbudget = 0.4cpu\n" TASK("a") "1s\non-deadline = stop\n" TASK(
			"b") "1s\non-deadline = stop\n" TASK("c") "99s\nthreads = 2\n",
		"equal");
	ck_assert_int_eq(governor_slot(governor, 0, 0, NULL), 0);
	ck_assert_int_eq(governor_slot(governor, SECOND, 0, NULL), 0);
	ck_assert_double_eq_tol(machine.share_cpus[0], 0.04, 1e-9);
	ck_assert_double_eq_tol(machine.share_cpus[1], 0.04, 1e-9);
	ck_assert_double_eq_tol(machine.share_cpus[2], 0.32, 1e-9);
}
END_TEST

START_TEST(a_target_counts_when_it_was_met)
{
	prepare("[bundle]\nbudget = 1cpu\n[task a]\ncommand = x\ntarget = 0.1 for 2\n"
		"deadline = 2s\n",
		"equal");
	ck_assert_int_eq(governor_slot(governor, 0, 0, NULL), 0);
	machine.cpu_ns[0] = SECOND;
	report(0, SECOND / 4, 0.05);
	report(0, SECOND / 3, NAN);
	report(0, SECOND / 2, 0.1);
	ck_assert_int_eq(governor_slot(governor, SECOND, 0, NULL), 0);
	ck_assert_int_eq(status_of(0).outcome, OUTCOME_NONE);
	/* Made in time, read when the deadline had come. */
	machine.cpu_ns[0] = 2 * SECOND;
	report(0, SECOND * 7 / 4, 0.09);
	governor_deadlines(governor, 2 * SECOND);
	ck_assert_int_eq(status_of(0).outcome, OUTCOME_LEARNED);
	ck_assert_uint_eq(status_of(0).finish_ns, SECOND * 7 / 4);
	/* Between the two readings, by the time. */
	ck_assert_uint_eq(status_of(0).cpu_ns, SECOND * 7 / 4);
	/* A command that has no page yields. */
	ck_assert_int_eq(status_of(0).phase, PHASE_YIELDED);
	ck_assert_uint_eq(status_of(0).n_reports, 4);
}
END_TEST

START_TEST(a_target_met_too_late_is_missed)
{
	prepare("[bundle]\nbudget = 1cpu\n" TASK("a") "2s\n", "equal");
	ck_assert_int_eq(governor_slot(governor, 0, 0, NULL), 0);
	report(0, 2 * SECOND + 1, 0.05);
	ck_assert_int_eq(governor_slot(governor, 2 * SECOND + 2, 2, NULL), 0);
	ck_assert_int_eq(status_of(0).outcome, OUTCOME_MISSED_DEADLINE);
	ck_assert_uint_eq(status_of(0).finish_ns, 2 * SECOND);
}
END_TEST

START_TEST(how_a_task_ends)
{
	prepare("[bundle]\nbudget = 1cpu\n" TASK("a") "9s\n" TASK("b") "9s\n" TASK("c") "9s\n" TASK(
			"d") "1s\n",
		"equal");
	ck_assert_int_eq(governor_slot(governor, 0, 0, NULL), 0);
	governor_task_ended(governor, 0, 5, &(struct task_end){.exit_status = 0, .cpu_ns = 3});
	governor_task_ended(governor, 1, 6, &(struct task_end){.exit_status = 1});
	governor_task_ended(governor, 2, 7, &(struct task_end){.reason = "no such file"});
	governor_task_ended(governor, 3, SECOND + 1, &(struct task_end){0});
	ck_assert_int_eq(status_of(0).outcome, OUTCOME_MISSED_TARGET);
	ck_assert_uint_eq(status_of(0).cpu_ns, 3);
	ck_assert_int_eq(status_of(1).outcome, OUTCOME_FAILED);
	ck_assert_int_eq(status_of(2).outcome, OUTCOME_FAILED);
	ck_assert(status_of(1).was_started);
	ck_assert(!status_of(2).was_started);
	ck_assert_int_eq(status_of(3).outcome, OUTCOME_MISSED_DEADLINE);
	ck_assert(governor_is_done(governor));
}
END_TEST

START_TEST(a_task_that_cannot_start_has_failed)
{
	prepare("[bundle]\nbudget = 1cpu\n" TASK("a") "9s\n", "equal");
	machine.start_error = -EMFILE;
	ck_assert_int_eq(governor_slot(governor, 0, 0, NULL), 0);
	ck_assert_int_eq(status_of(0).outcome, OUTCOME_FAILED);
	ck_assert(!status_of(0).was_started);
	ck_assert(governor_is_done(governor));
	ck_assert_str_eq(machine.events, "failed: no start\n");
}
END_TEST

START_TEST(threads_are_advised_for_the_share)
{
	prepare("[bundle]\nbudget = 1cpu\n[budget]\n1s = 1.5cpu\n2s = 2cpu\n3s = 0.1cpu\n"
		"[task a]\ncommand = x\ntarget = 1\ndeadline = 9s\nthreads = 4\n",
		"equal");
	for (uint64_t slot = 0; slot < 4; slot++) {
		static const uint32_t expected[] = {1, 2, 2, 1};

		ck_assert_int_eq(governor_slot(governor, slot * SECOND, 0, NULL), 0);
		ck_assert_uint_eq(machine.advised_threads[0], expected[slot]);
	}
}
END_TEST

/* Runs `n_slots` after the first, with that use in each. */
static void use(uint64_t n_slots, uint64_t slot_ns, uint64_t used_ns)
{
	for (uint64_t slot = 0; slot <= n_slots; slot++) {
		machine.cpu_ns[0] = slot * used_ns;
		ck_assert_int_eq(governor_slot(governor, slot * slot_ns, 0, NULL), 0);
	}
}

START_TEST(excess_adds_up)
{
	prepare("[bundle]\nbudget = 1cpu\n" TASK("a") "9s\n", "equal");
	use(3, SECOND, 2 * SECOND);
	ck_assert_uint_eq(machine.slot.excess_ns, 3 * SECOND);
	ck_assert_uint_eq(machine.slot.used_ns, 2 * SECOND);
	ck_assert_uint_eq(machine.rows[0].seen.used_ns, 2 * SECOND);
	ck_assert_uint_eq(machine.rows[0].seen.cpu_ns, 6 * SECOND);
	ck_assert_uint_eq(totals().n_excess_slots, 3);
}
END_TEST

START_TEST(little_excess_is_no_event)
{
	/* 5 % of the budget. */
	prepare("[bundle]\nbudget = 1cpu\n" TASK("a") "9s\n", "equal");
	use(1, SECOND, SECOND + 50 * NSEC_PER_MSEC);
	ck_assert_uint_eq(machine.slot.excess_ns, 50 * NSEC_PER_MSEC);
	ck_assert_uint_eq(totals().n_excess_slots, 0);
}
END_TEST

START_TEST(what_a_fork_costs_is_no_event)
{
	prepare("[bundle]\nbudget = 0.5cpu\nslot = 50ms\n" TASK("a") "9s\n", "equal");
	use(1, 50 * NSEC_PER_MSEC, 29 * NSEC_PER_MSEC);
	ck_assert_uint_eq(machine.slot.excess_ns, 4 * NSEC_PER_MSEC);
	ck_assert_uint_eq(totals().n_excess_slots, 0);
}
END_TEST

START_TEST(a_share_is_given_on_once)
{
	prepare("[bundle]\nbudget = 1cpu\n" TASK("a") "1500ms\non-deadline = stop\n" TASK(
			"b") "9s\n" TASK("c") "9s\n",
		"equal");
	ck_assert_uint_eq(governor_next_deadline(governor, 0), UINT64_MAX);
	ck_assert_int_eq(governor_slot(governor, 0, 0, NULL), 0);
	(void)calls();
	ck_assert_int_eq(governor_give_on(governor, 1, NULL), 0);
	ck_assert_str_eq(calls(), "");
	/* By a deadline ... */
	ck_assert_uint_eq(governor_next_deadline(governor, 1), 1500 * NSEC_PER_MSEC);
	governor_deadlines(governor, 1500 * NSEC_PER_MSEC);
	ck_assert_uint_eq(governor_next_deadline(governor, 1), 9 * SECOND);
	ck_assert_int_eq(governor_give_on(governor, 1500 * NSEC_PER_MSEC, NULL), 0);
	ck_assert_str_eq(calls(), "A ");
	ck_assert_double_eq_tol(machine.share_cpus[1], 0.475, 1e-9);
	ck_assert_int_eq(governor_give_on(governor, 1500 * NSEC_PER_MSEC, NULL), 0);
	ck_assert_str_eq(calls(), "");
	/* ... and by the end of a task that had its outcome. */
	governor_task_ended(governor, 0, 1600 * NSEC_PER_MSEC, &(struct task_end){0});
	ck_assert_int_eq(governor_give_on(governor, 1600 * NSEC_PER_MSEC, NULL), 0);
	ck_assert_str_eq(calls(), "A ");
	ck_assert_double_eq_tol(machine.share_cpus[1], 0.5, 1e-9);
}
END_TEST

START_TEST(who_speaks_through_the_page_is_asked_to_stop)
{
	prepare("[bundle]\nbudget = 1cpu\n" TASK("a") "9s\n", "equal");
	machine.speaks_page = true;
	ck_assert_int_eq(governor_slot(governor, 0, 0, NULL), 0);
	report(0, SECOND / 2, 0.1);
	ck_assert_int_eq(governor_slot(governor, SECOND, 0, NULL), 0);
	ck_assert_str_eq(machine.stops[0], "A");
	ck_assert_int_eq(status_of(0).phase, PHASE_STOPPING);
	/* Its finish is when it learned, not when it ended. */
	governor_task_ended(governor, 0, 2 * SECOND, &(struct task_end){0});
	ck_assert_int_eq(status_of(0).outcome, OUTCOME_LEARNED);
	ck_assert_uint_eq(status_of(0).finish_ns, SECOND / 2);
}
END_TEST

START_TEST(an_end_at_the_deadline_is_in_time)
{
	prepare("[bundle]\nbudget = 1cpu\n" TASK("a") "2s\n", "equal");
	ck_assert_int_eq(governor_slot(governor, 0, 0, NULL), 0);
	governor_task_ended(governor, 0, 2 * SECOND, &(struct task_end){0});
	ck_assert_int_eq(status_of(0).outcome, OUTCOME_MISSED_TARGET);
}
END_TEST

START_TEST(a_stamp_outside_the_two_readings)
{
	prepare("[bundle]\nbudget = 1cpu\n" TASK("a") "9s\n", "equal");
	ck_assert_int_eq(governor_slot(governor, 0, 0, NULL), 0);
	machine.cpu_ns[0] = SECOND / 2;
	ck_assert_int_eq(governor_slot(governor, SECOND, 0, NULL), 0);
	machine.cpu_ns[0] = SECOND;
	report(0, SECOND / 4, 0.9);
	ck_assert_int_eq(governor_slot(governor, 2 * SECOND, 0, NULL), 0);
	ck_assert_uint_eq(machine.report.cpu_ns, SECOND / 2);
	machine.cpu_ns[0] = 2 * SECOND;
	report(0, 5 * SECOND, 0.9);
	ck_assert_int_eq(governor_slot(governor, 3 * SECOND, 0, NULL), 0);
	ck_assert_uint_eq(machine.report.cpu_ns, 2 * SECOND);
	ck_assert_uint_eq(machine.rows[0].seen.n_new_reports, 1);
}
END_TEST

START_TEST(the_best_is_finite_and_best)
{
	prepare("[bundle]\nbudget = 1cpu\n[task a]\ncommand = x\ntarget = accuracy >= 0.9\n"
		"deadline = 9s\n",
		"equal");
	ck_assert_int_eq(governor_slot(governor, 0, 0, NULL), 0);
	report(0, 1, 0.5);
	report(0, 2, 0.6);
	report(0, 3, INFINITY);
	report(0, 4, 0.4);
	report(0, 5, NAN);
	ck_assert_int_eq(governor_slot(governor, SECOND, 0, NULL), 0);
	ck_assert_double_eq(machine.rows[0].seen.best, 0.6);
	ck_assert(isnan(machine.rows[0].seen.value));
	ck_assert_int_eq(status_of(0).outcome, OUTCOME_NONE);
	ck_assert_uint_eq(status_of(0).n_not_finite, 2);
}
END_TEST

/* Slots from `from` on in which the tasks use so much, of what they got; a pair of CPUs a slot. */
static void use_both(uint64_t from, uint64_t n_slots, double first_cpus, double second_cpus)
{
	const double cpus[2] = {first_cpus, second_cpus};

	for (uint64_t slot = from; slot < from + n_slots; slot++) {
		ck_assert_int_eq(governor_slot(governor, slot * SECOND, 0, NULL), 0);
		ck_assert_uint_le(machine.slot.granted_ns, machine.slot.budget_ns);
		ck_assert_uint_le(
			machine.granted_ns[0] + machine.granted_ns[1], machine.slot.granted_ns);
		for (uint32_t i = 0; i < 2; i++) {
			double used = fmin(cpus[i] * (double)SECOND, (double)machine.granted_ns[i]);

			machine.cpu_ns[i] += (uint64_t)used;
			machine.wait_ns[i] += (uint64_t)(cpus[i] * (double)SECOND - used);
			machine.n_runnable[i] = cpus[i] > 0.9;
		}
	}
}

START_TEST(what_one_cannot_use_the_other_gets)
{
	prepare("[bundle]\nbudget = 1cpu\n" TASK("a") "99s\n" TASK("b") "99s\n", "equal");
	use_both(0, 4, 0.25, 1);
	ck_assert_double_eq_tol(machine.share_cpus[0], 0.5, 1e-9);
	use_both(4, 10, 0.25, 1);
	/* A quarter of a CPU, a quarter of that, and the floor. */
	ck_assert_double_ge(machine.share_cpus[0], 0.25 * 1.25 + 0.02);
	ck_assert_double_le(machine.share_cpus[0], (0.25 * 1.25 + 0.02) / 0.9);
	ck_assert_double_eq_tol(machine.share_cpus[0] + machine.share_cpus[1], 1, 1e-9);
	ck_assert_double_eq(machine.rows[0].seen.usable_cpus, machine.share_cpus[0]);
	ck_assert_double_eq(machine.rows[1].seen.usable_cpus, 1);
	ck_assert_uint_eq(machine.rows[1].seen.n_runnable, 1);
	ck_assert(machine.rows[1].seen.has_wait);
	ck_assert_double_eq_tol(
		(double)machine.rows[1].seen.wait_ns, (double)(SECOND - machine.granted_ns[1]), 2);
	/* It becomes busy: the next slot but one is an even one again. */
	use_both(14, 2, 1, 1);
	ck_assert_double_eq_tol(machine.share_cpus[0], 0.5, 1e-9);
	ck_assert_double_eq_tol(machine.share_cpus[1], 0.5, 1e-9);
}
END_TEST

START_TEST(nothing_is_taken_from_who_cannot_be_read)
{
	prepare("[bundle]\nbudget = 1cpu\n" TASK("a") "99s\n" TASK("b") "99s\n", "equal");
	machine.meter_error = -EIO;
	use_both(0, 20, 0, 1);
	ck_assert_double_eq_tol(machine.share_cpus[0], 0.5, 1e-9);
}
END_TEST

START_TEST(nothing_is_given_on_where_it_is_reserved)
{
	prepare("[bundle]\nbudget = 1cpu\n" TASK("a") "99s\n" TASK("b") "99s\n", "fixed");
	use_both(0, 20, 0, 1);
	ck_assert_double_eq_tol(machine.share_cpus[0], 0.5, 1e-9);
	ck_assert_double_eq_tol(machine.share_cpus[1], 0.5, 1e-9);
}
END_TEST

START_TEST(in_simulated_time_a_share_stays)
{
	struct stage_ops simulated = stage_ops;

	simulated.is_simulated = true;
	prepare("[bundle]\nbudget = 1cpu\n" TASK("a") "99s\n" TASK("b") "99s\n", "equal");
	machine.stage.ops = &simulated;
	use_both(0, 20, 0, 1);
	ck_assert_double_eq_tol(machine.share_cpus[0], 0.5, 1e-9);
	ck_assert_double_eq(machine.rows[0].seen.usable_cpus, 1);
}
END_TEST

START_TEST(a_sleeper_that_is_to_stop_has_all_its_threads)
{
	prepare("[bundle]\nbudget = 1cpu\n" TASK("a") "20500ms\non-deadline = stop\n" TASK(
			"b") "30s\nthreads = 0.25\n",
		"equal");
	use_both(0, 20, 0, 0.25);
	ck_assert_double_le(machine.share_cpus[0], 0.025);
	governor_deadlines(governor, 20 * SECOND + SECOND / 2);
	/* Also between two slots; the others are given what they can use, as in a slot. */
	machine.cpu_ns[1] += SECOND / 8;
	ck_assert_int_eq(governor_give_on(governor, 20 * SECOND + SECOND / 2, NULL), 0);
	ck_assert_double_ge(machine.share_cpus[0], 0.7);
	ck_assert_double_eq_tol(machine.share_cpus[1], 0.25, 1e-9);
}
END_TEST

/* A share that came free in the middle of a slot, for a task that was frozen until then. */
START_TEST(what_is_given_on_is_judged_by_the_time_it_was_there)
{
	prepare("[bundle]\nbudget = 1.5cpu\n[budget]\n6s = 1cpu\n" TASK("a") "99s\n" TASK(
			"b") "99s\n",
		"fifo");
	machine.n_runnable[1] = 0;
	for (uint64_t slot = 0; slot <= 6; slot++) {
		machine.cpu_ns[0] = slot * SECOND;
		machine.cpu_ns[1] = slot * SECOND / 4;
		ck_assert_int_eq(governor_slot(governor, slot * SECOND, 0, NULL), 0);
	}
	ck_assert_double_eq(machine.share_cpus[1], 0);
	governor_task_ended(governor, 0, 6 * SECOND + SECOND / 2, &(struct task_end){0});
	ck_assert_int_eq(governor_give_on(governor, 6 * SECOND + SECOND / 2, NULL), 0);
	/* A quarter of a CPU-second in half a second. */
	machine.cpu_ns[1] += SECOND / 4;
	ck_assert_int_eq(governor_slot(governor, 7 * SECOND, 0, NULL), 0);
	ck_assert_uint_eq(machine.rows[0].seen.task, 1);
	ck_assert_double_eq_tol(machine.rows[0].seen.usable_cpus, 1.25 * 0.5 + 0.02, 1e-6);
}
END_TEST

static void prepare_open(const char *text, const char *policy)
{
	is_open = true;
	prepare(text, policy);
	is_open = false;
}

static enum phase phase_of(uint32_t task)
{
	return status_of(task).phase;
}

START_TEST(an_open_governor_begins_empty)
{
	prepare_open("[bundle]\nbudget = 2cpu\n" TASK("a") "9s\n" TASK("b") "9s\n", "equal");
	ck_assert_int_eq(governor_slot(governor, 0, 0, NULL), 0);
	ck_assert_uint_eq(machine.slot.n_tasks, 0);
	ck_assert_int_eq(phase_of(0), PHASE_VACANT);
	ck_assert(governor_is_done(governor));
	/* Nobody is there who could miss a deadline or be cancelled. */
	governor_deadlines(governor, 10 * SECOND);
	governor_cancel(governor, 10 * SECOND, STOP_KILL);
	governor_cancel_task(governor, 1, 10 * SECOND, STOP_KILL);
	ck_assert_str_eq(machine.events, "");
	ck_assert_uint_eq(governor_next_deadline(governor, 0), UINT64_MAX);
}
END_TEST

START_TEST(a_task_that_comes_has_its_grant_at_once)
{
	prepare_open("[bundle]\nbudget = 2cpu\n" TASK("a") "9s\nthreads = 4\n" TASK(
			     "b") "9s\nthreads = 4\n",
		"equal");
	ck_assert_int_eq(governor_slot(governor, 0, 0, NULL), 0);
	governor_seat(governor, 1, SECOND / 4);
	ck_assert_int_eq(phase_of(1), PHASE_ALIVE);
	ck_assert_int_eq(governor_give_on(governor, SECOND / 4, NULL), 0);
	ck_assert_double_eq_tol(machine.share_cpus[1], 2, 1e-9);
	ck_assert_double_eq_tol(machine.share_cpus[0], 0, 1e-9);
	governor_seat(governor, 0, SECOND / 2);
	ck_assert_int_eq(governor_give_on(governor, SECOND / 2, NULL), 0);
	ck_assert_double_eq_tol(machine.share_cpus[1], 1, 1e-9);
	ck_assert_double_eq_tol(machine.share_cpus[0], 1, 1e-9);
	ck_assert(!governor_is_done(governor));
}
END_TEST

START_TEST(a_task_that_is_to_begin_later_waits_in_its_seat)
{
	prepare_open("[bundle]\nbudget = 2cpu\n" TASK("a") "9s\nbegin = 2s\n" TASK("b") "9s\n" TASK(
			     "c") "9s\nbegin = 1s\n",
		"fifo");
	governor_seat(governor, 0, 0);
	governor_seat(governor, 2, 0);
	ck_assert_int_eq(phase_of(0), PHASE_WAITING);
	/* The one that begins at once stands before them. */
	governor_seat(governor, 1, SECOND / 2);
	ck_assert_int_eq(phase_of(1), PHASE_ALIVE);
	/* One that is due is started before the next comes. */
	ck_assert_int_eq(governor_slot(governor, SECOND, 0, NULL), 0);
	ck_assert_int_eq(phase_of(2), PHASE_ALIVE);
	ck_assert_int_eq(phase_of(0), PHASE_WAITING);
	ck_assert_int_eq(governor_slot(governor, 2 * SECOND, 0, NULL), 0);
	ck_assert_int_eq(phase_of(0), PHASE_ALIVE);
	ck_assert_uint_eq(machine.rows[0].seen.task, 1);
	ck_assert_uint_eq(machine.rows[1].seen.task, 2);
	ck_assert_uint_eq(machine.rows[2].seen.task, 0);
}
END_TEST

START_TEST(a_seat_is_used_again)
{
	const struct task_end end = {.exit_status = 0};

	prepare_open("[bundle]\nbudget = 1cpu\n" TASK("a") "9s\n" TASK("b") "9s\n", "core");
	governor_seat(governor, 0, 0);
	governor_seat(governor, 1, 0);
	ck_assert_int_eq(governor_slot(governor, 0, 0, NULL), 0);
	report(0, SECOND / 2, 0.5);
	machine.cpu_ns[0] = SECOND / 2;
	ck_assert_int_eq(governor_slot(governor, SECOND, 0, NULL), 0);
	ck_assert_uint_eq(status_of(0).n_reports, 1);
	governor_task_ended(governor, 0, 3 * SECOND / 2, &end);
	ck_assert(!governor_is_done(governor));
	governor_vacate(governor, 0);
	ck_assert_int_eq(phase_of(0), PHASE_VACANT);
	ck_assert(!governor_is_decided(governor));

	/* What the first had used and reported is not the second's. */
	machine.cpu_ns[0] = 0;
	governor_seat(governor, 0, 3 * SECOND / 2);
	ck_assert_int_eq(status_of(0).outcome, OUTCOME_NONE);
	ck_assert_uint_eq(status_of(0).n_reports, 0);
	machine.cpu_ns[0] = SECOND / 4;
	ck_assert_int_eq(governor_slot(governor, 2 * SECOND, 0, NULL), 0);
	ck_assert_uint_eq(status_of(0).cpu_ns, SECOND / 4);
	ck_assert_uint_eq(machine.slot.used_ns, SECOND / 4);
	ck_assert_uint_eq(machine.slot.n_tasks, 2);
	ck_assert_uint_eq(machine.slot.excess_ns, 0);
	governor_cancel_task(governor, 0, 2 * SECOND, STOP_KILL);
	governor_task_ended(governor, 0, 2 * SECOND, &end);
	governor_vacate(governor, 0);
	governor_cancel_task(governor, 1, 2 * SECOND, STOP_KILL);
	governor_task_ended(governor, 1, 2 * SECOND, &end);
	ck_assert(governor_is_decided(governor) && governor_is_done(governor));
	governor_vacate(governor, 1);
	ck_assert(governor_is_decided(governor) && governor_is_done(governor));
	ck_assert_int_eq(governor_slot(governor, 3 * SECOND, 0, NULL), 0);
	ck_assert_uint_eq(machine.slot.n_tasks, 0);
}
END_TEST

/* Two governors, one after the other: the second reads its meter from 0. */
START_TEST(another_governor_goes_on)
{
	static const char *const text = "[bundle]\nbudget = 1cpu\n" TASK("a") "9s\n" TASK(
		"b") "9s\n";
	struct task_past a, b;

	prepare_open(text, "equal");
	governor_seat(governor, 0, 0);
	governor_seat(governor, 1, 0);
	ck_assert_int_eq(governor_slot(governor, 0, 0, NULL), 0);
	report(0, SECOND / 2, 0.5);
	machine.cpu_ns[0] = machine.cpu_ns[1] = SECOND / 2;
	machine.wait_ns[0] = SECOND / 4;
	ck_assert_int_eq(governor_slot(governor, SECOND, 0, NULL), 0);
	governor_pause(governor, 1, SECOND, true);
	governor_past(governor, 0, &a);
	governor_past(governor, 1, &b);
	tear_down();

	prepare_open(text, "equal");
	machine.cpu_ns[0] = machine.cpu_ns[1] = machine.wait_ns[0] = 0;
	/* Meanwhile the first has used a quarter, and reported in the middle of it. */
	report(0, 3 * SECOND / 2, 0.4);
	governor_seat_again(governor, 0, 2 * SECOND, &a, 3 * SECOND / 4);
	ck_assert_uint_eq(machine.report.cpu_ns, 5 * SECOND / 8);
	governor_seat_again(governor, 1, 2 * SECOND, &b, b.cpu_ns);
	ck_assert_ptr_nonnull(strstr(machine.events, "adopted: taken over"));
	ck_assert_int_eq(governor_slot(governor, 2 * SECOND, 0, NULL), 0);
	ck_assert_uint_eq(status_of(0).cpu_ns, 3 * SECOND / 4);
	ck_assert_uint_eq(status_of(0).n_reports, 2);
	ck_assert_double_eq_tol(status_of(0).value, 0.4, 1e-9);
	ck_assert_int_eq(phase_of(0), PHASE_ALIVE);
	ck_assert(status_of(1).is_paused);
	ck_assert_double_eq_tol(machine.share_cpus[0], 1, 1e-9);
	ck_assert_double_eq_tol(machine.share_cpus[1], 0, 1e-9);
	/* What it had used before is no use of this slot, and no excess. */
	ck_assert_uint_eq(machine.slot.used_ns, 0);
	machine.cpu_ns[0] = SECOND / 4;
	ck_assert_int_eq(governor_slot(governor, 3 * SECOND, 0, NULL), 0);
	ck_assert_uint_eq(status_of(0).cpu_ns, SECOND);
	ck_assert_uint_eq(machine.slot.used_ns, SECOND / 4);
	ck_assert_uint_eq(machine.slot.excess_ns, 0);
	report(0, 3 * SECOND, 0.05);
	ck_assert_int_eq(governor_slot(governor, 4 * SECOND, 0, NULL), 0);
	ck_assert_int_eq(status_of(0).outcome, OUTCOME_LEARNED);
	ck_assert_uint_eq(status_of(0).n_reports, 3);
	/* And once more: one that has its outcome has it only once. */
	governor_past(governor, 0, &a);
	tear_down();
	prepare_open(text, "equal");
	governor_seat_again(governor, 0, 5 * SECOND, &a, a.cpu_ns);
	ck_assert(governor_is_decided(governor));
	ck_assert_int_eq(governor_slot(governor, 10 * SECOND, 0, NULL), 0);
	ck_assert_int_eq(status_of(0).outcome, OUTCOME_LEARNED);
	ck_assert_uint_eq(status_of(0).finish_ns, a.finish_ns);
}
END_TEST

START_TEST(a_deadline_that_is_moved_counts)
{
	prepare_open("[bundle]\nbudget = 1cpu\n" TASK("a") "3s\n" TASK("b") "5s\n", "edf");
	governor_seat(governor, 0, 0);
	governor_seat(governor, 1, 0);
	ck_assert_int_eq(governor_slot(governor, 0, 0, NULL), 0);
	ck_assert_double_eq_tol(machine.share_cpus[0], 1, 1e-9);
	bundle->tasks[0].deadline_ns = 9 * SECOND;
	governor_replan(governor, 0, SECOND);
	ck_assert_int_eq(governor_give_on(governor, SECOND, NULL), 0);
	ck_assert_double_eq_tol(machine.share_cpus[0], 0, 1e-9);
	ck_assert_double_eq_tol(machine.share_cpus[1], 1, 1e-9);
	ck_assert_uint_eq(governor_next_deadline(governor, SECOND), 5 * SECOND);
	governor_deadlines(governor, 4 * SECOND);
	ck_assert_int_eq(status_of(0).outcome, OUTCOME_NONE);
	ck_assert_ptr_nonnull(strstr(machine.events, "set: deadline 9.000 s, threads 1\n"));
}
END_TEST

START_TEST(threads_that_nobody_has_said_are_found_out)
{
	prepare_open("[bundle]\nbudget = 4cpu\n" TASK("a") "99s\n" TASK("b") "99s\n", "edf");
	for (uint32_t i = 0; i < 2; i++) {
		bundle->tasks[i].threads = 4;
		bundle->tasks[i].finds_threads = i == 0;
		governor_seat(governor, i, 0);
	}
	ck_assert_double_eq(status_of(0).counted_cpus, 1);
	ck_assert_double_eq(status_of(1).counted_cpus, 4);
	/* Offered all, it uses one, and the rest goes to the other. */
	use_both(0, 1, 1, 4);
	ck_assert_double_eq_tol(machine.share_cpus[0], 4, 1e-9);
	use_both(1, 20, 1, 4);
	ck_assert_double_eq_tol(machine.share_cpus[0], 1, 1e-9);
	ck_assert_double_eq_tol(machine.share_cpus[1], 3, 1e-9);
	ck_assert_double_eq_tol(status_of(0).counted_cpus, 1, 1e-9);
	use_both(21, 2, 3, 4);
	ck_assert_double_eq_tol(status_of(0).counted_cpus, 3, 1e-9);
	ck_assert_double_eq_tol(machine.share_cpus[0], 3, 1e-9);
	bundle->tasks[0].threads = 2;
	bundle->tasks[0].finds_threads = false;
	governor_replan(governor, 0, 23 * SECOND);
	ck_assert_double_eq(status_of(0).counted_cpus, 2);
	bundle->tasks[0].finds_threads = true;
	governor_replan(governor, 0, 23 * SECOND);
	ck_assert_ptr_nonnull(strstr(machine.events, "threads auto, at most 2\n"));
}
END_TEST

/* Who asks cannot know how long it takes until he is heard. */
START_TEST(a_change_may_come_as_late_as_the_deadline)
{
	prepare_open("[bundle]\nbudget = 1cpu\n" TASK("a") "3s\n" TASK("b") "5s\n", "edf");
	governor_seat(governor, 0, 0);
	governor_seat(governor, 1, 0);
	ck_assert_int_eq(governor_slot(governor, 0, 0, NULL), 0);
	bundle->tasks[0].threads = 2;
	governor_replan(governor, 0, 3 * SECOND);
	ck_assert_int_eq(status_of(0).outcome, OUTCOME_NONE);
	bundle->tasks[1].deadline_ns = 4 * SECOND;
	governor_replan(governor, 1, 4 * SECOND + 1);
	ck_assert_int_eq(governor_give_on(governor, 4 * SECOND + 1, NULL), 0);
	ck_assert_int_eq(status_of(0).outcome, OUTCOME_MISSED_DEADLINE);
	ck_assert_int_eq(status_of(1).outcome, OUTCOME_MISSED_DEADLINE);
}
END_TEST

START_TEST(a_target_that_is_moved_counts)
{
	prepare_open("[bundle]\nbudget = 1cpu\n" TASK("a") "9s\n", "core");
	governor_seat(governor, 0, 0);
	ck_assert_int_eq(governor_slot(governor, 0, 0, NULL), 0);
	report(0, SECOND / 2, 0.5);
	machine.cpu_ns[0] = SECOND / 2;
	ck_assert_int_eq(governor_slot(governor, SECOND, 0, NULL), 0);
	bundle->tasks[0].target.value = 0.6;
	governor_retarget(governor, 0, SECOND, /* is_other_metric= */ false);
	/* It has to be reported once more. */
	ck_assert_int_eq(status_of(0).outcome, OUTCOME_NONE);
	ck_assert_double_eq_tol(status_of(0).value, 0.5, 1e-9);
	report(0, 3 * SECOND / 2, 0.5);
	ck_assert_int_eq(governor_slot(governor, 2 * SECOND, 0, NULL), 0);
	ck_assert_int_eq(status_of(0).outcome, OUTCOME_LEARNED);
}
END_TEST

START_TEST(another_metric_begins_anew)
{
	prepare_open("[bundle]\nbudget = 1cpu\n" TASK("a") "9s\n", "core");
	governor_seat(governor, 0, 0);
	report(0, 0, 0.5);
	ck_assert_int_eq(governor_slot(governor, 0, 0, NULL), 0);
	ck_assert_double_eq_tol(machine.rows[0].seen.best, 0.5, 1e-9);
	(void)strcpy(bundle->tasks[0].target.metric, "accuracy");
	bundle->tasks[0].target.value = 0.9;
	bundle->tasks[0].target.is_raised = true;
	governor_retarget(governor, 0, SECOND, /* is_other_metric= */ true);
	ck_assert_double_nan(status_of(0).value);
	ck_assert_int_eq(governor_slot(governor, SECOND, 0, NULL), 0);
	ck_assert_double_nan(machine.rows[0].seen.best);
	report(0, SECOND, 0.7);
	report(0, 3 * SECOND / 2, 0.6);
	ck_assert_int_eq(governor_slot(governor, 2 * SECOND, 0, NULL), 0);
	ck_assert_double_eq_tol(machine.rows[0].seen.best, 0.7, 1e-9);
	ck_assert_ptr_nonnull(strstr(machine.events, "set: target accuracy >= 0.9 for 1\n"));
}
END_TEST

START_TEST(who_is_paused_gets_nothing)
{
	prepare_open("[bundle]\nbudget = 1cpu\n" TASK("a") "9s\n" TASK("b") "9s\n", "equal");
	governor_seat(governor, 0, 0);
	governor_seat(governor, 1, 0);
	ck_assert_int_eq(governor_slot(governor, 0, 0, NULL), 0);
	ck_assert_uint_eq(machine.granted_ns[0], SECOND / 2);
	governor_pause(governor, 0, SECOND / 2, true);
	governor_pause(governor, 0, SECOND / 2, true); /* once */
	ck_assert_int_eq(governor_give_on(governor, SECOND / 2, NULL), 0);
	ck_assert_uint_eq(machine.granted_ns[0], 0);
	ck_assert_int_eq(governor_slot(governor, SECOND, 0, NULL), 0);
	ck_assert_uint_eq(machine.granted_ns[0], 0);
	ck_assert_uint_eq(machine.slot.n_tasks, 2);
	ck_assert_int_eq(machine.rows[1].why, WHY_PAUSED);
	ck_assert(status_of(0).is_paused);
	ck_assert_double_eq_tol(machine.share_cpus[1], 1, 1e-9);
	governor_pause(governor, 0, SECOND, false);
	ck_assert_int_eq(governor_slot(governor, 2 * SECOND, 0, NULL), 0);
	ck_assert_double_eq_tol(machine.share_cpus[0], 0.5, 1e-9);
	ck_assert_ptr_nonnull(strstr(machine.events, "paused: paused"));
	ck_assert_ptr_eq(
		strstr(strstr(machine.events, "paused: paused") + 1, "paused: paused"), NULL);
	ck_assert_ptr_nonnull(strstr(machine.events, "resumed: "));

	/* Who is to stop needs CPU time for it. */
	governor_pause(governor, 1, 2 * SECOND, true);
	governor_cancel_task(governor, 1, 2 * SECOND, STOP_ASK);
	ck_assert(!status_of(1).is_paused);
	governor_pause(governor, 1, 2 * SECOND, true);
	ck_assert_int_eq(governor_slot(governor, 3 * SECOND, 0, NULL), 0);
	ck_assert_uint_gt(machine.granted_ns[1], 0);
}
END_TEST

START_TEST(who_has_no_target_runs_on_leftovers)
{
	prepare_open("[bundle]\nbudget = 2cpu\n" TASK("a") "9s\n" TASK(
			     "b") "9s\nthreads = 4\n" TASK("c") "9s\nthreads = 4\n",
		"fifo");
	bundle->tasks[1].is_background = bundle->tasks[2].is_background = true;
	for (uint32_t task = 3; task-- > 0;)
		governor_seat(governor, task, 0);
	ck_assert_int_eq(governor_slot(governor, 0, 0, NULL), 0);
	ck_assert_double_eq_tol(machine.share_cpus[0], 1, 1e-9);
	ck_assert_double_eq_tol(machine.share_cpus[1], 0.5, 1e-9);
	ck_assert_double_eq_tol(machine.share_cpus[2], 0.5, 1e-9);
	governor_retarget(governor, 2, SECOND / 2, /* is_other_metric= */ false);
	ck_assert_int_eq(governor_slot(governor, SECOND, 0, NULL), 0);
	ck_assert_double_eq_tol(machine.share_cpus[1], 0, 1e-9);
	ck_assert_double_eq_tol(machine.share_cpus[2], 1, 1e-9);
}
END_TEST

START_TEST(every_task_has_the_floor)
{
	prepare_open("[bundle]\nbudget = 1cpu\n" TASK("a") "9s\n" TASK("b") "8s\n", "edf");
	governor_seat(governor, 0, 0);
	governor_seat(governor, 1, 0);
	governor_set_floor(governor, 0.1);
	ck_assert_int_eq(governor_slot(governor, 0, 0, NULL), 0);
	ck_assert_double_eq_tol(machine.share_cpus[1], 0.9, 1e-9);
	ck_assert_double_eq_tol(machine.share_cpus[0], 0.1, 1e-9);
	/* As much of it as there is. */
	governor_set_floor(governor, 5);
	ck_assert_int_eq(governor_slot(governor, SECOND, 0, NULL), 0);
	ck_assert_double_eq_tol(machine.share_cpus[1], 0.5, 1e-9);
	ck_assert_double_eq_tol(machine.share_cpus[0], 0.5, 1e-9);
}
END_TEST

START_TEST(no_party_has_more_than_its_cap)
{
	static const double caps[] = {0.6, INFINITY, 0.2};

	prepare_open("[bundle]\nbudget = 2cpu\n" TASK("a") "6s\n" TASK("b") "7s\n" TASK(
			     "c") "8s\n" TASK("d") "9s\n",
		"edf");
	bundle->tasks[2].party = 1;
	bundle->tasks[3].party = 2;
	for (uint32_t task = 0; task < 4; task++)
		governor_seat(governor, task, 0);
	ck_assert_int_eq(governor_slot(governor, 0, 0, NULL), 0);
	ck_assert_double_eq_tol(machine.share_cpus[0] + machine.share_cpus[1], 2, 1e-9);
	governor_set_caps(governor, caps, 3);
	ck_assert_int_eq(governor_slot(governor, SECOND, 0, NULL), 0);
	/* What the first may not have goes on, as far as the caps of the others. */
	ck_assert_double_eq_tol(machine.share_cpus[0] + machine.share_cpus[1], 0.6, 1e-6);
	ck_assert_double_eq_tol(machine.share_cpus[2], 1, 1e-6);
	ck_assert_double_eq_tol(machine.share_cpus[3], 0.2, 1e-6);
	ck_assert_uint_le(machine.granted_ns[0] + machine.granted_ns[1], 6 * SECOND / 10 + 1000);

	/* On leftovers, too. */
	bundle->tasks[3].is_background = true;
	governor_cancel_task(governor, 3, SECOND, STOP_KILL);
	governor_task_ended(governor, 3, SECOND, &(struct task_end){.exit_status = 0});
	governor_vacate(governor, 3);
	governor_seat(governor, 3, SECOND);
	ck_assert_int_eq(governor_slot(governor, 2 * SECOND, 0, NULL), 0);
	ck_assert_double_eq_tol(machine.share_cpus[3], 0.2, 1e-6);
}
END_TEST

/* Else a user could have what he likes by tasks that do not end when they are told to. */
START_TEST(who_stops_is_within_the_cap_of_its_party)
{
	static const double caps[] = {0.06, INFINITY};

	prepare_open("[bundle]\nbudget = 4cpu\n" TASK("a") "1s\non-deadline = stop\n" TASK(
			     "b") "1s\non-deadline = stop\n" TASK("c") "9s\n" TASK("d") "9s\nthread"
											"s = 4\n",
		"equal");
	bundle->tasks[3].party = 1;
	governor_set_caps(governor, caps, 2);
	for (uint32_t task = 0; task < 4; task++)
		governor_seat(governor, task, 0);
	ck_assert_int_eq(governor_slot(governor, 0, 0, NULL), 0);
	ck_assert_int_eq(governor_slot(governor, SECOND, 0, NULL), 0);
	ck_assert_int_eq(phase_of(0), PHASE_STOPPING);
	ck_assert_int_eq(phase_of(1), PHASE_STOPPING);
	/* A fifth of the cap is theirs, as a fifth of the budget would be. */
	ck_assert_double_eq_tol(machine.share_cpus[0], 0.006, 1e-6);
	ck_assert_double_eq_tol(machine.share_cpus[1], 0.006, 1e-6);
	ck_assert_double_eq_tol(machine.share_cpus[2], 0.048, 1e-6);
	ck_assert_double_eq_tol(machine.share_cpus[3], 3.94, 1e-6);
}
END_TEST

START_TEST(the_policy_is_changed_between_two_decisions)
{
	prepare_open("[bundle]\nbudget = 1cpu\n" TASK("a") "9s\n" TASK("b") "5s\n", "equal");
	governor_seat(governor, 0, 0);
	governor_seat(governor, 1, 0);
	ck_assert_int_eq(governor_slot(governor, 0, 0, NULL), 0);
	ck_assert_double_eq_tol(machine.share_cpus[0], 0.5, 1e-9);
	ck_assert_int_eq(governor_set_policy(governor, policy_find("edf"), NULL, NULL), 0);
	ck_assert_int_eq(governor_give_on(governor, SECOND / 2, NULL), 0);
	ck_assert_double_eq_tol(machine.share_cpus[0], 0, 1e-9);
	ck_assert_double_eq_tol(machine.share_cpus[1], 1, 1e-9);
}
END_TEST

/* `core` by what it thinks that a task needs which has not reported: that part of its window, hardly more or
 * less. What a needs of its 100 s and b of its 91 s fits into the rest of them with 0.3, and a is due first;
 * with 0.6 it does not fit, and b needs less. */
static void unseen_parameters(double part, double ret_values[])
{
	const struct policy *core = policy_find("core");

	policy_parameter_values(core, NULL, ret_values);
	ret_values[policy_parameter_find(core, "unseen-spread") - core->parameters] = 0.1;
	ret_values[policy_parameter_find(core, "unseen-part") - core->parameters] = part;
}

START_TEST(parameters_are_changed_between_two_decisions)
{
	double values[POLICY_PARAMETERS_MAX];

	prepare_open("[bundle]\nbudget = 1cpu\n" TASK("a") "100s\n" TASK("b") "101s\nbegin = 10s\n",
		"core");
	governor_seat(governor, 0, 0);
	governor_seat(governor, 1, 10 * SECOND);
	unseen_parameters(0.3, values);
	ck_assert_int_eq(governor_set_policy(governor, policy_find("core"), values, NULL), 0);
	ck_assert_int_eq(governor_slot(governor, 10 * SECOND, 0, NULL), 0);
	ck_assert_double_eq_tol(machine.share_cpus[0], 1, 1e-9);
	unseen_parameters(0.6, values);
	ck_assert_int_eq(governor_set_policy(governor, policy_find("core"), values, NULL), 0);
	unseen_parameters(0.3, values); /* not kept */
	ck_assert_int_eq(governor_give_on(governor, 10 * SECOND, NULL), 0);
	ck_assert_double_eq_tol(machine.share_cpus[0], 0, 1e-9);
	ck_assert_double_eq_tol(machine.share_cpus[1], 1, 1e-9);
	ck_assert_int_eq(phase_of(0), PHASE_ALIVE);
}
END_TEST

static Suite *governor_suite(void)
{
	Suite *suite = suite_create("governor");
	TCase *tcase = tcase_create("governor");

	tcase_add_checked_fixture(tcase, NULL, tear_down);
	tcase_add_test(tcase, the_budget_is_lowered_last_and_raised_first);
	tcase_add_test(tcase, a_budget_that_fell_is_set_though_a_grant_failed);
	tcase_add_test(tcase, nothing_is_raised_under_a_budget_that_could_not);
	tcase_add_test(tcase, slots_that_were_missed_have_passed);
	tcase_add_test(tcase, a_slot_is_late_after_a_tenth_of_it);
	tcase_add_test(tcase, what_an_ended_task_used_is_excess_too);
	tcase_add_test(tcase, a_dry_run_holds_nothing_against_a_task);
	tcase_add_test(tcase, strangers_are_counted_between_slots_too);
	tcase_add_test(tcase, a_meter_that_fails_is_told_once);
	tcase_add_test(tcase, what_the_meter_missed_is_told_when_it_doubles);
	tcase_add_test(tcase, stopping_takes_its_steps);
	tcase_add_test(tcase, who_has_no_page_is_not_asked);
	tcase_add_test(tcase, all_that_stop_get_a_fifth_at_most);
	tcase_add_test(tcase, a_target_counts_when_it_was_met);
	tcase_add_test(tcase, a_target_met_too_late_is_missed);
	tcase_add_test(tcase, how_a_task_ends);
	tcase_add_test(tcase, a_task_that_cannot_start_has_failed);
	tcase_add_test(tcase, threads_are_advised_for_the_share);
	tcase_add_test(tcase, excess_adds_up);
	tcase_add_test(tcase, little_excess_is_no_event);
	tcase_add_test(tcase, what_a_fork_costs_is_no_event);
	tcase_add_test(tcase, a_share_is_given_on_once);
	tcase_add_test(tcase, who_speaks_through_the_page_is_asked_to_stop);
	tcase_add_test(tcase, an_end_at_the_deadline_is_in_time);
	tcase_add_test(tcase, a_stamp_outside_the_two_readings);
	tcase_add_test(tcase, the_best_is_finite_and_best);
	tcase_add_test(tcase, what_one_cannot_use_the_other_gets);
	tcase_add_test(tcase, nothing_is_taken_from_who_cannot_be_read);
	tcase_add_test(tcase, nothing_is_given_on_where_it_is_reserved);
	tcase_add_test(tcase, in_simulated_time_a_share_stays);
	tcase_add_test(tcase, a_sleeper_that_is_to_stop_has_all_its_threads);
	tcase_add_test(tcase, what_is_given_on_is_judged_by_the_time_it_was_there);
	tcase_add_test(tcase, an_open_governor_begins_empty);
	tcase_add_test(tcase, a_task_that_comes_has_its_grant_at_once);
	tcase_add_test(tcase, a_task_that_is_to_begin_later_waits_in_its_seat);
	tcase_add_test(tcase, a_seat_is_used_again);
	tcase_add_test(tcase, another_governor_goes_on);
	tcase_add_test(tcase, a_deadline_that_is_moved_counts);
	tcase_add_test(tcase, threads_that_nobody_has_said_are_found_out);
	tcase_add_test(tcase, a_change_may_come_as_late_as_the_deadline);
	tcase_add_test(tcase, a_target_that_is_moved_counts);
	tcase_add_test(tcase, another_metric_begins_anew);
	tcase_add_test(tcase, who_is_paused_gets_nothing);
	tcase_add_test(tcase, who_has_no_target_runs_on_leftovers);
	tcase_add_test(tcase, every_task_has_the_floor);
	tcase_add_test(tcase, no_party_has_more_than_its_cap);
	tcase_add_test(tcase, who_stops_is_within_the_cap_of_its_party);
	tcase_add_test(tcase, the_policy_is_changed_between_two_decisions);
	tcase_add_test(tcase, parameters_are_changed_between_two_decisions);
	suite_add_tcase(suite, tcase);
	return suite;
}

int main(void)
{
	return suite_run(governor_suite());
}
