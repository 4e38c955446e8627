// SPDX-License-Identifier: GPL-2.0-or-later
#include "proctree.h"

#include <assert.h>
#include <errno.h>
#include <signal.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "cleanup.h"
#include "marks.h"
#include "nsec.h"
#include "process.h"

/* Who belongs to a task is asked of /proc now and then; what those have used, and where a signal
 * goes, at any time and without a race:
 *
 * - A member is held by the descriptor of its /proc directory (process.h). The pid is only a key.
 * - Orphans become children of the keeper, as every first process is. So only a child of the keeper
 *   needs its environment read, and most processes of a machine cost one `stat`.
 * - CPU time is that of the process's CPU clock: all threads, ended ones too, in nanoseconds, one
 *   system call, no file. The kernel adds a running thread's time at its ticks, so that a reading
 *   may lag by some milliseconds; it never loses any.
 *
 * The time of ended processes is where such counts go wrong. A member that has ended hands what was
 * seen of it last to its parent, if that is a member, else to the task. A parent that waits for its
 * children is told exactly what they used, also those that came and went between two scans (fields
 * cutime and cstime). So a parent counts with the larger of both, and no child is counted twice. */

struct member {
	pid_t pid;
	int process_fd;
	uint32_t task;
	pid_t parent;
	bool has_ended;
	clockid_t clock;
	uint64_t own_cpu_ns;      /* as last read */
	uint64_t children_cpu_ns; /* of children it has waited for, as the kernel says */
	uint64_t handed_cpu_ns;   /* of children that have ended, as they were seen last */
};

struct tree_task {
	pid_t pid;    /* of the first process; 0: no such task */
	pid_t reaper; /* its parent, who gets the orphans */
	uint64_t ended_cpu_ns;
	uint64_t told_cpu_ns; /* the last reading given out */
};

struct proctree {
	uint32_t n_tasks_max;
	size_t n_members, n_missed;
	struct tree_task *tasks;
	struct member members[PROCTREE_MEMBERS_MAX]; /* sorted by pid */
};

int proctree_new(struct proctree **ret_tree, uint32_t n_tasks_max, struct fault *fault)
{
	struct proctree *tree = malloc(sizeof(*tree));

	if (!tree)
		return fault_errno(fault, -ENOMEM, "watch the processes of tasks");
	tree->n_tasks_max = n_tasks_max;
	tree->n_members = 0;
	tree->n_missed = 0;
	tree->tasks = calloc(n_tasks_max > 0 ? n_tasks_max : 1, sizeof(*tree->tasks));
	if (!tree->tasks) {
		free(tree);
		return fault_errno(fault, -ENOMEM, "watch the processes of tasks");
	}
	*ret_tree = tree;
	return 0;
}

struct proctree *proctree_free(struct proctree *tree)
{
	if (!tree)
		return NULL;
	for (size_t i = 0; i < tree->n_members; i++)
		(void)close(tree->members[i].process_fd);
	free(tree->tasks);
	free(tree);
	return NULL;
}

/* The place of a pid in the sorted array, or where it would be. */
static size_t place_of(const struct proctree *tree, pid_t pid)
{
	size_t low = 0, high = tree->n_members;

	while (low < high) {
		size_t middle = low + (high - low) / 2;

		if (tree->members[middle].pid < pid)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

static struct member *find(struct proctree *tree, pid_t pid)
{
	size_t at = place_of(tree, pid);

	return at < tree->n_members && tree->members[at].pid == pid ? &tree->members[at] : NULL;
}

/* Takes a process in; the descriptor is the tree's from then on. */
static int insert(
	struct proctree *tree, uint32_t task, const struct process *process, int process_fd)
{
	size_t at = place_of(tree, process->pid);
	struct member member = {
		.pid = process->pid,
		.process_fd = process_fd,
		.task = task,
		.parent = process->parent,
		.has_ended = process->has_ended,
		.children_cpu_ns = process->children_cpu_ns,
	};
	int r;

	if (tree->n_members == PROCTREE_MEMBERS_MAX)
		return -EMFILE;
	r = clock_getcpuclockid(process->pid, &member.clock);
	if (r != 0)
		return -r;
	(void)memmove(&tree->members[at + 1], &tree->members[at],
		(tree->n_members - at) * sizeof(member));
	tree->members[at] = member;
	tree->n_members++;
	return 0;
}

int proctree_task_add(struct proctree *tree, uint32_t task, pid_t pid)
{
	_cleanup_close_ int fd = process_open(pid);
	struct process process;
	int r;

	assert(task < tree->n_tasks_max && tree->tasks[task].pid == 0);
	if (fd < 0)
		return fd;
	r = process_read(fd, &process);
	if (r == 0)
		r = insert(tree, task, &process, fd);
	if (r < 0)
		return r;
	(void)TAKE_FD(fd);
	tree->tasks[task] = (struct tree_task){.pid = pid, .reaper = process.parent};
	return 0;
}

void proctree_task_remove(struct proctree *tree, uint32_t task)
{
	size_t n_left = 0;

	assert(task < tree->n_tasks_max);
	for (size_t i = 0; i < tree->n_members; i++)
		if (tree->members[i].task == task)
			(void)close(tree->members[i].process_fd);
		else
			tree->members[n_left++] = tree->members[i];
	tree->n_members = n_left;
	tree->tasks[task] = (struct tree_task){.pid = 0};
}

/* Reads the CPU clock of one member, if it is still that process which has the pid. */
static void read_clock(struct member *member)
{
	struct timespec used;
	uint64_t cpu_ns;

	if (clock_gettime(member->clock, &used) < 0 || process_signal(member->process_fd, 0) < 0)
		return;
	cpu_ns = (uint64_t)used.tv_sec * NSEC_PER_SEC + (uint64_t)used.tv_nsec;
	if (cpu_ns > member->own_cpu_ns)
		member->own_cpu_ns = cpu_ns;
}

static uint64_t member_cpu_ns(const struct member *member)
{
	return member->own_cpu_ns +
		(member->children_cpu_ns > member->handed_cpu_ns ? member->children_cpu_ns
								 : member->handed_cpu_ns);
}

/* Hands on what an ended member has used. */
static void hand_on(struct proctree *tree, const struct member *ended)
{
	struct member *parent = find(tree, ended->parent);

	if (parent && parent->task == ended->task)
		parent->handed_cpu_ns += member_cpu_ns(ended);
	else
		tree->tasks[ended->task].ended_cpu_ns += member_cpu_ns(ended);
}

/* Reads what /proc says of the members; those that are gone are handed on and forgotten. */
static void refresh_members(struct proctree *tree)
{
	size_t n_left = 0;

	for (size_t i = 0; i < tree->n_members; i++) {
		struct member *member = &tree->members[i];
		struct process process;

		int r = process_read(member->process_fd, &process);

		if (r < 0 && r != -ESRCH)
			continue; /* not now: no descriptor is left */
		if (r < 0) {
			hand_on(tree, member);
			(void)close(member->process_fd);
			member->process_fd = -EBADF;
			continue;
		}
		member->parent = process.parent;
		member->has_ended = process.has_ended;
		member->children_cpu_ns = process.children_cpu_ns;
	}
	/* Only now, as parents are found in the whole array. */
	for (size_t i = 0; i < tree->n_members; i++)
		if (tree->members[i].process_fd >= 0)
			tree->members[n_left++] = tree->members[i];
	tree->n_members = n_left;
}

/* The task that an orphan says it is of; -1 where it says nothing. */
static pid_t named_task_pid(int process_fd)
{
	char text[16];

	if (process_variable(process_fd, TASK_PID_ENVIRONMENT, text, sizeof(text)) != 1)
		return -1;
	return (pid_t)strtol(text, NULL, 10);
}

/* The task that a process which is no member yet belongs to; false where it is none of ours. */
static bool find_task(
	struct proctree *tree, const struct process *process, int process_fd, uint32_t *ret_task)
{
	const struct member *parent = find(tree, process->parent);
	pid_t named_pid = parent ? -1 : named_task_pid(process_fd);

	if (parent) {
		*ret_task = parent->task;
		return true;
	}
	for (uint32_t i = 0; i < tree->n_tasks_max; i++) {
		const struct tree_task *task = &tree->tasks[i];

		if (task->pid > 0 && (process->group == task->pid || named_pid == task->pid)) {
			*ret_task = i;
			return true;
		}
	}
	return false;
}

/* Whether it is worth a second look: most processes of a machine are not. */
static bool may_be_ours(struct proctree *tree, const struct process *process)
{
	if (find(tree, process->parent))
		return true;
	for (uint32_t i = 0; i < tree->n_tasks_max; i++)
		if (tree->tasks[i].pid > 0 &&
			(process->group == tree->tasks[i].pid ||
				process->parent == tree->tasks[i].reaper))
			return true;
	return false;
}

/* Takes the process in if it is one of ours. 0 or a negative errno: -ESRCH where it is gone, -EMFILE
 * where there is no room or no descriptor for it. */
static int look_at(struct proctree *tree, DIR *proc, pid_t pid)
{
	_cleanup_close_ int fd = -EBADF;
	struct process process;
	uint32_t task;
	int r;

	r = process_peek(proc, pid, &process);
	if (r < 0 || !may_be_ours(tree, &process))
		return r;
	fd = process_open(pid);
	if (fd < 0)
		return fd;
	r = process_read(fd, &process);
	if (r < 0 || !find_task(tree, &process, fd, &task))
		return r;
	r = insert(tree, task, &process, fd);
	if (r == 0)
		(void)TAKE_FD(fd);
	return r;
}

int proctree_scan(struct proctree *tree)
{
	_cleanup_closedir_ DIR *proc = opendir("/proc");
	int n_processes = 0;
	pid_t pid;

	if (!proc)
		return -errno;
	refresh_members(tree);
	tree->n_missed = 0;
	while ((pid = process_next(proc)) > 0) {
		n_processes++;
		if (!find(tree, pid) && look_at(tree, proc, pid) == -EMFILE)
			tree->n_missed++;
	}
	return n_processes;
}

size_t proctree_count(const struct proctree *tree, uint32_t task)
{
	size_t n = 0;

	for (size_t i = 0; i < tree->n_members; i++)
		n += tree->members[i].task == task && !tree->members[i].has_ended;
	return n;
}

void proctree_each(const struct proctree *tree,
	void (*visit)(uint32_t task, pid_t pid, int process_fd, void *data), void *data)
{
	for (size_t i = 0; i < tree->n_members; i++)
		if (!tree->members[i].has_ended)
			visit(tree->members[i].task, tree->members[i].pid,
				tree->members[i].process_fd, data);
}

size_t proctree_n_missed(const struct proctree *tree)
{
	return tree->n_missed;
}

uint64_t proctree_cpu_ns(struct proctree *tree, uint32_t task)
{
	struct tree_task *of = &tree->tasks[task];
	uint64_t cpu_ns = of->ended_cpu_ns;

	for (size_t i = 0; i < tree->n_members; i++) {
		struct member *member = &tree->members[i];

		if (member->task != task)
			continue;
		read_clock(member);
		cpu_ns += member_cpu_ns(member);
	}
	if (cpu_ns > of->told_cpu_ns)
		of->told_cpu_ns = cpu_ns;
	return of->told_cpu_ns;
}

/* Signals the process group of the task, which may have processes that no scan has seen yet. As
 * long as its first process is there, dead or alive, nobody else has the number. */
static void signal_group(struct proctree *tree, uint32_t task, int signo)
{
	pid_t pid = tree->tasks[task].pid;
	const struct member *first = find(tree, pid);

	if (first && first->task == task && process_signal(first->process_fd, 0) == 0)
		(void)kill(-pid, signo);
}

int proctree_signal(struct proctree *tree, uint32_t task, int signo)
{
	int n_signalled = 0;

	/* What may well come twice. */
	if (signo == SIGSTOP || signo == SIGCONT || signo == SIGKILL)
		signal_group(tree, task, signo);
	for (size_t i = 0; i < tree->n_members; i++) {
		const struct member *member = &tree->members[i];

		if (member->task == task && !member->has_ended &&
			process_signal(member->process_fd, signo) == 0)
			n_signalled++;
	}
	return n_signalled;
}
