// SPDX-License-Identifier: GPL-2.0-or-later
#include <stdio.h>
#include <string.h>

#include "cleanup.h"
#include "doctor_internal.h"
#include "tree.h"

/* What the kernel is, and how it was started. The limits of a process stand here too: which of them
 * matters depends on the kernel. */

#define TEXT_MAX 256

/* major * 1000 + minor, 0 where it cannot be read. */
static unsigned read_release(const struct scene *scene, char ret_text[static TEXT_MAX])
{
	unsigned major, minor;

	if (tree_read(scene->root, "/proc/sys/kernel/osrelease", ret_text, TEXT_MAX) < 0 ||
		sscanf(ret_text, "%3u.%3u", &major, &minor) != 2)
		return 0;
	return major * 1000 + minor;
}

void check_kernel(const struct scene *scene, struct finding *finding)
{
	const char *sudo = remedy_sudo(scene);
	char text[TEXT_MAX];
	unsigned release = read_release(scene, text);

	if (release == 0)
		found_broken(finding, "its version cannot be read from /proc");
	else if (release < 5003)
		found_broken(
			finding, "Linux %s has no pidfd_open (5.3): nothing can be started", text);
	else if (release < 6001)
		found_degraded(finding, "Linux %s: tested with 6.1 and newer", text);
	else
		found_ok(finding, "Linux %s", text);
	if (release == 0)
		found_remedy(finding, "%smount -t proc proc /proc", sudo);
	else if (finding->state != FINDING_OK)
		found_remedy(finding, "%sapt install linux-image-amd64 && %sreboot  # 6.1 or newer",
			sudo, sudo);
}

/* A scheduler that was told to take only tasks that ask for it leaves trainings alone. */
void check_sched_ext(const struct scene *scene, struct finding *finding)
{
	char state[TEXT_MAX], name[TEXT_MAX], all[TEXT_MAX];

	if (tree_read(scene->root, "/sys/kernel/sched_ext/state", state, sizeof(state)) < 0) {
		found_ok(finding, "this kernel has none");
		return;
	}
	if (strcmp(state, "disabled") == 0 || strcmp(state, "disabling") == 0) {
		found_ok(finding, "no scheduler is loaded");
		return;
	}
	if (tree_read(scene->root, "/sys/kernel/sched_ext/root/ops", name, sizeof(name)) < 0 ||
		name[0] == '\0')
		strcpy(name, "unknown");
	if (tree_read(scene->root, "/sys/kernel/sched_ext/switch_all", all, sizeof(all)) == 0 &&
		strcmp(all, "0") == 0) {
		found_ok(finding, "the scheduler '%s' takes only tasks that ask for it", name);
		return;
	}
	found_degraded(finding,
		"the scheduler '%s' is %s for all tasks: it may ignore quotas, so that tasks get "
		"more than they are granted",
		name, state);
	/* The latter has the kernel put out any that is there still. */
	found_remedy(finding, "%ssystemctl stop scx scx_loader; echo S | %stee /proc/sysrq-trigger",
		remedy_sudo(scene), remedy_sudo(scene));
}

void check_btf(const struct scene *scene, struct finding *finding)
{
	if (!tree_has(scene->root, BTF_PATH))
		found_degraded(finding,
			"the kernel does not tell its types (no " BTF_PATH "): no eBPF meter");
	else if (is_locked_down(scene))
		found_degraded(
			finding, "the kernel is locked down (confidentiality): no eBPF meter");
	else
		found_ok(finding, "the kernel tells its types, and lets programs read its memory");
	if (finding->state != FINDING_OK)
		remedy_of_bpf(scene, finding);
}

void check_pressure(const struct scene *scene, struct finding *finding)
{
	char text[TEXT_MAX];
	double last_minute;

	/* Where it is switched off the file is there, and cannot be read. */
	if (tree_read(scene->root, "/proc/pressure/cpu", text, sizeof(text)) < 0 ||
		sscanf(text, "some avg10=%*f avg60=%lf", &last_minute) != 1) {
		found_degraded(finding,
			"no /proc/pressure/cpu: nobody can see how long the machine's processes "
			"wait for a CPU");
		remedy_of_boot(scene, "psi=1", finding);
		return;
	}
	found_ok(finding, "in the last minute something waited for a CPU %.0f %% of the time",
		last_minute);
}

#define CLOCKS "/sys/devices/system/clocksource/clocksource0"

/* What takes the kernel microseconds to read, since it is a device. */
static bool is_slow_clock(const char *name)
{
	static const char *const slow[] = {"acpi_pm", "hpet", "jiffies", "pit", "refined-jiffies"};

	for (size_t i = 0; i < ARRAY_LENGTH(slow); i++)
		if (strcmp(name, slow[i]) == 0)
			return true;
	return false;
}

/* One that the kernel has besides, or the one that it does not trust. */
static void remedy_of_clock(const struct scene *scene, struct finding *finding)
{
	char text[TEXT_MAX], *rest = text, *name;

	(void)tree_read(scene->root, CLOCKS "/available_clocksource", text, sizeof(text));
	while ((name = strsep(&rest, " \n")))
		if (*name && !is_slow_clock(name)) {
			found_remedy(finding, "echo %s | %stee " CLOCKS "/current_clocksource",
				name, remedy_sudo(scene));
			return;
		}
	remedy_of_boot(scene, "tsc=reliable", finding);
}

void check_clock(const struct scene *scene, struct finding *finding)
{
	char text[TEXT_MAX];

	if (tree_read(scene->root, CLOCKS "/current_clocksource", text, sizeof(text)) < 0) {
		found_ok(finding, "not told here");
	} else if (is_slow_clock(text)) {
		found_degraded(finding,
			"'%s' is slow: each report of a training takes microseconds", text);
		remedy_of_clock(scene, finding);
	} else {
		found_ok(finding, "'%s'", text);
	}
}

/* A run needs some twelve descriptors for a task. Locked memory counts for eBPF before Linux 5.11, which
 * charges it to the group since. */
#define FILES_OF_TASK 12
#define FILES_ENOUGH 1024
#define LOCKED_BYTES_ENOUGH (64u << 20)

/* In the unit of a service, or where a login looks: `limit` as in limits.conf(5). */
static void remedy_of_limit(
	const struct scene *scene, const char *line, const char *limit, struct finding *finding)
{
	const char *service = own_service(scene), *sudo = remedy_sudo(scene);
	char then[TEXT_MAX];

	if (service) {
		(void)snprintf(then, sizeof(then), " && %ssystemctl restart %s", sudo, service);
		remedy_of_unit(scene, service, line, then, finding);
	} else {
		found_remedy(finding,
			"echo '%s %s' | %stee -a /etc/security/limits.conf  # then log in again",
			scene->uid == 0 ? "root" : "*", limit, sudo);
	}
}

void check_limits(const struct scene *scene, struct finding *finding)
{
	char text[TEXT_MAX];
	unsigned release = read_release(scene, text);

	if (scene->n_files_max < FILES_ENOUGH) {
		found_degraded(finding,
			"at most %ju open files: enough for some %ju tasks at a time",
			(uintmax_t)scene->n_files_max,
			(uintmax_t)scene->n_files_max / FILES_OF_TASK);
		remedy_of_limit(scene, "LimitNOFILE=65536", "hard nofile 65536", finding);
	} else if (release > 0 && release < 5011 && scene->locked_bytes < LOCKED_BYTES_ENOUGH) {
		found_degraded(finding,
			"at most %ju KiB of locked memory, which this kernel wants for eBPF",
			(uintmax_t)scene->locked_bytes / 1024);
		remedy_of_limit(scene, "LimitMEMLOCK=infinity", "- memlock unlimited", finding);
	} else {
		found_ok(finding, "%ju open files: enough for %ju tasks at a time",
			(uintmax_t)scene->n_files_max,
			(uintmax_t)scene->n_files_max / FILES_OF_TASK);
	}
}
