// SPDX-License-Identifier: GPL-2.0-or-later
#include "governor_bus_internal.h"

#include <errno.h>
#include <stdlib.h>

#include "cleanup.h"
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

static int submit(struct governor_bus *bus, sd_bus_message *message, int pidfd,
	const struct options *options, uid_t sender, sd_bus_error *error)
{
	struct held held = {.message = message};
	struct daemon_submission submission;
	struct fault fault = FAULT_INIT;
	int r = read_submission(bus, options, pidfd, sender, &submission, &fault);

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

static int do_submit(
	struct governor_bus *bus, sd_bus_message *message, uid_t sender, sd_bus_error *error)
{
	struct options options = {0};
	int pidfd, r = sd_bus_message_rewind(message, /* complete= */ true);

	if (r >= 0)
		r = sd_bus_message_read(message, "h", &pidfd);
	if (r >= 0)
		r = options_read(message, OPTIONS_OF_SUBMIT, &options, error);
	if (r < 0)
		return r;
	r = submit(bus, message, pidfd, &options, sender, error);
	options_done(&options);
	return r;
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
	for (size_t i = 0; i < bus->n_held; i++)
		sd_bus_message_unref(bus->held[i].message);
	free(bus->held);
	bus->held = NULL;
	bus->n_held = 0;
}
