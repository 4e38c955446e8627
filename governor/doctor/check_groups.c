// SPDX-License-Identifier: GPL-2.0-or-later
#include <errno.h>
#include <fcntl.h>
#include <mntent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cleanup.h"
#include "doctor_internal.h"
#include "group.h"
#include "knob.h"
#include "machine.h"
#include "tree.h"

/* The way from the root of the tree to where a run makes its groups: who has the cpu controller, who may
 * write, and who limits us already. */

/* ---- which hierarchies ---- */

struct mounts {
	bool has_v1, has_v2, is_cpu_on_v2;
	char cpu1[PATH_MAX]; /* where the v1 hierarchy with the cpu controller is mounted, or "" */
	char v2[PATH_MAX];
};

static bool has_cpu(const char *root, const char *group)
{
	char path[2 * PATH_MAX + sizeof("/cgroup.controllers")], text[KNOB_TEXT_MAX];

	(void)snprintf(path, sizeof(path), "%s/cgroup.controllers", group);
	return tree_read(root, path, text, sizeof(text)) == 0 && knob_has_word(text, "cpu");
}

static void note_mount(const struct scene *scene, const struct mntent *entry, struct mounts *mounts)
{
	bool is_v2 = strcmp(entry->mnt_type, "cgroup2") == 0;

	if (is_v2 && !mounts->is_cpu_on_v2) {
		mounts->has_v2 = true;
		mounts->is_cpu_on_v2 = has_cpu(scene->root, entry->mnt_dir);
		(void)snprintf(mounts->v2, sizeof(mounts->v2), "%s", entry->mnt_dir);
	}
	if (strcmp(entry->mnt_type, "cgroup") != 0)
		return;
	mounts->has_v1 = true;
	if (hasmntopt(entry, "cpu"))
		(void)snprintf(mounts->cpu1, sizeof(mounts->cpu1), "%s", entry->mnt_dir);
}

static int read_mounts(const struct scene *scene, struct mounts *ret_mounts)
{
	char path[PATH_MAX], text[4 * PATH_MAX];
	struct mntent entry;
	FILE *file;

	*ret_mounts = (struct mounts){0};
	(void)snprintf(path, sizeof(path), "%s/proc/self/mounts", scene->root);
	file = setmntent(path, "re");
	if (!file)
		return -errno;
	while (getmntent_r(file, &entry, text, sizeof(text)))
		note_mount(scene, &entry, ret_mounts);
	(void)endmntent(file);
	return 0;
}

void check_cgroups(const struct scene *scene, struct finding *finding)
{
	struct mounts mounts;
	const char *mode;

	if (read_mounts(scene, &mounts) < 0) {
		found_broken(finding, "/proc/self/mounts cannot be read");
		found_remedy(finding, "%smount -t proc proc /proc", remedy_sudo(scene));
		return;
	}
	mode = mounts.has_v1 && mounts.has_v2 ? "hybrid (v1 and v2)"
		: mounts.has_v2               ? "unified (v2)"
					      : "v1";
	if (!mounts.has_v1 && !mounts.has_v2)
		found_degraded(finding, "no hierarchy is mounted");
	else if (mounts.is_cpu_on_v2)
		found_ok(finding, "%s, the cpu controller on v2 at '%s'", mode, mounts.v2);
	else if (!mounts.cpu1[0])
		found_degraded(finding, "%s, without the cpu controller%s", mode,
			is_cpu_switched_off(scene) ? " (the kernel was told so)" : "");
	else if (scene->uid == 0)
		found_ok(finding, "%s, the cpu controller on v1 at '%s'", mode, mounts.cpu1);
	else
		found_degraded(finding,
			"%s, the cpu controller on v1 at '%s', which is given to root only", mode,
			mounts.cpu1);
	if (finding->state != FINDING_OK)
		remedy_of_groups(scene, finding);
}

/* ---- systemd ---- */

void check_systemd(const struct scene *scene, struct finding *finding)
{
	int version = atoi(scene->systemd);

	if (!scene->is_booted) {
		found_ok(finding, "does not run this machine: groups are made where we are");
	} else if (version <= 0) {
		found_degraded(finding, "runs this machine, but cannot be asked");
		found_remedy(finding, "%sapt install dbus && %ssystemctl start dbus",
			remedy_sudo(scene), remedy_sudo(scene));
	} else if (version < 252) {
		found_degraded(finding,
			"%s: before 252 users are not given the cpu controller, and coregov is not "
			"tested",
			scene->systemd);
		remedy_of_unit(scene, "user@.service", "Delegate=cpu memory pids",
			"  # then log in again", finding);
	} else {
		found_ok(finding, "%s", scene->systemd);
	}
}

/* ---- delegation ---- */

/* The groups from the root to one of them. */
struct way {
	char text[FAULT_TEXT_MAX]; /* "/ (cpu), user.slice (cpu), x.service (no cpu, writable)" */
	size_t length;
	char lacking[PATH_MAX]; /* the first without the controller, below the mount point */
	bool is_lacking;
	bool is_writable; /* the last one */
};

static bool is_writable(const char *path, uid_t uid)
{
	static const char *const files[] = {".", "cgroup.procs", "cgroup.subtree_control"};
	_cleanup_close_ int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	for (size_t i = 0; i < ARRAY_LENGTH(files); i++) {
		if (fd < 0 || !group_is_writable_by(fd, files[i], uid))
			return false;
		/* A tree that is mounted read-only is nobody's. v1 has no subtree_control. */
		if (faccessat(fd, files[i], W_OK, AT_EACCESS) < 0 && errno != ENOENT)
			return false;
	}
	return true;
}

static void add_group(const struct scene *scene, const char *group, struct way *way)
{
	char path[2 * PATH_MAX];
	const char *slash = strrchr(group, '/');
	bool is_given;
	int n;

	(void)snprintf(path, sizeof(path), "%s%s%s", scene->base.mount, group[0] ? "/" : "", group);
	is_given = !scene->base.is_unified || has_cpu("", path);
	way->is_writable = is_writable(path, scene->uid);
	if (!is_given && !way->is_lacking) {
		way->is_lacking = true;
		(void)snprintf(way->lacking, sizeof(way->lacking), "%s", group);
	}
	n = snprintf(way->text + way->length, sizeof(way->text) - way->length, "%s%s (%scpu%s)",
		way->length > 0 ? ", " : "",
		slash              ? slash + 1
			: group[0] ? group
				   : "/",
		is_given ? "" : "no ", way->is_writable ? ", writable" : "");
	way->length += (size_t)n;
	if (way->length >= sizeof(way->text))
		way->length = sizeof(way->text) - 1;
}

static void walk(const struct scene *scene, const char *to, struct way *ret_way)
{
	char group[PATH_MAX];

	*ret_way = (struct way){0};
	add_group(scene, "", ret_way);
	for (const char *at = to; *at;) {
		at = strchrnul(at, '/');
		(void)snprintf(group, sizeof(group), "%.*s", (int)(at - to), to);
		add_group(scene, group, ret_way);
		at += *at == '/';
	}
}

static void remedy_of_lack(
	const struct scene *scene, const struct way *way, struct finding *finding)
{
	const char *slash = strrchr(way->lacking, '/');

	if (scene->is_booted || !way->lacking[0])
		remedy_of_groups(scene, finding);
	else
		found_remedy(finding, "echo +cpu | %stee '%s%s%.*s/cgroup.subtree_control'",
			remedy_sudo(scene), scene->base.mount, slash ? "/" : "",
			slash ? (int)(slash - way->lacking) : 0, way->lacking);
}

/* v1 takes the root where our own group is not for us, and systemd writes in our place. */
void check_delegation(const struct scene *scene, struct finding *finding)
{
	bool is_by_manager = scene->has_home && scene->home.is_by_manager;
	struct way way;

	if (!scene->has_base) {
		found_degraded(finding, "no hierarchy with the cpu controller can be seen");
		remedy_of_groups(scene, finding);
		return;
	}
	walk(scene, scene->has_home ? scene->home.group : scene->base.own, &way);
	if (way.is_lacking) {
		found_degraded(finding, "%s: '/%s' was not given the cpu controller", way.text,
			way.lacking);
		remedy_of_lack(scene, &way, finding);
	} else if (is_by_manager) {
		found_ok(finding, "%s; systemd makes a scope below that for a run", way.text);
	} else if (way.is_writable) {
		found_ok(finding, "%s", way.text);
	} else {
		found_degraded(finding, "%s: nothing can be made there by this user", way.text);
		remedy_of_groups(scene, finding);
	}
}

/* ---- a quota around us ---- */

static bool ends_with(const char *text, const char *end)
{
	size_t length = strlen(text), end_length = strlen(end);

	return length >= end_length && strcmp(text + length - end_length, end) == 0;
}

static void remedy_of_quota(const struct scene *scene, const char *path, struct finding *finding)
{
	const char *name = strrchr(path, '/');
	bool is_users;

	name = name ? name + 1 : path;
	is_users = strstr(path, "/user@") && !strstr(name, "user@");
	if (strcmp(path, scene->base.mount) == 0)
		found_remedy(finding, "podman run --cpus %g ...  # outside, for the container",
			scene->n_cpus);
	else if (ends_with(name, ".service") || ends_with(name, ".scope") ||
		ends_with(name, ".slice"))
		found_remedy(finding, "%ssystemctl %sset-property --runtime '%s' CPUQuota=",
			is_users ? "" : remedy_sudo(scene), is_users ? "--user " : "", name);
	else if (scene->base.is_unified)
		found_remedy(finding, "echo max | %stee '%s/cpu.max'", remedy_sudo(scene), path);
	else
		found_remedy(
			finding, "echo -1 | %stee '%s/cpu.cfs_quota_us'", remedy_sudo(scene), path);
}

void check_quota(const struct scene *scene, struct finding *finding)
{
	char path[PATH_MAX] = "";
	double cpus;

	if (scene->capacity_error < 0) {
		found_broken(finding, "what this process may use cannot be known: %s",
			scene->capacity_why);
		found_remedy(finding, "%smount -t proc proc /proc; %smount -t sysfs sysfs /sys",
			remedy_sudo(scene), remedy_sudo(scene));
		return;
	}
	cpus = scene->has_base ? machine_least_quota(&scene->base, scene->n_cpus, path) : 0;
	if (path[0]) {
		found_degraded(finding,
			"'%s' allows %g of %g CPUs: whoever set it can change what tasks get", path,
			cpus, scene->n_cpus);
		remedy_of_quota(scene, path, finding);
		return;
	}
	found_ok(finding, "none around us: %g of %g CPUs may be given", scene->capacity_cpus,
		scene->n_cpus);
}
