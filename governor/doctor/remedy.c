// SPDX-License-Identifier: GPL-2.0-or-later
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "doctor_internal.h"
#include "tree.h"

/* One cause often shows in several lines (no delegation, so no enforcer by groups, so no meter by groups):
 * then they name the same remedy.
 *
 * A remedy is a command that a shell takes as it stands, where there is one; what is not for a shell, such as to log in
 * again, is a comment behind it. */

#define GRUB "/etc/default/grub"
#define SERVICE_END ".service"
#define ON_V2 "systemd.unified_cgroup_hierarchy=1"

/* What is in a text between its last slash and its end. */
static const char *last_part(const char *path)
{
	const char *slash = strrchr(path, '/');

	return slash ? slash + 1 : path;
}

const char *remedy_sudo(const struct scene *scene)
{
	return scene->uid == 0 ? "" : "sudo ";
}

/* edit: for sed, of Debian's file for GRUB; by_hand: the same for whoever has another boot loader. otherwise: a command
 * that would do as well, and why; NULL: there is none. */
static void edit_command_line(const struct scene *scene, const char *edit, const char *by_hand,
	const char *otherwise, const char *why, struct finding *finding)
{
	const char *sudo = remedy_sudo(scene);

	if (tree_has(scene->root, GRUB))
		found_remedy(finding, "%ssed -i '%s' " GRUB " && %supdate-grub && %sreboot%s%s%s%s",
			sudo, edit, sudo, sudo, otherwise ? "  # or " : "", otherwise ? why : "",
			otherwise ? ": " : "", otherwise ? otherwise : "");
	else if (otherwise)
		found_remedy(finding,
			"%s  # %s, or %s the kernel's command line, where its boot loader has it",
			otherwise, why, by_hand);
	else
		found_remedy(finding,
			"%s the kernel's command line, where its boot loader has it, then: "
			"%sreboot",
			by_hand, sudo);
}

static void add_boot_word(const struct scene *scene, const char *word, const char *otherwise,
	const char *why, struct finding *finding)
{
	char edit[128], by_hand[128];

	(void)snprintf(edit, sizeof(edit), "s/^GRUB_CMDLINE_LINUX=\"/&%s /", word);
	(void)snprintf(by_hand, sizeof(by_hand), "add %s to", word);
	edit_command_line(scene, edit, by_hand, otherwise, why, finding);
}

void remedy_of_boot(const struct scene *scene, const char *word, struct finding *finding)
{
	add_boot_word(scene, word, /* otherwise= */ NULL, /* why= */ NULL, finding);
}

void remedy_of_unit(const struct scene *scene, const char *unit, const char *line, const char *then,
	struct finding *finding)
{
	const char *sudo = remedy_sudo(scene);

	found_remedy(finding,
		"%smkdir -p /etc/systemd/system/%s.d && printf '[Service]\\n%s\\n' | %stee "
		"/etc/systemd/system/%s.d/50-coregov.conf && %ssystemctl daemon-reload%s",
		sudo, unit, line, sudo, unit, sudo, then);
}

const char *own_service(const struct scene *scene)
{
	const char *name = last_part(scene->base.own);
	size_t length = strlen(name), end = strlen(SERVICE_END);

	return scene->is_booted && scene->has_base && length > end &&
			strcmp(name + length - end, SERVICE_END) == 0 &&
			!strstr(scene->base.own, "user@")
		? name
		: NULL;
}

bool is_cpu_switched_off(const struct scene *scene)
{
	char text[4096], name[64], *line, *rest = text;
	int is_enabled;

	if (tree_read(scene->root, "/proc/cgroups", text, sizeof(text)) < 0)
		return false;
	while ((line = strsep(&rest, "\n")))
		if (sscanf(line, "%63s %*d %*d %d", name, &is_enabled) == 2 &&
			strcmp(name, "cpu") == 0)
			return is_enabled == 0;
	return false;
}

bool is_locked_down(const struct scene *scene)
{
	char text[128];

	return tree_read(scene->root, "/sys/kernel/security/lockdown", text, sizeof(text)) == 0 &&
		strstr(text, "[confidentiality]");
}

/* Where systemd runs the machine it is the one to ask. */
static void remedy_of_manager(const struct scene *scene, int error, struct finding *finding)
{
	if (scene->uid == 0 && error != -EOPNOTSUPP)
		found_remedy(finding, "apt install dbus && systemctl start dbus");
	else if (error == -EOPNOTSUPP)
		remedy_of_unit(scene, "user@.service", "Delegate=cpu memory pids",
			"  # then log in again", finding);
	else
		found_remedy(finding,
			"sudo apt install dbus-user-session && sudo loginctl enable-linger %u  # "
			"then log in again",
			(unsigned)scene->uid);
}

/* No group on v2 for us, for whatever reason cgroup2 gave. */
static void remedy_on_v2(const struct scene *scene, int error, struct finding *finding)
{
	const char *service = own_service(scene);
	char then[PATH_MAX + 64];

	if (error == -EROFS && service) {
		(void)snprintf(then, sizeof(then), " && %ssystemctl restart %s", remedy_sudo(scene),
			service);
		remedy_of_unit(scene, service, "ProtectControlGroups=no", then, finding);
	} else if (error == -EROFS)
		found_remedy(finding,
			"podman run --security-opt unmask=/sys/fs/cgroup ...  # outside, for the "
			"container");
	else if (error == -EXDEV)
		found_remedy(finding,
			"podman exec CONTAINER coregov ...  # outside: the way into a container is "
			"its own tool");
	else if (scene->is_booted)
		remedy_of_manager(scene, error, finding);
	else if (error == -EOPNOTSUPP)
		found_remedy(finding,
			"echo +cpu > /sys/fs/cgroup/GROUP/cgroup.subtree_control  # outside, as "
			"whoever made this group, for each group above it");
	else
		found_remedy(finding, "sudo chown -R %u '%s/%s'  # or run coregov as root",
			(unsigned)scene->uid, scene->base.mount, scene->base.own);
}

void remedy_of_groups(const struct scene *scene, struct finding *finding)
{
	const struct rung *rung = ladder_rung(&scene->enforcers, "cgroup2");
	char mount[PATH_MAX + 128];

	if (is_cpu_switched_off(scene)) {
		edit_command_line(scene, "s/cgroup_disable=cpu\\b//",
			"take cgroup_disable=cpu out of", /* otherwise= */ NULL, /* why= */ NULL,
			finding);
	} else if (!scene->has_base) {
		found_remedy(finding,
			"mount -t cgroup2 cgroup2 /sys/fs/cgroup  # in a container or a session, "
			"outside: echo +cpu > /sys/fs/cgroup/GROUP/cgroup.subtree_control, for "
			"each group above it");
	} else if (!scene->base.is_unified && scene->uid != 0) {
		add_boot_word(scene, ON_V2, "sudo coregov ...", "run coregov as root", finding);
	} else if (!scene->base.is_unified) {
		(void)snprintf(
			mount, sizeof(mount), "mount -t cgroup -o cpu cpu '%s'", scene->base.mount);
		add_boot_word(scene, ON_V2, mount,
			"with -o freezer beside it, and writable here (podman run --privileged "
			"...)",
			finding);
	} else {
		remedy_on_v2(scene, rung ? rung->error : -EACCES, finding);
	}
}

void remedy_of_bpf(const struct scene *scene, struct finding *finding)
{
	const struct rung *rung = ladder_rung(&scene->meters, "bpf");
	int error = rung ? rung->error : 0;

	const char *sudo = remedy_sudo(scene);

	if (is_locked_down(scene))
		edit_command_line(scene, "s/lockdown=confidentiality/lockdown=integrity/",
			"let lockdown=confidentiality be lockdown=integrity on",
			/* otherwise= */ NULL, /* why= */ NULL, finding);
	else if (!tree_has(scene->root, BTF_PATH))
		found_remedy(finding,
			"%sapt install linux-image-amd64 && %sreboot  # a kernel with "
			"CONFIG_DEBUG_INFO_BTF=y",
			sudo, sudo);
	else if (error == -EPERM || error == -EACCES)
		found_remedy(finding,
			"sudo setcap cap_bpf,cap_perfmon+p \"$(command -v coregov)\"  # or run "
			"coregov as root");
	else if (error == -EOPNOTSUPP)
		found_remedy(finding,
			"%sapt install clang bpftool libbpf-dev libcap-dev && meson setup "
			"--reconfigure build && ninja -C build",
			sudo);
	else
		found_remedy(finding, "report it, with what `uname -r` prints");
}
