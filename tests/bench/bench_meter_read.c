// SPDX-License-Identifier: GPL-2.0-or-later
#include <errno.h>
#include <fcntl.h>
#include <mntent.h>
#include <signal.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "cgroup.h"
#include "cleanup.h"
#include "enforcer.h"
#include "figure.h"
#include "leftover.h"
#include "meter.h"

/* The eBPF meter reads 1,000 groups, against 1,000 reads of their cpu.stat: as whoever has no meter reads
 * them (open, read, close), and beside it from files that stay open, as our meter `cgroup` does. Groups
 * without processes, with one in each that sleeps, and with one in each that does something twenty times
 * a second. The time of ours is that of a whole slot: to ask all threads of the machine, and to read.
 *
 * cpu.stat with CPU time is a file of cgroup v2. Where the cpu controller is on v1 the processes are
 * put into as many groups of the v2 tree, too. */

#define N_GROUPS 1000
#define N_OTHERS 4000
#define N_ROUNDS 101

static char run[RUN_NAME_MAX];
static struct enforcer *enforcer;
static struct meter *bpf, *kernel;
static struct fault fault;
static char own[PATH_MAX];    /* our groups in the v2 tree; "" where the enforcer's are there */
static int own_fds[N_GROUPS]; /* theirs */
static pid_t pids[N_GROUPS + N_OTHERS];
static int n_pids;

static void end_processes(void)
{
	for (int i = 0; i < n_pids; i++)
		(void)kill(pids[i], SIGKILL);
	for (int i = 0; i < n_pids; i++)
		(void)waitpid(pids[i], NULL, 0);
	n_pids = 0;
}

static void close_all(void)
{
	char path[PATH_MAX + 16];

	end_processes();
	if (bpf)
		bpf = bpf->ops->close(bpf);
	if (kernel)
		kernel = kernel->ops->close(kernel);
	if (enforcer)
		enforcer = enforcer->ops->close(enforcer);
	for (int i = 0; i < N_GROUPS && own[0]; i++) {
		(void)snprintf(path, sizeof(path), "%s/%d", own, i);
		(void)rmdir(path);
	}
	if (own[0])
		(void)rmdir(own);
}

static void end(const char *why)
{
	(void)fprintf(stderr, "bench_meter_read: %s: %s\n", why,
		fault.text[0] ? fault.text : strerror(errno));
	close_all();
	exit(EXIT_FAILURE);
}

static void sleep_ms(unsigned ms)
{
	const struct timespec span = {.tv_nsec = (long)ms * 1000000};

	(void)nanosleep(&span, NULL);
}

static void start(int task, unsigned every_ms)
{
	char pid_text[16];
	pid_t pid = fork();

	if (pid < 0)
		end("start a process");
	if (pid == 0) {
		(void)prctl(PR_SET_PDEATHSIG, SIGKILL);
		for (;;)
			every_ms ? sleep_ms(every_ms) : (void)pause();
	}
	pids[n_pids++] = pid;
	if (task < 0)
		return;
	if (enforcer->ops->task_attach(enforcer, (uint32_t)task, pid, &fault) < 0)
		end("attach");
	if (own[0]) {
		_cleanup_close_ int procs = openat(
			own_fds[task], "cgroup.procs", O_WRONLY | O_CLOEXEC);

		(void)snprintf(pid_text, sizeof(pid_text), "%d", pid);
		if (write(procs, pid_text, strlen(pid_text)) < 0)
			end("attach in the v2 tree");
	}
}

/* Where the v2 tree is mounted; false where it is not. */
static bool find_tree(char path[static PATH_MAX])
{
	FILE *mounts = setmntent("/proc/self/mounts", "re");
	bool is_there = false;

	for (struct mntent *mount; mounts && !is_there && (mount = getmntent(mounts));)
		if (strcmp(mount->mnt_type, "cgroup2") == 0) {
			(void)snprintf(path, PATH_MAX, "%s", mount->mnt_dir);
			is_there = true;
		}
	if (mounts)
		(void)endmntent(mounts);
	return is_there;
}

static bool make_own_groups(void)
{
	char tree[PATH_MAX], path[PATH_MAX + 16];

	if (!find_tree(tree))
		return false;
	(void)snprintf(own, sizeof(own), "%.4000s/coregov-bench-%d", tree, getpid());
	if (mkdir(own, 0755) < 0) {
		own[0] = '\0';
		return false;
	}
	for (int i = 0; i < N_GROUPS; i++) {
		(void)snprintf(path, sizeof(path), "%s/%d", own, i);
		if (mkdir(path, 0755) < 0)
			end("make a group");
		own_fds[i] = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
		if (own_fds[i] < 0)
			end("open a group");
	}
	return true;
}

static void add_groups(void)
{
	for (uint32_t i = 0; i < N_GROUPS; i++) {
		struct place in_tree = {.cpu1_fd = -1, .cpuacct_fd = -1, .cgroup2_fd = own_fds[i]};
		const struct place *place;

		if (enforcer->ops->task_add(enforcer, i, "bench", /* scope= */ NULL, &fault) < 0)
			end("add");
		place = enforcer->ops->task_place(enforcer, i);
		if (bpf->ops->task_add(bpf, i, place, &fault) < 0 ||
			kernel->ops->task_add(kernel, i, own[0] ? &in_tree : place, &fault) < 0)
			end("add");
	}
}

static double read_us(struct meter *meter)
{
	uint64_t from_ns = bench_now_ns();

	meter->ops->refresh(meter);
	for (uint32_t i = 0; i < N_GROUPS; i++) {
		struct meter_reading reading;

		if (meter->ops->read(meter, i, &reading) < 0)
			end("read");
	}
	return (double)(bench_now_ns() - from_ns) / 1e3;
}

/* By hand; it is not even looked at what was read. */
static double read_by_hand_us(void)
{
	uint64_t from_ns = bench_now_ns();

	for (uint32_t i = 0; i < N_GROUPS; i++) {
		const struct place *place = enforcer->ops->task_place(enforcer, i);
		_cleanup_close_ int fd = openat(
			own[0] ? own_fds[i] : place->cgroup2_fd, "cpu.stat", O_RDONLY | O_CLOEXEC);
		char text[512];

		if (fd < 0 || read(fd, text, sizeof(text)) <= 0)
			end("read cpu.stat");
	}
	return (double)(bench_now_ns() - from_ns) / 1e3;
}

/* In turn, with a pause before each round: after one the caches are cold, and what wakes twenty times a
 * second has done so. */
static bool bench_read(const char *name, unsigned pause_ms)
{
	double ours[N_ROUNDS], theirs[N_ROUNDS], by_hand[N_ROUNDS];
	double ours_us, theirs_us, by_hand_us;
	char by_hand_name[64];
	bool is_ok;

	for (int round = 0; round < N_ROUNDS; round++) {
		sleep_ms(pause_ms);
		ours[round] = read_us(bpf);
		sleep_ms(pause_ms);
		theirs[round] = read_us(kernel);
		sleep_ms(pause_ms);
		by_hand[round] = read_by_hand_us();
	}
	ours_us = bench_median(ours, N_ROUNDS);
	theirs_us = bench_median(theirs, N_ROUNDS);
	by_hand_us = bench_median(by_hand, N_ROUNDS);
	(void)fprintf(stderr, "%s: %.1f us; cpu.stat by hand %.1f us, from open files %.1f us\n",
		name, ours_us, by_hand_us, theirs_us);
	(void)snprintf(by_hand_name, sizeof(by_hand_name), "%s-by-hand", name);
	is_ok = bench_at_most(by_hand_name, ours_us / by_hand_us, 0.05, "");
	return bench_at_most(name, ours_us / theirs_us, 0.05, "") && is_ok;
}

int main(void)
{
	struct enforcer_setup setup = {.run = run,
		.n_tasks_max = N_GROUPS,
		.budget_cpus = 2,
		.capacity_cpus = 2,
		.is_dry = true};
	bool is_ok;

	if (run_name_make(run, &fault) < 0 ||
		(enforcer_cgroup2.open(&enforcer, &setup, &fault) < 0 &&
			enforcer_cgroup1.open(&enforcer, &setup, &fault) < 0) ||
		meter_bpf.open(&bpf, N_GROUPS, &fault) < 0) {
		(void)printf("meter-read skipped: %s\n", fault.text);
		close_all();
		return EXIT_SUCCESS;
	}
	if (strcmp(enforcer->ops->name, "cgroup2") != 0 && !make_own_groups()) {
		(void)printf("meter-read skipped: no cgroup v2 tree to make groups in\n");
		close_all();
		return EXIT_SUCCESS;
	}
	if (meter_cgroup.open(&kernel, N_GROUPS, &fault) < 0)
		end("open");
	fault.text[0] = '\0';
	add_groups();
	is_ok = bench_read("meter-read-empty", 0);
	for (int i = 0; i < N_GROUPS; i++)
		start(i, 0);
	is_ok &= bench_read("meter-read-asleep", 0);
	is_ok &= bench_read("meter-read-asleep-after-a-pause", 60);
	end_processes();
	for (int i = 0; i < N_GROUPS; i++)
		start(i, 50);
	is_ok &= bench_read("meter-read-awake", 60);
	for (int i = 0; i < N_OTHERS; i++)
		start(-1, 0);
	/* The others' threads are passed over in a census, too: some 300 ns each. */
	is_ok &= bench_read("meter-read-beside-4000-threads", 60);
	close_all();
	return is_ok ? EXIT_SUCCESS : EXIT_FAILURE;
}
