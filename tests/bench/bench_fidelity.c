// SPDX-License-Identifier: GPL-2.0-or-later
#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <math.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "busy.h"
#include "cgroup.h"
#include "cleanup.h"
#include "enforcer.h"
#include "figure.h"
#include "guard.h"
#include "knob.h"
#include "leftover.h"
#include "meter.h"
#include "nsec.h"

/* Budget fidelity: how near to its shares does the machine really run?
 *
 * Eight busy processes under the real guard, enforcer and meter. Every slot deals new shares that
 * add up to the budget; one of them is always 0.02 CPU, one is between 0.02 and 0.04. At each slot
 * boundary the CPU time used is noted, and over every window of 10 s (sliding by slots, the first
 * seconds included) three figures are taken: the least and the most of used / budget, and the worst
 * |used / due - 1| of any task, where due is what its shares came to.
 *
 * Beside it, for comparison and without a limit, what a plain script does: write each quota anew in
 * each slot, with the kernel's period of 100 ms and no parent that holds the budget.
 *
 * The shares come from a generator with a fixed seed. The run's group gets the largest weight, so
 * that what else runs on the machine does not take the budget away from it. --repeat takes the
 * median of several runs of each, --quick is a short one that only shows that the bench works. */

#define N_TASKS 8
#define N_SMALL 2
#define SMALL_CPUS 0.02
#define NAIVE_PERIOD_US 100000
#define SAMPLES_MAX 1024
#define REPEAT_MAX 15

#define LEAST_LIMIT 0.97
#define MOST_LIMIT 1.01
#define TASK_LIMIT 0.05

struct sample {
	uint64_t at_ns;
	uint64_t used_ns[N_TASKS];
	double due_ns[N_TASKS]; /* what the shares came to so far */
	double budget_ns;       /* what the budget came to so far */
};

struct plan {
	double budget_cpus;
	uint64_t slot_ns, window_ns, span_ns;
	bool is_naive;
};

struct figures {
	double least, most; /* used / budget */
	double task_error;
};

struct bench {
	const struct enforcer_ops *ops;
	struct plan plan;
	uint64_t seed;
	char run[RUN_NAME_MAX];
	struct enforcer *enforcer;
	struct meter *meter;
	struct guard *guard;
	struct busy busy[N_TASKS];
	int naive_fds[N_TASKS];
	double shares[N_TASKS];
	struct sample samples[SAMPLES_MAX];
	unsigned n_samples;
};

static void die(const char *what, const char *why) __attribute__((noreturn));

static void die(const char *what, const char *why)
{
	(void)fprintf(stderr, "bench_fidelity: %s: %s\n", what, why);
	exit(EXIT_FAILURE); /* the busy processes die with us, the next start removes the groups */
}

/* xorshift64*: Vigna, "An experimental exploration of Marsaglia's xorshift generators", 2016. */
static double random_unit(uint64_t *seed)
{
	*seed ^= *seed >> 12;
	*seed ^= *seed << 25;
	*seed ^= *seed >> 27;
	return (double)((*seed * UINT64_C(2685821657736338717)) >> 11) /
		(double)(UINT64_C(1) << 53);
}

static void deal_shares(struct bench *bench)
{
	double left = bench->plan.budget_cpus, weights = 0;

	bench->shares[0] = SMALL_CPUS;
	bench->shares[1] = SMALL_CPUS * (1 + random_unit(&bench->seed));
	left -= bench->shares[0] + bench->shares[1];
	for (int i = N_SMALL; i < N_TASKS; i++) {
		bench->shares[i] = 0.2 + 0.8 * random_unit(&bench->seed);
		weights += bench->shares[i];
	}
	for (int i = N_SMALL; i < N_TASKS; i++)
		bench->shares[i] *= left / weights;
}

/* A control file of the run's group (task < 0) or of a task's. */
static int open_control(const struct bench *bench, int task, const char *v1, const char *v2)
{
	const struct place *place = bench->ops->task_place(
		bench->enforcer, task < 0 ? 0 : (uint32_t)task);
	struct cgroup_base base;
	char path[3 * PATH_MAX], rest[64] = "";
	int fd;

	if (place->cgroup2_fd >= 0) {
		(void)snprintf(path, sizeof(path), "%s%s", task < 0 ? "../" : "", v2);
		fd = knob_open(place->cgroup2_fd, path);
	} else {
		if (cgroup_find("cpu", &base, /* fault= */ NULL) < 0)
			return -ENOENT;
		if (task >= 0)
			(void)snprintf(rest, sizeof(rest), "/%d-busy", task);
		(void)snprintf(path, sizeof(path), "%s/%s%s%s%s/%s", base.mount, base.own,
			base.own[0] ? "/" : "", bench->run, rest, v1);
		fd = knob_open(AT_FDCWD, path);
	}
	if (fd < 0)
		die(path, strerror(-fd));
	return fd;
}

static void prefer(const struct bench *bench, bool is_unified)
{
	_cleanup_close_ int fd = open_control(bench, -1, "cpu.shares", "cpu.weight");

	if (knob_write(fd, is_unified ? "10000" : "262144") < 0)
		die("weight", "cannot be set");
}

static void add_task(struct bench *bench, uint32_t task)
{
	struct fault fault = FAULT_INIT;

	bench->busy[task] = busy_start();
	if (bench->ops->task_add(bench->enforcer, task, "busy", /* scope= */ NULL, &fault) < 0 ||
		bench->ops->task_attach(bench->enforcer, task, bench->busy[task].pid, &fault) < 0 ||
		bench->meter->ops->task_add(bench->meter, task,
			bench->ops->task_place(bench->enforcer, task), &fault) < 0)
		die("add a task", fault.text);
	bench->naive_fds[task] = bench->plan.is_naive
		? open_control(bench, (int)task, "cpu.cfs_quota_us", "cpu.max")
		: -EBADF;
}

static void start(struct bench *bench)
{
	const struct enforcer_setup setup = {
		.run = bench->run,
		.n_tasks_max = N_TASKS,
		.budget_cpus = bench->plan.budget_cpus,
		.capacity_cpus = bench->plan.budget_cpus,
		.is_dry = bench->plan.is_naive,
	};
	struct fault fault = FAULT_INIT;

	bench->seed = 42;
	bench->n_samples = 0;
	if (bench->ops->open(&bench->enforcer, &setup, &fault) < 0)
		die("open the enforcer", fault.text);
	if (meter_cgroup.open(&bench->meter, N_TASKS, &fault) < 0)
		die("open the meter", fault.text);
	if (guard_new(&bench->guard, N_TASKS, &bench->enforcer->limits, /* is_dry= */ false) < 0)
		die("open the guard", "out of memory");
	for (uint32_t i = 0; i < N_TASKS; i++)
		add_task(bench, i);
	prefer(bench, bench->ops->task_place(bench->enforcer, 0)->cgroup2_fd >= 0);
	for (uint32_t i = 0; i < N_TASKS; i++)
		busy_release(&bench->busy[i]);
}

static void finish(struct bench *bench)
{
	bench->meter = bench->meter->ops->close(bench->meter);
	bench->enforcer = bench->ops->close(bench->enforcer);
	bench->guard = guard_free(bench->guard);
	for (int i = 0; i < N_TASKS; i++) {
		busy_end(&bench->busy[i]);
		if (bench->naive_fds[i] >= 0)
			(void)close(bench->naive_fds[i]);
	}
}

static void take_sample(struct bench *bench)
{
	struct sample *sample = &bench->samples[bench->n_samples];
	const struct sample *before = bench->n_samples > 0 ? sample - 1 : NULL;
	double elapsed_ns;

	*sample = (struct sample){.at_ns = busy_clock_ns()};
	elapsed_ns = before ? (double)(sample->at_ns - before->at_ns) : 0;
	bench->meter->ops->refresh(bench->meter);
	for (uint32_t i = 0; i < N_TASKS; i++) {
		struct meter_reading reading;

		if (bench->meter->ops->read(bench->meter, i, &reading) < 0)
			die("read the meter", "failed");
		sample->used_ns[i] = reading.cpu_ns;
		if (before)
			sample->due_ns[i] = before->due_ns[i] + bench->shares[i] * elapsed_ns;
	}
	if (before)
		sample->budget_ns = before->budget_ns + bench->plan.budget_cpus * elapsed_ns;
	bench->n_samples++;
}

static void govern(struct bench *bench)
{
	const struct sample *sample = &bench->samples[bench->n_samples - 1];
	uint64_t elapsed_ns = bench->n_samples > 1 ? sample->at_ns - sample[-1].at_ns : 0;
	struct guard_input inputs[N_TASKS];
	struct grant grants[N_TASKS];
	struct enforced enforced;
	struct fault fault = FAULT_INIT;

	for (uint32_t i = 0; i < N_TASKS; i++)
		inputs[i] = (struct guard_input){
			.task = i,
			.share_cpus = bench->shares[i],
			.usable_cpus = 1,
			.cpu_ns = sample->used_ns[i],
		};
	(void)guard_clip(bench->guard, elapsed_ns, bench->plan.slot_ns,
		share_to_ns(bench->plan.budget_cpus, bench->plan.slot_ns), inputs, N_TASKS, grants);
	if (bench->ops->apply(bench->enforcer, grants, N_TASKS, &enforced, &fault) < 0)
		die("apply", fault.text);
}

static void rewrite(struct bench *bench)
{
	bool is_unified = bench->ops->task_place(bench->enforcer, 0)->cgroup2_fd >= 0;
	char text[64];

	for (uint32_t i = 0; i < N_TASKS; i++) {
		(void)snprintf(text, sizeof(text), "%.0f%s", bench->shares[i] * NAIVE_PERIOD_US,
			is_unified ? " 100000" : "");
		if (knob_write(bench->naive_fds[i], text) < 0)
			die("write a quota", "failed");
	}
}

static struct figures evaluate(const struct bench *bench)
{
	struct figures figures = {.least = INFINITY};
	unsigned n_window = (unsigned)(bench->plan.window_ns / bench->plan.slot_ns);

	for (unsigned i = n_window; i < bench->n_samples; i++) {
		const struct sample *to = &bench->samples[i], *from = to - n_window;
		double used_ns = 0, ratio;

		for (int task = 0; task < N_TASKS; task++) {
			double used = (double)(to->used_ns[task] - from->used_ns[task]);
			double due = to->due_ns[task] - from->due_ns[task];

			used_ns += used;
			figures.task_error = fmax(figures.task_error, fabs(used / due - 1));
		}
		ratio = used_ns / (to->budget_ns - from->budget_ns);
		figures.least = fmin(figures.least, ratio);
		figures.most = fmax(figures.most, ratio);
	}
	return figures;
}

static struct figures measure(struct bench *bench, const struct plan *plan)
{
	uint64_t next_ns, n_slots = plan->span_ns / plan->slot_ns;

	assert(n_slots < SAMPLES_MAX);
	bench->plan = *plan;
	start(bench);
	next_ns = busy_clock_ns();
	for (uint64_t slot = 0; slot <= n_slots; slot++, next_ns += plan->slot_ns) {
		busy_sleep_until(next_ns);
		take_sample(bench);
		deal_shares(bench);
		if (plan->is_naive)
			rewrite(bench);
		else
			govern(bench);
	}
	finish(bench);
	return evaluate(bench);
}

/* The median of each figure over some runs. */
static struct figures measure_often(struct bench *bench, const struct plan *plan, unsigned n)
{
	double least[REPEAT_MAX], most[REPEAT_MAX], task_error[REPEAT_MAX];

	for (unsigned i = 0; i < n; i++) {
		struct figures figures = measure(bench, plan);

		least[i] = figures.least;
		most[i] = figures.most;
		task_error[i] = figures.task_error;
	}
	return (struct figures){
		.least = bench_median(least, n),
		.most = bench_median(most, n),
		.task_error = bench_median(task_error, n),
	};
}

static bool print_figure(const char *name, const char *what, double value, double limit, bool is_ok)
{
	(void)printf("%s_%s %.4f %.4f %s\n", name, what, value, limit, is_ok ? "ok" : "short");
	(void)fflush(stdout);
	return is_ok;
}

static bool print_figures(const struct bench *bench, const struct plan *plan,
	const struct figures *figures, bool is_quick)
{
	double slack = is_quick ? 10 : 0; /* a second says nothing about ten */
	char name[128];
	bool is_ok;

	(void)snprintf(name, sizeof(name), "%s_budget_%g_slot_%gms",
		plan->is_naive ? "naive" : bench->ops->name, plan->budget_cpus,
		(double)plan->slot_ns / (double)NSEC_PER_MSEC);
	if (plan->is_naive) {
		(void)printf("%s_most %.4f - ok\n", name, figures->most);
		(void)fflush(stdout);
		return true;
	}
	is_ok = print_figure(name, "least", figures->least, LEAST_LIMIT - slack,
		figures->least >= LEAST_LIMIT - slack);
	is_ok &= print_figure(name, "most", figures->most, MOST_LIMIT + slack,
		figures->most <= MOST_LIMIT + slack);
	is_ok &= print_figure(name, "worst_task", figures->task_error, TASK_LIMIT + slack,
		figures->task_error <= TASK_LIMIT + slack);
	return is_ok;
}

static bool run_all(struct bench *bench, bool is_quick, unsigned n_repeat)
{
	static const double budgets[] = {0.5, 1.0, 1.5};
	static const uint64_t slots_ns[] = {NSEC_PER_SEC, 200 * NSEC_PER_MSEC};
	bool is_ok = true;

	for (size_t i = 0; i < 2 * ARRAY_LENGTH(budgets) * ARRAY_LENGTH(slots_ns); i++) {
		struct plan plan = {
			.budget_cpus = budgets[i / 2 % 3],
			.slot_ns = slots_ns[i % 2],
			.window_ns = is_quick ? NSEC_PER_SEC : 10 * NSEC_PER_SEC,
			.is_naive = i >= 6,
		};
		struct figures figures;

		if (is_quick && (i % 2 == 0 || i / 2 % 3 > 0))
			continue;
		plan.span_ns = plan.is_naive ? plan.window_ns : 2 * plan.window_ns;
		figures = measure_often(bench, &plan, n_repeat);
		is_ok &= print_figures(bench, &plan, &figures, is_quick);
	}
	return is_ok;
}

/* The best enforcer here that limits by itself; one that has to be ticked needs a loop. */
static const struct enforcer_ops *find_enforcer(const char *run, struct fault *fault)
{
	static const struct enforcer_ops *const candidates[] = {
		&enforcer_cgroup2, &enforcer_cgroup1};
	const struct enforcer_setup setup = {
		.run = run, .n_tasks_max = N_TASKS, .budget_cpus = 0.5, .capacity_cpus = 0.5};

	for (size_t i = 0; i < ARRAY_LENGTH(candidates); i++)
		if (candidates[i]->probe(&setup, fault) == 0)
			return candidates[i];
	return NULL;
}

int main(int argc, char **argv)
{
	static const struct option options[] = {
		{"quick", no_argument, NULL, 'q'},
		{"repeat", required_argument, NULL, 'r'},
		{0},
	};
	static struct bench bench;
	struct fault fault = FAULT_INIT;
	bool is_quick = false;
	unsigned long n_repeat = 1;
	int option;

	while ((option = getopt_long(argc, argv, "", options, NULL)) != -1) {
		if (option == 'q')
			is_quick = true;
		else if (option == 'r')
			n_repeat = strtoul(optarg, NULL, 10);
		if (option == '?' || n_repeat < 1 || n_repeat > REPEAT_MAX) {
			(void)fprintf(stderr, "usage: bench_fidelity [--quick] [--repeat 1..%d]\n",
				REPEAT_MAX);
			return 64;
		}
	}
	if (run_name_make(bench.run, &fault) < 0)
		die("name the run", fault.text);
	bench.ops = find_enforcer(bench.run, &fault);
	if (!bench.ops) {
		(void)printf("fidelity skipped: %s\n", fault.text);
		return EXIT_SUCCESS;
	}
	return run_all(&bench, is_quick, (unsigned)n_repeat) ? EXIT_SUCCESS : EXIT_FAILURE;
}
