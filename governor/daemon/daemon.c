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
#include "quota.h"
#include "service_claim.h"

/* What is asked of the daemon, but for a submission (daemon_submit.c). The slots are in daemon_slots.c. */

#define NOBODY_UID 65534
#define CLAIM_FD_NAME "claim"

/* ---- a task is changed ---- */

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
	daemon_look_soon(daemon);
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
		r = daemon_check_deadline(&change->deadline, fault);
	if (r == 0 && change->has_threads)
		r = daemon_check_threads(change->threads, fault);
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
	member->target.value = target->value;
	if (!member->has_target)
		member->target.value = member->target.is_raised ? -NEVER_MET : NEVER_MET;
	member->target.in_a_row = member->has_target ? target->in_a_row : 1;
	planned->target = member->target;
	planned->is_background = !member->has_target;
	page_retarget(member->page, member->target.value, member->target.in_a_row);
	member->forecast_reports = 0;
	if (member->has_target)
		governor_retarget(
			daemon->governor, member->seat, now_ns, /* is_other_metric= */ false);
	else
		governor_untarget(daemon->governor, member->seat, now_ns);
	daemon_look_back(daemon, member);
}

int daemon_change(struct daemon *daemon, uint64_t number, const struct daemon_change *change,
	uid_t sender, struct fault *fault)
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
	daemon->asker = sender;
	/* By the forecast that it has come about by. */
	daemon_tell_share(daemon, member, "set");
	if (change->has_deadline) {
		member->deadline = change->deadline;
		daemon_plan_deadline(daemon, member->seat);
	}
	if (change->has_threads) {
		member->threads = change->threads;
		planned->threads = daemon_threads_cpus(daemon, change->threads);
		planned->finds_threads = !(change->threads > 0);
	}
	if (change->has_deadline || change->has_threads)
		governor_replan(daemon->governor, member->seat, daemon_now_ns(daemon));
	if (change->has_target)
		change_target(daemon, member, &change->target);
	daemon->asker = DAEMON_NOBODY;
	member->forecast_reports = 0;
	daemon_after_change(daemon, member);
	return 0;
}

int daemon_cancel(struct daemon *daemon, uint64_t number, uid_t sender, struct fault *fault)
{
	struct member *member = NULL;
	int r = find_running(daemon, number, &member, fault);
	struct task_status status;

	if (r < 0)
		return r;
	governor_task_status(daemon->governor, member->seat, &status);
	daemon->asker = sender;
	governor_cancel_task(daemon->governor, member->seat, daemon_now_ns(daemon),
		status.phase == PHASE_STOPPING ? STOP_KILL : STOP_ASK);
	daemon->asker = DAEMON_NOBODY;
	daemon_after_change(daemon, member);
	return 0;
}

int daemon_pause(
	struct daemon *daemon, uint64_t number, bool is_paused, uid_t sender, struct fault *fault)
{
	struct member *member = NULL;
	int r = find_running(daemon, number, &member, fault);

	if (r < 0)
		return r;
	daemon->asker = sender;
	governor_pause(daemon->governor, member->seat, daemon_now_ns(daemon), is_paused);
	daemon->asker = DAEMON_NOBODY;
	daemon_after_change(daemon, member);
	return 0;
}

static int claim_as_service(struct daemon *daemon, double budget_cpus, struct fault *fault)
{
	if (daemon->claim_fd < 0) {
		int fd = service_claim_open(fault);

		if (fd < 0)
			return fd;
		daemon->claim_fd = fd;
		/* Its lock goes on as long as somebody has this descriptor: the budget is in force meanwhile. */
		if (daemon->setup.keep_fd)
			daemon->setup.keep_fd(daemon->setup.userdata, CLAIM_FD_NAME, fd);
	}
	return neighbours_claim_as_service(
		daemon->claim_fd, daemon->run, budget_cpus, daemon->setup.capacity_cpus, fault);
}

/* The claim that others see; the old one stays where the new one is refused. */
static int claim(struct daemon *daemon, double budget_cpus, struct fault *fault)
{
	int fd, r;

	if (daemon->setup.is_machines)
		return claim_as_service(daemon, budget_cpus, fault);
	r = neighbours_claim(daemon->run, budget_cpus, daemon->setup.capacity_cpus, &fd, fault);
	/* By the socket of the daemon before, which is ours now. */
	if (r == -EADDRINUSE && neighbours_is_claim(daemon->claim_fd, daemon->run, budget_cpus))
		return 0;
	if (r < 0)
		return r;
	if (daemon->claim_fd >= 0)
		(void)close(daemon->claim_fd);
	daemon->claim_fd = fd;
	if (daemon->setup.keep_fd) {
		daemon->setup.drop_fd(daemon->setup.userdata, CLAIM_FD_NAME);
		daemon->setup.keep_fd(daemon->setup.userdata, CLAIM_FD_NAME, fd);
	}
	return 0;
}

/* One of another run would stand beside ours. */
static void take_claim(struct daemon *daemon)
{
	const struct daemon_setup *setup = &daemon->setup;

	daemon->claim_fd = setup->take_fd(setup->userdata, CLAIM_FD_NAME);
	if (daemon->claim_fd < 0 || daemon->has_past)
		return;
	setup->drop_fd(setup->userdata, CLAIM_FD_NAME);
	cleanup_close(&daemon->claim_fd);
	daemon->claim_fd = -EBADF;
}

/* Who wanted it, at the end of a sentence. */
static const char *on_whose_behalf(uid_t sender, const char *otherwise, char ret_text[static 64])
{
	if (sender == DAEMON_NOBODY)
		(void)snprintf(ret_text, 64, "%s", otherwise);
	else
		(void)snprintf(ret_text, 64, "user %u has asked for it", (unsigned)sender);
	return ret_text;
}

static int change_budget(struct daemon *daemon, double budget_cpus, uid_t sender, const char *why,
	struct fault *fault)
{
	double old_cpus = daemon->setup.budget_cpus;
	struct quota quota;
	char text[256];
	int r;

	if (!(budget_cpus > 0) || budget_cpus > daemon->setup.capacity_cpus + 1e-9)
		return fault_set(fault, -ERANGE,
			"a budget of %g CPUs: it has to be above 0, and at most the machine's %g",
			budget_cpus, daemon->setup.capacity_cpus);
	if (quota_of_budget(budget_cpus, &quota) < 0)
		return fault_set(fault, -ERANGE, "a budget of %g CPUs is too small to be enforced",
			budget_cpus);
	/* What somebody else has made of it meanwhile is mended. */
	if (fabs(budget_cpus - old_cpus) < 1e-9)
		return daemon->enforcer->ops->budget_set(daemon->enforcer, budget_cpus, fault);
	r = claim(daemon, budget_cpus, fault);
	if (r < 0)
		return r;
	daemon->setup.budget_cpus = budget_cpus;
	daemon->budget_step.share.number = budget_cpus;
	(void)snprintf(text, sizeof(text), "budget %.4g CPUs, before %.4g: %s", budget_cpus,
		old_cpus, why);
	daemon_tell_budget(daemon, old_cpus, sender, text);
	daemon_keep_whole(daemon);
	daemon_slot_now(daemon);
	daemon_tell_whole_later(daemon);
	return 0;
}

int daemon_set_budget(struct daemon *daemon, double budget_cpus, uid_t sender, struct fault *fault)
{
	char why[64];

	return change_budget(daemon, budget_cpus, sender,
		on_whose_behalf(sender, "it was asked for", why), fault);
}

int daemon_configure_budget(
	struct daemon *daemon, double budget_cpus, uid_t sender, struct fault *fault)
{
	bool is_as_before = fabs(budget_cpus - daemon->setup.budget_cpus) < 1e-9;
	struct fault small = FAULT_INIT;
	int r = change_budget(daemon, budget_cpus, sender, "the configuration says so",
		is_as_before ? &small : fault);

	/* Of that nothing is asked; the rest of a configuration does not depend on it. */
	if (r < 0 && is_as_before) {
		daemon_say(daemon, "enforce", /* name= */ NULL, "%s", small.text);
		r = 0;
	}
	if (r < 0)
		return r;
	daemon->configured_cpus = budget_cpus;
	daemon_keep_whole(daemon);
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
	if (policy->needs_future) {
		(void)fault_set(fault, -EINVAL,
			"policy '%s' has to know what each task needs: it is for simulations",
			name);
		return NULL;
	}
	return policy;
}

int daemon_set_policy(struct daemon *daemon, const char *name, const double parameters[],
	uid_t sender, struct fault *fault)
{
	const struct policy *policy = usable_policy(name, fault);
	char text[128];
	struct daemon_event event = {
		.kind = "policy",
		.text = text,
		.has_sender = sender != DAEMON_NOBODY,
		.sender = sender,
		.old_policy = daemon->setup.policy,
	};
	int r;

	if (!policy)
		return -EINVAL;
	if (strcmp(policy->name, event.old_policy) == 0 &&
		policy_parameters_are_same(policy, parameters, daemon->parameters))
		return 0;
	r = governor_set_policy(daemon->governor, policy, parameters, fault);
	if (r < 0)
		return r;
	daemon->setup.policy = event.policy = policy->name;
	policy_parameter_values(policy, parameters, daemon->parameters);
	if (strcmp(policy->name, event.old_policy) == 0)
		(void)snprintf(text, sizeof(text),
			"policy %s, with other parameters than before: the configuration says so",
			policy->name);
	else
		(void)snprintf(text, sizeof(text),
			"policy %s, before %s: the configuration says so", policy->name,
			event.old_policy);
	(void)daemon_tell_whole(daemon, &event);
	daemon_slot_now(daemon);
	daemon_tell_whole_later(daemon);
	return 0;
}

void daemon_set_floor(struct daemon *daemon, double floor_cpus)
{
	governor_set_floor(daemon->governor, floor_cpus);
	daemon_slot_now(daemon);
}

void daemon_refresh_caps(struct daemon *daemon)
{
	parties_refresh(daemon);
	daemon_slot_now(daemon);
}

void daemon_drain(struct daemon *daemon, bool is_draining, uid_t sender)
{
	char why[64], text[256];
	const struct daemon_event event = {
		.kind = is_draining ? "draining" : "accepting",
		.text = text,
		.has_sender = sender != DAEMON_NOBODY,
		.sender = sender,
	};

	if (is_draining == daemon->is_draining)
		return;
	(void)snprintf(text, sizeof(text), "%s: %s",
		is_draining ? "draining, no new task is taken and those that run go on"
			    : "accepting, new tasks are taken again",
		on_whose_behalf(sender, "it was asked for", why));
	(void)daemon_tell_whole(daemon, &event);
	daemon->is_draining = is_draining;
	daemon_keep_whole(daemon);
	daemon_tell_whole_later(daemon);
}

/* ---- and is asked for ---- */

static void fill_info(
	const struct daemon *daemon, struct member *member, struct daemon_task_info *ret_info)
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
		.prospect = daemon_prospect(daemon, member, &status),
		.is_unheard = member->outlook.is_unheard && member->has_target &&
			status.n_reports == 0,
		.began_realtime_ns = member->began_realtime_ns,
		.finished_realtime_ns = member->finished_realtime_ns,
		.exit_status = member->has_status ? member->exit_status : -1,
	};
}

bool daemon_task(const struct daemon *daemon, uint64_t number, struct daemon_task_info *ret_info)
{
	struct member *member = members_find(&daemon->members, number);

	if (member)
		fill_info(daemon, member, ret_info);
	return member != NULL;
}

bool daemon_next_task(
	const struct daemon *daemon, uint64_t after, struct daemon_task_info *ret_info)
{
	struct member *member = members_next(&daemon->members, after);

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
		.n_slots = daemon->n_slots,
		.n_missed = daemon->n_missed,
		.n_late = daemon->n_late,
		.worst_late_ns = daemon->worst_late_ns,
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

static void chosen(void *userdata, const char *sentence)
{
	daemon_say(userdata, "chosen", /* name= */ NULL, "%s", sentence);
}

static void warned(void *userdata, const char *sentence)
{
	daemon_say(userdata, "moved", /* name= */ NULL, "%s", sentence);
}

static int set_up_machine(struct daemon *daemon, struct fault *fault)
{
	const struct choose_listener listener = {
		.userdata = daemon, .chosen = chosen, .warned = warned};
	const struct enforcer_setup setup = {
		.run = daemon->run,
		.n_tasks_max = daemon->setup.n_tasks_max,
		.budget_cpus = daemon->setup.budget_cpus,
		.capacity_cpus = daemon->setup.capacity_cpus,
		.is_apart = true,
		/* The ledger is locked: of several of a user one has it. */
		.may_slice = daemon->setup.is_machines || (geteuid() != 0 && daemon->ledger),
		.takes_over = daemon->has_past,
		.home = daemon->past.home,
		/* Tasks of whoever may submit: of a root's governor, anybody's but root's. */
		.task_uid = geteuid() == 0 ? NOBODY_UID : geteuid(),
	};
	int r = choose_enforcer(
		&daemon->enforcer, &setup, daemon->setup.enforcer, &listener, fault);

	if (r == 0)
		r = choose_meter(&daemon->meter, daemon->enforcer, setup.n_tasks_max,
			daemon->setup.meter, &listener, fault);
	return r;
}

static int set_up_loop(struct daemon *daemon, struct fault *fault)
{
	const struct daemon_setup *setup = &daemon->setup;
	struct governor_setup governor_setup = {
		.bundle = &daemon->bundle,
		.is_open = true,
		.policy = policy_find(setup->policy),
		.parameters = setup->parameters,
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
	daemon->stage.is_held = calloc(setup->n_tasks_max, sizeof(bool));
	daemon->parties = calloc(setup->n_tasks_max, sizeof(*daemon->parties));
	daemon->caps = calloc(setup->n_tasks_max, sizeof(*daemon->caps));
	if (!daemon->bundle.tasks || !daemon->stage.seats || !daemon->stage.is_held ||
		!daemon->parties || !daemon->caps)
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
	daemon->asker = DAEMON_NOBODY;
	r = usable_policy(setup->policy, fault) ? 0 : -EINVAL;
	if (r == 0)
		r = daemon_open_past(daemon, fault);
	if (r == 0 && setup->take_fd)
		take_claim(daemon);
	if (r == 0)
		r = claim(daemon, daemon->setup.budget_cpus, fault);
	if (r == 0) {
		descriptors_raise();
		r = set_up_machine(daemon, fault);
	}
	/* What cannot be cleared is of another user, or will be next time. What we take over is ours by now. */
	(void)leftover_clear(/* fault= */ NULL);
	(void)leftover_thaw(/* fault= */ NULL);
	if (r == 0)
		r = set_up_loop(daemon, fault);
	if (r == 0)
		r = daemon_set_up_telling(daemon, fault);
	if (r == 0)
		r = daemon_set_up_slots(daemon, fault);
	if (r < 0) {
		(void)daemon_free(daemon);
		return r;
	}
	policy_parameter_values(policy_find(setup->policy), setup->parameters, daemon->parameters);
	daemon->setup.parameters = NULL;
	daemon_adopt(daemon);
	*ret_daemon = daemon;
	return 0;
}

struct daemon *daemon_free(struct daemon *daemon)
{
	if (!daemon)
		return NULL;
	for (size_t i = 0; i < daemon->members.n; i++) {
		struct member *member = daemon->members.all[i];

		if (member->seat != MEMBER_NO_SEAT)
			daemon_keep(daemon, member);
		if (member->is_metered)
			daemon->meter->ops->task_remove(daemon->meter, member->seat);
		if (member->is_placed)
			(void)daemon->enforcer->ops->task_let_go(
				daemon->enforcer, member->seat, /* fault= */ NULL);
	}
	daemon_take_down_slots(daemon);
	daemon_take_down_telling(daemon);
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
	daemon->ledger = ledger_free(daemon->ledger);
	free(daemon->bundle.tasks);
	free(daemon->stage.seats);
	free(daemon->stage.is_held);
	free(daemon->parties);
	free(daemon->caps);
	free(daemon);
	return NULL;
}
