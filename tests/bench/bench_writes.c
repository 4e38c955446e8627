// SPDX-License-Identifier: GPL-2.0-or-later
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cgroup.h"
#include "cleanup.h"
#include "enforcer.h"
#include "figure.h"
#include "leftover.h"

/* What it costs to put grants into force, against a bare loop of pwrite(2) of the same values into
 * the same files. 100 tasks; half of the shares rise and half fall, each time. The two are measured
 * in turns; the figure is the median of the ratios. */

#define N_TASKS 100
#define N_ROUNDS 301
#define PERIOD_US 100000
#define LOW_US 1500
#define HIGH_US 2500
#define LIMIT 1.2

static struct grant grants[N_TASKS];
static int knobs[N_TASKS];

static uint64_t quota_of(uint32_t task, int round)
{
	return (task + (uint32_t)round) % 2 == 0 ? LOW_US : HIGH_US;
}

static int apply(struct enforcer *enforcer, int round, struct fault *fault)
{
	struct enforced enforced;

	for (uint32_t i = 0; i < N_TASKS; i++)
		grants[i] = (struct grant){
			.task = i,
			.period_us = PERIOD_US,
			.quota_us = quota_of(i, round),
			.cpu_ns = quota_of(i, round) * NSEC_PER_SEC / PERIOD_US,
		};
	return enforcer->ops->apply(enforcer, grants, N_TASKS, &enforced, fault);
}

static int write_bare(bool is_unified, int round)
{
	char text[48];

	for (uint32_t i = 0; i < N_TASKS; i++) {
		unsigned long long quota_us = quota_of(i, round);
		int n = is_unified ? snprintf(text, sizeof(text), "%llu %d", quota_us, PERIOD_US)
				   : snprintf(text, sizeof(text), "%llu", quota_us);

		if (pwrite(knobs[i], text, (size_t)n, 0) != n)
			return -errno;
	}
	return 0;
}

static int open_knobs(const char *run, const struct cgroup_base *base, struct fault *fault)
{
	for (uint32_t i = 0; i < N_TASKS; i++) {
		char path[2 * PATH_MAX + 128];

		(void)snprintf(path, sizeof(path), "%s/%s%s%s/%u-t%u/%s", base->mount, base->own,
			base->own[0] != '\0' ? "/" : "", run, i, i,
			base->is_unified ? "cpu.max" : "cpu.cfs_quota_us");
		knobs[i] = open(path, O_WRONLY | O_CLOEXEC);
		if (knobs[i] < 0)
			return fault_errno(fault, -errno, "open '%s'", path);
	}
	return 0;
}

static int measure(struct enforcer *enforcer, const struct cgroup_base *base, double *ret_ratio,
	struct fault *fault)
{
	static double ratios[N_ROUNDS];
	int r = 0;

	for (int round = -10; round < N_ROUNDS && r == 0; round++) {
		uint64_t start_ns = bench_now_ns(), between_ns;

		r = apply(enforcer, 2 * round, fault);
		between_ns = bench_now_ns();
		/* The other way round, and so back to what the enforcer knows. */
		if (r == 0)
			r = write_bare(base->is_unified, 2 * round + 1);
		if (round >= 0)
			ratios[round] = (double)(between_ns - start_ns) /
				(double)(bench_now_ns() - between_ns);
		if (r == 0)
			r = write_bare(base->is_unified, 2 * round);
		if (r == 0)
			r = apply(enforcer, 2 * round + 1, fault);
	}
	*ret_ratio = bench_median(ratios, N_ROUNDS);
	return r;
}

static int run(const struct enforcer_ops *ops, const char *name, struct fault *fault)
{
	struct enforcer_setup setup = {
		.run = name,
		.n_tasks_max = N_TASKS,
		.budget_cpus = 1,
		.capacity_cpus = 2,
		.task_uid = geteuid(),
	};
	struct enforcer *enforcer = NULL;
	struct cgroup_base base;
	double ratio = 0;
	int r = ops->open(&enforcer, &setup, fault);

	for (uint32_t i = 0; i < N_TASKS && r == 0; i++) {
		char task[8];

		(void)snprintf(task, sizeof(task), "t%u", i);
		r = enforcer->ops->task_add(enforcer, i, task, /* scope= */ NULL, fault);
	}
	if (r == 0)
		r = cgroup_find("cpu", &base, fault);
	if (r == 0)
		r = open_knobs(name, &base, fault);
	if (r == 0)
		r = measure(enforcer, &base, &ratio, fault);
	if (enforcer)
		(void)enforcer->ops->close(enforcer);
	if (r < 0)
		return r;
	return bench_at_most("writes_to_bare_pwrite", ratio, LIMIT, "") ? 0 : 1;
}

int main(void)
{
	struct fault fault = FAULT_INIT;
	char name[RUN_NAME_MAX];
	int r = run_name_make(name, &fault);

	for (const struct enforcer_ops *const *ops = enforcers; *ops && r == 0; ops++) {
		struct enforcer_setup setup = {.run = name, .n_tasks_max = 1, .budget_cpus = 1};

		if (strncmp((*ops)->name, "cgroup", strlen("cgroup")) != 0 ||
			(*ops)->probe(&setup, &fault) < 0)
			continue;
		r = run(*ops, name, &fault);
		if (r < 0)
			break;
		return r == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
	}
	if (r == 0) {
		(void)printf("writes_to_bare_pwrite skipped: %s\n", fault.text);
		return EXIT_SUCCESS;
	}
	(void)fprintf(stderr, "%s\n", fault.text);
	return EXIT_FAILURE;
}
