// SPDX-License-Identifier: GPL-2.0-or-later
#include "optimum.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "bootstrap.h"
#include "suite.h"

/* kappa* against an independent search: all sets of jobs, each judged by the cut condition over all sets of
 * intervals, in whole numbers. Times are half seconds and rates half CPUs there, so that much is tied and
 * much fits exactly. */

#define HALF_S UINT64_C(500000000)
#define N_BUNDLES 1000
#define JOBS_MAX 9
#define MOMENTS 8 /* half seconds 0 .. 7 */
#define N_NODES 20000

static struct fault fault;

static struct optimum find(const struct optimum_job jobs[], size_t n_jobs,
	const struct optimum_budget budget[], size_t n_steps, bool ret_is_chosen[])
{
	struct optimum optimum;
	int r = optimum_find(
		jobs, n_jobs, budget, n_steps, N_NODES, &optimum, ret_is_chosen, &fault);

	ck_assert_msg(r == 0, "%s", fault.text);
	return optimum;
}

/* How many, where it is proved. */
static size_t best(const struct optimum_job jobs[], size_t n_jobs, double cpus)
{
	struct optimum_budget budget = {.cpus = cpus};
	struct optimum optimum = find(jobs, n_jobs, &budget, 1, /* ret_is_chosen= */ NULL);

	ck_assert_uint_eq(optimum.n_best, optimum.n_bound);
	return optimum.n_best;
}

struct bundle_in_halves {
	size_t n_jobs, n_steps;
	struct optimum_job jobs[JOBS_MAX];
	struct optimum_budget budget[3];
	/* Of each half second: amounts in units of half a CPU for half a second. */
	int room[MOMENTS - 1], most[JOBS_MAX][MOMENTS - 1];
	int need[JOBS_MAX]; /* -1: never */
};

static int draw(uint64_t *seed, int n)
{
	return (int)(bootstrap_next(seed) % (uint64_t)n);
}

static void make(struct bundle_in_halves *bundle, uint64_t seed)
{
	int rates[MOMENTS - 1];

	*bundle = (struct bundle_in_halves){
		.n_jobs = 1 + (size_t)draw(&seed, JOBS_MAX),
		.n_steps = 1 + (size_t)draw(&seed, 3),
	};
	for (size_t i = 0; i < bundle->n_steps; i++)
		bundle->budget[i] = (struct optimum_budget){
			.from_ns = 2 * i * HALF_S,
			.cpus = draw(&seed, 5) * 0.5,
		};
	for (size_t t = 0; t < MOMENTS - 1; t++) {
		size_t step = t / 2 < bundle->n_steps ? t / 2 : bundle->n_steps - 1;

		rates[t] = (int)(2 * bundle->budget[step].cpus);
		bundle->room[t] = rates[t];
	}
	for (size_t k = 0; k < bundle->n_jobs; k++) {
		int begin = draw(&seed, MOMENTS - 1);
		int deadline = begin + 1 + draw(&seed, MOMENTS - 1 - begin);
		int threads = 1 + draw(&seed, 4);

		bundle->need[k] = draw(&seed, 10) == 0 ? -1 : 1 + draw(&seed, 6);
		bundle->jobs[k] = (struct optimum_job){
			.begin_ns = (uint64_t)begin * HALF_S,
			.deadline_ns = (uint64_t)deadline * HALF_S,
			.need_ns = bundle->need[k] < 0 ? UINT64_MAX
						       : (uint64_t)bundle->need[k] * HALF_S / 2,
			.threads = threads * 0.5,
		};
		for (int t = begin; t < deadline; t++)
			bundle->most[k][t] = threads < rates[t] ? threads : rates[t];
	}
}

/* For every set of intervals: what must go there because it does not fit elsewhere is no more than there is. */
static bool can_all_be_done(const struct bundle_in_halves *bundle, unsigned set)
{
	for (unsigned there = 0; there < 1U << (MOMENTS - 1); there++) {
		int must = 0, room = 0;

		for (unsigned t = 0; t < MOMENTS - 1; t++)
			room += there >> t & 1 ? bundle->room[t] : 0;
		for (unsigned k = 0; k < bundle->n_jobs; k++) {
			int rest = bundle->need[k];

			if (!(set >> k & 1))
				continue;
			if (rest < 0)
				return false;
			for (unsigned t = 0; t < MOMENTS - 1; t++)
				rest -= there >> t & 1 ? 0 : bundle->most[k][t];
			must += rest > 0 ? rest : 0;
		}
		if (must > room)
			return false;
	}
	return true;
}

static size_t count(unsigned set)
{
	return (size_t)__builtin_popcount(set);
}

static size_t search_all(const struct bundle_in_halves *bundle)
{
	size_t most = 0;

	for (unsigned set = 0; set < 1U << bundle->n_jobs; set++)
		if (count(set) > most && can_all_be_done(bundle, set))
			most = count(set);
	return most;
}

START_TEST(is_what_trying_all_finds)
{
	size_t n_between = 0;

	for (uint64_t seed = (uint64_t)_i * 100; seed < (uint64_t)_i * 100 + 100; seed++) {
		struct bundle_in_halves bundle;
		bool is_chosen[JOBS_MAX];
		struct optimum optimum;
		unsigned set = 0;

		make(&bundle, seed);
		optimum = find(
			bundle.jobs, bundle.n_jobs, bundle.budget, bundle.n_steps, is_chosen);
		ck_assert_uint_eq(optimum.n_best, search_all(&bundle));
		ck_assert_uint_eq(optimum.n_bound, optimum.n_best);
		for (unsigned k = 0; k < bundle.n_jobs; k++)
			set |= (unsigned)is_chosen[k] << k;
		ck_assert_uint_eq(count(set), optimum.n_best);
		ck_assert(can_all_be_done(&bundle, set));
		n_between += optimum.n_best > 0 && optimum.n_best < bundle.n_jobs;
	}
	ck_assert_uint_gt(n_between, 30); /* they are not all easy */
}
END_TEST

START_TEST(nothing_is_nothing)
{
	struct optimum_job never = {.deadline_ns = HALF_S, .need_ns = UINT64_MAX, .threads = 1};
	struct optimum_job one = {.deadline_ns = HALF_S, .need_ns = 1, .threads = 1};

	ck_assert_uint_eq(best(NULL, 0, 1), 0);
	ck_assert_uint_eq(best(&never, 1, 1), 0);
	ck_assert_uint_eq(best(&one, 1, 0), 0);
	ck_assert_uint_eq(best(&one, 1, 1), 1);
}
END_TEST

/* Three of a third each fit into a second to the nanosecond; one nanosecond more is too much. */
START_TEST(a_nanosecond_counts)
{
	struct optimum_job jobs[4];

	for (size_t k = 0; k < 4; k++)
		jobs[k] = (struct optimum_job){
			.deadline_ns = 999999999, .need_ns = 333333333, .threads = 1};
	ck_assert_uint_eq(best(jobs, 4, 1), 3);
	for (size_t k = 0; k < 4; k++)
		jobs[k].need_ns++;
	ck_assert_uint_eq(best(jobs, 4, 1), 2);
	/* As much in a million seconds. */
	for (size_t k = 0; k < 4; k++) {
		jobs[k].deadline_ns = 3 * UINT64_C(333333333333333);
		jobs[k].need_ns = UINT64_C(333333333333333);
	}
	ck_assert_uint_eq(best(jobs, 4, 1), 3);
	jobs[1].need_ns++;
	jobs[2].need_ns++;
	jobs[3].need_ns++;
	ck_assert_uint_eq(best(jobs, 4, 1), 2);
}
END_TEST

/* The shortest of the first three stands in the way of both others, so who takes it first has one of them; and
 * of the last three, which need a nanosecond too much each, floating point would have all. */
START_TEST(rounding_is_found_out)
{
	struct optimum_job jobs[6] = {
		{.begin_ns = HALF_S, .deadline_ns = 3 * HALF_S, .need_ns = 900000000, .threads = 1},
		{.begin_ns = 0, .deadline_ns = 2 * HALF_S, .need_ns = 2 * HALF_S, .threads = 1},
		{.begin_ns = 2 * HALF_S,
			.deadline_ns = 4 * HALF_S,
			.need_ns = 2 * HALF_S,
			.threads = 1},
	};

	for (size_t k = 3; k < 6; k++)
		jobs[k] = (struct optimum_job){.begin_ns = 10 * HALF_S,
			.deadline_ns = 10 * HALF_S + 999999999,
			.need_ns = 333333334,
			.threads = 1};
	ck_assert_uint_eq(best(jobs, 6, 1), 4);
}
END_TEST

/* Whose threads do not let it have all before its deadline, though there is as much. */
START_TEST(threads_are_a_limit)
{
	struct optimum_job jobs[2] = {
		{.deadline_ns = 2 * HALF_S, .need_ns = 2 * HALF_S, .threads = 1},
		{.deadline_ns = 2 * HALF_S, .need_ns = 2 * HALF_S + 1, .threads = 1},
	};

	ck_assert_uint_eq(best(jobs, 2, 4), 1);
	jobs[1].threads = 1.5;
	ck_assert_uint_eq(best(jobs, 2, 4), 2);
}
END_TEST

/* Amounts that are no 64-bit number of nanoseconds. */
START_TEST(years_of_many_cpus)
{
	struct optimum_job jobs[3];

	for (size_t k = 0; k < 3; k++)
		jobs[k] = (struct optimum_job){.deadline_ns = UINT64_C(4) << 60,
			.need_ns = UINT64_C(1) << 57,
			.threads = 1e6};
	jobs[2].need_ns = UINT64_MAX;
	ck_assert_uint_eq(best(jobs, 3, 1e6), 2);
	ck_assert_uint_eq(best(jobs, 3, 1), 2);
}
END_TEST

/* Two hundred with times of their own: no answer, at once. */
START_TEST(too_many_for_a_search)
{
	struct optimum_job jobs[200];
	struct optimum_budget budget = {.cpus = 1};

	for (size_t k = 0; k < 200; k++)
		jobs[k] = (struct optimum_job){.begin_ns = k * HALF_S,
			.deadline_ns = (k + 50) * HALF_S + k,
			.need_ns = 10 * HALF_S,
			.threads = 1};
	ck_assert_uint_eq(find(jobs, 200, &budget, 1, /* ret_is_chosen= */ NULL).n_bound, 200);
}
END_TEST

/* Moore (1968) on one CPU, and too many for the table: no answer is better than none in hours. */
START_TEST(many)
{
	static struct optimum_job jobs[10000];
	struct optimum_budget budget = {.cpus = 1};
	struct optimum optimum;

	for (size_t k = 0; k < 10000; k++)
		jobs[k] = (struct optimum_job){.begin_ns = k * HALF_S,
			.deadline_ns = (k + 2) * HALF_S,
			.need_ns = 2 * HALF_S,
			.threads = 1};
	optimum = find(jobs, 10000, &budget, 1, /* ret_is_chosen= */ NULL);
	ck_assert_uint_eq(optimum.n_best, 0);
	ck_assert_uint_eq(optimum.n_bound, 10000);
	/* Each needs its whole window, and overlaps with the next: every second one. */
	ck_assert_uint_eq(best(jobs, 100, 1), 50);
	/* All due at once, the shortest first: 1 + 2 + ... + 13 is 91, 14 more would be above 100. */
	for (size_t k = 0; k < 100; k++)
		jobs[k] = (struct optimum_job){
			.deadline_ns = 100 * HALF_S, .need_ns = (k + 1) * HALF_S, .threads = 1};
	ck_assert_uint_eq(best(jobs, 100, 1), 13);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("optimum");
	TCase *tcase = tcase_create("all");

	tcase_set_timeout(tcase, 120);
	tcase_add_loop_test(tcase, is_what_trying_all_finds, 0, N_BUNDLES / 100);
	tcase_add_test(tcase, nothing_is_nothing);
	tcase_add_test(tcase, a_nanosecond_counts);
	tcase_add_test(tcase, rounding_is_found_out);
	tcase_add_test(tcase, threads_are_a_limit);
	tcase_add_test(tcase, years_of_many_cpus);
	tcase_add_test(tcase, too_many_for_a_search);
	tcase_add_test(tcase, many);
	suite_add_tcase(suite, tcase);
	return suite_run(suite);
}
