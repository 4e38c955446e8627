// SPDX-License-Identifier: GPL-2.0-or-later
#include "launcher.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "cleanup.h"
#include "fd_list.h"
#include "forward.h"
#include "gate.h"
#include "output.h"
#include "relay.h"
#include "stand_in.h"

/* coregov run: fork the command up to its gate, submit it, open the gate, wait.
 *
 * A training never fails for want of a governor. Without one there is nothing for us to do, so we
 * become the command ourselves, as if we had never been there. With one we stay, as its parent, for
 * its exit status; and are as good as not there, too: standard descriptors and what else we inherited
 * are let go of once the command has them, signals go on to it, and being killed does not touch it.
 *
 * The command's output is read (by the relay) only where that cannot be noticed. A terminal is more to
 * a program than where bytes go, and what is put in its place is not the session's own; so it is left
 * alone, unless the user has asked for its output by name. */

struct launcher {
	const struct launcher_setup *setup;
	struct gate_signals signals;
	struct fd_list inherited;
	struct gate gate;
	sd_event *event;
	sd_event_source *gate_source, *child_source;
	struct forward forward;
	struct client *client;
	struct stand_in *stand_in;
	struct output *output;
	int prefixed_to; /* owned */
	struct relay relay;
	struct relay_end relayed;
	bool has_ended;
	int status;
	bool was_interrupted;
};

static void save_signals(struct gate_signals *signals)
{
	const struct sigaction normal = {.sa_handler = SIG_DFL};

	(void)sigprocmask(SIG_SETMASK, NULL, &signals->mask);
	/* An ignored SIGCHLD, which is inherited, would lose the exit status. */
	(void)sigaction(SIGCHLD, &normal, &signals->child);
}

static void release(struct launcher *self)
{
	self->client = client_free(self->client);
	self->gate_source = sd_event_source_disable_unref(self->gate_source);
	self->child_source = sd_event_source_disable_unref(self->child_source);
	self->event = sd_event_unref(self->event);
	self->stand_in = stand_in_free(self->stand_in);
	self->output = output_free(self->output);
	relay_done(&self->relay);
	cleanup_close(&self->prefixed_to);
	fd_list_done(&self->inherited);
}

/* The child. */

static int on_child(sd_event_source *source, const siginfo_t *info, void *data)
{
	struct launcher *self = data;

	if (info->si_code == CLD_STOPPED) {
		forward_stop(&self->forward, info->si_status);
		return 0;
	}
	if (info->si_code == CLD_CONTINUED)
		return 0;
	self->has_ended = true;
	self->status = info->si_code == CLD_EXITED ? info->si_status : 128 + info->si_status;
	self->was_interrupted = info->si_code != CLD_EXITED && info->si_status == SIGINT &&
		self->forward.was_interrupted;
	/* It is waited for behind us, and must not be again. */
	return sd_event_source_set_enabled(source, SD_EVENT_OFF);
}

/* The command has its own now. */
static void let_go(struct launcher *self)
{
	_cleanup_close_ int null_fd = open("/dev/null", O_RDWR | O_CLOEXEC);

	for (int fd = STDIN_FILENO; null_fd >= 0 && fd <= STDERR_FILENO; fd++)
		(void)dup2(null_fd, fd);
	fd_list_remove(&self->inherited, self->setup->kept_fd);
	fd_list_close(&self->inherited);
}

static void hear_gate(struct launcher *self)
{
	int error, r = self->gate.fd >= 0 ? gate_news(&self->gate, &error) : -EAGAIN;

	if (r == -EAGAIN)
		return;
	if (r == 0)
		self->setup->say("'%s' cannot be executed: %s", self->setup->request.command[0],
			strerror(-error));
	let_go(self);
}

static int on_gate(sd_event_source *source, int fd, uint32_t events, void *data)
{
	struct launcher *self = data;

	(void)fd;
	(void)events;
	/* The descriptor is closed once it has told all. */
	(void)sd_event_source_set_enabled(source, SD_EVENT_OFF);
	hear_gate(self);
	return 0;
}

/* Ours is let go of by then, so that nobody waits for us who waits for the command to close its own: it is said
 * where the command says what it has to say. That is read where its output is, so no metric has a value in it. */
static void say_unheard(void *data)
{
	const struct launcher *self = data;
	_cleanup_close_ int to = (int)syscall(SYS_pidfd_getfd, self->gate.pidfd, STDERR_FILENO, 0);
	_cleanup_close_ int kept = fcntl(STDERR_FILENO, F_DUPFD_CLOEXEC, STDERR_FILENO + 1);
	struct target target;

	if (to < 0 || kept < 0 || parse_target(self->setup->request.target, &target, NULL) < 0)
		return;
	/* Nobody may read it, and there is more to do than to wait for that. */
	if (poll(&(struct pollfd){.fd = to, .events = POLLOUT}, 1, 0) != 1)
		return;
	(void)dup2(to, STDERR_FILENO);
	self->setup->say(
		"task %s has reported no %s so far: say where it is to be read by --feed, see "
		"coregov-run(1)",
		client_reply(self->client)->name, target.metric);
	(void)dup2(kept, STDERR_FILENO);
}

static int begin(struct launcher *self, struct fault *fault)
{
	char *const *command = self->setup->request.command;
	struct submission request = self->setup->request;
	struct client_setup setup = {
		.place = self->setup->place,
		.wants_name = !self->setup->is_quiet,
		.say = self->setup->say,
		.unheard = say_unheard,
		.userdata = self,
	};
	int r = gate_make(&self->gate, command, &self->signals, fault);

	if (r < 0)
		return r;
	r = sd_event_new(&self->event);
	if (r >= 0)
		r = sd_event_add_child(self->event, &self->child_source, self->gate.pid,
			WEXITED | WSTOPPED, on_child, self);
	if (r >= 0)
		r = sd_event_source_set_enabled(self->child_source, SD_EVENT_ON);
	if (r < 0)
		return fault_errno(fault, r, "watch the command");
	self->forward = (struct forward){.pid = self->gate.pid, .pidfd = self->gate.pidfd};
	r = forward_start(&self->forward, self->event, fault);
	if (r < 0)
		return r;
	request.process_fd = self->gate.pidfd;
	setup.event = self->event;
	return client_submit(&self->client, &setup, &request, fault);
}

/* Without a governor. */

/* answer: CLIENT_ABSENT, or CLIENT_FAILED where it is we who fail. */
static int give_up(struct launcher *self, enum client_answer answer, const char *why,
	struct launcher_result *ret_result)
{
	const struct launcher_setup *setup = self->setup;
	int error;

	if (self->gate.pid > 0) {
		self->child_source = sd_event_source_disable_unref(self->child_source);
		gate_drop(&self->gate);
	}
	if (setup->required_by) {
		setup->say("%s, and %s asks for one: the command was not run", why,
			setup->required_by);
		*ret_result = (struct launcher_result){.answer = answer};
		return 0;
	}
	setup->say("%s, so the command runs ungoverned ('coregovd' is the governor, 'coregov "
		   "doctor' knows what it lacks here)",
		why);
	error = gate_become(setup->request.command, &self->signals);
	setup->say("'%s' cannot be executed: %s", setup->request.command[0], strerror(-error));
	*ret_result = (struct launcher_result){
		.answer = CLIENT_ACCEPTED,
		.status = gate_status(error),
	};
	return 0;
}

static int refused(struct launcher *self, struct launcher_result *ret_result)
{
	const struct client_reply *reply = client_reply(self->client);

	self->child_source = sd_event_source_disable_unref(self->child_source);
	gate_drop(&self->gate);
	self->setup->say("%s", reply->text);
	*ret_result = (struct launcher_result){.answer = reply->answer};
	return 0;
}

/* With one. */

static bool reads_output(const struct launcher_setup *setup)
{
	if (!setup->presets)
		return false;
	return setup->feed == FEED_OUTPUT || (setup->feed == FEED_AUTO && setup->request.target);
}

static int listen_to_output(struct launcher *self, struct fault *fault)
{
	const struct launcher_setup *setup = self->setup;
	struct output_setup output_setup = {
		.name = client_reply(self->client)->name,
		.target = stand_in_target(self->stand_in),
		.presets = setup->presets,
		.preset = setup->feed == FEED_OUTPUT ? setup->feed_more : NULL,
		.stdout_to = STDOUT_FILENO,
		.stderr_to = STDERR_FILENO,
		.leaves_terminals = setup->feed == FEED_AUTO,
		.prefix = setup->prefix,
	};
	int r;

	if (setup->prefix) {
		/* One of the output's own: what was there before is not the relay's to keep. */
		self->prefixed_to = fcntl(setup->prefixed_to, F_DUPFD_CLOEXEC, STDERR_FILENO + 1);
		if (self->prefixed_to < 0)
			return fault_errno(fault, -errno, "show what the command writes");
		output_setup.prefixed_to = self->prefixed_to;
	}
	r = output_new(&self->output, &output_setup, fault);
	if (r == 0 && output_poll_fd(self->output, 1) < 0 && output_poll_fd(self->output, 2) < 0)
		self->output = output_free(self->output);
	return r;
}

/* The feeds, and what the command gets of them. */
static int listen_to_command(struct launcher *self, struct fault *fault)
{
	const struct launcher_setup *setup = self->setup;
	struct fd_list others = {NULL, 0};
	struct relay_setup relay = {
		.file = setup->feed == FEED_FILE ? setup->feed_more : NULL,
		.page_fd = client_reply(self->client)->page_fd,
		.pidfd = self->gate.pidfd,
		.others = &others,
	};
	int r = stand_in_new(&self->stand_in, relay.page_fd, fault);

	if (r < 0)
		return r;
	fd_list_read(&others);
	if (reads_output(setup))
		r = listen_to_output(self, fault);
	relay.output = self->output;
	if (r == 0 && (relay.output || relay.file))
		r = relay_start(&self->relay, &relay, fault);
	if (r < 0)
		self->output = output_free(self->output);
	fd_list_done(&others);
	return r;
}

static int let_in(struct launcher *self)
{
	const struct launcher_setup *setup = self->setup;
	bool has_page = self->stand_in && setup->feed != FEED_NONE;
	const struct gate_order order = {
		.page_fd = has_page ? client_reply(self->client)->page_fd : -EBADF,
		.page =
			{
				.holder = getpid(),
				.holder_fd = client_reply(self->client)->page_fd,
				.token = self->stand_in ? stand_in_token(self->stand_in) : 0,
			},
		.stdout_fd = self->output ? output_task_fd(self->output, 1) : -EBADF,
		.stderr_fd = self->output ? output_task_fd(self->output, 2) : -EBADF,
		.threads = setup->request.threads,
	};
	int r = sd_event_add_io(
		self->event, &self->gate_source, self->gate.fd, EPOLLIN, on_gate, self);

	if (r >= 0)
		r = gate_open(&self->gate, &order);
	/* The relay has its own. */
	self->output = output_free(self->output);
	/* Ended at its gate: that will be heard of. */
	return r == -EPIPE ? 0 : r;
}

static void say_prospect(const struct launcher *self)
{
	const struct client_reply *reply = client_reply(self->client);
	const char *prospect = "not yet known to make it";

	if (self->setup->is_quiet)
		return;
	if (!self->setup->request.target)
		prospect = "governed";
	else if (strcmp(reply->prospect, "likely") == 0 || strcmp(reply->prospect, "unlikely") == 0)
		prospect = reply->prospect[0] == 'l' ? "likely to make it" : "unlikely to make it";
	self->setup->say("task %s: %s; 'coregov show %s'", reply->name, prospect, reply->name);
}

static int on_relayed(sd_event_source *source, int fd, uint32_t events, void *data)
{
	struct launcher *self = data;

	(void)fd;
	(void)events;
	relay_end(&self->relay, &self->relayed);
	relay_done(&self->relay);
	return sd_event_source_set_enabled(source, SD_EVENT_OFF);
}

/* What the command has written is where it belongs before anybody is told that it has ended. A reader
 * that does not take it can hold that up; a signal ends the waiting. */
static void await_relay(struct launcher *self)
{
	unsigned n_signals = self->forward.n_signals;
	int r = 0;

	if (self->relay.fd >= 0)
		r = sd_event_add_io(self->event, /* ret_source= */ NULL, self->relay.fd, EPOLLIN,
			on_relayed, self);
	while (r >= 0 && self->relay.fd >= 0 && self->forward.n_signals == n_signals)
		r = sd_event_run(self->event, UINT64_MAX);
}

static int govern(struct launcher *self, struct launcher_result *ret_result, struct fault *fault)
{
	struct fault small = FAULT_INIT;
	int r = 0;

	if (listen_to_command(self, &small) < 0)
		self->setup->say(
			"%s: its progress is heard only if it reports by itself", small.text);
	say_prospect(self);
	if (self->setup->accepted)
		self->setup->accepted(client_reply(self->client));
	r = let_in(self);
	if (r < 0)
		return give_up(self, CLIENT_FAILED, strerror(-r), ret_result);
	while (r >= 0 && !self->has_ended)
		r = sd_event_run(self->event, UINT64_MAX);
	if (r < 0 && !self->has_ended)
		return fault_errno(fault, r, "wait for the command");
	hear_gate(self);
	await_relay(self);
	/* Nobody there to hear it: a governor sees the end by itself, if not the status. */
	(void)client_ended(self->client, self->status);
	*ret_result = (struct launcher_result){
		.answer = CLIENT_ACCEPTED,
		.status = self->status,
		.was_interrupted = self->was_interrupted,
		.relayed = self->relayed,
	};
	return 0;
}

static int run(struct launcher *self, struct launcher_result *ret_result, struct fault *fault)
{
	enum client_answer answer;
	int r = begin(self, fault);

	if (r < 0)
		return give_up(self, CLIENT_FAILED, fault->text, ret_result);
	while (client_reply(self->client)->answer == CLIENT_WAITING && !self->has_ended) {
		r = sd_event_run(self->event, UINT64_MAX);
		if (r < 0)
			return give_up(self, CLIENT_FAILED, strerror(-r), ret_result);
	}
	answer = client_reply(self->client)->answer;
	if (self->has_ended && answer != CLIENT_ACCEPTED) {
		/* By a signal at its gate. */
		*ret_result = (struct launcher_result){
			.answer = CLIENT_ACCEPTED,
			.status = self->status,
			.was_interrupted = self->was_interrupted,
		};
		return 0;
	}
	if (answer == CLIENT_ABSENT || answer == CLIENT_FAILED)
		return give_up(self, answer, client_reply(self->client)->text, ret_result);
	if (answer != CLIENT_ACCEPTED)
		return refused(self, ret_result);
	return govern(self, ret_result, fault);
}

int launcher_run(
	const struct launcher_setup *setup, struct launcher_result *ret_result, struct fault *fault)
{
	struct launcher self = {
		.setup = setup,
		.relay = {.fd = -EBADF},
		.gate = {.fd = -EBADF, .pidfd = -EBADF},
		.prefixed_to = -EBADF,
	};
	int r;

	fd_list_read(&self.inherited);
	save_signals(&self.signals);
	forward_block();
	r = run(&self, ret_result, fault);
	gate_close(&self.gate);
	release(&self);
	return r;
}
