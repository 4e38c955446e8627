// SPDX-License-Identifier: GPL-2.0-or-later
#include "daemon.h"

#include <errno.h>
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "choose.h"
#include "cleanup.h"
#include "daemon_internal.h"
#include "descriptors.h"
#include "leftover.h"
#include "neighbours.h"
#include "nsec.h"
#include "process.h"

/* What is asked of the daemon. The slots are in daemon_slots.c. */

#define NOBODY_UID 65534

/* A task that has no target runs on what others leave. This one is only for its page: never met. */
static const struct target no_target = {
	.metric = "loss",
	.value = -1e300,
	.in_a_row = 1,
};

const char *prospect_to_string(enum prospect prospect)
{
	static const char *const words[] = {
		[PROSPECT_UNKNOWN] = "unknown",
		[PROSPECT_LIKELY] = "likely",
		[PROSPECT_UNLIKELY] = "unlikely",
	};

	return words[prospect];
}

/* ---- a task comes ---- */

static uint32_t vacant_seat(const struct daemon *daemon)
{
	uint32_t id = 0;

	while (id < daemon->setup.n_tasks_max && daemon->stage.seats[id])
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

static int check_deadline(const struct daemon_deadline *deadline, struct fault *fault)
{
	if (deadline->at_ns != DAEMON_NO_DEADLINE &&
		deadline->at_ns <= daemon_clock_ns(deadline->clock))
		return fault_set(fault, -ERANGE, "the deadline has passed already");
	return 0;
}

static int check_threads(double threads, struct fault *fault)
{
	if (!(threads > 0) || threads > SHARE_NUMBER_MAX)
		return fault_set(fault, -EINVAL, "%g threads: a number above 0 is needed", threads);
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

/* What the loop plans with. */
static void plan_task(
	struct daemon *daemon, struct member *member, const struct daemon_submission *submission)
{
	daemon->bundle.tasks[member->seat] = (struct bundle_task){
		.name = member->name,
		.argv = member->argv,
		.begin_ns = daemon_now_ns(daemon),
		.deadline_ns = daemon_deadline_ns(daemon, &member->deadline),
		.target = member->target,
		.party = party_join(daemon, member->owner),
		.is_background = !member->has_target,
		.threads = member->threads,
		.feed = FEED_SHM,
		.on_target = submission->on_target == AT_END_STOP ? AT_END_STOP : AT_END_YIELD,
		.on_deadline = submission->on_deadline == AT_END_STOP ? AT_END_STOP : AT_END_YIELD,
		.grace_ns = submission->grace_ns,
	};
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

static int prepare(struct daemon *daemon, struct member *member, struct fault *fault)
{
	uint64_t monotonic_ns = daemon->stage.epoch_ns + daemon_now_ns(daemon);
	uint64_t deadline_ns = daemon_deadline_ns(daemon, &member->deadline);
	int r;

	if (!member->has_target)
		member->target = no_target;
	r = page_new(&member->page, member->name, &member->target, monotonic_ns,
		deadline_ns == LOOP_NEVER_NS ? UINT64_MAX : daemon->stage.epoch_ns + deadline_ns,
		fault);
	if (r < 0)
		return r;
	r = sd_event_add_io(daemon->setup.event, &member->exit_source, member->pidfd, EPOLLIN,
		on_exit_of_process, member);
	if (r >= 0)
		r = sd_event_source_set_enabled(member->exit_source, SD_EVENT_ONESHOT);
	return r < 0 ? fault_errno(fault, r, "task %s: watch its process", member->name) : 0;
}

static int seat(struct daemon *daemon, struct member *member,
	const struct daemon_submission *submission, struct fault *fault)
{
	struct task_status status;
	uint32_t id = vacant_seat(daemon);

	daemon_wake(daemon);
	member->seat = id;
	daemon->stage.seats[id] = member;
	plan_task(daemon, member, submission);
	daemon->stage.fault = FAULT_INIT;
	governor_seat(daemon->governor, id, daemon_now_ns(daemon));
	governor_task_status(daemon->governor, id, &status);
	if (status.phase == PHASE_ENDED) {
		governor_vacate(daemon->governor, id);
		party_leave(daemon, daemon->bundle.tasks[id].party);
		daemon->stage.seats[id] = NULL;
		member->seat = MEMBER_NO_SEAT;
		return fault_set(fault, -ESRCH, "%s", daemon->stage.fault.text);
	}
	/* A decision that cannot be enforced is an event; less runs then. */
	(void)governor_give_on(daemon->governor, daemon_now_ns(daemon), /* fault= */ NULL);
	return 0;
}

int daemon_submit(struct daemon *daemon, const struct daemon_submission *submission,
	uint64_t *ret_number, int *ret_page_fd, uint64_t *ret_token, struct fault *fault)
{
	_cleanup_(cleanup_member_free) struct member *member = NULL;
	char name[TASK_NAME_MAX + 1];
	int r = check_room(daemon, submission, fault);

	if (r == 0)
		r = check_process(daemon, submission->pid, fault);
	if (r == 0)
		r = check_deadline(&submission->deadline, fault);
	if (r == 0)
		r = check_threads(submission->threads, fault);
	if (r == 0)
		r = choose_name(daemon, submission, name, fault);
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
		r = seat(daemon, member, submission, fault);
	if (r < 0)
		return r;
	members_add(&daemon->members, member);
	member->is_new = true;
	daemon_tell_later(daemon);
	*ret_number = member->number;
	*ret_page_fd = page_fd(member->page);
	*ret_token = page_token(member->page);
	(void)TAKE_PTR(member);
	return 0;
}

/* ---- and is changed ---- */

static int find_running(const struct daemon *daemon, uint64_t number, struct member **ret_member,
	struct fault *fault)
{
	struct member *member = members_find(&daemon->members, number);

	if (!member)
		return fault_set(fault, -ENOENT, "there is no task %" PRIu64, number);
	if (member->seat == MEMBER_NO_SEAT)
		return fault_set(fault, -EALREADY, "task %s has ended", member->name);
	*ret_member = member;
	return 0;
}

int daemon_ended(struct daemon *daemon, uint64_t number, int exit_status, struct fault *fault)
{
	struct member *member = NULL;
	int r = find_running(daemon, number, &member, fault);

	if (r < 0)
		return r;
	member->has_status = true;
	member->exit_status = exit_status;
	daemon_look_for_ends(daemon);
	return 0;
}

static int check_change(const struct daemon *daemon, const struct member *member,
	const struct daemon_change *change, struct fault *fault)
{
	struct task_status status;
	int r = 0;

	governor_task_status(daemon->governor, member->seat, &status);
	if (status.outcome != OUTCOME_NONE)
		return fault_set(fault, -EALREADY, "task %s has its outcome already: %s",
			member->name, outcome_to_string(status.outcome));
	if (change->has_deadline)
		r = check_deadline(&change->deadline, fault);
	if (r == 0 && change->has_threads)
		r = check_threads(change->threads, fault);
	/* The page tells the task whose reports count, once. */
	if (r == 0 && change->has_target && change->target.metric[0] &&
		(strcmp(change->target.metric, member->target.metric) != 0 ||
			change->target.is_raised != member->target.is_raised))
		r = fault_set(fault, -EINVAL,
			"task %s has to be judged by '%s %s', as when it was started", member->name,
			member->target.metric, member->target.is_raised ? ">=" : "<=");
	return r;
}

/* One that never is met stays in the page where there is none any more. */
static void change_target(struct daemon *daemon, struct member *member, const struct target *target)
{
	struct bundle_task *planned = &daemon->bundle.tasks[member->seat];
	uint64_t now_ns = daemon_now_ns(daemon);

	member->has_target = target->metric[0] != '\0';
	member->target.value = member->has_target ? target->value
		: member->target.is_raised        ? -no_target.value
						  : no_target.value;
	member->target.in_a_row = member->has_target ? target->in_a_row : 1;
	planned->target = member->target;
	planned->is_background = !member->has_target;
	page_retarget(member->page, member->target.value, member->target.in_a_row);
	if (member->has_target)
		governor_retarget(
			daemon->governor, member->seat, now_ns, /* is_other_metric= */ false);
	else
		governor_untarget(daemon->governor, member->seat, now_ns);
}

int daemon_change(struct daemon *daemon, uint64_t number, const struct daemon_change *change,
	struct fault *fault)
{
	struct bundle_task *planned;
	struct member *member = NULL;
	int r = find_running(daemon, number, &member, fault);

	if (r < 0)
		return r;
	r = check_change(daemon, member, change, fault);
	if (r < 0)
		return r;
	planned = &daemon->bundle.tasks[member->seat];
	if (change->has_deadline) {
		member->deadline = change->deadline;
		planned->deadline_ns = daemon_deadline_ns(daemon, &member->deadline);
	}
	if (change->has_threads)
		planned->threads = member->threads = change->threads;
	if (change->has_deadline || change->has_threads)
		governor_replan(daemon->governor, member->seat, daemon_now_ns(daemon));
	if (change->has_target)
		change_target(daemon, member, &change->target);
	daemon_after_change(daemon, member);
	return 0;
}

int daemon_cancel(struct daemon *daemon, uint64_t number, struct fault *fault)
{
	struct member *member = NULL;
	int r = find_running(daemon, number, &member, fault);

	if (r < 0)
		return r;
	governor_cancel_task(daemon->governor, member->seat, daemon_now_ns(daemon), STOP_ASK);
	daemon_after_change(daemon, member);
	return 0;
}

int daemon_pause(struct daemon *daemon, uint64_t number, bool is_paused, struct fault *fault)
{
	struct member *member = NULL;
	int r = find_running(daemon, number, &member, fault);

	if (r < 0)
		return r;
	governor_pause(daemon->governor, member->seat, daemon_now_ns(daemon), is_paused);
	daemon_after_change(daemon, member);
	return 0;
}

/* The claim that others see; the old one stays where the new one is refused. */
static int claim(struct daemon *daemon, double budget_cpus, struct fault *fault)
{
	int r;

	if (daemon->claim_fd >= 0)
		(void)close(TAKE_FD(daemon->claim_fd));
	r = neighbours_claim(
		daemon->run, budget_cpus, daemon->setup.capacity_cpus, &daemon->claim_fd, fault);
	if (r < 0 && daemon->governor)
		(void)neighbours_claim(daemon->run, daemon->setup.budget_cpus,
			daemon->setup.capacity_cpus, &daemon->claim_fd, /* fault= */ NULL);
	return r;
}

int daemon_set_budget(struct daemon *daemon, double budget_cpus, struct fault *fault)
{
	int r;

	if (!(budget_cpus > 0) || budget_cpus > daemon->setup.capacity_cpus + 1e-9)
		return fault_set(fault, -ERANGE,
			"a budget of %g CPUs: it has to be above 0, and at most the machine's %g",
			budget_cpus, daemon->setup.capacity_cpus);
	r = claim(daemon, budget_cpus, fault);
	if (r < 0)
		return r;
	daemon->setup.budget_cpus = budget_cpus;
	daemon->budget_step.share.number = budget_cpus;
	daemon_slot_now(daemon);
	return 0;
}

static const struct policy *usable_policy(const char *name, struct fault *fault)
{
	const struct policy *policy = policy_find(name);

	if (!policy) {
		(void)fault_set(fault, -EINVAL, "policy '%s' is not known", name);
		return NULL;
	}
	if (policy->needs_schedule || policy->has_reserve) {
		(void)fault_set(fault, -EINVAL,
			"policy '%s' has to know all tasks before they come: it is for bundles",
			name);
		return NULL;
	}
	return policy;
}

int daemon_set_policy(struct daemon *daemon, const char *name, struct fault *fault)
{
	const struct policy *policy = usable_policy(name, fault);
	int r;

	if (!policy)
		return -EINVAL;
	r = governor_set_policy(daemon->governor, policy, fault);
	if (r < 0)
		return r;
	daemon->setup.policy = policy->name;
	daemon_slot_now(daemon);
	return 0;
}

void daemon_set_floor(struct daemon *daemon, double floor_cpus)
{
	governor_set_floor(daemon->governor, floor_cpus);
	daemon_slot_now(daemon);
}

void daemon_drain(struct daemon *daemon, bool is_draining)
{
	daemon->is_draining = is_draining;
	daemon_tell_later(daemon);
}

/* ---- and is asked for ---- */

static enum prospect prospect_of(const struct member *member, const struct task_status *status)
{
	if (!member->has_target || status->n_reports == 0 || status->outcome != OUTCOME_NONE)
		return PROSPECT_UNKNOWN;
	if (status->why == WHY_CHOSEN)
		return PROSPECT_LIKELY;
	return status->why == WHY_WRITTEN_OFF ? PROSPECT_UNLIKELY : PROSPECT_UNKNOWN;
}

static void fill_info(
	const struct daemon *daemon, const struct member *member, struct daemon_task_info *ret_info)
{
	struct task_status status = member->last;

	if (member->seat != MEMBER_NO_SEAT)
		governor_task_status(daemon->governor, member->seat, &status);
	*ret_info = (struct daemon_task_info){
		.number = member->number,
		.name = member->name,
		.owner = member->owner,
		.pid = member->pid,
		.argv = (const char *const *)member->argv,
		.directory = member->directory,
		.has_target = member->has_target,
		.target = member->target,
		.deadline = member->deadline,
		.threads = member->threads,
		.phase = status.phase,
		.is_paused = status.is_paused,
		.outcome = status.outcome,
		.share_cpus = status.share_cpus,
		.cpu_ns = status.cpu_ns,
		.value = status.value,
		.n_reports = status.n_reports,
		.feed = member->seat != MEMBER_NO_SEAT ? status.feed : member->feed,
		.prospect = prospect_of(member, &status),
		.began_realtime_ns = member->began_realtime_ns,
		.finished_realtime_ns = member->finished_realtime_ns,
		.exit_status = member->has_status ? member->exit_status : -1,
	};
}

bool daemon_task(const struct daemon *daemon, uint64_t number, struct daemon_task_info *ret_info)
{
	const struct member *member = members_find(&daemon->members, number);

	if (member)
		fill_info(daemon, member, ret_info);
	return member != NULL;
}

bool daemon_next_task(
	const struct daemon *daemon, uint64_t after, struct daemon_task_info *ret_info)
{
	const struct member *member = members_next(&daemon->members, after);

	if (member)
		fill_info(daemon, member, ret_info);
	return member != NULL;
}

uint64_t daemon_find(const struct daemon *daemon, const char *name)
{
	const struct member *member = members_named(&daemon->members, name, /* is_running= */ true);

	if (!member)
		member = members_named(&daemon->members, name, /* is_running= */ false);
	return member ? member->number : 0;
}

void daemon_info(const struct daemon *daemon, struct daemon_info *ret_info)
{
	*ret_info = (struct daemon_info){
		.run = daemon->run,
		.policy = daemon->setup.policy,
		.enforcer = daemon->enforcer->ops->name,
		.meter = daemon->meter->ops->name,
		.guarantee = guarantee_to_string(daemon->enforcer->guarantee),
		.slot_ns = daemon->setup.slot_ns,
		.capacity_cpus = daemon->setup.capacity_cpus,
		.budget_cpus = daemon->setup.budget_cpus,
		.granted_cpus = daemon->granted_cpus,
		.used_cpus = daemon->used_cpus,
		.is_draining = daemon->is_draining,
	};
	for (size_t i = 0; i < daemon->members.n; i++) {
		struct daemon_task_info info;

		if (daemon->members.all[i]->seat == MEMBER_NO_SEAT)
			continue;
		fill_info(daemon, daemon->members.all[i], &info);
		ret_info->n_tasks++;
		ret_info->n_at_risk += info.prospect == PROSPECT_UNLIKELY;
	}
}

void daemon_listen(struct daemon *daemon, const struct daemon_listener *listener)
{
	daemon->listener = *listener;
}

/* ---- begin and end ---- */

static int set_up_machine(struct daemon *daemon, struct fault *fault)
{
	const struct enforcer_setup setup = {
		.run = daemon->run,
		.n_tasks_max = daemon->setup.n_tasks_max,
		.budget_cpus = daemon->setup.budget_cpus,
		.capacity_cpus = daemon->setup.capacity_cpus,
		.is_apart = true,
		/* Tasks of whoever may submit: of a root's governor, anybody's but root's. */
		.task_uid = geteuid() == 0 ? NOBODY_UID : geteuid(),
	};
	int r = choose_enforcer(
		&daemon->enforcer, &setup, daemon->setup.enforcer, daemon->setup.say, fault);

	if (r == 0)
		r = choose_meter(&daemon->meter, daemon->enforcer, setup.n_tasks_max,
			daemon->setup.meter, daemon->setup.say, fault);
	return r;
}

static int set_up_loop(struct daemon *daemon, struct fault *fault)
{
	const struct daemon_setup *setup = &daemon->setup;
	struct governor_setup governor_setup = {
		.bundle = &daemon->bundle,
		.is_open = true,
		.policy = policy_find(setup->policy),
		.floor_cpus = setup->floor_cpus,
		.enforcer = daemon->enforcer,
		.meter = daemon->meter,
		.stage = &daemon->stage.stage,
		.n_recorders = 1,
	};
	int r;

	daemon->recorders[0] = &daemon->recorder;
	governor_setup.recorders = daemon->recorders;
	daemon->budget_step = (struct timeline_step){.share = {.number = setup->budget_cpus}};
	daemon->capacity_step = (struct timeline_step){.share = {.number = setup->capacity_cpus}};
	daemon->bundle = (struct bundle){
		.slot_ns = setup->slot_ns,
		.budget = {.steps = &daemon->budget_step, .n_steps = 1},
		.capacity = {.steps = &daemon->capacity_step, .n_steps = 1},
		.tasks = calloc(setup->n_tasks_max, sizeof(struct bundle_task)),
		.n_tasks = setup->n_tasks_max,
	};
	stage_member_init(&daemon->stage);
	daemon->stage.enforcer = daemon->enforcer;
	daemon->stage.meter = daemon->meter;
	daemon->stage.seats = calloc(setup->n_tasks_max, sizeof(struct member *));
	daemon->parties = calloc(setup->n_tasks_max, sizeof(*daemon->parties));
	daemon->caps = calloc(setup->n_tasks_max, sizeof(*daemon->caps));
	if (!daemon->bundle.tasks || !daemon->stage.seats || !daemon->parties || !daemon->caps)
		return fault_errno(fault, -ENOMEM, "loop");
	for (uint32_t party = 0; party < setup->n_tasks_max; party++)
		daemon->caps[party] = INFINITY;
	r = governor_new(&daemon->governor, &governor_setup, fault);
	if (r == 0)
		governor_set_caps(daemon->governor, daemon->caps, setup->n_tasks_max);
	return r;
}

int daemon_new(struct daemon **ret_daemon, const struct daemon_setup *setup, struct fault *fault)
{
	struct daemon *daemon = calloc(1, sizeof(*daemon));
	int r;

	if (!daemon)
		return fault_errno(fault, -ENOMEM, "daemon");
	daemon->setup = *setup;
	daemon->claim_fd = -EBADF;
	daemon->stage.epoch_ns = daemon_clock_monotonic_ns();
	if (!usable_policy(setup->policy, fault))
		r = -EINVAL;
	else
		r = run_name_make_of_service(daemon->run, fault);
	/* What cannot be cleared is of another user, or will be next time. */
	(void)leftover_clear(/* fault= */ NULL);
	if (r == 0)
		r = claim(daemon, setup->budget_cpus, fault);
	if (r == 0) {
		descriptors_raise();
		r = set_up_machine(daemon, fault);
	}
	if (r == 0)
		r = set_up_loop(daemon, fault);
	if (r == 0)
		r = daemon_set_up_slots(daemon, fault);
	if (r < 0) {
		(void)daemon_free(daemon);
		return r;
	}
	*ret_daemon = daemon;
	return 0;
}

struct daemon *daemon_free(struct daemon *daemon)
{
	if (!daemon)
		return NULL;
	for (size_t i = 0; i < daemon->members.n; i++) {
		struct member *member = daemon->members.all[i];

		if (member->is_metered)
			daemon->meter->ops->task_remove(daemon->meter, member->seat);
		if (member->is_placed)
			(void)daemon->enforcer->ops->task_let_go(
				daemon->enforcer, member->seat, /* fault= */ NULL);
	}
	daemon_take_down_slots(daemon);
	daemon->governor = governor_free(daemon->governor);
	for (size_t i = 0; i < daemon->members.n; i++)
		(void)member_free(daemon->members.all[i]);
	free(daemon->members.all);
	if (daemon->meter)
		daemon->meter = daemon->meter->ops->close(daemon->meter);
	if (daemon->enforcer)
		daemon->enforcer = daemon->enforcer->ops->close(daemon->enforcer);
	if (daemon->claim_fd >= 0)
		(void)close(daemon->claim_fd);
	free(daemon->bundle.tasks);
	free(daemon->stage.seats);
	free(daemon->parties);
	free(daemon->caps);
	free(daemon);
	return NULL;
}
