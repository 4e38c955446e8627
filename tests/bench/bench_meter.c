// SPDX-License-Identifier: GPL-2.0-or-later
#include <math.h>
#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "cgroup.h"
#include "cleanup.h"
#include "enforcer.h"
#include "figure.h"
#include "leftover.h"
#include "meter.h"

/* The eBPF meter: does it agree with the kernel's own accounting over 1,000 slots, and what does it cost
 * those who switch? Against the same without it, in one run. Needs a machine on which it loads.
 * `--quick`: a tenth of it. */

#define N_MIXED 50
#define SLOT_MS 200
#define N_PIECES 9 /* of a run */

static char run[RUN_NAME_MAX];
static struct enforcer *enforcer;
static struct meter *bpf, *kernel;
static struct fault fault;
static unsigned n_slots = 1000, n_rounds = 10;

static void end(const char *why)
{
	(void)fprintf(stderr, "bench_meter: %s: %s\n", why, fault.text);
	(void)signal(SIGTERM, SIG_IGN);
	(void)kill(0, SIGTERM);
	(void)cgroup_run_end(run, &fault);
	exit(EXIT_FAILURE);
}

static void rest_ms(unsigned ms)
{
	const struct timespec span = {.tv_sec = ms / 1000, .tv_nsec = (long)(ms % 1000) * 1000000};

	(void)nanosleep(&span, NULL);
}

static void spin(void)
{
	for (;;)
		__asm__ volatile("");
}

static void spin_us(unsigned us)
{
	const uint64_t end_ns = bench_now_ns() + us * NSEC_PER_USEC;

	while (bench_now_ns() < end_ns)
		continue;
}

static void fork_much(void) /* some 100 a second, in ten groups */
{
	for (;;) {
		pid_t pid = fork();

		if (pid == 0) {
			spin_us(50);
			_exit(0);
		}
		(void)waitpid(pid, NULL, 0);
		rest_ms(9);
	}
}

static void sleep_much(void)
{
	for (;;) {
		spin_us(100);
		rest_ms(3);
	}
}

static void *sleep_thread(void *unused)
{
	for (;;) {
		spin_us(50);
		rest_ms(40);
	}
	return unused;
}

static void thread_much(void)
{
	pthread_t thread;

	for (int i = 0; i < 63; i++)
		(void)pthread_create(&thread, NULL, sleep_thread, NULL);
	(void)sleep_thread(NULL);
}

/* In the task's group where task >= 0. */
static pid_t start(int task, void (*job)(void))
{
	int gate[2];
	char byte;
	pid_t pid;

	pid = pipe(gate) < 0 ? -1 : fork();
	if (pid < 0)
		end("start a process");
	if (pid == 0) {
		(void)prctl(PR_SET_PDEATHSIG, SIGKILL);
		(void)close(gate[1]);
		if (read(gate[0], &byte, 1) == 1)
			job();
		_exit(0);
	}
	(void)close(gate[0]);
	rest_ms(2);
	if (task >= 0 && enforcer->ops->task_attach(enforcer, (uint32_t)task, pid, &fault) < 0)
		end("attach");
	if (write(gate[1], "", 1) != 1)
		end("start a process");
	(void)close(gate[1]);
	return pid;
}

static uint64_t used_ns(struct meter *meter, uint32_t task)
{
	struct meter_reading reading = {0};

	if (meter->ops->read(meter, task, &reading) < 0)
		end("read");
	return reading.cpu_ns;
}

static bool bench_accuracy(void)
{
	static void (*const jobs[5])(void) = {spin, sleep_much, fork_much, thread_much, sleep_much};
	static uint64_t last[N_MIXED], before[N_MIXED];
	double total[2] = {0}, worst = 0, worst_ms = 0, total_off;
	bool is_ok;

	for (int i = 0; i < N_MIXED; i++)
		(void)start(i, i < 2 ? spin : jobs[i % 4 + 1]);
	for (unsigned slot = 0; slot < n_slots; slot++) {
		rest_ms(20);
		bpf->ops->refresh(bpf);
		for (uint32_t i = 0; i < N_MIXED; i++) {
			uint64_t ours = used_ns(bpf, i);

			if (ours < last[i])
				end("a counter went back");
			last[i] = ours;
			(void)used_ns(kernel, i);
		}
	}
	/* The spinning ones run between one reading and the next: ours lies between two of theirs. */
	for (uint32_t i = 0; i < N_MIXED; i++)
		before[i] = used_ns(kernel, i);
	bpf->ops->refresh(bpf);
	for (uint32_t i = 0; i < N_MIXED; i++) {
		double least = (double)before[i], most = (double)used_ns(kernel, i);
		double ours = (double)used_ns(bpf, i), theirs = fmin(fmax(ours, least), most);
		double off = fabs(ours - theirs);

		total[0] += ours;
		total[1] += theirs;
		/* 1 % or 1 ms, whatever is more. */
		if (off / (theirs / 100 > 1e6 ? theirs / 100 : 1e6) > worst)
			worst = off / (theirs / 100 > 1e6 ? theirs / 100 : 1e6);
		if (off / 1e6 > worst_ms)
			worst_ms = off / 1e6;
	}
	(void)fprintf(stderr, "total %.3f s, the kernel %.3f s; worst group %.3f ms off\n",
		total[0] / 1e9, total[1] / 1e9, worst_ms);
	total_off = fabs(total[0] - total[1]);
	is_ok = bench_at_most("meter-total-off", total_off / total[1] * 100, 0.5, "%");
	/* Both figures are printed, whatever the first is. */
	is_ok &= bench_at_most("meter-worst-group-of-its-tolerance", worst, 1, "");
	return is_ok;
}

static int ping[2], pong[2], answer[2];
static const int *cpus; /* of the two */

static void pin(int cpu)
{
	cpu_set_t set;

	CPU_ZERO(&set);
	CPU_SET((unsigned)cpu, &set);
	(void)sched_setaffinity(0, sizeof(set), &set);
}

/* How long n returns of the ball take two processes. */
static double play_game(int n)
{
	char ball = 0;
	double span = 0;
	pid_t other = fork();

	if (other == 0) {
		pin(cpus[1]);
		while (read(ping[0], &ball, 1) == 1 && write(pong[1], &ball, 1) == 1)
			continue;
		_exit(0);
	}
	pin(cpus[0]);
	for (int i = -n / 10; i < n; i++) {
		if (i == 0)
			span = -(double)bench_now_ns();
		if (write(ping[1], &ball, 1) != 1 || read(pong[0], &ball, 1) != 1)
			_exit(1);
	}
	span += (double)bench_now_ns();
	(void)kill(other, SIGKILL);
	(void)waitpid(other, NULL, 0);
	return span;
}

static void play(void)
{
	double span = play_game(10000);

	(void)!write(answer[1], &span, sizeof(span));
	_exit(0);
}

static void breed(void)
{
	const double from = (double)bench_now_ns();
	double span;

	for (int i = 0; i < 1000; i++) {
		pid_t pid = fork();

		if (pid == 0)
			_exit(0);
		(void)waitpid(pid, NULL, 0);
	}
	span = (double)bench_now_ns() - from;
	(void)!write(answer[1], &span, sizeof(span));
	_exit(0);
}

/* Until it says something; meanwhile a census is taken as often as in the shortest of usual slots. */
static bool await_answer(unsigned at_most_ms)
{
	struct pollfd says = {.fd = answer[0], .events = POLLIN};

	for (unsigned ms = 0; ms < at_most_ms; ms += SLOT_MS) {
		if (poll(&says, 1, SLOT_MS) > 0)
			return true;
		if (bpf)
			bpf->ops->refresh(bpf);
	}
	return false;
}

static double time_of(int task, void (*job)(void))
{
	double span = 0;
	pid_t pid = start(task, job);

	if (!await_answer(60000) || read(answer[0], &span, sizeof(span)) != sizeof(span))
		end("wait for an answer");
	(void)waitpid(pid, NULL, 0);
	return span;
}

static double play_once(int task)
{
	return time_of(task, play);
}

static double breed_once(int task)
{
	return time_of(task, breed);
}

/* 40 senders write to 40 receivers, through sockets. */
static void hack(void)
{
	(void)dup2(answer[1], STDOUT_FILENO);
	(void)execlp("hackbench", "hackbench", "-g", "2", "-l", "300", (char *)NULL);
	_exit(127);
}

static double hack_once(int task)
{
	char text[512] = "";
	const char *time;
	size_t n = 0;
	pid_t pid = start(task, hack);

	while (!strstr(text, "Time: ") || !strchr(strstr(text, "Time: "), '\n')) {
		ssize_t now;

		/* We hold the other end, too: that nothing comes is seen by its end. */
		while (!await_answer(1000))
			if (waitpid(pid, NULL, WNOHANG) != 0)
				end("hackbench has ended and told no time");
		now = n + 1 < sizeof(text) ? read(answer[0], text + n, sizeof(text) - 1 - n) : -1;
		if (now <= 0)
			end("read what hackbench says");
		n += (size_t)now;
	}
	time = strstr(text, "Time: ") + strlen("Time: ");
	(void)waitpid(pid, NULL, 0);
	return strtod(time, NULL);
}

static void open_bpf(void)
{
	if (meter_bpf.open(&bpf, N_MIXED, &fault) < 0 ||
		bpf->ops->task_add(bpf, 0, enforcer->ops->task_place(enforcer, 0), &fault) < 0)
		end("open");
}

/* What was loaded a moment ago is felt for a while by who switches between two CPUs, also where it is gone
 * again: with and without have the same behind them. */
static double time_with(bool is_with, double (*once)(int task), int task)
{
	if (bpf)
		bpf = bpf->ops->close(bpf);
	open_bpf();
	if (!is_with)
		bpf = bpf->ops->close(bpf);
	rest_ms(20);
	return once(task);
}

/* A run without it and a run with it are cut into short pieces that take turns, and of each its median piece
 * counts: what else goes on here comes and goes in seconds, and is then in both. The first and the last are
 * without. What those without at odd and at even turns differ by tells what such a figure is worth. */
static bool bench_cost(const char *name, double (*once)(int task), int task)
{
	double ratios[64], controls[64], with[N_PIECES], without[N_PIECES + 1], halves[2][N_PIECES];
	size_t n[2];

	for (unsigned round = 0; round < n_rounds; round++) {
		without[0] = time_with(false, once, task);
		for (unsigned i = 0; i < N_PIECES; i++) {
			with[i] = time_with(true, once, task);
			without[i + 1] = time_with(false, once, task);
		}
		n[0] = n[1] = 0;
		for (unsigned i = 0; i <= N_PIECES; i++)
			halves[i % 2][n[i % 2]++] = without[i];
		controls[round] = bench_median(halves[1], n[1]) / bench_median(halves[0], n[0]);
		ratios[round] = bench_median(with, N_PIECES) / bench_median(without, N_PIECES + 1);
	}
	(void)bench_median(controls, n_rounds);
	(void)fprintf(stderr, "%s: without against without: %.3f (%.3f to %.3f)\n", name,
		controls[n_rounds / 2], controls[0], controls[n_rounds - 1]);
	return bench_at_most(name, bench_median(ratios, n_rounds), 1.03, "");
}

/* Beside a metered group, and inside. */
static bool bench_costs(const char *what, double (*once)(int task))
{
	char name[64];
	bool is_ok;

	(void)snprintf(name, sizeof(name), "meter-cost-%s-beside", what);
	is_ok = bench_cost(name, once, -1);
	(void)snprintf(name, sizeof(name), "meter-cost-%s-inside", what);
	return bench_cost(name, once, 0) && is_ok;
}

static bool is_installed(const char *program)
{
	char command[64];

	(void)snprintf(command, sizeof(command), "command -v %s >/dev/null", program);
	return system(command) == 0;
}

int main(int argc, char *argv[])
{
	struct enforcer_setup setup = {.run = run,
		.n_tasks_max = N_MIXED,
		.budget_cpus = 2,
		.capacity_cpus = 2,
		.is_dry = true};
	/* Two that may run anywhere play the one game or the other: which of them is chance, and makes
	 * several times more of a difference than anything asked here. So each for itself. */
	static const struct {
		const char *name;
		int cpus[2];
	} games[] = {{"pipe-one-cpu", {0, 0}}, {"pipe-two-cpus", {0, 1}}};
	bool is_ok = true;

	if (argc > 1 && strcmp(argv[1], "--quick") == 0) {
		n_slots = 20;
		n_rounds = 2;
	}
	if (run_name_make(run, &fault) < 0 ||
		(enforcer_cgroup2.open(&enforcer, &setup, &fault) < 0 &&
			enforcer_cgroup1.open(&enforcer, &setup, &fault) < 0) ||
		meter_bpf.open(&bpf, N_MIXED, &fault) < 0) {
		(void)printf("meter skipped: %s\n", fault.text);
		if (enforcer)
			(void)enforcer->ops->close(enforcer);
		return EXIT_SUCCESS;
	}
	if (meter_cgroup.open(&kernel, N_MIXED, &fault) < 0)
		end("open");
	for (uint32_t i = 0; i < N_MIXED; i++) {
		const struct place *place;

		if (enforcer->ops->task_add(enforcer, i, "bench", /* scope= */ NULL, &fault) < 0)
			end("add");
		place = enforcer->ops->task_place(enforcer, i);
		if (bpf->ops->task_add(bpf, i, place, &fault) < 0 ||
			kernel->ops->task_add(kernel, i, place, &fault) < 0)
			end("add");
	}
	if (pipe(ping) < 0 || pipe(pong) < 0 || pipe(answer) < 0)
		end("pipe");
	for (size_t i = 0; i < ARRAY_LENGTH(games); i++) {
		cpus = games[i].cpus;
		is_ok &= bench_costs(games[i].name, play_once);
	}
	is_ok &= bench_costs("fork", breed_once);
	if (is_installed("hackbench"))
		is_ok &= bench_costs("hackbench", hack_once);
	else
		(void)printf("meter-cost-hackbench skipped: no hackbench (package rt-tests)\n");
	if (!bpf)
		open_bpf();
	for (uint32_t i = 1; i < N_MIXED; i++)
		if (bpf->ops->task_add(bpf, i, enforcer->ops->task_place(enforcer, i), &fault) < 0)
			end("add");
	kernel->ops->task_remove(kernel, 0);
	bpf->ops->task_remove(bpf, 0);
	if (bpf->ops->task_add(bpf, 0, enforcer->ops->task_place(enforcer, 0), &fault) < 0 ||
		kernel->ops->task_add(kernel, 0, enforcer->ops->task_place(enforcer, 0), &fault) <
			0)
		end("add");
	is_ok &= bench_accuracy();
	(void)bpf->ops->close(bpf);
	(void)kernel->ops->close(kernel);
	(void)enforcer->ops->close(enforcer);
	return is_ok ? EXIT_SUCCESS : EXIT_FAILURE;
}
