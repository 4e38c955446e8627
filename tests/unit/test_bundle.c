// SPDX-License-Identifier: GPL-2.0-or-later
#include "bundle.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "bundle_internal.h"
#include "cleanup.h"
#include "nsec.h"
#include "policy.h"
#include "suite.h"

DEFINE_CLEANUP_FUNC(struct bundle, bundle_free)
#define _cleanup_bundle_ _cleanup_(cleanup_bundle_free)

static struct bundle *parse(const char *text)
{
	struct fault fault = FAULT_INIT;
	struct bundle *bundle = NULL;

	ck_assert_msg(bundle_parse("dir/x.bundle", text, strlen(text), &bundle, &fault) == 0, "%s",
		fault.text);
	return bundle;
}

#define HEAD "[bundle]\nbudget = 1cpu\n" /* two lines */

START_TEST(fills_defaults)
{
	_cleanup_bundle_ struct bundle *bundle = parse(
		HEAD "[task a]\ncurve = a.csv\ndeadline = 9s\ntarget = 0.5\n");
	const struct bundle_task *task = &bundle->tasks[0];

	ck_assert_str_eq(bundle->path, "dir/x.bundle");
	ck_assert_str_eq(bundle->directory, "dir");
	ck_assert_uint_eq(bundle->slot_ns, NSEC_PER_SEC);
	ck_assert_str_eq(bundle->policy, "core");
	ck_assert(!bundle->has_capacity);
	ck_assert_ptr_null(bundle->schedule_path);
	ck_assert_uint_eq(bundle->n_tasks, 1);
	ck_assert_str_eq(task->name, "a");
	ck_assert_uint_eq(task->line, 3);
	ck_assert_ptr_null(task->argv);
	ck_assert_str_eq(task->curve_path, "dir/a.csv");
	ck_assert_str_eq(task->directory, "dir");
	ck_assert_ptr_null(task->environment);
	ck_assert_uint_eq(task->begin_ns, 0);
	ck_assert_uint_eq(task->deadline_ns, 9 * NSEC_PER_SEC);
	ck_assert_double_eq(task->target.value, 0.5);
	ck_assert_double_eq(task->threads, 1);
	ck_assert_int_eq(task->feed, FEED_AUTO);
	ck_assert_int_eq(task->on_target, AT_END_DEFAULT);
	ck_assert_int_eq(task->on_deadline, AT_END_DEFAULT);
	ck_assert_uint_eq(task->grace_ns, 10 * NSEC_PER_SEC);
}
END_TEST

START_TEST(reads_every_key)
{
	_cleanup_bundle_ struct bundle *bundle = parse(
		"[task a]\n"
		"command = ./train.sh --lr '0.1 ; x' ; comment\n"
		"curve = \"a b.csv\"\n"
		"directory = sub\n"
		"environment = A=1 B='x y' AZaz_09=\n"
		"begin = 1.5s\n"
		"deadline = 1min\n"
		"target = accuracy >= 0.9 for 3\n"
		"threads = 1.5\n"
		"feed = file:log.csv\n"
		"on-target = yield\n"
		"on-deadline = stop\n"
		"grace = 0s\n"
		"[capacity]\n"
		"1h = 1cpu\n"
		"[budget]\n"
		"2min = 25%\n"
		"60s = 0.5cpu\n"
		"[bundle]\n"
		"capacity = 2cpu\n"
		"budget = 75%\n"
		"slot = 50ms\n"
		"policy = script\n"
		"schedule = /abs/fig.csv\n"
		"[task b]\n"
		"command = mlp\n"
		"feed = output:keras\n"
		"deadline = 1ms\n"
		"target = 1\n");
	const struct bundle_task *task = &bundle->tasks[0];

	ck_assert_uint_eq(bundle->n_tasks, 2);
	ck_assert_int_eq(task->argv[0][0], '/');
	ck_assert_ptr_nonnull(strstr(task->argv[0], "/dir/./train.sh"));
	ck_assert_str_eq(task->argv[2], "0.1 ; x");
	ck_assert_ptr_null(task->argv[3]);
	ck_assert_str_eq(task->curve_path, "dir/a b.csv");
	ck_assert_str_eq(task->directory, "dir/sub");
	ck_assert_str_eq(task->environment[1], "B=x y");
	ck_assert_str_eq(task->environment[2], "AZaz_09=");
	ck_assert_ptr_null(task->environment[3]);
	ck_assert_uint_eq(task->begin_ns, 1500000000);
	ck_assert_uint_eq(task->deadline_ns, 60 * NSEC_PER_SEC);
	ck_assert_str_eq(task->target.metric, "accuracy");
	ck_assert_double_eq(task->threads, 1.5);
	ck_assert_int_eq(task->feed, FEED_FILE);
	ck_assert_str_eq(task->feed_path, "dir/log.csv");
	ck_assert_int_eq(task->on_target, AT_END_YIELD);
	ck_assert_int_eq(task->on_deadline, AT_END_STOP);
	ck_assert_uint_eq(task->grace_ns, 0);
	ck_assert_str_eq(bundle->tasks[1].argv[0], "mlp");
	ck_assert_int_eq(bundle->tasks[1].feed, FEED_OUTPUT);
	ck_assert_str_eq(bundle->tasks[1].feed_preset, "keras");
	ck_assert_uint_eq(bundle->slot_ns, 50 * NSEC_PER_MSEC);
	ck_assert_str_eq(bundle->policy, "script");
	ck_assert_uint_eq(bundle->policy_line, 23);
	ck_assert_str_eq(bundle->schedule_path, "/abs/fig.csv");
	ck_assert(bundle->has_capacity);
	ck_assert_uint_eq(bundle->capacity.n_steps, 2);
	ck_assert_uint_eq(bundle->budget.n_steps, 3);
	ck_assert_uint_eq(bundle->budget.steps[1].from_ns, 60 * NSEC_PER_SEC);
	ck_assert_uint_eq(bundle->budget.steps[1].line, 18);
	ck_assert(bundle->budget.steps[2].share.is_percent);
}
END_TEST

START_TEST(takes_the_longest_slot)
{
	_cleanup_bundle_ struct bundle *bundle = parse(HEAD "slot = 1min\n");

	ck_assert_uint_eq(bundle->slot_ns, 60 * NSEC_PER_SEC);
}
END_TEST

/* Of any policies, wherever they stand. */
START_TEST(reads_parameters)
{
	_cleanup_bundle_ struct bundle *bundle = parse(
		"[policy core]\ncapacity-part = 0.5 ; half\n" HEAD
		"policy = edf\n[policy edf]\n[policy equal]\n");
	const struct policy *core = policy_find("core");
	double values[POLICY_PARAMETERS_MAX];

	ck_assert_str_eq(bundle->policy, "edf");
	ck_assert_uint_eq(bundle->parameters.n, 1);
	policy_parameter_values(core, NULL, values);
	parameter_choices_apply(&bundle->parameters, core, values);
	ck_assert_double_eq(
		values[policy_parameter_find(core, "capacity-part") - core->parameters], 0.5);
	ck_assert_double_eq(
		values[policy_parameter_find(core, "unseen-chance") - core->parameters], 0.875);
}
END_TEST

START_TEST(takes_no_tasks)
{
	_cleanup_bundle_ struct bundle *bundle = parse(HEAD);

	ck_assert_uint_eq(bundle->n_tasks, 0);
	ck_assert_int_eq(bundle_resolve(bundle, BUNDLE_SIMULATED, 0, NULL), 0);
}
END_TEST

#define TASK "[task a]\ncurve = a\ndeadline = 9s\ntarget = 1\n" /* from line 3 to 6 after HEAD */
static const struct {
	const char *text, *says;
} bad[] = {
	{"", "x.bundle:1: no section [bundle]"},
	{"[bundle]\n", "x.bundle:1: [bundle] has no 'budget', which is required"},
	{"[bundle]\nbuget = 1cpu\n",
		"x.bundle:2: unknown key 'buget' in [bundle]; did you mean 'budget'?"},
	{"[bundle]\ndeadline = 1s\n", "x.bundle:2: unknown key 'deadline' in [bundle]"},
	{"[bundle]\nbudget = 1\n", "x.bundle:2: budget: '1' has no unit"},
	{"[bundle]\nbudget =\n", "x.bundle:2: 'budget' has no value; expected CPUs"},
	{"[bundle x]\n", "x.bundle:1: the section [bundle] takes no name"},
	{"[bundel]\n", "x.bundle:1: unknown section [bundel]; did you mean [bundle]?"},
	{HEAD "[job a]\n", "x.bundle:3: unknown section [job]; expected [bundle]"},
	{HEAD "slot = 49ms\n", "x.bundle:3: slot: '49ms' is outside"},
	{HEAD "slot = 60001ms\n", "x.bundle:3: slot: '60001ms' is outside"},
	{HEAD "slot = 0\n", "x.bundle:3: slot"},
	{HEAD "policy = eqaul\n",
		"x.bundle:3: policy: unknown policy 'eqaul'; did you mean 'equal'?"},
	{HEAD "policy = zzzzzz\n", "x.bundle:3: policy: unknown policy 'zzzzzz'; 'coregov"},
	{HEAD "schedule = a.csv\n", "x.bundle:3: 'schedule' is for the policy 'script' only"},
	{HEAD "policy = script\n", "x.bundle:3: the policy 'script' needs a schedule"},
	{HEAD "capacity = 50%\n", "x.bundle:3: the capacity cannot be a share"},
	{HEAD "capacity = 0cpu\n", "x.bundle:3: the capacity must be above"},
	{HEAD "[capacity]\n60s = 1cpu\n", "x.bundle:4: no capacity before"},
	{HEAD "[capacity]\n0s = 1cpu\n60s = 2%\n", "x.bundle:5: the capacity cannot be a share"},
	{HEAD "[budget]\n60s = 1cpu\n1min = 2cpu\n", "x.bundle:5: the same moment as in line 4"},
	{HEAD "[budget]\n0 = 1cpu\n0s = 2cpu\n", "x.bundle:5: 0s: a line above"},
	{HEAD "[budget]\n60 = 1cpu\n", "x.bundle:4: expected a line such as"},
	{HEAD "[budget]\n60s = 1\n", "x.bundle:4: 60s: '1' has no unit"},
	{HEAD "[budget]\n60s =\n", "x.bundle:4: 60s: '' is not a share"},
	{HEAD "[policy]\n", "x.bundle:3: [policy] names no policy; expected [policy NAME]"},
	{HEAD "[policy cor]\n", "x.bundle:3: unknown policy 'cor'; did you mean 'core'?; expected"},
	{HEAD "[polcy core]\n", "x.bundle:3: unknown section [polcy]; did you mean [policy]?"},
	{HEAD "[policy core]\ncapacity-prt = 1\n",
		"x.bundle:4: unknown key 'capacity-prt' in [policy core]; did you mean "
		"'capacity-part'?"},
	{HEAD "[policy core]\nbudget = 1cpu\n",
		"x.bundle:4: unknown key 'budget' in [policy core]"},
	{HEAD "capacity-part = 1\n", "x.bundle:3: unknown key 'capacity-part' in [bundle]"},
	{HEAD "[policy core]\ncapacity-part =\n",
		"x.bundle:4: 'capacity-part' has no value; expected a number from 0.5 to 1"},
	{HEAD "[policy core]\ncapacity-part = 1.01\n",
		"x.bundle:4: capacity-part: '1.01' is outside the range; expected a number from "
		"0.5 to 1"},
	{HEAD "[policy core]\ncapacity-part = 95%\n",
		"x.bundle:4: capacity-part: expected a number from 0.5 to 1: '95%' is not"},
	{HEAD "[policy core]\nunseen-part = 1\nunseen-part = 1\n",
		"x.bundle:5: the key 'unseen-part' is there a second time"},
	{HEAD "[policy core]\n[policy core]\n",
		"x.bundle:4: the section [policy core] is there a second time"},
	{HEAD "[policy edf]\ncapacity-part = 1\n",
		"x.bundle:4: the policy 'edf' has no parameters; take 'capacity-part' out"},
	{HEAD "[task]\n", "x.bundle:3: '' is not a task's name"},
	{HEAD "[task a/b]\n", "x.bundle:3: 'a/b' is not a task's name"},
	{HEAD "[task a b]\n", "x.bundle:3: 'a b' is not a task's name"},
	{HEAD TASK TASK, "x.bundle:7: the section [task a] is there a second time"},
	{HEAD "[task a]\ncurve = a\ndeadline = 1s\n", "x.bundle:3: [task a] has no 'target'"},
	{HEAD "[task a]\ncurve = a\ntarget = 1\n", "x.bundle:3: [task a] has no 'deadline'"},
	{HEAD "[task a]\ndeadline = 1s\ntarget = 1\n", "x.bundle:3: [task a] has neither"},
	{HEAD TASK "dedline = 1s\n",
		"x.bundle:7: unknown key 'dedline' in [task a]; did you mean 'deadline'?"},
	{HEAD TASK "begin = 9s\n", "x.bundle:5: the deadline of [task a] is not after its begin"},
	{HEAD TASK "begin = -1s\n", "x.bundle:7: begin: '-1s' is negative"},
	{HEAD TASK "threads = 0\n", "x.bundle:7: threads: '0' is outside"},
	{HEAD TASK "threads = nan\n", "x.bundle:7: threads: 'nan' is not"},
	{HEAD TASK "command = 'a\n", "x.bundle:7: command: the quote ' is not closed"},
	{HEAD TASK "command = '' a\n", "x.bundle:7: command: the command's first word is empty"},
	{HEAD TASK "environment = A=1 B\n", "x.bundle:7: environment: 'B' is not of the form"},
	{HEAD TASK "environment = 1A=1\n", "x.bundle:7: environment: '1A=1' is not of the form"},
	{HEAD TASK "environment = =1\n", "x.bundle:7: environment: '=1' is not of the form"},
	{HEAD TASK "environment = A=1 AB=2 A=3 A0=4\n",
		"x.bundle:7: environment: 'A' is set twice"},
	{HEAD TASK "feed = outptu\n",
		"x.bundle:7: feed: unknown feed 'outptu'; did you mean 'output'?"},
	{HEAD TASK "feed = file\n", "x.bundle:7: feed: 'file' names no file"},
	{HEAD TASK "feed = file:\n", "x.bundle:7: feed: 'file:' names no file"},
	{HEAD TASK "feed = output:\n", "x.bundle:7: feed: 'output:': nothing"},
	{HEAD TASK "feed = shm:x\n", "x.bundle:7: feed: 'shm:x': nothing"},
	{HEAD TASK "on-target = halt\n", "x.bundle:7: on-target: 'halt' is neither"},
	{HEAD TASK "directory = 'a' b\n", "x.bundle:7: directory: 'a' b is not one path"},
	{HEAD TASK "grace = 1\n", "x.bundle:7: grace: '1' has no unit"},
	{HEAD "[task a]\ncurve = a\ndeadline = 9s\ntarget = loss <= nan\n",
		"x.bundle:6: target: target 'loss <= nan'"},
};

START_TEST(refuses)
{
	struct fault fault = FAULT_INIT;
	struct bundle *bundle = NULL;

	ck_assert_int_eq(
		bundle_parse("x.bundle", bad[_i].text, strlen(bad[_i].text), &bundle, &fault),
		-EBADMSG);
	ck_assert_msg(strstr(fault.text, bad[_i].says) == fault.text, "%s", fault.text);
	ck_assert_ptr_null(bundle);
}
END_TEST

static const char overtime[] = "[bundle]\ncapacity = 4cpu\nbudget = 50%\n"
			       "[capacity]\n10s = 2cpu\n30s = 1cpu\n"
			       "[budget]\n20s = 25%\n25s = 0.125cpu\n";

START_TEST(resolves_per_cent_over_time)
{
	static const struct {
		uint64_t from_s;
		double cpus;
	} steps[] = {{0, 2}, {10, 1}, {20, 0.5}, {25, 0.125}};
	_cleanup_bundle_ struct bundle *bundle = parse(overtime);

	ck_assert_int_eq(bundle_resolve(bundle, BUNDLE_REAL, 4, NULL), 0);
	ck_assert_uint_eq(bundle->budget.n_steps, ARRAY_LENGTH(steps));
	for (size_t i = 0; i < ARRAY_LENGTH(steps); i++) {
		ck_assert_uint_eq(bundle->budget.steps[i].from_ns, steps[i].from_s * NSEC_PER_SEC);
		ck_assert_double_eq(bundle->budget.steps[i].share.number, steps[i].cpus);
		ck_assert(!bundle->budget.steps[i].share.is_percent);
	}
	ck_assert_double_eq(timeline_most(&bundle->budget), 2);
	ck_assert_double_eq(timeline_least(&bundle->budget, 0, 10 * NSEC_PER_SEC), 2);
	ck_assert_double_eq(timeline_least(&bundle->budget, 0, 10 * NSEC_PER_SEC + 1), 1);
	ck_assert_double_eq(
		timeline_least(&bundle->budget, 10 * NSEC_PER_SEC, 11 * NSEC_PER_SEC), 1);
	ck_assert_double_eq(
		timeline_least(&bundle->budget, 19 * NSEC_PER_SEC, 26 * NSEC_PER_SEC), 0.125);
	ck_assert_double_eq(
		timeline_least(&bundle->budget, 20 * NSEC_PER_SEC, 20 * NSEC_PER_SEC), 0.5);
	ck_assert_double_eq(timeline_least(&bundle->budget, UINT64_MAX - 1, UINT64_MAX), 0.125);
}
END_TEST

START_TEST(finds_the_capacity)
{
	struct bundle *bundle = parse("[bundle]\nbudget = 1.5cpu\n[budget]\n5s = 1cpu\n");

	ck_assert_int_eq(bundle_resolve(bundle, BUNDLE_SIMULATED, 0, NULL), 0);
	ck_assert_uint_eq(bundle->capacity.n_steps, 2);
	ck_assert_double_eq(bundle->capacity.steps[0].share.number, 1.5);
	ck_assert_double_eq(bundle->capacity.steps[1].share.number, 1);
	bundle_free(bundle);

	bundle = parse("[bundle]\nbudget = 50%\n");
	ck_assert_int_eq(bundle_resolve(bundle, BUNDLE_REAL, 3, NULL), 0);
	ck_assert_double_eq(bundle->capacity.steps[0].share.number, 3);
	ck_assert_double_eq(bundle->budget.steps[0].share.number, 1.5);
	bundle_free(bundle);

	/* A simulation's budget may be above the capacity. */
	bundle = parse("[bundle]\ncapacity = 1cpu\nbudget = 2cpu\n");
	ck_assert_int_eq(bundle_resolve(bundle, BUNDLE_SIMULATED, 0, NULL), 0);
	ck_assert_double_eq(bundle->budget.steps[0].share.number, 2);
	bundle_free(bundle);
}
END_TEST

static const struct {
	const char *text;
	enum bundle_use use;
	double machine_cpus;
	const char *says;
} unresolvable[] = {
	{HEAD "[task a]\ncommand = a\ndeadline = 9s\ntarget = 1\n", BUNDLE_SIMULATED, 0,
		"dir/x.bundle:3: [task a] has no 'curve'"},
	{"[bundle]\nbudget = 50%\n", BUNDLE_SIMULATED, 0, "dir/x.bundle:2: 50% of what?"},
	{HEAD "[budget]\n9s = 50%\n", BUNDLE_SIMULATED, 0, "dir/x.bundle:4: 50% of what?"},
	{"[bundle]\nbudget = 1.5cpu\n", BUNDLE_REAL, 1, "dir/x.bundle:2: the budget of 1.5 CPUs"},
	{"[bundle]\ncapacity = 4cpu\nbudget = 3cpu\n", BUNDLE_REAL, 2,
		"dir/x.bundle:3: the budget of 3 CPUs is above what can be used of this machine, "
		"2"},
	{"[bundle]\ncapacity = 1cpu\nbudget = 1.5cpu\n", BUNDLE_REAL, 2,
		"dir/x.bundle:3: the budget of 1.5 CPUs is above the capacity of 1"},
	{"[bundle]\nbudget = 101%\n", BUNDLE_REAL, 2, "dir/x.bundle:2: the budget of 2.02 CPUs"},
	{HEAD "[budget]\n9s = 3cpu\n", BUNDLE_REAL, 2, "dir/x.bundle:4: the budget of 3 CPUs"},
	{HEAD "capacity = 2cpu\n[capacity]\n9s = 0.5cpu\n", BUNDLE_REAL, 2,
		"dir/x.bundle:2: the budget of 1 CPUs is above the capacity of 0.5"},
	{"[bundle]\ncapacity = 1e6cpu\nbudget = 200%\n", BUNDLE_SIMULATED, 0,
		"dir/x.bundle:3: a budget of 2e+06"},
};

START_TEST(refuses_to_resolve)
{
	_cleanup_bundle_ struct bundle *bundle = parse(unresolvable[_i].text);
	struct fault fault = FAULT_INIT;

	ck_assert_int_eq(
		bundle_resolve(bundle, unresolvable[_i].use, unresolvable[_i].machine_cpus, &fault),
		-EBADMSG);
	ck_assert_msg(strstr(fault.text, unresolvable[_i].says) == fault.text, "%s", fault.text);
}
END_TEST

#define SCRIPT                                                         \
	"[bundle]\nbudget = 1cpu\npolicy = script\nschedule = s.csv\n" \
	"[task b]\ncurve = b\ndeadline = 9s\ntarget = 1\n" TASK

START_TEST(reads_schedules)
{
	static const char text[] =
		"slot,task,cpus\r\n2,a,0.5\r\n0,a,0\n\n0, b ,1e-1\n4294967295,b,2";
	_cleanup_bundle_ struct bundle *bundle = parse(SCRIPT);
	struct fault fault = FAULT_INIT;

	ck_assert_msg(schedule_parse(bundle, "s.csv", text, sizeof(text) - 1, &fault) == 0, "%s",
		fault.text);
	ck_assert_uint_eq(bundle->n_schedule, 4);
	ck_assert_uint_eq(bundle->schedule[0].slot, 0);
	ck_assert_uint_eq(bundle->schedule[0].task, 0); /* b is the first of the file */
	ck_assert_double_eq(bundle->schedule[0].cpus, 0.1);
	ck_assert_uint_eq(bundle->schedule[1].task, 1);
	ck_assert_uint_eq(bundle->schedule[2].slot, 2);
	ck_assert_uint_eq(bundle->schedule[3].slot, UINT32_MAX);
}
END_TEST

static const struct {
	const char *text, *says;
} bad_schedules[] = {
	{"", "s.csv:1: a schedule starts with"},
	{"slot,task\n", "s.csv:1: a schedule starts with"},
	{"slot,task,cpus\n1,a\n", "s.csv:2: not three fields"},
	{"slot,task,cpus\n1,c,1\n", "s.csv:2: no task 'c'"},
	{"slot,task,cpus\n-1,a,1\n", "s.csv:2: slot: '-1'"},
	{"slot,task,cpus\n1,a,-1\n", "s.csv:2: cpus: '-1'"},
	{"slot,task,cpus\n1,a,nan\n", "s.csv:2: cpus: 'nan'"},
	{"slot,task,cpus\n1,a,1cpu\n", "s.csv:2: cpus: '1cpu'"},
	{"slot,task,cpus\n1,a,1\n0,b,1\n1,a,2\n", "s.csv:4: slot 1 of task a is in line 2"},
};

START_TEST(refuses_schedules)
{
	_cleanup_bundle_ struct bundle *bundle = parse(SCRIPT);
	struct fault fault = FAULT_INIT;

	ck_assert_int_eq(schedule_parse(bundle, "s.csv", bad_schedules[_i].text,
				 strlen(bad_schedules[_i].text), &fault),
		-EBADMSG);
	ck_assert_msg(strstr(fault.text, bad_schedules[_i].says) == fault.text, "%s", fault.text);
	ck_assert_ptr_null(bundle->schedule);
}
END_TEST

static void write_file(const char *directory, const char *name, const char *text)
{
	char path[200];
	FILE *file;

	(void)snprintf(path, sizeof(path), "%s/%s", directory, name);
	file = fopen(path, "we");
	ck_assert_ptr_nonnull(file);
	ck_assert_int_ge(fputs(text, file), 0);
	ck_assert_int_eq(fclose(file), 0);
}

static void remove_file(const char *directory, const char *name)
{
	char path[200];

	(void)snprintf(path, sizeof(path), "%s/%s", directory, name);
	(void)unlink(path);
}

START_TEST(reads_the_files_it_names)
{
	char directory[SUITE_PATH_MAX], path[200];
	struct fault fault = FAULT_INIT;
	struct bundle *bundle = NULL;

	ck_assert_ptr_nonnull(mkdtemp(suite_template(directory)));
	(void)snprintf(path, sizeof(path), "%s/x.bundle", directory);
	ck_assert_int_eq(bundle_read(path, &bundle, &fault), -ENOENT);
	write_file(directory, "x.bundle", SCRIPT);
	ck_assert_int_eq(bundle_read(path, &bundle, &fault), -ENOENT);
	ck_assert_msg(strstr(fault.text, "x.bundle:5: [task b]: curve: cannot read '") != NULL,
		"%s", fault.text);
	write_file(directory, "b", "cpu_seconds,loss\n1,1\n");
	write_file(directory, "a", "cpu_seconds,loss\n1,1\n0.5,1\n");
	ck_assert_int_eq(bundle_read(path, &bundle, &fault), -EBADMSG);
	ck_assert_msg(strstr(fault.text, "/a:3: cpu_seconds '0.5'") != NULL, "%s", fault.text);
	write_file(directory, "a", "cpu_seconds,loss\n1,1\n");
	ck_assert_int_eq(bundle_read(path, &bundle, &fault), -ENOENT);
	ck_assert_msg(strstr(fault.text, "s.csv'") != NULL, "%s", fault.text);
	write_file(directory, "s.csv", "slot,task,cpus\n0,a,1\n");
	ck_assert_msg(bundle_read(path, &bundle, &fault) == 0, "%s", fault.text);
	ck_assert_uint_eq(bundle->n_schedule, 1);
	ck_assert_uint_eq(bundle->tasks[1].curve.n_rows, 1);
	bundle_free(bundle);
	remove_file(directory, "x.bundle");
	remove_file(directory, "a");
	remove_file(directory, "b");
	remove_file(directory, "s.csv");
	ck_assert_int_eq(rmdir(directory), 0);
}
END_TEST

static struct bundle *parse_many(size_t n_tasks, int expected, struct fault *fault)
{
	size_t size = n_tasks * 80 + 100, length;
	struct bundle *bundle = NULL;
	char *text = malloc(size);

	ck_assert_ptr_nonnull(text);
	length = (size_t)snprintf(text, size, HEAD);
	for (size_t i = 0; i < n_tasks; i++)
		length += (size_t)snprintf(text + length, size - length,
			"[task t%zu]\ncurve=a\ndeadline=9s\ntarget=1\n", i);
	ck_assert_int_eq(bundle_parse("x.bundle", text, length, &bundle, fault), expected);
	free(text);
	return bundle;
}

START_TEST(takes_many_tasks)
{
	struct fault fault = FAULT_INIT;
	struct bundle *bundle = parse_many(BUNDLE_TASKS_MAX, 0, &fault);

	ck_assert_uint_eq(bundle->n_tasks, BUNDLE_TASKS_MAX);
	ck_assert_str_eq(bundle->tasks[BUNDLE_TASKS_MAX - 1].name, "t99999");
	bundle_free(bundle);
	ck_assert_ptr_null(parse_many(BUNDLE_TASKS_MAX + 1, -EBADMSG, &fault));
	ck_assert_msg(strstr(fault.text, "more than 100000 tasks") != NULL, "%s", fault.text);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("bundle");
	TCase *tcase = tcase_create("all");

	tcase_set_timeout(tcase, 30);
	tcase_add_test(tcase, fills_defaults);
	tcase_add_test(tcase, reads_every_key);
	tcase_add_test(tcase, takes_the_longest_slot);
	tcase_add_test(tcase, reads_parameters);
	tcase_add_test(tcase, takes_no_tasks);
	tcase_add_loop_test(tcase, refuses, 0, ARRAY_LENGTH(bad));
	tcase_add_test(tcase, resolves_per_cent_over_time);
	tcase_add_test(tcase, finds_the_capacity);
	tcase_add_loop_test(tcase, refuses_to_resolve, 0, ARRAY_LENGTH(unresolvable));
	tcase_add_test(tcase, reads_schedules);
	tcase_add_loop_test(tcase, refuses_schedules, 0, ARRAY_LENGTH(bad_schedules));
	tcase_add_test(tcase, reads_the_files_it_names);
	tcase_add_test(tcase, takes_many_tasks);
	suite_add_tcase(suite, tcase);
	return suite_run(suite);
}
