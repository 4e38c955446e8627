// SPDX-License-Identifier: GPL-2.0-or-later
#include "home.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/types.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "cgroup.h"
#include "cleanup.h"
#include "knob.h"
#include "unit_bus.h"

/* Where on a cgroup v2 machine may we make groups? In this order:
 *
 * 1. Below our own group, where it was delegated to us and has the cpu controller. systemd marks what
 *    it delegates by an extended attribute; where systemd does not run (a container, a small
 *    machine), being able to write there is enough.
 * 2. Below a transient scope that systemd makes around us and our children for the purpose.
 * 3. Without systemd, below the root of the tree.
 *
 * Groups that systemd made are not written to, apart from cgroup.procs and cgroup.subtree_control of
 * the delegated one. A group that gives a controller to its children may hold no process of its own
 * (EBUSY), so what is in HOME moves to a leaf first; the root of a machine is free of that rule.
 *
 * Unproven, but for the part that works on a directory of plain files. */

#define LEAF "coregov-leaf"
#define CHILDREN_MAX 64
#define MOVE_ROUNDS 100

/* A word of a list such as "cpuset cpu io". */
static bool has_word(const char *list, const char *word)
{
	size_t length = strlen(word);

	for (const char *at = list; (at = strstr(at, word)); at += length)
		if ((at == list || at[-1] == ' ') && (at[length] == ' ' || at[length] == '\0'))
			return true;
	return false;
}

/* 1 where the file has the word, 0 where not, or a negative errno. */
static int file_has_word(int dir_fd, const char *file, const char *word)
{
	_cleanup_close_ int fd = openat(dir_fd, file, O_RDONLY | O_CLOEXEC);
	char text[KNOB_TEXT_MAX];
	int r = fd < 0 ? -errno : knob_read(fd, text);

	return r < 0 ? r : has_word(text, word);
}

static bool is_delegated(int dir_fd)
{
	static const char *const attributes[] = {"trusted.delegate", "user.delegate"};
	char value[2];

	for (size_t i = 0; i < ARRAY_LENGTH(attributes); i++)
		if (fgetxattr(dir_fd, attributes[i], value, sizeof(value)) == 1 && value[0] == '1')
			return true;
	return !unit_bus_is_booted();
}

static bool is_usable_home(int dir_fd)
{
	return is_delegated(dir_fd) && file_has_word(dir_fd, "cgroup.controllers", "cpu") == 1 &&
		faccessat(dir_fd, ".", W_OK, AT_EACCESS) == 0 &&
		faccessat(dir_fd, "cgroup.procs", W_OK, AT_EACCESS) == 0 &&
		faccessat(dir_fd, "cgroup.subtree_control", W_OK, AT_EACCESS) == 0;
}

/* A run before us that was killed left its leaf, with us in it: then HOME is above. */
static void strip_leaf(char *group)
{
	size_t length = strlen(group), leaf = strlen(LEAF);

	if (length < leaf || strcmp(group + length - leaf, LEAF) != 0)
		return;
	if (length == leaf)
		group[0] = '\0';
	else if (group[length - leaf - 1] == '/')
		group[length - leaf - 1] = '\0';
}

static int open_home(const struct cgroup_base *base, const char *group)
{
	char path[2 * PATH_MAX];
	int fd;

	(void)snprintf(path, sizeof(path), "%s/%s", base->mount, group);
	fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	return fd < 0 ? -errno : fd;
}

static int find_tree(struct cgroup_base *ret_base, struct fault *fault)
{
	int r = cgroup_find("cpu", ret_base, fault);

	if (r == -ENOENT)
		return fault_set(fault, r,
			"no cgroup hierarchy has the cpu controller (kernel command line: "
			"cgroup_disable, systemd.unified_cgroup_hierarchy)");
	if (r < 0)
		return r;
	if (!ret_base->is_unified)
		return fault_set(fault, -EOPNOTSUPP,
			"the cpu controller is on cgroup v1 (at '%s'); the unified tree does not "
			"have it",
			ret_base->mount);
	strip_leaf(ret_base->own);
	return 0;
}

/* Our own group, where it will do; -EACCES where not. */
static int try_own_home(const struct cgroup_base *base)
{
	_cleanup_close_ int fd = open_home(base, base->own);

	if (fd < 0)
		return fd;
	return is_usable_home(fd) ? TAKE_FD(fd) : -EACCES;
}

static int try_root(struct cgroup_base *base, struct fault *fault)
{
	int r;

	base->own[0] = '\0';
	r = try_own_home(base);
	if (r < 0)
		return fault_set(fault, r,
			"'%s' may not be written to, and no systemd is there to ask for a group",
			base->mount);
	return r;
}

/* Ourselves and our children, the keeper among them: all must be in the delegated part, or a user
 * could not move tasks from there into their groups. */
static int make_scope(const char *run, struct fault *fault)
{
	_cleanup_fclose_ FILE *file = fopen("/proc/thread-self/children", "re");
	pid_t pids[CHILDREN_MAX] = {getpid()};
	size_t n = 1;
	int pid;

	while (file && n < CHILDREN_MAX && fscanf(file, "%d", &pid) == 1)
		pids[n++] = (pid_t)pid;
	return unit_bus_make_scope(run, pids, n, fault);
}

static int find_home(struct home *home, const char *run, struct fault *fault)
{
	struct cgroup_base base;
	int r = find_tree(&base, fault);

	if (r < 0)
		return r;
	r = try_own_home(&base);
	if (r < 0 && unit_bus_is_booted()) {
		r = make_scope(run, fault);
		if (r < 0)
			return r;
		r = find_tree(&base, fault);
		if (r == 0)
			r = try_own_home(&base);
		if (r < 0)
			return fault_errno(
				fault, r, "use '%s/%s', which systemd made", base.mount, base.own);
	} else if (r < 0) {
		r = try_root(&base, fault);
		if (r < 0)
			return r;
	}
	home->dir_fd = r;
	strcpy(home->group, base.own);
	return 0;
}

static int find_fake_home(struct home *home, const char *root, struct fault *fault)
{
	int r;

	home->dir_fd = open(root, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (home->dir_fd < 0)
		return fault_errno(fault, -errno, "open '%s'", root);
	r = file_has_word(home->dir_fd, "cgroup.controllers", "cpu");
	if (r < 0)
		return fault_errno(fault, r, "read '%s/cgroup.controllers'", root);
	if (r == 0)
		return fault_set(fault, -EOPNOTSUPP,
			"the cpu controller is not available in '%s'; whoever made that group has "
			"to enable it in cgroup.subtree_control of the group above",
			root);
	return 0;
}

/* The real root may give its controllers to children and hold processes too; it is the one group
 * without a cgroup.type. */
static bool is_real_root(int dir_fd)
{
	return faccessat(dir_fd, "cgroup.type", F_OK, 0) < 0;
}

/* Moves what is in one group to another, until nothing is left: a fork may add to it meanwhile. */
static int move_all(int from_fd, int to_fd)
{
	for (unsigned round = 0; round < MOVE_ROUNDS; round++) {
		_cleanup_fclose_ FILE *file = NULL;
		int fd = openat(from_fd, "cgroup.procs", O_RDONLY | O_CLOEXEC), pid, n = 0;
		char text[NUMBER_TEXT_MAX];

		file = fd < 0 ? NULL : fdopen(fd, "re");
		if (!file)
			return -errno;
		while (fscanf(file, "%d", &pid) == 1) {
			int r;

			(void)format_number(text, (uint64_t)pid);
			r = knob_write_at(to_fd, "cgroup.procs", text);
			if (r < 0 && r != -ESRCH)
				return r;
			n++;
		}
		if (n == 0)
			return 0;
	}
	return -EBUSY;
}

static int make_leaf(struct home *home, struct fault *fault)
{
	_cleanup_close_ int leaf_fd = -EBADF;
	int r;

	if (is_real_root(home->dir_fd))
		return 0;
	if (mkdirat(home->dir_fd, LEAF, 0755) == 0)
		home->is_leaf_made = true;
	else if (errno != EEXIST) /* left by a run that was killed: used again */
		return fault_errno(fault, -errno, "make group '%s/" LEAF "'", home->group);
	leaf_fd = openat(home->dir_fd, LEAF, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (leaf_fd < 0)
		return fault_errno(fault, -errno, "open group '%s/" LEAF "'", home->group);
	r = move_all(home->dir_fd, leaf_fd);
	if (r < 0)
		return fault_errno(
			fault, r, "move the processes of group '%s' to its leaf", home->group);
	return 0;
}

int home_enable_cpu(int dir_fd, const char *group, bool *ret_is_enabled, struct fault *fault)
{
	int r = file_has_word(dir_fd, "cgroup.subtree_control", "cpu");

	if (r == 0) {
		r = knob_write_at(dir_fd, "cgroup.subtree_control", "+cpu");
		*ret_is_enabled = r == 0;
	}
	if (r < 0)
		return fault_errno(fault, r, "enable the cpu controller below group '%s'", group);
	return 0;
}

/* What cannot be undone is harmless: a leaf, an enabled controller. A second run in the same HOME
 * keeps both in use (EBUSY), and the next one finds them. */
void home_leave(struct home *home)
{
	_cleanup_close_ int leaf_fd = -EBADF, home_fd = TAKE_FD(home->dir_fd);

	if (home_fd < 0)
		return;
	if (home->is_cpu_enabled)
		(void)knob_write_at(home_fd, "cgroup.subtree_control", "-cpu");
	if (!home->is_leaf_made)
		return;
	leaf_fd = openat(home_fd, LEAF, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (leaf_fd >= 0)
		(void)move_all(leaf_fd, home_fd);
	(void)unlinkat(home_fd, LEAF, AT_REMOVEDIR);
}

int home_probe(const char *fake_root, struct fault *fault)
{
	struct home fake = HOME_INIT;
	struct cgroup_base base;
	int r;

	if (fake_root) {
		r = find_fake_home(&fake, fake_root, fault);
		home_leave(&fake);
		return r;
	}
	r = find_tree(&base, fault);
	if (r < 0)
		return r;
	r = try_own_home(&base);
	if (r < 0 && unit_bus_is_booted())
		return unit_bus_probe(fault);
	if (r < 0)
		r = try_root(&base, fault);
	if (r < 0)
		return r;
	(void)close(r);
	return 0;
}

int home_open(struct home *home, const char *fake_root, const char *run, struct fault *fault)
{
	int r = fake_root ? find_fake_home(home, fake_root, fault) : find_home(home, run, fault);

	if (r == 0)
		r = make_leaf(home, fault);
	if (r == 0)
		r = home_enable_cpu(home->dir_fd, home->group, &home->is_cpu_enabled, fault);
	return r;
}
