// SPDX-License-Identifier: GPL-2.0-or-later
#include "policy.h"

#include <math.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>

#include "count_allocations.h"
#include "suite.h"
#include "views.h"

/* What every policy must hold, over random views and the corners; and what each of the plain ones
 * decides, worked by hand. Memory that a plan asks for is counted. */

#define SECOND UINT64_C(1000000000)
#define N_TASKS 1000
#define N_SEEDS 60
#define N_CORNERS 500
#define N_EXTREMES 300
#define SEEDS_A_RUN 10 /* of a loop: a process for each would take longer than what it tries */

static double shares[N_TASKS];
static enum why why[N_TASKS];

static void plan(const struct policy *policy, struct policy_state *state, const struct views *views)
{
	size_t before;

	for (uint32_t i = 0; i < N_TASKS; i++) {
		shares[i] = NAN;
		why[i] = _WHY_MAX;
	}
	before = n_allocations;
	policy->plan(state, &views->view, shares, why);
	ck_assert_uint_eq(n_allocations, before);
}

/* One plan by a policy without a past. */
static void plan_afresh(const char *name, const struct views *views)
{
	const struct policy *policy = policy_find(name);
	struct policy_state *state;

	ck_assert_ptr_nonnull(policy);
	state = views_state(views, policy);
	plan(policy, state, views);
	policy->free(state);
}

/* Condition (1), the contract of policy.h; returns what is given in all. */
static double check_shares(const struct policy *policy, const struct views *views)
{
	double sum = 0;

	for (uint32_t i = 0; i < views->view.n_tasks; i++) {
		ck_assert(shares[i] >= 0); /* not nan either */
		ck_assert(shares[i] <=
			(policy->has_reserve ? views->tasks[i].threads : views->tasks[i].usable));
		ck_assert_int_lt((int)why[i], _WHY_MAX);
		sum += shares[i];
	}
	ck_assert_double_le(sum, views->view.budget_cpus + 1e-9);
	return sum;
}

static double usable(const struct views *views)
{
	double sum = 0;

	for (uint32_t i = 0; i < views->view.n_tasks; i++)
		sum += views->tasks[i].usable;
	return fmin(sum, views->view.budget_cpus);
}

static void expect(const double want_shares[], const enum why want_why[], uint32_t n)
{
	for (uint32_t i = 0; i < n; i++) {
		ck_assert_double_eq_tol(shares[i], want_shares[i], 1e-12);
		ck_assert_str_eq(why_to_string(why[i]), why_to_string(want_why[i]));
	}
}

/* Nothing is left that can be used, and the same view has the same plan. */
static void check_contract(
	const struct policy *policy, struct policy_state *state, const struct views *views)
{
	double sum, again[N_TASKS];

	plan(policy, state, views);
	sum = check_shares(policy, views);
	if (!policy->has_reserve)
		ck_assert_double_eq_tol(sum, usable(views), 1e-9);
	memcpy(again, shares, sizeof(again));
	plan(policy, state, views);
	ck_assert_mem_eq(again, shares, sizeof(again));
}

static void try_every_policy(uint64_t seed)
{
	static const uint32_t sizes[] = {0, 1, 2, 5, 20, N_TASKS};
	struct views views;

	views_random(&views, sizes[seed % 6], seed);
	if (seed % 2 == 1)
		views_random_usable(&views, seed);
	for (const struct policy *const *policy = policies; *policy; policy++) {
		struct policy_state *state = views_state(&views, *policy);

		check_contract(*policy, state, &views);
		(*policy)->free(state);
	}
	views_done(&views);
}

START_TEST(every_policy_holds_the_contract)
{
	for (uint64_t i = 0; i < SEEDS_A_RUN; i++)
		try_every_policy((uint64_t)_i * SEEDS_A_RUN + i);
}
END_TEST

/* Reports that no training makes, but a broken one: the largest numbers there are, the smallest, the same ones,
 * at once. */
static void try_extreme_reports(uint64_t seed)
{
	static const double values[] = {
		0, -0.0, 1, -1, 1e18, 1e308, -1e308, 5e-324, -5e-324, 1e-300, 1 + 1e-15, 0.5};
	const double n_values = sizeof(values) / sizeof(values[0]);
	struct views views;

	views_init(&views, 20);
	for (uint32_t i = 0; i < 20; i++) {
		struct policy_task *task = &views.tasks[i];
		uint32_t n = (uint32_t)exp(5 * views_uniform(&seed));
		uint32_t n_kinds = 1 + (uint32_t)(views_uniform(&seed) * n_values);
		uint64_t step_ns = (uint64_t)exp(25 * views_uniform(&seed));

		task->target = values[(int)(views_uniform(&seed) * n_values)];
		task->is_raised = views_uniform(&seed) < 0.3;
		for (uint32_t r = 0; r < n; r++)
			history_add(&views.histories[i], r * step_ns,
				values[(int)(views_uniform(&seed) * n_kinds)]);
		task->cpu_ns = n * step_ns;
	}
	views.view.budget_cpus = 4 * views_uniform(&seed);
	for (const struct policy *const *policy = policies; *policy; policy++) {
		struct policy_state *state = views_state(&views, *policy);

		check_contract(*policy, state, &views);
		(*policy)->free(state);
	}
	views_done(&views);
}

START_TEST(extreme_reports_hold_the_contract)
{
	for (uint64_t i = 0; i < SEEDS_A_RUN; i++)
		try_extreme_reports((uint64_t)_i * SEEDS_A_RUN + i);
}
END_TEST

/* A share belongs to a task, wherever the view has it and whatever numbers the bundle gave out. */
static void try_orders(uint64_t seed)
{
	static const char *const names[] = {"core", "edf", "edf-drop", "equal", "fixed", "srpt"};
	struct views views;
	double first[30];
	enum why first_why[30];
	const uint32_t n = 30;

	views_random(&views, n, seed);
	views_random_usable(&views, seed);
	for (size_t p = 0; p < sizeof(names) / sizeof(names[0]); p++) {
		plan_afresh(names[p], &views);
		memcpy(first, shares, sizeof(first));
		memcpy(first_why, why, sizeof(first_why));
		for (uint32_t i = 0; i < n / 2; i++) {
			struct policy_task swap = views.tasks[i];

			views.tasks[i] = views.tasks[n - 1 - i];
			views.tasks[n - 1 - i] = swap;
		}
		for (uint32_t i = 0; i < n; i++)
			views.tasks[i].id = n - 1 - views.tasks[i].id;
		plan_afresh(names[p], &views);
		for (uint32_t i = 0; i < n; i++) {
			ck_assert_double_eq_tol(shares[i], first[n - 1 - i], 1e-12);
			ck_assert_int_eq((int)why[i], (int)first_why[n - 1 - i]);
		}
	}
	views_done(&views);
}

START_TEST(order_of_input_does_not_matter)
{
	for (uint64_t i = 0; i < SEEDS_A_RUN; i++)
		try_orders((uint64_t)_i * SEEDS_A_RUN + i);
}
END_TEST

/* What a policy reserves does not depend on what can be used of it. */
static void try_reserves(uint64_t seed)
{
	double first[30];
	struct views views;

	views_random(&views, 30, seed);
	for (const struct policy *const *policy = policies; *policy; policy++) {
		if (!(*policy)->has_reserve)
			continue;
		for (uint32_t i = 0; i < 30; i++)
			views.tasks[i].usable = views.tasks[i].threads;
		plan_afresh((*policy)->name, &views);
		memcpy(first, shares, sizeof(first));
		views_random_usable(&views, seed);
		plan_afresh((*policy)->name, &views);
		ck_assert_mem_eq(first, shares, sizeof(first));
	}
	views_done(&views);
}

START_TEST(who_reserves_gives_nothing_on)
{
	for (uint64_t i = 0; i < SEEDS_A_RUN; i++)
		try_reserves((uint64_t)_i * SEEDS_A_RUN + i);
}
END_TEST

START_TEST(what_cannot_be_used_goes_to_the_next)
{
	struct views views;

	views_init(&views, 3);
	views.tasks[0].usable = 0.02;
	views.view.budget_cpus = 1;
	plan_afresh("equal", &views);
	expect((double[]){0.02, 0.49, 0.49}, (enum why[]){WHY_EQUAL, WHY_EQUAL, WHY_EQUAL}, 3);
	plan_afresh("fifo", &views);
	expect((double[]){0.02, 0.98, 0}, (enum why[]){WHY_FIRST, WHY_REST, WHY_NONE_LEFT}, 3);
	plan_afresh("edf", &views);
	expect((double[]){0.02, 0.98, 0}, (enum why[]){WHY_FIRST, WHY_REST, WHY_NONE_LEFT}, 3);
	plan_afresh("exclusive", &views);
	expect((double[]){1, 0, 0}, (enum why[]){WHY_FIRST, WHY_NONE_LEFT, WHY_NONE_LEFT}, 3);
	plan_afresh("fixed", &views);
	ck_assert_double_eq_tol(shares[0], 1.0 / 3, 1e-12);
	plan_afresh("core", &views);
	ck_assert_double_eq_tol(shares[0], 0.02, 1e-12);
	ck_assert_double_eq_tol(shares[0] + shares[1] + shares[2], 1, 1e-12);
	views_done(&views);
}
END_TEST

START_TEST(no_budget_no_share)
{
	struct views views;

	views_random(&views, 20, 3);
	views.view.budget_cpus = 0;
	for (const struct policy *const *policy = policies; *policy; policy++) {
		plan_afresh((*policy)->name, &views);
		ck_assert_double_eq(check_shares(*policy, &views), 0);
	}
	views_done(&views);
}
END_TEST

START_TEST(free_takes_null)
{
	for (const struct policy *const *policy = policies; *policy; policy++)
		(*policy)->free(NULL);
}
END_TEST

START_TEST(names_are_sorted_and_found)
{
	for (const struct policy *const *policy = policies; *policy; policy++) {
		ck_assert_ptr_eq(policy_find((*policy)->name), *policy);
		ck_assert_uint_gt(strlen((*policy)->summary), 0);
		if (policy != policies)
			ck_assert_str_lt(policy[-1]->name, (*policy)->name);
	}
	ck_assert_ptr_null(policy_find("nonsense"));
	ck_assert_ptr_null(policy_find(""));
	for (int i = 0; i < _WHY_MAX; i++)
		ck_assert_uint_gt(strlen(why_to_string((enum why)i)), 0);
}
END_TEST

/* A name is a key of a file, and where its value stands in an array is where it stands in the table. */
START_TEST(parameters_are_sound_and_found)
{
	for (const struct policy *const *policy = policies; *policy; policy++) {
		uint32_t n = policy_n_parameters(*policy);

		ck_assert_uint_le(n, POLICY_PARAMETERS_MAX);
		for (uint32_t i = 0; i < n; i++) {
			const struct policy_parameter *parameter = &(*policy)->parameters[i];
			size_t length = strlen(parameter->name);

			ck_assert_uint_gt(length, 0);
			ck_assert_uint_eq(
				strspn(parameter->name, "abcdefghijklmnopqrstuvwxyz-"), length);
			ck_assert_int_eq(parameter->summary[strlen(parameter->summary) - 1], '.');
			ck_assert_ptr_nonnull(parameter->unit);
			ck_assert_double_lt(parameter->least, parameter->most);
			ck_assert(policy_parameter_allows(parameter, parameter->usual));
			ck_assert_ptr_eq(
				policy_parameter_find(*policy, parameter->name), parameter);
		}
		ck_assert_ptr_null(policy_parameter_find(*policy, "nonsense"));
		ck_assert_ptr_null(policy_parameter_find(*policy, ""));
	}
	ck_assert_uint_eq(policy_n_parameters(policy_find("core")), 11);
	ck_assert_uint_eq(policy_n_parameters(policy_find("edf")), 0);
}
END_TEST

START_TEST(a_range_has_its_ends)
{
	const struct policy_parameter parameter = {.least = -1, .most = 2, .usual = 0};

	ck_assert(policy_parameter_allows(&parameter, -1));
	ck_assert(policy_parameter_allows(&parameter, 2));
	ck_assert(!policy_parameter_allows(&parameter, nextafter(-1, -2)));
	ck_assert(!policy_parameter_allows(&parameter, nextafter(2, 3)));
	ck_assert(!policy_parameter_allows(&parameter, INFINITY));
	ck_assert(!policy_parameter_allows(&parameter, NAN));
}
END_TEST

START_TEST(who_says_nothing_has_the_usual_parameters)
{
	const struct policy *core = policy_find("core"), *edf = policy_find("edf");
	const struct policy_parameter *part = policy_parameter_find(core, "capacity-part");
	double values[POLICY_PARAMETERS_MAX], again[POLICY_PARAMETERS_MAX];

	policy_parameter_values(core, NULL, values);
	for (uint32_t i = 0; i < policy_n_parameters(core); i++)
		ck_assert_double_eq(values[i], core->parameters[i].usual);
	ck_assert(policy_parameters_are_same(core, NULL, values));
	policy_parameter_values(core, values, again);
	ck_assert_mem_eq(values, again, sizeof(values));
	values[part - core->parameters] = 0.5;
	ck_assert(!policy_parameters_are_same(core, NULL, values));
	ck_assert(!policy_parameters_are_same(core, values, again));
	ck_assert(policy_parameters_are_same(core, values, values));
	/* Of others there is nothing that could differ. */
	policy_parameter_values(edf, values, again);
	ck_assert_double_eq(again[0], 0);
	ck_assert(policy_parameters_are_same(edf, NULL, values));
}
END_TEST

START_TEST(a_value_outside_its_range_is_no_parameter)
{
	const struct policy *core = policy_find("core");
	double values[POLICY_PARAMETERS_MAX];
	struct views views;

	views_init(&views, 1);
	policy_parameter_values(core, NULL, values);
	values[_i / 2] = _i % 2 == 0 ? core->parameters[_i / 2].most + 0.01 : NAN;
	(void)views_state_with(&views, core, values);
}
END_TEST

/* Each parameter at either end of its range. The first of these have them all at the same, then one alone
 * is at an end, then any are. */
static void choose_corner(const struct policy *policy, uint64_t number, double ret_values[])
{
	uint32_t n = policy_n_parameters(policy);
	uint64_t seed = number;

	policy_parameter_values(policy, NULL, ret_values);
	for (uint32_t i = 0; i < n; i++) {
		const struct policy_parameter *parameter = &policy->parameters[i];
		bool is_alone = number >= 2 && number < 2 + 2 * POLICY_PARAMETERS_MAX;
		bool is_most = number < 2 || is_alone ? number % 2 == 1
						      : views_uniform(&seed) < 0.5;

		if (!is_alone || i == (number - 2) / 2)
			ret_values[i] = is_most ? parameter->most : parameter->least;
	}
}

static void try_corner(uint64_t seed)
{
	static const uint32_t sizes[] = {1, 2, 5, 20, 50};
	struct views views;

	views_random(&views, sizes[seed % 5], seed);
	if (seed % 2 == 1)
		views_random_usable(&views, seed);
	for (const struct policy *const *policy = policies; *policy; policy++) {
		double values[POLICY_PARAMETERS_MAX];
		struct policy_state *state;

		choose_corner(*policy, seed, values);
		state = views_state_with(&views, *policy, values);
		check_contract(*policy, state, &views);
		(*policy)->free(state);
	}
	views_done(&views);
}

START_TEST(extreme_parameters_hold_the_contract)
{
	for (uint64_t i = 0; i < SEEDS_A_RUN; i++)
		try_corner((uint64_t)_i * SEEDS_A_RUN + i);
}
END_TEST

START_TEST(equal_fills_evenly_up_to_the_threads)
{
	struct views views;

	views_init(&views, 4);
	views_threads(&views, 1, 0.5);
	views_threads(&views, 2, 4);
	views_threads(&views, 3, 4);
	views.view.budget_cpus = 5;
	plan_afresh("equal", &views);
	expect((double[]){1, 0.5, 1.75, 1.75},
		(enum why[]){WHY_EQUAL, WHY_EQUAL, WHY_EQUAL, WHY_EQUAL}, 4);
	views.view.budget_cpus = 1.9; /* 0.475 each: nobody is cut */
	plan_afresh("equal", &views);
	for (int i = 0; i < 4; i++)
		ck_assert_double_eq_tol(shares[i], 0.475, 1e-12);
	views.view.budget_cpus = 100;
	plan_afresh("equal", &views);
	for (int i = 0; i < 4; i++)
		ck_assert_double_eq_tol(shares[i], views.tasks[i].threads, 1e-12);
	views_done(&views);
}
END_TEST

/* Or they would be rounded to different grants. */
START_TEST(equal_is_equal_to_the_last_bit)
{
	struct views views;

	views_init(&views, 99);
	views_threads(&views, 7, 0.003);
	views.view.budget_cpus = 0.7;
	plan_afresh("equal", &views);
	for (int i = 1; i < 99; i++)
		ck_assert(i == 7 || memcmp(&shares[i], &shares[0], sizeof(shares[0])) == 0);
	views_done(&views);
}
END_TEST

START_TEST(fixed_counts_the_absent)
{
	struct views views;

	views_init(&views, 4);
	views_threads(&views, 1, 0.25);
	views.view.n_tasks = 2;
	views.view.budget_cpus = 2;
	plan_afresh("fixed", &views);
	expect((double[]){0.5, 0.25}, (enum why[]){WHY_FIXED, WHY_FIXED}, 2);
	views_done(&views);
}
END_TEST

START_TEST(fifo_goes_by_arrival)
{
	struct views views;

	views_init(&views, 4);
	views.tasks[0].deadline_ns = 90 * SECOND;
	views.tasks[3].deadline_ns = 20 * SECOND;
	views_threads(&views, 1, 0.5);
	views.view.budget_cpus = 2.2;
	plan_afresh("fifo", &views);
	expect((double[]){1, 0.5, 0.7, 0},
		(enum why[]){WHY_FIRST, WHY_FIRST, WHY_REST, WHY_NONE_LEFT}, 4);
	views_done(&views);
}
END_TEST

START_TEST(edf_goes_by_deadline_then_name)
{
	struct views views;

	views_init(&views, 4);
	views.tasks[3].deadline_ns = 20 * SECOND;
	views.tasks[1].begin_ns = 5 * SECOND; /* as due as t0000 and t0002, named between them */
	views.view.budget_cpus = 2.5;
	plan_afresh("edf", &views);
	expect((double[]){1, 0.5, 0, 1},
		(enum why[]){WHY_FIRST, WHY_REST, WHY_NONE_LEFT, WHY_FIRST}, 4);
	views_done(&views);
}
END_TEST

START_TEST(exclusive_leaves_cpus_idle)
{
	struct views views;

	views_init(&views, 3);
	views_threads(&views, 0, 1.5);
	views.view.budget_cpus = 2;
	plan_afresh("exclusive", &views);
	expect((double[]){1.5, 0, 0}, (enum why[]){WHY_FIRST, WHY_NONE_LEFT, WHY_NONE_LEFT}, 3);
	views_done(&views);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("policies");
	TCase *tcase = tcase_create("all");

	tcase_add_loop_test(tcase, every_policy_holds_the_contract, 0, N_SEEDS / SEEDS_A_RUN);
	tcase_add_loop_test(tcase, extreme_reports_hold_the_contract, 0, N_EXTREMES / SEEDS_A_RUN);
	tcase_add_loop_test(tcase, order_of_input_does_not_matter, 0, N_SEEDS / SEEDS_A_RUN);
	tcase_add_loop_test(tcase, who_reserves_gives_nothing_on, 0, N_SEEDS / SEEDS_A_RUN);
	tcase_add_test(tcase, what_cannot_be_used_goes_to_the_next);
	tcase_add_test(tcase, no_budget_no_share);
	tcase_add_test(tcase, free_takes_null);
	tcase_add_test(tcase, names_are_sorted_and_found);
	tcase_add_test(tcase, parameters_are_sound_and_found);
	tcase_add_test(tcase, a_range_has_its_ends);
	tcase_add_test(tcase, who_says_nothing_has_the_usual_parameters);
	tcase_add_loop_test_raise_signal(tcase, a_value_outside_its_range_is_no_parameter, SIGABRT,
		0, 2 * (int)policy_n_parameters(policy_find("core")));
	tcase_add_loop_test(
		tcase, extreme_parameters_hold_the_contract, 0, N_CORNERS / SEEDS_A_RUN);
	tcase_add_test(tcase, equal_fills_evenly_up_to_the_threads);
	tcase_add_test(tcase, equal_is_equal_to_the_last_bit);
	tcase_add_test(tcase, fixed_counts_the_absent);
	tcase_add_test(tcase, fifo_goes_by_arrival);
	tcase_add_test(tcase, edf_goes_by_deadline_then_name);
	tcase_add_test(tcase, exclusive_leaves_cpus_idle);
	suite_add_tcase(suite, tcase);
	return suite_run(suite);
}
