// SPDX-License-Identifier: GPL-2.0-or-later
#include <errno.h>
#include <getopt.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "bundle.h"
#include "cleanup.h"
#include "cmd.h"
#include "enforcer.h"
#include "machine.h"
#include "meter.h"
#include "parameter.h"
#include "policy.h"
#include "remote.h"
#include "result.h"
#include "run.h"
#include "submit.h"
#include "view.h"

/* `coregov bundle`: the governor embedded in the command, or with --submit the one that is there.
 * Results go to stdout, everything else to stderr; with --json nothing but the one object is on
 * stdout. */

struct options {
	const char *path;
	const struct policy *policy; /* NULL: the bundle's */
	struct parameter_choices set;
	const char *enforcer, *meter, *trace, *output;
	bool is_json, is_dry, is_verbose, is_help;
	bool is_submitted; /* to the governor that is there */
	bool wants_user, wants_system;
	enum governor_place place;
};

static void options_done(struct options *options)
{
	parameter_choices_done(&options->set);
}

static void print_help(void)
{
	(void)printf(
		"usage: coregov bundle FILE [OPTION...]\n"
		"\n"
		"Runs the trainings of a bundle under its budget of CPUs.\n"
		"\n"
		"  -p, --policy P     instead of the bundle's own: %s\n"
		"  -x, --set P.X=V    another value for a parameter of the policy, such as\n"
		"                     core.capacity-part=0.9; one each\n"
		"  -e, --enforcer E   cgroup2, cgroup1 or signal, instead of the best that works\n"
		"  -m, --meter M      bpf, cgroup or proc, likewise\n"
		"  -t, --trace FILE   record every slot in a SQLite database\n"
		"  -o, --output DIR   keep the output of each task as DIR/NAME.out and .err\n"
		"  -v, --verbose      show the output of the tasks on stderr, with a prefix\n"
		"  -n, --dry-run      do not govern; print what would have been granted\n"
		"  -S, --submit       run it under the governor that is there, coregovd\n"
		"  -u, --user         with --submit: under your own governor\n"
		"  -s, --system       with --submit: under the system's\n"
		"  -j, --json         one JSON object on stdout, see coregov.bundle(5)\n"
		"  -h, --help         this text\n",
		cmd_policy_names());
}

static int check_set(const struct parameter_choices *set, const struct policy *policy)
{
	for (size_t i = 0; i < set->n; i++)
		if (set->all[i].policy != policy)
			return cmd_usage_error("bundle", "--set %s.%s: the policy is '%s'",
				set->all[i].policy->name, set->all[i].parameter->name,
				policy->name);
	return 0;
}

/* Reads the bundle and fits it to this machine. */
static int read_bundle(const struct options *options, double machine_cpus,
	struct bundle **ret_bundle, const struct policy **ret_policy)
{
	struct fault fault = FAULT_INIT;
	double most_cpus;

	if (bundle_read(options->path, ret_bundle, &fault) < 0 ||
		bundle_resolve(*ret_bundle, BUNDLE_REAL, machine_cpus, &fault) < 0) {
		cmd_message("%s", fault.text);
		return EXIT_STATUS_DATA;
	}
	most_cpus = timeline_most(&(*ret_bundle)->budget);
	if (most_cpus > machine_cpus + 1e-9) {
		cmd_message("%s: the budget of %g CPUs is above the %g that this machine can "
			    "give (CPU affinity, cpuset and enclosing quotas counted)",
			options->path, most_cpus, machine_cpus);
		return EXIT_STATUS_DATA;
	}
	*ret_policy = options->policy ? options->policy : policy_find((*ret_bundle)->policy);
	if ((*ret_policy)->needs_schedule && !(*ret_bundle)->schedule) {
		cmd_message("%s: policy %s needs a schedule: add `schedule = FILE.csv` to "
			    "[bundle]",
			options->path, (*ret_policy)->name);
		return EXIT_STATUS_DATA;
	}
	if ((*ret_policy)->needs_future) {
		cmd_message("%s: policy %s has to know what each task needs, as only `coregov "
			    "simulate` does; take another, see coregov-policies(7)",
			options->path, (*ret_policy)->name);
		return EXIT_STATUS_DATA;
	}
	return check_set(&options->set, *ret_policy);
}

static int make_output_directory(const char *path)
{
	struct stat info;

	if (mkdir(path, 0777) == 0)
		return 0;
	if (errno == EEXIST && stat(path, &info) == 0 && S_ISDIR(info.st_mode))
		return 0;
	cmd_message("--output '%s': %s", path, strerror(errno == EEXIST ? ENOTDIR : errno));
	return EXIT_STATUS_FAILED;
}

static int status_of(enum run_error error)
{
	switch (error) {
	case RUN_ERROR_DATA:
		return EXIT_STATUS_DATA;
	case RUN_ERROR_ENFORCER:
	case RUN_ERROR_GOVERNOR:
		return EXIT_STATUS_UNAVAILABLE;
	case RUN_ERROR_BUDGET:
		return EXIT_STATUS_TEMPORARY;
	case RUN_ERROR_PERMISSION:
		return EXIT_STATUS_PERMISSION;
	case RUN_ERROR_OTHER:
		break;
	}
	return EXIT_STATUS_FAILED;
}

static void status_in(
	const struct result_setup *result, uint32_t id, struct task_status *ret_status)
{
	if (result->governor)
		governor_task_status(result->governor, id, ret_status);
	else
		*ret_status = result->tasks[id];
}

/* Why a failed one failed, as far as it said so itself. */
static void print_last_words(const struct result_setup *result, uint32_t id, const char *words)
{
	struct task_status status;

	status_in(result, id, &status);
	if (status.outcome != OUTCOME_FAILED || words[0] == '\0')
		return;
	(void)fprintf(stderr, "coregov: task %s said last:\n%s%s", result->bundle->tasks[id].name,
		words, words[strlen(words) - 1] == '\n' ? "" : "\n");
}

static void print_lost_output(
	const struct result_setup *result, uint32_t id, uint64_t n_bytes, int error)
{
	if (n_bytes > 0)
		cmd_message("task %s: %" PRIu64 " bytes of its output could not be kept: %s",
			result->bundle->tasks[id].name, n_bytes, strerror(-error));
}

/* *ret_json is for a trace, NULL where memory is gone. */
static int print_result(const struct options *options, const struct result_setup *result,
	char **ret_json, int status)
{
	*ret_json = result_json(result);
	if (!*ret_json) {
		cmd_message("out of memory");
		return EXIT_STATUS_FAILED;
	}
	if (options->is_json)
		(void)puts(*ret_json);
	else
		result_print(result, stdout);
	return status;
}

static int flush_result(int status)
{
	if (fflush(stdout) == 0)
		return status;
	cmd_message("write the result: %s", strerror(errno));
	return EXIT_STATUS_FAILED;
}

/* Prints the result; its JSON goes into the trace too. */
static int finish(struct run *run, const struct options *options, int status)
{
	struct fault fault = FAULT_INIT;
	struct result_setup result;
	_cleanup_free_ char *json = NULL;
	int trace_error;

	run_result(run, &result);
	status = print_result(options, &result, &json, status);
	for (uint32_t id = 0; id < result.bundle->n_tasks; id++)
		print_last_words(&result, id, run_last_words(run, id));
	for (uint32_t id = 0; id < result.bundle->n_tasks; id++) {
		int error = 0;
		uint64_t n_bytes = run_lost_bytes(run, id, &error);

		print_lost_output(&result, id, n_bytes, error);
	}
	(void)run_free(run, json, &trace_error, &fault);
	if (trace_error < 0)
		cmd_message("%s", fault.text);
	return flush_result(status);
}

/* The same under a governor. */
static int finish_submitted(struct submit *submit, const struct options *options, int status)
{
	struct result_setup result;
	_cleanup_free_ char *json = NULL;

	submit_result(submit, &result);
	status = print_result(options, &result, &json, status);
	for (uint32_t id = 0; id < result.bundle->n_tasks; id++)
		print_last_words(&result, id, submit_last_words(submit, id));
	for (uint32_t id = 0; id < result.bundle->n_tasks; id++) {
		int error = 0;
		uint64_t n_bytes = submit_lost_bytes(submit, id, &error);

		print_lost_output(&result, id, n_bytes, error);
	}
	return flush_result(status);
}

static enum view_kind view_kind(const struct options *options)
{
	return view_can_redraw(stderr) && !options->is_verbose ? VIEW_TABLE : VIEW_LINES;
}

static int run_submitted(const struct options *options, struct bundle *bundle, struct view *view)
{
	const struct submit_setup setup = {
		.bundle = bundle,
		.place = options->place,
		.output_directory = options->output,
		.is_verbose = options->is_verbose,
		.view = view_recorder(view),
		.is_drawn = view_kind(options) == VIEW_TABLE,
		.say = cmd_message,
	};
	struct fault fault = FAULT_INIT;
	struct submit *submit;
	enum run_error error;
	int signo, r, status = EXIT_STATUS_DONE;

	if (submit_new(&submit, &setup, &error, &fault) < 0) {
		cmd_message("%s", fault.text);
		return status_of(error);
	}
	r = submit_loop(submit, &signo, &error, &fault);
	view_end(view);
	if (r < 0) {
		cmd_message("%s", fault.text);
		status = status_of(error);
	} else if (signo > 0) {
		status = EXIT_STATUS_SIGNAL + signo;
	}
	/* Where the first was refused there is no result. */
	if (error == RUN_ERROR_OTHER)
		status = finish_submitted(submit, options, status);
	(void)submit_free(submit);
	return status;
}

/* Both share the machine, and whoever has a governor may not know of --submit. */
static void tell_of_governor(void)
{
	struct remote *remote = NULL;
	struct remote_governor governor;

	if (remote_open_running(GOVERNOR_ANY, &remote, /* fault= */ NULL) == 0 &&
		remote_governor(remote, &governor, /* fault= */ NULL) == 0) {
		cmd_message("a governor is running on this machine (budget %g of %g CPUs): "
			    "--submit would run this bundle under it",
			governor.budget_cpus, governor.capacity_cpus);
		remote_governor_done(&governor);
	}
	(void)remote_free(remote);
}

static int run(const struct options *options, const struct bundle *bundle,
	const struct policy *policy, double machine_cpus, struct view *view)
{
	double parameters[POLICY_PARAMETERS_MAX];
	struct run_setup setup = {
		.bundle = bundle,
		.policy = policy,
		.parameters = parameters,
		.enforcer = options->enforcer,
		.meter = options->meter,
		.trace_path = options->trace,
		.output_directory = options->output,
		.is_verbose = options->is_verbose,
		.is_dry = options->is_dry,
		.capacity_cpus = machine_cpus,
		.view = view_recorder(view),
		.say = cmd_message,
	};
	struct fault fault = FAULT_INIT;
	enum run_error error;
	struct run *the_run;
	int signo, status = EXIT_STATUS_DONE;

	tell_of_governor();
	cmd_parameters(bundle, &options->set, policy, parameters);
	if (run_new(&the_run, &setup, &error, &fault) < 0) {
		cmd_message("%s", fault.text);
		return status_of(error);
	}
	if (run_loop(the_run, &signo, &fault) < 0) {
		cmd_message("%s", fault.text);
		status = EXIT_STATUS_FAILED;
	} else if (signo > 0) {
		status = EXIT_STATUS_SIGNAL + signo;
	}
	view_end(view);
	return finish(the_run, options, status);
}

/* What only a governor of our own can do, or only one that is not. */
static int check_together(const struct options *options)
{
	const struct {
		bool is_given;
		const char *name;
	} own[] = {
		{options->policy, "--policy"},
		{options->set.n > 0, "--set"},
		{options->enforcer, "--enforcer"},
		{options->meter, "--meter"},
		{options->trace, "--trace"},
		{options->is_dry, "--dry-run"},
	};

	for (size_t i = 0; i < ARRAY_LENGTH(own) && options->is_submitted; i++)
		if (own[i].is_given)
			return cmd_usage_error("bundle",
				"%s and --submit exclude each other: that is the governor's own",
				own[i].name);
	if (options->wants_user && options->wants_system)
		return cmd_usage_error("bundle", "--user and --system: which of the two?");
	if ((options->wants_user || options->wants_system) && !options->is_submitted)
		return cmd_usage_error("bundle",
			"%s without --submit: there is no governor to choose",
			options->wants_user ? "--user" : "--system");
	return 0;
}

/* A name that exists nowhere is a slip of the finger; one that does not work here is seen later. */
static int check_names(const struct options *options)
{
	bool has_enforcer = !options->enforcer, has_meter = !options->meter;

	for (size_t i = 0; enforcers[i]; i++)
		has_enforcer |= options->enforcer &&
			strcmp(options->enforcer, enforcers[i]->name) == 0;
	for (size_t i = 0; meters[i]; i++)
		has_meter |= options->meter && strcmp(options->meter, meters[i]->name) == 0;
	if (!has_enforcer)
		return cmd_usage_error("bundle",
			"unknown enforcer '%s'; there are cgroup2, cgroup1 and signal",
			options->enforcer);
	if (!has_meter)
		return cmd_usage_error("bundle",
			"unknown meter '%s'; there are bpf, cgroup and proc", options->meter);
	return 0;
}

static int parse(int argc, char *argv[], struct options *ret_options)
{
	static const struct option options[] = {
		{"policy", required_argument, NULL, 'p'},
		{"set", required_argument, NULL, 'x'},
		{"enforcer", required_argument, NULL, 'e'},
		{"meter", required_argument, NULL, 'm'},
		{"trace", required_argument, NULL, 't'},
		{"output", required_argument, NULL, 'o'},
		{"verbose", no_argument, NULL, 'v'},
		{"dry-run", no_argument, NULL, 'n'},
		{"submit", no_argument, NULL, 'S'},
		{"user", no_argument, NULL, 'u'},
		{"system", no_argument, NULL, 's'},
		{"json", no_argument, NULL, 'j'},
		{"help", no_argument, NULL, 'h'},
		{NULL, 0, NULL, 0},
	};
	int option, status;

	opterr = 0;
	while ((option = getopt_long(argc, argv, ":p:x:e:m:t:o:vnSusjh", options, NULL)) >= 0) {
		switch (option) {
		case 'p':
			ret_options->policy = cmd_policy("bundle", optarg);
			if (!ret_options->policy)
				return EXIT_STATUS_USAGE;
			break;
		case 'x':
			status = cmd_set_parameter("bundle", optarg, &ret_options->set);
			if (status != 0)
				return status;
			break;
		case 'e':
			ret_options->enforcer = optarg;
			break;
		case 'm':
			ret_options->meter = optarg;
			break;
		case 't':
			ret_options->trace = optarg;
			break;
		case 'o':
			ret_options->output = optarg;
			break;
		case 'v':
			ret_options->is_verbose = true;
			break;
		case 'n':
			ret_options->is_dry = true;
			break;
		case 'S':
			ret_options->is_submitted = true;
			break;
		case 'u':
			ret_options->wants_user = true;
			ret_options->place = GOVERNOR_USER;
			break;
		case 's':
			ret_options->wants_system = true;
			ret_options->place = GOVERNOR_SYSTEM;
			break;
		case 'j':
			ret_options->is_json = true;
			break;
		case 'h':
			ret_options->is_help = true;
			return 0;
		case ':':
			return cmd_usage_error("bundle", "%s needs a value", argv[optind - 1]);
		default:
			return cmd_usage_error("bundle", "unknown option '%s'", argv[optind - 1]);
		}
	}
	if (optind == argc)
		return cmd_usage_error("bundle", "no bundle given");
	if (optind + 1 < argc)
		return cmd_usage_error(
			"bundle", "one bundle at a time; '%s' is too many", argv[optind + 1]);
	ret_options->path = argv[optind];
	return check_names(ret_options) != 0 ? EXIT_STATUS_USAGE : check_together(ret_options);
}

/* For a governor of our own. */
static int run_embedded(const struct options *options, struct view_setup *view_setup)
{
	struct fault fault = FAULT_INIT;
	const struct policy *policy = NULL;
	struct bundle *bundle = NULL;
	struct view *view = NULL;
	double machine_cpus;
	int status;

	if (machine_capacity(&machine_cpus, &fault) < 0) {
		cmd_message("%s", fault.text);
		return EXIT_STATUS_FAILED;
	}
	status = read_bundle(options, machine_cpus, &bundle, &policy);
	if (status == 0 && options->output)
		status = make_output_directory(options->output);
	view_setup->bundle = bundle;
	if (status == 0 && view_new(&view, view_setup, &fault) < 0) {
		cmd_message("%s", fault.text);
		status = EXIT_STATUS_FAILED;
	}
	if (status == 0)
		status = run(options, bundle, policy, machine_cpus, view);
	(void)view_free(view);
	(void)bundle_free(bundle);
	return status;
}

static int submit(const struct options *options)
{
	struct view_setup view_setup = {.to = stderr, .kind = view_kind(options)};
	struct fault fault = FAULT_INIT;
	struct bundle *bundle = NULL;
	struct view *view = NULL;
	int status = 0;

	if (bundle_read(options->path, &bundle, &fault) < 0) {
		cmd_message("%s", fault.text);
		return EXIT_STATUS_DATA;
	}
	if (options->output)
		status = make_output_directory(options->output);
	view_setup.bundle = bundle;
	if (status == 0 && view_new(&view, &view_setup, &fault) < 0) {
		cmd_message("%s", fault.text);
		status = EXIT_STATUS_FAILED;
	}
	if (status == 0)
		status = run_submitted(options, bundle, view);
	(void)view_free(view);
	(void)bundle_free(bundle);
	return status;
}

int cmd_bundle(int argc, char *argv[])
{
	_cleanup_(options_done) struct options options = {0};
	struct view_setup view_setup = {.to = stderr};
	int status = parse(argc, argv, &options);

	if (status != 0)
		return status;
	if (options.is_help) {
		print_help();
		return EXIT_STATUS_DONE;
	}
	if (options.is_submitted)
		return submit(&options);
	view_setup.kind = view_kind(&options);
	if (options.is_dry)
		view_setup.grants_to = options.is_json ? stderr : stdout;
	return run_embedded(&options, &view_setup);
}
