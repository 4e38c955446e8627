// SPDX-License-Identifier: GPL-2.0-or-later
#include <errno.h>
#include <inttypes.h>
#include <math.h>
#include <poll.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "../unit/suite.h"
#include "busy.h"
#include "cgroup.h"
#include "cleanup.h"
#include "coregov-progress.h"
#include "daemon.h"
#include "leftover.h"
#include "neighbours.h"
#include "nsec.h"

/* The daemon without its bus, on the best enforcer of this machine, with real processes: each waits at a
 * gate as a launcher's child does, and learns through its gate where its page is. */

#define SLOT_NS (50 * NSEC_PER_MSEC)
#define N_TASKS 4
#define ME 4711                         /* who asks */
#define PATIENCE_NS (30 * NSEC_PER_SEC) /* only so that a broken test ends */

enum job {
	JOB_BUSY,
	JOB_LEARN, /* reports a loss of 1/n, n = 1 .. 100, and is busy then */
	JOB_GO_ON, /* likewise, without end */
	JOB_SLEEP, /* until it is killed */
	JOB_DEAF,  /* busy, and ignores SIGTERM */
	JOB_LEAVE, /* forks a busy child into a session of its own, and ends */
	JOB_END_7, /* ends with status 7 */
};

static sd_event *loop;

/* Of the event loop: a decision comes before most of what else may be there. */
#define DISPATCHES 3
static struct daemon *service;
static struct fault fault;
static struct busy tasks[N_TASKS];
static char (*last_run)[64]; /* shared with the tests, which are processes of their own */
static unsigned n_slots, n_added, n_ended;
static uint64_t
	unheard; /* number of the task that is told to be, times 10 where it is told again */
static uint64_t last_ended;
static char kinds[4096];                 /* of the events */
static char texts[16384];                /* likewise, a line each */
static char start_kinds[sizeof(kinds)];  /* of those from when it was opened */
static char last_text[1280];             /* of that of no task that came last */
static struct daemon_event last_numbers; /* of the event of a task that came last */
static struct daemon_event last_whole;   /* that of no task */
static struct daemon_slot last_made;     /* of the newest "slot" */
static unsigned n_made;
static int slots_taken;              /* so many, and none after that; below 0: all */
static unsigned made_ms;             /* that each takes that is told of */
static struct daemon_info last_slot; /* as when it was told */

static void sleep_ms(long ms)
{
	const struct timespec span = {.tv_nsec = ms * 1000000};

	(void)nanosleep(&span, NULL);
}

static void learn(uint64_t n_steps)
{
	if (coregov_open() < 0)
		_exit(99);
	for (uint64_t step = 1; step <= n_steps; step++) {
		(void)coregov_report(step, "loss", 1 / (double)step);
		sleep_ms(2);
	}
}

static void leave(void)
{
	if (fork() == 0) {
		(void)setsid();
		for (;;)
			__asm__ volatile("");
	}
	_exit(0);
}

static void work(enum job job)
{
	if (job == JOB_DEAF)
		(void)signal(SIGTERM, SIG_IGN);
	if (job == JOB_LEARN)
		learn(100);
	if (job == JOB_GO_ON)
		learn(UINT64_MAX);
	if (job == JOB_LEAVE)
		leave();
	if (job == JOB_END_7)
		_exit(7);
	while (job == JOB_SLEEP)
		(void)pause();
	for (;;)
		__asm__ volatile("");
}

static void wait_at_gate(int gate_fd, enum job job)
{
	static char text[256];
	ssize_t n;

	(void)prctl(PR_SET_PDEATHSIG, SIGKILL);
	(void)signal(SIGTERM, SIG_DFL); /* check has a handler */
	n = read(gate_fd, text, sizeof(text) - 1);
	if (n <= 0)
		_exit(EXIT_FAILURE);
	text[n] = '\0';
	(void)putenv(text);
	work(job);
}

static struct busy start(enum job job)
{
	struct busy busy;
	int fds[2];

	ck_assert_int_eq(pipe(fds), 0);
	busy.pid = fork();
	ck_assert_int_ge(busy.pid, 0);
	if (busy.pid == 0) {
		(void)close(fds[1]);
		wait_at_gate(fds[0], job);
	}
	(void)close(fds[0]);
	busy.gate_fd = fds[1];
	return busy;
}

static bool on_slot(void *unused)
{
	(void)unused;
	n_slots++;
	daemon_info(service, &last_slot);
	return slots_taken-- != 0;
}

static void on_added(void *unused, uint64_t number)
{
	(void)unused;
	(void)number;
	n_added++;
}

static void on_unheard(void *unused, uint64_t number)
{
	(void)unused;
	unheard = unheard * 10 + number;
}

static void on_ended(void *unused, uint64_t number)
{
	(void)unused;
	n_ended++;
	last_ended = number;
}

__attribute__((format(printf, 1, 2))) static void say(const char *format, ...)
{
	va_list arguments;

	printf("# ");
	va_start(arguments, format);
	(void)vprintf(format, arguments);
	va_end(arguments);
	printf("\n");
}

/* As where there are too many lines: so many shares by themselves are let through. */
static unsigned n_shares_left = UINT32_MAX;

static bool on_event(void *unused, const struct daemon_event *event)
{
	(void)unused;
	if (strcmp(event->kind, "share") == 0 && event->comes_later) {
		if (n_shares_left == 0)
			return false;
		n_shares_left--;
	}
	if (event->number == 0)
		say("%s: %s", event->kind, event->text);
	else
		say("task %s: %s: %s (%.2f CPUs)", event->name, event->kind, event->text,
			event->share_cpus);
	if (event->made) {
		last_made = *event->made;
		n_made++;
		sleep_ms(made_ms);
		return true;
	}
	if (event->number > 0)
		last_numbers = *event;
	else
		last_whole = *event;
	if (event->number == 0)
		(void)snprintf(last_text, sizeof(last_text), "%s", event->text);
	(void)snprintf(kinds + strlen(kinds), sizeof(kinds) - strlen(kinds), "%s ", event->kind);
	(void)snprintf(texts + strlen(texts), sizeof(texts) - strlen(texts), "%s\n", event->text);
	return true;
}

static const struct daemon_setup usual = {
	.capacity_cpus = 2,
	.budget_cpus = 0.5,
	.slot_ns = SLOT_NS,
	.policy = "core",
	.n_tasks_max = N_TASKS,
	.keep_event = on_event,
};

static void open_daemon(const struct daemon_setup *from)
{
	static const struct daemon_listener listener = {
		.added = on_added, .unheard = on_unheard, .ended = on_ended, .slot = on_slot};
	struct daemon_setup with = *from;
	struct daemon_info info;

	with.event = loop;
	ck_assert_msg(daemon_new(&service, &with, &fault) == 0, "%s", fault.text);
	daemon_listen(service, &listener);
	daemon_info(service, &info);
	(void)snprintf(*last_run, sizeof(*last_run), "%s", info.run);
	n_slots = n_added = n_ended = 0;
	unheard = 0;
	slots_taken = -1;
	made_ms = 0;
	(void)snprintf(start_kinds, sizeof(start_kinds), "%s", kinds);
	kinds[0] = texts[0] = '\0';
}

/* A test that failed ran no teardown, and what it had runs on, as it should. */
static void setup(void)
{
	if ((*last_run)[0])
		ck_assert_int_ge(cgroup_run_end(*last_run, &fault), 0);
	ck_assert_int_ge(sd_event_new(&loop), 0);
	for (int i = 0; i < N_TASKS; i++)
		tasks[i] = (struct busy){.gate_fd = -EBADF};
}

static void teardown(void)
{
	/* Frozen ones do not die before. */
	service = daemon_free(service);
	for (int i = 0; i < N_TASKS; i++)
		busy_end(&tasks[i]);
	loop = sd_event_unref(loop);
}

static void run_for(uint64_t span_ns)
{
	const uint64_t end_ns = busy_clock_ns() + span_ns;

	while (busy_clock_ns() < end_ns)
		ck_assert_int_ge(
			sd_event_run(loop, nsec_sub(end_ns, busy_clock_ns()) / NSEC_PER_USEC), 0);
}

static int submit_only(enum job job, const struct daemon_submission *how, int which)
{
	static const char *const argv[] = {"/opt/bin/train me", "--fast", NULL};
	struct daemon_submission submission = *how;
	char text[256];
	uint64_t number, token;
	int page_fd, r;

	tasks[which] = start(job);
	submission.pid = tasks[which].pid;
	submission.pidfd = (int)syscall(SYS_pidfd_open, submission.pid, 0);
	ck_assert_int_ge(submission.pidfd, 0);
	if (!submission.argv)
		submission.argv = argv;
	if (!(submission.threads > 0))
		submission.threads = 1;
	if (submission.deadline.at_ns == 0)
		submission.deadline.at_ns = DAEMON_NO_DEADLINE;
	if (submission.grace_ns == 0)
		submission.grace_ns = 100 * NSEC_PER_MSEC;
	r = daemon_submit(service, &submission, &number, &page_fd, &token, &fault);
	(void)close(submission.pidfd);
	if (r < 0) {
		busy_end(&tasks[which]);
		return r;
	}
	(void)snprintf(text, sizeof(text), "COREGOV_PROGRESS=-1:/proc/%d/fd/%d:%016" PRIx64,
		(int)getpid(), page_fd, token);
	ck_assert_int_eq(write(tasks[which].gate_fd, text, strlen(text)), (ssize_t)strlen(text));
	(void)close(tasks[which].gate_fd);
	tasks[which].gate_fd = -EBADF;
	return (int)number;
}

/* And it is decided what it gets. */
static int submit(enum job job, const struct daemon_submission *how, int which)
{
	int number = submit_only(job, how, which), n_left = DISPATCHES;
	struct daemon_task_info info;

	while (number > 0 && n_left-- > 0 && daemon_task(service, (uint64_t)number, &info) &&
		!(info.share_cpus > 0))
		ck_assert_int_ge(sd_event_run(loop, 0), 0);
	return number;
}

static struct daemon_task_info info_of(int number)
{
	struct daemon_task_info info;

	ck_assert(daemon_task(service, (uint64_t)number, &info));
	return info;
}

/* What a launcher does when its child has ended. */
static void reap_and_tell(int which, int number)
{
	int status;

	ck_assert_int_eq(waitpid(tasks[which].pid, &status, 0), tasks[which].pid);
	tasks[which].pid = 0;
	ck_assert_int_eq(
		daemon_ended(service, (uint64_t)number,
			WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status), &fault),
		0);
}

#define RUN_UNTIL(condition)                                             \
	do {                                                             \
		const uint64_t until_ns = busy_clock_ns() + PATIENCE_NS; \
                                                                         \
		while (!(condition)) {                                   \
			ck_assert_uint_lt(busy_clock_ns(), until_ns);    \
			ck_assert_int_ge(sd_event_run(loop, 10000), 0);  \
		}                                                        \
	} while (0)

static bool wants_slots(void *wants)
{
	return *(const bool *)wants;
}

static const struct daemon_submission plain = {.has_target = false};

static struct daemon_caps caps_of(void *userdata, uid_t owner)
{
	const struct daemon_caps *caps = userdata;

	return owner == 0 ? *caps : (struct daemon_caps){.cpus = INFINITY, .n_tasks = UINT32_MAX};
}

START_TEST(a_task_comes_is_governed_and_goes)
{
	int number;

	open_daemon(&usual);
	number = submit_only(JOB_BUSY, &plain, 0);
	ck_assert_msg(number == 1, "%s", fault.text);
	ck_assert_str_eq(info_of(1).name, "train_me");
	ck_assert_str_eq(info_of(1).argv[1], "--fast");
	ck_assert_int_eq(info_of(1).phase, PHASE_ALIVE);
	ck_assert_uint_eq(n_added, 0); /* not from within the call */
	RUN_UNTIL(n_added == 1 && info_of(1).cpu_ns > 50 * NSEC_PER_MSEC);
	ck_assert_double_eq_tol(info_of(1).share_cpus, 0.5, 1e-6);
	ck_assert_int_eq(kill(tasks[0].pid, SIGKILL), 0);
	reap_and_tell(0, 1);
	RUN_UNTIL(n_ended == 1);
	ck_assert_uint_eq(last_ended, 1);
	ck_assert_int_eq(info_of(1).phase, PHASE_ENDED);
	ck_assert_int_eq(info_of(1).outcome, OUTCOME_FAILED);
	ck_assert_int_eq(info_of(1).exit_status, 137);
	ck_assert_uint_gt(info_of(1).finished_realtime_ns, info_of(1).began_realtime_ns);
	ck_assert_uint_eq(daemon_find(service, "train_me"), 1);
	ck_assert_str_eq(start_kinds, "chosen chosen "); /* enforcer and meter */
	ck_assert_str_eq(kinds, "start share failed ");
	ck_assert_ptr_nonnull(strstr(texts, "ended with status 137\n"));
}
END_TEST

START_TEST(a_status_that_nobody_tells_is_not_told)
{
	open_daemon(&usual);
	ck_assert_int_eq(submit(JOB_END_7, &plain, 0), 1);
	RUN_UNTIL(n_ended == 1);
	ck_assert_int_eq(info_of(1).outcome, OUTCOME_MISSED_TARGET);
	ck_assert_int_eq(info_of(1).exit_status, -1);
	ck_assert_ptr_nonnull(strstr(texts, "ended, and nobody said with which status\n"));
	ck_assert_ptr_null(strstr(texts, "status 0"));
}
END_TEST

START_TEST(without_a_task_nothing_wakes_up)
{
	open_daemon(&usual);
	ck_assert_int_eq(sd_event_run(loop, 3 * SLOT_NS / NSEC_PER_USEC), 0);
	ck_assert_int_eq(submit(JOB_END_7, &plain, 0), 1);
	RUN_UNTIL(n_slots >= 2);
	ck_assert_uint_eq(last_slot.n_tasks, 1);
	reap_and_tell(0, 1);
	RUN_UNTIL(n_ended == 1);
	ck_assert_int_eq(info_of(1).exit_status, 7);
	/* That nothing is used any more is told, too. */
	ck_assert_uint_eq(last_slot.n_tasks, 0);
	ck_assert_double_eq_tol(last_slot.granted_cpus, 0, 1e-9);
	run_for(3 * SLOT_NS);
	n_slots = 0;
	ck_assert_int_eq(sd_event_run(loop, 6 * SLOT_NS / NSEC_PER_USEC), 0);
	ck_assert_uint_eq(n_slots, 0);
	/* And it wakes again. */
	ck_assert_int_eq(submit(JOB_BUSY, &plain, 0), 2);
	RUN_UNTIL(n_slots >= 2);
}
END_TEST

/* What systemd is told the governor is well by. */
START_TEST(whether_slots_are_made)
{
	open_daemon(&usual);
	sleep_ms(10 * SLOT_NS / NSEC_PER_MSEC);
	ck_assert(daemon_is_in_time(service)); /* none is due */
	ck_assert_int_eq(submit(JOB_BUSY, &plain, 0), 1);
	ck_assert(daemon_is_in_time(service));
	RUN_UNTIL(n_slots >= 2);
	ck_assert(daemon_is_in_time(service));
	sleep_ms(10 * SLOT_NS / NSEC_PER_MSEC); /* the loop stands still */
	ck_assert(!daemon_is_in_time(service));
	n_slots = 0;
	RUN_UNTIL(n_slots >= 1);
	ck_assert(daemon_is_in_time(service));
	ck_assert_int_eq(kill(tasks[0].pid, SIGKILL), 0);
	reap_and_tell(0, 1);
	RUN_UNTIL(n_ended == 1);
	sleep_ms(10 * SLOT_NS / NSEC_PER_MSEC);
	ck_assert(daemon_is_in_time(service));
}
END_TEST

/* What is not taken of the whole is told again, also where no slot comes any more. */
START_TEST(what_was_not_taken_is_told_again)
{
	open_daemon(&usual);
	ck_assert_int_eq(submit(JOB_BUSY, &plain, 0), 1);
	RUN_UNTIL(n_slots >= 2);
	slots_taken = 0;
	ck_assert_int_eq(kill(tasks[0].pid, SIGKILL), 0);
	reap_and_tell(0, 1);
	RUN_UNTIL(n_ended == 1);
	run_for(2 * SLOT_NS);
	n_slots = 0;
	RUN_UNTIL(n_slots >= 1);
	/* And once it is taken it is quiet. */
	slots_taken = -1;
	run_for(NSEC_PER_SEC + 2 * SLOT_NS);
	n_slots = 0;
	run_for(NSEC_PER_SEC + 2 * SLOT_NS);
	ck_assert_uint_eq(n_slots, 0);
}
END_TEST

/* Slots that take longer than they are long leave time for all else. */
START_TEST(slots_that_take_long_are_not_all_there_is)
{
	struct daemon_setup with = usual;
	bool wants = true;

	with.wants_slots = wants_slots;
	with.userdata = &wants;
	open_daemon(&with);
	made_ms = 3 * SLOT_NS / NSEC_PER_MSEC / 2;
	ck_assert_int_eq(submit(JOB_BUSY, &plain, 0), 1);
	RUN_UNTIL(n_made >= 2);
	n_slots = n_made = 0;
	RUN_UNTIL(n_slots >= 3 || n_made >= 20);
	ck_assert_uint_ge(n_slots, 3);
}
END_TEST

/* One line of each, where that is wanted; and none while there is no slot. */
START_TEST(slots_are_told_where_they_are_wanted)
{
	const struct daemon_submission aimed = {
		.has_target = true,
		.target = {.metric = "loss", .value = 0.1, .in_a_row = 1},
	};
	struct daemon_setup with = usual;
	bool wants = false;

	with.policy = "equal";
	with.wants_slots = wants_slots;
	with.userdata = &wants;
	open_daemon(&with);
	wants = true;
	run_for(4 * SLOT_NS);
	ck_assert_uint_eq(n_made, 0);
	wants = false;
	ck_assert_int_eq(submit(JOB_BUSY, &aimed, 0), 1);
	ck_assert_int_eq(submit(JOB_BUSY, &plain, 1), 2);
	RUN_UNTIL(n_slots >= 3);
	ck_assert_uint_eq(n_made, 0);
	wants = true;
	n_slots = 0;
	RUN_UNTIL(n_slots >= 3);
	ck_assert_uint_eq(n_made, n_slots);
	ck_assert_uint_eq(last_made.n_tasks, 2);
	ck_assert_uint_eq(last_made.n_chosen, 1); /* the other has what is left */
	ck_assert_double_eq_tol(last_made.budget_cpus, 0.5, 1e-6);
	ck_assert_double_eq_tol(last_made.granted_cpus, last_slot.granted_cpus, 1e-9);
	ck_assert_double_eq_tol(last_made.used_cpus, last_slot.used_cpus, 1e-9);
	/* It is that of the lines of tasks. */
	ck_assert_int_eq(daemon_pause(service, 2, true, ME, &fault), 0);
	ck_assert_uint_ge(last_numbers.slot, last_made.slot);
	ck_assert_uint_le(last_numbers.slot, last_made.slot + 1);
	ck_assert_int_eq(daemon_set_budget(service, 0.4, ME, &fault), 0);
	ck_assert_double_eq_tol(last_made.budget_cpus, 0.4, 1e-6);
	ck_assert_uint_ge(last_made.n_changed, 1);
	ck_assert_uint_eq(last_made.late_ns, 0);
}
END_TEST

START_TEST(who_learns_is_not_killed_for_it)
{
	const struct daemon_submission learning = {
		.has_target = true,
		.target = {.metric = "loss", .value = 0.1, .in_a_row = 1},
		.on_target = AT_END_YIELD,
	};

	open_daemon(&usual);
	ck_assert_int_eq(daemon_n_vacant(service, geteuid()), usual.n_tasks_max);
	ck_assert_int_eq(submit(JOB_LEARN, &learning, 0), 1);
	ck_assert_int_eq(daemon_n_vacant(service, geteuid()), usual.n_tasks_max - 1);
	RUN_UNTIL(info_of(1).outcome != OUTCOME_NONE);
	ck_assert_int_eq(info_of(1).outcome, OUTCOME_LEARNED);
	ck_assert_int_eq(info_of(1).phase, PHASE_YIELDED);
	ck_assert_str_eq(info_of(1).feed, "shm");
	RUN_UNTIL(info_of(1).n_reports == 100);
	ck_assert_double_eq_tol(info_of(1).value, 0.01, 1e-9);
	ck_assert(info_of(1).share_cpus > 0);
	ck_assert_int_eq(
		daemon_change(service, 1,
			&(struct daemon_change){.has_threads = true, .threads = 1}, ME, &fault),
		-EALREADY);
	ck_assert_str_eq(fault.text, "task train_me has its outcome already: learned");
}
END_TEST

START_TEST(who_is_to_stop_at_its_target_is_asked_and_then_ended)
{
	const struct daemon_submission learning = {
		.has_target = true,
		.target = {.metric = "loss", .value = 0.1, .in_a_row = 1},
		.on_target = AT_END_STOP,
	};

	open_daemon(&usual);
	ck_assert_int_eq(submit(JOB_LEARN, &learning, 0), 1);
	RUN_UNTIL(info_of(1).phase == PHASE_STOPPING);
	RUN_UNTIL(info_of(1).phase == PHASE_ENDED); /* it does not listen: SIGTERM */
	ck_assert_int_eq(info_of(1).outcome, OUTCOME_LEARNED);
	ck_assert(busy_is_dead(&tasks[0]));
}
END_TEST

START_TEST(what_cannot_be_taken_is_refused)
{
	struct daemon_caps two = {.cpus = INFINITY, .n_tasks = 2};
	struct daemon_setup few = usual;
	struct daemon_submission named = {.name = "a"};
	struct daemon_submission late = {.deadline = {DAEMON_REALTIME, NSEC_PER_SEC}};
	struct daemon_submission absurd = {.threads = INFINITY};
	struct daemon_submission patient = {.grace_ns = UINT64_MAX};

	few.caps_of = caps_of;
	few.userdata = &two;
	open_daemon(&few);
	ck_assert_int_eq(submit(JOB_SLEEP, &named, 0), 1);
	ck_assert_int_eq(submit(JOB_SLEEP, &named, 1), -EEXIST);
	ck_assert_str_eq(fault.text, "a task 'a' runs already; choose another name with --name");
	named.name = "a b";
	ck_assert_int_eq(submit(JOB_SLEEP, &named, 1), -EINVAL);
	ck_assert_int_eq(submit(JOB_SLEEP, &late, 1), -ERANGE);
	ck_assert_str_eq(fault.text, "the deadline has passed already");
	ck_assert_int_eq(submit(JOB_SLEEP, &absurd, 1), -EINVAL);
	ck_assert_int_eq(submit(JOB_SLEEP, &patient, 1), -EINVAL);
	ck_assert_str_eq(fault.text, "a grace of more than a day: say less");
	kinds[0] = '\0';
	daemon_drain(service, true, ME);
	daemon_drain(service, true, ME); /* no change, no news */
	ck_assert_str_eq(kinds, "draining ");
	ck_assert_str_eq(last_text,
		"draining, no new task is taken and those that run go on: user 4711 has asked for "
		"it");
	ck_assert(last_whole.has_sender);
	ck_assert_uint_eq(last_whole.sender, ME);
	ck_assert_int_eq(submit(JOB_SLEEP, &plain, 1), -ESHUTDOWN);
	daemon_drain(service, false, ME);
	ck_assert_str_eq(kinds, "draining accepting ");
	/* What was refused has cost no number. */
	ck_assert_int_eq(submit(JOB_SLEEP, &plain, 1), 2);
	ck_assert_int_eq(submit(JOB_SLEEP, &plain, 2), -EDQUOT);
	ck_assert_str_eq(fault.text,
		"2 tasks of yours run already, and there may be no more (per-user-tasks)");
	ck_assert_int_eq(daemon_cancel(service, 9, ME, &fault), -ENOENT);
	ck_assert_int_eq(daemon_pause(service, 0, true, ME, &fault), -ENOENT);
}
END_TEST

START_TEST(a_process_is_of_one_task)
{
	struct daemon_submission again = plain;
	uint64_t number, token;
	int page_fd;

	open_daemon(&usual);
	ck_assert_int_eq(submit(JOB_BUSY, &plain, 0), 1);
	again.pid = tasks[0].pid;
	again.threads = 1;
	again.name = "again";
	again.deadline.at_ns = DAEMON_NO_DEADLINE;
	again.pidfd = (int)syscall(SYS_pidfd_open, again.pid, 0);
	ck_assert_int_ge(again.pidfd, 0);
	ck_assert_int_eq(
		daemon_submit(service, &again, &number, &page_fd, &token, &fault), -EINVAL);
	ck_assert_ptr_nonnull(strstr(fault.text, "is that of task train_me already"));
	(void)close(again.pidfd);
	ck_assert_uint_eq(daemon_find(service, "again"), 0);
	RUN_UNTIL(info_of(1).cpu_ns > 10 * NSEC_PER_MSEC);
}
END_TEST

/* One that has its turn in a later slot stands still: it does not die before. */
static void kill_and_see(int which, unsigned n_then)
{
	ck_assert_int_eq(kill(tasks[which].pid, SIGKILL), 0);
	RUN_UNTIL(n_ended == n_then);
	busy_end(&tasks[which]);
}

START_TEST(names_are_made_and_told_apart)
{
	open_daemon(&usual);
	for (int i = 0; i < N_TASKS; i++)
		ck_assert_int_eq(submit(JOB_SLEEP, &plain, i), i + 1);
	ck_assert_str_eq(info_of(2).name, "train_me-2");
	ck_assert_str_eq(info_of(4).name, "train_me-4");
	ck_assert_uint_eq(daemon_find(service, "train_me-3"), 3);
	ck_assert_uint_eq(daemon_find(service, "nobody"), 0);
	kill_and_see(1, /* n_then= */ 1);
	ck_assert_int_eq(submit(JOB_SLEEP, &plain, 1), 5);
	ck_assert_str_eq(info_of(5).name, "train_me-2");
	ck_assert_uint_eq(daemon_find(service, "train_me-2"), 5);
	kill_and_see(0, /* n_then= */ 2);
	ck_assert_int_eq(submit(JOB_SLEEP, &plain, 0), 6);
	kill_and_see(0, /* n_then= */ 3);
	/* Of those that have ended it is the newest. */
	ck_assert_uint_eq(daemon_find(service, "train_me"), 6);
}
END_TEST

START_TEST(a_process_that_is_dead_is_not_taken)
{
	struct daemon_submission dead = {
		.threads = 1, .deadline = {.at_ns = DAEMON_NO_DEADLINE}, .name = "dead"};
	uint64_t number, token;
	int page_fd;

	open_daemon(&usual);
	tasks[0] = start(JOB_SLEEP);
	dead.pid = tasks[0].pid;
	dead.pidfd = (int)syscall(SYS_pidfd_open, dead.pid, 0);
	busy_end(&tasks[0]);
	ck_assert_int_eq(daemon_submit(service, &dead, &number, &page_fd, &token, &fault), -ESRCH);
	(void)close(dead.pidfd);
	ck_assert_uint_eq(daemon_find(service, "dead"), 0);
	/* Nor does it keep anybody awake. */
	run_for(3 * SLOT_NS);
	n_slots = 0;
	ck_assert_int_eq(sd_event_run(loop, 6 * SLOT_NS / NSEC_PER_USEC), 0);
	ck_assert_uint_eq(n_slots, 0);
	ck_assert_int_eq(submit(JOB_BUSY, &plain, 0), 1);
	RUN_UNTIL(info_of(1).cpu_ns > 10 * NSEC_PER_MSEC);
}
END_TEST

/* Descriptors run out at each step of a start. */
START_TEST(a_start_that_fails_says_why)
{
	/* One name, and one seat: of a start that failed nothing is left in the way of the next. */
	struct daemon_submission poor = {
		.threads = 1, .deadline = {.at_ns = DAEMON_NO_DEADLINE}, .name = "poor"};
	struct rlimit all, few;
	uint64_t number = 0, token;
	int page_fd, r = -EMFILE, n_refused = 0;

	open_daemon(&usual);
	tasks[0] = start(JOB_SLEEP);
	poor.pid = tasks[0].pid;
	poor.pidfd = (int)syscall(SYS_pidfd_open, poor.pid, 0);
	ck_assert_int_eq(getrlimit(RLIMIT_NOFILE, &all), 0);
	few = all;
	for (few.rlim_cur = (rlim_t)poor.pidfd + 1; r < 0 && few.rlim_cur < all.rlim_cur;
		few.rlim_cur++) {
		ck_assert_int_eq(setrlimit(RLIMIT_NOFILE, &few), 0);
		fault = FAULT_INIT;
		r = daemon_submit(service, &poor, &number, &page_fd, &token, &fault);
		ck_assert_int_eq(setrlimit(RLIMIT_NOFILE, &all), 0);
		/* A library on the way may know no better: that is no end of the process either. */
		if (r < 0)
			ck_assert_msg(r == -EMFILE || r == -EIO, "%d: %s", r, fault.text);
		n_refused += r < 0;
	}
	(void)close(poor.pidfd);
	ck_assert_int_eq(r, 0);
	ck_assert_int_gt(n_refused, 0);
	ck_assert_uint_eq(number, 1);
	ck_assert_ptr_nonnull(strstr(kinds, "failed "));
	ck_assert_int_eq(kill(tasks[0].pid, 0), 0);
}
END_TEST

START_TEST(who_cannot_make_it_is_at_risk)
{
	struct daemon_submission far = {
		.has_target = true,
		.target = {.metric = "loss", .value = 1e-300, .in_a_row = 1},
	};
	struct daemon_info info;
	struct timespec now;

	open_daemon(&usual);
	(void)clock_gettime(CLOCK_REALTIME, &now);
	far.deadline.at_ns = ((uint64_t)now.tv_sec + 5) * NSEC_PER_SEC;
	ck_assert_int_eq(submit(JOB_LEARN, &far, 0), 1);
	ck_assert_int_eq(info_of(1).prospect, PROSPECT_UNKNOWN);
	RUN_UNTIL(info_of(1).n_reports > 50);
	RUN_UNTIL(info_of(1).prospect == PROSPECT_UNLIKELY);
	daemon_info(service, &info);
	ck_assert_uint_eq(info.n_at_risk, 1);
	RUN_UNTIL(strstr(kinds, "unlikely "));
	ck_assert_ptr_nonnull(strstr(texts, "unlikely to reach its target in time: chance 0."));
	ck_assert_double_ge(last_numbers.chance, 0);
	ck_assert_double_lt(last_numbers.chance, 0.5);
	/* Of 5 s at most, with half a CPU. */
	ck_assert_double_le(last_numbers.left_s, 2.5);
	ck_assert_double_gt(last_numbers.left_s, 0);
	ck_assert_double_gt(last_numbers.need_s, last_numbers.left_s);
	/* And not again. */
	run_for(8 * SLOT_NS);
	ck_assert_ptr_null(strstr(strstr(kinds, "unlikely ") + strlen("unlikely "), "likely "));
	ck_assert_ptr_null(strstr(kinds, "unheard"));
}
END_TEST

/* Also on what became of a task, and what was done with it. */
START_TEST(a_line_has_the_forecast_where_there_is_one)
{
	struct daemon_submission far = {
		.has_target = true,
		.target = {.metric = "loss", .value = 1e-12, .in_a_row = 1},
		.on_target = AT_END_YIELD,
		.on_deadline = AT_END_YIELD,
	};
	struct daemon_change change = {.has_target = true, .target = far.target};
	struct timespec now;

	open_daemon(&usual);
	(void)clock_gettime(CLOCK_REALTIME, &now);
	far.deadline.at_ns = ((uint64_t)now.tv_sec + 3600) * NSEC_PER_SEC;
	ck_assert_int_eq(submit_only(JOB_GO_ON, &far, 0), 1);
	ck_assert_str_eq(last_numbers.kind, "start"); /* it has not reported anything */
	ck_assert(isnan(last_numbers.chance));
	ck_assert(isnan(last_numbers.need_s));
	ck_assert(isnan(last_numbers.left_s));
	RUN_UNTIL(info_of(1).n_reports > 20 && strstr(kinds, "share "));
	ck_assert_int_eq(daemon_pause(service, 1, true, ME, &fault), 0);
	ck_assert_double_ge(last_numbers.chance, 0);
	ck_assert_double_le(last_numbers.chance, 1);
	ck_assert_double_gt(last_numbers.need_s, 0);
	/* An hour of what the budget has, if it can use that. */
	ck_assert_double_le(last_numbers.left_s, 3600 * 0.5);
	ck_assert_double_gt(last_numbers.left_s, 0);
	ck_assert_int_eq(daemon_pause(service, 1, false, ME, &fault), 0);
	ck_assert_str_eq(last_numbers.kind, "resumed");
	/* As soon as it is judged by what it is near to. */
	change.target.value = info_of(1).value / 2;
	ck_assert_int_eq(daemon_change(service, 1, &change, ME, &fault), 0);
	ck_assert_str_eq(last_numbers.kind, "set");
	ck_assert_double_gt(last_numbers.chance, 0);
	ck_assert_double_gt(last_numbers.need_s, 0);
	RUN_UNTIL(strstr(kinds, "learned "));
	ck_assert_str_eq(last_numbers.kind, "learned");
	ck_assert_double_gt(last_numbers.chance, 0);
	ck_assert_double_gt(last_numbers.need_s, 0);
	ck_assert_double_gt(last_numbers.left_s, 0);
	ck_assert_int_eq(daemon_pause(service, 1, true, ME, &fault), 0);
	ck_assert_str_eq(last_numbers.kind, "paused");
	ck_assert(isnan(last_numbers.chance));
}
END_TEST

START_TEST(who_is_too_late_is_told_with_what_it_lacks)
{
	struct daemon_submission soon = {
		.has_target = true,
		.target = {.metric = "loss", .value = 1e-12, .in_a_row = 1},
		.deadline = {DAEMON_BOOTTIME, 0},
		.on_deadline = AT_END_YIELD,
	};
	struct timespec now;

	open_daemon(&usual);
	(void)clock_gettime(CLOCK_BOOTTIME, &now);
	soon.deadline.at_ns = (uint64_t)(now.tv_sec + 2) * NSEC_PER_SEC + (uint64_t)now.tv_nsec;
	ck_assert_int_eq(submit(JOB_GO_ON, &soon, 0), 1);
	RUN_UNTIL(strstr(kinds, "missed-deadline "));
	ck_assert_str_eq(last_numbers.kind, "missed-deadline");
	ck_assert_double_eq_tol(last_numbers.chance, 0, 1e-9);
	ck_assert_double_eq_tol(last_numbers.left_s, 0, 1e-9);
	ck_assert_double_gt(last_numbers.need_s, 0);
}
END_TEST

START_TEST(who_says_nothing_is_told_of)
{
	const struct daemon_submission silent = {
		.has_target = true,
		.target = {.metric = "loss", .value = 0.1, .in_a_row = 1},
		.on_target = AT_END_YIELD,
	};
	struct daemon_setup impatient = usual;

	impatient.unheard_cpu_ns = 50 * NSEC_PER_MSEC;
	open_daemon(&impatient);
	ck_assert_int_eq(submit(JOB_BUSY, &silent, 0), 1);
	ck_assert(!info_of(1).is_unheard);
	RUN_UNTIL(strstr(kinds, "unheard "));
	ck_assert(info_of(1).is_unheard);
	ck_assert_ptr_nonnull(strstr(texts, "s of CPU time and not reported its loss; see --feed"));
	ck_assert(isnan(last_numbers.chance));
	/* Once; and neither those who speak nor those without a target. */
	run_for(4 * SLOT_NS);
	ck_assert_int_eq(daemon_cancel(service, 1, ME, &fault), 0);
	RUN_UNTIL(n_ended == 1);
	ck_assert_int_eq(submit(JOB_LEARN, &silent, 1), 2);
	RUN_UNTIL(info_of(2).n_reports == 100);
	ck_assert_int_eq(submit(JOB_BUSY, &plain, 2), 3);
	RUN_UNTIL(info_of(3).cpu_ns > 100 * NSEC_PER_MSEC);
	ck_assert(!info_of(2).is_unheard);
	ck_assert(!info_of(3).is_unheard);
	ck_assert_ptr_null(strstr(strstr(kinds, "unheard ") + 1, "unheard "));
	ck_assert_uint_eq(unheard, 1);
}
END_TEST

/* Of what somebody has asked for, and of nothing else. */
START_TEST(who_asked_is_told)
{
	const struct daemon_change change = {.has_threads = true, .threads = 2};
	const struct daemon_submission of_root = {.owner = 0};

	open_daemon(&usual);
	ck_assert_int_eq(submit_only(JOB_BUSY, &of_root, 0), 1);
	ck_assert_str_eq(last_numbers.kind, "start");
	ck_assert(last_numbers.has_sender && last_numbers.sender == 0);
	RUN_UNTIL(strcmp(last_numbers.kind, "share") == 0);
	ck_assert(!last_numbers.has_sender);
	ck_assert_int_eq(daemon_change(service, 1, &change, ME, &fault), 0);
	ck_assert_str_eq(last_numbers.kind, "set");
	ck_assert(last_numbers.has_sender && last_numbers.sender == ME);
	ck_assert_int_eq(daemon_pause(service, 1, true, ME, &fault), 0);
	ck_assert_str_eq(last_numbers.kind, "paused");
	ck_assert(last_numbers.has_sender && last_numbers.sender == ME);
	ck_assert_int_eq(daemon_pause(service, 1, false, DAEMON_NOBODY, &fault), 0);
	ck_assert_str_eq(last_numbers.kind, "resumed");
	ck_assert(!last_numbers.has_sender);
	ck_assert_ptr_nonnull(strstr(kinds, "paused share resumed "));
	ck_assert_int_eq(daemon_cancel(service, 1, ME, &fault), 0);
	ck_assert_ptr_nonnull(strstr(kinds, "cancelled stopping "));
	ck_assert_str_eq(last_numbers.kind, "stopping");
	ck_assert(last_numbers.has_sender && last_numbers.sender == ME);
	RUN_UNTIL(n_ended == 1);
	ck_assert_str_eq(last_numbers.kind, "end");
	ck_assert(!last_numbers.has_sender);
}
END_TEST

/* What was told last, when a line comes that is not of a share itself, is what the task has. */
static void assert_share_is_known(const char *kind)
{
	ck_assert_str_eq(last_numbers.kind, kind);
	ck_assert_double_eq_tol(last_numbers.old_share_cpus, last_numbers.share_cpus, 0.01);
	ck_assert_int_eq(last_numbers.old_share_cpus > 0, last_numbers.share_cpus > 0);
}

START_TEST(a_share_is_told_before_what_it_came_to)
{
	open_daemon(&usual);
	ck_assert_int_eq(submit(JOB_BUSY, &plain, 0), 1);
	RUN_UNTIL(strstr(kinds, "share "));
	ck_assert_int_eq(daemon_set_budget(service, 0.3, ME, &fault), 0);
	ck_assert_str_eq(kinds, "start share budget "); /* so soon it is not told by itself */
	ck_assert_int_eq(daemon_pause(service, 1, true, ME, &fault), 0);
	ck_assert_str_eq(kinds, "start share budget share paused ");
	assert_share_is_known("paused");
	ck_assert_double_le(last_numbers.share_cpus, 0.3 + 1e-6);
	ck_assert_double_gt(last_numbers.share_cpus, 0);
	ck_assert_int_eq(daemon_pause(service, 1, false, ME, &fault), 0);
	ck_assert_str_eq(kinds, "start share budget share paused share resumed ");
	ck_assert_ptr_nonnull(strstr(texts, ": it is paused\n"));
	assert_share_is_known("resumed");
	ck_assert_double_eq_tol(last_numbers.share_cpus, 0, 1e-9);
	/* Nothing but that within the pause. */
	run_for(8 * SLOT_NS);
	ck_assert_str_eq(kinds, "start share budget share paused share resumed ");
	ck_assert_int_eq(daemon_cancel(service, 1, ME, &fault), 0);
	ck_assert_str_eq(
		kinds, "start share budget share paused share resumed share cancelled stopping ");
	ck_assert_ptr_nonnull(
		strstr(texts, ", before 0.00: it has its part of what others leave\n"));
}
END_TEST

/* It had none when it was told last, and learned on what it was given then. */
START_TEST(nobody_learns_on_a_share_of_none)
{
	const struct daemon_submission learning = {
		.has_target = true,
		.target = {.metric = "loss", .value = 0.02, .in_a_row = 1},
		.on_target = AT_END_YIELD,
	};

	open_daemon(&usual);
	ck_assert_int_eq(submit(JOB_LEARN, &learning, 0), 1);
	ck_assert_int_eq(daemon_pause(service, 1, true, ME, &fault), 0);
	RUN_UNTIL(strstr(kinds, "paused share "));
	ck_assert_int_eq(daemon_pause(service, 1, false, ME, &fault), 0);
	RUN_UNTIL(strstr(kinds, "learned "));
	ck_assert_ptr_nonnull(strstr(kinds, "resumed share learned "));
	assert_share_is_known("learned");
	ck_assert_double_gt(last_numbers.share_cpus, 0);
}
END_TEST

START_TEST(a_share_is_told_when_the_pause_is_over)
{
	struct daemon_setup often = usual;

	often.share_pause_ns = 10 * SLOT_NS;
	open_daemon(&often);
	ck_assert_int_eq(submit(JOB_BUSY, &plain, 0), 1);
	RUN_UNTIL(strstr(kinds, "share "));
	ck_assert_int_eq(daemon_set_budget(service, 0.3, ME, &fault), 0);
	ck_assert_int_eq(daemon_set_budget(service, 0.4, ME, &fault), 0);
	ck_assert_int_eq(daemon_set_budget(service, 0.2, ME, &fault), 0);
	ck_assert_str_eq(kinds, "start share budget budget budget ");
	RUN_UNTIL(strstr(kinds, "budget share "));
	ck_assert_double_le(last_numbers.share_cpus, 0.2 + 1e-6);
	ck_assert_double_gt(last_numbers.old_share_cpus, 0.2 + 1e-6);
}
END_TEST

/* Those that had to wait come first. */
START_TEST(a_share_that_is_left_out_comes_later)
{
	static const double budgets[] = {0.4, 0.3, 0.45, 0.35, 0.25, 0.2};
	struct daemon_setup often = usual;

	often.share_pause_ns = 1;
	often.policy = "equal";
	open_daemon(&often);
	n_shares_left = 0;
	for (int i = 0; i < 3; i++)
		ck_assert_int_eq(submit(JOB_BUSY, &plain, i), i + 1);
	n_slots = 0;
	RUN_UNTIL(n_slots >= 3);
	ck_assert_ptr_null(strstr(kinds, "share"));
	for (unsigned i = 0; i < ARRAY_LENGTH(budgets); i++) {
		n_shares_left = 1;
		ck_assert_int_eq(daemon_set_budget(service, budgets[i], ME, &fault), 0);
		ck_assert_str_eq(last_numbers.kind, "share");
		ck_assert_uint_eq(n_shares_left, 0);
		ck_assert_uint_eq(last_numbers.number, i % 3 + 1);
	}
}
END_TEST

START_TEST(who_is_paused_stands_still)
{
	uint64_t cpu_ns;

	open_daemon(&usual);
	ck_assert_int_eq(submit(JOB_BUSY, &plain, 0), 1);
	RUN_UNTIL(info_of(1).cpu_ns > 10 * NSEC_PER_MSEC);
	ck_assert_int_eq(daemon_pause(service, 1, true, ME, &fault), 0);
	ck_assert(info_of(1).is_paused);
	run_for(2 * SLOT_NS);
	cpu_ns = info_of(1).cpu_ns;
	run_for(6 * SLOT_NS);
	ck_assert_uint_eq(info_of(1).cpu_ns, cpu_ns);
	ck_assert_int_eq(daemon_pause(service, 1, false, ME, &fault), 0);
	RUN_UNTIL(info_of(1).cpu_ns > cpu_ns + 10 * NSEC_PER_MSEC);
	ck_assert_int_eq(daemon_cancel(service, 1, ME, &fault), 0);
	RUN_UNTIL(n_ended == 1); /* nobody tells how: it is seen */
	ck_assert_int_eq(info_of(1).outcome, OUTCOME_CANCELLED);
	ck_assert_int_eq(info_of(1).exit_status, -1);
	ck_assert_int_eq(daemon_cancel(service, 1, ME, &fault), -EALREADY);
}
END_TEST

START_TEST(who_is_cancelled_twice_is_killed)
{
	const struct daemon_submission deaf = {.grace_ns = 3600 * NSEC_PER_SEC};

	open_daemon(&usual);
	ck_assert_int_eq(submit(JOB_DEAF, &deaf, 0), 1);
	RUN_UNTIL(info_of(1).cpu_ns > 10 * NSEC_PER_MSEC);
	ck_assert_int_eq(daemon_cancel(service, 1, ME, &fault), 0);
	run_for(4 * SLOT_NS);
	ck_assert_int_eq(info_of(1).phase, PHASE_STOPPING);
	ck_assert_int_eq(daemon_cancel(service, 1, ME, &fault), 0);
	RUN_UNTIL(n_ended == 1);
	ck_assert_int_eq(info_of(1).outcome, OUTCOME_CANCELLED);
	/* Each means once, also where a share is told in between. */
	ck_assert_ptr_nonnull(strstr(kinds, "cancelled stopping "));
	ck_assert_ptr_nonnull(strstr(texts, "\nstopping: all of it is sent SIGTERM\n"));
	ck_assert_ptr_nonnull(strstr(texts, "\nstopping: all of it is sent SIGKILL\n"));
	ck_assert_ptr_null(strstr(strstr(texts, "SIGTERM") + 1, "SIGTERM"));
	ck_assert_ptr_null(strstr(strstr(texts, "SIGKILL") + 1, "SIGKILL"));
}
END_TEST

START_TEST(what_forks_away_is_governed_on)
{
	struct daemon_info info;
	uint64_t cpu_ns;

	open_daemon(&usual);
	ck_assert_int_eq(submit(JOB_LEAVE, &plain, 0), 1);
	RUN_UNTIL(busy_is_dead(&tasks[0]));
	reap_and_tell(0, 1);
	run_for(4 * SLOT_NS);
	ck_assert_uint_eq(n_ended, 0);
	cpu_ns = info_of(1).cpu_ns;
	RUN_UNTIL(info_of(1).cpu_ns > cpu_ns + 20 * NSEC_PER_MSEC);
	daemon_info(service, &info);
	ck_assert_uint_eq(info.n_tasks, 1);
	ck_assert_int_eq(daemon_cancel(service, 1, ME, &fault), 0);
	RUN_UNTIL(n_ended == 1);
	ck_assert_int_eq(info_of(1).exit_status, 0);
}
END_TEST

START_TEST(a_deadline_can_be_moved_and_passes)
{
	const struct daemon_submission soon = {
		.has_target = true,
		.target = {.metric = "loss", .value = 0.1, .in_a_row = 1},
		.deadline = {DAEMON_REALTIME, 0},
	};
	struct daemon_submission submission = soon;
	struct daemon_change change = {.has_deadline = true, .deadline = {DAEMON_BOOTTIME, 0}};
	struct timespec now;

	open_daemon(&usual);
	(void)clock_gettime(CLOCK_REALTIME, &now);
	submission.deadline.at_ns = ((uint64_t)now.tv_sec + 3600) * NSEC_PER_SEC;
	ck_assert_int_eq(submit(JOB_BUSY, &submission, 0), 1);
	run_for(2 * SLOT_NS);
	ck_assert_int_eq(info_of(1).outcome, OUTCOME_NONE);
	change.deadline.at_ns = 1;
	ck_assert_int_eq(daemon_change(service, 1, &change, ME, &fault), -ERANGE);
	ck_assert_int_eq(info_of(1).deadline.clock, DAEMON_REALTIME);
	(void)clock_gettime(CLOCK_BOOTTIME, &now);
	change.deadline.at_ns = (uint64_t)now.tv_sec * NSEC_PER_SEC + (uint64_t)now.tv_nsec +
		3 * SLOT_NS;
	ck_assert_int_eq(daemon_change(service, 1, &change, ME, &fault), 0);
	ck_assert_int_eq(info_of(1).outcome, OUTCOME_NONE);
	RUN_UNTIL(info_of(1).outcome != OUTCOME_NONE);
	ck_assert_int_eq(info_of(1).outcome, OUTCOME_MISSED_DEADLINE);
	ck_assert_int_eq(info_of(1).phase, PHASE_YIELDED);
}
END_TEST

START_TEST(a_change_may_come_later_than_the_deadline_was_seen)
{
	const struct daemon_change change = {.has_threads = true, .threads = 2};
	struct daemon_submission soon = {
		.has_target = true,
		.target = {.metric = "loss", .value = 0.1, .in_a_row = 1},
		.deadline = {DAEMON_BOOTTIME, 0},
	};
	struct timespec now;

	open_daemon(&usual);
	(void)clock_gettime(CLOCK_BOOTTIME, &now);
	soon.deadline.at_ns = (uint64_t)now.tv_sec * NSEC_PER_SEC + (uint64_t)now.tv_nsec +
		NSEC_PER_SEC;
	ck_assert_int_eq(submit(JOB_BUSY, &soon, 0), 1);
	sleep_ms(999);
	sleep_ms(10); /* no event loop sees it pass */
	ck_assert_int_eq(info_of(1).outcome, OUTCOME_NONE);
	ck_assert_int_eq(daemon_change(service, 1, &change, ME, &fault), 0);
	ck_assert_int_eq(info_of(1).outcome, OUTCOME_MISSED_DEADLINE);
}
END_TEST

/* The loop may be held up: what is reported between the deadline and the next look came too late. */
START_TEST(a_deadline_is_where_it_was_however_late_it_is_seen)
{
	struct daemon_submission soon = {
		.has_target = true,
		.target = {.metric = "loss", .value = 0.0101, .in_a_row = 1}, /* after 200 ms */
		.deadline = {DAEMON_BOOTTIME, 0},
	};
	struct timespec now;

	open_daemon(&usual);
	(void)clock_gettime(CLOCK_BOOTTIME, &now);
	soon.deadline.at_ns = (uint64_t)now.tv_sec * NSEC_PER_SEC + (uint64_t)now.tv_nsec +
		150 * NSEC_PER_MSEC;
	ck_assert_msg(submit(JOB_LEARN, &soon, 0) == 1, "%s", fault.text);
	sleep_ms(600);
	RUN_UNTIL(info_of(1).outcome != OUTCOME_NONE);
	ck_assert_int_eq(info_of(1).outcome, OUTCOME_MISSED_DEADLINE);
	RUN_UNTIL(info_of(1).value < 0.0101); /* it has met the target, too late */
	ck_assert_int_eq(info_of(1).outcome, OUTCOME_MISSED_DEADLINE);
}
END_TEST

START_TEST(a_target_can_be_moved_within_its_metric)
{
	const struct daemon_submission far = {
		.has_target = true,
		.target = {.metric = "loss", .value = 1e-9, .in_a_row = 1},
	};
	struct daemon_change change = {.has_target = true,
		.target = {.metric = "accuracy", .value = 0.9, .is_raised = true, .in_a_row = 1}};

	open_daemon(&usual);
	ck_assert_int_eq(submit(JOB_LEARN, &far, 0), 1);
	RUN_UNTIL(info_of(1).n_reports > 5);
	ck_assert_int_ne(info_of(1).prospect, PROSPECT_UNKNOWN);
	ck_assert_int_eq(daemon_change(service, 1, &change, ME, &fault), -EINVAL);
	ck_assert_str_eq(
		fault.text, "task train_me has to be judged by 'loss <=', as when it was started");
	ck_assert_int_eq(info_of(1).outcome, OUTCOME_NONE);
	change.target = (struct target){.metric = ""};
	ck_assert_int_eq(daemon_change(service, 1, &change, ME, &fault), 0);
	ck_assert(!info_of(1).has_target);
	change.target = (struct target){.metric = "loss", .value = 0.02, .in_a_row = 1};
	ck_assert_int_eq(daemon_change(service, 1, &change, ME, &fault), 0);
	RUN_UNTIL(info_of(1).outcome != OUTCOME_NONE);
	ck_assert_int_eq(info_of(1).outcome, OUTCOME_LEARNED);
	ck_assert_double_eq_tol(info_of(1).target.value, 0.02, 1e-12);
}
END_TEST

START_TEST(the_budget_can_be_changed)
{
	struct daemon_info info;

	open_daemon(&usual);
	ck_assert_int_eq(submit(JOB_BUSY, &plain, 0), 1);
	ck_assert_int_eq(submit(JOB_BUSY, &plain, 1), 2);
	ck_assert_int_eq(daemon_set_budget(service, 0.2, ME, &fault), 0);
	ck_assert_str_eq(last_whole.kind, "budget");
	ck_assert_str_eq(last_text, "budget 0.2 CPUs, before 0.5: user 4711 has asked for it");
	ck_assert_uint_eq(last_whole.sender, ME);
	ck_assert_double_eq_tol(last_whole.budget_cpus, 0.2, 1e-9);
	ck_assert_double_eq_tol(last_whole.old_budget_cpus, 0.5, 1e-9);
	last_whole = (struct daemon_event){.kind = ""};
	ck_assert_double_eq_tol(info_of(1).share_cpus + info_of(2).share_cpus, 0.2, 1e-6);
	daemon_info(service, &info);
	ck_assert_double_eq_tol(info.budget_cpus, 0.2, 1e-9);
	/* Less, where more than the budget has been used before. */
	ck_assert_double_le(info.granted_cpus, 0.2 + 1e-6);
	ck_assert_int_eq(daemon_set_budget(service, 2.5, ME, &fault), -ERANGE);
	ck_assert_int_eq(daemon_set_budget(service, 0, ME, &fault), -ERANGE);
	ck_assert_int_eq(daemon_set_budget(service, NAN, ME, &fault), -ERANGE);
	ck_assert_int_eq(daemon_set_budget(service, 1e-6, ME, &fault), -ERANGE);
	ck_assert_str_eq(fault.text, "a budget of 1e-06 CPUs is too small to be enforced");
	daemon_info(service, &info);
	ck_assert_double_eq_tol(info.budget_cpus, 0.2, 1e-9);
	/* What is refused, or no change, is no news. */
	ck_assert_int_eq(daemon_set_budget(service, 0.2, ME, &fault), 0);
	ck_assert_str_ne(last_whole.kind, "budget");
	ck_assert_int_eq(daemon_configure_budget(service, 0.3, DAEMON_NOBODY, &fault), 0);
	ck_assert_str_eq(last_text, "budget 0.3 CPUs, before 0.2: the configuration says so");
	ck_assert(!last_whole.has_sender);
}
END_TEST

/* A decision before its time says how much was used in the time that had passed. */
START_TEST(an_early_slot_tells_what_was_used)
{
	struct daemon_setup slow = usual;
	struct daemon_info info;
	uint64_t cpu_ns, from_ns;
	double used_cpus;

	slow.slot_ns = NSEC_PER_SEC;
	open_daemon(&slow);
	ck_assert_int_eq(submit(JOB_BUSY, &plain, 0), 1);
	RUN_UNTIL(n_slots >= 2);
	n_slots = 0;
	RUN_UNTIL(n_slots >= 1);
	from_ns = busy_clock_ns();
	cpu_ns = info_of(1).cpu_ns;
	run_for(400 * NSEC_PER_MSEC);
	n_slots = 0;
	ck_assert_int_eq(daemon_set_budget(service, 0.4, ME, &fault), 0);
	used_cpus = (double)(info_of(1).cpu_ns - cpu_ns) / (double)(busy_clock_ns() - from_ns);
	daemon_info(service, &info);
	ck_assert_double_gt(used_cpus, 0.1);
	ck_assert_double_eq_tol(info.used_cpus, used_cpus, 0.35 * used_cpus);
	/* At once again: too little time has passed to tell anything else. */
	used_cpus = info.used_cpus;
	ck_assert_int_eq(daemon_set_budget(service, 0.45, ME, &fault), 0);
	daemon_info(service, &info);
	ck_assert_double_eq_tol(info.used_cpus, used_cpus, 1e-9);
}
END_TEST

START_TEST(a_user_has_no_more_than_his_cap)
{
	const struct daemon_submission others = {.owner = 77};
	struct daemon_caps caps = {.cpus = 0.1, .n_tasks = 9};
	struct daemon_setup with = usual;

	with.caps_of = caps_of;
	with.userdata = &caps;
	open_daemon(&with);
	ck_assert_int_eq(submit(JOB_BUSY, &plain, 0), 1);
	ck_assert_int_eq(submit(JOB_BUSY, &plain, 1), 2);
	ck_assert_double_eq_tol(info_of(1).share_cpus + info_of(2).share_cpus, 0.1, 1e-6);
	ck_assert_int_eq(submit(JOB_BUSY, &others, 2), 3);
	ck_assert_double_eq_tol(info_of(1).share_cpus + info_of(2).share_cpus, 0.1, 1e-6);
	ck_assert_double_eq_tol(info_of(3).share_cpus, 0.4, 1e-6);
	caps.cpus = 0.2;
	daemon_refresh_caps(service);
	ck_assert_double_eq_tol(info_of(1).share_cpus + info_of(2).share_cpus, 0.2, 1e-6);
	/* The number of a user who has left is another's. */
	busy_end(&tasks[2]);
	RUN_UNTIL(n_ended == 1);
	ck_assert_int_eq(submit(JOB_BUSY, &(struct daemon_submission){.owner = 78}, 2), 4);
	ck_assert_double_eq_tol(info_of(4).share_cpus, 0.3, 1e-6);
}
END_TEST

START_TEST(the_policy_and_the_floor_can_be_changed)
{
	struct daemon_submission early = {
		.has_target = true, .target = {.metric = "loss", .value = 0.1, .in_a_row = 1}};
	struct daemon_setup with = usual;
	struct timespec now;

	with.policy = "equal";
	open_daemon(&with);
	(void)clock_gettime(CLOCK_REALTIME, &now);
	early.deadline.at_ns = ((uint64_t)now.tv_sec + 7200) * NSEC_PER_SEC;
	ck_assert_int_eq(submit(JOB_BUSY, &early, 0), 1);
	early.deadline.at_ns = ((uint64_t)now.tv_sec + 3600) * NSEC_PER_SEC;
	ck_assert_int_eq(submit(JOB_BUSY, &early, 1), 2);
	ck_assert_double_eq_tol(info_of(1).share_cpus, 0.25, 1e-6);
	ck_assert_int_eq(
		daemon_set_policy(service, "script", NULL, DAEMON_NOBODY, &fault), -EINVAL);
	ck_assert_int_eq(daemon_set_policy(service, "edf", NULL, ME, &fault), 0);
	ck_assert_str_eq(last_whole.kind, "policy");
	ck_assert_str_eq(last_whole.policy, "edf");
	ck_assert_str_eq(last_whole.old_policy, "equal");
	ck_assert_uint_eq(last_whole.sender, ME);
	ck_assert_double_eq_tol(info_of(1).share_cpus, 0, 1e-6);
	ck_assert_double_eq_tol(info_of(2).share_cpus, 0.5, 1e-6);
	daemon_set_floor(service, 0.05);
	ck_assert_double_eq_tol(info_of(1).share_cpus, 0.05, 1e-6);
	ck_assert_double_eq_tol(info_of(2).share_cpus, 0.45, 1e-6);
}
END_TEST

START_TEST(who_still_runs_at_the_end_is_let_go)
{
	struct daemon_info info;
	char run[64];

	open_daemon(&usual);
	ck_assert_int_eq(submit(JOB_BUSY, &plain, 0), 1);
	ck_assert_int_eq(daemon_pause(service, 1, true, ME, &fault), 0);
	run_for(2 * SLOT_NS);
	daemon_info(service, &info);
	(void)snprintf(run, sizeof(run), "%s", info.run);
	service = daemon_free(service);
	ck_assert_int_eq(kill(tasks[0].pid, 0), 0);
	/* It has been paused and runs again. */
	for (uint64_t until_ns = busy_clock_ns() + PATIENCE_NS;;) {
		char path[64];
		unsigned long long ran = 0;
		FILE *file;

		(void)snprintf(path, sizeof(path), "/proc/%d/schedstat", (int)tasks[0].pid);
		file = fopen(path, "re");
		ck_assert_ptr_nonnull(file);
		ck_assert_int_eq(fscanf(file, "%llu", &ran), 1);
		(void)fclose(file);
		if (ran > 20 * NSEC_PER_MSEC)
			break;
		ck_assert_uint_lt(busy_clock_ns(), until_ns);
		sleep_ms(1);
	}
	ck_assert_int_ge(cgroup_run_end(run, &fault), 0);
}
END_TEST

START_TEST(policies_for_bundles_are_refused)
{
	static const char *const names[] = {"fixed", "script", "oracle", "nobody"};
	struct daemon_setup with = usual;

	for (size_t i = 0; i < 4; i++) {
		with.event = loop;
		with.policy = names[i];
		ck_assert_int_eq(daemon_new(&service, &with, &fault), -EINVAL);
		ck_assert_ptr_nonnull(strstr(fault.text, names[i]));
	}
}
END_TEST

START_TEST(two_budgets_beyond_the_machine_are_refused)
{
	struct daemon_setup most = usual;
	char run[RUN_NAME_MAX];
	int fd;

	/* That of a bundle. */
	ck_assert_int_eq(run_name_make(run, &fault), 0);
	ck_assert_msg(neighbours_claim(run, 1.6, 2, &fd, &fault) == 0, "%s", fault.text);
	most.event = loop;
	ck_assert_int_eq(daemon_new(&service, &most, &fault), -EDQUOT);
	ck_assert_ptr_null(service);
	(void)close(fd);
	open_daemon(&usual);
	/* Its own claim does not stand in its way. */
	ck_assert_msg(daemon_set_budget(service, 1.9, ME, &fault) == 0, "%s", fault.text);
	ck_assert_int_eq(neighbours_claim(run, 1.6, 2, &fd, &fault), -EDQUOT);
	ck_assert_int_eq(daemon_set_budget(service, 0.1, ME, &fault), 0);
	ck_assert_int_eq(neighbours_claim(run, 1.6, 2, &fd, &fault), 0);
	/* What is refused leaves the claim that was there. */
	ck_assert_int_eq(daemon_set_budget(service, 1.9, ME, &fault), -EDQUOT);
	(void)close(fd);
	ck_assert_int_eq(neighbours_claim(run, 1.95, 2, &fd, &fault), -EDQUOT);
}
END_TEST

static Suite *make_suite(void)
{
	Suite *suite = suite_create("daemon");
	TCase *tcase = tcase_create("real");

	tcase_add_checked_fixture(tcase, setup, teardown);
	tcase_set_timeout(tcase, 60);
	suite_add_tcase(suite, tcase);
	tcase_add_test(tcase, a_task_comes_is_governed_and_goes);
	tcase_add_test(tcase, a_status_that_nobody_tells_is_not_told);
	tcase_add_test(tcase, without_a_task_nothing_wakes_up);
	tcase_add_test(tcase, whether_slots_are_made);
	tcase_add_test(tcase, what_was_not_taken_is_told_again);
	tcase_add_test(tcase, slots_that_take_long_are_not_all_there_is);
	tcase_add_test(tcase, slots_are_told_where_they_are_wanted);
	tcase_add_test(tcase, who_learns_is_not_killed_for_it);
	tcase_add_test(tcase, who_is_to_stop_at_its_target_is_asked_and_then_ended);
	tcase_add_test(tcase, what_cannot_be_taken_is_refused);
	tcase_add_test(tcase, a_process_is_of_one_task);
	tcase_add_test(tcase, names_are_made_and_told_apart);
	tcase_add_test(tcase, a_process_that_is_dead_is_not_taken);
	tcase_add_test(tcase, a_start_that_fails_says_why);
	tcase_add_test(tcase, who_cannot_make_it_is_at_risk);
	tcase_add_test(tcase, a_line_has_the_forecast_where_there_is_one);
	tcase_add_test(tcase, who_is_too_late_is_told_with_what_it_lacks);
	tcase_add_test(tcase, who_says_nothing_is_told_of);
	tcase_add_test(tcase, who_asked_is_told);
	tcase_add_test(tcase, a_share_is_told_before_what_it_came_to);
	tcase_add_test(tcase, nobody_learns_on_a_share_of_none);
	tcase_add_test(tcase, a_share_is_told_when_the_pause_is_over);
	tcase_add_test(tcase, a_share_that_is_left_out_comes_later);
	tcase_add_test(tcase, who_is_paused_stands_still);
	tcase_add_test(tcase, who_is_cancelled_twice_is_killed);
	tcase_add_test(tcase, what_forks_away_is_governed_on);
	tcase_add_test(tcase, a_deadline_can_be_moved_and_passes);
	tcase_add_test(tcase, a_change_may_come_later_than_the_deadline_was_seen);
	tcase_add_test(tcase, a_deadline_is_where_it_was_however_late_it_is_seen);
	tcase_add_test(tcase, a_target_can_be_moved_within_its_metric);
	tcase_add_test(tcase, the_budget_can_be_changed);
	tcase_add_test(tcase, an_early_slot_tells_what_was_used);
	tcase_add_test(tcase, a_user_has_no_more_than_his_cap);
	tcase_add_test(tcase, the_policy_and_the_floor_can_be_changed);
	tcase_add_test(tcase, who_still_runs_at_the_end_is_let_go);
	tcase_add_test(tcase, policies_for_bundles_are_refused);
	tcase_add_test(tcase, two_budgets_beyond_the_machine_are_refused);
	return suite;
}

int main(void)
{
	int r;

	setvbuf(stdout, NULL, _IOLBF, 0);
	last_run = mmap(
		NULL, sizeof(*last_run), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (last_run == MAP_FAILED)
		return EXIT_FAILURE;
	r = suite_run(make_suite());
	if ((*last_run)[0] && cgroup_run_end(*last_run, &fault) != 0)
		fprintf(stderr, "ended what a test had left behind\n");
	return r;
}
