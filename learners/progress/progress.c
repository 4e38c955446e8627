// SPDX-License-Identifier: MIT
#include "coregov-progress.h"

#include <errno.h>
#include <math.h>
#include <pthread.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "attach.h"
#include "put.h"

/* The task's side of the progress page (layout.h).
 *
 * A report costs one read of the clock (a vdso call, the larger half), one exchange for the turn,
 * and some twenty stores; it makes no system call. Everything slow happens at the first call:
 * finding the page, claiming it. What became of that is one word, `standing`, which every call
 * looks at first.
 *
 * A child made by fork has the parent's mapping but is not the writer. Asking for the pid at each
 * report would be a system call, so a handler of pthread_atfork() puts the child's standing back to
 * "not claimed yet". It also frees the turn, which another thread of the parent may have held.
 *
 * The stamp is taken while holding the turn, so stamps never go backwards. */

#define TURN_TRIES 1000

enum standing {
	STANDING_UNKNOWN, /* the environment was not looked at yet */
	STANDING_OUTSIDE, /* no page: every call does nothing */
	STANDING_READER,  /* mapped, not claimed yet */
	STANDING_OTHER,   /* mapped, and another process is the writer */
	STANDING_WRITER,
};

static int standing = STANDING_UNKNOWN;   /* enum standing; atomic */
static bool is_taken;                     /* the turn; atomic */
static struct coregov_page *page;         /* set once, before standing says so; never unmapped */
static struct coregov_target_info target; /* copied from the page with it */
static struct coregov_writer writer;      /* by turn */

static pthread_mutex_t slow_path = PTHREAD_MUTEX_INITIALIZER;

static void start_again_in_child(void)
{
	if (standing == STANDING_WRITER || standing == STANDING_OTHER)
		standing = STANDING_READER;
	is_taken = false;
	slow_path = (pthread_mutex_t)PTHREAD_MUTEX_INITIALIZER;
}

static void copy_target(const struct coregov_governor_side *governor)
{
	memcpy(target.metric, governor->target_metric, sizeof(target.metric));
	target.metric[sizeof(target.metric) - 1] = '\0';
	target.value = governor->target_value;
	target.is_raised = governor->target_is_raised != 0;
	target.in_a_row = governor->target_in_a_row;
	writer = (struct coregov_writer){
		.target_value = target.value,
		.is_raised = target.is_raised,
		.in_a_row = target.in_a_row,
	};
}

/* Under slow_path. Returns the new standing, or -EPROTO. */
static int look_around(void)
{
	static bool has_handler;
	int r;

	r = attach_page(secure_getenv(COREGOV_PROGRESS_VARIABLE), &page);
	if (r > 0) {
		copy_target(&page->governor);
		if (!has_handler)
			has_handler = pthread_atfork(NULL, NULL, start_again_in_child) == 0;
	}
	__atomic_store_n(&standing, r > 0 ? STANDING_READER : STANDING_OUTSIDE, __ATOMIC_RELEASE);
	return r < 0 ? r : standing;
}

/* Under slow_path. Returns the new standing, or a negative errno. */
static int claim(void)
{
	int r;

	r = attach_claim(secure_getenv(COREGOV_PROGRESS_VARIABLE), page);
	if (r > 0)
		writer.n_met_in_a_row = 0;
	__atomic_store_n(&standing, r > 0 ? STANDING_WRITER : STANDING_OTHER, __ATOMIC_RELEASE);
	return r < 0 ? r : standing;
}

static int settle(bool wants_to_write)
{
	const int saved = errno;
	int r;

	(void)pthread_mutex_lock(&slow_path);
	r = standing;
	if (r == STANDING_UNKNOWN)
		r = look_around();
	if (r == STANDING_READER && wants_to_write)
		r = claim();
	(void)pthread_mutex_unlock(&slow_path);
	errno = saved;
	return r;
}

/* 1: this process is the writer; 0: it is not; or a negative errno, once. */
static inline int ask_to_write(void)
{
	int now = __atomic_load_n(&standing, __ATOMIC_ACQUIRE);

	if (__builtin_expect(now == STANDING_UNKNOWN || now == STANDING_READER, 0)) {
		now = settle(/* wants_to_write= */ true);
		if (now < 0)
			return now;
	}
	return now == STANDING_WRITER;
}

static inline const struct coregov_governor_side *ask_to_read(void)
{
	int now = __atomic_load_n(&standing, __ATOMIC_ACQUIRE);

	if (__builtin_expect(now == STANDING_UNKNOWN, 0))
		now = settle(/* wants_to_write= */ false);
	return now == STANDING_READER || now == STANDING_OTHER || now == STANDING_WRITER
		? &page->governor
		: NULL;
}

static inline bool take_turn(void)
{
	for (int i = 0; i < TURN_TRIES; i++) {
		if (!__atomic_exchange_n(&is_taken, true, __ATOMIC_ACQUIRE))
			return true;
		(void)sched_yield();
	}
	(void)__atomic_add_fetch(&page->task.n_lost, 1, __ATOMIC_RELAXED);
	return false;
}

static inline void give_turn(void)
{
	__atomic_store_n(&is_taken, false, __ATOMIC_RELEASE);
}

static inline uint64_t now_ns(void)
{
	struct timespec now;

	(void)clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * UINT64_C(1000000000) + (uint64_t)now.tv_nsec;
}

/* Where a metric stands in an entry: 0 the target's, else its row + 1; or -EINVAL, -ENOSPC. */
static inline int place_of(struct coregov_task_side *task, const char *name)
{
	size_t length;

	if (__builtin_expect(!name, 0))
		return -EINVAL;
	if (strcmp(name, target.metric) == 0)
		return 0;
	length = strnlen(name, COREGOV_METRIC_NAME_MAX);
	if (length == 0 || length == COREGOV_METRIC_NAME_MAX)
		return -EINVAL;
	for (int i = 0; i < COREGOV_METRICS_MAX - 1; i++) {
		if (task->others[i].name[0] == '\0')
			memcpy(task->others[i].name, name, length + 1);
		if (strncmp(task->others[i].name, name, COREGOV_METRIC_NAME_MAX) == 0)
			return i + 1;
	}
	(void)__atomic_add_fetch(&task->n_lost, 1, __ATOMIC_RELAXED);
	return -ENOSPC;
}

static inline int report(uint64_t step, const struct coregov_metric metrics[], size_t n_metrics)
{
	struct coregov_task_side *task = &page->task;
	double values[COREGOV_METRICS_MAX];
	uint32_t mask = 0;

	for (size_t i = 0; i < n_metrics; i++) {
		const int place = place_of(task, metrics[i].name);

		if (place < 0)
			return place;
		mask |= UINT32_C(1) << place;
		values[place] = metrics[i].value;
	}
	put_report(&writer, task, step, now_ns(), mask, values);
	return 1;
}

int coregov_open(void)
{
	return ask_to_write();
}

int coregov_report_metrics(uint64_t step, const struct coregov_metric metrics[], size_t n_metrics)
{
	int r;

	r = ask_to_write();
	if (r <= 0)
		return r;
	if (!metrics || n_metrics == 0 || n_metrics > COREGOV_METRICS_MAX)
		return -EINVAL;
	if (!take_turn())
		return -EBUSY;
	r = report(step, metrics, n_metrics);
	give_turn();
	return r;
}

int coregov_report(uint64_t step, const char *metric, double value)
{
	const struct coregov_metric one = {.name = metric, .value = value};
	int r;

	r = ask_to_write();
	if (r <= 0)
		return r;
	if (!take_turn())
		return -EBUSY;
	r = report(step, &one, 1);
	give_turn();
	return r;
}

int coregov_total_steps(uint64_t n_steps)
{
	const int r = ask_to_write();

	if (r > 0)
		put_word(&page->task.steps_total, n_steps);
	return r < 0 ? 0 : r;
}

int coregov_samples(uint64_t n_samples)
{
	const int r = ask_to_write();

	if (r > 0)
		put_word(&page->task.samples_seen, n_samples);
	return r < 0 ? 0 : r;
}

int coregov_epoch(double epoch)
{
	const int r = ask_to_write();

	if (r <= 0)
		return 0;
	if (!isfinite(epoch) || epoch < 0)
		return -EINVAL;
	put_double(&page->task.epoch, epoch);
	return 1;
}

bool coregov_should_stop(void)
{
	const struct coregov_governor_side *governor = ask_to_read();

	return governor && __atomic_load_n(&governor->should_stop, __ATOMIC_RELAXED) != 0;
}

double coregov_share(void)
{
	const struct coregov_governor_side *governor = ask_to_read();
	double share = -1;

	if (governor)
		__atomic_load(&governor->share_cpus, &share, __ATOMIC_RELAXED);
	return share;
}

unsigned coregov_threads(void)
{
	const struct coregov_governor_side *governor = ask_to_read();

	return governor ? __atomic_load_n(&governor->threads, __ATOMIC_RELAXED) : 0;
}

uint64_t coregov_deadline(void)
{
	const struct coregov_governor_side *governor = ask_to_read();

	return governor ? __atomic_load_n(&governor->deadline_ns, __ATOMIC_RELAXED) : 0;
}

int coregov_target(struct coregov_target_info *ret_target)
{
	if (!ask_to_read())
		return 0;
	*ret_target = target;
	return 1;
}
