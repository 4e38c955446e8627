// SPDX-License-Identifier: GPL-2.0-or-later
#include "cgroup.h"

#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <libcgroup.h>
#include <linux/magic.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "cleanup.h"
#include "group.h"

/* The wrapper around libcgroup. What version 2.0.2 does that one would not expect, each found on a
 * machine with every v1 controller on its own mount and the unified tree beside them:
 *
 * - It logs to stdout. A logger of our own that says nothing is set before cgroup_init().
 * - cgroup_delete_cgroup_ext() without CGFLAG_DELETE_EMPTY_ONLY moves processes to the parent group,
 *   out of their quota. With that flag it returns 0 although the group is not empty (the EBUSY is
 *   dropped where the first error is kept). So we pass the flag and look whether the group is gone.
 * - cgroup_create_cgroup() takes over a group that is there already, and makes missing parents. On
 *   v2 it writes +cpu into the cgroup.subtree_control of every ancestor. Creation here is for v1,
 *   below an existing parent, and only of what is not there.
 * - It attaches through `tasks`, one thread. A process at its gate has just one.
 * - It names the unified tree after a controller that is on it, and does not see it where none is.
 *   So the unified tree is known by the type of its file system.
 * - cgroup_get_current_controller_path() cannot read the "0::/path" line of the unified tree, and
 *   stops at a blank in a path. On v2 we read that line ourselves.
 * - ECGROUPNOTALLOWED stands for every errno but EPERM (and ENOENT when attaching); errno is then
 *   still what the failing call left, which is all that can be told.
 *
 * The names of all groups of a run begin with the run's name, so that they are found again by a
 * walk of the trees, whoever made them. */

/* Hierarchies in which a run may have groups. */
static const char *const run_controllers[] = {"cpu", "cpuacct", "freezer"};

#define MOUNTS_MAX 8
#define OWN_LOOKS 10
#define WALK_DEPTH_MAX 32

static void say_nothing(void *userdata, int level, const char *format, va_list args)
{
	(void)userdata;
	(void)level;
	(void)format;
	(void)args;
}

static int translate(int code)
{
	int last = cgroup_get_last_errno();

	switch (code) {
	case ECGROUPNOTMOUNTED:
	case ECGROUPNOTEXIST:
	case ECGROUPSUBSYSNOTMOUNTED:
		return -ENOENT;
	case ECGROUPNOTOWNER:
		return -EPERM;
	case ECGROUPNOTALLOWED:
		return errno > 0 ? -errno : -EACCES;
	case ECGNONEMPTY:
		return -EBUSY;
	case ECGOTHER:
		return last > 0 ? -last : -EIO;
	default:
		return -EIO;
	}
}

static int init_once(struct fault *fault)
{
	static bool is_done; /* a second cgroup_init() leaks what the first one allocated */
	int code;

	if (is_done)
		return 0;
	cgroup_set_logger(say_nothing, CGROUP_LOG_ERROR, NULL);
	code = cgroup_init();
	if (code == ECGROUPNOTMOUNTED)
		return fault_set(fault, -ENOENT, "no cgroup hierarchy is mounted");
	if (code != 0)
		return fault_errno(fault, translate(code), "find the mounted cgroup hierarchies");
	is_done = true;
	return 0;
}

static bool is_unified_path(const char *path)
{
	struct statfs fs;

	return statfs(path, &fs) == 0 && fs.f_type == CGROUP2_SUPER_MAGIC;
}

static bool is_directory(const char *path)
{
	struct stat st;

	return stat(path, &st) == 0 && S_ISDIR(st.st_mode);
}

/* The group of this process in the unified tree, "/..." , owned by the caller; NULL where that
 * cannot be read. */
static char *unified_own(void)
{
	_cleanup_fclose_ FILE *file = fopen("/proc/self/cgroup", "re");
	_cleanup_free_ char *line = NULL;
	size_t size = 0;
	ssize_t n;

	if (!file)
		return NULL;
	while ((n = getline(&line, &size, file)) > 0) {
		if (line[n - 1] == '\n')
			line[n - 1] = '\0';
		if (strncmp(line, "0::", 3) == 0)
			return strdup(line + 3);
	}
	return NULL;
}

/* False where the group is not there, or cannot be known. */
static bool look_for_own(const char *controller, struct cgroup_base *base)
{
	_cleanup_free_ char *own = NULL, *path = NULL;

	base->own[0] = '\0';
	base->is_own_above = false;
	if (base->is_unified)
		own = unified_own();
	else if (cgroup_get_current_controller_path(getpid(), controller, &own) != 0)
		own = NULL;
	if (!own || own[0] != '/' || strlen(own + 1) >= sizeof(base->own))
		return false;
	/* "/../x" names a group that is not below the mount point, and a path that may well exist. */
	base->is_own_above = strncmp(own, "/..", 3) == 0 && (own[3] == '/' || own[3] == '\0');
	if (base->is_own_above)
		return true;
	if (asprintf(&path, "%s%s", base->mount, own) < 0) {
		path = NULL;
		return false;
	}
	if (!is_directory(path))
		return false;
	strcpy(base->own, own + 1);
	return true;
}

/* A group that is gone may have been ours a moment ago: a run that ends moves what is in its leaf, us
 * for one, and removes it. The root would be a wrong answer then. */
static void find_own(const char *controller, struct cgroup_base *base)
{
	for (unsigned look = 0; look < OWN_LOOKS; look++)
		if (look_for_own(controller, base))
			return;
}

int cgroup_find(const char *controller, struct cgroup_base *ret_base, struct fault *fault)
{
	_cleanup_free_ char *mount = NULL;
	int r, code;

	r = init_once(fault);
	if (r < 0)
		return r;
	code = cgroup_get_subsys_mount_point(controller, &mount);
	if (code != 0)
		return fault_set(fault, -ENOENT,
			"the %s controller is mounted in no cgroup hierarchy", controller);
	if (strlen(mount) >= sizeof(ret_base->mount))
		return fault_set(fault, -ENAMETOOLONG, "mount point '%s' is too long", mount);
	strcpy(ret_base->mount, mount);
	ret_base->is_unified = is_unified_path(mount);
	find_own(controller, ret_base);
	return 0;
}

static void free_cgroup(struct cgroup **cgroup)
{
	if (*cgroup)
		cgroup_free(cgroup);
}

/* One group in one hierarchy, as libcgroup wants it named. Owned by the caller. */
static int name_group(const char *controller, const char *group, struct cgroup **ret_cgroup,
	char ret_path[static PATH_MAX], struct fault *fault)
{
	_cleanup_(free_cgroup) struct cgroup *cgroup = NULL;
	struct cgroup_base base;
	int r, n;

	r = cgroup_find(controller, &base, fault);
	if (r < 0)
		return r;
	n = snprintf(ret_path, PATH_MAX, "%s/%s", base.mount, group);
	if (n < 0 || n >= PATH_MAX)
		return fault_set(fault, -ENAMETOOLONG, "group '%s' has too long a name", group);
	cgroup = cgroup_new_cgroup(group);
	if (!cgroup || !cgroup_add_controller(cgroup, controller))
		return fault_set(fault, -ENOMEM, "out of memory");
	*ret_cgroup = TAKE_PTR(cgroup);
	return 0;
}

int cgroup_create(const char *controller, const char *group, struct fault *fault)
{
	_cleanup_(free_cgroup) struct cgroup *cgroup = NULL;
	char path[PATH_MAX], *slash;
	int r, code;

	r = name_group(controller, group, &cgroup, path, fault);
	if (r < 0)
		return r;
	if (is_directory(path))
		return fault_set(fault, -EEXIST, "group '%s' is there already", path);
	slash = strrchr(path, '/');
	*slash = '\0';
	if (is_unified_path(path))
		return fault_set(fault, -EOPNOTSUPP, "'%s' is a cgroup v2 tree", path);
	if (!is_directory(path))
		return fault_set(fault, -ENOENT, "group '%s' is not there", path);
	/* libcgroup says ENOENT where it may not. */
	if (faccessat(AT_FDCWD, path, W_OK | X_OK, AT_EACCESS) < 0)
		return fault_errno(fault, -errno, "make a group in '%s'", path);
	*slash = '/';
	errno = 0;
	code = cgroup_create_cgroup(cgroup, /* ignore_ownership= */ 1);
	if (code != 0)
		return fault_errno(fault, translate(code), "create group '%s'", path);
	return 0;
}

int cgroup_attach(const char *controller, const char *group, pid_t pid, struct fault *fault)
{
	_cleanup_(free_cgroup) struct cgroup *cgroup = NULL;
	char path[PATH_MAX];
	int r, code;

	r = name_group(controller, group, &cgroup, path, fault);
	if (r < 0)
		return r;
	errno = 0;
	code = cgroup_attach_task_pid(cgroup, pid);
	if (code != 0)
		return fault_errno(
			fault, translate(code), "move process %d to group '%s'", (int)pid, path);
	return 0;
}

int cgroup_remove(const char *controller, const char *group, struct fault *fault)
{
	_cleanup_(free_cgroup) struct cgroup *cgroup = NULL;
	char path[PATH_MAX];
	int r, code;

	r = name_group(controller, group, &cgroup, path, fault);
	if (r < 0)
		return r;
	errno = 0;
	code = cgroup_delete_cgroup_ext(cgroup, CGFLAG_DELETE_EMPTY_ONLY);
	if (code != 0)
		return fault_errno(fault, translate(code), "remove group '%s'", path);
	if (is_directory(path))
		return fault_set(fault, -EBUSY, "group '%s' is not empty", path);
	return 0;
}

/* The mount points in which runs may have groups. */
struct mounts {
	char path[MOUNTS_MAX][PATH_MAX];
	size_t n;
};

static void add_mount(struct mounts *mounts, const char *path)
{
	for (size_t i = 0; i < mounts->n; i++)
		if (strcmp(mounts->path[i], path) == 0)
			return;
	if (mounts->n < MOUNTS_MAX && strlen(path) < PATH_MAX)
		strcpy(mounts->path[mounts->n++], path);
}

/* The freezer comes first: what is frozen there must be thawed before it can die elsewhere. */
static int find_mounts(struct mounts *ret_mounts, struct fault *fault)
{
	struct cgroup_mount_point point;
	struct cgroup_base base;
	void *handle = NULL;
	int r, code;

	ret_mounts->n = 0;
	r = init_once(fault);
	if (r < 0)
		return r == -ENOENT ? 0 : r;
	for (size_t i = ARRAY_LENGTH(run_controllers); i > 0; i--)
		if (cgroup_find(run_controllers[i - 1], &base, /* fault= */ NULL) == 0)
			add_mount(ret_mounts, base.mount);
	code = cgroup_get_controller_begin(&handle, &point);
	while (code == 0) {
		if (is_unified_path(point.path))
			add_mount(ret_mounts, point.path);
		code = cgroup_get_controller_next(&handle, &point);
	}
	(void)cgroup_get_controller_end(&handle);
	return 0;
}

/* See marks.h. */
static bool is_run_name(const char *name)
{
	const char *rest = strchr(name, '-');
	size_t n_what = rest ? (size_t)(rest - name) : 0, n_pid, n_start;

	if ((n_what != strlen(RUN_NAME) || memcmp(name, RUN_NAME, n_what) != 0) &&
		(n_what != strlen(RUN_NAME_OF_SERVICE) ||
			memcmp(name, RUN_NAME_OF_SERVICE, n_what) != 0))
		return false;
	if (strlen(name) >= RUN_NAME_MAX)
		return false;
	rest++;
	n_pid = strspn(rest, "0123456789");
	if (n_pid == 0 || rest[n_pid] != '-')
		return false;
	n_start = strspn(rest + n_pid + 1, "0123456789");
	return n_start > 0 && rest[n_pid + 1 + n_start] == '\0';
}

/* Calls `take` for each group of a run below dir_fd; a run's own sub-groups are not entered. */
struct walk {
	int (*take)(struct walk *walk, int parent_fd, const char *name);
	unsigned depth;
	void *data;
};

static int walk_runs(struct walk *walk, int dir_fd)
{
	_cleanup_closedir_ DIR *dir = NULL;
	_cleanup_close_ int fd = openat(dir_fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	const struct dirent *entry;
	int r = 0;

	dir = fd < 0 ? NULL : fdopendir(fd);
	if (!dir)
		return errno == ENOENT || errno == EACCES ? 0 : -errno;
	TAKE_FD(fd);
	walk->depth++;
	while (r == 0 && (entry = readdir(dir))) {
		if (entry->d_type != DT_DIR || entry->d_name[0] == '.')
			continue;
		if (is_run_name(entry->d_name)) {
			r = walk->take(walk, dir_fd, entry->d_name);
		} else if (walk->depth < WALK_DEPTH_MAX) {
			_cleanup_close_ int child = openat(
				dir_fd, entry->d_name, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

			if (child >= 0)
				r = walk_runs(walk, child);
		}
	}
	walk->depth--;
	return r;
}

static int walk_mounts(struct walk *walk, struct fault *fault)
{
	_cleanup_free_ struct mounts *mounts = malloc(sizeof(*mounts));
	int r;

	if (!mounts)
		return fault_set(fault, -ENOMEM, "out of memory");
	r = find_mounts(mounts, fault);
	if (r < 0)
		return r;
	for (size_t i = 0; i < mounts->n; i++) {
		_cleanup_close_ int fd = open(mounts->path[i], O_RDONLY | O_DIRECTORY | O_CLOEXEC);

		if (fd < 0)
			continue; /* a mount we may not look into holds nothing of ours */
		r = walk_runs(walk, fd);
		if (r < 0)
			return fault_errno(
				fault, r, "look for groups of runs below '%s'", mounts->path[i]);
	}
	return 0;
}

struct run_list {
	char (*names)[RUN_NAME_MAX];
	size_t n;
};

static int list_run(struct walk *walk, int parent_fd, const char *name)
{
	struct run_list *list = walk->data;
	char(*grown)[RUN_NAME_MAX];

	(void)parent_fd;
	for (size_t i = 0; i < list->n; i++)
		if (strcmp(list->names[i], name) == 0)
			return 0;
	grown = reallocarray(list->names, list->n + 1, sizeof(*list->names));
	if (!grown)
		return -ENOMEM;
	list->names = grown;
	strcpy(list->names[list->n++], name);
	return 0;
}

int cgroup_runs(char (**ret_runs)[RUN_NAME_MAX], size_t *ret_n_runs, struct fault *fault)
{
	struct run_list list = {0};
	struct walk walk = {.take = list_run, .data = &list};
	int r = walk_mounts(&walk, fault);

	if (r < 0) {
		free(list.names);
		return r;
	}
	*ret_runs = list.names;
	*ret_n_runs = list.n;
	return 0;
}

/* The places of one run: held open from the walk to the end of the removal. */
#define PLACES_MAX 16

struct run_places {
	const char *run;
	int parent_fds[PLACES_MAX];
	int dir_fds[PLACES_MAX];
	size_t n;
};

static int hold_place(struct walk *walk, int parent_fd, const char *name)
{
	struct run_places *places = walk->data;
	_cleanup_close_ int parent = -EBADF, dir = -EBADF;

	if (strcmp(name, places->run) != 0)
		return 0;
	if (places->n == PLACES_MAX)
		return -E2BIG;
	dir = openat(parent_fd, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
	parent = fcntl(parent_fd, F_DUPFD_CLOEXEC, 0);
	if (dir < 0 || parent < 0)
		return errno == ENOENT ? 0 : -errno;
	places->dir_fds[places->n] = TAKE_FD(dir);
	places->parent_fds[places->n++] = TAKE_FD(parent);
	return 0;
}

static int end_places(struct run_places *places, struct fault *fault)
{
	int r = group_end(places->dir_fds, places->n);

	if (r < 0)
		return fault_errno(fault, r, "end the processes of run %s", places->run);
	for (size_t i = 0; i < places->n; i++) {
		r = group_remove_tree(places->parent_fds[i], places->run);
		if (r < 0)
			return fault_errno(fault, r, "remove the groups of run %s", places->run);
	}
	return (int)places->n;
}

static int look_for_holder(struct run_places *places, struct fault *fault)
{
	for (size_t i = 0; i < places->n; i++) {
		int r = group_is_held(places->dir_fds[i]);

		if (r < 0)
			return fault_errno(fault, r, "lock a group of run %s", places->run);
		if (r > 0)
			return r;
	}
	return 0;
}

/* Finds the places of a run, and does something with all of them. */
static int with_places(const char *run, int (*work)(struct run_places *places, struct fault *fault),
	struct fault *fault)
{
	struct run_places places = {.run = run};
	struct walk walk = {.take = hold_place, .data = &places};
	int r;

	if (!is_run_name(run))
		return fault_set(fault, -EINVAL, "'%s' is no run's name", run);
	r = walk_mounts(&walk, fault);
	if (r == 0)
		r = work(&places, fault);
	for (size_t i = 0; i < places.n; i++) {
		(void)close(places.dir_fds[i]);
		(void)close(places.parent_fds[i]);
	}
	return r;
}

/* What is populated stays, with all that is around it. */
static int sweep_places(struct run_places *places, struct fault *fault)
{
	int n = 0;

	for (size_t i = 0; i < places->n; i++) {
		int r = group_remove_tree(places->parent_fds[i], places->run);

		if (r < 0 && r != -EBUSY)
			return fault_errno(
				fault, r, "remove the empty groups of run %s", places->run);
		n += r == 0;
	}
	return n;
}

int cgroup_run_sweep(const char *run, struct fault *fault)
{
	return with_places(run, sweep_places, fault);
}

static int thaw_places(struct run_places *places, struct fault *fault)
{
	for (size_t i = 0; i < places->n; i++) {
		int r = group_thaw(places->dir_fds[i]);

		if (r < 0)
			return fault_errno(fault, r, "thaw the groups of run %s", places->run);
	}
	return 0;
}

int cgroup_run_thaw(const char *run, struct fault *fault)
{
	return with_places(run, thaw_places, fault);
}

int cgroup_run_is_held(const char *run, struct fault *fault)
{
	return with_places(run, look_for_holder, fault);
}

int cgroup_run_end(const char *run, struct fault *fault)
{
	return with_places(run, end_places, fault);
}
