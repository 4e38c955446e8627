// SPDX-License-Identifier: GPL-2.0-or-later
#include "service_claim.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "cleanup.h"
#include "nsec.h"

#define CLAIM_PATH SERVICE_CLAIM_DIRECTORY "/budget"
#define LOCK_PATH SERVICE_CLAIM_DIRECTORY "/lock"
#define SLICE_EVENTS "/sys/fs/cgroup/coregov.slice/cgroup.events"
#define TEXT_SIZE 128 /* always as long: it is written in one go */

#define PATIENCE_NS (5 * NSEC_PER_SEC) /* each is held for well under a millisecond */
#define SERVICE_PATIENCE_NS (100 * NSEC_PER_MSEC)
#define PAUSE_NS (2 * NSEC_PER_MSEC)

/* 0, or -EWOULDBLOCK where somebody keeps it, or another negative errno. */
static int lock_patiently(int fd, uint64_t patience_ns)
{
	static const struct timespec pause = {.tv_nsec = PAUSE_NS};

	for (uint64_t waited_ns = 0;; waited_ns += PAUSE_NS) {
		if (flock(fd, LOCK_EX | LOCK_NB) == 0)
			return 0;
		if (errno != EWOULDBLOCK || waited_ns >= patience_ns)
			return -errno;
		(void)nanosleep(&pause, NULL);
	}
}

static bool are_tasks_there(void)
{
	_cleanup_fclose_ FILE *file = fopen(SLICE_EVENTS, "re");
	char line[64];

	while (file && fgets(line, sizeof(line), file))
		if (strcmp(line, "populated 1\n") == 0)
			return true;
	return false;
}

static bool parse(const char *text, struct service_claim *ret_claim)
{
	char run[RUN_NAME_MAX];
	int n_read = 0;

	_Static_assert(RUN_NAME_MAX >= 64, "for the width below");
	if (sscanf(text, "%63s %" SCNu64 " %n", run, &ret_claim->microcpus, &n_read) != 2 ||
		n_read == 0 || text[n_read] != '\0')
		return false;
	(void)strcpy(ret_claim->run, run);
	return true;
}

bool service_claim_read(struct service_claim *ret_claim)
{
	_cleanup_close_ int fd = open(CLAIM_PATH, O_RDONLY | O_CLOEXEC);
	char text[TEXT_SIZE + 1] = "";

	if (fd < 0 || read(fd, text, TEXT_SIZE) <= 0 || !parse(text, ret_claim))
		return false;
	if (flock(fd, LOCK_SH | LOCK_NB) < 0)
		return true; /* its daemon has it */
	return are_tasks_there();
}

int service_claim_open(struct fault *fault)
{
	_cleanup_close_ int fd = -EBADF, lock_fd = -EBADF;
	int r;

	/* Whoever shuts others out by it shows himself in /proc/locks. */
	lock_fd = open(LOCK_PATH, O_RDONLY | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0444);
	if (lock_fd < 0)
		return fault_errno(fault, -errno, "open " LOCK_PATH);
	fd = open(CLAIM_PATH, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0644);
	if (fd < 0)
		return fault_errno(fault, -errno, "open " CLAIM_PATH);
	/* The mask may be anything; others are to read both. */
	if (fchmod(lock_fd, 0444) < 0 || fchmod(fd, 0644) < 0)
		return fault_errno(fault, -errno, "let others read " CLAIM_PATH);
	/* Others, who look, have it for a moment. Whoever can read it can keep it, too, and then does for us what
	 * the lock is for: that the claim holds. Another coregovd is kept out by the ledger's. */
	r = lock_patiently(fd, SERVICE_PATIENCE_NS);
	return r < 0 && r != -EWOULDBLOCK ? fault_errno(fault, r, "lock " CLAIM_PATH) : TAKE_FD(fd);
}

int service_claim_write(int fd, const struct service_claim *claim)
{
	char text[TEXT_SIZE + 1];
	int n = snprintf(text, sizeof(text), "%s %" PRIu64, claim->run, claim->microcpus);

	if (n < 0 || n >= TEXT_SIZE)
		return -ENAMETOOLONG;
	memset(text + n, ' ', (size_t)(TEXT_SIZE - n));
	text[TEXT_SIZE - 1] = '\n';
	if (pwrite(fd, text, TEXT_SIZE, 0) != TEXT_SIZE)
		return errno > 0 ? -errno : -EIO;
	return 0;
}

int service_claim_lock(bool is_service, struct fault *fault)
{
	_cleanup_close_ int fd = open(LOCK_PATH, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
	int r;

	if (fd < 0 && errno == ENOENT)
		return -ENOENT;
	if (fd < 0)
		return fault_errno(fault, -errno, "open " LOCK_PATH);
	r = lock_patiently(fd, is_service ? SERVICE_PATIENCE_NS : PATIENCE_NS);
	if (r == -EWOULDBLOCK && is_service) /* nobody stops the machine's governor by that */
		return TAKE_FD(fd);
	if (r == -EWOULDBLOCK)
		return fault_set(
			fault, -EBUSY, "somebody keeps " LOCK_PATH " locked (see `lslocks`)");
	return r < 0 ? fault_errno(fault, r, "lock " LOCK_PATH) : TAKE_FD(fd);
}
