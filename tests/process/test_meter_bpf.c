// SPDX-License-Identifier: GPL-2.0-or-later
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/utsname.h>
#include <sys/wait.h>
#include <unistd.h>

#include <bpf/bpf.h>

#include "../unit/suite.h"
#include "busy.h"
#include "cgroup.h"
#include "cleanup.h"
#include "enforcer.h"
#include "meter.h"
#include "leftover.h"
#include "meter_bpf.h"
#include "nsec.h"

/* The eBPF meter against the kernel's own accounting (the cgroup meter), on real groups: those of
 * the enforcer that works here, without limits. Skipped as a whole, with the kernel's reason, where
 * the meter does not load.
 *
 * A process that is stopped or has ended leaves nothing to be counted: then both agree to the
 * microsecond (cpu.stat knows no less). */

#define N_TASKS 4
#define EXACT_NS (4 * NSEC_PER_USEC)

static char run[RUN_NAME_MAX];
static const struct enforcer_ops *works;
static struct enforcer *enforcer;
static struct meter *meter, *kernel;
static struct fault fault;
static pid_t jobs[16];
static int n_jobs;
static uint64_t n_missed_allowed;
static bool is_old;        /* a census as before Linux 6.7 */
static bool is_loop_wrong; /* the kernel refuses the one since */

static struct enforcer_setup dry_setup(void)
{
	return (struct enforcer_setup){
		.run = run,
		.n_tasks_max = N_TASKS,
		.budget_cpus = 2,
		.capacity_cpus = 2,
		.is_dry = true,
		.task_uid = getuid(),
	};
}

static void open_meter(void)
{
	const struct meter_bpf_setup how = {
		.n_tasks_max = N_TASKS, .is_old = is_old, .is_loop_wrong = is_loop_wrong};

	ck_assert_msg(meter_bpf_open(&meter, &how, &fault) == 0, "open: %s", fault.text);
}

static void add_tasks(uint32_t n)
{
	for (uint32_t task = 0; task < n; task++) {
		const struct place *place;

		ck_assert_msg(enforcer->ops->task_add(
				      enforcer, task, "t", /* scope= */ NULL, &fault) == 0,
			"%s", fault.text);
		place = enforcer->ops->task_place(enforcer, task);
		ck_assert_msg(
			meter->ops->task_add(meter, task, place, &fault) == 0, "%s", fault.text);
		ck_assert_msg(
			kernel->ops->task_add(kernel, task, place, &fault) == 0, "%s", fault.text);
	}
}

static void setup(void)
{
	struct enforcer_setup dry = dry_setup();

	ck_assert_int_ge(cgroup_run_end(run, &fault), 0);
	ck_assert_msg(works->open(&enforcer, &dry, &fault) == 0, "%s", fault.text);
	ck_assert_msg(meter_cgroup.open(&kernel, N_TASKS, &fault) == 0, "%s", fault.text);
}

static void setup_old(void)
{
	is_old = true;
	setup();
}

static void end_jobs(void)
{
	for (; n_jobs > 0; n_jobs--) {
		(void)kill(-jobs[n_jobs - 1], SIGKILL);
		(void)waitpid(jobs[n_jobs - 1], NULL, 0);
	}
}

static void teardown(void)
{
	uint64_t n_missed = meter ? meter->ops->n_missed(meter) : 0;

	end_jobs();
	if (meter)
		meter = meter->ops->close(meter);
	kernel = kernel->ops->close(kernel);
	enforcer = enforcer->ops->close(enforcer);
	if (n_missed > 0)
		printf("# missed: %" PRIu64 "\n", n_missed);
	ck_assert_uint_le(n_missed, n_missed_allowed);
	n_missed_allowed = 0;
}

static void rest(uint64_t span_ns)
{
	busy_sleep_until(busy_clock_ns() + span_ns);
}

/* Waits until it sleeps: what moves while it runs leaves the groups of cpu and cpuacct one after
 * the other. */
static void wait_asleep(pid_t pid)
{
	const uint64_t end_ns = busy_clock_ns() + 10 * NSEC_PER_SEC;
	char path[64], state = '?';

	(void)snprintf(path, sizeof(path), "/proc/%d/stat", pid);
	while (state != 'S' && busy_clock_ns() < end_ns) {
		_cleanup_fclose_ FILE *file = fopen(path, "re");

		rest(2 * NSEC_PER_MSEC);
		ck_assert_ptr_nonnull(file);
		ck_assert_int_eq(fscanf(file, "%*d (%*[^)]) %c", &state), 1);
	}
	rest(2 * NSEC_PER_MSEC); /* it has said so, and is on its way */
}

/* What the kernel says of the waiting and the runs of a process with one thread. */
static void add_schedstat(pid_t pid, uint64_t *wait_ns, uint64_t *n_runs)
{
	_cleanup_fclose_ FILE *file = NULL;
	uint64_t cpu_ns, delay_ns, n;
	char path[64];

	(void)snprintf(path, sizeof(path), "/proc/%d/schedstat", pid);
	file = fopen(path, "re");
	ck_assert_ptr_nonnull(file);
	ck_assert_int_eq(
		fscanf(file, "%" SCNu64 " %" SCNu64 " %" SCNu64, &cpu_ns, &delay_ns, &n), 3);
	*wait_ns += delay_ns;
	*n_runs += n;
}

/* What processes had waited and run before they came into a group. */
static uint64_t before_wait_ns, before_runs;

/* A process of its own process group in the task's group, that does its job from then on. */
static pid_t start(uint32_t task, void (*job)(void))
{
	int gate[2];
	pid_t pid;

	ck_assert_int_eq(pipe2(gate, O_CLOEXEC), 0);
	pid = fork();
	if (pid == 0) {
		char byte;

		(void)setpgid(0, 0);
		(void)prctl(PR_SET_PDEATHSIG, SIGKILL);
		(void)close(gate[1]);
		if (read(gate[0], &byte, 1) != 1)
			_exit(1);
		job();
		_exit(0);
	}
	ck_assert_int_gt(pid, 0);
	(void)setpgid(pid, pid);
	jobs[n_jobs++] = pid;
	wait_asleep(pid);
	add_schedstat(pid, &before_wait_ns, &before_runs);
	ck_assert_msg(
		enforcer->ops->task_attach(enforcer, task, pid, &fault) == 0, "%s", fault.text);
	(void)close(gate[0]);
	ck_assert_int_eq(write(gate[1], "", 1), 1);
	(void)close(gate[1]);
	return pid;
}

/* Stops the process group; when it returns, its leader no longer runs (nor do the others, soon). */
static void stop(pid_t pid)
{
	siginfo_t info;

	ck_assert_int_eq(kill(-pid, SIGSTOP), 0);
	ck_assert_int_eq(waitid(P_PID, (id_t)pid, &info, WSTOPPED | WNOWAIT), 0);
	rest(20 * NSEC_PER_MSEC);
}

static void finish(pid_t pid)
{
	siginfo_t info;

	ck_assert_int_eq(waitid(P_PID, (id_t)pid, &info, WEXITED | WNOWAIT), 0);
	rest(20 * NSEC_PER_MSEC);
}

static struct meter_reading reading_of(struct meter *of, uint32_t task)
{
	struct meter_reading reading;

	of->ops->refresh(of);
	ck_assert_int_eq(of->ops->read(of, task, &reading), 0);
	return reading;
}

/* Both as they come to rest: what was stopped may still be on its way from its CPU. */
static void assert_agree(uint32_t task, uint64_t least_ns, uint64_t tolerance_ns)
{
	const uint64_t end_ns = busy_clock_ns() + 5 * NSEC_PER_SEC;
	uint64_t ours, theirs, off;

	do {
		rest(20 * NSEC_PER_MSEC);
		ours = reading_of(meter, task).cpu_ns;
		theirs = reading_of(kernel, task).cpu_ns;
		off = ours > theirs ? ours - theirs : theirs - ours;
	} while (off > tolerance_ns && busy_clock_ns() < end_ns);
	printf("# task %" PRIu32 ": %" PRIu64 " ns, the kernel %" PRIu64 " ns\n", task, ours,
		theirs);
	ck_assert_uint_ge(theirs, least_ns);
	ck_assert_uint_le(off, tolerance_ns);
}

/* The task's CPU time, once it is more than it was. */
static uint64_t grown(uint32_t task, uint64_t last_ns)
{
	const uint64_t end_ns = busy_clock_ns() + 10 * NSEC_PER_SEC;
	uint64_t now_ns;

	do {
		rest(5 * NSEC_PER_MSEC);
		now_ns = reading_of(meter, task).cpu_ns;
	} while (now_ns <= last_ns && busy_clock_ns() < end_ns);
	ck_assert_uint_gt(now_ns, last_ns);
	return now_ns;
}

static void spin(void)
{
	for (;;)
		__asm__ volatile("");
}

static void spin_for(uint64_t span_ns)
{
	uint64_t end_ns = busy_clock_ns() + span_ns;

	while (busy_clock_ns() < end_ns)
		continue;
}

static void nap(void)
{
	for (int i = 0; i < 200; i++)
		rest(NSEC_PER_MSEC);
}

static void fork_much(void)
{
	for (int i = 0; i < 500; i++) {
		pid_t pid = fork();

		if (pid == 0) {
			spin_for(200 * NSEC_PER_USEC);
			_exit(0);
		}
		if (i % 3 == 0) /* the others end whenever they like */
			(void)waitpid(pid, NULL, 0);
	}
	while (wait(NULL) > 0)
		continue;
}

static void *spin_thread(void *unused)
{
	spin_for(300 * NSEC_PER_MSEC);
	return unused;
}

static void *spin_forever(void *unused)
{
	spin();
	return unused;
}

static void thread_much(void)
{
	pthread_t threads[64];

	for (int i = 0; i < 64; i++)
		(void)pthread_create(&threads[i], NULL, spin_thread, NULL);
	for (int i = 0; i < 64; i++)
		(void)pthread_join(threads[i], NULL);
}

static void exec_shell(void)
{
	spin_for(20 * NSEC_PER_MSEC);
	(void)execl("/bin/sh", "sh", "-c",
		"i=0; while [ $i -lt 30000 ]; do i=$((i+1)); done; /bin/true; exec /bin/true",
		(char *)NULL);
}

static void exit_at_once(void)
{
}

/* The kernel does not show of every thread that it is gone, and before Linux 6.2 it has not for each one
 * that it shows what is kept of it (see meter.bpf.c): of many, some lack their last step. */
START_TEST(what_ends_is_counted_to_the_last)
{
	static void (*const kinds[])(void) = {
		nap, fork_much, thread_much, exec_shell, exit_at_once};
	uint64_t theirs;
	bool is_many;

	open_meter();
	add_tasks(1);
	finish(start(0, kinds[_i]));
	theirs = reading_of(kernel, 0).cpu_ns;
	is_many = kinds[_i] == fork_much || kinds[_i] == thread_much;
	n_missed_allowed = is_many ? 10 : 0;
	assert_agree(0, NSEC_PER_USEC, is_many ? theirs / 50 : EXACT_NS);
	ck_assert_uint_eq(reading_of(meter, 0).n_runnable, 0);
}
END_TEST

START_TEST(what_runs_is_counted_up_to_now)
{
	uint64_t last_ns = 0;
	pid_t pid;

	open_meter();
	add_tasks(2);
	pid = start(0, spin);
	for (int i = 0; i < 20; i++) /* whether it is switched out or not */
		last_ns = grown(0, last_ns);
	stop(pid);
	assert_agree(0, NSEC_PER_MSEC, EXACT_NS);
	assert_agree(1, 0, 0);
	ck_assert(reading_of(meter, 0).has_wait);
}
END_TEST

/* The group was full of life before the meter was told of it. */
START_TEST(what_was_before_does_not_count)
{
	const struct place *place;
	uint64_t adding_ns, ours, theirs;
	pid_t pid;

	open_meter();
	ck_assert_int_eq(enforcer->ops->task_add(enforcer, 0, "t", /* scope= */ NULL, &fault), 0);
	pid = start(0, spin);
	rest(100 * NSEC_PER_MSEC);
	place = enforcer->ops->task_place(enforcer, 0);
	ck_assert_int_eq(kernel->ops->task_add(kernel, 0, place, &fault), 0);
	ck_assert_int_eq(meter->ops->task_add(meter, 0, place, &fault), 0);
	/* What it used while the meter looked at all threads, which takes a while in an emulator. */
	adding_ns = reading_of(kernel, 0).cpu_ns;
	ck_assert_int_eq(meter->ops->task_add(meter, 1, place, &fault), -EEXIST);
	rest(100 * NSEC_PER_MSEC);
	stop(pid);
	rest(20 * NSEC_PER_MSEC);
	ours = reading_of(meter, 0).cpu_ns;
	theirs = reading_of(kernel, 0).cpu_ns;
	printf("# %" PRIu64 " ns, the kernel %" PRIu64 " ns, %" PRIu64
	       " of it before the end of adding\n",
		ours, theirs, adding_ns);
	/* A tick or two at the begin. */
	ck_assert_uint_ge(ours, 10 * NSEC_PER_MSEC);
	ck_assert_uint_le(ours, theirs + 10 * NSEC_PER_MSEC);
	ck_assert_uint_ge(ours + adding_ns + 10 * NSEC_PER_MSEC, theirs);

	/* And again, from 0. */
	meter->ops->task_remove(meter, 0);
	ck_assert_int_eq(meter->ops->task_add(meter, 0, place, &fault), 0);
	ck_assert_uint_eq(reading_of(meter, 0).cpu_ns, 0);
	ck_assert_int_eq(kill(pid, SIGCONT), 0);
	(void)grown(0, NSEC_PER_MSEC);
}
END_TEST

static void spin_on_eight_threads(void)
{
	pthread_t thread;

	for (int i = 1; i < 8; i++)
		(void)pthread_create(&thread, NULL, spin_forever, NULL);
	spin();
}

/* In all it is the same. How it is split is less sharp: the threads of a process are moved one after the
 * other and run on meanwhile, the meter's note is taken when the last one has been moved, and on v1 cpu
 * and cpuacct are two moves. */
START_TEST(what_runs_is_split_where_it_moves)
{
	const uint64_t n_threads = _i == 0 ? 1 : 8;
	const uint64_t tolerance_ns = 60 * n_threads * 400 * NSEC_PER_USEC;
	uint64_t ours = 0, theirs = 0;
	pid_t pid;

	open_meter();
	add_tasks(2);
	pid = start(0, _i == 0 ? spin : spin_on_eight_threads);
	for (int i = 1; i <= 60; i++) {
		rest(7 * NSEC_PER_MSEC);
		ck_assert_int_eq(enforcer->ops->task_attach(enforcer, i % 2, pid, &fault), 0);
		if (i % 5 == 0)
			meter->ops->refresh(meter);
	}
	stop(pid);
	for (uint32_t task = 0; task < 2; task++) {
		assert_agree(task, 30 * NSEC_PER_MSEC, tolerance_ns);
		ours += reading_of(meter, task).cpu_ns;
		theirs += reading_of(kernel, task).cpu_ns;
	}
	ck_assert_uint_le(ours > theirs ? ours - theirs : theirs - ours, 2 * NSEC_PER_MSEC);
}
END_TEST

/* A process leaves the metered groups, does something, and comes back. */
START_TEST(what_happens_elsewhere_does_not_count)
{
	_cleanup_close_ int root = -EBADF, procs = -EBADF;
	const struct place *place;
	uint64_t before_ns;
	char pid_text[32];
	pid_t pid;
	int fd;

	open_meter();
	add_tasks(1);
	place = enforcer->ops->task_place(enforcer, 0);
	fd = place->cpu1_fd >= 0 ? place->cpu1_fd : place->cgroup2_fd;
	ck_assert_int_eq(mkdirat(fd, "../elsewhere", 0755), 0);
	root = openat(fd, "../elsewhere", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	procs = openat(root, "cgroup.procs", O_WRONLY | O_CLOEXEC);
	pid = start(0, spin);
	(void)grown(0, 5 * NSEC_PER_MSEC);
	(void)snprintf(pid_text, sizeof(pid_text), "%d", pid);
	ck_assert_int_gt(write(procs, pid_text, strlen(pid_text)), 0);
	before_ns = reading_of(meter, 0).cpu_ns;
	rest(50 * NSEC_PER_MSEC);
	ck_assert_uint_eq(reading_of(meter, 0).cpu_ns, before_ns);
	ck_assert_uint_eq(reading_of(meter, 0).n_runnable, 0);
	ck_assert_int_eq(enforcer->ops->task_attach(enforcer, 0, pid, &fault), 0);
	ck_assert_uint_lt(reading_of(meter, 0).cpu_ns, before_ns + 30 * NSEC_PER_MSEC);
	(void)grown(0, before_ns);
	end_jobs();
	ck_assert_int_eq(unlinkat(fd, "../elsewhere", AT_REMOVEDIR), 0);
}
END_TEST

START_TEST(groups_below_count_to_the_task)
{
	const struct place *place;
	_cleanup_close_ int procs = -EBADF;
	char text[32];
	pid_t pid;
	int fd;

	open_meter();
	add_tasks(1);
	place = enforcer->ops->task_place(enforcer, 0);
	fd = place->cpu1_fd >= 0 ? place->cpu1_fd : place->cgroup2_fd;
	pid = start(0, spin);
	ck_assert_int_eq(mkdirat(fd, "below", 0755), 0);
	ck_assert_int_eq(mkdirat(fd, "below/more", 0755), 0);
	procs = openat(fd, "below/more/cgroup.procs", O_WRONLY | O_CLOEXEC);
	ck_assert_int_ge(procs, 0);
	(void)snprintf(text, sizeof(text), "%d", pid);
	ck_assert_int_gt(write(procs, text, strlen(text)), 0);
	rest(150 * NSEC_PER_MSEC);
	ck_assert_uint_eq(reading_of(meter, 0).n_runnable, 1);
	stop(pid);
	assert_agree(0, 10 * NSEC_PER_MSEC, EXACT_NS);
	end_jobs();
	(void)unlinkat(fd, "below/more", AT_REMOVEDIR);
	(void)unlinkat(fd, "below", AT_REMOVEDIR);
}
END_TEST

/* Crowds on all CPUs, so that they are taken from one to another while they wait. */
START_TEST(waiting_and_runnable_threads_are_those_of_the_kernel)
{
	enum { N = 7 };
	uint64_t wait_ns = 0, n_runs = 0;
	struct meter_reading reading;
	pid_t pids[N];

	open_meter();
	add_tasks(1);
	for (int i = 0; i < N; i++)
		pids[i] = start(0, spin);
	(void)start(0, nap);
	for (int i = 0; i < 10; i++) {
		rest(80 * NSEC_PER_MSEC);
		reading = reading_of(meter, 0);
		ck_assert_uint_ge(reading.n_runnable, N);
		ck_assert_uint_le(reading.n_runnable, N + 1);
	}
	stop(pids[0]);
	ck_assert_uint_le(reading_of(meter, 0).n_runnable, N);
	for (int i = 1; i < N; i++)
		stop(pids[i]);
	reading = reading_of(meter, 0);
	ck_assert_uint_eq(reading.n_runnable, 0);
	for (int i = 0; i < N + 1; i++)
		add_schedstat(jobs[i], &wait_ns, &n_runs);
	wait_ns -= before_wait_ns;
	n_runs -= before_runs;
	printf("# wait %" PRIu64 " ns, the kernel %" PRIu64 " ns; %" PRIu64
	       " switches, the kernel %" PRIu64 "\n",
		reading.wait_ns, wait_ns, reading.n_switches, n_runs);
	ck_assert_uint_gt(wait_ns, 500 * NSEC_PER_MSEC);
	ck_assert_uint_eq(reading.wait_ns, wait_ns);
	ck_assert_uint_eq(reading.n_switches, n_runs);
}
END_TEST

START_TEST(two_meters_do_not_know_of_each_other)
{
	struct meter *other;
	uint64_t ours, theirs;
	pid_t pid;

	open_meter();
	ck_assert_int_eq(meter_bpf.open(&other, N_TASKS, &fault), 0);
	add_tasks(1);
	ck_assert_int_eq(
		other->ops->task_add(other, 3, enforcer->ops->task_place(enforcer, 0), &fault), 0);
	pid = start(0, spin);
	rest(100 * NSEC_PER_MSEC);
	stop(pid);
	ours = reading_of(meter, 0).cpu_ns;
	theirs = reading_of(other, 3).cpu_ns;
	ck_assert_uint_gt(ours, 10 * NSEC_PER_MSEC);
	ck_assert_uint_eq(ours, theirs);
	ck_assert_ptr_null(other->ops->close(other));
	assert_agree(0, 0, EXACT_NS);
}
END_TEST

/* The ids of the programs that this process holds. */
static size_t own_programs(uint32_t ids[], size_t max)
{
	_cleanup_closedir_ DIR *dir = opendir("/proc/self/fdinfo");
	size_t n = 0;

	for (struct dirent *entry; dir && (entry = readdir(dir));) {
		char path[300], line[128];
		_cleanup_fclose_ FILE *file = NULL;

		(void)snprintf(path, sizeof(path), "/proc/self/fdinfo/%s", entry->d_name);
		file = fopen(path, "re");
		while (file && fgets(line, sizeof(line), file))
			if (n < max && sscanf(line, "prog_id: %" SCNu32, &ids[n]) == 1)
				n++;
	}
	return n;
}

START_TEST(nothing_stays_after_kill_9)
{
	uint32_t ids[32];
	ssize_t size;
	int out[2];
	pid_t pid;

	ck_assert_int_eq(pipe2(out, O_CLOEXEC), 0);
	pid = fork();
	if (pid == 0) {
		size_t n;

		open_meter();
		n = own_programs(ids, 32);
		(void)!write(out[1], ids, n * sizeof(ids[0]));
		pause();
		_exit(0);
	}
	(void)close(out[1]);
	size = read(out[0], ids, sizeof(ids));
	ck_assert_int_ge(size, 4 * (ssize_t)sizeof(ids[0]));
	ck_assert_int_eq(kill(pid, SIGKILL), 0);
	(void)waitpid(pid, NULL, 0);
	for (size_t i = 0; i < (size_t)size / sizeof(ids[0]); i++) {
		uint64_t end_ns = busy_clock_ns() + 10 * NSEC_PER_SEC;
		int fd;

		while ((fd = bpf_prog_get_fd_by_id(ids[i])) >= 0 && busy_clock_ns() < end_ns) {
			(void)close(fd);
			rest(NSEC_PER_MSEC);
		}
		ck_assert_int_eq(fd, -ENOENT);
	}
}
END_TEST

START_TEST(capabilities_are_in_force_for_the_load_only)
{
	_cleanup_fclose_ FILE *file = NULL;
	unsigned long long effective = ~0ULL;
	char line[128];

	open_meter();
	file = fopen("/proc/thread-self/status", "re");
	while (file && fgets(line, sizeof(line), file))
		(void)sscanf(line, "CapEff: %llx", &effective);
	ck_assert_uint_eq(effective >> 38 & 3, 0); /* CAP_PERFMON, CAP_BPF */
	/* And what the meter does later needs none. */
	add_tasks(1);
	finish(start(0, nap));
	assert_agree(0, NSEC_PER_USEC, EXACT_NS);
}
END_TEST

/* ---- where it does not work ---- */

static void assert_refused(const struct meter_bpf_setup *setup, int error, const char *words)
{
	int r = meter_bpf_open(&meter, setup, &fault);

	printf("# %s\n", fault.text);
	ck_assert_int_eq(r, error);
	ck_assert_ptr_nonnull(strstr(fault.text, words));
	ck_assert_ptr_null(meter);
}

static void write_file(const char *path, const char *text)
{
	FILE *file = fopen(path, "we");

	ck_assert_ptr_nonnull(file);
	ck_assert_int_ge(fputs(text, file), 0);
	ck_assert_int_eq(fclose(file), 0);
}

static void make_folders(const char *root, char path[static 256])
{
	static const char *const folders[] = {"", "/sys", "/sys/kernel", "/sys/kernel/security"};

	for (size_t i = 0; i < ARRAY_LENGTH(folders); i++) {
		(void)snprintf(path, 256, "%s%s", root, folders[i]);
		(void)mkdir(path, 0755);
	}
	(void)snprintf(path, 256, "%s/sys/kernel/security/lockdown", root);
}

static void become_nobody(void)
{
	ck_assert_int_eq(setresuid(65534, 65534, 65534), 0);
}

START_TEST(a_kernel_without_types)
{
	struct meter_bpf_setup setup = {
		.n_tasks_max = 1, .btf_path = "/nonexistent", .root = "/nonexistent"};

	assert_refused(&setup, -ENOENT, "CONFIG_DEBUG_INFO_BTF");
}
END_TEST

START_TEST(a_user_without_capabilities)
{
	struct meter_bpf_setup setup = {.n_tasks_max = 1};
	pid_t pid = fork();
	int status;

	if (pid == 0) {
		become_nobody();
		assert_refused(&setup, -EPERM, "CAP_BPF and CAP_PERFMON");
		_exit(0);
	}
	ck_assert_int_eq(waitpid(pid, &status, 0), pid);
	ck_assert_int_eq(status, 0);
}
END_TEST

START_TEST(a_kernel_that_is_locked_down)
{
	char root[] = "/tmp/test-meter-XXXXXX", path[256];
	struct meter_bpf_setup setup = {.n_tasks_max = 1, .root = root};
	pid_t pid;
	int status;

	ck_assert_ptr_nonnull(mkdtemp(root));
	ck_assert_int_eq(chmod(root, 0755), 0);
	make_folders(root, path);
	write_file(path, "none integrity [confidentiality]\n");
	pid = fork();
	if (pid == 0) {
		become_nobody();
		assert_refused(&setup, -EPERM, "lockdown=integrity");
		_exit(0);
	}
	ck_assert_int_eq(waitpid(pid, &status, 0), pid);
	ck_assert_int_eq(unlink(path), 0);
	for (char *slash; strlen(path) > strlen(root) && (slash = strrchr(path, '/'));) {
		*slash = '\0';
		(void)rmdir(path);
	}
	ck_assert_int_eq(status, 0);
}
END_TEST

START_TEST(a_verifier_that_refuses)
{
	struct meter_bpf_setup setup = {.n_tasks_max = 1, .is_wrong = true};

	assert_refused(&setup, -EACCES, "verifier refuses the program: ");
}
END_TEST

/* The programs for the kernels before are taken instead. */
START_TEST(a_loop_that_is_refused_is_done_without)
{
	is_loop_wrong = true;
	setup();
	open_meter();
	add_tasks(1);
	finish(start(0, nap));
	assert_agree(0, NSEC_PER_USEC, EXACT_NS);
}
END_TEST

START_TEST(too_many_groups)
{
	struct meter_bpf_setup setup = {.n_tasks_max = 4097};

	assert_refused(&setup, -E2BIG, "at most 4096 groups");
	setup.n_tasks_max = 4096;
	ck_assert_int_eq(meter_bpf_open(&meter, &setup, &fault), 0);
}
END_TEST

/* The enforcer and the meter that work here, or the reason why there are none. */
static int find_what_works(void)
{
	static const struct enforcer_ops *const known[] = {&enforcer_cgroup2, &enforcer_cgroup1};
	struct enforcer_setup dry = dry_setup();
	int r = 0;

	for (size_t i = 0; i < ARRAY_LENGTH(known) && !works; i++) {
		r = known[i]->probe(&dry, &fault);
		if (r == 0)
			works = known[i];
	}
	if (!works)
		return r;
	r = meter_bpf.open(&meter, N_TASKS, &fault);
	if (r == 0)
		meter = meter->ops->close(meter);
	return r;
}

static void add_counts(Suite *suite, const char *name, SFun with)
{
	TCase *tcase = tcase_create(name);

	tcase_add_checked_fixture(tcase, with, teardown);
	tcase_set_timeout(tcase, 60);
	tcase_add_loop_test(tcase, what_ends_is_counted_to_the_last, 0, 5);
	tcase_add_test(tcase, what_runs_is_counted_up_to_now);
	tcase_add_test(tcase, what_was_before_does_not_count);
	tcase_add_loop_test(tcase, what_runs_is_split_where_it_moves, 0, 2);
	tcase_add_test(tcase, what_happens_elsewhere_does_not_count);
	tcase_add_test(tcase, groups_below_count_to_the_task);
	tcase_add_test(tcase, waiting_and_runnable_threads_are_those_of_the_kernel);
	tcase_add_test(tcase, two_meters_do_not_know_of_each_other);
	tcase_add_test(tcase, nothing_stays_after_kill_9);
	tcase_add_test(tcase, capabilities_are_in_force_for_the_load_only);
	suite_add_tcase(suite, tcase);
}

static bool is_kernel_old(void)
{
	unsigned major = 0, minor = 0;
	struct utsname kernel_name;

	(void)uname(&kernel_name);
	(void)sscanf(kernel_name.release, "%u.%u", &major, &minor);
	return major < 6 || (major == 6 && minor < 7);
}

int main(void)
{
	Suite *suite = suite_create("meter_bpf");
	TCase *refused = tcase_create("refused");
	TCase *done_without = tcase_create("done without");
	int r;

	setvbuf(stdout, NULL, _IOLBF, 0);
	if (run_name_make(run, &fault) < 0)
		return EXIT_FAILURE;
	r = find_what_works();
	if (r < 0 && strstr(fault.text, "verifier")) { /* what it cannot do without is there */
		printf("Bail out! %s\n", fault.text);
		return EXIT_FAILURE;
	}
	if (r < 0) {
		printf("1..0 # SKIP %s\n", fault.text);
		return EXIT_SUCCESS;
	}
	add_counts(suite, "counts", setup);
	if (!is_kernel_old())
		add_counts(suite, "counts as before Linux 6.7", setup_old);
	tcase_add_test(refused, a_kernel_without_types);
	tcase_add_test(refused, a_user_without_capabilities);
	tcase_add_test(refused, a_kernel_that_is_locked_down);
	tcase_add_test(refused, a_verifier_that_refuses);
	tcase_add_checked_fixture(done_without, NULL, teardown);
	tcase_add_test(done_without, a_loop_that_is_refused_is_done_without);
	suite_add_tcase(suite, done_without);
	tcase_add_test(refused, too_many_groups);
	suite_add_tcase(suite, refused);
	r = suite_run(suite);
	if (cgroup_run_end(run, &fault) != 0)
		fprintf(stderr, "ended what a test had left behind\n");
	return r;
}
