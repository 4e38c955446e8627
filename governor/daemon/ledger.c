// SPDX-License-Identifier: GPL-2.0-or-later
#include "ledger.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cleanup.h"
#include "leftover.h"

/* The file: a head, what is kept of the whole, and for each seat two copies of its task, each behind a count. The copy
 * with the higher count holds. A copy's count is written when all of it has been, so one that was being
 * written when its daemon was killed has the lower count.
 *
 * It is written with pwrite(2), not through a mapping: a full /run is an error then, and no signal. */

#define MAGIC "coregov"
#define BOOT_ID_PATH "/proc/sys/kernel/random/boot_id"
#define BOOT_ID_MAX 40

/* Read by every version, as is the whole. */
struct file_head {
	char magic[8];
	uint32_t version;
	uint32_t task_size;
	char boot[BOOT_ID_MAX];
	struct ledger_head head;
};

struct copy {
	uint64_t count; /* 0: never written */
	struct ledger_task task;
};

struct ledger {
	int fd;
	char boot[BOOT_ID_MAX];
	uint32_t n_seats;
	uint64_t *counts; /* by seat: the higher one. n_seats of them */
};

DEFINE_CLEANUP_FUNC(struct ledger, ledger_free)

/* More were never written. */
#define COUNT_MAX (UINT64_MAX / 2)

#define WHOLE_AT ((off_t)sizeof(struct file_head))
#define COPIES_AT (WHOLE_AT + (off_t)sizeof(struct ledger_whole))

static off_t copy_at(uint32_t seat, uint64_t count)
{
	return COPIES_AT + (off_t)((2 * (uint64_t)seat + count % 2) * sizeof(struct copy));
}

static int write_at(int fd, const void *bytes, size_t size, off_t at)
{
	ssize_t n = pwrite(fd, bytes, size, at);

	if (n < 0)
		return -errno;
	return (size_t)n == size ? 0 : -ENOSPC;
}

static bool read_at(int fd, void *ret_bytes, size_t size, off_t at)
{
	return pread(fd, ret_bytes, size, at) == (ssize_t)size;
}

static int read_boot(char ret_boot[static BOOT_ID_MAX], struct fault *fault)
{
	_cleanup_fclose_ FILE *file = fopen(BOOT_ID_PATH, "re");

	if (!file || !fgets(ret_boot, BOOT_ID_MAX, file))
		return fault_errno(fault, -EIO, "read " BOOT_ID_PATH);
	return 0;
}

static enum ledger_past judge(const struct ledger *ledger, const struct file_head *head)
{
	if (memcmp(head->magic, MAGIC, sizeof(MAGIC)) != 0 ||
		strncmp(head->boot, ledger->boot, BOOT_ID_MAX) != 0 ||
		!memchr(head->head.run, '\0', sizeof(head->head.run)) ||
		run_name_is_alive(head->head.run) == -EINVAL ||
		!memchr(head->head.enforcer, '\0', sizeof(head->head.enforcer)) ||
		!memchr(head->head.home, '\0', sizeof(head->head.home)))
		return LEDGER_NOTHING;
	if (head->version != LEDGER_VERSION || head->task_size != sizeof(struct ledger_task))
		return LEDGER_HEAD;
	return LEDGER_ALL;
}

/* The count of the copy that holds; 0 where there is none. */
static uint64_t read_copy(int fd, uint32_t seat, struct copy *ret_copy)
{
	uint64_t counts[2] = {0, 0}, count;

	(void)read_at(fd, &counts[0], sizeof(counts[0]), copy_at(seat, 0));
	(void)read_at(fd, &counts[1], sizeof(counts[1]), copy_at(seat, 1));
	count = counts[0] > counts[1] ? counts[0] : counts[1];
	if (count == 0 || count > COUNT_MAX ||
		!read_at(fd, ret_copy, sizeof(*ret_copy), copy_at(seat, count)))
		return 0;
	return count;
}

static int make_room(struct ledger *ledger, uint32_t n_seats)
{
	uint64_t *counts;

	if (n_seats <= ledger->n_seats)
		return 0;
	counts = reallocarray(ledger->counts, n_seats, sizeof(*counts));
	if (!counts)
		return -ENOMEM;
	memset(counts + ledger->n_seats, 0, (n_seats - ledger->n_seats) * sizeof(*counts));
	ledger->counts = counts;
	ledger->n_seats = n_seats;
	return 0;
}

static int read_past(struct ledger *ledger)
{
	struct stat status;
	off_t n_seats;
	int r;

	if (fstat(ledger->fd, &status) < 0)
		return -errno;
	n_seats = (status.st_size - COPIES_AT + 2 * (off_t)sizeof(struct copy) - 1) /
		(2 * (off_t)sizeof(struct copy));
	if (n_seats <= 0)
		return 0;
	r = make_room(ledger, n_seats > DAEMON_TASKS_MAX ? DAEMON_TASKS_MAX : (uint32_t)n_seats);
	for (uint32_t seat = 0; r == 0 && seat < ledger->n_seats; seat++) {
		struct copy copy;

		ledger->counts[seat] = read_copy(ledger->fd, seat, &copy);
	}
	return r;
}

int ledger_open(struct ledger **ret_ledger, const char *path, struct ledger_head *ret_head,
	enum ledger_past *ret_past, struct fault *fault)
{
	_cleanup_(cleanup_ledger_free) struct ledger *ledger = calloc(1, sizeof(*ledger));
	struct file_head head;
	int r;

	if (!ledger)
		return fault_errno(fault, -ENOMEM, "%s", path);
	ledger->fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (ledger->fd < 0)
		return fault_errno(fault, -errno, "open %s", path);
	if (flock(ledger->fd, LOCK_EX | LOCK_NB) < 0)
		return fault_set(fault, -errno, "%s is another coregovd's", path);
	r = read_boot(ledger->boot, fault);
	if (r < 0)
		return r;
	*ret_past = read_at(ledger->fd, &head, sizeof(head), 0) ? judge(ledger, &head)
								: LEDGER_NOTHING;
	if (*ret_past != LEDGER_NOTHING)
		*ret_head = head.head;
	if (*ret_past == LEDGER_ALL)
		r = read_past(ledger);
	if (r < 0)
		return fault_errno(fault, r, "read %s", path);
	*ret_ledger = TAKE_PTR(ledger);
	return 0;
}

struct ledger *ledger_free(struct ledger *ledger)
{
	if (!ledger)
		return NULL;
	cleanup_close(&ledger->fd);
	free(ledger->counts);
	free(ledger);
	return NULL;
}

int ledger_begin(struct ledger *ledger, const struct ledger_head *head, struct fault *fault)
{
	struct file_head file_head = {
		.magic = MAGIC,
		.version = LEDGER_VERSION,
		.task_size = sizeof(struct ledger_task),
		.head = *head,
	};
	int r = 0;

	memcpy(file_head.boot, ledger->boot, sizeof(file_head.boot));
	ledger->n_seats = 0;
	if (ftruncate(ledger->fd, 0) < 0)
		r = -errno;
	if (r == 0)
		r = write_at(ledger->fd, &file_head, sizeof(file_head), 0);
	return r < 0 ? fault_errno(fault, r, "write down what tasks there are") : 0;
}

void ledger_read(const struct ledger *ledger, uint32_t seat, struct ledger_task *ret_task)
{
	struct copy copy;

	if (seat < ledger->n_seats && read_copy(ledger->fd, seat, &copy) > 0)
		*ret_task = copy.task;
	else
		ret_task->number = 0;
}

uint32_t ledger_n_seats(const struct ledger *ledger)
{
	return ledger->n_seats;
}

static int write_copy(struct ledger *ledger, uint32_t seat, const void *bytes, size_t size)
{
	int r = make_room(ledger, seat + 1);
	uint64_t count;

	if (r < 0)
		return r;
	count = ledger->counts[seat] + 1;
	r = write_at(
		ledger->fd, bytes, size, copy_at(seat, count) + (off_t)offsetof(struct copy, task));
	if (r == 0)
		r = write_at(ledger->fd, &count, sizeof(count), copy_at(seat, count));
	if (r == 0)
		ledger->counts[seat] = count;
	return r;
}

int ledger_keep(struct ledger *ledger, uint32_t seat, const struct ledger_task *task)
{
	return write_copy(ledger, seat, task, sizeof(*task));
}

int ledger_forget(struct ledger *ledger, uint32_t seat)
{
	const struct ledger_task none = {.number = 0};

	return write_copy(ledger, seat, &none, sizeof(none));
}

void ledger_read_whole(const struct ledger *ledger, struct ledger_whole *ret_whole)
{
	if (!read_at(ledger->fd, ret_whole, sizeof(*ret_whole), WHOLE_AT))
		*ret_whole = (struct ledger_whole){0};
}

int ledger_keep_whole(struct ledger *ledger, const struct ledger_whole *whole)
{
	return write_at(ledger->fd, whole, sizeof(*whole), WHOLE_AT);
}
