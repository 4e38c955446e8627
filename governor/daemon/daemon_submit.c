// SPDX-License-Identifier: GPL-2.0-or-later
#include <errno.h>
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "cleanup.h"
#include "daemon_internal.h"
#include "nsec.h"
#include "process.h"

/* A task comes: is it to be taken, under which name, and into which seat. */

/* Where something would not die the enforcer still has the place: it is tried again, and no other task gets
 * that seat before. */
static bool is_free(struct daemon *daemon, uint32_t id)
{
	if (daemon->stage.seats[id])
		return false;
	if (daemon->stage.is_held[id])
		daemon->stage.is_held[id] = daemon->enforcer->ops->task_remove(
						    daemon->enforcer, id, /* fault= */ NULL) < 0;
	return !daemon->stage.is_held[id];
}

/* n_tasks_max where there is none. */
static uint32_t vacant_seat(struct daemon *daemon)
{
	uint32_t id = 0;

	while (id < daemon->setup.n_tasks_max && !is_free(daemon, id))
		id++;
	return id;
}

static uint32_t n_running(const struct daemon *daemon)
{
	uint32_t n = 0;

	for (uint32_t id = 0; id < daemon->setup.n_tasks_max; id++)
		n += daemon->stage.seats[id] != NULL;
	return n;
}

static int check_room(const struct daemon *daemon, const struct daemon_submission *submission,
	struct fault *fault)
{
	uint32_t most;

	if (daemon->is_draining)
		return fault_set(fault, -ESHUTDOWN,
			"the governor is being drained and takes no new task; `coregov drain "
			"--off` "
			"ends that");
	if (n_running(daemon) >= daemon->setup.n_tasks_max)
		return fault_set(fault, -EDQUOT,
			"%" PRIu32 " tasks run already, and there may be no more (tasks-max)",
			daemon->setup.n_tasks_max);
	most = party_caps(daemon, submission->owner).n_tasks;
	if (party_n_tasks(daemon, submission->owner) >= most)
		return fault_set(fault, -EDQUOT,
			"%" PRIu32 " tasks of yours run already, and there may be no more "
			"(per-user-tasks)",
			party_n_tasks(daemon, submission->owner));
	return 0;
}

/* It would leave its place for another: what ends the first task would not reach it any more, nor would the
 * first task end before it does. */
static int check_process(const struct daemon *daemon, pid_t pid, struct fault *fault)
{
	for (uint32_t id = 0; id < daemon->setup.n_tasks_max; id++) {
		const struct member *member = daemon->stage.seats[id];

		if (member && !member->has_exited && member->pid == pid)
			return fault_set(fault, -EINVAL, "process %d is that of task %s already",
				(int)pid, member->name);
	}
	return 0;
}

int daemon_check_deadline(const struct daemon_deadline *deadline, struct fault *fault)
{
	if (deadline->at_ns != DAEMON_NO_DEADLINE &&
		deadline->at_ns <= daemon_clock_ns(deadline->clock))
		return fault_set(fault, -ERANGE, "the deadline has passed already");
	return 0;
}

int daemon_check_threads(double threads, struct fault *fault)
{
	if (!(threads >= 0) || threads > SHARE_NUMBER_MAX)
		return fault_set(fault, -EINVAL,
			"%g threads: a number above 0 is needed, or 0 for auto", threads);
	return 0;
}

double daemon_threads_cpus(const struct daemon *daemon, double threads)
{
	return threads > 0 ? threads : daemon->setup.capacity_cpus;
}

static int check_grace(uint64_t grace_ns, struct fault *fault)
{
	if (grace_ns > DAEMON_GRACE_MAX_NS)
		return fault_set(fault, -EINVAL, "a grace of more than a day: say less");
	return 0;
}

static int choose_name(const struct daemon *daemon, const struct daemon_submission *submission,
	char ret_name[static TASK_NAME_MAX + 1], struct fault *fault)
{
	char stem[TASK_NAME_MAX + 1];

	if (submission->name) {
		if (!task_name_is_valid(submission->name))
			return fault_set(fault, -EINVAL,
				"'%s' cannot be a task's name: 1 to 64 of A-Z a-z 0-9 . _ - are "
				"allowed",
				submission->name);
		if (members_named(&daemon->members, submission->name, /* is_running= */ true))
			return fault_set(fault, -EEXIST,
				"a task '%s' runs already; choose another name with --name",
				submission->name);
		(void)snprintf(ret_name, TASK_NAME_MAX + 1, "%s", submission->name);
		return 0;
	}
	member_name_from(submission->argv, stem);
	(void)snprintf(ret_name, TASK_NAME_MAX + 1, "%s", stem);
	for (unsigned i = 2; members_named(&daemon->members, ret_name, /* is_running= */ true); i++)
		(void)snprintf(ret_name, TASK_NAME_MAX + 1, "%.*s-%u", TASK_NAME_MAX - 12, stem, i);
	return 0;
}

void daemon_plan_task(struct daemon *daemon, struct member *member,
	const struct daemon_submission *submission, uint64_t begin_ns)
{
	daemon->bundle.tasks[member->seat] = (struct bundle_task){
		.name = member->name,
		.argv = member->argv,
		.begin_ns = begin_ns,
		.target = member->target,
		.party = party_join(daemon, member->owner),
		.is_background = !member->has_target,
		.threads = daemon_threads_cpus(daemon, member->threads),
		.finds_threads = !(member->threads > 0),
		.feed = FEED_SHM,
		.on_target = submission->on_target,
		.on_deadline = submission->on_deadline,
		.grace_ns = submission->grace_ns,
	};
	daemon_plan_deadline(daemon, member->seat);
}

static int on_exit_of_process(sd_event_source *source, int fd, uint32_t events, void *userdata)
{
	struct member *member = userdata;

	(void)source;
	(void)fd;
	(void)events;
	daemon_process_exited(member->daemon, member);
	return 0;
}

int daemon_watch(struct daemon *daemon, struct member *member, struct fault *fault)
{
	int r = sd_event_add_io(daemon->setup.event, &member->exit_source, member->pidfd, EPOLLIN,
		on_exit_of_process, member);

	if (r >= 0)
		r = sd_event_source_set_enabled(member->exit_source, SD_EVENT_ONESHOT);
	return r < 0 ? fault_errno(fault, r, "task %s: watch its process", member->name) : 0;
}

/* Of the process that the pidfd is of: it is looked at again before the task begins. */
static void read_start(struct member *member)
{
	_cleanup_close_ int fd = process_open(member->pid);
	struct process process;

	if (fd >= 0 && process_read(fd, &process) == 0)
		member->start_ticks = process.start_ticks;
}

static int prepare(struct daemon *daemon, struct member *member, struct fault *fault)
{
	uint64_t monotonic_ns = daemon->stage.epoch_ns + daemon_now_ns(daemon);
	uint64_t deadline_ns = daemon_deadline_ns(daemon, &member->deadline);
	int r;

	if (!member->has_target)
		member->target = (struct target){
			.metric = "loss", .value = NEVER_MET, .in_a_row = 1};
	r = page_new(&member->page, member->name, &member->target, monotonic_ns,
		deadline_ns == LOOP_NEVER_NS ? UINT64_MAX : daemon->stage.epoch_ns + deadline_ns,
		fault);
	if (r < 0)
		return r;
	read_start(member);
	return daemon_watch(daemon, member, fault);
}

/* What has another meaning for whoever submits (daemon.h) was none of theirs here. */
static int error_of_start(int error)
{
	static const int of_theirs[] = {
		EACCES, EALREADY, EDQUOT, EEXIST, EINVAL, ENOENT, EPERM, ERANGE, ESHUTDOWN};

	for (size_t i = 0; i < ARRAY_LENGTH(of_theirs); i++)
		if (error == -of_theirs[i])
			return -EIO;
	return error;
}

static int seat(struct daemon *daemon, struct member *member,
	const struct daemon_submission *submission, struct fault *fault)
{
	struct task_status status;
	uint32_t id = vacant_seat(daemon);

	if (id == daemon->setup.n_tasks_max)
		return fault_set(fault, -EDQUOT,
			"there is no place: what was killed in it has not ended yet");
	daemon_wake(daemon);
	member->seat = id;
	daemon->stage.seats[id] = member;
	daemon_plan_task(daemon, member, submission, daemon_now_ns(daemon));
	daemon->stage.fault = FAULT_INIT;
	daemon->asker = member->owner;
	governor_seat(daemon->governor, id, daemon_now_ns(daemon));
	daemon->asker = DAEMON_NOBODY;
	governor_task_status(daemon->governor, id, &status);
	if (status.phase == PHASE_ENDED) {
		governor_vacate(daemon->governor, id);
		party_leave(daemon, daemon->bundle.tasks[id].party);
		daemon->stage.seats[id] = NULL;
		member->seat = MEMBER_NO_SEAT;
		return fault_set(
			fault, error_of_start(daemon->stage.error), "%s", daemon->stage.fault.text);
	}
	daemon_decide_soon(daemon);
	return 0;
}

int daemon_check(const struct daemon *daemon, const struct daemon_submission *submission,
	char ret_name[static TASK_NAME_MAX + 1], struct fault *fault)
{
	int r = check_room(daemon, submission, fault);

	if (r == 0)
		r = check_process(daemon, submission->pid, fault);
	if (r == 0)
		r = daemon_check_deadline(&submission->deadline, fault);
	if (r == 0)
		r = daemon_check_threads(submission->threads, fault);
	if (r == 0)
		r = check_grace(submission->grace_ns, fault);
	return r < 0 ? r : choose_name(daemon, submission, ret_name, fault);
}

void daemon_confine(const struct daemon *daemon, const char *scope, uid_t sender, const char *why)
{
	char text[FAULT_TEXT_MAX];
	struct daemon_event event = {
		.kind = "confined", .text = text, .has_sender = true, .sender = sender};
	int r = -EOPNOTSUPP;

	if (daemon->enforcer->ops->scope_confine)
		r = daemon->enforcer->ops->scope_confine(daemon->enforcer, scope);
	(void)snprintf(text, sizeof(text), "what is in %s is no task (%s), and %s", scope, why,
		r < 0 ? "could not be limited: it has all that the slice has"
		      : "has next to nothing until it ends");
	(void)daemon_tell_whole(daemon, &event);
}

bool daemon_wants_scopes(const struct daemon *daemon)
{
	return daemon->enforcer->wants_scopes;
}

int daemon_submit(struct daemon *daemon, const struct daemon_submission *submission,
	uint64_t *ret_number, int *ret_page_fd, uint64_t *ret_token, struct fault *fault)
{
	_cleanup_(cleanup_member_free) struct member *member = NULL;
	char name[TASK_NAME_MAX + 1];
	int r = daemon_check(daemon, submission, name, fault);

	if (r < 0)
		return r;
	r = member_new(&member, submission, name, daemon->members.last_number + 1);
	if (r == 0)
		r = members_reserve(&daemon->members);
	if (r < 0)
		return fault_errno(fault, r, "task %s", name);
	member->daemon = daemon;
	member->began_realtime_ns = daemon_clock_ns(DAEMON_REALTIME);
	r = prepare(daemon, member, fault);
	if (r == 0)
		daemon_look_back(daemon, member);
	if (r == 0)
		r = seat(daemon, member, submission, fault);
	if (r < 0)
		return r;
	members_add(&daemon->members, member);
	daemon_keep_whole(daemon);
	daemon_keep_page(daemon, member);
	daemon_keep(daemon, member);
	member->is_new = true;
	daemon_tell_later(daemon);
	*ret_number = member->number;
	*ret_page_fd = page_fd(member->page);
	*ret_token = page_token(member->page);
	(void)TAKE_PTR(member);
	return 0;
}

bool daemon_take_again(struct daemon *daemon, const struct daemon_submission *submission,
	uint64_t *ret_number, int *ret_page_fd, uint64_t *ret_token)
{
	for (uint32_t id = 0; id < daemon->setup.n_tasks_max; id++) {
		struct member *member = daemon->stage.seats[id];

		if (!member || !member->may_come_again || member->has_exited ||
			member->pid != submission->pid || member->owner != submission->owner)
			continue;
		member->may_come_again = false;
		*ret_number = member->number;
		*ret_page_fd = page_fd(member->page);
		*ret_token = page_token(member->page);
		return true;
	}
	return false;
}
