// SPDX-License-Identifier: GPL-2.0-or-later
#include "launch_pack.h"

#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>

#include "cleanup.h"
#include "marks.h"

/* Arguments and environment can be megabytes, more than any packet. So they travel in a memfd that
 * only the new process maps: the keeper itself never looks into it and never grows.
 *
 * The new process is single-threaded (a fork of the keeper, which is), so that it may allocate. */

static size_t count(char *const strings[])
{
	size_t n = 0;

	while (strings[n])
		n++;
	return n;
}

/* Writes one string with its NUL. */
static void put(FILE *file, const char *string)
{
	(void)fwrite(string, 1, strlen(string) + 1, file); /* ferror() is asked at the end */
}

int launch_pack(const struct launch *launch, struct launch_pack *ret_pack, struct fault *fault)
{
	_cleanup_close_ int fd = -EBADF;
	_cleanup_fclose_ FILE *file = NULL;
	size_t n_arguments = count(launch->argv), n_variables = count(launch->environment);
	int copy;

	if (n_arguments == 0 || launch->argv[0][0] == '\0')
		return fault_set(fault, -EINVAL, "there is no command to execute");
	fd = memfd_create("coregov-launch", MFD_CLOEXEC);
	if (fd < 0)
		return fault_errno(fault, -errno, "memfd_create");
	copy = dup(fd);
	file = copy < 0 ? NULL : fdopen(copy, "w");
	if (!file) {
		if (copy >= 0)
			(void)close(copy);
		return fault_errno(fault, -errno, "write the arguments");
	}
	put(file, launch->directory);
	put(file, launch->path);
	for (size_t i = 0; i < n_arguments; i++)
		put(file, launch->argv[i]);
	for (size_t i = 0; i < n_variables; i++)
		put(file, launch->environment[i]);
	if (fflush(file) != 0 || ferror(file))
		return fault_errno(fault, -errno, "write the arguments");
	if (ftell(file) > (long)LAUNCH_BYTES_MAX)
		return fault_errno(fault, -E2BIG, "arguments and environment");
	*ret_pack = (struct launch_pack){
		.fd = TAKE_FD(fd),
		.n_arguments = (uint32_t)n_arguments,
		.n_variables = (uint32_t)n_variables,
	};
	return 0;
}

/* The string at *cursor, which moves behind it; NULL where there is none before `end`. */
static char *take(char **cursor, const char *end)
{
	char *string = *cursor;
	char *nul = string < end ? memchr(string, '\0', (size_t)(end - string)) : NULL;

	if (!nul)
		return NULL;
	*cursor = nul + 1;
	return string;
}

/* True for a variable that is ours to set. */
static bool is_ours(const char *variable)
{
	static const char *const names[] = {RUN_ENVIRONMENT "=", TASK_PID_ENVIRONMENT "="};

	for (size_t i = 0; i < ARRAY_LENGTH(names); i++)
		if (strncmp(variable, names[i], strlen(names[i])) == 0)
			return true;
	return false;
}

static int map(int fd, char **ret_start, char **ret_end)
{
	struct stat status;
	void *start;

	if (fstat(fd, &status) < 0)
		return -errno;
	start = mmap(NULL, (size_t)status.st_size, PROT_READ | PROT_WRITE, MAP_PRIVATE, fd, 0);
	if (start == MAP_FAILED)
		return -errno;
	*ret_start = start;
	*ret_end = *ret_start + status.st_size;
	return 0;
}

int launch_unpack(const struct launch_pack *pack, const char *run, pid_t pid,
	struct launch_strings *ret_strings)
{
	struct launch_strings strings;
	char *cursor = NULL, *end = NULL, *variable;
	size_t n = 0;
	int r;

	r = map(pack->fd, &cursor, &end);
	if (r < 0)
		return r;
	strings.argv = calloc(pack->n_arguments + 1, sizeof(char *));
	strings.environment = calloc(pack->n_variables + 3, sizeof(char *));
	if (!strings.argv || !strings.environment)
		return -ENOMEM;
	strings.directory = take(&cursor, end);
	strings.path = take(&cursor, end);
	if (!strings.directory || !strings.path)
		return -EBADMSG;
	for (size_t i = 0; i < pack->n_arguments; i++)
		if (!(strings.argv[i] = take(&cursor, end)))
			return -EBADMSG;
	/* Ours first: whoever looks for them need not read the rest. */
	if (asprintf(&strings.environment[n++], RUN_ENVIRONMENT "=%s", run) < 0 ||
		asprintf(&strings.environment[n++], TASK_PID_ENVIRONMENT "=%d", (int)pid) < 0)
		return -ENOMEM;
	for (size_t i = 0; i < pack->n_variables; i++) {
		if (!(variable = take(&cursor, end)))
			return -EBADMSG;
		if (!is_ours(variable))
			strings.environment[n++] = variable;
	}
	*ret_strings = strings;
	return 0;
}
