// SPDX-License-Identifier: GPL-2.0-or-later
#include "result.h"

#include <inttypes.h>
#include <json.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "nsec.h"

/* What a run has come to, for machines and for people. The JSON is a contract (coregov.bundle(5)):
 * times are exact decimals of the loop's nanoseconds, not doubles printed, so that the same run
 * gives the same bytes everywhere. */

static void status_of(const struct result_setup *setup, uint32_t id, struct task_status *ret_status)
{
	if (setup->governor)
		governor_task_status(setup->governor, id, ret_status);
	else
		*ret_status = setup->tasks[id];
}

static void totals_of(const struct result_setup *setup, struct governor_totals *ret_totals)
{
	if (setup->governor)
		governor_totals(setup->governor, ret_totals);
	else
		*ret_totals = *setup->totals;
}

size_t result_learned(const struct result_setup *setup)
{
	size_t n_learned = 0;

	for (uint32_t i = 0; i < setup->bundle->n_tasks; i++) {
		struct task_status status;

		status_of(setup, i, &status);
		n_learned += status.outcome == OUTCOME_LEARNED;
	}
	return n_learned;
}

double result_kappa(const struct result_setup *setup)
{
	if (setup->bundle->n_tasks == 0)
		return NAN;
	return (double)result_learned(setup) / (double)setup->bundle->n_tasks;
}

double result_data_throughput(const struct result_setup *setup)
{
	const struct bundle *bundle = setup->bundle;
	struct governor_totals totals;
	double capacity_seconds = 0;

	totals_of(setup, &totals);
	for (uint64_t slot = 0; slot < totals.n_slots; slot++)
		capacity_seconds += timeline_least(&bundle->capacity, slot * bundle->slot_ns,
					    (slot + 1) * bundle->slot_ns) *
			nsec_to_seconds(bundle->slot_ns);
	return capacity_seconds > 0 ? nsec_to_seconds(totals.used_ns) / capacity_seconds : NAN;
}

static struct json_object *json_number(double number)
{
	char text[32];

	if (!isfinite(number))
		return NULL;
	(void)snprintf(text, sizeof(text), "%.9g", number);
	return json_object_new_double_s(number, text);
}

/* "61.4" for 61400000000 ns. */
static struct json_object *json_seconds(uint64_t ns)
{
	char text[32];
	size_t length;

	(void)snprintf(
		text, sizeof(text), "%" PRIu64 ".%09" PRIu64, ns / NSEC_PER_SEC, ns % NSEC_PER_SEC);
	length = strlen(text);
	while (text[length - 1] == '0')
		text[--length] = '\0';
	if (text[length - 1] == '.')
		text[--length] = '\0';
	return json_object_new_double_s(nsec_to_seconds(ns), text);
}

static struct json_object *json_task(const struct result_setup *setup, uint32_t id)
{
	const struct bundle_task *planned = &setup->bundle->tasks[id];
	struct json_object *json = json_object_new_object();
	struct task_status status;

	status_of(setup, id, &status);
	json_object_object_add(json, "name", json_object_new_string(planned->name));
	json_object_object_add(
		json, "outcome", json_object_new_string(outcome_to_string(status.outcome)));
	json_object_object_add(json, "begin_seconds", json_seconds(planned->begin_ns));
	json_object_object_add(json, "deadline_seconds", json_seconds(planned->deadline_ns));
	json_object_object_add(
		json, "finish_seconds", status.was_started ? json_seconds(status.finish_ns) : NULL);
	json_object_object_add(json, "cpu_seconds", json_seconds(status.cpu_ns));
	json_object_object_add(json, "loss", json_number(status.value));
	json_object_object_add(json, "target", json_number(planned->target.value));
	json_object_object_add(json, "reports", json_object_new_uint64(status.n_reports));
	json_object_object_add(json, "feed", json_object_new_string(status.feed));
	return json;
}

/* Those that are not as usual; NULL where all are, and it is not in the object then. */
static struct json_object *json_parameters(const struct result_setup *setup)
{
	const struct policy *policy = policy_find(setup->policy);
	struct json_object *json = NULL;

	if (!policy || !setup->parameters)
		return NULL;
	for (uint32_t i = 0; i < policy_n_parameters(policy); i++) {
		const struct policy_parameter *parameter = &policy->parameters[i];
		double value = setup->parameters[i];

		if (!(value < parameter->usual || value > parameter->usual))
			continue;
		if (!json)
			json = json_object_new_object();
		json_object_object_add(json, parameter->name, json_number(value));
	}
	return json;
}

char *result_json(const struct result_setup *setup)
{
	const struct bundle *bundle = setup->bundle;
	struct json_object *json = json_object_new_object(), *tasks = json_object_new_array();
	struct json_object *parameters = json_parameters(setup);
	struct governor_totals totals;
	const char *text;
	char *copy;

	totals_of(setup, &totals);
	json_object_object_add(json, "schema", json_object_new_int(1));
	json_object_object_add(json, "bundle", json_object_new_string(bundle->path));
	json_object_object_add(json, "policy", json_object_new_string(setup->policy));
	if (parameters)
		json_object_object_add(json, "parameters", parameters);
	json_object_object_add(json, "enforcer", json_object_new_string(setup->enforcer));
	json_object_object_add(json, "meter", json_object_new_string(setup->meter));
	json_object_object_add(json, "guarantee", json_object_new_string(setup->guarantee));
	json_object_object_add(
		json, "capacity_cpus", json_number(timeline_most(&bundle->capacity)));
	json_object_object_add(json, "budget_cpus", json_number(timeline_most(&bundle->budget)));
	json_object_object_add(json, "slot_seconds", json_seconds(bundle->slot_ns));
	json_object_object_add(json, "slots", json_object_new_uint64(totals.n_slots));
	json_object_object_add(json, "tasks", json_object_new_uint64(bundle->n_tasks));
	json_object_object_add(json, "learned", json_object_new_uint64(result_learned(setup)));
	json_object_object_add(json, "kappa", json_number(result_kappa(setup)));
	json_object_object_add(
		json, "kappa_star", setup->kappa_star ? json_number(*setup->kappa_star) : NULL);
	json_object_object_add(json, "data_throughput", json_number(result_data_throughput(setup)));
	json_object_object_add(json, "granted_cpus_max", json_number(totals.granted_cpus_max));
	json_object_object_add(json, "used_cpu_seconds", json_seconds(totals.used_ns));
	json_object_object_add(json, "budget_cpu_seconds", json_seconds(totals.budget_ns));
	for (uint32_t i = 0; i < bundle->n_tasks; i++)
		json_object_array_add(tasks, json_task(setup, i));
	json_object_object_add(json, "results", tasks);

	text = json_object_to_json_string_ext(
		json, JSON_C_TO_STRING_PLAIN | JSON_C_TO_STRING_NOSLASHESCAPE);
	copy = text ? strdup(text) : NULL;
	json_object_put(json);
	return copy;
}

#define NAME_WIDTH_MIN 12
#define NAME_WIDTH_MAX 24

static int name_width(const struct bundle *bundle)
{
	size_t width = NAME_WIDTH_MIN;

	for (size_t i = 0; i < bundle->n_tasks; i++)
		if (strlen(bundle->tasks[i].name) > width)
			width = strlen(bundle->tasks[i].name);
	return (int)(width < NAME_WIDTH_MAX ? width : NAME_WIDTH_MAX);
}

static void print_task(const struct result_setup *setup, uint32_t id, int width, FILE *to)
{
	const struct bundle_task *planned = &setup->bundle->tasks[id];
	struct task_status status;
	char finish[32] = "-", value[32] = "-", target[METRIC_NAME_MAX + 32];

	status_of(setup, id, &status);
	if (status.was_started)
		(void)snprintf(finish, sizeof(finish), "%.1f s", nsec_to_seconds(status.finish_ns));
	if (isfinite(status.value))
		(void)snprintf(value, sizeof(value), "%.5g", status.value);
	(void)snprintf(target, sizeof(target), "%s %s %.5g", planned->target.metric,
		planned->target.is_raised ? ">=" : "<=", planned->target.value);
	(void)fprintf(to, "%-*s %-16s %8.1f s %9s %7.1f s %8s %-15s %s\n", width, planned->name,
		target, nsec_to_seconds(planned->deadline_ns), finish,
		nsec_to_seconds(status.cpu_ns), value, outcome_to_string(status.outcome),
		status.feed);
}

void result_print(const struct result_setup *setup, FILE *to)
{
	const struct bundle *bundle = setup->bundle;
	struct governor_totals totals;
	int width = name_width(bundle);

	totals_of(setup, &totals);
	(void)fprintf(to, "%-*s %-16s %10s %9s %9s %8s %-15s %s\n", width, "task", "target",
		"deadline", "finish", "CPU time", "reached", "outcome", "feed");
	for (uint32_t i = 0; i < bundle->n_tasks; i++)
		print_task(setup, i, width, to);
	(void)fprintf(to, "%s: ", setup->policy);
	if (bundle->n_tasks > 0 && setup->kappa_star && !isnan(*setup->kappa_star))
		(void)fprintf(to, "kappa %.2f (%zu of %zu learned; %.2f is possible)",
			result_kappa(setup), result_learned(setup), bundle->n_tasks,
			*setup->kappa_star);
	else if (bundle->n_tasks > 0)
		(void)fprintf(to, "kappa %.2f (%zu of %zu learned)", result_kappa(setup),
			result_learned(setup), bundle->n_tasks);
	else
		(void)fprintf(to, "no tasks");
	if (totals.n_slots > 0 && !isnan(result_data_throughput(setup)))
		(void)fprintf(to, ", data throughput %.3f, used %.1f of %.1f CPU-seconds (%.1f %%)",
			result_data_throughput(setup), nsec_to_seconds(totals.used_ns),
			nsec_to_seconds(totals.budget_ns),
			totals.budget_ns > 0
				? 100 * (double)totals.used_ns / (double)totals.budget_ns
				: 0);
	(void)fprintf(to, "\nenforcer %s, meter %s, guarantee %s\n", setup->enforcer, setup->meter,
		setup->guarantee);
	if (totals.n_late > 0)
		(void)fprintf(to, "late slots: %" PRIu64 " of %" PRIu64 ", the worst by %.3f s\n",
			totals.n_late, totals.n_slots, nsec_to_seconds(totals.worst_late_ns));
	if (totals.n_excess_slots > 0)
		(void)fprintf(to,
			"excess: %.3f CPU-seconds in %" PRIu64 " slots were used beyond the budget "
			"and taken back\n",
			nsec_to_seconds(totals.excess_ns), totals.n_excess_slots);
	if (totals.n_foreign > 0)
		(void)fprintf(to,
			"foreign: %" PRIu64
			" times somebody else had changed a limit of ours, or left it\n",
			totals.n_foreign);
}
