// SPDX-License-Identifier: GPL-2.0-or-later
#include "strays.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cleanup.h"
#include "enforcer.h"
#include "knob.h"
#include "marks.h"
#include "nsec.h"
#include "proctree.h"

/* Neither the group's quota nor its meter knows of a process that has moved itself to another group.
 * By descent it is known all the same (proctree.h), and /proc/PID/cgroup says where it is: one line
 * for each hierarchy, that ends in the path of a group. A member of the task has PARENT/NAME, or a group
 * below, in as many lines as the task has directories.
 *
 * Between two looks a process is free. One that leaves again and again is put back and told again and
 * again; what it used outside is known when it ends. */

#define LOOK_NS (250 * NSEC_PER_MSEC)
#define LOOK_PER_PROCESS_NS (8 * NSEC_PER_MSEC) /* so that looking takes some 0.12 % of a CPU */
#define CGROUPS_SIZE 8192                       /* some dozen lines; a path has 4096 at most */

struct watched {
	const char *parent;
	const char *name; /* NULL: not watched */
	const int *dir_fds;
	size_t n_dir_fds;
};

struct strays {
	uint32_t n_tasks_max;
	uint64_t next_look_ns;
	uint32_t n_put_back; /* since the last strays_tell() */
	char last_words[FAULT_TEXT_MAX];
	struct proctree *tree;
	struct watched tasks[];
};

int strays_new(struct strays **ret_strays, uint32_t n_tasks_max, struct fault *fault)
{
	struct strays *strays = calloc(1, sizeof(*strays) + n_tasks_max * sizeof(strays->tasks[0]));
	int r;

	if (!strays)
		return fault_errno(fault, -ENOMEM, "watch the groups of tasks");
	strays->n_tasks_max = n_tasks_max;
	r = proctree_new(&strays->tree, n_tasks_max, fault);
	if (r < 0) {
		free(strays);
		return r;
	}
	*ret_strays = strays;
	return 0;
}

struct strays *strays_free(struct strays *strays)
{
	if (!strays)
		return NULL;
	strays->tree = proctree_free(strays->tree);
	free(strays);
	return NULL;
}

void strays_task_add(struct strays *strays, uint32_t task, pid_t pid, const char *parent,
	const char *name, const int dir_fds[], size_t n_dir_fds)
{
	assert(task < strays->n_tasks_max && !strays->tasks[task].name);
	if (proctree_task_add(strays->tree, task, pid) < 0)
		return;
	strays->tasks[task] = (struct watched){
		.parent = parent, .name = name, .dir_fds = dir_fds, .n_dir_fds = n_dir_fds};
}

void strays_task_remove(struct strays *strays, uint32_t task)
{
	assert(task < strays->n_tasks_max);
	if (!strays->tasks[task].name)
		return;
	proctree_task_remove(strays->tree, task);
	strays->tasks[task].name = NULL;
}

/* In how many hierarchies the process is in that group of the run, or below it. -1: it has ended. */
static int count_lines(const struct watched *watched, int process_fd)
{
	_cleanup_close_ int fd = openat(process_fd, "cgroup", O_RDONLY | O_CLOEXEC);
	char text[CGROUPS_SIZE], group[2 * SCOPE_NAME_MAX + 8];
	ssize_t length = fd < 0 ? -1 : read(fd, text, sizeof(text) - 1);
	size_t group_length;
	int n = 0;

	if (length <= 0)
		return -1;
	text[length] = '\0';
	(void)snprintf(group, sizeof(group), "/%s/%s", watched->parent, watched->name);
	group_length = strlen(group);
	for (const char *at = text; (at = strstr(at, group)); at += group_length)
		n += at[group_length] == '\n' || at[group_length] == '/';
	return n;
}

static bool is_in_place(const struct watched *watched, int process_fd)
{
	int n_wanted = 0, n = count_lines(watched, process_fd);

	for (size_t i = 0; i < watched->n_dir_fds; i++)
		n_wanted += watched->dir_fds[i] >= 0;
	return n < 0 || n >= n_wanted;
}

static int put_back(const struct watched *watched, pid_t pid)
{
	char text[NUMBER_TEXT_MAX];
	int r = 0;

	(void)format_number(text, (uint64_t)pid);
	for (size_t i = 0; i < watched->n_dir_fds && r == 0; i++)
		if (watched->dir_fds[i] >= 0)
			r = knob_write_at(watched->dir_fds[i], "cgroup.procs", text);
	return r;
}

static void look_at(uint32_t task, pid_t pid, int process_fd, void *data)
{
	struct strays *strays = data;
	const struct watched *watched = &strays->tasks[task];
	int r;

	if (is_in_place(watched, process_fd))
		return;
	r = put_back(watched, pid);
	/* One that is about to end is shown in the root of v1, and is not moved any more. */
	if (r == -ESRCH || (r == 0 && !is_in_place(watched, process_fd)))
		return;
	strays->n_put_back++;
	(void)snprintf(strays->last_words, sizeof(strays->last_words),
		"process %d had left group '%s' and its quota; %s%s", (int)pid, watched->name,
		r == 0 ? "put back" : "cannot be put back: ", r == 0 ? "" : strerror(-r));
}

void strays_look(struct strays *strays, uint64_t now_ns)
{
	uint64_t pause_ns;
	int n_processes;

	if (now_ns < strays->next_look_ns)
		return;
	n_processes = proctree_scan(strays->tree);
	pause_ns = n_processes > 0 ? (uint64_t)n_processes * LOOK_PER_PROCESS_NS : 0;
	strays->next_look_ns = now_ns + (pause_ns > LOOK_NS ? pause_ns : LOOK_NS);
	proctree_each(strays->tree, look_at, strays);
}

void strays_tell(struct strays *strays, struct enforced *enforced, struct fault *fault)
{
	if (strays->n_put_back == 0 || enforced->n_foreign > 0)
		return;
	(void)fault_set(fault, -EEXIST, "%s", strays->last_words);
	enforced->n_foreign = strays->n_put_back;
	strays->n_put_back = 0;
}
