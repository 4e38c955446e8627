// SPDX-License-Identifier: GPL-2.0-or-later
#include "simulate_one.h"

#include <errno.h>
#include <math.h>

#include "cleanup.h"
#include "governor.h"
#include "nsec.h"
#include "result.h"
#include "sim.h"
#include "trace_recorder.h"

/* The slot loop over a bundle's curves; what has come of it as text and as figures.
 *
 * A trace of it is as that of a real run, by the same recorder. The loop does not wait for a disk there, but
 * nothing is late here: it does, and nothing is dropped. There is no wall clock in simulated time, so that
 * the same bundle gives the same trace. */

static int open_trace(
	const struct simulate_setup *setup, struct trace_recorder **ret_trace, struct fault *fault)
{
	const struct trace_setup trace_setup = {
		.bundle = setup->bundle,
		.policy = setup->policy->name,
		.parameters = setup->parameters,
		.enforcer = "sim",
		.meter = "sim",
		.guarantee = "sim",
		.capacity_cpus = timeline_most(&setup->bundle->capacity),
		.is_patient = true,
	};

	return trace_recorder_new(ret_trace, setup->trace_path, &trace_setup, fault);
}

static int close_trace(const struct result_setup *result, struct trace_recorder *trace,
	const char *json, struct fault *fault)
{
	for (uint32_t id = 0; id < result->bundle->n_tasks; id++) {
		struct task_status status;

		governor_task_status(result->governor, id, &status);
		trace_recorder_outcome(trace, id, &status);
	}
	return trace_recorder_close(trace, json, fault);
}

/* Three decimals, or a dash where there is no such number: no tasks, nothing to give. */
static const char *number_text(char ret_text[static 32], double value)
{
	(void)snprintf(ret_text, 32, isnan(value) ? "-" : "%.3f", value);
	return ret_text;
}

static void print_line(const struct result_setup *result, FILE *to)
{
	char kappa[32], throughput[32];

	(void)fprintf(to, "%s: %s: kappa %s (%zu of %zu learned), data throughput %s\n",
		result->bundle->path, result->policy, number_text(kappa, result_kappa(result)),
		result_learned(result), result->bundle->n_tasks,
		number_text(throughput, result_data_throughput(result)));
}

static void fill_figures(
	const struct result_setup *result, double to_target[], struct summary_figures *ret_figures)
{
	const struct bundle *bundle = result->bundle;
	struct governor_totals totals;
	uint64_t learned_ns = 0;

	governor_totals(result->governor, &totals);
	*ret_figures = (struct summary_figures){
		.n_tasks = (uint32_t)bundle->n_tasks,
		.n_learned = (uint32_t)result_learned(result),
		.kappa_star = *result->kappa_star,
		.data_throughput = result_data_throughput(result),
		.used_seconds = nsec_to_seconds(totals.used_ns),
		.budget_seconds = nsec_to_seconds(totals.budget_ns),
		.to_target = to_target,
	};
	for (uint32_t id = 0; id < bundle->n_tasks; id++) {
		struct task_status status;

		governor_task_status(result->governor, id, &status);
		to_target[id] = NAN;
		if (status.outcome != OUTCOME_LEARNED)
			continue;
		to_target[id] = nsec_to_seconds(status.finish_ns - bundle->tasks[id].begin_ns);
		learned_ns += status.cpu_ns;
	}
	ret_figures->learned_seconds = nsec_to_seconds(learned_ns);
}

static int put_result(const struct simulate_setup *setup, const struct result_setup *result,
	struct trace_recorder **trace, FILE *to, struct fault *fault)
{
	_cleanup_free_ char *json = NULL;

	if (setup->form == SIMULATE_JSON || *trace) {
		json = result_json(result);
		if (!json)
			return fault_errno(fault, -ENOMEM, "result");
	}
	if (setup->form == SIMULATE_JSON)
		(void)fprintf(to, "%s\n", json);
	else if (setup->form == SIMULATE_TABLE)
		result_print(result, to);
	else if (setup->form == SIMULATE_LINE)
		print_line(result, to);
	return *trace ? close_trace(result, TAKE_PTR(*trace), json, fault) : 0;
}

DEFINE_CLEANUP_FUNC(struct sim, sim_free)
DEFINE_CLEANUP_FUNC(struct governor, governor_free)

static void abandon_trace(struct trace_recorder **trace)
{
	if (*trace)
		(void)trace_recorder_close(*trace, /* result_json= */ NULL, /* fault= */ NULL);
}

int simulate_one(const struct simulate_setup *setup, FILE *to, double ret_to_target[],
	struct summary_figures *ret_figures, struct fault *fault)
{
	_cleanup_(abandon_trace) struct trace_recorder *trace = NULL;
	_cleanup_(cleanup_sim_free) struct sim *sim = NULL;
	_cleanup_(cleanup_governor_free) struct governor *governor = NULL;
	struct recorder *recorder = NULL;
	struct result_setup result = {
		.bundle = setup->bundle,
		.policy = setup->policy->name,
		.parameters = setup->parameters,
		.enforcer = "sim",
		.meter = "sim",
		.guarantee = "sim",
		.kappa_star = &setup->kappa_star,
	};
	int r = sim_new(&sim, setup->bundle, fault);

	if (r == 0 && setup->trace_path) {
		r = open_trace(setup, &trace, fault);
		if (r == 0)
			recorder = trace_recorder_recorder(trace);
	}
	if (r == 0)
		r = sim_govern(sim, setup->policy, setup->parameters, &recorder, recorder ? 1 : 0,
			&governor, fault);
	if (r == 0)
		r = sim_run(sim, governor, fault);
	if (r < 0)
		return r;
	result.governor = governor;
	fill_figures(&result, ret_to_target, ret_figures);
	return put_result(setup, &result, &trace, to, fault);
}
