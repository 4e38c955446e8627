// SPDX-License-Identifier: GPL-2.0-or-later
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "bundle.h"
#include "figure.h"
#include "governor.h"
#include "policy.h"
#include "sim.h"

/* What a slot costs without the kernel: observe, plan by `edf`, guard, enforce and record over the
 * simulated machine, with 1,000 tasks alive all the time. The simulated machine's own work is in the
 * figure. The mean over a run of 600 slots, the median of 7 runs. */

#define N_TASKS 1000
#define N_SLOTS 600
#define N_RUNS 7
#define LIMIT_MS 2.0

static int write_bundle(const char *folder)
{
	char path[128];
	FILE *file;

	(void)snprintf(path, sizeof(path), "%s/curve.csv", folder);
	file = fopen(path, "w");
	if (!file)
		return -1;
	(void)fprintf(file, "cpu_seconds,loss\n");
	for (int i = 1; i <= 2000; i++)
		(void)fprintf(file, "%d.0,%g\n", i, 1 / sqrt(i));
	if (fclose(file) != 0)
		return -1;

	(void)snprintf(path, sizeof(path), "%s/bench.bundle", folder);
	file = fopen(path, "w");
	if (!file)
		return -1;
	/* Enough CPUs that every task runs and reports, never enough time to reach the target. */
	(void)fprintf(file, "[bundle]\nbudget = 900cpu\n");
	for (int i = 0; i < N_TASKS; i++)
		(void)fprintf(file,
			"[task t%d]\ncurve = curve.csv\ndeadline = %dms\ntarget = 0.0001\n", i,
			N_SLOTS * 1000 - i % 500);
	return fclose(file);
}

static int run_once(const struct bundle *bundle, double *ret_ms, struct fault *fault)
{
	struct governor *governor = NULL;
	struct governor_totals totals;
	struct sim *sim = NULL;
	uint64_t start_ns;
	int r = sim_new(&sim, bundle, fault);

	if (r < 0)
		return r;
	r = sim_govern(sim, policy_find("edf"), /* parameters= */ NULL, /* recorders= */ NULL, 0,
		&governor, fault);
	start_ns = bench_now_ns();
	if (r == 0)
		r = sim_run(sim, governor, fault);
	if (r == 0) {
		governor_totals(governor, &totals);
		*ret_ms = (double)(bench_now_ns() - start_ns) / NSEC_PER_MSEC /
			(double)totals.n_slots;
	}
	governor_free(governor);
	sim_free(sim);
	return r;
}

int main(void)
{
	char folder[] = "/tmp/coregov-bench-XXXXXX", path[128], command[64];
	struct fault fault = FAULT_INIT;
	struct bundle *bundle = NULL;
	double ms[N_RUNS];
	int r = -1;

	if (!mkdtemp(folder) || write_bundle(folder) != 0) {
		(void)fprintf(stderr, "cannot write the bundle below %s\n", folder);
		return EXIT_FAILURE;
	}
	(void)snprintf(path, sizeof(path), "%s/bench.bundle", folder);
	if (bundle_read(path, &bundle, &fault) == 0)
		r = bundle_resolve(bundle, BUNDLE_SIMULATED, 1, &fault);
	for (int i = 0; i < N_RUNS && r == 0; i++)
		r = run_once(bundle, &ms[i], &fault);
	bundle_free(bundle);
	(void)snprintf(command, sizeof(command), "rm -r %s", folder);
	if (system(command) != 0)
		(void)fprintf(stderr, "%s is left behind\n", folder);
	if (r < 0) {
		(void)fprintf(stderr, "%s\n", fault.text);
		return EXIT_FAILURE;
	}
	return bench_at_most("slot_of_1000_tasks", bench_median(ms, N_RUNS), LIMIT_MS, "ms")
		? EXIT_SUCCESS
		: EXIT_FAILURE;
}
