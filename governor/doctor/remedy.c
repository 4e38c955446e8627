// SPDX-License-Identifier: GPL-2.0-or-later
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "doctor_internal.h"
#include "tree.h"

/* One cause often shows in several lines (no delegation, so no enforcer by groups, so no meter by groups):
 * then they name the same remedy. */

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
		found_remedy(finding,
			"sudo systemctl edit user@.service: [Service] Delegate=cpu memory pids; "
			"then log in again");
	else
		found_remedy(finding,
			"sudo apt install dbus-user-session && sudo loginctl enable-linger %u; "
			"then log in again",
			(unsigned)scene->uid);
}

/* No group on v2 for us, for whatever reason cgroup2 gave. */
static void remedy_on_v2(const struct scene *scene, int error, struct finding *finding)
{
	if (error == -EROFS)
		found_remedy(finding,
			"podman run --security-opt unmask=/sys/fs/cgroup ..., or in the service "
			"ProtectControlGroups=no");
	else if (error == -EXDEV)
		found_remedy(finding,
			"enter the container by its own tool, as in: podman exec CONTAINER coregov "
			"...");
	else if (scene->is_booted)
		remedy_of_manager(scene, error, finding);
	else if (error == -EOPNOTSUPP)
		found_remedy(finding,
			"outside, as whoever made this group: echo +cpu > "
			"/sys/fs/cgroup/GROUP/cgroup.subtree_control, for each group above it");
	else
		found_remedy(finding, "sudo chown -R %u '%s/%s', or run coregov as root",
			(unsigned)scene->uid, scene->base.mount, scene->base.own);
}

void remedy_of_groups(const struct scene *scene, struct finding *finding)
{
	const struct rung *rung = ladder_rung(&scene->enforcers, "cgroup2");

	if (is_cpu_switched_off(scene))
		found_remedy(finding,
			"take cgroup_disable=cpu out of GRUB_CMDLINE_LINUX in /etc/default/grub, "
			"then: sudo update-grub && sudo reboot");
	else if (!scene->has_base)
		found_remedy(finding,
			"mount -t cgroup2 cgroup2 /sys/fs/cgroup; in a container or a session, "
			"outside: echo +cpu > /sys/fs/cgroup/GROUP/cgroup.subtree_control, for "
			"each "
			"group above it");
	else if (!scene->base.is_unified && scene->uid != 0)
		found_remedy(finding,
			"run coregov as root (sudo coregov ...), or add "
			"systemd.unified_cgroup_hierarchy=1 to the kernel's command line");
	else if (!scene->base.is_unified)
		found_remedy(finding,
			"mount -t cgroup -o cpu cpu '%s' and -o freezer beside it, writable "
			"here (a container needs --privileged), or add "
			"systemd.unified_cgroup_hierarchy=1 to the kernel's command line",
			scene->base.mount);
	else
		remedy_on_v2(scene, rung ? rung->error : -EACCES, finding);
}

void remedy_of_bpf(const struct scene *scene, struct finding *finding)
{
	const struct rung *rung = ladder_rung(&scene->meters, "bpf");
	int error = rung ? rung->error : 0;

	if (is_locked_down(scene))
		found_remedy(finding, "boot with lockdown=integrity on the kernel's command line");
	else if (!tree_has(scene->root, BTF_PATH))
		found_remedy(finding,
			"boot a kernel built with CONFIG_DEBUG_INFO_BTF=y, as "
			"linux-image-amd64 of Debian is");
	else if (error == -EPERM || error == -EACCES)
		found_remedy(finding,
			"run coregov as root, or: sudo setcap "
			"cap_bpf,cap_perfmon+p \"$(command -v coregov)\"");
	else if (error == -EOPNOTSUPP)
		found_remedy(finding,
			"apt install clang bpftool libbpf-dev libcap-dev && meson "
			"setup --reconfigure build && ninja -C build");
	else
		found_remedy(finding, "report it, with what `uname -r` prints");
}
