// SPDX-License-Identifier: GPL-2.0-or-later
#include "stage_process.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <systemd/sd-event.h>

#include "cleanup.h"
#include "descriptors.h"
#include "environment.h"
#include "follow.h"
#include "governor.h"
#include "nsec.h"
#include "output.h"
#include "page.h"

/* Tasks as processes.
 *
 * Starting one: its feeds are made first (the page's descriptor and the pipes are part of what it
 * inherits), then its place, then the keeper forks it up to its gate, then it is put into the place
 * and counted, and only then the gate opens. Nothing of the command runs before it is governed.
 * Whatever fails on the way, everything made before is undone.
 *
 * Which feed counts: a task that has claimed its page is heard through the page alone, whatever it
 * prints; before that, and for all others, its output. */

/* How often a stream is read when its task has ended, so that the last reports are not lost. Each
 * reading takes a bounded amount; a descendant that goes on writing cannot hold us here. */
#define DRAIN_READS 256

struct cast {
	struct page *page;           /* owned */
	struct output *output;       /* owned; kept after the end for its last words */
	int files[2];                /* where its streams are kept; owned */
	struct follow *follow;       /* owned */
	sd_event_source *sources[2]; /* of the output's streams; owned */
	pid_t pid;
	int pidfd;      /* owned */
	bool is_placed; /* the enforcer and the meter know it */
	struct page_news news;
	char feed_name[96];
	char exec_error[FAULT_TEXT_MAX];
};

struct stage_process {
	struct stage stage;
	struct stage_process_setup setup;
	uint64_t start_ns; /* CLOCK_MONOTONIC of the bundle's start */
	uint32_t n_tasks;
	struct cast casts[];
};

static const struct stage_ops stage_process_ops;

static struct stage_process *of_stage(struct stage *stage)
{
	return (struct stage_process *)stage;
}

static_assert(offsetof(struct stage_process, stage) == 0, "of_stage() is a cast");

int stage_process_new(struct stage_process **ret_stage, const struct stage_process_setup *setup,
	struct fault *fault)
{
	uint32_t n_tasks = (uint32_t)setup->bundle->n_tasks;
	struct stage_process *self = calloc(1, sizeof(*self) + n_tasks * sizeof(self->casts[0]));

	if (!self)
		return fault_errno(fault, -ENOMEM, "stage of %u tasks", n_tasks);
	self->stage.ops = &stage_process_ops;
	self->setup = *setup;
	self->n_tasks = n_tasks;
	for (uint32_t i = 0; i < n_tasks; i++) {
		self->casts[i].pidfd = -EBADF;
		self->casts[i].files[0] = self->casts[i].files[1] = -EBADF;
		(void)strcpy(self->casts[i].feed_name, "none");
	}
	*ret_stage = self;
	return 0;
}

static void forget_streams(struct cast *cast)
{
	for (size_t i = 0; i < ARRAY_LENGTH(cast->sources); i++)
		cast->sources[i] = sd_event_source_disable_unref(cast->sources[i]);
}

/* Gives back all but what is remembered of a task that has ended. */
static void leave_place(struct stage_process *self, uint32_t id)
{
	struct cast *cast = &self->casts[id];

	if (cast->is_placed) {
		descriptors_open_reserve();
		self->setup.meter->ops->task_remove(self->setup.meter, id);
		/* What cannot be removed now is removed with the run; the keeper sees to it. */
		(void)self->setup.enforcer->ops->task_remove(
			self->setup.enforcer, id, /* fault= */ NULL);
		descriptors_close_reserve();
		cast->is_placed = false;
	}
	cast->pid = 0;
	cleanup_close(&cast->pidfd);
	cast->pidfd = -EBADF;
	forget_streams(cast);
}

struct stage_process *stage_process_free(struct stage_process *self)
{
	if (!self)
		return NULL;
	for (uint32_t i = 0; i < self->n_tasks; i++) {
		leave_place(self, i);
		self->casts[i].page = page_free(self->casts[i].page);
		self->casts[i].output = output_free(self->casts[i].output);
		cleanup_close(&self->casts[i].files[0]);
		cleanup_close(&self->casts[i].files[1]);
		self->casts[i].follow = follow_free(self->casts[i].follow);
	}
	free(self);
	return NULL;
}

void stage_process_begin(struct stage_process *self, uint64_t start_ns)
{
	self->start_ns = start_ns;
}

struct stage *stage_process_stage(struct stage_process *self)
{
	return &self->stage;
}

const char *stage_process_last_words(const struct stage_process *self, uint32_t id)
{
	const struct output *output = self->casts[id].output;

	return output ? output_last_words(output) : "";
}

/* Feeds. */

static bool reads_output(const struct bundle_task *planned)
{
	return planned->feed == FEED_AUTO || planned->feed == FEED_OUTPUT;
}

static bool has_page(const struct bundle_task *planned)
{
	return planned->feed == FEED_AUTO || planned->feed == FEED_SHM;
}

static int make_feeds(struct stage_process *self, uint32_t id, uint64_t now_ns, struct fault *fault)
{
	const struct bundle_task *planned = &self->setup.bundle->tasks[id];
	struct cast *cast = &self->casts[id];
	char prefix[TASK_NAME_MAX + sizeof(": ")];
	uint64_t start_ns = self->start_ns;
	int r = 0;

	(void)snprintf(prefix, sizeof(prefix), "%s: ", planned->name);
	if (has_page(planned))
		r = page_new(&cast->page, planned->name, &planned->target, start_ns + now_ns,
			start_ns + planned->deadline_ns, fault);
	if (r == 0 && reads_output(planned)) {
		struct output_setup setup = {
			.name = planned->name,
			.target = &planned->target,
			.presets = self->setup.presets,
			.preset = planned->feed_preset,
			.stdout_to = cast->files[0],
			.stderr_to = cast->files[1],
			.prefix = self->setup.is_verbose ? prefix : NULL,
			.prefixed_to = STDERR_FILENO,
		};

		r = output_new(&cast->output, &setup, fault);
	}
	if (r == 0 && planned->feed == FEED_FILE)
		r = follow_new(&cast->follow, planned->feed_path, &planned->target, fault);
	return r;
}

static int poll_stream(struct cast *cast, int which);

static int on_stream(sd_event_source *source, int fd, uint32_t events, void *userdata)
{
	struct cast *cast = userdata;
	int which = cast->sources[0] == source ? 1 : 2, r;
	uint64_t now_us;

	(void)fd;
	(void)events;
	r = sd_event_now(sd_event_source_get_event(source), CLOCK_MONOTONIC, &now_us);
	if (r >= 0)
		r = output_write_fd(cast->output, which) >= 0
			? output_writable(cast->output, which)
			: output_readable(cast->output, which, now_us * NSEC_PER_USEC);
	if (r > 0)
		r = poll_stream(cast, which) < 0 ? -EIO : 1;
	if (r <= 0)
		cast->sources[which - 1] = sd_event_source_disable_unref(cast->sources[which - 1]);
	return 0;
}

/* Waits for what the stream waits for: bytes to read, or room to pass them on. */
static int poll_stream(struct cast *cast, int which)
{
	sd_event_source *source = cast->sources[which - 1];
	int write_fd = output_write_fd(cast->output, which);
	int r = sd_event_source_set_io_fd(
		source, write_fd >= 0 ? write_fd : output_poll_fd(cast->output, which));

	if (r < 0)
		return r;
	return sd_event_source_set_io_events(source, write_fd >= 0 ? EPOLLOUT : EPOLLIN);
}

/* Slots come first: a chatty task waits. */
#define PRIORITY_STREAM (SD_EVENT_PRIORITY_NORMAL + 100)

static int watch_streams(struct stage_process *self, struct cast *cast, struct fault *fault)
{
	for (int which = 1; which <= 2; which++) {
		sd_event_source **source = &cast->sources[which - 1];
		int r = sd_event_add_io(self->setup.event, source,
			output_poll_fd(cast->output, which), EPOLLIN, on_stream, cast);

		if (r >= 0)
			r = sd_event_source_set_priority(*source, PRIORITY_STREAM);
		if (r < 0)
			return fault_errno(fault, r, "poll a stream");
	}
	return 0;
}

/* Launching. */

static int spawn(struct stage_process *self, uint32_t id, const int fds[2], struct fault *fault)
{
	const struct bundle_task *planned = &self->setup.bundle->tasks[id];
	struct cast *cast = &self->casts[id];
	char page_text[PAGE_ENVIRONMENT_MAX] = "";
	_cleanup_(cleanup_words) char **environment = NULL;
	_cleanup_(cleanup_words) char **argv = NULL;
	_cleanup_free_ char *path = NULL;
	struct launched launched;
	struct launch launch = {
		.name = planned->name,
		.directory = planned->directory,
		.stdin_fd = -EBADF,
		.stdout_fd = fds[0],
		.stderr_fd = fds[1],
		.page_fd = cast->page ? page_fd(cast->page) : -EBADF,
	};
	int r;

	if (cast->page) {
		r = page_environment(cast->page, KEEPER_PAGE_FD, page_text, sizeof(page_text));
		if (r < 0)
			return fault_errno(fault, r, "progress page");
	}
	r = environment_of_task(planned, page_text, &environment, fault);
	if (r == 0)
		r = command_of_task(planned, &argv, fault);
	if (r == 0)
		r = search_path(environment, self->setup.learner_directory, &path, fault);
	if (r < 0)
		return r;
	launch.argv = argv;
	launch.environment = environment;
	launch.path = path;
	r = keeper_spawn(self->setup.keeper, &launch, &launched, fault);
	if (r < 0)
		return r;
	cast->pid = launched.pid;
	cast->pidfd = launched.pidfd;
	return 0;
}

static int place(struct stage_process *self, uint32_t id, struct fault *fault)
{
	struct enforcer *enforcer = self->setup.enforcer;
	struct meter *meter = self->setup.meter;
	struct cast *cast = &self->casts[id];
	int r = enforcer->ops->task_attach(enforcer, id, cast->pid, fault);

	if (r < 0)
		return r;
	r = meter->ops->task_add(meter, id, enforcer->ops->task_place(enforcer, id), fault);
	if (r < 0)
		return r;
	return keeper_release(self->setup.keeper, cast->pid, fault);
}

static int launch_task(struct stage_process *self, uint32_t id, struct fault *fault)
{
	const struct bundle_task *planned = &self->setup.bundle->tasks[id];
	struct enforcer *enforcer = self->setup.enforcer;
	struct cast *cast = &self->casts[id];
	_cleanup_close_ int null_fd = -EBADF;
	int fds[2], r;

	null_fd = open("/dev/null", O_WRONLY | O_CLOEXEC);
	if (null_fd < 0)
		return fault_errno(fault, -errno, "open '/dev/null'");
	for (int i = 0; i < 2; i++) {
		if (cast->output)
			fds[i] = output_task_fd(cast->output, i + 1);
		else if (cast->files[i] >= 0)
			fds[i] = cast->files[i];
		else
			fds[i] = self->setup.is_verbose ? STDERR_FILENO : null_fd;
	}
	r = enforcer->ops->task_add(enforcer, id, planned->name, /* scope= */ NULL, fault);
	if (r < 0)
		return r;
	cast->is_placed = true;
	r = spawn(self, id, fds, fault);
	if (r < 0)
		return r;
	if (cast->output)
		output_launched(cast->output);
	r = place(self, id, fault);
	if (r == 0 && cast->output)
		r = watch_streams(self, cast, fault);
	return r;
}

static int stage_process_start(
	struct stage *stage, uint32_t id, uint64_t now_ns, struct fault *fault)
{
	struct stage_process *self = of_stage(stage);
	const struct bundle_task *planned = &self->setup.bundle->tasks[id];
	struct cast *cast = &self->casts[id];
	int r;

	r = open_output_of_task(
		self->setup.output_directory, planned->name, "out", &cast->files[0], fault);
	if (r == 0)
		r = open_output_of_task(
			self->setup.output_directory, planned->name, "err", &cast->files[1], fault);
	if (r == 0)
		r = make_feeds(self, id, now_ns, fault);
	if (r == 0)
		r = launch_task(self, id, fault);
	if (r < 0) {
		leave_place(self, id);
		if (r == -EMFILE)
			r = fault_wrap(fault, r,
				"more tasks at once than open files are allowed for "
				"(`ulimit -Hn`)");
	}
	return r;
}

/* Hearing. */

static void to_bundle_time(
	const struct stage_process *self, struct report reports[], size_t n_reports)
{
	for (size_t i = 0; i < n_reports; i++)
		reports[i].stamp_ns = nsec_sub(reports[i].stamp_ns, self->start_ns);
}

static bool speaks_page(const struct cast *cast)
{
	struct progress_facts facts;

	if (!cast->page)
		return false;
	page_facts(cast->page, &facts);
	return facts.speaks_page;
}

static size_t stage_process_reports(struct stage *stage, uint32_t id, uint64_t now_ns,
	struct report ret_reports[], size_t n_max)
{
	struct stage_process *self = of_stage(stage);
	struct cast *cast = &self->casts[id];
	uint64_t monotonic_ns = self->start_ns + now_ns;
	size_t n = 0;

	if (cast->page)
		n = page_read(cast->page, monotonic_ns, ret_reports, n_max);
	if (!speaks_page(cast)) {
		if (cast->output)
			n = output_read(cast->output, ret_reports, n_max);
		else if (cast->follow)
			n = follow_read(cast->follow, monotonic_ns, ret_reports, n_max);
	}
	to_bundle_time(self, ret_reports, n);
	return n;
}

static void stage_process_facts(struct stage *stage, uint32_t id, struct progress_facts *ret_facts)
{
	const struct cast *cast = &of_stage(stage)->casts[id];

	*ret_facts = (struct progress_facts){0};
	if (speaks_page(cast))
		page_facts(cast->page, ret_facts);
	else if (cast->output)
		output_facts(cast->output, ret_facts);
	else if (cast->follow)
		follow_facts(cast->follow, ret_facts);
}

static const char *stage_process_feed_name(struct stage *stage, uint32_t id)
{
	struct cast *cast = &of_stage(stage)->casts[id];
	const char *preset = cast->output ? output_preset(cast->output) : NULL;

	if (speaks_page(cast))
		return "shm";
	if (preset) {
		(void)snprintf(cast->feed_name, sizeof(cast->feed_name), "output:%s", preset);
		return cast->feed_name;
	}
	return cast->follow ? "file" : "none";
}

/* Telling and stopping. */

static void stage_process_tell(struct stage *stage, uint32_t id, const struct stage_news *news)
{
	struct cast *cast = &of_stage(stage)->casts[id];

	if (!cast->page)
		return;
	cast->news.share_cpus = news->share_cpus;
	cast->news.advised_threads = news->advised_threads;
	page_tell(cast->page, &cast->news);
}

static bool stage_process_stop(struct stage *stage, uint32_t id, enum stop_step step)
{
	struct stage_process *self = of_stage(stage);
	struct cast *cast = &self->casts[id];
	struct enforcer *enforcer = self->setup.enforcer;

	if (cast->page) {
		cast->news.should_stop = true;
		if (cast->news.advised_threads == 0)
			cast->news.advised_threads = 1;
		page_tell(cast->page, &cast->news);
	}
	if (step != STOP_ASK && cast->is_placed) {
		descriptors_open_reserve();
		(void)enforcer->ops->task_signal(
			enforcer, id, step == STOP_TERM ? SIGTERM : SIGKILL);
		descriptors_close_reserve();
	}
	return false;
}

static void drain(struct cast *cast, uint64_t monotonic_ns)
{
	for (int which = 1; cast->output && which <= 2; which++)
		for (int i = 0; i < DRAIN_READS && output_poll_fd(cast->output, which) >= 0; i++)
			if (output_readable(cast->output, which, monotonic_ns) <= 0)
				break;
}

static void stage_process_clear(struct stage *stage, uint32_t id)
{
	leave_place(of_stage(stage), id);
}

static const struct stage_ops stage_process_ops = {
	/* A page holds some hundred reports, an output's queue likewise. */
	.max_batches = 64,
	.start = stage_process_start,
	.reports = stage_process_reports,
	.facts = stage_process_facts,
	.tell = stage_process_tell,
	.stop = stage_process_stop,
	.clear = stage_process_clear,
	.feed_name = stage_process_feed_name,
};

uint64_t stage_process_lost_bytes(const struct stage_process *self, uint32_t id, int *ret_error)
{
	const struct output *output = self->casts[id].output;

	return output ? output_lost_bytes(output, ret_error) : 0;
}

/* What the keeper tells. */

static void remember_failure(
	const struct bundle_task *planned, struct cast *cast, const struct keeper_event *event)
{
	bool is_directory = event->step == LAUNCH_DIRECTORY;

	(void)snprintf(cast->exec_error, sizeof(cast->exec_error), "cannot %s '%s': %s",
		is_directory ? "enter directory" : "execute",
		is_directory            ? planned->directory
			: planned->argv ? planned->argv[0]
					: REPLAY_LEARNER,
		strerror(-event->error));
}

static void end_task(struct stage_process *self, struct governor *governor, uint32_t id,
	const struct keeper_event *event, uint64_t now_ns)
{
	struct cast *cast = &self->casts[id];
	const struct task_end how = {
		.exit_status = event->exit_status,
		.reason = cast->exec_error[0] != '\0' ? cast->exec_error : NULL,
		.cpu_ns = event->cpu_ns,
	};

	drain(cast, self->start_ns + now_ns);
	governor_task_ended(governor, id, now_ns, &how);
}

void stage_process_event(struct stage_process *self, struct governor *governor,
	const struct keeper_event *event, uint64_t now_ns)
{
	for (uint32_t id = 0; id < self->n_tasks; id++) {
		struct cast *cast = &self->casts[id];

		if (cast->pid != event->pid || cast->pid == 0)
			continue;
		if (event->kind == KEEPER_EXEC_FAILED)
			remember_failure(&self->setup.bundle->tasks[id], cast, event);
		else if (event->kind == KEEPER_EXITED)
			end_task(self, governor, id, event, now_ns);
		return;
	}
}
