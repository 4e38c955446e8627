// SPDX-License-Identifier: GPL-2.0-or-later
#include "governor_bus_internal.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "cleanup.h"
#include "monotonic.h"
#include "nsec.h"
#include "pidfd.h"

/* Submit(). The process is the one that the descriptor in the message stands for, and it has to
 * be the sender's own: the sender is known from the bus, the process's user from the kernel. It waits
 * at its gate until the answer is there. With WaitStart the answer is kept until the task has a
 * share, so the gate is where it waits for that, too. */

#define GRACE_DEFAULT_NS (10 * NSEC_PER_SEC)

/* What a name is made from where there is neither. */
static const char *const nameless[] = {"task", NULL};

static int read_submission(struct governor_bus *bus, const struct options *options, int pidfd,
	uid_t sender, struct daemon_submission *ret_submission, struct fault *fault)
{
	const struct governor_bus_defaults *defaults = &bus->setup.defaults;
	struct daemon_submission submission = {
		.pidfd = pidfd,
		.name = options->name,
		.argv = options->argv || options->name ? (const char *const *)options->argv
						       : nameless,
		.directory = options->directory,
		.has_target = options->has_target && options->target.metric[0],
		.target = options->target,
		.deadline = options->deadline,
		.on_target = options->has_on_target ? options->on_target : defaults->on_target,
		.on_deadline = options->has_on_deadline ? options->on_deadline
							: defaults->on_deadline,
	};
	int r = pidfd_read(pidfd, &submission.pid, &submission.owner, fault);

	if (r < 0)
		return r;
	if (submission.owner != sender)
		return fault_set(fault, -EACCES,
			"process %d is of user %u, and user %u may submit only their own",
			(int)submission.pid, (unsigned)submission.owner, (unsigned)sender);
	submission.threads = options->has_threads ? options->threads : defaults->threads;
	submission.grace_ns = options->has_grace ? options->grace_ns
		: defaults->grace_ns > 0         ? defaults->grace_ns
						 : GRACE_DEFAULT_NS;
	*ret_submission = submission;
	return 0;
}

static int answer(struct governor_bus *bus, const struct held *held)
{
	struct daemon_task_info info = {.prospect = PROSPECT_UNKNOWN};
	char path[TASK_PATH_MAX];

	(void)daemon_task(bus->setup.daemon, held->number, &info);
	return sd_bus_reply_method_return(held->message, "ohts", task_path(path, held->number),
		held->page_fd, held->token, prospect_to_string(info.prospect));
}

static int hold(struct governor_bus *bus, const struct held *held)
{
	struct held *grown = reallocarray(bus->held, bus->n_held + 1, sizeof(*grown));

	if (!grown)
		return -ENOMEM;
	bus->held = grown;
	grown[bus->n_held] = *held;
	sd_bus_message_ref(held->message);
	bus->n_held++;
	return 1;
}

static struct placing *placing_free(struct placing *placing)
{
	struct placing **link = &placing->bus->placings;

	while (*link && *link != placing)
		link = &(*link)->next;
	if (*link)
		*link = placing->next;
	(void)sd_bus_message_unref(placing->message);
	free(placing);
	return NULL;
}

static int go_on(struct governor_bus *bus, sd_bus_message *message, uid_t sender, const char *scope,
	sd_bus_error *error);

static void placed(void *userdata, int r, const struct fault *fault)
{
	_cleanup_(sd_bus_error_free) sd_bus_error error = SD_BUS_ERROR_NULL;
	struct placing *placing = userdata;
	bool is_placed = r == 0;

	if (is_placed)
		r = go_on(placing->bus, placing->message, placing->sender, placing->scope, &error);
	else
		r = fault_to_bus(fault, -EIO, &error); /* whoever submits has done nothing wrong */
	if (r < 0)
		(void)sd_bus_reply_method_errno(placing->message, r, &error);
	if (r < 0 && is_placed)
		daemon_confine(placing->bus->setup.daemon, placing->scope, placing->sender,
			error.message ? error.message : strerror(-r));
	(void)placing_free(placing);
}

/* Those that are being placed are tasks soon. */
static int check_vacant(struct governor_bus *bus, uid_t sender, pid_t pid, struct fault *fault)
{
	uint32_t n = 0;

	for (const struct placing *placing = bus->placings; placing; placing = placing->next) {
		if (placing->pid == pid)
			return fault_set(fault, -EINVAL,
				"process %d is about to be that of a task already", (int)pid);
		n += placing->sender == sender;
	}
	if (n > 0 && n >= daemon_n_vacant(bus->setup.daemon, sender))
		return fault_set(fault, -EDQUOT,
			"%" PRIu32 " tasks of yours are about to begin, and there may be no more "
			"(tasks-max, per-user-tasks)",
			n);
	return 0;
}

/* No two are alike, nor like those of a daemon before. */
static void name_scope(const char *name, char ret_scope[static SCOPE_NAME_MAX])
{
	(void)snprintf(ret_scope, SCOPE_NAME_MAX, "coregov-%s-%" PRIx64 ".scope", name,
		monotonic_ns() / NSEC_PER_USEC);
}

/* The answer comes when the process is in its scope, and governed. */
static int place(struct governor_bus *bus, sd_bus_message *message, uid_t sender,
	const struct daemon_submission *submission, struct fault *fault)
{
	char name[TASK_NAME_MAX + 1], description[TASK_NAME_MAX + 64];
	struct placing *placing;
	int r = check_vacant(bus, sender, submission->pid, fault);

	if (r == 0)
		r = daemon_check(bus->setup.daemon, submission, name, fault);
	if (r == 0 && !bus->scope_maker) {
		r = scope_maker_new(&bus->scope_maker, bus->setup.event);
		if (r < 0)
			(void)fault_errno(fault, r, "scopes");
	}
	if (r < 0)
		return r;
	placing = calloc(1, sizeof(*placing));
	if (!placing)
		return fault_errno(fault, -ENOMEM, "scope");
	placing->bus = bus;
	placing->message = sd_bus_message_ref(message);
	placing->sender = sender;
	placing->pid = submission->pid;
	name_scope(name, placing->scope);
	placing->next = bus->placings;
	bus->placings = placing;
	(void)snprintf(description, sizeof(description), "training %s of user %u under coregov",
		name, (unsigned)submission->owner);
	r = scope_maker_make(bus->scope_maker, placing->scope, description, submission->pidfd,
		submission->pid, placed, placing, fault);
	if (r < 0)
		(void)placing_free(placing);
	return r < 0 ? r : 1;
}

static int submit(struct governor_bus *bus, sd_bus_message *message, int pidfd,
	const struct options *options, uid_t sender, const char *scope, sd_bus_error *error)
{
	struct held held = {.message = message};
	struct daemon_submission submission;
	struct fault fault = FAULT_INIT;
	int r = read_submission(bus, options, pidfd, sender, &submission, &fault);

	if (r >= 0 && !scope &&
		daemon_take_again(
			bus->setup.daemon, &submission, &held.number, &held.page_fd, &held.token))
		return options->waits_for_share && hold(bus, &held) > 0 ? 1 : answer(bus, &held);
	if (r >= 0 && !scope && daemon_wants_scopes(bus->setup.daemon)) {
		r = place(bus, message, sender, &submission, &fault);
		return r < 0 ? fault_to_bus(&fault, r, error) : r;
	}
	submission.scope = scope;
	if (r >= 0)
		r = daemon_submit(bus->setup.daemon, &submission, &held.number, &held.page_fd,
			&held.token, &fault);
	if (r < 0)
		return fault_to_bus(&fault, r, error);
	/* Where it cannot be kept it is not held up. */
	if (options->waits_for_share && hold(bus, &held) > 0)
		return 1;
	return answer(bus, &held);
}

/* scope: that of the process, or NULL. */
static int go_on(struct governor_bus *bus, sd_bus_message *message, uid_t sender, const char *scope,
	sd_bus_error *error)
{
	struct options options = {0};
	int pidfd, r = sd_bus_message_rewind(message, /* complete= */ true);

	if (r >= 0)
		r = sd_bus_message_read(message, "h", &pidfd);
	if (r >= 0)
		r = options_read(message, OPTIONS_OF_SUBMIT, &options, error);
	if (r < 0)
		return r;
	r = submit(bus, message, pidfd, &options, sender, scope, error);
	options_done(&options);
	return r;
}

static int do_submit(
	struct governor_bus *bus, sd_bus_message *message, uid_t sender, sd_bus_error *error)
{
	return go_on(bus, message, sender, /* scope= */ NULL, error);
}

int submit_method(sd_bus_message *message, void *userdata, sd_bus_error *error)
{
	const struct governor_shown *shown = userdata;

	return allow(shown->bus, message, ACTION_SUBMIT, do_submit, error);
}

/* True where the launcher has its answer. */
static bool answer_held(struct governor_bus *bus, const struct held *held)
{
	struct daemon_task_info info;
	bool is_there = daemon_task(bus->setup.daemon, held->number, &info);

	if (is_there && info.phase != PHASE_ENDED) {
		if (!(info.share_cpus > 0))
			return false;
		(void)answer(bus, held);
		return true;
	}
	(void)sd_bus_reply_method_errorf(held->message, GOVERNOR_ERROR_NOT_GOVERNED,
		"the task has ended while it waited for a share%s%s",
		is_there && info.outcome != OUTCOME_NONE ? ": " : "",
		is_there && info.outcome != OUTCOME_NONE ? outcome_to_string(info.outcome) : "");
	return true;
}

void submit_answer_held(struct governor_bus *bus)
{
	size_t n_left = 0;

	for (size_t i = 0; i < bus->n_held; i++) {
		if (answer_held(bus, &bus->held[i]))
			sd_bus_message_unref(bus->held[i].message);
		else
			bus->held[n_left++] = bus->held[i];
	}
	bus->n_held = n_left;
}

void submit_done(struct governor_bus *bus)
{
	bus->scope_maker = scope_maker_free(bus->scope_maker);
	while (bus->placings)
		(void)placing_free(bus->placings);
	for (size_t i = 0; i < bus->n_held; i++)
		sd_bus_message_unref(bus->held[i].message);
	free(bus->held);
	bus->held = NULL;
	bus->n_held = 0;
}
