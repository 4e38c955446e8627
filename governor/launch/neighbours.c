// SPDX-License-Identifier: GPL-2.0-or-later
#include "neighbours.h"

#include <assert.h>
#include <errno.h>
#include <inttypes.h>
#include <math.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>

#include "cleanup.h"
#include "leftover.h"
#include "nsec.h"
#include "service_claim.h"

/* A claim is a bound socket called coregov/budget/RUN/MICROCPUS in the abstract namespace, where a
 * name lives exactly as long as somebody holds its socket: no file to clear away, no daemon to ask,
 * no right needed, and the keeper holds it on while it clears up. Nothing is ever sent to it.
 *
 * Reading the others' names and adding one's own must not interleave, or two runs that start at
 * once both see the machine free. The lock is one more abstract name: who could bind it has it. The
 * machine's coregovd, which is in no such namespace, has a claim and a lock that are files (service_claim.h).
 *
 * The names are open to everybody, so anybody can hold the lock or make a false claim. That can
 * refuse a start, which says whose name it was; it cannot make two sums fit that do not. */

#define CLAIM_PREFIX "coregov/budget/"
#define LOCK_NAME "coregov/lock"
#define LOCK_PATIENCE_NS (5 * NSEC_PER_SEC) /* it is held for well under a millisecond */
#define LOCK_PAUSE_NS (2 * NSEC_PER_MSEC)
#define MICROCPUS_PER_CPU 1e6
#define CPUS_MAX 1e6

/* Holds an abstract name. A descriptor, or a negative errno: -EADDRINUSE where it is taken. */
static int hold_name(const char *name)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	_cleanup_close_ int fd = -EBADF;
	size_t length = strlen(name);

	assert(length < sizeof(address.sun_path));
	(void)memcpy(address.sun_path + 1, name, length); /* behind a NUL: abstract */
	fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return -errno;
	if (bind(fd, (const struct sockaddr *)&address,
		    (socklen_t)(offsetof(struct sockaddr_un, sun_path) + 1 + length)) < 0)
		return -errno;
	(void)shutdown(fd, SHUT_RDWR); /* takes no letters */
	return TAKE_FD(fd);
}

static int lock(struct fault *fault)
{
	static const struct timespec pause = {.tv_nsec = LOCK_PAUSE_NS};

	for (uint64_t waited_ns = 0; waited_ns < LOCK_PATIENCE_NS; waited_ns += LOCK_PAUSE_NS) {
		int fd = hold_name(LOCK_NAME);

		if (fd >= 0)
			return fd;
		if (fd != -EADDRINUSE)
			return fault_errno(fault, fd, "bind the socket '@" LOCK_NAME "'");
		(void)nanosleep(&pause, NULL);
	}
	return fault_set(
		fault, -EBUSY, "somebody keeps the socket '@" LOCK_NAME "' bound (see `ss -xap`)");
}

/* One claim in the kernel's list; false for any other line. */
static bool parse_claim(
	const char *line, char ret_run[static RUN_NAME_MAX], uint64_t *ret_microcpus)
{
	const char *name = strstr(line, " @" CLAIM_PREFIX), *slash;
	uint64_t microcpus;
	size_t length;
	char *end;

	if (!name)
		return false;
	name += strlen(" @" CLAIM_PREFIX);
	slash = strchr(name, '/');
	length = slash ? (size_t)(slash - name) : 0;
	if (length == 0 || length >= RUN_NAME_MAX || slash[1] < '0' || slash[1] > '9')
		return false;
	errno = 0;
	microcpus = strtoull(slash + 1, &end, 10);
	if (errno != 0 || *end != '\n' || microcpus > (uint64_t)(CPUS_MAX * MICROCPUS_PER_CPU))
		return false;
	(void)memcpy(ret_run, name, length);
	ret_run[length] = '\0';
	*ret_microcpus = microcpus;
	return run_name_is_alive(ret_run) != -EINVAL;
}

struct others {
	uint64_t microcpus;
	bool have_service;
	char names[FAULT_TEXT_MAX / 2]; /* for the sentence; cut where there are many */
};

static void add_other(struct others *others, const char *run, uint64_t microcpus)
{
	size_t length = strlen(others->names);

	others->have_service |= strncmp(run, RUN_NAME_OF_SERVICE "-",
					strlen(RUN_NAME_OF_SERVICE "-")) == 0;
	others->microcpus += microcpus; /* 2^64 is out of reach of what a list can hold */
	(void)snprintf(others->names + length, sizeof(others->names) - length, "%s%s (%g)",
		length > 0 ? ", " : "", run, (double)microcpus / MICROCPUS_PER_CPU);
}

/* Adds up what the others have claimed: those that are not `own` (NULL: there is none). The run that we are
 * a task of is none of them: our budget is a part of its. */
static int read_names(
	const char *list, const char *own, struct others *ret_others, struct fault *fault)
{
	_cleanup_fclose_ FILE *file = fopen(list, "re");
	const char *enclosing_run = getenv(RUN_ENVIRONMENT);
	_cleanup_free_ char *line = NULL;
	size_t size = 0;

	if (!file)
		return fault_errno(fault, -errno, "read %s", list);
	while (getline(&line, &size, file) > 0) {
		char run[RUN_NAME_MAX];
		uint64_t microcpus;

		if (parse_claim(line, run, &microcpus) &&
			(!enclosing_run || strcmp(run, enclosing_run) != 0) &&
			(!own || strcmp(run, own) != 0))
			add_other(ret_others, run, microcpus);
	}
	return ferror(file) ? fault_errno(fault, -EIO, "read %s", list) : 0;
}

static void add_service(struct others *others)
{
	const char *enclosing_run = getenv(RUN_ENVIRONMENT);
	struct service_claim claim;

	if (service_claim_read(&claim) && (!enclosing_run || strcmp(claim.run, enclosing_run) != 0))
		add_other(others, claim.run, claim.microcpus);
}

static int read_others(const char *own, struct others *ret_others, struct fault *fault)
{
	int r = read_names("/proc/net/unix", own, ret_others, fault);

	if (r == 0)
		add_service(ret_others);
	return r;
}

#define CLAIM_NAME_MAX (sizeof(CLAIM_PREFIX) + RUN_NAME_MAX + 24)

static uint64_t microcpus_of(double cpus)
{
	return (uint64_t)llround(cpus * MICROCPUS_PER_CPU);
}

static void name_claim(const char *run, uint64_t microcpus, char ret_name[static CLAIM_NAME_MAX])
{
	(void)snprintf(ret_name, CLAIM_NAME_MAX, CLAIM_PREFIX "%s/%" PRIu64, run, microcpus);
}

bool neighbours_is_claim(int fd, const char *run, double budget_cpus)
{
	struct sockaddr_un address;
	socklen_t length = sizeof(address);
	char name[CLAIM_NAME_MAX];

	name_claim(run, microcpus_of(budget_cpus), name);
	return fd >= 0 && getsockname(fd, (struct sockaddr *)&address, &length) == 0 &&
		address.sun_family == AF_UNIX &&
		length == offsetof(struct sockaddr_un, sun_path) + 1 + strlen(name) &&
		memcmp(address.sun_path + 1, name, strlen(name)) == 0;
}

static int check_fits(
	double budget_cpus, double capacity_cpus, const struct others *others, struct fault *fault)
{
	assert(budget_cpus >= 0 && budget_cpus <= CPUS_MAX && capacity_cpus <= CPUS_MAX);
	if (others->microcpus + microcpus_of(budget_cpus) <= microcpus_of(capacity_cpus))
		return 0;
	return fault_set(fault, -EDQUOT,
		"a budget of %g CPUs does not fit: the capacity is %g CPUs, and %s%s", budget_cpus,
		capacity_cpus,
		others->microcpus > 0 ? "other runs have claimed " : "no other run is there",
		others->names);
}

int neighbours_claim(
	const char *run, double budget_cpus, double capacity_cpus, int *ret_fd, struct fault *fault)
{
	_cleanup_close_ int lock_fd = -EBADF, service_lock_fd = -EBADF, fd = -EBADF;
	char name[CLAIM_NAME_MAX];
	struct others others = {.microcpus = 0};
	int r;

	lock_fd = lock(fault);
	if (lock_fd < 0)
		return lock_fd;
	service_lock_fd = service_claim_lock(/* is_service= */ false, fault);
	if (service_lock_fd < 0 && service_lock_fd != -ENOENT)
		return service_lock_fd;
	r = read_others(run, &others, fault);
	if (r == 0)
		r = check_fits(budget_cpus, capacity_cpus, &others, fault);
	if (r < 0)
		return r;
	name_claim(run, microcpus_of(budget_cpus), name);
	fd = hold_name(name);
	if (fd < 0)
		return fault_errno(fault, fd, "bind the socket '@%s'", name);
	*ret_fd = TAKE_FD(fd);
	return 0;
}

int neighbours_claim_as_service(int claim_fd, const char *run, double budget_cpus,
	double capacity_cpus, struct fault *fault)
{
	_cleanup_close_ int lock_fd = service_claim_lock(/* is_service= */ true, fault);
	struct service_claim claim = {.microcpus = microcpus_of(budget_cpus)};
	struct others others = {.microcpus = 0};
	int r;

	if (lock_fd < 0)
		return lock_fd;
	/* Of the network that the others are in. */
	r = read_names("/proc/1/net/unix", run, &others, fault);
	if (r == 0)
		r = check_fits(budget_cpus, capacity_cpus, &others, fault);
	if (r < 0)
		return r;
	(void)snprintf(claim.run, sizeof(claim.run), "%s", run);
	r = service_claim_write(claim_fd, &claim);
	return r < 0 ? fault_errno(fault, r, "claim a budget") : 0;
}

bool neighbours_have_service(void)
{
	struct others others = {.microcpus = 0};

	return read_others(/* own= */ NULL, &others, /* fault= */ NULL) == 0 && others.have_service;
}

int neighbours_sum(double *ret_cpus, char ret_names[], size_t size, struct fault *fault)
{
	struct others others = {.microcpus = 0};
	int r = read_others(/* own= */ NULL, &others, fault);

	if (r < 0)
		return r;
	*ret_cpus = (double)others.microcpus / MICROCPUS_PER_CPU;
	(void)snprintf(ret_names, size, "%s", others.names);
	return 0;
}
