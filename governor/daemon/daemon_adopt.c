// SPDX-License-Identifier: GPL-2.0-or-later
#include <assert.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/pidfd.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cleanup.h"
#include "daemon_internal.h"
#include "meter_cgroup.h"
#include "nsec.h"
#include "process.h"

/* The tasks of a daemon that has ended, or was killed, go on under this one: same groups, same clock, same
 * numbers. What they did meanwhile is not lost: the kernel has counted their CPU time, and their reports are in
 * their pages as far as the ring goes back.
 *
 * The pages come from systemd, which keeps descriptors for its services. Where there is none (a container, a
 * shell) they are found at the task's process, or at its launcher.
 *
 * Where the file is of another version there are the groups, and what runs in them.
 *
 * Nothing that is read from the file is trusted to be in its range: it may be of a program that went wrong. */

#define WORDS_MAX (LEDGER_ARGV_MAX / 2 + 1)
#define PAGE_LABEL "/memfd:coregov:"
#define STATUS_LATER_NS (4 * NSEC_PER_SEC)

/* ---- before there is an enforcer ---- */

static uint32_t last_seat(const struct daemon *daemon)
{
	uint32_t n = 0;

	for (uint32_t seat = 0; seat < ledger_n_seats(daemon->ledger); seat++) {
		struct ledger_task task;

		ledger_read(daemon->ledger, seat, &task);
		if (task.number > 0)
			n = seat + 1;
	}
	return n;
}

/* The budget that was set meanwhile holds, unless the configuration has another one now. */
static void take_budget(struct daemon *daemon, const struct ledger_whole *whole)
{
	double ours_cpus = daemon->setup.budget_cpus, theirs_cpus = whole->budget_cpus;
	char text[256];

	if (!(theirs_cpus > 0) || fabs(theirs_cpus - ours_cpus) < 1e-9)
		return;
	if (fabs(whole->configured_cpus - daemon->configured_cpus) > 1e-9 ||
		theirs_cpus > daemon->setup.capacity_cpus + 1e-9) {
		(void)snprintf(text, sizeof(text),
			"budget %.4g CPUs, before %.4g: the configuration says so", ours_cpus,
			theirs_cpus);
		daemon_tell_budget(daemon, theirs_cpus, DAEMON_NOBODY, text);
		return;
	}
	daemon->setup.budget_cpus = theirs_cpus;
	(void)snprintf(text, sizeof(text),
		"budget %.4g CPUs, and not %.4g as the configuration says: it was set before the "
		"governor was started again",
		theirs_cpus, ours_cpus);
	daemon_tell_budget(daemon, /* old_budget_cpus= */ 0, DAEMON_NOBODY, text);
}

static void take_whole(struct daemon *daemon)
{
	struct ledger_whole whole;

	ledger_read_whole(daemon->ledger, &whole);
	if (whole.last_number < UINT32_MAX) /* the paths on the bus have no room for more */
		daemon->members.last_number = whole.last_number;
	daemon->is_draining = whole.is_draining;
	if (daemon->is_draining)
		daemon_say(daemon, "draining", /* name= */ NULL,
			"draining, no new task is taken and those that run go on: so it was before "
			"the governor was started again");
	take_budget(daemon, &whole);
}

/* With its tasks in them the groups are those of the enforcer that made them. */
static void take_enforcer(struct daemon *daemon)
{
	struct daemon_setup *setup = &daemon->setup;

	if (setup->enforcer && strcmp(setup->enforcer, daemon->past.enforcer) != 0)
		daemon_say(daemon, "waits", /* name= */ NULL,
			"enforcer %s stays until the tasks that run have ended, and the governor "
			"is started again",
			daemon->past.enforcer);
	setup->enforcer = daemon->past.enforcer;
}

static bool is_enforcer(const char *name)
{
	for (const struct enforcer_ops *const *ops = enforcers; *ops; ops++)
		if (strcmp((*ops)->name, name) == 0)
			return true;
	return false;
}

/* Of another version there may be tasks; and there may be some that could not be written down. So the run is
 * the same also where none is known, and with it what has been claimed for it. */
static void take_past(struct daemon *daemon, enum ledger_past past)
{
	uint32_t n_seats = past == LEDGER_ALL ? last_seat(daemon) : 0;

	/* Nothing was before the machine was started. */
	if (daemon->past.epoch_ns > daemon->stage.epoch_ns || !is_enforcer(daemon->past.enforcer))
		return;
	daemon->has_past = true;
	take_whole(daemon);
	if (n_seats > 0 || past == LEDGER_HEAD)
		take_enforcer(daemon);
	if (n_seats > daemon->setup.n_tasks_max)
		daemon->setup.n_tasks_max = n_seats;
	(void)strcpy(daemon->run, daemon->past.run);
	daemon->stage.epoch_ns = daemon->past.epoch_ns;
}

int daemon_open_past(struct daemon *daemon, struct fault *fault)
{
	struct fault why = FAULT_INIT;
	enum ledger_past past;
	int r;

	daemon->stage.epoch_ns = daemon_clock_monotonic_ns();
	daemon->configured_cpus = daemon->setup.budget_cpus;
	r = run_name_make_of_service(daemon->run, fault);
	if (r < 0 || !daemon->setup.ledger_path)
		return r;
	r = ledger_open(&daemon->ledger, daemon->setup.ledger_path, &daemon->past, &past, &why);
	if (r == -EWOULDBLOCK) /* the tasks are that one's */
		return fault_set(fault, r, "%s", why.text);
	if (r < 0)
		daemon_say(daemon, "not-kept", /* name= */ NULL,
			"%s: after a restart the tasks that run will not be taken over", why.text);
	else if (past != LEDGER_NOTHING)
		take_past(daemon, past);
	return 0;
}

/* ---- one task ---- */

/* Of a boolean that was read as bytes. */
static bool is_boolean(const bool *value)
{
	return *(const unsigned char *)value <= 1;
}

static bool is_history(const struct history *history)
{
	if (history->n_points > HISTORY_MAX || history->n_points > history->n_reports)
		return false;
	for (uint32_t i = 0; i < history->n_points; i++)
		if (!isfinite(history->value[i]) ||
			(i > 0 && history->cpu_ns[i] <= history->cpu_ns[i - 1]))
			return false;
	return true;
}

static bool is_sound(const struct daemon *daemon, const struct ledger_task *task)
{
	const struct task_past *past = &task->past;

	return is_boolean(&task->has_target) && is_boolean(&task->target.is_raised) &&
		is_boolean(&past->is_paused) && is_boolean(&past->is_background) &&
		is_boolean(&task->page.first_met_done) &&
		is_boolean(&task->page.facts.speaks_page) &&
		is_boolean(&task->page.facts.is_relayed) && is_history(&past->history) &&
		past->begin_ns <= daemon_now_ns(daemon) && task->grace_ns <= DAEMON_GRACE_MAX_NS &&
		memchr(task->name, '\0', sizeof(task->name)) && task_name_is_valid(task->name) &&
		memchr(task->directory, '\0', sizeof(task->directory)) &&
		memchr(task->scope, '\0', sizeof(task->scope)) &&
		memchr(task->target.metric, '\0', sizeof(task->target.metric)) &&
		isfinite(task->target.value) && task->target.in_a_row >= 1 && task->pid > 0 &&
		task->threads >= 0 && task->threads <= SHARE_NUMBER_MAX &&
		(past->phase == PHASE_ALIVE || past->phase == PHASE_YIELDED ||
			past->phase == PHASE_STOPPING) &&
		(unsigned)past->outcome < _OUTCOME_MAX &&
		(past->phase != PHASE_ALIVE || past->outcome == OUTCOME_NONE) &&
		past->stop_step <= STOP_KILL && (unsigned)task->on_target <= AT_END_YIELD &&
		(unsigned)task->on_deadline <= AT_END_YIELD &&
		(unsigned)task->deadline.clock <= DAEMON_BOOTTIME;
}

static void unpack_words(
	const char packed[static LEDGER_ARGV_MAX], const char *ret_words[WORDS_MAX])
{
	const char *end = packed + LEDGER_ARGV_MAX, *word = packed;
	size_t n = 0;

	while (n + 1 < WORDS_MAX && word < end && *word &&
		memchr(word, '\0', (size_t)(end - word))) {
		ret_words[n++] = word;
		word += strlen(word) + 1;
	}
	ret_words[n] = NULL;
}

/* A pidfd of the task's process, or -ESRCH where it has ended. */
static int open_process(const struct ledger_task *task)
{
	_cleanup_close_ int pidfd = pidfd_open(task->pid, 0), fd = process_open(task->pid);
	struct process process;

	/* It is of the process that is looked at if that one is there afterwards. */
	if (pidfd < 0 || fd < 0 || task->start_ticks == 0 || process_read(fd, &process) < 0 ||
		process.has_ended || process.start_ticks != task->start_ticks ||
		pidfd_send_signal(pidfd, 0, NULL, 0) < 0)
		return -ESRCH;
	return TAKE_FD(pidfd);
}

/* A descriptor of another process is opened anew only if it is a memfd: everything else may do something when
 * it is opened. The name in front of it says nothing, the file system does; and it is held first, since the
 * process may put another in its place. */
static int open_memfd(int fds_dir, const char *name, dev_t memfds)
{
	_cleanup_close_ int held = -EBADF;
	char label[64], path[64];
	ssize_t length = readlinkat(fds_dir, name, label, sizeof(label) - 1);
	struct stat status;

	if (length < (ssize_t)strlen(PAGE_LABEL) ||
		strncmp(label, PAGE_LABEL, strlen(PAGE_LABEL)) != 0)
		return -ENOENT;
	held = openat(fds_dir, name, O_PATH | O_CLOEXEC);
	if (held < 0 || fstat(held, &status) < 0 || !S_ISREG(status.st_mode) ||
		status.st_dev != memfds)
		return -ENOENT;
	(void)snprintf(path, sizeof(path), "/proc/self/fd/%d", held);
	return open(path, O_RDWR | O_CLOEXEC | O_NOCTTY);
}

/* Has this process a descriptor of the page? */
static int find_at(pid_t pid, const struct ledger_task *task, dev_t memfds, struct page **ret_page)
{
	_cleanup_closedir_ DIR *fds = NULL;
	const struct dirent *entry;
	char path[64];

	(void)snprintf(path, sizeof(path), "/proc/%d/fd", (int)pid);
	fds = opendir(path);
	while (fds && (entry = readdir(fds))) {
		int fd = open_memfd(dirfd(fds), entry->d_name, memfds);

		if (fd >= 0 &&
			page_take_over(ret_page, fd, task->name, &task->target, &task->page,
				/* fault= */ NULL) == 0)
			return 0;
	}
	return -ENOENT;
}

static int find_page(const struct ledger_task *task, struct page **ret_page)
{
	_cleanup_close_ int one = memfd_create("coregov-probe", MFD_CLOEXEC);
	_cleanup_close_ int process_fd = process_open(task->pid);
	struct process process;
	struct stat status;

	if (one < 0 || fstat(one, &status) < 0 || process_fd < 0 ||
		process_read(process_fd, &process) < 0)
		return -ENOENT;
	if (find_at(task->pid, task, status.st_dev, ret_page) == 0)
		return 0;
	return process.parent > 1 ? find_at(process.parent, task, status.st_dev, ret_page)
				  : -ENOENT;
}

/* Without its page nothing more is heard of it. It gets one that nobody writes to. */
static int open_page(struct daemon *daemon, struct member *member, const struct ledger_task *task)
{
	int fd = daemon_kept_page(daemon, task->number), r = -ENOENT;
	uint64_t deadline_ns = daemon_deadline_ns(daemon, &member->deadline);

	if (fd >= 0)
		r = page_take_over(&member->page, fd, task->name, &task->target, &task->page,
			/* fault= */ NULL);
	if (r < 0 && member->pidfd >= 0)
		r = find_page(task, &member->page);
	if (r == 0)
		return 0;
	member->has_lost_page = member->has_target;
	return page_new(&member->page, member->name, &member->target,
		daemon->stage.epoch_ns + daemon_now_ns(daemon),
		deadline_ns == LOOP_NEVER_NS ? UINT64_MAX : daemon->stage.epoch_ns + deadline_ns,
		/* fault= */ NULL);
}

/* As if it were submitted now. */
static struct daemon_submission submission_of(const struct ledger_task *task)
{
	return (struct daemon_submission){
		.pidfd = -EBADF,
		.pid = task->pid,
		.owner = task->owner,
		.scope = task->scope[0] ? task->scope : NULL,
		.directory = task->directory,
		.has_target = task->has_target,
		.target = task->target,
		.deadline = task->deadline,
		.threads = task->threads,
		.on_target = task->on_target,
		.on_deadline = task->on_deadline,
		.grace_ns = task->grace_ns,
	};
}

static int make_member(
	struct daemon *daemon, const struct ledger_task *task, struct member **ret_member)
{
	struct daemon_submission submission = submission_of(task);
	_cleanup_close_ int pidfd = open_process(task);
	const char *words[WORDS_MAX];
	int r;

	unpack_words(task->argv, words);
	submission.argv = words;
	submission.pidfd = pidfd;
	r = member_new(ret_member, &submission, task->name, task->number);
	if (r < 0)
		return r;
	(*ret_member)->daemon = daemon;
	(*ret_member)->start_ticks = task->start_ticks;
	(*ret_member)->began_realtime_ns = task->began_realtime_ns;
	r = open_page(daemon, *ret_member, task);
	if (r == 0 && (*ret_member)->pidfd >= 0)
		r = daemon_watch(daemon, *ret_member, /* fault= */ NULL);
	return r;
}

/* What has been used in its group, also while nobody looked. */
static uint64_t used_so_far(struct daemon *daemon, const struct ledger_task *task, uint32_t id)
{
	const struct place *place = daemon->enforcer->ops->task_place(daemon->enforcer, id);
	uint64_t cpu_ns;

	if (cgroup_total(place, &cpu_ns) < 0 || cpu_ns < task->past.cpu_ns)
		return task->past.cpu_ns;
	return cpu_ns;
}

static void seat_member(
	struct daemon *daemon, struct member *member, uint32_t id, const struct ledger_task *task)
{
	const struct daemon_submission submission = submission_of(task);

	member->seat = id;
	/* What it was told holds: otherwise the next slot would take it back. */
	member->news.should_stop = task->past.phase == PHASE_STOPPING;
	daemon_plan_task(daemon, member, &submission, task->past.begin_ns);
	governor_seat_again(daemon->governor, id, daemon_now_ns(daemon), &task->past,
		used_so_far(daemon, task, id));
}

static int adopt(struct daemon *daemon, uint32_t id, const struct ledger_task *task)
{
	_cleanup_(cleanup_member_free) struct member *member = NULL;
	int r = members_reserve(&daemon->members);

	if (r == 0)
		r = make_member(daemon, task, &member);
	if (r < 0)
		return fault_errno(&daemon->stage.fault, r, "task %s", task->name);
	daemon->stage.seats[id] = member;
	r = stage_member_adopt(&daemon->stage, id);
	if (r < 0) {
		daemon->stage.seats[id] = NULL;
		return r;
	}
	members_add(&daemon->members, member);
	seat_member(daemon, member, id, task);
	daemon_keep_page(daemon, member);
	member->is_new = true;
	if (member->has_lost_page)
		daemon_tell_event(daemon, member, "page-lost",
			"its progress page could not be found: nothing more is heard of its "
			"progress");
	if (member->pidfd < 0) {
		daemon_process_exited(daemon, member);
		/* Its launcher has to notice first that there is a daemon again. */
		member->exited_ns += STATUS_LATER_NS;
	}
	(void)TAKE_PTR(member);
	return 0;
}

/* ---- all ---- */

/* Of which nothing is known but its group: it is governed as one without a target. Nor whose it was, so it is
 * nobody's but ours to change. */
static int make_up(
	struct daemon *daemon, const struct place_left *left, struct ledger_task *ret_task)
{
	_cleanup_close_ int fd = process_open(left->pid);
	struct process process;

	*ret_task = (struct ledger_task){
		.number = daemon->members.last_number + 1,
		.owner = geteuid(),
		.pid = left->pid,
		.target = {.metric = "loss", .value = NEVER_MET, .in_a_row = 1},
		.deadline = {.at_ns = DAEMON_NO_DEADLINE},
		.threads = DAEMON_THREADS_AUTO,
		.began_realtime_ns = daemon_clock_ns(DAEMON_REALTIME),
		.past = {.phase = PHASE_ALIVE,
			.is_background = true,
			.begin_ns = daemon_now_ns(daemon),
			.value = NAN,
			.best = NAN},
	};
	(void)snprintf(ret_task->name, sizeof(ret_task->name), "%s", left->name);
	(void)snprintf(ret_task->scope, sizeof(ret_task->scope), "%s", left->scope);
	if (fd < 0 || process_read(fd, &process) < 0)
		return -ESRCH;
	ret_task->start_ticks = process.start_ticks;
	return 0;
}

/* What a daemon of another version has left, or one whose file was damaged: it would run on beside us, with a
 * budget of its own. */
static void adopt_strangers(struct daemon *daemon)
{
	struct enforcer *enforcer = daemon->enforcer;
	struct place_left left = {.task = 0};

	for (uint32_t id = 0; enforcer->ops->place_left(enforcer, id, &left) == 1;
		id = left.task + 1) {
		struct ledger_task task;

		if (left.task < daemon->setup.n_tasks_max && daemon->stage.seats[left.task])
			continue;
		daemon->stage.fault = FAULT_INIT;
		if (left.task >= daemon->setup.n_tasks_max || make_up(daemon, &left, &task) < 0 ||
			adopt(daemon, left.task, &task) < 0)
			daemon_say(daemon, "not-adopted", left.name,
				"what runs in group '%" PRIu32 "-%s' is not taken over%s%s",
				left.task, left.name, daemon->stage.fault.text[0] ? ": " : "",
				daemon->stage.fault.text);
		else
			daemon_tell_event(daemon, daemon->stage.seats[left.task], "stranger",
				"nothing is known of it but its group: it is governed as one "
				"without a target");
	}
}

static void begin_ledger(struct daemon *daemon)
{
	struct ledger_head head = {.epoch_ns = daemon->stage.epoch_ns};
	struct fault fault = FAULT_INIT;

	(void)snprintf(head.run, sizeof(head.run), "%s", daemon->run);
	(void)snprintf(head.enforcer, sizeof(head.enforcer), "%s", daemon->enforcer->ops->name);
	/* One that is too long is not found again, and our own is looked at. */
	if (daemon->enforcer->home && strlen(daemon->enforcer->home) < sizeof(head.home))
		(void)strcpy(head.home, daemon->enforcer->home);
	if (ledger_begin(daemon->ledger, &head, &fault) == 0)
		return;
	daemon_say(daemon, "not-kept", /* name= */ NULL,
		"%s: after a restart the tasks that run will not be taken over", fault.text);
	daemon->ledger = ledger_free(daemon->ledger);
}

/* In the order of their numbers, which is that of their coming. */
static int by_number(const void *a, const void *b, void *data)
{
	const uint64_t *numbers = data;
	uint64_t one = numbers[*(const uint32_t *)a], other = numbers[*(const uint32_t *)b];

	return one < other ? -1 : one > other;
}

/* NULL where what stands there is none. */
static const char *name_of(const struct ledger_task *task)
{
	return memchr(task->name, '\0', sizeof(task->name)) && task_name_is_valid(task->name)
		? task->name
		: NULL;
}

static int take_seat(struct daemon *daemon, uint32_t id, const struct ledger_task *task)
{
	int r = -EINVAL;

	daemon->stage.fault = FAULT_INIT;
	if (is_sound(daemon, task))
		r = adopt(daemon, id, task);
	else
		(void)fault_set(&daemon->stage.fault, r,
			"what is known of seat %" PRIu32 " makes no sense", id);
	if (r < 0)
		daemon_say(daemon, "not-adopted", name_of(task), "not taken over: %s",
			daemon->stage.fault.text);
	return r;
}

static void adopt_all(struct daemon *daemon)
{
	uint32_t n_seats = ledger_n_seats(daemon->ledger);
	_cleanup_free_ uint64_t *numbers = calloc(n_seats, sizeof(*numbers));
	_cleanup_free_ uint32_t *order = calloc(n_seats, sizeof(*order));
	struct ledger_task task;

	for (uint32_t id = 0; numbers && order && id < n_seats; id++) {
		order[id] = id;
		ledger_read(daemon->ledger, id, &task);
		numbers[id] = task.number;
	}
	if (numbers && order)
		qsort_r(order, n_seats, sizeof(*order), by_number, numbers);
	for (uint32_t i = 0; numbers && order && i < n_seats; i++) {
		uint32_t id = order[i];

		ledger_read(daemon->ledger, id, &task);
		if (task.number == 0 || id >= daemon->setup.n_tasks_max)
			continue;
		if (take_seat(daemon, id, &task) < 0)
			daemon_keep_end(daemon, id, task.number);
		else
			daemon->stage.seats[id]->may_come_again = true;
	}
}

/* Those of the file, then those that are in the groups only. */
static void adopt_past(struct daemon *daemon)
{
	uint64_t last_number = daemon->members.last_number;

	adopt_all(daemon);
	if (last_number > daemon->members.last_number)
		daemon->members.last_number = last_number;
	if (daemon->members.n == 0)
		begin_ledger(daemon); /* also where it is not of our version */
	adopt_strangers(daemon);
	/* The run may have the budget of another configuration. */
	if (daemon->members.n == 0)
		(void)daemon->enforcer->ops->budget_set(
			daemon->enforcer, daemon->setup.budget_cpus, /* fault= */ NULL);
}

void daemon_adopt(struct daemon *daemon)
{
	/* A slice is found again without any file. */
	if (!daemon->ledger && !daemon->enforcer->wants_scopes)
		return;
	if (daemon->ledger && daemon->has_past) {
		adopt_past(daemon);
	} else {
		if (daemon->ledger)
			begin_ledger(daemon);
		if (daemon->enforcer->wants_scopes)
			adopt_strangers(daemon);
	}
	if (daemon->members.n > 0)
		daemon_wake(daemon);
	for (size_t i = 0; i < daemon->members.n; i++)
		daemon_keep(daemon, daemon->members.all[i]);
	daemon_keep_whole(daemon);
	daemon_tell_later(daemon);
}
