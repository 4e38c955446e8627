// SPDX-License-Identifier: GPL-2.0-or-later
#include "feasible.h"

#include <string.h>

#include "suite.h"
#include "views.h"

/* The condition against what it stands for: a flow from the tasks through whole seconds to the CPUs,
 * all in whole numbers, so that augmenting one unit at a time finds the largest. */

#define N_SECONDS 8
#define N_TASKS 5

struct flow {
	int left_task[N_TASKS]; /* of its amount, not given yet */
	int room[N_TASKS][N_SECONDS], given[N_TASKS][N_SECONDS];
	int left_second[N_SECONDS];
	bool is_tried[N_TASKS];
};

/* Finds one more unit for the task, moving units of others where a second is full. */
static bool give_one(struct flow *flow, int task)
{
	if (flow->is_tried[task])
		return false;
	flow->is_tried[task] = true;
	for (int s = 0; s < N_SECONDS; s++) {
		bool found = false;

		if (flow->room[task][s] == 0)
			continue;
		if (flow->left_second[s] > 0) {
			flow->left_second[s]--;
			found = true;
		}
		for (int other = 0; other < N_TASKS && !found; other++) {
			if (other == task || flow->given[other][s] == 0 || !give_one(flow, other))
				continue;
			flow->given[other][s]--;
			flow->room[other][s]++;
			found = true;
		}
		if (found) {
			flow->given[task][s]++;
			flow->room[task][s]--;
			return true;
		}
	}
	return false;
}

static bool flows(const int amount[], const int due[], const int threads[], int cpus)
{
	struct flow flow = {0};

	for (int s = 0; s < N_SECONDS; s++)
		flow.left_second[s] = cpus;
	for (int i = 0; i < N_TASKS; i++)
		for (int s = 0; s < due[i]; s++)
			flow.room[i][s] = threads[i];
	for (int i = 0; i < N_TASKS; i++) {
		for (int unit = 0; unit < amount[i]; unit++) {
			memset(flow.is_tried, 0, sizeof(flow.is_tried));
			if (!give_one(&flow, i))
				return false;
		}
	}
	return true;
}

static int draw(uint64_t *seed, int least, int most)
{
	return least + (int)(views_uniform(seed) * (most - least + 1));
}

START_TEST(agrees_with_a_flow)
{
	struct feasible_moment moments[N_TASKS];
	struct feasible feasible;
	uint64_t seed = (uint64_t)_i;
	int amount[N_TASKS] = {0}, due[N_TASKS], threads[N_TASKS], cpus = draw(&seed, 1, 4);
	int n_refused = 0;

	for (int i = 0; i < N_TASKS; i++) {
		due[i] = draw(&seed, i == 0 ? 1 : due[i - 1], N_SECONDS);
		threads[i] = draw(&seed, 1, cpus);
	}
	feasible_init(&feasible, moments);
	for (int i = 0; i < N_TASKS; i++)
		feasible_add_moment(&feasible, due[i], cpus);
	for (int raise = 0; raise < 20; raise++) {
		int task = draw(&seed, 0, N_TASKS - 1), before = amount[task];
		bool is_feasible;

		amount[task] = draw(&seed, before, due[task] * threads[task]);
		is_feasible = feasible_raise(
			&feasible, due[task], threads[task], before, amount[task]);
		ck_assert_int_eq(is_feasible, flows(amount, due, threads, cpus));
		if (!is_feasible) {
			amount[task] = before;
			n_refused++;
		}
	}
	ck_assert_int_lt(n_refused, 20);
}
END_TEST

START_TEST(no_cpus_no_amount)
{
	struct feasible_moment moments[1];
	struct feasible feasible;

	feasible_init(&feasible, moments);
	feasible_add_moment(&feasible, 5, 0);
	ck_assert(!feasible_raise(&feasible, 5, 1, 0, 0.1));
	ck_assert(feasible_raise(&feasible, 5, 1, 0, 0));
}
END_TEST

START_TEST(the_same_moment_counts_once)
{
	struct feasible_moment moments[2];
	struct feasible feasible;

	feasible_init(&feasible, moments);
	feasible_add_moment(&feasible, 5, 1);
	feasible_add_moment(&feasible, 5, 1);
	ck_assert_uint_eq(feasible.n_moments, 1);
	ck_assert(feasible_raise(&feasible, 5, 1, 0, 3));
	ck_assert(!feasible_raise(&feasible, 5, 1, 0, 3));
	ck_assert(feasible_raise(&feasible, 5, 1, 3, 5));
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("feasible");
	TCase *tcase = tcase_create("all");

	tcase_add_loop_test(tcase, agrees_with_a_flow, 0, 200);
	tcase_add_test(tcase, no_cpus_no_amount);
	tcase_add_test(tcase, the_same_moment_counts_once);
	suite_add_tcase(suite, tcase);
	return suite_run(suite);
}
