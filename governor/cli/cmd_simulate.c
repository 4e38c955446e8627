// SPDX-License-Identifier: GPL-2.0-or-later
#include <errno.h>
#include <getopt.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bundle.h"
#include "cleanup.h"
#include "cmd.h"
#include "governor.h"
#include "parameter.h"
#include "policy.h"
#include "result.h"
#include "sim.h"

/* `coregov simulate`: the slot loop over recorded curves. Every bundle is read and checked before
 * the first one is run, so that a mistake in the last of a hundred shows at once and nothing is
 * printed that has to be thrown away. Results come in the order of the arguments, then of the
 * policies. */

#define POLICIES_MAX 32

struct simulate {
	const struct policy *policies[POLICIES_MAX]; /* none: each bundle's own */
	size_t n_policies;
	const struct parameter_choices *set; /* of the command line */
	bool is_json;
	struct bundle **bundles;
	size_t n_bundles;
	double sums[POLICIES_MAX]; /* of kappa */
	size_t n_sums[POLICIES_MAX];
};

static void print_help(void)
{
	(void)printf("usage: coregov simulate BUNDLE... [OPTION...]\n"
		     "\n"
		     "Runs bundles of recorded curves in simulated time.\n"
		     "\n"
		     "  -p, --policy P[,P...]  instead of each bundle's own policy: %s\n"
		     "  -x, --set P.X=V        another value for a parameter of a policy, such as\n"
		     "                         core.capacity-part=0.9; one each\n"
		     "  -j, --json             one JSON object a line, see coregov.bundle(5)\n"
		     "  -h, --help             this text\n",
		cmd_policy_names());
}

static int parse_policies(struct simulate *simulate, char *list)
{
	char *rest = NULL;

	for (char *name = strtok_r(list, ",", &rest); name; name = strtok_r(NULL, ",", &rest)) {
		const struct policy *policy = cmd_policy("simulate", name);

		if (!policy)
			return EXIT_STATUS_USAGE;
		if (simulate->n_policies == POLICIES_MAX)
			return cmd_usage_error("simulate", "more than %d policies", POLICIES_MAX);
		simulate->policies[simulate->n_policies++] = policy;
	}
	if (simulate->n_policies == 0)
		return cmd_usage_error("simulate", "--policy names no policy");
	return 0;
}

static int read_bundles(struct simulate *simulate, char *paths[])
{
	struct fault fault = FAULT_INIT;

	simulate->bundles = calloc(simulate->n_bundles, sizeof(simulate->bundles[0]));
	if (!simulate->bundles) {
		cmd_message("out of memory");
		return EXIT_STATUS_FAILED;
	}
	for (size_t i = 0; i < simulate->n_bundles; i++) {
		if (bundle_read(paths[i], &simulate->bundles[i], &fault) < 0 ||
			bundle_resolve(simulate->bundles[i], BUNDLE_SIMULATED,
				/* machine_cpus= */ 1, &fault) < 0) {
			cmd_message("%s", fault.text);
			return EXIT_STATUS_DATA;
		}
		for (size_t p = 0; p < simulate->n_policies; p++)
			if (simulate->policies[p]->needs_schedule &&
				!simulate->bundles[i]->schedule) {
				cmd_message("%s: policy %s needs a schedule: add `schedule = "
					    "FILE.csv` to [bundle]",
					paths[i], simulate->policies[p]->name);
				return EXIT_STATUS_DATA;
			}
	}
	return 0;
}

static bool is_run(const struct simulate *simulate, const struct policy *policy)
{
	bool is_there = false;

	for (size_t p = 0; p < simulate->n_policies; p++)
		is_there |= simulate->policies[p] == policy;
	for (size_t i = 0; i < simulate->n_bundles && simulate->n_policies == 0; i++)
		is_there |= policy_find(simulate->bundles[i]->policy) == policy;
	return is_there;
}

/* What is set and changes nothing was meant for something else. */
static int check_set(const struct simulate *simulate)
{
	for (size_t i = 0; i < simulate->set->n; i++) {
		const struct parameter_choice *choice = &simulate->set->all[i];

		if (!is_run(simulate, choice->policy))
			return cmd_usage_error("simulate",
				"--set %s.%s: nothing is run under the policy '%s'",
				choice->policy->name, choice->parameter->name,
				choice->policy->name);
	}
	return 0;
}

/* Three decimals, or a dash where there is no such number: no tasks, nothing to give. */
static const char *number_text(char ret_text[static 32], double value)
{
	(void)snprintf(ret_text, 32, isnan(value) ? "-" : "%.3f", value);
	return ret_text;
}

static int print_result(struct simulate *simulate, size_t p, const struct result_setup *result)
{
	double kappa = result_kappa(result);
	char kappa_text[32], throughput_text[32];

	if (!isnan(kappa)) {
		simulate->sums[p] += kappa;
		simulate->n_sums[p]++;
	}
	if (simulate->is_json) {
		_cleanup_free_ char *json = result_json(result);

		if (!json)
			return -ENOMEM;
		return puts(json) < 0 ? -errno : 0;
	}
	if (simulate->n_bundles == 1) {
		result_print(result, stdout);
		return 0;
	}
	(void)printf("%s: %s: kappa %s (%zu of %zu learned), data throughput %s\n",
		result->bundle->path, result->policy, number_text(kappa_text, kappa),
		result_learned(result), result->bundle->n_tasks,
		number_text(throughput_text, result_data_throughput(result)));
	return 0;
}

static int run_one(struct simulate *simulate, const struct bundle *bundle,
	const struct policy *policy, size_t p, struct fault *fault)
{
	double parameters[POLICY_PARAMETERS_MAX];
	struct sim *sim = NULL;
	struct governor *governor = NULL;
	struct result_setup result = {
		.bundle = bundle,
		.policy = policy->name,
		.parameters = parameters,
		.enforcer = "sim",
		.meter = "sim",
		.guarantee = "sim",
	};
	int r = sim_new(&sim, bundle, fault);

	if (r < 0)
		return r;
	cmd_parameters(bundle, simulate->set, policy, parameters);
	r = sim_govern(sim, policy, parameters, /* recorders= */ NULL, 0, &governor, fault);
	if (r == 0)
		r = sim_run(sim, governor, fault);
	if (r == 0) {
		result.governor = governor;
		r = print_result(simulate, p, &result);
		if (r < 0)
			r = fault_errno(fault, r, "write the result");
	}
	governor_free(governor);
	sim_free(sim);
	return r;
}

static int run_all(struct simulate *simulate)
{
	size_t n_policies = simulate->n_policies > 0 ? simulate->n_policies : 1;
	struct fault fault = FAULT_INIT;

	for (size_t i = 0; i < simulate->n_bundles; i++) {
		const struct bundle *bundle = simulate->bundles[i];

		for (size_t p = 0; p < n_policies; p++) {
			const struct policy *policy = simulate->n_policies > 0
				? simulate->policies[p]
				: policy_find(bundle->policy);

			if (run_one(simulate, bundle, policy, p, &fault) < 0) {
				cmd_message("%s: %s", bundle->path, fault.text);
				return EXIT_STATUS_FAILED;
			}
		}
	}
	if (!simulate->is_json && simulate->n_bundles > 1)
		for (size_t p = 0; p < n_policies && simulate->n_sums[p] > 0; p++)
			(void)printf("%s: mean kappa %.4f over %zu bundles\n",
				simulate->n_policies > 0 ? simulate->policies[p]->name
							 : "own policy",
				simulate->sums[p] / (double)simulate->n_sums[p],
				simulate->n_sums[p]);
	if (fflush(stdout) != 0) {
		cmd_message("write the results: %s", strerror(errno));
		return EXIT_STATUS_FAILED;
	}
	return EXIT_STATUS_DONE;
}

int cmd_simulate(int argc, char *argv[])
{
	static const struct option options[] = {
		{"policy", required_argument, NULL, 'p'},
		{"set", required_argument, NULL, 'x'},
		{"json", no_argument, NULL, 'j'},
		{"help", no_argument, NULL, 'h'},
		{NULL, 0, NULL, 0},
	};
	_cleanup_(parameter_choices_done) struct parameter_choices set = {0};
	struct simulate simulate = {.set = &set};
	int option, status;

	opterr = 0;
	while ((option = getopt_long(argc, argv, ":p:x:jh", options, NULL)) >= 0) {
		switch (option) {
		case 'p':
			status = parse_policies(&simulate, optarg);
			if (status != 0)
				return status;
			break;
		case 'x':
			status = cmd_set_parameter("simulate", optarg, &set);
			if (status != 0)
				return status;
			break;
		case 'j':
			simulate.is_json = true;
			break;
		case 'h':
			print_help();
			return EXIT_STATUS_DONE;
		case ':':
			return cmd_usage_error("simulate", "%s needs a value", argv[optind - 1]);
		default:
			return cmd_usage_error("simulate", "unknown option '%s'", argv[optind - 1]);
		}
	}
	if (optind == argc)
		return cmd_usage_error("simulate", "no bundle given");

	simulate.n_bundles = (size_t)(argc - optind);
	status = read_bundles(&simulate, argv + optind);
	if (status == 0)
		status = check_set(&simulate);
	if (status == 0)
		status = run_all(&simulate);
	for (size_t i = 0; simulate.bundles && i < simulate.n_bundles; i++)
		bundle_free(simulate.bundles[i]);
	free(simulate.bundles);
	return status;
}
