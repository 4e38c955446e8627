// SPDX-License-Identifier: GPL-2.0-or-later
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "bundle.h"
#include "curve.h"
#include "figure.h"
#include "governor.h"
#include "policy.h"
#include "record.h"
#include "sim.h"

/* How fast simulated time goes by on one core: bundles of 20 tasks over recorded curves by `edf`, in
 * task-slots, each a task that runs in a slot. The curves are those of the example learners, of some hundred
 * reports each, stretched to needs from 10 to 85 CPU-seconds; half of the bundles have one CPU and half
 * four, at a load of 1.5. Making the loop and giving it back is in the figure, reading is not. The median of
 * 9 rounds over all bundles. */

#define N_BUNDLES 20
#define N_TASKS 20
#define N_ROUNDS 9
#define LIMIT_PER_SECOND 1e6

#define LOAD 1.5

static const char *const names[] = {"factors", "gru", "mlp-deep", "mlp-narrow", "mlp-wide", "ngram",
	"softmax", "softmax-decay", "stumps", "trees"};
#define N_CURVES (sizeof(names) / sizeof(names[0]))

/* Where the best so far was reported first, at that part of the curve. */
static size_t need_row(const struct curve *curve, double part)
{
	size_t best = 0;

	for (size_t i = 0; i < (size_t)(part * (double)curve->n_rows); i++)
		if (curve->rows[i].loss < curve->rows[best].loss)
			best = i;
	return best;
}

static int write_curve(const char *folder, int number, const struct curve *curve, double scale)
{
	char path[128];
	FILE *file;

	(void)snprintf(path, sizeof(path), "%s/%d.csv", folder, number);
	file = fopen(path, "w");
	if (!file)
		return -1;
	(void)fprintf(file, "cpu_seconds,loss\n");
	for (size_t i = 0; i < curve->n_rows; i++)
		(void)fprintf(file, "%.9f,%.9g\n", nsec_to_seconds(curve->rows[i].cpu_ns) * scale,
			curve->rows[i].loss);
	return fclose(file);
}

static int write_bundle(const char *folder, const struct curve curves[], int number)
{
	const double cpus = number % 2 == 0 ? 1 : 4;
	double needs[N_TASKS], sum = 0, horizon;
	char path[128];
	FILE *file;

	(void)snprintf(path, sizeof(path), "%s/%d.bundle", folder, number);
	file = fopen(path, "w");
	if (!file)
		return -1;
	(void)fprintf(file, "[bundle]\nbudget = %gcpu\n", cpus);
	for (int i = 0; i < N_TASKS; i++) {
		needs[i] = 10 + (number * 31 + i * 17) % 76;
		sum += needs[i];
	}
	horizon = fmax(sum / (LOAD * cpus), 100);
	for (int i = 0; i < N_TASKS; i++) {
		int id = number * N_TASKS + i;
		const struct curve *curve = &curves[(size_t)id * 7 % N_CURVES];
		size_t row = need_row(curve, 0.3 + (id * 13 % 60) / 100.0);
		double begin = floor(horizon * (i * 7 % 20) / 40);

		(void)fprintf(file,
			"[task t%d]\ncurve = %d.csv\nbegin = %gs\ndeadline = %gs\ntarget = %.9g\n",
			i, id, begin, ceil(begin + fmax(1.5 * needs[i], (horizon - begin) * 0.7)),
			curve->rows[row].loss);
		if (write_curve(folder, id, curve,
			    needs[i] / nsec_to_seconds(curve->rows[row].cpu_ns)) != 0)
			return -1;
	}
	return fclose(file);
}

static int write_all(const char *folder, const char *recorded)
{
	struct curve curves[N_CURVES] = {0};
	struct fault fault = FAULT_INIT;
	int r = 0;

	for (size_t i = 0; i < N_CURVES && r == 0; i++) {
		char path[512];

		(void)snprintf(path, sizeof(path), "%s/%s.csv", recorded, names[i]);
		r = curve_read(path, &curves[i], &fault);
	}
	if (r < 0)
		(void)fprintf(stderr, "%s\n", fault.text);
	for (int i = 0; i < N_BUNDLES && r == 0; i++)
		r = write_bundle(folder, curves, i);
	for (size_t i = 0; i < N_CURVES; i++)
		curve_done(&curves[i]);
	return r;
}

/* Counts task-slots. */
struct counter {
	struct recorder recorder;
	uint64_t n_task_slots, n_reports;
};

static void count_slot(struct recorder *recorder, const struct slot_record *record)
{
	((struct counter *)recorder)->n_task_slots += record->n_tasks;
}

static void count_report(struct recorder *recorder, uint32_t task, const struct report *report)
{
	(void)task;
	(void)report;
	((struct counter *)recorder)->n_reports++;
}

static void count_nothing(struct recorder *recorder, uint64_t now_ns, uint32_t task,
	const char *kind, const char *text)
{
	(void)recorder;
	(void)now_ns;
	(void)task;
	(void)kind;
	(void)text;
}

static const struct recorder_ops counter_ops = {
	.slot = count_slot,
	.report = count_report,
	.event = count_nothing,
};

static int run_once(const struct bundle *bundle, struct recorder *recorder, struct fault *fault)
{
	struct governor *governor = NULL;
	struct sim *sim = NULL;
	int r = sim_new(&sim, bundle, fault);

	if (r < 0)
		return r;
	r = sim_govern(sim, policy_find("edf"), /* parameters= */ NULL, &recorder, recorder ? 1 : 0,
		&governor, fault);
	if (r == 0)
		r = sim_run(sim, governor, fault);
	governor_free(governor);
	sim_free(sim);
	return r;
}

/* By task-slots a second. */
static int run_rounds(struct bundle *const bundles[], double *ret_median, struct fault *fault)
{
	struct counter counter = {.recorder = {.ops = &counter_ops}};
	double rates[N_ROUNDS];
	int r = 0;

	for (int i = 0; i < N_BUNDLES && r == 0; i++)
		r = run_once(bundles[i], &counter.recorder, fault);
	for (int round = 0; round < N_ROUNDS && r == 0; round++) {
		uint64_t start_ns = bench_now_ns();

		for (int i = 0; i < N_BUNDLES && r == 0; i++)
			r = run_once(bundles[i], /* recorder= */ NULL, fault);
		rates[round] = (double)counter.n_task_slots /
			nsec_to_seconds(bench_now_ns() - start_ns);
	}
	if (r < 0)
		return r;
	*ret_median = bench_median(rates, N_ROUNDS);
	(void)fprintf(stderr, "# %.0f task-slots, %.0f reports\n", (double)counter.n_task_slots,
		(double)counter.n_reports);
	return 0;
}

int main(int argc, char *argv[])
{
	char folder[] = "/tmp/coregov-bench-XXXXXX", path[128], command[64];
	struct bundle *bundles[N_BUNDLES] = {NULL};
	struct fault fault = FAULT_INIT;
	double rate = 0;
	int r = 0;

	if (argc != 2) {
		(void)fprintf(stderr, "usage: bench_simulate FOLDER-OF-CURVES\n");
		return EXIT_FAILURE;
	}
	if (!mkdtemp(folder) || write_all(folder, argv[1]) != 0) {
		(void)fprintf(stderr, "cannot write the bundles below %s\n", folder);
		return EXIT_FAILURE;
	}
	for (int i = 0; i < N_BUNDLES && r == 0; i++) {
		(void)snprintf(path, sizeof(path), "%s/%d.bundle", folder, i);
		r = bundle_read(path, &bundles[i], &fault);
		if (r == 0)
			r = bundle_resolve(bundles[i], BUNDLE_SIMULATED, 1, &fault);
	}
	if (r == 0)
		r = run_rounds(bundles, &rate, &fault);
	for (int i = 0; i < N_BUNDLES; i++)
		bundle_free(bundles[i]);
	(void)snprintf(command, sizeof(command), "rm -r %s", folder);
	if (system(command) != 0)
		(void)fprintf(stderr, "%s is left behind\n", folder);
	if (r < 0) {
		(void)fprintf(stderr, "%s\n", fault.text);
		return EXIT_FAILURE;
	}
	return bench_at_least("simulated_task_slots", rate, LIMIT_PER_SECOND, "/s") ? EXIT_SUCCESS
										    : EXIT_FAILURE;
}
