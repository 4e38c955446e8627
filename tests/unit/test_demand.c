// SPDX-License-Identifier: GPL-2.0-or-later
#include "demand.h"

#include <math.h>
#include <string.h>

#include "nsec.h"
#include "suite.h"

/* What a task can use, in situations played by hand: each slot is one second, and a slot is a line of
 * a table. Then what holds whatever a meter says. */

#define SLOT_NS NSEC_PER_SEC
#define N_MAX 16

static uint64_t seconds(double s)
{
	return (uint64_t)llround(s * (double)NSEC_PER_SEC);
}

/* A second in which it had `granted` CPUs all the time. */
static struct demand_sample second(double granted, double used, double wait, uint32_t n_runnable)
{
	return (struct demand_sample){
		.elapsed_ns = SLOT_NS,
		.given_ns = granted > 0 ? SLOT_NS : 0,
		.granted_ns = seconds(granted),
		.used_ns = seconds(used),
		.has_wait = wait >= 0,
		.wait_ns = wait >= 0 ? seconds(wait) : 0,
		.n_runnable = n_runnable,
	};
}

#define NOT_KNOWN -1

struct line {
	double granted, used, wait; /* wait NOT_KNOWN: a meter without it */
	uint32_t n_runnable;
	double usable; /* afterwards */
};

static void play(double threads, const struct line lines[], size_t n)
{
	struct demand demand;

	demand_init(&demand, threads, /* is_guess= */ false);
	ck_assert_double_eq(demand.usable_cpus, threads);
	for (size_t i = 0; i < n; i++) {
		const struct line *line = &lines[i];
		struct demand_sample sample = second(
			line->granted, line->used, line->wait, line->n_runnable);

		demand_observe(&demand, &sample);
		ck_assert_msg(fabs(demand.usable_cpus - line->usable) < 0.0006,
			"line %zu: %.4f CPUs, not %.4f", i + 1, demand.usable_cpus, line->usable);
	}
}

#define PLAY(threads, ...)                                              \
	do {                                                            \
		const struct line lines[] = {__VA_ARGS__};              \
		play(threads, lines, sizeof(lines) / sizeof(lines[0])); \
	} while (0)
/* Three slots in which a task sleeps, and is not believed. */
#define LOADS(threads, wait)                                \
	{1, 0, wait, 0, threads}, {1, 0, wait, 0, threads}, \
	{                                                   \
		1, 0, wait, 0, threads                      \
	}

START_TEST(a_busy_task_keeps_its_threads)
{
	PLAY(1, LOADS(1, 0), {0.5, 0.5, 0.5, 1, 1}, {0.1, 0.1, 0.9, 1, 1}, {1, 1, 0, 1, 1});
	PLAY(1, LOADS(1, NOT_KNOWN), {0.5, 0.5, NOT_KNOWN, 0, 1}, {0.1, 0.095, NOT_KNOWN, 0, 1});
	/* Threads that spin are busy; more of them than `threads` change nothing. */
	PLAY(2, LOADS(2, 0), {0.5, 0.5, 7.5, 8, 2}, {2, 2, 6, 8, 2});
}
END_TEST

START_TEST(a_sleeper_falls_to_the_floor)
{
	PLAY(1, LOADS(1, 0), {1, 0, 0, 0, 0.645}, {1, 0, 0, 0, 0.3325}, {1, 0, 0, 0, 0.17625},
		{1, 0, 0, 0, 0.0981}, {1, 0, 0, 0, 0.0591}, {1, 0, 0, 0, 0.0395});
	PLAY(1, LOADS(1, NOT_KNOWN), {1, 0, NOT_KNOWN, 0, 1}, {1, 0, NOT_KNOWN, 0, 0.52},
		{1, 0, NOT_KNOWN, 0, 0.27}, {1, 0, NOT_KNOWN, 0, 0.145});
}
END_TEST

START_TEST(a_slot_of_reading_files_costs_half_a_share)
{
	PLAY(1, LOADS(1, 0), {1, 1, 0, 1, 1}, {1, 0, 0, 0, 0.645}, {0.645, 0.6, 0.4, 1, 1});
}
END_TEST

/* 3 s of computing, 2 s of waiting for a disk, and again. */
START_TEST(pauses_cost_one_slot)
{
	PLAY(1, LOADS(1, 0), {1, 1, 0, 1, 1}, {1, 0, 0, 0, 0.645}, {0.6, 0, 0, 1, 1},
		{1, 1, 0, 1, 1}, {1, 1, 0, 1, 1}, {1, 1, 0, 0, 1}, {1, 0, 0, 0, 0.645},
		{0.6, 0, 0, 0, 0.3325}, {0.3, 0.29, 0.71, 1, 1});
}
END_TEST

START_TEST(who_wakes_has_its_threads_in_the_next_slot)
{
	/* Just before the slot ended: it has run for nothing yet. */
	PLAY(1, LOADS(1, 0), {1, 0, 0, 0, 0.645}, {1, 0, 0, 0, 0.3325}, {1, 0, 0, 0, 0.17625},
		{0.2, 0, 0.001, 1, 1}, {1, 1, 0, 1, 1});
	/* In the middle of it, held back by a small share. */
	PLAY(1, LOADS(1, 0), {1, 0, 0, 0, 0.645}, {1, 0, 0, 0, 0.3325}, {1, 0, 0, 0, 0.17625},
		{0.02, 0.01, 0.49, 1, 0.645}, {0.6, 0.6, 0.4, 1, 1});
	/* Held back until it slept again. */
	PLAY(1, LOADS(1, 0), {1, 0, 0, 0, 0.645}, {1, 0, 0, 0, 0.3325}, {1, 0, 0, 0, 0.17625},
		{0.02, 0.02, 0.48, 0, 0.645});
	/* A meter without waiting: once it has used up what it had. */
	PLAY(1, LOADS(1, NOT_KNOWN), {1, 0, NOT_KNOWN, 0, 1}, {1, 0, NOT_KNOWN, 0, 0.52},
		{0.3, 0.15, NOT_KNOWN, 0, 0.42}, {0.3, 0.3, NOT_KNOWN, 0, 1});
	/* And sleeps again: what was believed for once is not remembered. */
	PLAY(1, LOADS(1, 0), {1, 0, 0, 0, 0.645}, {1, 0, 0, 0, 0.3325}, {0.3, 0, 0, 1, 1},
		{1, 0, 0, 0, 0.0981});
}
END_TEST

START_TEST(half_a_cpu_is_half_a_cpu_and_a_margin)
{
	PLAY(1, LOADS(1, 0), {1, 0.5, 0, 0, 1}, {1, 0.5, 0, 0, 0.8013}, {0.8, 0.5, 0, 0, 0.8013},
		{0.8, 0.5, 0, 0, 0.6841}, {0.7, 0.5, 0, 0, 0.6841}, {0.7, 0.5, 0, 0, 0.6841});
	/* In bursts that were cut: what waited counts. */
	PLAY(1, LOADS(1, 0), {0.7, 0.4, 0.3, 0, 1}, {0.7, 0.4, 0.3, 1, 1});
	/* Without knowing: who may have been held back by others is left twice as much. */
	PLAY(1, LOADS(1, NOT_KNOWN), {1, 0.2, NOT_KNOWN, 0, 1}, {1, 0.2, NOT_KNOWN, 0, 0.82},
		{0.8, 0.2, NOT_KNOWN, 0, 0.62}, {0.6, 0.2, NOT_KNOWN, 0, 0.52});
}
END_TEST

START_TEST(who_waits_longer_than_it_runs_gets_no_more_for_it)
{
	/* A tenth of a second in small pieces, each behind a busy task; the share was enough. */
	PLAY(1, LOADS(1, 0), {0.5, 0.05, 0.6, 0, 0.7075}, {0.5, 0.05, 0.6, 0, 0.4263});
}
END_TEST

START_TEST(sixty_four_threads_awake_for_a_moment)
{
	/* Together for 10 ms a second, behind each other on two CPUs; then met by chance. */
	PLAY(2, LOADS(2, 0), {2, 0.64, 9, 0, 2}, {2, 0.64, 9, 0, 2}, {2, 0.64, 9, 0, 1.7325},
		{1.7, 0.64, 9, 64, 2});
}
END_TEST

START_TEST(who_is_frozen_is_forgotten)
{
	PLAY(1, LOADS(1, 0), {1, 0, 0, 0, 0.645}, {1, 0, 0, 0, 0.3325}, {0, 0, 0, 0, 0.8013},
		{0, 0, 0, 0, 1});
	/* Frozen before it was ever seen. */
	PLAY(1, {0, 0, 0, 0, 1}, {0, 0, 0, 0, 1}, LOADS(1, 0), {1, 0, 0, 0, 0.645});
}
END_TEST

START_TEST(a_grant_for_part_of_a_slot)
{
	struct demand_sample sample = second(1, 0.25, 0, 0);
	struct demand demand;

	demand_init(&demand, 1, /* is_guess= */ false);
	for (int i = 0; i < 3; i++)
		demand_observe(&demand, &sample);
	/* Half of the slot: half a CPU of the one that it had. */
	sample.given_ns = SLOT_NS / 2;
	sample.granted_ns = SLOT_NS / 2;
	for (int i = 0; i < 30; i++)
		demand_observe(&demand, &sample);
	ck_assert_double_eq_tol(demand.usable_cpus, 1.25 * 0.5 + 0.02, 0.07);
	/* Less than that says nothing. */
	sample.given_ns = SLOT_NS / 2 - 1;
	for (int i = 0; i < 30; i++)
		demand_observe(&demand, &sample);
	ck_assert_double_eq(demand.usable_cpus, 1);
}
END_TEST

static double uniform(unsigned *seed)
{
	return rand_r(seed) / (RAND_MAX + 1.0);
}

static struct demand_sample random_sample(unsigned *seed, bool has_wait)
{
	static const double sizes[] = {0, 1e-9, 0.001, 0.02, 0.5, 1, 3, 1e9};
	double granted = sizes[rand_r(seed) % 8];

	return (struct demand_sample){
		.elapsed_ns = seconds(sizes[rand_r(seed) % 8]),
		.given_ns = seconds(sizes[rand_r(seed) % 8]),
		.granted_ns = seconds(granted * uniform(seed)),
		.used_ns = seconds(sizes[rand_r(seed) % 8] * uniform(seed)),
		.has_wait = has_wait,
		.wait_ns = has_wait ? seconds(sizes[rand_r(seed) % 8] * uniform(seed)) : 0,
		.n_runnable = has_wait ? (uint32_t)rand_r(seed) >> (rand_r(seed) % 32) : 0,
	};
}

START_TEST(always_something_never_more_than_threads)
{
	static const double threads[] = {1e-6, 0.02, 0.5, 1, 2.5, 4096};
	unsigned seed = (unsigned)_i;
	struct demand demand;

	demand_init(&demand, threads[_i % 6], /* is_guess= */ false);
	for (int slot = 0; slot < 2000; slot++) {
		struct demand_sample sample = random_sample(&seed, rand_r(&seed) % 2);

		demand_observe(&demand, &sample);
		ck_assert(demand.usable_cpus > 0);
		ck_assert(demand.usable_cpus <= demand.threads);
		ck_assert(demand.level_cpus >= 0 && demand.level_cpus <= demand.threads);
	}
}
END_TEST

/* Whatever a task has done before: one that wants all it can get has it after two slots, by a meter
 * that knows of waiting after one. `share` is what others leave it at most. */
START_TEST(who_wants_it_has_it)
{
	unsigned seed = (unsigned)_i;
	bool has_wait = _i % 2 == 0;
	double threads = _i % 4 < 2 ? 1 : 4, share = 0.01 + uniform(&seed) * 2;
	struct demand demand;

	demand_init(&demand, threads, /* is_guess= */ false);
	for (int slot = 0; slot < 200; slot++) {
		struct demand_sample sample = random_sample(&seed, has_wait);

		demand_observe(&demand, &sample);
	}
	for (int slot = 0; slot < 6; slot++) {
		double granted = fmin(share, demand.usable_cpus);
		/* The kernel gives a little less or more than the grant. */
		double used = fmin(granted * (0.93 + 0.1 * uniform(&seed)), threads);
		struct demand_sample sample = second(granted, used,
			has_wait ? threads - used : NOT_KNOWN, has_wait ? (uint32_t)threads : 0);

		demand_observe(&demand, &sample);
		ck_assert_double_eq(demand.usable_cpus, threads);
	}
}
END_TEST

/* Whatever it has done before: one that wants this much gets that, and no more than the margin. */
START_TEST(who_wants_less_has_less_in_the_end)
{
	unsigned seed = (unsigned)_i;
	double wants = uniform(&seed), margin = _i % 2 == 0 ? 1.25 : 2;
	struct demand demand;

	demand_init(&demand, 1, /* is_guess= */ false);
	for (int slot = 0; slot < 200; slot++) {
		struct demand_sample sample = random_sample(&seed, _i % 2 == 0);

		demand_observe(&demand, &sample);
	}
	for (int slot = 0; slot < 40; slot++) {
		struct demand_sample sample = second(demand.usable_cpus,
			fmin(wants, demand.usable_cpus),
			_i % 2 == 0 ? fmax(wants - demand.usable_cpus, 0) : NOT_KNOWN, 0);

		demand_observe(&demand, &sample);
	}
	ck_assert_double_ge(demand.usable_cpus, fmin(margin * wants + 0.0199, 1));
	ck_assert_double_le(demand.usable_cpus, (margin * wants + 0.0201) / 0.9);
}
END_TEST

/* Threads that nobody has said: eight are there. */
struct guess_line {
	double granted, used, wait;
	double usable, counted; /* afterwards */
};

static void play_guess(const struct guess_line lines[], size_t n)
{
	struct demand demand;

	demand_init(&demand, 8, /* is_guess= */ true);
	ck_assert_double_eq(demand.usable_cpus, 8);
	ck_assert_double_eq(demand.counted_cpus, 1);
	for (size_t i = 0; i < n; i++) {
		const struct guess_line *line = &lines[i];
		struct demand_sample sample = second(line->granted, line->used, line->wait, 1);

		demand_observe(&demand, &sample);
		ck_assert_msg(fabs(demand.usable_cpus - line->usable) < 0.006 &&
				fabs(demand.counted_cpus - line->counted) < 0.006,
			"line %zu: %.4f CPUs, counted on for %.4f", i + 1, demand.usable_cpus,
			demand.counted_cpus);
	}
}

#define PLAY_GUESS(...)                                                 \
	do {                                                            \
		static const struct guess_line lines[] = {__VA_ARGS__}; \
		play_guess(lines, sizeof(lines) / sizeof(lines[0]));    \
	} while (0)

START_TEST(one_thread_is_found_out)
{
	/* clang-format off */
	PLAY_GUESS({8, 1, 0, 8, 1},
		{8, 1, 0, 8, 1},
		{8, 1, 0, 8, 1},
		/* Half-way down in each slot, and not above the next whole thread. */
		{8, 1, 0, 5, 1},
		{5, 1, 0, 3, 1},
		{3, 1, 0, 2, 1},
		{2, 1, 0, 2, 1},
		{2, 1, 0, 1.543, 1},
		{1.5, 1, 0, 1.543, 1},
		{1.5, 1, 0, 1.338, 1},
		/* From 1.05 on it is one, and what one thread cannot use it is not offered. */
		{1.3, 1, 0, 1, 1},
		{1, 1, 0.01, 1, 1.01},
		/* A second one shows at once, in what it waits. */
		{1, 1, 1, 2, 2});
	/* clang-format on */
}
END_TEST

START_TEST(many_threads_are_counted_on_as_soon_as_they_are_seen)
{
	/* clang-format off */
	PLAY_GUESS({0.5, 0.5, 3.5, 8, 4},
		{0.5, 0.5, 3.5, 8, 4},
		{0.5, 0.5, 3.5, 8, 4},
		/* And forgotten slowly. */
		{0.5, 0.5, 0.5, 5, 3.8125},
		{0.5, 0, 0, 2.832, 3.6367});
	/* clang-format on */
}
END_TEST

START_TEST(without_a_meter_that_knows_waiting)
{
	/* clang-format off */
	PLAY_GUESS({8, 1, NOT_KNOWN, 8, 1},
		{8, 1, NOT_KNOWN, 8, 1},
		{8, 1, NOT_KNOWN, 8, 1},
		{8, 1, NOT_KNOWN, 5.645, 1},
		{5.6, 1, NOT_KNOWN, 3.457, 1},
		{3.4, 1, NOT_KNOWN, 2.364, 1},
		{2.3, 1, NOT_KNOWN, 1.817, 1},
		{1.8, 1, NOT_KNOWN, 1.543, 1},
		/* What it uses up may be less than it could use: all again, and no fewer counted on. */
		{1.5, 1.5, NOT_KNOWN, 8, 1.5},
		{1, 1, NOT_KNOWN, 8, 1.5});
	/* clang-format on */
}
END_TEST

/* Busy on one CPU it does not swing, whatever the meter knows: it keeps between a CPU and a third more. */
START_TEST(a_busy_thread_settles)
{
	struct demand demand;

	demand_init(&demand, 8, /* is_guess= */ true);
	for (int i = 0; i < 100; i++) {
		double granted = demand.usable_cpus;
		struct demand_sample sample = second(
			granted, fmin(granted, 1), _i == 0 ? NOT_KNOWN : 0, 1);

		demand_observe(&demand, &sample);
		if (i < 20)
			continue;
		ck_assert_double_ge(demand.usable_cpus, 1);
		ck_assert_double_le(demand.usable_cpus, 1.42);
		ck_assert_double_eq_tol(demand.counted_cpus, 1, 1e-9);
	}
}
END_TEST

static Suite *demand_suite(void)
{
	Suite *suite = suite_create("demand");
	TCase *tcase = tcase_create("demand");

	tcase_add_test(tcase, a_busy_task_keeps_its_threads);
	tcase_add_test(tcase, one_thread_is_found_out);
	tcase_add_test(tcase, many_threads_are_counted_on_as_soon_as_they_are_seen);
	tcase_add_test(tcase, without_a_meter_that_knows_waiting);
	tcase_add_loop_test(tcase, a_busy_thread_settles, 0, 2);
	tcase_add_test(tcase, a_sleeper_falls_to_the_floor);
	tcase_add_test(tcase, a_slot_of_reading_files_costs_half_a_share);
	tcase_add_test(tcase, pauses_cost_one_slot);
	tcase_add_test(tcase, who_wakes_has_its_threads_in_the_next_slot);
	tcase_add_test(tcase, half_a_cpu_is_half_a_cpu_and_a_margin);
	tcase_add_test(tcase, who_waits_longer_than_it_runs_gets_no_more_for_it);
	tcase_add_test(tcase, sixty_four_threads_awake_for_a_moment);
	tcase_add_test(tcase, who_is_frozen_is_forgotten);
	tcase_add_test(tcase, a_grant_for_part_of_a_slot);
	tcase_add_loop_test(tcase, always_something_never_more_than_threads, 0, 60);
	tcase_add_loop_test(tcase, who_wants_it_has_it, 0, 200);
	tcase_add_loop_test(tcase, who_wants_less_has_less_in_the_end, 0, 200);
	suite_add_tcase(suite, tcase);
	return suite;
}

int main(void)
{
	return suite_run(demand_suite());
}
