// SPDX-License-Identifier: MIT
#include "attach.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

/* The environment names two ways to the page, the inherited descriptor and a path below /proc.
 * Both may be wrong by the time they are used: the descriptor closed and its number given to
 * another file, the path that of a later process with the same pid. So each is checked, in the
 * order of what it may harm: a descriptor without seals is no memfd and is not touched further; the
 * size and the seals together say that no access to a mapping of it can fault; the token says that
 * it is the page of this very task.
 *
 * The descriptor is duplicated, used and closed again at once. Keeping it would take a number that
 * the program may count on, and closing any descriptor of a file drops the process's record locks
 * on it, which is just what ends a claim. */

#define CLAIM_TRIES 100
#define CLAIM_PAUSE_NS 1000000L
#define PATH_LENGTH_MAX 64 /* /proc/PID/fd/N */

struct address {
	int fd;
	char path[PATH_LENGTH_MAX];
	uint64_t token;
};

/* FD:PATH:TOKEN */
static bool parse_address(const char *text, struct address *ret_address)
{
	const char *path;
	const char *token;
	char *end;
	long fd;

	fd = strtol(text, &end, 10);
	if (end == text || *end != ':' || fd < -1 || fd > INT_MAX)
		return false;
	path = end + 1;
	token = strrchr(path, ':');
	if (!token || (size_t)(token - path) >= PATH_LENGTH_MAX || strncmp(path, "/proc/", 6) != 0)
		return false;
	memcpy(ret_address->path, path, (size_t)(token - path));
	ret_address->path[token - path] = '\0';
	ret_address->fd = (int)fd;
	ret_address->token = strtoull(token + 1, &end, 16);
	return end != token + 1 && *end == '\0';
}

static bool is_our_page(int fd, uint64_t token)
{
	const int seals = fcntl(fd, F_GET_SEALS);
	struct coregov_governor_side header;
	struct stat status;

	if (seals < 0 || (seals & F_SEAL_SHRINK) == 0 || (seals & F_SEAL_GROW) == 0)
		return false;
	if (fstat(fd, &status) < 0 || status.st_size < (off_t)sizeof(struct coregov_page))
		return false;
	if (pread(fd, &header, sizeof(header), 0) != (ssize_t)sizeof(header))
		return false;
	return header.magic == COREGOV_PAGE_MAGIC && header.version == COREGOV_PAGE_VERSION &&
		(off_t)header.size == status.st_size && header.token == token;
}

/* A new descriptor of the page, or -EPROTO. */
static int find_page(const char *text)
{
	struct address address;
	int fd;

	if (!parse_address(text, &address))
		return -EPROTO;
	fd = fcntl(address.fd, F_DUPFD_CLOEXEC, 3);
	if (fd >= 0) {
		if (is_our_page(fd, address.token))
			return fd;
		(void)close(fd);
	}
	/* Not to hang on a fifo, nor to get a controlling terminal, wherever it leads. */
	fd = open(address.path, O_RDWR | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
	if (fd >= 0) {
		if (is_our_page(fd, address.token))
			return fd;
		(void)close(fd);
	}
	return -EPROTO;
}

int attach_page(const char *text, struct coregov_page **ret_page)
{
	void *map;
	int fd;

	if (!text || *text == '\0')
		return 0;
	fd = find_page(text);
	if (fd < 0)
		return fd;
	map = mmap(NULL, sizeof(struct coregov_page), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	(void)close(fd);
	if (map == MAP_FAILED)
		return -EPROTO;
	*ret_page = map;
	return 1;
}

/* A frozen or stopped holder must not hang the training, so there is an end to the tries. */
static int lock_claim(int fd)
{
	struct flock lock = {.l_type = F_WRLCK, .l_whence = SEEK_SET, .l_start = 0, .l_len = 8};
	const struct timespec pause = {.tv_nsec = CLAIM_PAUSE_NS};

	for (int i = 0; i < CLAIM_TRIES; i++) {
		if (fcntl(fd, F_SETLK, &lock) == 0)
			return 0;
		(void)nanosleep(&pause, NULL);
	}
	return -EBUSY;
}

static bool is_gone(uint64_t pid)
{
	return pid > COREGOV_PID_MAX || (kill((pid_t)pid, 0) < 0 && errno == ESRCH);
}

static int claim_locked(struct coregov_task_side *task, uint64_t self)
{
	uint64_t owner = __atomic_load_n(&task->owner, __ATOMIC_ACQUIRE);

	/* The same pid: this program was executed by the one that claimed the page. */
	if (owner == self)
		return 1;
	if ((owner == 0 || is_gone(owner)) &&
		__atomic_compare_exchange_n(&task->owner, &owner, self, /* weak= */ false,
			__ATOMIC_ACQ_REL, __ATOMIC_RELAXED))
		return 1;
	(void)__atomic_add_fetch(&task->n_others, 1, __ATOMIC_RELAXED);
	return 0;
}

int attach_claim(const char *text, struct coregov_page *page)
{
	int fd, r;

	if (!text)
		return -EPROTO;
	fd = find_page(text);
	if (fd < 0)
		return fd;
	r = lock_claim(fd);
	if (r == 0)
		r = claim_locked(&page->task, (uint64_t)getpid());
	(void)close(fd); /* and with it the lock */
	return r;
}
