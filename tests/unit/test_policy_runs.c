// SPDX-License-Identifier: GPL-2.0-or-later
#include "policy.h"

#include <float.h>
#include <math.h>
#include <string.h>

#include "count_allocations.h"
#include "suite.h"
#include "views.h"

/* What every policy must hold in slot after slot: tasks come, end and are replaced, budgets change, and what is
 * reported is anything that a double can be. Policies that remember see their memory tried. */

#define N_BUNDLE 12
#define N_SLOTS 150
#define SECOND UINT64_C(1000000000)

static double wild_value(uint64_t *seed)
{
	static const double values[] = {
		0, 1, -1, 1e300, -1e300, DBL_MAX, -DBL_MAX, DBL_MIN, 5e-324, 1e-12, INFINITY, NAN};

	return values[(size_t)(views_uniform(seed) * (sizeof(values) / sizeof(values[0])))];
}

/* What a task reports, of a kind for each: wild, one value for ever, falling below zero, a power law, noise, and
 * nothing (or nothing after the first). */
static void report(struct views *views, uint32_t id, uint64_t cpu_ns, uint64_t *seed)
{
	struct history *history = &views->histories[id];
	double s = (double)cpu_ns * 1e-9;

	switch (id % 7) {
	case 0:
		history_add(history, cpu_ns, wild_value(seed));
		break;
	case 1:
		history_add(history, cpu_ns, 1e300);
		break;
	case 2:
		history_add(history, cpu_ns, 3 - s);
		break;
	case 3:
		history_add(history, cpu_ns, pow(s, -0.5));
		break;
	case 4:
		history_add(history, cpu_ns, views_uniform(seed));
		break;
	case 5:
		if (history->n_reports == 0)
			history_add(history, cpu_ns, 7);
		break;
	default:
		break;
	}
}

/* Who is alive: each for some slots, twice with the same id. */
static bool is_alive(uint32_t id, uint64_t slot)
{
	return (slot + 13 * id) % 60 < 20 + 3 * id;
}

static void run(const struct policy *policy, uint64_t run_number)
{
	struct policy_task alive[N_BUNDLE];
	double shares[N_BUNDLE], again[N_BUNDLE];
	enum why why[N_BUNDLE];
	bool was_alive[N_BUNDLE] = {false};
	uint64_t seed = run_number * 7919 + 1;
	struct policy_state *state;
	struct views views;

	views_init(&views, N_BUNDLE);
	views.view.tasks = alive;
	state = views_state(&views, policy);
	for (uint64_t slot = 0; slot < N_SLOTS; slot++) {
		double sum = 0, usable = 0;
		uint32_t n = 0;
		size_t before;

		for (uint32_t id = 0; id < N_BUNDLE; id++) {
			struct policy_task *task = &views.tasks[id];

			if (is_alive(id, slot) && !was_alive[id]) {
				if (policy->forget)
					policy->forget(state, id);
				memset(&views.histories[id], 0, sizeof(views.histories[id]));
				task->cpu_ns = 0;
				task->begin_ns = slot * SECOND;
				task->deadline_ns = (slot + 40) * SECOND;
				task->target = id % 5 == 0 ? 1e300 : views_uniform(&seed) - 0.3;
				task->is_raised = (id + run_number) % 3 == 0;
				views_threads(&views, id, id % 4 == 0 ? 0.3 : 2);
			}
			was_alive[id] = is_alive(id, slot);
			if (was_alive[id]) {
				usable += task->usable;
				alive[n++] = *task;
			}
		}
		views.view.n_tasks = n;
		views.view.slot = slot;
		views.view.now_ns = slot * SECOND;
		views.view.budget_cpus = slot % 17 == 3 ? 0 : 3 * views_uniform(&seed);
		before = n_allocations;
		policy->plan(state, &views.view, shares, why);
		ck_assert_uint_eq(n_allocations, before);
		for (uint32_t i = 0; i < n; i++) {
			ck_assert_msg(shares[i] >= 0, "%s", policy->name); /* not nan either */
			ck_assert(shares[i] <=
				(policy->has_reserve ? alive[i].threads : alive[i].usable));
			ck_assert_int_lt((int)why[i], _WHY_MAX);
			sum += shares[i];
		}
		ck_assert_double_le(sum, views.view.budget_cpus + 1e-9);
		if (!policy->has_reserve)
			ck_assert_double_eq_tol(sum, fmin(usable, views.view.budget_cpus), 1e-9);
		policy->plan(state, &views.view, again, why);
		ck_assert_mem_eq(again, shares, n * sizeof(shares[0]));
		for (uint32_t i = 0; i < n; i++) {
			struct policy_task *task = &views.tasks[alive[i].id];
			uint64_t used_ns = (uint64_t)(shares[i] * 1e9);

			for (uint64_t part = 1; part <= 3 && used_ns > 0; part++)
				report(&views, task->id, task->cpu_ns + used_ns * part / 3, &seed);
			task->cpu_ns += used_ns;
		}
	}
	policy->free(state);
	views_done(&views);
}

START_TEST(every_policy_holds_the_contract_in_time)
{
	for (const struct policy *const *policy = policies; *policy; policy++)
		run(*policy, (uint64_t)_i);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("policy_runs");
	TCase *tcase = tcase_create("all");

	tcase_add_loop_test(tcase, every_policy_holds_the_contract_in_time, 0, 20);
	suite_add_tcase(suite, tcase);
	return suite_run(suite);
}
