// SPDX-License-Identifier: GPL-2.0-or-later
#include "run.h"

#include <errno.h>
#include <signal.h>
#include <string.h>
#include <systemd/sd-event.h>
#include <time.h>

#include "bundle_presets.h"
#include "choose.h"
#include "cleanup.h"
#include "descriptors.h"
#include "governor.h"
#include "keeper.h"
#include "leftover.h"
#include "locate.h"
#include "neighbours.h"
#include "monotonic.h"
#include "nsec.h"
#include "preset.h"
#include "stage_process.h"
#include "trace_recorder.h"

/* A real run: one thread, one event loop.
 *
 * The slot timer is absolute: slot n is due at start + n * slot, however late the one before was;
 * slots that were missed altogether (a governor that got no CPU) are left out, not made up for; the
 * clock stands still while a machine is suspended, and deadlines with it. Between
 * slots the loop wakes for deadlines, for the enforcer's ticks, for the keeper's messages and for
 * the tasks' output, in this order of priority.
 *
 * Order of setting up: the claim on the budget before anything is made, the keeper before any
 * thread exists and before anything is made that it would have to clear away, the trace (whose
 * writer is a thread) after it. Taking down goes the other way round. */

#define PRIORITY_SLOT (SD_EVENT_PRIORITY_NORMAL - 100)
#define PRIORITY_TICK (SD_EVENT_PRIORITY_NORMAL - 90)

/* Timers fire within this of their time. */
#define TIMER_ACCURACY_US 1

struct run {
	struct run_setup setup;
	char name[RUN_NAME_MAX];
	int claim_fd;
	sd_event *event;
	sd_event_source *slot_timer, *deadline_timer, *tick_timer;
	struct keeper *keeper;
	struct preset_set *presets;
	struct enforcer *enforcer;
	struct meter *meter;
	struct stage_process *stage;
	struct trace_recorder *trace;
	struct recorder *recorders[2];
	size_t n_recorders;
	struct governor *governor;
	uint64_t start_ns;  /* CLOCK_MONOTONIC */
	uint64_t next_slot; /* number of the slot that is due next */
	int signo;
	int error; /* what ended the loop early */
	struct fault fault;
};

/* The bundle's time. */
static uint64_t now_ns(const struct run *run)
{
	return nsec_sub(monotonic_ns(), run->start_ns);
}

static int finish(struct run *run, int error)
{
	/* Every task has an outcome in the end, whatever ends the run. */
	if (error < 0)
		governor_cancel(run->governor, now_ns(run), STOP_KILL);
	run->error = error;
	return sd_event_exit(run->event, 0);
}

static int arm(struct run *run, sd_event_source *timer, uint64_t at_ns)
{
	int r;

	if (at_ns == UINT64_MAX)
		return sd_event_source_set_enabled(timer, SD_EVENT_OFF);
	r = sd_event_source_set_time(
		timer, (run->start_ns + at_ns + NSEC_PER_USEC - 1) / NSEC_PER_USEC);
	if (r < 0)
		return r;
	return sd_event_source_set_enabled(timer, SD_EVENT_ONESHOT);
}

/* After whatever has happened: is there anything left to wait for? */
static int after_event(struct run *run)
{
	int r;

	if (governor_is_done(run->governor))
		return finish(run, 0);
	/* As with a slot: less runs where it fails, and there is an event. */
	(void)governor_give_on(run->governor, now_ns(run), /* fault= */ NULL);
	r = arm(run, run->deadline_timer, governor_next_deadline(run->governor, now_ns(run)));
	return r < 0 ? finish(run, r) : 0;
}

static int on_slot(sd_event_source *source, uint64_t usec, void *userdata)
{
	struct run *run = userdata;
	uint64_t slot_ns = run->setup.bundle->slot_ns;
	uint64_t now = now_ns(run);
	uint64_t due_ns = run->next_slot * slot_ns;
	int r;

	(void)source;
	(void)usec;
	/* A grant that could not be put into force is an event; less runs, the run goes on. */
	(void)governor_slot(run->governor, now, nsec_sub(now, due_ns), /* fault= */ NULL);
	run->next_slot = now / slot_ns + 1;
	r = arm(run, run->slot_timer, run->next_slot * slot_ns);
	return r < 0 ? finish(run, r) : after_event(run);
}

static int on_deadline(sd_event_source *source, uint64_t usec, void *userdata)
{
	struct run *run = userdata;

	(void)source;
	(void)usec;
	governor_deadlines(run->governor, now_ns(run));
	return after_event(run);
}

static int on_tick(sd_event_source *source, uint64_t usec, void *userdata)
{
	struct run *run = userdata;

	(void)source;
	(void)usec;
	run->enforcer->ops->tick(run->enforcer, monotonic_ns());
	if (arm(run, run->tick_timer, now_ns(run) + run->enforcer->tick_ns) < 0)
		return finish(run, -EIO);
	return 0;
}

static int on_keeper(sd_event_source *source, int fd, uint32_t events, void *userdata)
{
	struct run *run = userdata;
	struct keeper_event event;
	int r;

	(void)source;
	(void)fd;
	(void)events;
	while ((r = keeper_next(run->keeper, &event)) > 0) {
		if (event.kind == KEEPER_LOST)
			r = -EPIPE;
		if (r < 0)
			break;
		stage_process_event(run->stage, run->governor, &event, now_ns(run));
	}
	if (r < 0) {
		(void)fault_set(&run->fault, r,
			"the keeper of this run is gone (killed?); all tasks are ended");
		return finish(run, r);
	}
	return after_event(run);
}

static int on_signal(sd_event_source *source, const struct signalfd_siginfo *info, void *userdata)
{
	struct run *run = userdata;
	/* The first asks, with the grace time of the bundle; the second does not. */
	enum stop_step step = run->signo == 0 ? STOP_ASK : STOP_KILL;

	(void)source;
	run->signo = (int)info->ssi_signo;
	governor_cancel(run->governor, now_ns(run), step);
	return after_event(run);
}

/* Setting up. */

static int add_timer(struct run *run, sd_event_source **ret_timer, sd_event_time_handler_t handler,
	int64_t priority)
{
	int r = sd_event_add_time(run->event, ret_timer, CLOCK_MONOTONIC, UINT64_MAX,
		TIMER_ACCURACY_US, handler, run);

	if (r >= 0)
		r = sd_event_source_set_priority(*ret_timer, priority);
	return r < 0 ? r : sd_event_source_set_enabled(*ret_timer, SD_EVENT_OFF);
}

static int add_sources(struct run *run, struct fault *fault)
{
	static const int signals[] = {SIGINT, SIGTERM, SIGHUP};
	int r = add_timer(run, &run->slot_timer, on_slot, PRIORITY_SLOT);

	if (r >= 0)
		r = add_timer(run, &run->deadline_timer, on_deadline, PRIORITY_SLOT);
	if (r >= 0)
		r = add_timer(run, &run->tick_timer, on_tick, PRIORITY_TICK);
	if (r >= 0)
		r = sd_event_add_io(
			run->event, NULL, keeper_fd(run->keeper), EPOLLIN, on_keeper, run);
	for (size_t i = 0; i < ARRAY_LENGTH(signals) && r >= 0; i++)
		r = sd_event_add_signal(run->event, NULL, signals[i], on_signal, run);
	return r < 0 ? fault_errno(fault, r, "event loop") : 0;
}

/* sd-event wants the signals blocked; the keeper is forked before and handles its own. */
static int block_signals(struct fault *fault)
{
	sigset_t signals;

	(void)sigemptyset(&signals);
	(void)sigaddset(&signals, SIGINT);
	(void)sigaddset(&signals, SIGTERM);
	(void)sigaddset(&signals, SIGHUP);
	if (sigprocmask(SIG_BLOCK, &signals, NULL) < 0)
		return fault_errno(fault, -errno, "block signals");
	(void)signal(SIGPIPE, SIG_IGN);
	return 0;
}

static int read_presets(struct run *run, enum run_error *ret_error, struct fault *fault)
{
	int r = bundle_presets_read(&run->presets, run->setup.bundle, fault);

	*ret_error = r == -ENOMEM ? RUN_ERROR_OTHER : RUN_ERROR_DATA;
	if (r == 0)
		*ret_error = RUN_ERROR_OTHER;
	return r;
}

static int open_trace(struct run *run, struct fault *fault)
{
	struct timespec now;
	struct trace_setup setup = {
		.bundle = run->setup.bundle,
		.policy = run->setup.policy->name,
		.parameters = run->setup.parameters,
		.enforcer = run->enforcer->ops->name,
		.meter = run->meter->ops->name,
		.guarantee = guarantee_to_string(run->enforcer->guarantee),
		.capacity_cpus = run->setup.capacity_cpus,
	};
	int r;

	if (!run->setup.trace_path)
		return 0;
	(void)clock_gettime(CLOCK_REALTIME, &now);
	setup.started_realtime_ns = (uint64_t)now.tv_sec * NSEC_PER_SEC + (uint64_t)now.tv_nsec;
	r = trace_recorder_new(&run->trace, run->setup.trace_path, &setup, fault);
	if (r == 0)
		run->recorders[run->n_recorders++] = trace_recorder_recorder(run->trace);
	return r;
}

static void chosen(void *userdata, const char *sentence)
{
	const struct run *run = userdata;

	run->setup.say("%s", sentence);
}

/* What is made on the machine, and what watches it. */
static int set_up_machine(struct run *run, enum run_error *ret_error, struct fault *fault)
{
	const struct bundle *bundle = run->setup.bundle;
	double budget_cpus = timeline_least(&bundle->budget, 0, bundle->slot_ns);
	struct enforcer_setup setup = {
		.run = run->name,
		.n_tasks_max = (uint32_t)bundle->n_tasks,
		.budget_cpus = budget_cpus > 0 ? budget_cpus : timeline_most(&bundle->budget),
		.capacity_cpus = run->setup.capacity_cpus,
		.is_dry = run->setup.is_dry,
		.task_uid = geteuid(),
	};
	const struct choose_listener listener = {
		.userdata = run, .chosen = chosen, .warned = chosen};
	int r;

	r = choose_enforcer(&run->enforcer, &setup, run->setup.enforcer,
		run->setup.say ? &listener : NULL, fault);
	if (r < 0) {
		*ret_error = r == -EACCES || r == -EPERM ? RUN_ERROR_PERMISSION
							 : RUN_ERROR_ENFORCER;
		return r;
	}
	r = choose_meter(&run->meter, run->enforcer, setup.n_tasks_max, run->setup.meter,
		run->setup.say ? &listener : NULL, fault);
	if (r < 0)
		*ret_error = RUN_ERROR_ENFORCER;
	return r;
}

static int set_up_loop(struct run *run, struct fault *fault)
{
	struct stage_process_setup stage_setup = {
		.bundle = run->setup.bundle,
		.keeper = run->keeper,
		.enforcer = run->enforcer,
		.meter = run->meter,
		.presets = run->presets,
		.learner_directory = learner_directory(),
		.output_directory = run->setup.output_directory,
		.is_verbose = run->setup.is_verbose,
	};
	struct governor_setup setup = {
		.bundle = run->setup.bundle,
		.policy = run->setup.policy,
		.parameters = run->setup.parameters,
		.enforcer = run->enforcer,
		.meter = run->meter,
		.recorders = run->recorders,
		.n_recorders = run->n_recorders,
	};
	int r = sd_event_new(&run->event);

	if (r < 0)
		return fault_errno(fault, r, "event loop");
	stage_setup.event = run->event;
	r = stage_process_new(&run->stage, &stage_setup, fault);
	if (r < 0)
		return r;
	setup.stage = stage_process_stage(run->stage);
	r = governor_new(&run->governor, &setup, fault);
	return r < 0 ? r : add_sources(run, fault);
}

/* What holds the CPUs may take the tasks, too. */
static int tell_way_out(int error, struct fault *fault)
{
	struct fault why = *fault;

	if (!neighbours_have_service())
		return error;
	return fault_set(fault, error,
		"%s; " RUN_NAME_OF_SERVICE
		" is the governor of this machine, and --submit would run this bundle "
		"under it",
		why.text);
}

static int set_up(struct run *run, enum run_error *ret_error, struct fault *fault)
{
	const struct bundle *bundle = run->setup.bundle;
	int r;

	if (bundle->n_tasks > RUN_TASKS_MAX) {
		*ret_error = RUN_ERROR_DATA;
		return fault_set(fault, -EBADMSG,
			"%s: %zu tasks; a real run takes at most %d (split the bundle, or use "
			"`coregov simulate`)",
			bundle->path, bundle->n_tasks, RUN_TASKS_MAX);
	}
	if (!(timeline_most(&bundle->budget) > 0)) {
		*ret_error = RUN_ERROR_DATA;
		return fault_set(fault, -EBADMSG,
			"%s: the budget is 0 at all times: no task could ever run", bundle->path);
	}
	r = read_presets(run, ret_error, fault);
	if (r == 0)
		r = run_name_make(run->name, fault);
	if (r < 0)
		return r;
	/* What cannot be cleared is of another user, or will be next time. */
	(void)leftover_clear(/* fault= */ NULL);
	r = neighbours_claim(run->name, timeline_most(&bundle->budget), run->setup.capacity_cpus,
		&run->claim_fd, fault);
	if (r == -EDQUOT) {
		*ret_error = RUN_ERROR_BUDGET;
		r = tell_way_out(r, fault);
	}
	if (r == 0)
		r = keeper_start(&run->keeper, run->name, fault);
	if (r == 0) {
		descriptors_raise();
		r = block_signals(fault);
	}
	if (r == 0)
		r = set_up_machine(run, ret_error, fault);
	if (r == 0)
		r = open_trace(run, fault);
	if (r == 0 && run->setup.view)
		run->recorders[run->n_recorders++] = run->setup.view;
	return r < 0 ? r : set_up_loop(run, fault);
}

int run_new(struct run **ret_run, const struct run_setup *setup, enum run_error *ret_error,
	struct fault *fault)
{
	struct run *run = calloc(1, sizeof(*run));
	int r, ignored;

	*ret_error = RUN_ERROR_OTHER;
	if (!run)
		return fault_errno(fault, -ENOMEM, "run");
	run->setup = *setup;
	run->claim_fd = -EBADF;
	r = set_up(run, ret_error, fault);
	if (r < 0) {
		(void)run_free(run, /* result_json= */ NULL, &ignored, /* fault= */ NULL);
		return r;
	}
	*ret_run = run;
	return 0;
}

int run_loop(struct run *run, int *ret_signo, struct fault *fault)
{
	int r = 0;

	if (!governor_is_done(run->governor)) {
		run->start_ns = monotonic_ns();
		stage_process_begin(run->stage, run->start_ns);
		r = arm(run, run->slot_timer, 0);
		if (r >= 0 && run->enforcer->tick_ns > 0)
			r = arm(run, run->tick_timer, run->enforcer->tick_ns);
		if (r >= 0)
			r = sd_event_loop(run->event);
	}
	*ret_signo = run->signo;
	if (r < 0)
		return fault_errno(fault, r, "event loop");
	if (run->error < 0)
		return fault_set(fault, run->error, "%s",
			run->fault.text[0] != '\0' ? run->fault.text : strerror(-run->error));
	return 0;
}

void run_result(const struct run *run, struct result_setup *ret_result)
{
	*ret_result = (struct result_setup){
		.bundle = run->setup.bundle,
		.governor = run->governor,
		.policy = run->setup.policy->name,
		.parameters = run->setup.parameters,
		.enforcer = run->setup.is_dry ? "none" : run->enforcer->ops->name,
		.meter = run->meter->ops->name,
		.guarantee = guarantee_to_string(run->enforcer->guarantee),
	};
}

const char *run_last_words(const struct run *run, uint32_t task)
{
	return stage_process_last_words(run->stage, task);
}

uint64_t run_lost_bytes(const struct run *run, uint32_t task, int *ret_error)
{
	return stage_process_lost_bytes(run->stage, task, ret_error);
}

static void trace_outcomes(struct run *run)
{
	for (uint32_t id = 0; run->governor && id < run->setup.bundle->n_tasks; id++) {
		struct task_status status;

		governor_task_status(run->governor, id, &status);
		trace_recorder_outcome(run->trace, id, &status);
	}
}

struct run *run_free(
	struct run *run, const char *result_json, int *ret_trace_error, struct fault *fault)
{
	int r = 0;

	*ret_trace_error = 0;
	if (!run)
		return NULL;
	if (run->trace)
		trace_outcomes(run);
	run->governor = governor_free(run->governor);
	run->stage = stage_process_free(run->stage);
	if (run->meter)
		run->meter = run->meter->ops->close(run->meter);
	if (run->enforcer)
		run->enforcer = run->enforcer->ops->close(run->enforcer);
	run->keeper = keeper_stop(run->keeper);
	if (run->trace)
		r = trace_recorder_close(run->trace, result_json, fault);
	(void)sd_event_source_disable_unref(run->slot_timer);
	(void)sd_event_source_disable_unref(run->deadline_timer);
	(void)sd_event_source_disable_unref(run->tick_timer);
	(void)sd_event_unref(run->event);
	run->presets = preset_set_free(run->presets);
	cleanup_close(&run->claim_fd);
	free(run);
	*ret_trace_error = r;
	return NULL;
}
