// SPDX-License-Identifier: GPL-2.0-or-later
#include "home.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/types.h>
#include <sys/xattr.h>
#include <time.h>
#include <unistd.h>

#include "cgroup.h"
#include "cleanup.h"
#include "knob.h"
#include "lost_limits.h"
#include "unit_bus.h"

/* Where on a cgroup v2 machine may we make groups? In this order:
 *
 * 1. Below our own group, where it belongs to us: the unit that we run in was delegated (systemd says
 *    so), we are at the root of a container's tree, or systemd does not run the machine.
 * 2. Below a transient scope that systemd makes around us and our children for the purpose. Not so
 *    where it could be of no use: leaving a unit changes what stopping that unit ends.
 * 3. Without systemd, below the root of the tree.
 *
 * Groups that systemd made are not written to, apart from cgroup.procs and cgroup.subtree_control of
 * the delegated one. A group that gives a controller to its children may hold no process of its own
 * (EBUSY), so what is in HOME moves to a leaf first; the root of a machine is free of that rule.
 *
 * Several runs may have one HOME. What the first one takes back when it ends, the next one may just
 * have found there and not be using yet. So both do it under a lock on the directory, which ends with
 * its holder. */

#define LEAF "coregov-leaf"
#define CHILDREN_MAX 64
#define ROUNDS 500
#define ROUND_NS 2000000 /* 500 rounds of 2 ms: a second */
#define GROUP_SHOWN 600  /* what of a path is told: the rest of the sentence has to fit, too */

/* 1 where the file has the word, 0 where not, or a negative errno. */
static int file_has_word(int dir_fd, const char *file, const char *word)
{
	_cleanup_close_ int fd = openat(dir_fd, file, O_RDONLY | O_CLOEXEC);
	char text[KNOB_TEXT_MAX];
	int r = fd < 0 ? -errno : knob_read(fd, text);

	return r < 0 ? r : knob_has_word(text, word);
}

/* 0, or a negative errno and a sentence where the cpu controller is not there. */
static int check_cpu(int dir_fd, const char *path, struct fault *fault)
{
	int r = file_has_word(dir_fd, "cgroup.controllers", "cpu");

	if (r < 0)
		return fault_errno(fault, r, "read '%s/cgroup.controllers'", path);
	if (r == 0)
		return fault_set(fault, -EOPNOTSUPP,
			"the cpu controller is not available in '%s'; whoever made that group has "
			"to enable it in cgroup.subtree_control of the group above (systemd: "
			"Delegate=cpu)",
			path);
	return 0;
}

static int refuse_read_only(const char *path, struct fault *fault)
{
	return fault_set(fault, -EROFS,
		"'%s' is mounted read-only here (a container needs a tree that can be written to, "
		"with podman --security-opt unmask=/sys/fs/cgroup; a service needs "
		"ProtectControlGroups=no)",
		path);
}

static int check_access(int dir_fd, const char *path, struct fault *fault)
{
	static const char *const files[] = {".", "cgroup.procs", "cgroup.subtree_control"};

	for (size_t i = 0; i < ARRAY_LENGTH(files); i++) {
		if (faccessat(dir_fd, files[i], W_OK, AT_EACCESS) == 0)
			continue;
		if (errno == EROFS)
			return refuse_read_only(path, fault);
		return fault_errno(fault, -errno, "write to '%s'", path);
	}
	return 0;
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

static void path_of(
	const struct cgroup_base *base, const char *group, char ret_path[static PATH_MAX])
{
	int n = snprintf(ret_path, PATH_MAX, "%s%s%s", base->mount, group[0] ? "/" : "", group);

	if (n < 0 || n >= PATH_MAX)
		ret_path[0] = '\0'; /* cannot be opened */
}

/* Opens a group that will do as HOME. */
static int open_home(const struct cgroup_base *base, const char *group, struct fault *fault)
{
	_cleanup_close_ int fd = -EBADF;
	char path[PATH_MAX];
	int r;

	path_of(base, group, path);
	fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0)
		return fault_errno(fault, -errno, "open '%s'", path);
	r = check_cpu(fd, path, fault);
	if (r == 0)
		r = check_access(fd, path, fault);
	return r < 0 ? r : TAKE_FD(fd);
}

/* Says why libcgroup knows of no cpu controller. */
static int lacks_cpu(struct fault *fault)
{
	_cleanup_fclose_ FILE *file = fopen("/proc/cgroups", "re");
	char line[128], name[64];
	int is_enabled = -1;

	while (file && is_enabled < 0 && fgets(line, sizeof(line), file))
		if (sscanf(line, "%63s %*d %*d %d", name, &is_enabled) != 2 ||
			strcmp(name, "cpu") != 0)
			is_enabled = -1;
	if (is_enabled == 0)
		return fault_set(fault, -ENOENT,
			"the cpu controller is switched off (kernel command line: cgroup_disable)");
	return fault_set(fault, -ENOENT,
		"no cgroup hierarchy here has the cpu controller (in a container or a session, "
		"whoever made it has to enable it in cgroup.subtree_control of the group above)");
}

static int find_tree(struct cgroup_base *ret_base, struct fault *fault)
{
	int r = cgroup_find("cpu", ret_base, fault);

	if (r == -ENOENT)
		return lacks_cpu(fault);
	if (r < 0)
		return r;
	if (!ret_base->is_unified)
		return fault_set(fault, -EOPNOTSUPP,
			"the cpu controller is on cgroup v1 (at '%s'); the unified tree does not "
			"have it",
			ret_base->mount);
	if (ret_base->is_own_above)
		return fault_set(fault, -EXDEV,
			"this process is in a group above those that '%s' shows (it has entered "
			"the cgroup namespace of a container?)",
			ret_base->mount);
	strip_leaf(ret_base->own);
	return 0;
}

/* The real root may give its controllers to children and hold processes too; it is the one group
 * without a cgroup.type. */
static bool is_real_root(int dir_fd)
{
	return faccessat(dir_fd, "cgroup.type", F_OK, 0) < 0;
}

static bool is_marked(int dir_fd)
{
	static const char *const attributes[] = {"trusted.delegate", "user.delegate"};
	char value[2];

	for (size_t i = 0; i < ARRAY_LENGTH(attributes); i++)
		if (fgetxattr(dir_fd, attributes[i], value, sizeof(value)) == 1 && value[0] == '1')
			return true;
	return false;
}

/* Probing and opening both want to know, and a unit does not become another one while we are in it: one
 * question for each group. */
static bool is_delegated(const char *group)
{
	static char asked[PATH_MAX];
	static int answer = -1; /* not asked, or nobody there to answer */

	if (answer < 0 || strcmp(asked, group) != 0) {
		answer = unit_bus_is_delegated();
		strcpy(asked, group);
	}
	return answer == 1;
}

/* Is our own group for us to change? In the root of a container's tree no manager put us, whether
 * systemd runs the machine or not. */
static bool is_own_ours(const struct cgroup_base *base)
{
	_cleanup_close_ int fd = -EBADF;
	char path[PATH_MAX];

	if (!unit_bus_is_booted())
		return true;
	path_of(base, base->own, path);
	fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0)
		return false;
	if (base->own[0] == '\0' && !is_real_root(fd))
		return true;
	return is_marked(fd) || is_delegated(base->own);
}

/* Our own group without systemd, or else the root of the tree. */
static int open_own(struct cgroup_base *base, struct fault *fault)
{
	int r = open_home(base, base->own, fault);

	if (r >= 0 || unit_bus_is_booted() || !base->own[0])
		return r;
	base->own[0] = '\0';
	return open_home(base, base->own, fault);
}

/* Could systemd make a scope of use? Leaving our own group for nothing would be a pity. */
static int check_manager(const struct cgroup_base *base, struct fault *fault)
{
	_cleanup_close_ int fd = -EBADF;
	char group[PATH_MAX], path[PATH_MAX];
	struct statvfs fs;
	int r;

	if (statvfs(base->mount, &fs) == 0 && (fs.f_flag & ST_RDONLY))
		return refuse_read_only(base->mount, fault);
	r = unit_bus_probe(group, fault);
	if (r < 0)
		return r;
	path_of(base, group, path);
	fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0)
		return fault_errno(fault, -errno, "open '%s', the group of systemd", path);
	if (file_has_word(fd, "cgroup.controllers", "cpu") == 0)
		return fault_set(fault, -EOPNOTSUPP,
			"systemd did not get the cpu controller in '%s' ('systemctl edit "
			"user@.service': [Service] Delegate=cpu memory pids)",
			path);
	return 0;
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

/* The scope is made with no limits but the default ones. */
static void warn_of_lost_limits(
	struct home *home, const struct unit_limits *was, int mount_fd, const char *is)
{
	char names[256];

	if (mount_fd >= 0 && lost_limits(was, mount_fd, is, names, sizeof(names)) > 0)
		(void)snprintf(home->warning, sizeof(home->warning),
			"moved out of '%.*s': %s set there no longer hold for this run (with "
			"Delegate=yes in that unit it stays there)",
			GROUP_SHOWN, was->group, names);
}

/* From our own group into a scope; `base` is of that one then. */
static int move_to_scope(
	struct home *home, const char *run, struct cgroup_base *base, struct fault *fault)
{
	_cleanup_close_ int mount_fd = open(base->mount, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	struct unit_limits was;
	int r = check_manager(base, fault);

	if (r < 0)
		return r;
	unit_limits_read(&was, mount_fd, base->own);
	r = make_scope(run, fault);
	if (r == 0)
		r = find_tree(base, fault);
	if (r == 0)
		warn_of_lost_limits(home, &was, mount_fd, base->own);
	return r;
}

static int find_home(struct home *home, const char *run, struct fault *fault)
{
	struct cgroup_base base;
	int r = find_tree(&base, fault);

	if (r == 0 && !is_own_ours(&base))
		r = move_to_scope(home, run, &base, fault);
	if (r < 0)
		return r;
	r = open_own(&base, fault);
	if (r < 0)
		return r;
	home->dir_fd = r;
	strcpy(home->group, base.own);
	return 0;
}

static int find_fake_home(struct home *home, const char *root, struct fault *fault)
{
	home->dir_fd = open(root, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (home->dir_fd < 0)
		return fault_errno(fault, -errno, "open '%s'", root);
	return check_cpu(home->dir_fd, root, fault);
}

static void pause_for_round(void)
{
	const struct timespec pause = {.tv_nsec = ROUND_NS};

	(void)nanosleep(&pause, NULL); /* cut short by a signal: a shorter round */
}

int home_move_all(int from_fd, int to_fd)
{
	for (unsigned round = 0; round < ROUNDS; round++) {
		_cleanup_close_ int fd = openat(from_fd, "cgroup.procs", O_RDONLY | O_CLOEXEC);
		_cleanup_fclose_ FILE *file = fd < 0 ? NULL : fdopen(fd, "re");
		char text[NUMBER_TEXT_MAX];
		int pid, n = 0;

		if (!file)
			return -errno;
		fd = -EBADF; /* the file's now */
		while (fscanf(file, "%d", &pid) == 1) {
			int r;

			if (pid == 0) /* of another pid namespace; to the kernel it means us */
				return -EPERM;
			(void)format_number(text, (uint64_t)pid);
			r = knob_write_at(to_fd, "cgroup.procs", text);
			if (r < 0 && r != -ESRCH)
				return r;
			n++;
		}
		if (n == 0)
			return 0;
		if (round > 0) /* the first one finds what is there */
			pause_for_round();
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
	r = home_move_all(home->dir_fd, leaf_fd);
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

/* Who holds it for long has been stopped, or is no run at all: whoever can read a directory can lock it.
 * Then it goes on without, as if there were no other run. */
static void lock_home(int home_fd)
{
	for (unsigned round = 0; round < ROUNDS; round++) {
		if (flock(home_fd, LOCK_EX | LOCK_NB) == 0 || errno != EWOULDBLOCK)
			return;
		pause_for_round();
	}
}

void home_unlock(struct home *home)
{
	(void)flock(home->dir_fd, LOCK_UN);
}

/* What cannot be undone is harmless: a leaf, an enabled controller. A second run in the same HOME
 * keeps both in use (EBUSY), and the next one finds them. */
void home_leave(struct home *home)
{
	_cleanup_close_ int leaf_fd = -EBADF, home_fd = TAKE_FD(home->dir_fd);

	if (home_fd < 0)
		return;
	lock_home(home_fd);
	if (home->is_cpu_enabled)
		(void)knob_write_at(home_fd, "cgroup.subtree_control", "-cpu");
	if (!home->is_leaf_made)
		return;
	leaf_fd = openat(home_fd, LEAF, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (leaf_fd >= 0)
		(void)home_move_all(leaf_fd, home_fd);
	(void)unlinkat(home_fd, LEAF, AT_REMOVEDIR);
}

int home_look(struct home_sight *ret_sight, struct fault *fault)
{
	struct cgroup_base base;
	int r = find_tree(&base, fault);

	if (r < 0)
		return r;
	strcpy(ret_sight->mount, base.mount);
	ret_sight->is_by_manager = !is_own_ours(&base);
	if (ret_sight->is_by_manager)
		return unit_bus_probe(ret_sight->group, fault);
	r = open_own(&base, /* fault= */ NULL);
	if (r >= 0)
		(void)close(r);
	else /* what was tried first is what there is to say something about */
		(void)find_tree(&base, /* fault= */ NULL);
	strcpy(ret_sight->group, base.own);
	return 0;
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
	if (!is_own_ours(&base))
		return check_manager(&base, fault);
	r = open_own(&base, fault);
	if (r < 0)
		return r;
	(void)close(r);
	return 0;
}

static int prepare(struct home *home, struct fault *fault)
{
	int r;

	lock_home(home->dir_fd);
	r = make_leaf(home, fault);
	if (r == 0)
		r = home_enable_cpu(home->dir_fd, home->group, &home->is_cpu_enabled, fault);
	return r;
}

int home_open(struct home *home, const char *fake_root, const char *run, struct fault *fault)
{
	int r = fake_root ? find_fake_home(home, fake_root, fault) : find_home(home, run, fault);

	return r < 0 ? r : prepare(home, fault);
}

/* That of another governor, which we may have been started outside of, if its run is there. */
static bool find_old(struct home *home, const char *run, const char *old)
{
	_cleanup_close_ int fd = -EBADF;
	struct cgroup_base base;

	if (!old || strlen(old) >= sizeof(home->group) || find_tree(&base, /* fault= */ NULL) < 0)
		return false;
	fd = open_home(&base, old, /* fault= */ NULL);
	if (fd < 0 || faccessat(fd, run, F_OK, AT_SYMLINK_NOFOLLOW) < 0)
		return false;
	strcpy(home->group, old);
	home->dir_fd = TAKE_FD(fd);
	return true;
}

int home_open_apart(struct home *home, const char *run, const char *old, struct fault *fault)
{
	int r = find_old(home, run, old) ? 0 : find_home(home, run, fault);

	return r < 0 ? r : prepare(home, fault);
}

int home_open_slice(struct home *home, uint64_t quota_us, uint32_t period_us, bool keeps_quota,
	struct fault *fault)
{
	struct cgroup_base base;
	int r = find_tree(&base, fault);

	if (r == 0)
		r = check_manager(&base, fault);
	if (r == 0)
		r = unit_bus_open_slice(quota_us, period_us, keeps_quota, home->group, fault);
	if (r == 0)
		r = open_home(&base, home->group, fault);
	if (r < 0)
		return r;
	home->dir_fd = r;
	return 0;
}

int home_open_known(struct home *home, const char *group, struct fault *fault)
{
	struct cgroup_base base;
	int r = find_tree(&base, fault);

	if (r == 0)
		r = strlen(group) < sizeof(home->group) ? open_home(&base, group, fault)
							: -ENAMETOOLONG;
	if (r < 0)
		return r;
	if (group != home->group)
		strcpy(home->group, group);
	home->dir_fd = r;
	return 0;
}
