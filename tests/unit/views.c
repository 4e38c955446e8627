// SPDX-License-Identifier: GPL-2.0-or-later
#include "views.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Random views come from a linear congruential generator of our own, so that a failing seed fails on
 * every machine. Times are drawn in whole seconds: equal begins and deadlines must occur. */

#define SECOND UINT64_C(1000000000)

static void *zeroed(size_t n, size_t size)
{
	void *memory = calloc(n > 0 ? n : 1, size);

	if (!memory)
		abort();
	return memory;
}

void views_init(struct views *views, uint32_t n)
{
	memset(views, 0, sizeof(*views));
	views->tasks = zeroed(n, sizeof(views->tasks[0]));
	views->histories = zeroed(n, sizeof(views->histories[0]));
	views->names = zeroed(n, sizeof(views->names[0]));
	for (uint32_t i = 0; i < n; i++) {
		snprintf(views->names[i], sizeof(views->names[i]), "t%04u", i);
		views->tasks[i] = (struct policy_task){
			.id = i,
			.name = views->names[i],
			.deadline_ns = 100 * SECOND,
			.threads = 1,
			.counted = 1,
			.usable = 1,
			.target = 0.5,
			.in_a_row = 1,
			.history = &views->histories[i],
		};
	}
	views->view = (struct policy_view){
		.slot = 10,
		.now_ns = 10 * SECOND,
		.slot_ns = SECOND,
		.budget_cpus = 1,
		.n_bundle = n,
		.n_tasks = n,
		.tasks = views->tasks,
	};
}

void views_done(struct views *views)
{
	free(views->tasks);
	free(views->histories);
	free(views->names);
}

double views_uniform(uint64_t *seed)
{
	*seed = *seed * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
	return (double)(*seed >> 11) / 9007199254740992.0;
}

static double between(uint64_t *seed, double least, double most)
{
	return least + (most - least) * views_uniform(seed);
}

void views_reports(struct views *views, uint32_t task, uint32_t n, double step_s, double level,
	double drop, double power)
{
	uint64_t cpu_ns = 0;

	for (uint32_t i = 0; i < n; i++) {
		cpu_ns = (uint64_t)((i + 1) * step_s * 1e9);
		history_add(&views->histories[task], cpu_ns, level + drop * pow(1 + i, -power));
	}
	views->tasks[task].cpu_ns = cpu_ns;
}

void views_threads(struct views *views, uint32_t task, double threads)
{
	views->tasks[task].threads = threads;
	views->tasks[task].counted = threads;
	views->tasks[task].usable = threads;
}

void views_random_usable(struct views *views, uint64_t seed)
{
	for (uint32_t i = 0; i < views->view.n_tasks; i++)
		if (views_uniform(&seed) < 0.7)
			views->tasks[i].usable = views->tasks[i].threads *
				(1 - views_uniform(&seed));
}

static void random_history(struct views *views, uint32_t task, uint64_t *seed)
{
	uint32_t n = (uint32_t)exp(between(seed, -0.5, 7));
	double level = between(seed, -1, 2), drop = between(seed, -1, 3);
	double power = between(seed, 0, 2), noise = between(seed, 0, 0.1);
	double step_s = between(seed, 0.001, 20.0 / (1 + n));
	uint64_t cpu_ns = 0;

	for (uint32_t i = 0; i < n; i++) {
		double value = level + drop * pow(1 + i, -power) + noise * between(seed, -1, 1);

		cpu_ns = (uint64_t)((i + 1) * step_s * 1e9);
		history_add(
			&views->histories[task], cpu_ns, views_uniform(seed) < 0.01 ? NAN : value);
	}
	views->tasks[task].cpu_ns = cpu_ns + (uint64_t)(between(seed, 0, 3) * 1e9);
}

static int by_begin(const void *a, const void *b)
{
	const struct policy_task *one = a, *other = b;

	if (one->begin_ns != other->begin_ns)
		return one->begin_ns < other->begin_ns ? -1 : 1;
	return strcmp(one->name, other->name);
}

void views_random(struct views *views, uint32_t n, uint64_t seed)
{
	static const double threads[] = {0.02, 0.5, 1, 1, 1, 2, 2.5, 16};

	seed = seed * 2654435761 + 12345;
	views_init(views, n);
	for (uint32_t i = 0; i < n; i++) {
		struct policy_task *task = &views->tasks[i];

		task->begin_ns = (uint64_t)between(&seed, 0, 10.99) * SECOND;
		task->deadline_ns = (uint64_t)between(&seed, 11, 60) * SECOND;
		task->threads = threads[(int)between(&seed, 0, 8)];
		task->counted = task->usable = task->threads;
		task->target = between(&seed, -0.5, 1.5);
		task->is_raised = views_uniform(&seed) < 0.2;
		task->in_a_row = views_uniform(&seed) < 0.2 ? 3 : 1;
		random_history(views, i, &seed);
	}
	if (n > 0)
		qsort(views->tasks, n, sizeof(views->tasks[0]), by_begin);
	views->view.budget_cpus = views_uniform(&seed) < 0.1 ? 0 : between(&seed, 0, 8);
}

struct policy_state *views_state(const struct views *views, const struct policy *policy)
{
	return views_state_with(views, policy, /* parameters= */ NULL);
}

struct policy_state *views_state_with(
	const struct views *views, const struct policy *policy, const double parameters[])
{
	struct schedule_row row = {.slot = 0, .task = 0, .cpus = 0.75};
	struct policy_setup setup = {
		.n_bundle = views->view.n_bundle,
		.schedule = policy->needs_schedule ? &row : NULL,
		.n_schedule = policy->needs_schedule && views->view.n_bundle > 0,
		.parameters = parameters,
	};
	struct policy_state *state = NULL;
	double *needs_s = NULL;

	if (policy->needs_future) {
		uint64_t seed = views->view.n_bundle;

		needs_s = zeroed(setup.n_bundle, sizeof(needs_s[0]));
		for (uint32_t i = 0; i < setup.n_bundle; i++)
			needs_s[i] = views_uniform(&seed) < 0.2
				? INFINITY
				: between(&seed, 0, 40 * views_uniform(&seed));
		setup.needs_s = needs_s;
	}
	if (policy->new (&state, &setup) < 0)
		abort();
	free(needs_s);
	return state;
}
