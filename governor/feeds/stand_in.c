// SPDX-License-Identifier: GPL-2.0-or-later
#include "stand_in.h"

#include <errno.h>
#include <fcntl.h>
#include <math.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "cleanup.h"
#include "nsec.h"
#include "progress/layout.h"
#include "progress/put.h"

/* One writer at a time is the page's rule, and the task itself has the right of way. A stand-in owns
 * the page under a number that is no pid, which every claimer takes for a process that is gone; each
 * of its writes happens under the record lock that a claimer holds while it claims. So the task
 * takes over between two reports, never within one, and the ring goes on where the stand-in left it.
 *
 * The mapping belongs to a process of the task's user, and the page comes from a governor of more
 * rights, not less: only its form is checked. */

/* A claimer holds the lock for some microseconds, unless it is frozen while it does. */
#define LOCK_TRIES 20
#define LOCK_PAUSE_NS 1000000L

struct stand_in {
	int fd;                      /* owned */
	struct coregov_page *shared; /* mapped */
	struct target target;
	struct coregov_writer writer;
	uint64_t owner; /* ours */
};

static void cleanup_stand_in(struct stand_in **stand_in)
{
	(void)stand_in_free(*stand_in);
}

static bool is_page(int fd)
{
	const int seals = fcntl(fd, F_GET_SEALS);
	struct coregov_governor_side side;
	struct stat status;

	if (seals < 0 || (seals & F_SEAL_SHRINK) == 0 || (seals & F_SEAL_GROW) == 0)
		return false;
	if (fstat(fd, &status) < 0 || status.st_size < (off_t)sizeof(struct coregov_page))
		return false;
	if (pread(fd, &side, sizeof(side), 0) != (ssize_t)sizeof(side))
		return false;
	return side.magic == COREGOV_PAGE_MAGIC && side.version == COREGOV_PAGE_VERSION &&
		(off_t)side.size == status.st_size;
}

static void copy_target(struct stand_in *stand_in)
{
	const struct coregov_governor_side *side = &stand_in->shared->governor;
	struct target *target = &stand_in->target;

	static_assert(sizeof(target->metric) == sizeof(side->target_metric), "it fits");
	memcpy(target->metric, side->target_metric, sizeof(target->metric));
	target->metric[sizeof(target->metric) - 1] = '\0';
	if (target->metric[0] == '\0')
		strcpy(target->metric, "loss");
	target->value = side->target_value;
	target->is_raised = side->target_is_raised != 0;
	target->in_a_row = side->target_in_a_row > 0 ? side->target_in_a_row : 1;
	stand_in->writer = (struct coregov_writer){
		.target_value = target->value,
		.is_raised = target->is_raised,
		.in_a_row = target->in_a_row,
	};
}

int stand_in_new(struct stand_in **ret_stand_in, int page_fd, struct fault *fault)
{
	_cleanup_(cleanup_stand_in) struct stand_in *stand_in = calloc(1, sizeof(*stand_in));
	void *map;

	if (!stand_in)
		return fault_errno(fault, -ENOMEM, "progress page");
	stand_in->owner = COREGOV_STAND_IN + (uint64_t)getpid();
	stand_in->fd = fcntl(page_fd, F_DUPFD_CLOEXEC, 3);
	if (stand_in->fd < 0)
		return fault_errno(fault, -errno, "progress page");
	if (!is_page(stand_in->fd))
		return fault_set(fault, -EPROTO,
			"what came as the progress page is none that this version knows");
	map = mmap(NULL, sizeof(struct coregov_page), PROT_READ | PROT_WRITE, MAP_SHARED,
		stand_in->fd, 0);
	if (map == MAP_FAILED)
		return fault_errno(fault, -errno, "map the progress page");
	stand_in->shared = map;
	copy_target(stand_in);
	*ret_stand_in = TAKE_PTR(stand_in);
	return 0;
}

struct stand_in *stand_in_free(struct stand_in *stand_in)
{
	if (!stand_in)
		return NULL;
	if (stand_in->shared)
		(void)munmap(stand_in->shared, sizeof(*stand_in->shared));
	cleanup_close(&stand_in->fd);
	free(stand_in);
	return NULL;
}

uint64_t stand_in_token(const struct stand_in *stand_in)
{
	return stand_in->shared->governor.token;
}

const struct target *stand_in_target(const struct stand_in *stand_in)
{
	return &stand_in->target;
}

static bool lock_page(const struct stand_in *stand_in)
{
	struct flock lock = {.l_type = F_WRLCK, .l_whence = SEEK_SET, .l_start = 0, .l_len = 8};
	const struct timespec pause = {.tv_nsec = LOCK_PAUSE_NS};

	for (int i = 0; i < LOCK_TRIES; i++) {
		if (fcntl(stand_in->fd, F_SETLK, &lock) == 0)
			return true;
		(void)nanosleep(&pause, NULL);
	}
	return false;
}

static void unlock_page(const struct stand_in *stand_in)
{
	struct flock lock = {.l_type = F_UNLCK, .l_whence = SEEK_SET, .l_start = 0, .l_len = 8};

	(void)fcntl(stand_in->fd, F_SETLK, &lock);
}

static void put_facts(struct coregov_task_side *task, const struct progress_facts *facts)
{
	if (facts->steps_done > 0)
		put_word(&task->steps_done, facts->steps_done);
	put_word(&task->steps_total, facts->steps_total);
	put_word(&task->samples_seen, facts->samples_seen);
	if (isfinite(facts->epoch) && facts->epoch >= 0)
		put_double(&task->epoch, facts->epoch);
}

/* Under the lock. */
static int write_page(struct stand_in *stand_in, const struct report reports[], size_t n_reports,
	const struct progress_facts *facts)
{
	struct coregov_task_side *task = &stand_in->shared->task;
	uint64_t owner = __atomic_load_n(&task->owner, __ATOMIC_ACQUIRE);

	if (owner == 0)
		__atomic_store_n(&task->owner, stand_in->owner, __ATOMIC_RELEASE);
	else if (owner != stand_in->owner)
		return 0;
	for (size_t i = 0; i < n_reports; i++)
		put_report(&stand_in->writer, task, reports[i].step, reports[i].stamp_ns,
			/* mask= */ 1, &reports[i].value);
	if (facts)
		put_facts(task, facts);
	return 1;
}

int stand_in_report(struct stand_in *stand_in, const struct report reports[], size_t n_reports,
	const struct progress_facts *facts)
{
	int r;

	if (!lock_page(stand_in)) {
		(void)__atomic_add_fetch(
			&stand_in->shared->task.n_lost, n_reports, __ATOMIC_RELAXED);
		return -EBUSY;
	}
	r = write_page(stand_in, reports, n_reports, facts);
	unlock_page(stand_in);
	return r;
}
