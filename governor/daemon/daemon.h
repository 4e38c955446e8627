/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>
#include <systemd/sd-event.h>

#include "bundle.h"
#include "fault.h"
#include "slot.h"

/* The governor as a service: one slot loop for tasks that come and go, submitted by whoever may. Knows
 * nothing of D-Bus: governor_bus.c turns messages into these calls, and what happens here into signals.
 *
 * A task is known by its number, from 1, which is never given twice, and by its name, which only one
 * of the tasks that run may have. One that has ended is remembered for a while (DAEMON_ENDED_MAX of
 * them), so that it can be asked for.
 *
 * Deadlines are points in time of one of two clocks: CLOCK_REALTIME where the user has named a time of
 * day, and a changed clock moves it; CLOCK_BOOTTIME where a span was asked for, which counts while the
 * machine is suspended. Nanoseconds. */

#define DAEMON_TASKS_MAX 1000 /* that run at once */
#define DAEMON_ENDED_MAX 1000 /* that are remembered */

#define DAEMON_NO_DEADLINE UINT64_MAX

/* Who does not stop holds his seat for so long. */
#define DAEMON_GRACE_MAX_NS (UINT64_C(24) * 3600 * 1000000000)

/* For the threads of a task: nobody has said. It may use the whole capacity, and what it does use is found
 * out (demand.h). */
#define DAEMON_THREADS_AUTO 0.0

struct daemon;

struct daemon_caps {
	double cpus; /* INFINITY: no cap */
	uint32_t n_tasks;
};

/* Who asks for something, where that is nobody on the bus: the configuration, a signal. */
#define DAEMON_NOBODY ((uid_t)-1)

/* What was seen and decided in one slot, in figures. */
struct daemon_slot {
	uint64_t slot;
	uint32_t n_tasks; /* that run */
	uint32_t
		n_chosen; /* of those with a target, the ones that have a share by the policy's own choice */
	double granted_cpus, used_cpus, budget_cpus;
	uint64_t late_ns;   /* after its time */
	uint64_t n_changed; /* grants that are others than in the slot before */
};

/* What has happened, for whoever keeps it. Strings are valid during the call. */
struct daemon_event {
	/* Of a task "start", "adopted", "share", "learned", "missed-deadline", "missed-target", "failed",
	 * "cancelled", "stopping", "end", "set", "paused", "resumed", "unlikely", "likely", "unheard",
	 * "page-lost", "stranger", "not-adopted", "meter"; of the whole "budget", "policy", "draining",
	 * "accepting", "not-kept", "waits", "chosen", "moved", "confined", "enforce", "foreign", "excess",
	 * "meter", "slot"; of the service around it "ready", "ending", "gave-up", "reloaded", "not-reloaded",
	 * "ignored", "bus-lost", "bus-back", "no-polkit", "log-level"; of the lines themselves "left-out". */
	const char *kind;
	const char *text; /* a sentence */
	bool has_sender;  /* somebody on the bus has asked for it */
	uid_t sender;
	/* Of a share that is told since a line of this kind follows it, which was asked for as told above; NULL:
	 * it comes by itself. */
	const char *before;
	bool comes_later; /* where it is not told now it is tried again, as it is then */
	const char *name; /* of the task; NULL: of none */
	uint64_t
		number; /* of it; 0: none, or one that is not known, and what follows of a task is not set */
	uid_t owner;
	uint64_t slot;
	double share_cpus, old_share_cpus; /* in force now, and as told before; nan: never told */
	double value;                      /* newest report, nan where none */
	uint64_t cpu_ns;
	/* By the forecast, of a task with a target that has reported; nan where it is not known. What is told
	 * with "learned" was forecast when it was looked at last before. */
	double chance; /* to reach its target in time, 0 to 1, if it has all that it can use */
	double need_s; /* CPU-seconds with which it would be likely; INFINITY: none are enough */
	double left_s; /* CPU-seconds that it can have until its deadline; INFINITY: it has none */
	/* 0 or NULL where it is of something else. */
	double budget_cpus, old_budget_cpus;
	const char *policy, *old_policy;
	const struct daemon_slot *made; /* of "slot" */
};

struct daemon_setup {
	sd_event *event;
	double capacity_cpus; /* of the machine, > 0 */
	double budget_cpus;   /* in (0, capacity] */
	uint64_t slot_ns;
	const char *policy;       /* one that need not know all tasks before they come */
	const double *parameters; /* of that policy, beside its table; NULL: the usual; not kept */
	const char *enforcer, *meter; /* forced, or NULL */
	uint32_t n_tasks_max;         /* 1 .. DAEMON_TASKS_MAX */
	double floor_cpus;            /* the least of a task that has a target, while it is alive */
	/* Where it writes down what tasks there are. If another daemon has done so before, and it is that
	 * machine and that boot, then this one goes on with them. NULL: nowhere. */
	const char *ledger_path;
	/* The claim on the machine's CPUs is the service's (service_claim.h), and not one among those of runs. */
	bool is_machines;
	/* It is told of a task that it has reported nothing after so much; 0: the usual (outlook.h). */
	uint64_t unheard_cpu_ns;
	/* Its share is told again after so much; 0: the usual (share_told.h). */
	uint64_t share_pause_ns;
	void *userdata;
	/* What the tasks of one user may be and have together. NULL: anything. Asked whenever one is
	 * submitted, and by daemon_refresh_caps(). */
	struct daemon_caps (*caps_of)(void *userdata, uid_t owner);
	/* Or NULL. False: it was left out, since there are too many. */
	bool (*keep_event)(void *userdata, const struct daemon_event *event);
	/* Is an event "slot" of each slot wanted, too? NULL: never. */
	bool (*wants_slots)(void *userdata);
	/* Descriptors that are there when the next daemon starts, by name: kept, taken out (owned by the
	 * caller then, or -ENOENT), and let go of. All three, or NULL. */
	void (*keep_fd)(void *userdata, const char *name, int fd);
	int (*take_fd)(void *userdata, const char *name);
	void (*drop_fd)(void *userdata, const char *name);
	/* A slot has been made, or the last task is gone, or draining has begun or ended; or NULL. From the
	 * event loop, as a listener is, and also while there is none. */
	void (*keep_slot)(void *userdata);
};

enum daemon_clock {
	DAEMON_REALTIME,
	DAEMON_BOOTTIME,
};

struct daemon_deadline {
	enum daemon_clock clock;
	uint64_t at_ns; /* or DAEMON_NO_DEADLINE */
};

/* What is asked for. Strings are copied. */
struct daemon_submission {
	int pidfd; /* of a process of the owner that waits at its gate; duplicated */
	pid_t pid; /* read through it */
	uid_t owner;
	const char *scope;       /* see daemon_wants_scopes(); NULL: none */
	const char *name;        /* NULL: made from the command, with a number where it is taken */
	const char *const *argv; /* for whoever looks; NULL-ended */
	const char *directory;   /* likewise */
	bool has_target;
	struct target target;
	struct daemon_deadline deadline;
	double threads; /* > 0, or DAEMON_THREADS_AUTO; likewise below */
	enum at_end on_target, on_deadline;
	uint64_t grace_ns;
};

/* What the forecast says of a task. */
enum prospect {
	PROSPECT_UNKNOWN, /* it has reported too little, or has no target */
	PROSPECT_LIKELY,
	PROSPECT_UNLIKELY,
};
const char *prospect_to_string(enum prospect prospect);

/* Errors beside the usual ones, each with its sentence: -EEXIST the name is taken, -EDQUOT over a limit,
 * -ESHUTDOWN draining, -ESRCH the process is gone or not at its gate, -ENOENT no such task, -EALREADY it
 * has its outcome, -ERANGE a deadline that has passed, -EINVAL other bad values. A process that could not be
 * put into its place is none of these: -EIO, or the kernel's own (-ENOMEM, -EMFILE, ...). */

/* Would it be taken, as things are? 0 and what it would be called, or as daemon_submit(). */
int daemon_check(const struct daemon *daemon, const struct daemon_submission *submission,
	char ret_name[static TASK_NAME_MAX + 1], struct fault *fault);
/* The process of a task that is submitted has to be in a scope of its own in coregov.slice (scope_maker.h), and
 * `scope` is its name. */
bool daemon_wants_scopes(const struct daemon *daemon);

/* What is in a scope that was made for a task of `sender`, and will not be one, has next to nothing until it
 * ends. why: the sentence that it was refused with. */
void daemon_confine(const struct daemon *daemon, const char *scope, uid_t sender, const char *why);

/* When it returns the process is in its place and governed, and stands still until it is decided what it may
 * use: when the event loop has no more messages, or with the next slot. *ret_page_fd (the page's memfd) stays the daemon's; *ret_token is what the task's environment
 * has to carry, see page_environment(). */
int daemon_submit(struct daemon *daemon, const struct daemon_submission *submission,
	uint64_t *ret_number, int *ret_page_fd, uint64_t *ret_token, struct fault *fault);

/* A process that the daemon before had taken when it went, and whose launcher asks again, since it has had no
 * answer. True and the rest as by daemon_submit(), once for each; false: it is none of these. */
bool daemon_take_again(struct daemon *daemon, const struct daemon_submission *submission,
	uint64_t *ret_number, int *ret_page_fd, uint64_t *ret_token);

/* How its first process has ended, told by who waited for it. Without it the end is seen all the same,
 * and the status is not known. */
int daemon_ended(struct daemon *daemon, uint64_t number, int exit_status, struct fault *fault);

/* What is to be otherwise; all of it, or nothing. */
struct daemon_change {
	bool has_deadline, has_target, has_threads;
	struct daemon_deadline deadline;
	struct target target; /* metric "": none any more */
	double threads;
};
/* sender: who asks for it, here and below; DAEMON_NOBODY where it is nobody on the bus. It is told with what
 * is told of the change. */
int daemon_change(struct daemon *daemon, uint64_t number, const struct daemon_change *change,
	uid_t sender, struct fault *fault);
/* Asks it to stop, and sees to it within its grace; the second time it is killed. */
int daemon_cancel(struct daemon *daemon, uint64_t number, uid_t sender, struct fault *fault);
int daemon_pause(
	struct daemon *daemon, uint64_t number, bool is_paused, uid_t sender, struct fault *fault);

/* budget_cpus in (0, capacity]; in force when it returns, also where it is as before and somebody else has set
 * another. */
int daemon_set_budget(struct daemon *daemon, double budget_cpus, uid_t sender, struct fault *fault);
/* The same, by the configuration: the next daemon keeps a budget that was set meanwhile only where its own
 * configuration still says this. */
int daemon_configure_budget(
	struct daemon *daemon, double budget_cpus, uid_t sender, struct fault *fault);
/* One that need not know all tasks before they come, or the same with other parameters (NULL: the usual ones);
 * in force with the next decision, which is made. Where it decides as the one in force nothing is done. */
int daemon_set_policy(struct daemon *daemon, const char *policy, const double parameters[],
	uid_t sender, struct fault *fault);
void daemon_set_floor(struct daemon *daemon, double floor_cpus);
/* The users' caps are others. */
void daemon_refresh_caps(struct daemon *daemon);
/* Draining: no task is taken, those that are there run on. */
void daemon_drain(struct daemon *daemon, bool is_draining, uid_t sender);

struct daemon_task_info {
	uint64_t number;
	const char *name;
	uid_t owner;
	pid_t pid;
	const char *const *argv;
	const char *directory;
	bool has_target;
	struct target target;
	struct daemon_deadline deadline;
	double threads;
	enum phase phase;
	bool is_paused;
	enum outcome outcome;
	double share_cpus;
	uint64_t cpu_ns;
	double value; /* newest report, nan where none */
	uint64_t n_reports;
	const char *feed; /* "shm", "none" */
	enum prospect prospect;
	bool is_unheard; /* it has a target and has reported nothing for too long */
	uint64_t began_realtime_ns, finished_realtime_ns; /* 0: not yet */
	int exit_status;                                  /* -1: not known */
};

/* The task with the least number above `after`; false where there is none. Strings are valid until the
 * daemon is called again. */
bool daemon_next_task(
	const struct daemon *daemon, uint64_t after, struct daemon_task_info *ret_info);
bool daemon_task(const struct daemon *daemon, uint64_t number, struct daemon_task_info *ret_info);
/* The newest of that name, running ones first; 0 where there is none. */
uint64_t daemon_find(const struct daemon *daemon, const char *name);

struct daemon_info {
	const char *run; /* the group that holds the budget */
	const char *policy, *enforcer, *meter, *guarantee;
	uint64_t slot_ns;
	double capacity_cpus, budget_cpus, granted_cpus,
		used_cpus;  /* the last two: of the last slot, which may have been a short one */
	uint32_t n_tasks;   /* that run */
	uint32_t n_at_risk; /* of those, unlikely to make it */
	uint64_t n_slots;   /* made since it was started */
	uint64_t n_missed;  /* not made: it came later than the next one was due */
	uint64_t n_late; /* made, by more than a tenth of their length too late (slot_is_late()) */
	uint64_t worst_late_ns;
	bool is_draining;
};
void daemon_info(const struct daemon *daemon, struct daemon_info *ret_info);
/* Are slots made? False where the next one is late by several, so that nobody divides the budget. While there is no
 * task none is due. */
bool daemon_is_in_time(const struct daemon *daemon);
/* How many more tasks of that user would be taken now. */
uint32_t daemon_n_vacant(const struct daemon *daemon, uid_t owner);

/* Who hears of what happens. Any may be NULL. Not called from within the calls above, but from the
 * event loop. */
struct daemon_listener {
	void *userdata;
	void (*added)(void *userdata, uint64_t number);
	void (*removed)(void *userdata, uint64_t number); /* forgotten */
	/* Something about it may be other than it was: after each slot, a change that was asked for, and its end.
	 * False: it could not be passed on, and is told again. */
	bool (*changed)(void *userdata, uint64_t number);
	void (*unheard)(void *userdata,
		uint64_t number); /* has a target and has reported nothing for too long */
	void (*ended)(void *userdata, uint64_t number);
	/* After each slot, and where something about the whole is other than it was. As changed. */
	bool (*slot)(void *userdata);
};
void daemon_listen(struct daemon *daemon, const struct daemon_listener *listener);

/* Chooses enforcer and meter, takes over the tasks that another daemon has left (ledger_path), and begins with
 * the slots as soon as there is a task: without one nothing wakes up. Nothing is left behind where it fails. */
int daemon_new(struct daemon **ret_daemon, const struct daemon_setup *setup, struct fault *fault);
/* Tasks that still run are let go: they run on, with no limit but the budget around them all, until a daemon
 * takes them over. NULL is fine; returns NULL. */
struct daemon *daemon_free(struct daemon *daemon);
