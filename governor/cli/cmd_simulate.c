// SPDX-License-Identifier: GPL-2.0-or-later
#include <assert.h>
#include <errno.h>
#include <getopt.h>
#include <limits.h>
#include <math.h>
#include <poll.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "bundle.h"
#include "bundle_optimum.h"
#include "cleanup.h"
#include "cmd.h"
#include "crew.h"
#include "machine.h"
#include "monotonic.h"
#include "parameter.h"
#include "policy.h"
#include "progress.h"
#include "simulate_one.h"
#include "summary.h"
#include "summary_text.h"
#include "view.h"

/* `coregov simulate`: the slot loop over recorded curves. Every bundle is read and checked before
 * the first one is run, so that a mistake in the last of a hundred shows at once and nothing is
 * printed that has to be thrown away. Each bundle under each policy is one piece of work for a crew of
 * processes. Results come in the order of the arguments, then of the policies, as soon as that order
 * allows; behind them the summary.
 *
 * Curves are kept from the check to the run as far as ROWS_KEPT_MAX goes, shared by all processes. Beyond
 * that a bundle is read again where it is run; but what is no file, such as what a shell gives for <(...),
 * can be read once only. */

#define POLICIES_MAX 32
#define FINISH_MS 500
#define ROWS_KEPT_MAX ((size_t)8 << 20) /* 128 MiB */

struct input {
	const char *path;
	const struct policy *own; /* policy */
	bool has_schedule;
	size_t n_tasks;
	struct bundle *bundle; /* NULL: to be read again */
};

struct simulate {
	const struct policy *policies[POLICIES_MAX]; /* none: each bundle's own */
	size_t n_policies;
	const struct parameter_choices *set; /* of the command line */
	bool is_json, is_summary, is_quiet;
	uint64_t n_jobs; /* 0: as many as there are CPUs */
	const char *trace_path;
	struct input *inputs;
	size_t n_inputs, n_rows_kept;
	struct crew_signals signals;
	struct progress progress;
	bool shares_terminal; /* results go to where the progress is shown */
	struct summary *summary;
	/* In a process that runs: what was read again last. */
	struct bundle *again;
	size_t again_input;
	/* And of which bundle the optimum was found last, plus one. */
	size_t star_input;
	double kappa_star;
};

static void print_help(void)
{
	(void)printf(
		"usage: coregov simulate BUNDLE... [OPTION...]\n"
		"\n"
		"Runs bundles of recorded curves in simulated time.\n"
		"\n"
		"  -p, --policy P[,P...]  instead of each bundle's own policy: %s\n"
		"  -x, --set P.X=V        another value for a parameter of a policy, such as\n"
		"                         core.capacity-part=0.9; one each\n"
		"  -J, --jobs N           so many at the same time, instead of one per CPU\n"
		"  -S, --summary          the summary only, also of a single bundle\n"
		"  -t, --trace FILE       record every slot of one bundle under one policy in a\n"
		"                         SQLite database\n"
		"  -q, --quiet            show no progress\n"
		"  -j, --json             one JSON object a line, see coregov.bundle(5); with\n"
		"                         --summary one in all, see coregov-simulate(1)\n"
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
		for (size_t i = 0; i < simulate->n_policies; i++)
			if (simulate->policies[i] == policy)
				return cmd_usage_error(
					"simulate", "--policy names '%s' twice", name);
		if (simulate->n_policies == POLICIES_MAX)
			return cmd_usage_error("simulate", "more than %d policies", POLICIES_MAX);
		simulate->policies[simulate->n_policies++] = policy;
	}
	if (simulate->n_policies == 0)
		return cmd_usage_error("simulate", "--policy names no policy");
	return 0;
}

/* How many results a bundle has. */
static size_t n_columns(const struct simulate *simulate)
{
	return simulate->n_policies > 0 ? simulate->n_policies : 1;
}

static const struct policy *policy_of(const struct simulate *simulate, size_t item)
{
	size_t column = item % n_columns(simulate);

	return simulate->n_policies > 0 ? simulate->policies[column]
					: simulate->inputs[item / n_columns(simulate)].own;
}

DEFINE_CLEANUP_FUNC(struct bundle, bundle_free)

static int read_bundle(const char *path, struct bundle **ret_bundle, struct fault *fault)
{
	_cleanup_(cleanup_bundle_free) struct bundle *bundle = NULL;
	int r = bundle_read(path, &bundle, fault);

	if (r == 0)
		r = bundle_resolve(bundle, BUNDLE_SIMULATED, /* machine_cpus= */ 1, fault);
	if (r == 0)
		*ret_bundle = TAKE_PTR(bundle);
	return r;
}

static size_t count_rows(const struct bundle *bundle)
{
	size_t n_rows = 0;

	for (size_t i = 0; i < bundle->n_tasks; i++)
		n_rows += bundle->tasks[i].curve.n_rows;
	return n_rows;
}

static bool is_file(const char *path)
{
	struct stat stat_buffer;

	return stat(path, &stat_buffer) == 0 && S_ISREG(stat_buffer.st_mode);
}

static int read_input(struct simulate *simulate, struct input *input, struct fault *fault)
{
	_cleanup_(cleanup_bundle_free) struct bundle *bundle = NULL;
	size_t n_rows;
	int r = read_bundle(input->path, &bundle, fault);

	if (r < 0)
		return r;
	input->own = policy_find(bundle->policy);
	input->has_schedule = bundle->schedule;
	input->n_tasks = bundle->n_tasks;
	for (size_t p = 0; p < simulate->n_policies; p++)
		if (simulate->policies[p]->needs_schedule && !input->has_schedule)
			return fault_set(fault, -EBADMSG,
				"%s: policy %s needs a schedule: add `schedule = "
				"FILE.csv` to [bundle]",
				input->path, simulate->policies[p]->name);
	n_rows = count_rows(bundle);
	if (simulate->n_rows_kept + n_rows > ROWS_KEPT_MAX && is_file(input->path))
		return 0;
	simulate->n_rows_kept += n_rows;
	input->bundle = TAKE_PTR(bundle);
	return 0;
}

/* Progress. */

static void begin_progress(struct simulate *simulate, const char *what, size_t n_all)
{
	bool prints_json = simulate->is_json && !simulate->is_summary;

	simulate->shares_terminal = isatty(STDOUT_FILENO);
	simulate->progress = (struct progress){
		.what = what, .n_all = n_all, .start_ns = monotonic_ns()};
	if (!simulate->is_quiet && view_can_redraw(stderr) &&
		!(prints_json && simulate->shares_terminal))
		simulate->progress.to = stderr;
}

static int end_by_signal(struct simulate *simulate, int signo)
{
	progress_hide(&simulate->progress);
	cmd_message("%s: not all of it was run", strsignal(signo));
	return EXIT_STATUS_SIGNAL + signo;
}

static int read_inputs(struct simulate *simulate, char *paths[])
{
	struct fault fault = FAULT_INIT;

	simulate->inputs = calloc(simulate->n_inputs, sizeof(simulate->inputs[0]));
	if (!simulate->inputs) {
		cmd_message("out of memory");
		return EXIT_STATUS_FAILED;
	}
	begin_progress(simulate, "bundles read", simulate->n_inputs);
	for (size_t i = 0; i < simulate->n_inputs; i++) {
		int signo = crew_signals_next(&simulate->signals);

		if (signo > 0)
			return end_by_signal(simulate, signo);
		simulate->inputs[i].path = paths[i];
		if (read_input(simulate, &simulate->inputs[i], &fault) < 0) {
			progress_hide(&simulate->progress);
			cmd_message("%s", fault.text);
			return EXIT_STATUS_DATA;
		}
		progress_look(&simulate->progress, i + 1, monotonic_ns());
	}
	progress_hide(&simulate->progress);
	return 0;
}

static bool is_run(const struct simulate *simulate, const struct policy *policy)
{
	bool is_there = false;

	for (size_t p = 0; p < simulate->n_policies; p++)
		is_there |= simulate->policies[p] == policy;
	for (size_t i = 0; i < simulate->n_inputs && simulate->n_policies == 0; i++)
		is_there |= simulate->inputs[i].own == policy;
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

/* The run of one bundle under one policy. */

static enum simulate_form form_of(const struct simulate *simulate)
{
	if (simulate->is_summary)
		return SIMULATE_NONE;
	if (simulate->is_json)
		return SIMULATE_JSON;
	return simulate->n_inputs == 1 ? SIMULATE_TABLE : SIMULATE_LINE;
}

/* Read again, it must be what was checked. */
static int find_bundle(
	struct simulate *simulate, size_t i, const struct bundle **ret_bundle, struct fault *fault)
{
	const struct input *input = &simulate->inputs[i];
	int r = 0;

	if (input->bundle) {
		*ret_bundle = input->bundle;
		return 0;
	}
	if (!simulate->again || simulate->again_input != i) {
		simulate->again = bundle_free(simulate->again);
		r = read_bundle(input->path, &simulate->again, fault);
		simulate->again_input = i;
	}
	if (r == 0 &&
		(simulate->again->n_tasks != input->n_tasks ||
			policy_find(simulate->again->policy) != input->own ||
			(input->has_schedule && !simulate->again->schedule)))
		r = fault_set(fault, -ESTALE, "it was changed while others were run");
	*ret_bundle = simulate->again;
	return r;
}

/* It is the same for every policy. */
static int find_optimum(
	struct simulate *simulate, size_t i, const struct bundle *bundle, struct fault *fault)
{
	int r;

	if (simulate->star_input == i + 1)
		return 0;
	r = bundle_optimum(bundle, &simulate->kappa_star, fault);
	if (r == 0)
		simulate->star_input = i + 1;
	return r;
}

/* Into `to` come the text, what the figures point to, and the figures. */
static int make(void *context, size_t item, FILE *to, struct fault *fault)
{
	struct simulate *simulate = context;
	double parameters[POLICY_PARAMETERS_MAX];
	struct simulate_setup setup = {
		.policy = policy_of(simulate, item),
		.parameters = parameters,
		.trace_path = simulate->trace_path,
		.form = form_of(simulate),
	};
	_cleanup_free_ double *to_target = NULL;
	struct summary_figures figures;
	size_t input = item / n_columns(simulate);
	int r = find_bundle(simulate, input, &setup.bundle, fault);

	if (r == 0)
		r = find_optimum(simulate, input, setup.bundle, fault);
	if (r < 0)
		return r;
	setup.kappa_star = simulate->kappa_star;
	to_target = calloc(setup.bundle->n_tasks + 1, sizeof(to_target[0]));
	if (!to_target)
		return fault_errno(fault, -ENOMEM, "result");
	cmd_parameters(setup.bundle, simulate->set, setup.policy, parameters);
	r = simulate_one(&setup, to, to_target, &figures, fault);
	if (r < 0)
		return r;
	(void)fwrite(to_target, sizeof(to_target[0]), figures.n_tasks, to);
	(void)fwrite(&figures, sizeof(figures), 1, to);
	return ferror(to) ? fault_errno(fault, -ENOMEM, "result") : 0;
}

/* To standard output. A pipe that is read slowly, or not at all, must not keep signals from being heard: it is
 * written to when it takes PIPE_BUF bytes at least. -EINTR where one has come: before the first of the bytes, or
 * where nobody has taken more of them for FINISH_MS, since half a line is no use to who reads. */
static int write_out(const struct simulate *simulate, const char *bytes, size_t length)
{
	bool has_begun = false;

	while (length > 0) {
		struct pollfd polls[] = {
			{.fd = STDOUT_FILENO, .events = POLLOUT},
			{.fd = simulate->signals.fd, .events = POLLIN},
		};
		ssize_t n;

		if (poll(polls, ARRAY_LENGTH(polls), -1) < 0)
			return -errno;
		if (polls[1].revents != 0 &&
			(!has_begun || poll(polls, /* stdout= */ 1, FINISH_MS) <= 0))
			return -EINTR;
		n = write(STDOUT_FILENO, bytes, length < PIPE_BUF ? length : PIPE_BUF);
		if (n < 0 && errno == EAGAIN) /* somebody has made it not wait */
			continue;
		if (n < 0)
			return -errno;
		has_begun = true;
		bytes += n;
		length -= (size_t)n;
	}
	return 0;
}

static int take(void *context, size_t item, int result, const char *bytes, size_t length,
	struct fault *fault)
{
	struct simulate *simulate = context;
	_cleanup_free_ double *to_target = NULL;
	struct summary_figures figures;
	size_t times_bytes;
	int r;

	if (result < 0)
		return fault_set(fault, result, "%s: %s: %s",
			simulate->inputs[item / n_columns(simulate)].path,
			policy_of(simulate, item)->name, bytes);
	assert(length >= sizeof(figures));
	length -= sizeof(figures);
	memcpy(&figures, bytes + length, sizeof(figures));
	times_bytes = figures.n_tasks * sizeof(to_target[0]);
	assert(length >= times_bytes);
	length -= times_bytes;
	to_target = malloc(times_bytes + 1);
	if (!to_target)
		return fault_errno(fault, -ENOMEM, "summary");
	memcpy(to_target, bytes + length, times_bytes);
	figures.to_target = to_target;
	if (length > 0 && simulate->shares_terminal)
		progress_hide(&simulate->progress);
	r = write_out(simulate, bytes, length);
	if (r < 0)
		return fault_errno(fault, r, "write the results");
	return summary_add(simulate->summary, &figures) < 0 ? fault_errno(fault, -ENOMEM, "summary")
							    : 0;
}

static void look(void *context, size_t n_made)
{
	struct simulate *simulate = context;

	progress_look(&simulate->progress, n_made, monotonic_ns());
}

/* The summary. */

/* "own policy" where bundles under different ones are in one row. */
static const char *column_name(const struct simulate *simulate, size_t column)
{
	if (simulate->n_policies > 0)
		return simulate->policies[column]->name;
	for (size_t i = 1; i < simulate->n_inputs; i++)
		if (simulate->inputs[i].own != simulate->inputs[0].own)
			return "own policy";
	return simulate->inputs[0].own->name;
}

static int print_summary(const struct simulate *simulate)
{
	struct summary_row rows[POLICIES_MAX];
	const char *names[POLICIES_MAX];
	const struct summary_text text = {
		.summary = simulate->summary,
		.rows = rows,
		.names = names,
		.n_rows = n_columns(simulate),
	};

	if (!simulate->is_summary &&
		(simulate->is_json || (simulate->n_inputs == 1 && n_columns(simulate) == 1)))
		return 0;
	for (size_t i = 0; i < text.n_rows; i++)
		names[i] = column_name(simulate, i);
	if (summary_rows(simulate->summary, rows) < 0)
		return -ENOMEM;
	if (simulate->is_json) {
		_cleanup_free_ char *json = summary_json(&text);

		if (!json)
			return -ENOMEM;
		(void)puts(json);
		return 0;
	}
	if (!simulate->is_summary)
		(void)putchar('\n');
	summary_print(&text, stdout);
	return 0;
}

/* As many as may run at once. */
static unsigned count_jobs(const struct simulate *simulate)
{
	double cpus = 1;

	if (simulate->n_jobs > 0)
		return (unsigned)simulate->n_jobs;
	if (machine_capacity(&cpus, /* fault= */ NULL) < 0)
		return 1;
	return (unsigned)fmin(ceil(cpus), CREW_MAX);
}

static int run_all(struct simulate *simulate)
{
	const struct crew_work work = {
		.n_items = simulate->n_inputs * n_columns(simulate),
		.context = simulate,
		.make = make,
		.take = take,
		.look = look,
	};
	struct fault fault = FAULT_INIT;
	int signo = 0, r = 0;

	if (summary_new(&simulate->summary, simulate->n_inputs, n_columns(simulate)) < 0)
		r = fault_errno(&fault, -ENOMEM, "summary");
	begin_progress(simulate, "runs", work.n_items);
	if (r == 0)
		r = crew_run(&work, count_jobs(simulate), &simulate->signals, &signo, &fault);
	if (r < 0 && signo == 0)
		signo = crew_signals_next(&simulate->signals);
	if (signo > 0)
		return end_by_signal(simulate, signo);
	progress_hide(&simulate->progress);
	if (r == 0 && print_summary(simulate) < 0)
		r = fault_errno(&fault, -ENOMEM, "summary");
	if (r == 0 && (fflush(stdout) != 0 || ferror(stdout)))
		r = fault_errno(&fault, -errno, "write the results");
	if (r == 0)
		return EXIT_STATUS_DONE;
	cmd_message("%s", fault.text);
	return EXIT_STATUS_FAILED;
}

static int simulate_all(struct simulate *simulate, char *paths[])
{
	struct fault fault = FAULT_INIT;
	int status;

	if (simulate->trace_path && (simulate->n_inputs > 1 || n_columns(simulate) > 1))
		return cmd_usage_error("simulate",
			"--trace is of one bundle under one policy; there are %zu and %zu",
			simulate->n_inputs, n_columns(simulate));
	if (crew_signals_init(&simulate->signals, &fault) < 0) {
		cmd_message("%s", fault.text);
		return EXIT_STATUS_FAILED;
	}
	status = read_inputs(simulate, paths);
	if (status == 0)
		status = check_set(simulate);
	if (status == 0)
		status = run_all(simulate);
	crew_signals_done(&simulate->signals);
	for (size_t i = 0; simulate->inputs && i < simulate->n_inputs; i++)
		(void)bundle_free(simulate->inputs[i].bundle);
	free(simulate->inputs);
	(void)summary_free(simulate->summary);
	return status;
}

static int parse_jobs(struct simulate *simulate, const char *text)
{
	struct fault fault = FAULT_INIT;

	if (parse_count(text, 1, CREW_MAX, &simulate->n_jobs, &fault) < 0)
		return cmd_usage_error("simulate", "--jobs: %s", fault.text);
	return 0;
}

static int parse_option(struct simulate *simulate, int option, struct parameter_choices *set)
{
	switch (option) {
	case 'p':
		return parse_policies(simulate, optarg);
	case 'x':
		return cmd_set_parameter("simulate", optarg, set);
	case 'J':
		return parse_jobs(simulate, optarg);
	case 'S':
		simulate->is_summary = true;
		return 0;
	case 't':
		simulate->trace_path = optarg;
		return 0;
	case 'q':
		simulate->is_quiet = true;
		return 0;
	default:
		simulate->is_json = true;
		return 0;
	}
}

int cmd_simulate(int argc, char *argv[])
{
	static const struct option options[] = {
		{"policy", required_argument, NULL, 'p'},
		{"set", required_argument, NULL, 'x'},
		{"jobs", required_argument, NULL, 'J'},
		{"summary", no_argument, NULL, 'S'},
		{"trace", required_argument, NULL, 't'},
		{"quiet", no_argument, NULL, 'q'},
		{"json", no_argument, NULL, 'j'},
		{"help", no_argument, NULL, 'h'},
		{NULL, 0, NULL, 0},
	};
	_cleanup_(parameter_choices_done) struct parameter_choices set = {0};
	struct simulate simulate = {.set = &set};
	int option, status;

	opterr = 0;
	while ((option = getopt_long(argc, argv, ":p:x:J:St:qjh", options, NULL)) >= 0) {
		switch (option) {
		case 'h':
			print_help();
			return EXIT_STATUS_DONE;
		case ':':
			return cmd_usage_error("simulate", "%s needs a value", argv[optind - 1]);
		case '?':
			return cmd_usage_error("simulate", "unknown option '%s'", argv[optind - 1]);
		default:
			status = parse_option(&simulate, option, &set);
			if (status != 0)
				return status;
		}
	}
	if (optind == argc)
		return cmd_usage_error("simulate", "no bundle given");
	simulate.n_inputs = (size_t)(argc - optind);
	return simulate_all(&simulate, argv + optind);
}
