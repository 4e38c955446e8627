// SPDX-License-Identifier: GPL-2.0-or-later
#include "forecast.h"

#include <float.h>
#include <math.h>
#include <string.h>

#include "suite.h"
#include "views.h"

static struct views views;
static struct policy_task *task;
static struct history *history;
static struct forecast forecast;
static struct forecast_unseen guess; /* before a report */

static void set_up(void)
{
	views_init(&views, 1);
	task = &views.tasks[0];
	history = &views.histories[0];
	guess = (struct forecast_unseen){.part = 0.18, .spread = 1.6, .chance = 0.875};
}

static void tear_down(void)
{
	views_done(&views);
}

static void make(void)
{
	forecast_make(task, &guess, &forecast);
	ck_assert_uint_ge(forecast.n_points, 1);
	ck_assert_uint_le(forecast.n_points, FORECAST_POINTS_MAX);
	for (uint32_t i = 0; i < forecast.n_points; i++) {
		ck_assert(isfinite(forecast.need_s[i]) && isfinite(forecast.chance[i]));
		ck_assert(forecast.need_s[i] > (i > 0 ? forecast.need_s[i - 1] : 0));
		ck_assert(forecast.chance[i] >= (i > 0 ? forecast.chance[i - 1] : 0));
		ck_assert_double_le(forecast.chance[i], 1 + 1e-9);
	}
}

/* The chance that `more_s` of CPU time from now are enough. */
static double chance_of(double more_s)
{
	double need_s[FORECAST_POINTS_MAX], chance[FORECAST_POINTS_MAX];
	uint32_t n = forecast_from_now(
		&forecast, (double)task->cpu_ns * 1e-9, more_s, need_s, chance);

	for (uint32_t i = 0; i < n; i++) {
		ck_assert(need_s[i] > (i > 0 ? need_s[i - 1] : 0));
		ck_assert_double_le(need_s[i], more_s);
		ck_assert(chance[i] >= (i > 0 ? chance[i - 1] : 0) && chance[i] <= 1 + 1e-9);
	}
	return n > 0 ? chance[n - 1] : 0;
}

START_TEST(random_histories_are_sound)
{
	struct views many;

	views_random(&many, 20, (uint64_t)_i);
	for (uint32_t i = 0; i < 20; i++) {
		*task = many.tasks[i];
		make();
		(void)chance_of(10);
	}
	views_done(&many);
}
END_TEST

static const double awful[][4] = {
	{0, 0, 0, 0},
	{1, 1, 1, 1},
	{-1, -1, -1, -1},
	{DBL_MAX, -DBL_MAX, DBL_MAX, -DBL_MAX},
	{DBL_MIN, -DBL_MIN, DBL_MIN, 0},
	{1e300, 1e200, 1e100, 1},
	{0.5, 0.5, 0.5, 0.5}, /* the target itself */
	{0, 1, 2, 3},
	{1e-300, 1e-301, 1e-302, 1e-303},
};
#define N_AWFUL ((int)(sizeof(awful) / sizeof(awful[0])))

START_TEST(awful_histories_are_sound)
{
	static const double targets[] = {0.5, 0, -1, DBL_MAX, -DBL_MAX, DBL_MIN};
	static const uint64_t steps_ns[] = {1, 1000000000, UINT64_C(1) << 60};

	for (int t = 0; t < 6; t++) {
		for (int s = 0; s < 3; s++) {
			memset(history, 0, sizeof(*history));
			task->target = targets[t];
			for (uint64_t i = 0; i < 4; i++) {
				history_add(history, (i + 1) * steps_ns[s], awful[_i][i]);
				task->cpu_ns = (i + 1) * steps_ns[s];
				task->is_raised = false;
				make();
				(void)chance_of(10);
				task->is_raised = true;
				make();
				(void)chance_of(10);
			}
		}
	}
}
END_TEST

START_TEST(raised_is_the_mirror_of_lowered)
{
	struct views many;
	struct forecast mirrored;

	views_random(&many, 20, (uint64_t)_i);
	for (uint32_t i = 0; i < 20; i++) {
		struct history mirror = *many.tasks[i].history;

		*task = many.tasks[i];
		make();
		mirrored = forecast;
		for (uint32_t p = 0; p < mirror.n_points; p++)
			mirror.value[p] = -mirror.value[p];
		task->target = -task->target;
		task->is_raised = !task->is_raised;
		task->history = &mirror;
		make();
		ck_assert_mem_eq(&forecast, &mirrored, sizeof(forecast));
	}
	views_done(&many);
}
END_TEST

/* Neither the unit of the loss nor that of the time is known. */
START_TEST(units_do_not_matter)
{
	struct forecast plain;

	views_reports(&views, 0, 60, 0.5, 0.3, 2, 0.7);
	make();
	plain = forecast;
	memset(history, 0, sizeof(*history));
	views_reports(&views, 0, 60, 2, 300, 2000, 0.7);
	task->target = 500;
	task->deadline_ns *= 4;
	make();
	for (uint32_t i = 0; i < forecast.n_points; i++) {
		ck_assert_double_eq_tol(forecast.need_s[i], 4 * plain.need_s[i], 1e-6);
		ck_assert_double_eq_tol(forecast.chance[i], plain.chance[i], 1e-6);
	}
}
END_TEST

/* 2 (1 + i)^-0.7 + 0.3 comes to 0.5 after 26.8 reports, half a second each. */
START_TEST(a_steady_curve_is_foreseen)
{
	views_reports(&views, 0, 15, 0.5, 0.3, 2, 0.7);
	make();
	ck_assert_double_gt(chance_of(30), 0.6);
	ck_assert_double_lt(chance_of(1), 0.2);
}
END_TEST

START_TEST(a_plateau_is_hopeless)
{
	views_reports(&views, 0, 100, 0.2, 1, 2, 2);
	make();
	ck_assert_double_lt(chance_of(20), 0.2);
}
END_TEST

/* Of 0.6 that get there and 0.4 that never do, half the odds of never leave 0.6 and 0.2: three of four. */
START_TEST(doubt_is_of_never_alone)
{
	forecast = (struct forecast){.n_points = 2, .need_s = {1, 2}, .chance = {0.2, 0.6}};
	forecast_doubt(&forecast, 0.5);
	ck_assert_double_eq_tol(forecast.chance[0], 0.25, 1e-12);
	ck_assert_double_eq_tol(forecast.chance[1], 0.75, 1e-12);
	forecast_doubt(&forecast, 2);
	ck_assert_double_eq_tol(forecast.chance[1], 0.6, 1e-12);
}
END_TEST

START_TEST(a_quantile_is_where_the_chance_is)
{
	forecast = (struct forecast){.n_points = 3, .need_s = {1, 2, 6}, .chance = {0.2, 0.6, 0.8}};
	/* Up to 2 s 0.6 are won: half of that is in the middle of the first second's 0.2 and the next's 0.4. */
	ck_assert_double_eq_tol(forecast_quantile(&forecast, 0, 2, 0.5), 1.25, 1e-12);
	ck_assert_double_eq_tol(forecast_quantile(&forecast, 0, 100, 1), 6, 1e-12);
	ck_assert_double_eq_tol(forecast_quantile(&forecast, 0, 100, 0.9), 4.4, 1e-12);
	/* After 2 s without success 0.2 of 0.4 are left to be won, evenly over 4 s. */
	ck_assert_double_eq_tol(forecast_quantile(&forecast, 2, 100, 0.5), 2, 1e-12);
	ck_assert_double_eq_tol(forecast_quantile(&forecast, 2, 2, 0.5), 1, 1e-12);
	/* Beyond all that was forecast. */
	ck_assert_double_eq_tol(forecast_quantile(&forecast, 7, 100, 0.5), 0, 1e-12);
}
END_TEST

START_TEST(nearly_there_is_near)
{
	views_reports(&views, 0, 100, 0.2, 0, 2, 0.29); /* 0.526 */
	make();
	ck_assert_double_gt(chance_of(20), 0.6);
}
END_TEST

START_TEST(a_target_met_before_needs_little)
{
	views_reports(&views, 0, 100, 0.2, 0, 2, 0.5); /* 0.2 */
	make();
	ck_assert_double_gt(chance_of(5), 0.7);
}
END_TEST

START_TEST(without_reports_the_window_speaks)
{
	make();
	ck_assert_double_eq_tol(chance_of(1e9), 0.875, 0.05);
	ck_assert_double_eq_tol(chance_of(18), 0.4375, 0.02); /* the median: .18 of 100 s */
}
END_TEST

START_TEST(what_is_guessed_can_be_said)
{
	guess = (struct forecast_unseen){.part = 0.5, .spread = 0.1, .chance = 0.6};
	make();
	ck_assert_double_eq_tol(chance_of(1e9), 0.6, 0.02);
	ck_assert_double_eq_tol(chance_of(50), 0.3, 0.02); /* the median: half of 100 s */
	ck_assert_double_lt(chance_of(35), 0.02);
}
END_TEST

START_TEST(extreme_guesses_are_sound)
{
	guess = (struct forecast_unseen){
		.part = _i & 1 ? 1 : 1e-3,
		.spread = _i & 2 ? 5 : 1e-2,
		.chance = _i & 4 ? 1 : 0,
	};
	task->deadline_ns = _i & 8 ? UINT64_MAX : 1;
	for (task->cpu_ns = 0; task->cpu_ns < UINT64_C(1) << 60;
		task->cpu_ns = 3 * task->cpu_ns + 1000000) {
		make();
		(void)chance_of(1e-3);
		(void)chance_of(1e6);
	}
}
END_TEST

/* A first report before any CPU time was used says nothing of speed. */
START_TEST(a_report_at_zero_is_no_report)
{
	struct forecast unseen;

	make();
	unseen = forecast;
	history_add(history, 0, 2);
	make();
	ck_assert_mem_eq(&forecast, &unseen, sizeof(forecast));
}
END_TEST

START_TEST(silence_lowers_the_chance)
{
	double before = 1;

	make();
	for (uint64_t cpu_s = 0; cpu_s <= 180; cpu_s += 60) {
		double now;

		task->cpu_ns = cpu_s * 1000000000;
		now = chance_of(20);
		ck_assert_double_lt(now, before);
		before = now;
	}
	ck_assert_double_lt(before, 0.15);
}
END_TEST

START_TEST(time_beyond_the_forecast_has_no_chance)
{
	make();
	task->cpu_ns = UINT64_C(1) << 62;
	ck_assert_double_eq(chance_of(20), 0);
}
END_TEST

/* The meter may lag behind the clamped stamp of the newest report. */
START_TEST(less_cpu_than_reported_is_no_time)
{
	double at_report;

	views_reports(&views, 0, 15, 0.5, 0.3, 2, 0.7);
	make();
	at_report = chance_of(20);
	task->cpu_ns = 0;
	ck_assert_double_eq(chance_of(20), at_report);
}
END_TEST

START_TEST(not_finite_reports_cost_chance)
{
	double clean;

	views_reports(&views, 0, 15, 0.5, 0.3, 2, 0.7);
	make();
	clean = chance_of(30);
	for (int i = 0; i < 16; i++)
		history_add(history, task->cpu_ns + 1, NAN);
	make();
	ck_assert_double_eq_tol(chance_of(30), clean / 2, 1e-9);
}
END_TEST

START_TEST(a_streak_takes_longer)
{
	double once;

	views_reports(&views, 0, 15, 0.5, 0.3, 2, 0.7);
	make();
	once = chance_of(8);
	task->in_a_row = 10;
	make();
	ck_assert_double_lt(chance_of(8), once);
	task->in_a_row = UINT32_MAX;
	make();
	ck_assert_double_lt(chance_of(8), 0.01);
}
END_TEST

/* What a long run says does not hang on how much of its past was kept. */
START_TEST(a_thinned_history_tells_the_same)
{
	double whole, thinned;

	views_reports(&views, 0, 500, 0.02, 0.3, 2, 0.3);
	ck_assert_uint_eq(history->n_dropped, 0);
	make();
	whole = chance_of(30);
	memset(history, 0, sizeof(*history));
	/* The same curve at five times the rate. */
	for (uint32_t i = 0; i < 2500; i++)
		history_add(history, (uint64_t)((i + 1) * 0.004 * 1e9),
			0.3 + 2 * pow(1 + i / 5.0, -0.3));
	ck_assert_uint_gt(history->n_dropped, 1000);
	make();
	thinned = chance_of(30);
	ck_assert_double_eq_tol(whole, thinned, 0.1);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("forecast");
	TCase *tcase = tcase_create("all");

	tcase_add_checked_fixture(tcase, set_up, tear_down);
	tcase_add_loop_test(tcase, random_histories_are_sound, 0, 30);
	tcase_add_loop_test(tcase, awful_histories_are_sound, 0, N_AWFUL);
	tcase_add_loop_test(tcase, raised_is_the_mirror_of_lowered, 0, 10);
	tcase_add_test(tcase, units_do_not_matter);
	tcase_add_test(tcase, a_steady_curve_is_foreseen);
	tcase_add_test(tcase, a_plateau_is_hopeless);
	tcase_add_test(tcase, nearly_there_is_near);
	tcase_add_test(tcase, a_target_met_before_needs_little);
	tcase_add_test(tcase, without_reports_the_window_speaks);
	tcase_add_test(tcase, what_is_guessed_can_be_said);
	tcase_add_loop_test(tcase, extreme_guesses_are_sound, 0, 16);
	tcase_add_test(tcase, a_report_at_zero_is_no_report);
	tcase_add_test(tcase, silence_lowers_the_chance);
	tcase_add_test(tcase, time_beyond_the_forecast_has_no_chance);
	tcase_add_test(tcase, less_cpu_than_reported_is_no_time);
	tcase_add_test(tcase, not_finite_reports_cost_chance);
	tcase_add_test(tcase, a_streak_takes_longer);
	tcase_add_test(tcase, a_thinned_history_tells_the_same);
	tcase_add_test(tcase, doubt_is_of_never_alone);
	tcase_add_test(tcase, a_quantile_is_where_the_chance_is);
	suite_add_tcase(suite, tcase);
	return suite_run(suite);
}
