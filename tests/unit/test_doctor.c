// SPDX-License-Identifier: GPL-2.0-or-later
#include "doctor.h"

#include <errno.h>
#include <json-c/json.h>
#include <string.h>
#include <sys/wait.h>

#include "cleanup.h"
#include "scene.h"
#include "suite.h"

/* Every state of every check, on machines that are folders. A scene is well at first; each test spoils one
 * thing of it. */

#define OK FINDING_OK
#define DEGRADED FINDING_DEGRADED
#define BROKEN FINDING_BROKEN
#define USER 4711

#define MOUNTS_V2 "cgroup2 /sys/fs/cgroup cgroup2 rw,nosuid 0 0\n"
#define MOUNTS_V1                                             \
	"tmpfs /sys/fs/cgroup tmpfs rw 0 0\n"                 \
	"cgroup /sys/fs/cgroup/cpuset cgroup rw,cpuset 0 0\n" \
	"cgroup /sys/fs/cgroup/cpu,cpuacct cgroup rw,cpu,cpuacct 0 0\n"
#define GROUPS_HEAD "#subsys_name\thierarchy\tnum_cgroups\tenabled\n"

static char root[SUITE_PATH_MAX];
static struct scene *scene;
static struct finding findings[DOCTOR_CHECKS];

/* ---- the folder ---- */

static const char *below(const char *path)
{
	static char full[512];

	(void)snprintf(full, sizeof(full), "%s%s", root, path);
	return full;
}

static void put(const char *path, const char *text)
{
	char full[512];
	FILE *file;

	(void)snprintf(full, sizeof(full), "%s", below(path));
	for (char *slash = strchr(full + strlen(root) + 1, '/'); slash;
		slash = strchr(slash + 1, '/')) {
		*slash = '\0';
		ck_assert(mkdir(full, 0755) == 0 || errno == EEXIST);
		*slash = '/';
	}
	file = fopen(full, "we");
	ck_assert_ptr_nonnull(file);
	ck_assert(fputs(text, file) >= 0);
	ck_assert_int_eq(fclose(file), 0);
}

/* Variables, of which there are blanks between the texts. */
static void put_environment(const char *path, const char *variables)
{
	FILE *file;

	put(path, "");
	file = fopen(below(path), "we");
	ck_assert_ptr_nonnull(file);
	for (const char *c = variables; *c; c++)
		(void)fputc(*c == ' ' ? '\0' : *c, file);
	(void)fputc('\0', file);
	ck_assert_int_eq(fclose(file), 0);
}

static void hide(const char *path)
{
	ck_assert_int_eq(unlink(below(path)), 0);
}

/* A group of the v2 tree below /cg. */
static void put_group(const char *group, const char *controllers)
{
	char path[256];

	(void)snprintf(path, sizeof(path), "/cg%s/cgroup.controllers", group);
	put(path, controllers);
	(void)snprintf(path, sizeof(path), "/cg%s/cgroup.procs", group);
	put(path, "");
	(void)snprintf(path, sizeof(path), "/cg%s/cgroup.subtree_control", group);
	put(path, "");
}

static void rung(struct ladder *ladder, const char *name, int error, const char *why)
{
	struct rung *added = &ladder->rungs[ladder->n_rungs++];

	*added = (struct rung){.name = name, .error = error};
	(void)snprintf(added->why, sizeof(added->why), "%s", why);
}

static void put_machine(void)
{
	put("/proc/sys/kernel/osrelease", "6.1.0-18-amd64\n");
	put("/proc/self/mounts", MOUNTS_V2);
	put("/proc/cgroups", GROUPS_HEAD "cpuset\t0\t9\t1\ncpu\t0\t9\t1\n");
	put("/proc/pressure/cpu", "some avg10=1.00 avg60=2.50 avg300=0.00 total=1\n");
	put("/sys/fs/cgroup/cgroup.controllers", "cpuset cpu io\n");
	put("/sys/kernel/btf/vmlinux", "types");
	put("/sys/kernel/security/lockdown", "[none] integrity confidentiality\n");
	put("/sys/devices/system/clocksource/clocksource0/current_clocksource", "kvm-clock\n");
	put("/libexec/coregov-replay", "");
	ck_assert_int_eq(chmod(below("/libexec/coregov-replay"), 0755), 0);
	put("/lib/libcoregov-progress.so.0", "");
	put("/presets/mine.preset",
		"[preset]\nsummary = mine\n[line one]\nmatch = 'loss (?<loss>\\d+)'\n"
		"[test 1]\nline = \"loss 1\"\nloss = 1\n");
	put_group("", "cpuset cpu io\n");
	put_group("/a.slice", "cpu\n");
	put_group("/a.slice/b.service", "cpu\n");
}

static void setup(void)
{
	static char learners[512], library[512], presets[512];
	static char *directories[] = {presets, NULL};

	ck_assert_ptr_nonnull(mkdtemp(suite_template(root)));
	put_machine();
	scene = calloc(1, sizeof(*scene));
	ck_assert_ptr_nonnull(scene);
	scene->root = root;
	scene->has_base = scene->has_home = true;
	scene->base.is_unified = true;
	strcpy(scene->base.mount, below("/cg"));
	strcpy(scene->base.own, "a.slice/b.service");
	strcpy(scene->home.mount, scene->base.mount);
	strcpy(scene->home.group, scene->base.own);
	scene->n_cpus = scene->capacity_cpus = 4;
	rung(&scene->enforcers, "cgroup2", 0, "");
	rung(&scene->meters, "bpf", 0, "");
	strcpy(learners, below("/libexec"));
	strcpy(library, below("/lib"));
	strcpy(presets, below("/presets"));
	scene->learners = learners;
	scene->library = library;
	scene->presets = directories;
	scene->n_files_max = 4096;
	scene->locked_bytes = UINT64_MAX;
}

static void teardown(void)
{
	free(scene);
	ck_assert_int_eq(suite_remove(root), 0);
}

/* ---- asking ---- */

static const struct finding *look(const char *name)
{
	doctor_examine(scene, findings);
	for (size_t i = 0; i < DOCTOR_CHECKS; i++)
		if (strcmp(findings[i].name, name) == 0)
			return &findings[i];
	ck_abort_msg("there is no check '%s'", name);
	return NULL;
}

/* A remedy is a command that a shell takes, but for the few that there is none for. */
static void assert_command(const struct finding *finding)
{
	static const char *const none[] = {
		"add ",            /* to a command line that is nobody knows where */
		"in the bundle, ", /* a line of a file */
		"let ",
		"mend that line",
		"report it",
		"take ",
		"wait until ",
	};
	int status;
	pid_t pid;

	for (size_t i = 0; i < ARRAY_LENGTH(none); i++)
		if (strncmp(finding->remedy, none[i], strlen(none[i])) == 0)
			return;
	pid = fork();
	if (pid == 0) {
		(void)execl("/bin/sh", "sh", "-n", "-c", finding->remedy, NULL);
		_exit(127);
	}
	ck_assert_int_eq(waitpid(pid, &status, 0), pid);
	ck_assert_msg(status == 0, "%s: %s", finding->name, finding->remedy);
	/* It begins with what is to be called, not with a word of ours. */
	ck_assert_msg(
		strcspn(finding->remedy, " ") < strlen(finding->remedy), "%s", finding->remedy);
}

/* `found` and `remedy` are parts of the sentences. */
static void expect(
	const char *name, enum finding_state state, const char *found, const char *remedy)
{
	const struct finding *finding = look(name);

	ck_assert_msg(finding->state == state && strstr(finding->found, found) &&
			strstr(finding->remedy, remedy),
		"%s: %s: %s -> %s", name, finding_state_to_string(finding->state), finding->found,
		finding->remedy);
	ck_assert_int_eq(finding->remedy[0] == '\0', state == OK);
	if (state != OK)
		assert_command(finding);
}

static void no_groups(int error, const char *why)
{
	scene->enforcers.n_rungs = scene->meters.n_rungs = 0;
	rung(&scene->enforcers, "cgroup2", error, why);
	rung(&scene->enforcers, "cgroup1", -ENOENT, "none");
	rung(&scene->enforcers, "signal", 0, "");
	rung(&scene->meters, "bpf", -EOPNOTSUPP, "no groups");
	rung(&scene->meters, "cgroup", -EOPNOTSUPP, "no groups");
	rung(&scene->meters, "proc", 0, "");
}

/* What is in the file of GRUB after the edit of a remedy: "sudo sed -i 'EDIT' /etc/default/grub && ...". */
static const char *edited(const char *name, const char *grub)
{
	static char text[256];
	char edit[256], command[1024];
	FILE *file;

	put("/etc/default/grub", grub);
	ck_assert_int_eq(
		sscanf(strstr(look(name)->remedy, "sed -i "), "sed -i '%255[^']'", edit), 1);
	assert_command(look(name));
	(void)snprintf(
		command, sizeof(command), "sed -i '%s' '%s'", edit, below("/etc/default/grub"));
	ck_assert_int_eq(system(command), 0);
	file = fopen(below("/etc/default/grub"), "re");
	ck_assert_ptr_nonnull(file);
	text[fread(text, 1, sizeof(text) - 1, file)] = '\0';
	ck_assert_int_eq(fclose(file), 0);
	return text;
}

/* ---- all ---- */

START_TEST(a_machine_that_is_well)
{
	doctor_examine(scene, findings);
	for (size_t i = 0; i < DOCTOR_CHECKS; i++)
		ck_assert_msg(
			findings[i].state == OK, "%s: %s", findings[i].name, findings[i].found);
	ck_assert_int_eq(findings_worst(findings, DOCTOR_CHECKS), OK);
}
END_TEST

START_TEST(names_are_in_the_manual)
{
	char path[4096], mark[64], text[65536] = "";
	FILE *file;

	(void)snprintf(path, sizeof(path), "%s/coregov-doctor.1", getenv("COREGOV_MAN"));
	file = fopen(path, "re");
	ck_assert_ptr_nonnull(file);
	(void)fread(text, 1, sizeof(text) - 1, file);
	(void)fclose(file);
	doctor_examine(scene, findings);
	for (size_t i = 0; i < DOCTOR_CHECKS; i++) {
		(void)snprintf(mark, sizeof(mark), "\n.It Cm %s\n", findings[i].name);
		ck_assert_msg(strstr(text, mark) != NULL, "%s", findings[i].name);
	}
}
END_TEST

/* ---- kernel ---- */

static const struct file_case {
	const char *check, *path, *text; /* NULL: no such file */
	enum finding_state state;
	const char *found, *remedy;
} file_cases[] = {
	{"kernel", "/proc/sys/kernel/osrelease", "6.18.44-x\n", OK, "Linux 6.18.44-x", ""},
	{"kernel", "/proc/sys/kernel/osrelease", "6.0.3\n", DEGRADED, "6.0.3", "linux-image-amd64"},
	{"kernel", "/proc/sys/kernel/osrelease", "5.2.0\n", BROKEN, "pidfd_open", "linux-image"},
	{"kernel", "/proc/sys/kernel/osrelease", "what\n", BROKEN, "/proc", "mount -t proc"},
	{"kernel", "/proc/sys/kernel/osrelease", NULL, BROKEN, "/proc", "mount -t proc"},
	{"btf", "/sys/kernel/btf/vmlinux", NULL, DEGRADED, "no eBPF meter",
		"CONFIG_DEBUG_INFO_BTF"},
	{"btf", "/sys/kernel/security/lockdown", "none integrity [confidentiality]\n", DEGRADED,
		"locked down", "lockdown=integrity"},
	{"btf", "/sys/kernel/security/lockdown", "none [integrity] confidentiality\n", OK, "", ""},
	{"btf", "/sys/kernel/security/lockdown", NULL, OK, "", ""},
	{"pressure", "/proc/pressure/cpu", "some avg10=0.00 avg60=37.00 avg300=1.00 total=9\n", OK,
		"37 %", ""},
	{"pressure", "/proc/pressure/cpu", "", DEGRADED, "/proc/pressure/cpu", "psi=1"},
	{"pressure", "/proc/pressure/cpu", NULL, DEGRADED, "/proc/pressure/cpu", "psi=1"},
	{"clock", "/sys/devices/system/clocksource/clocksource0/current_clocksource", "hpet\n",
		DEGRADED, "'hpet' is slow", "tsc"},
	{"clock", "/sys/devices/system/clocksource/clocksource0/current_clocksource", "tsc\n", OK,
		"'tsc'", ""},
	{"clock", "/sys/devices/system/clocksource/clocksource0/current_clocksource", NULL, OK,
		"not told", ""},
	{"cgroups", "/proc/self/mounts", MOUNTS_V1, OK,
		"v1, the cpu controller on v1 at "
		"'/sys/fs/cgroup/cpu,cpuacct'",
		""},
	{"cgroups", "/proc/self/mounts", MOUNTS_V1 MOUNTS_V2, OK, "hybrid", ""},
	{"cgroups", "/proc/self/mounts", "proc /proc proc rw 0 0\n", DEGRADED, "no hierarchy", "-"},
	{"cgroups", "/proc/self/mounts", "cgroup /c cgroup rw,cpuset 0 0\n", DEGRADED,
		"without the cpu controller", "-"},
	{"cgroups", "/proc/self/mounts", NULL, BROKEN, "/proc/self/mounts", "mount -t proc"},
	{"cgroups", "/sys/fs/cgroup/cgroup.controllers", "cpuset io\n", DEGRADED,
		"unified (v2), without the cpu controller", "-"},
	{"cgroups", "/sys/fs/cgroup/cgroup.controllers", NULL, DEGRADED, "without the cpu", "-"},
	{"learners", "/libexec/coregov-replay", NULL, DEGRADED, "curves", "meson install"},
	{"library", "/lib/libcoregov-progress.so.0", NULL, DEGRADED, "do not start",
		"meson install"},
	{"presets", "/presets/mine.preset", "[preset]\nnonsense = 1\n", BROKEN, "mine.preset:2",
		"/presets/mine.preset.off'  # or mend that line"},
	{"meddlers", "/proc/77/comm", "cgrulesengd\n", DEGRADED, "process 77, cgrulesengd",
		"systemctl stop cgred"},
	{"meddlers", "/proc/77/comm", "ananicy\n", DEGRADED, "ananicy", "stop ananicy"},
	{"meddlers", "/proc/77/comm", "ananicy-cpp\n", DEGRADED, "ananicy", "stop ananicy-cpp"},
	{"meddlers", "/proc/77/comm", "cpulimit\n", DEGRADED, "stops", "kill 77"},
	{"meddlers", "/proc/77/comm", "cpulimits\n", OK, "none", ""},
};

START_TEST(states_that_a_file_decides)
{
	const struct file_case *one = &file_cases[_i];

	if (one->text)
		put(one->path, one->text);
	else
		hide(one->path);
	expect(one->check, one->state, one->found, one->remedy);
}
END_TEST

#define GRUB(words) "GRUB_TIMEOUT=5\nGRUB_CMDLINE_LINUX=\"" words "\"\n"

START_TEST(the_kernels_command_line)
{
	hide("/proc/pressure/cpu");
	expect("pressure", DEGRADED, "", "add psi=1 to the kernel's command line");
	ck_assert_str_eq(edited("pressure", GRUB("quiet")), GRUB("psi=1 quiet"));
	expect("pressure", DEGRADED, "", "/etc/default/grub && update-grub && reboot");
	scene->uid = USER;
	expect("pressure", DEGRADED, "", "sudo sed -i ");
	expect("pressure", DEGRADED, "", "&& sudo update-grub && sudo reboot");
	put("/proc/cgroups", GROUPS_HEAD "cpu\t0\t9\t0\n");
	scene->has_base = scene->has_home = false;
	ck_assert_str_eq(edited("delegation", GRUB("quiet cgroup_disable=cpu splash")),
		GRUB("quiet  splash"));
	put("/sys/kernel/security/lockdown", "none integrity [confidentiality]\n");
	ck_assert_str_eq(
		edited("btf", GRUB("lockdown=confidentiality")), GRUB("lockdown=integrity"));
	put("/proc/cgroups", GROUPS_HEAD "cpu\t0\t9\t1\n");
	put("/proc/self/mounts", MOUNTS_V1);
	scene->has_base = true;
	scene->base.is_unified = false;
	ck_assert_str_eq(edited("cgroups", GRUB("")), GRUB("systemd.unified_cgroup_hierarchy=1 "));
	expect("cgroups", DEGRADED, "", "# or run coregov as root: sudo coregov");
}
END_TEST

START_TEST(another_clock)
{
	static const char path[] = "/sys/devices/system/clocksource/clocksource0/";
	char current[128], available[128];

	(void)snprintf(current, sizeof(current), "%scurrent_clocksource", path);
	(void)snprintf(available, sizeof(available), "%savailable_clocksource", path);
	put(current, "hpet\n");
	expect("clock", DEGRADED, "'hpet' is slow", "add tsc=reliable to");
	put(available, "hpet acpi_pm \n");
	expect("clock", DEGRADED, "'hpet' is slow", "add tsc=reliable to");
	put(available, "hpet kvm-clock tsc \n");
	expect("clock", DEGRADED, "'hpet' is slow", "echo kvm-clock | tee /sys/devices/system/");
}
END_TEST

/* What is set in a unit is mended there. */
START_TEST(in_a_service)
{
	no_groups(-EROFS, "read-only");
	expect("enforcer", DEGRADED, "signal", "podman run");
	scene->is_booted = true;
	expect("enforcer", DEGRADED, "signal",
		"mkdir -p /etc/systemd/system/b.service.d && printf "
		"'[Service]\\nProtectControlGroups=no\\n' | tee "
		"/etc/systemd/system/b.service.d/50-coregov.conf && systemctl daemon-reload && "
		"systemctl restart b.service");
	scene->n_files_max = 256;
	expect("limits", DEGRADED, "21 tasks", "[Service]\\nLimitNOFILE=65536\\n");
	strcpy(scene->base.own, "user.slice/user@4711.service/x.service");
	expect("limits", DEGRADED, "21 tasks",
		"echo 'root hard nofile 65536' | tee -a /etc/security/limits.conf");
	scene->uid = USER;
	expect("limits", DEGRADED, "21 tasks", "echo '* hard nofile 65536' | sudo tee -a ");
}
END_TEST

START_TEST(sched_ext)
{
	static const char state[] = "/sys/kernel/sched_ext/state";

	expect("sched_ext", OK, "has none", "");
	put(state, "disabled\n");
	expect("sched_ext", OK, "no scheduler is loaded", "");
	put(state, "enabled\n");
	expect("sched_ext", DEGRADED, "'unknown' is enabled", "systemctl stop scx");
	put("/sys/kernel/sched_ext/root/ops", "lavd\n");
	put("/sys/kernel/sched_ext/switch_all", "1\n");
	expect("sched_ext", DEGRADED, "'lavd' is enabled for all", "systemctl stop scx");
	put("/sys/kernel/sched_ext/switch_all", "0\n");
	expect("sched_ext", OK, "'lavd' takes only tasks that ask", "");
}
END_TEST

START_TEST(limits)
{
	scene->locked_bytes = 65536;
	expect("limits", OK, "341 tasks", "");
	put("/proc/sys/kernel/osrelease", "5.10.0\n");
	expect("limits", DEGRADED, "64 KiB", "memlock unlimited");
	scene->n_files_max = 256;
	expect("limits", DEGRADED, "21 tasks", "nofile");
}
END_TEST

/* ---- groups ---- */

START_TEST(cgroups_on_v1_for_a_user)
{
	put("/proc/self/mounts", MOUNTS_V1);
	scene->base.is_unified = false;
	scene->uid = USER;
	expect("cgroups", DEGRADED, "given to root only", "run coregov as root");
}
END_TEST

START_TEST(cgroups_where_cpu_is_switched_off)
{
	put("/sys/fs/cgroup/cgroup.controllers", "cpuset\n");
	put("/proc/cgroups", GROUPS_HEAD "cpu\t0\t9\t0\n");
	scene->has_base = scene->has_home = false;
	no_groups(-ENOENT, "switched off");
	expect("cgroups", DEGRADED, "the kernel was told so", "cgroup_disable=cpu");
	expect("delegation", DEGRADED, "no hierarchy", "cgroup_disable=cpu");
	expect("enforcer", DEGRADED, "signal (cgroup2: switched off; cgroup1: none)",
		"cgroup_disable=cpu");
	expect("guarantee", DEGRADED, "cooperative", "cgroup_disable=cpu");
	expect("meter", DEGRADED, "proc: ", "cgroup_disable=cpu");
	put("/proc/cgroups", GROUPS_HEAD "cpu\t0\t9\t1\n");
	expect("delegation", DEGRADED, "no hierarchy", "mount -t cgroup2");
}
END_TEST

START_TEST(systemd)
{
	expect("systemd", OK, "does not run this machine", "");
	scene->is_booted = true;
	expect("systemd", DEGRADED, "cannot be asked", "apt install dbus");
	strcpy(scene->systemd, "247.3-7+deb11u4");
	expect("systemd", DEGRADED, "247.3", "Delegate=cpu");
	strcpy(scene->systemd, "252.39-1~deb12u1");
	expect("systemd", OK, "252.39", "");
}
END_TEST

START_TEST(delegation_to_ourselves)
{
	expect("delegation", OK,
		"/ (cpu, writable), a.slice (cpu, writable), b.service (cpu, writable)", "");
	scene->uid = USER;
	scene->enforcers.n_rungs = 0;
	rung(&scene->enforcers, "cgroup2", -EACCES, "no");
	expect("delegation", DEGRADED, "nothing can be made there", "sudo chown -R 4711");
	scene->base.own[0] = scene->home.group[0] = '\0';
	scene->has_home = false;
	expect("delegation", DEGRADED, "/ (cpu): nothing can be made there", "sudo chown");
}
END_TEST

START_TEST(delegation_that_ends_on_the_way)
{
	put_group("/a.slice", "memory cpuset\n");
	put_group("/a.slice/b.service", "memory\n");
	expect("delegation", DEGRADED, "a.slice (no cpu, writable)", "");
	expect("delegation", DEGRADED, "'/a.slice' was not given", "/cg/cgroup.subtree_control'");
	put_group("/a.slice", "cpu\n");
	expect("delegation", DEGRADED, "'/a.slice/b.service' was not given",
		"/cg/a.slice/cgroup.subtree_control'");
}
END_TEST

START_TEST(delegation_by_systemd)
{
	scene->is_booted = true;
	scene->uid = USER;
	scene->home.is_by_manager = true;
	expect("delegation", OK, "systemd makes a scope", "");
	put_group("/a.slice/b.service", "memory\n");
	scene->enforcers.n_rungs = 0;
	rung(&scene->enforcers, "cgroup2", -EOPNOTSUPP, "systemd did not get it");
	expect("delegation", DEGRADED, "b.service (no cpu)",
		"tee /etc/systemd/system/user@.service.d/50-coregov.conf");
}
END_TEST

START_TEST(delegation_on_v1)
{
	scene->base.is_unified = false;
	scene->has_home = false;
	expect("delegation", OK, "b.service (cpu, writable)", "");
	scene->uid = USER;
	expect("delegation", DEGRADED, "b.service (cpu): nothing", "run coregov as root");
}
END_TEST

START_TEST(quotas_around_us)
{
	expect("quota", OK, "4 of 4 CPUs", "");
	put("/cg/a.slice/b.service/cpu.max", "max 100000\n");
	expect("quota", OK, "4 of 4 CPUs", "");
	put("/cg/a.slice/cpu.max", "50000 100000\n");
	expect("quota", DEGRADED, "/cg/a.slice' allows 0.5 of 4 CPUs",
		"systemctl set-property --runtime 'a.slice' CPUQuota=");
	put("/cg/a.slice/b.service/cpu.max", "25000 100000\n");
	expect("quota", DEGRADED, "b.service' allows 0.25", "'b.service' CPUQuota=");
	put("/cg/cpu.max", "10000 100000\n");
	expect("quota", DEGRADED, "allows 0.1", "podman run --cpus 4");
	scene->capacity_error = -EIO;
	expect("quota", BROKEN, "cannot be known", "mount -t proc");
}
END_TEST

START_TEST(quotas_of_groups_that_are_no_units)
{
	put_group("/mine", "cpu\n");
	strcpy(scene->base.own, "mine");
	put("/cg/mine/cpu.max", "50000 100000\n");
	expect("quota", DEGRADED, "/cg/mine'", "echo max | tee");
	scene->uid = USER;
	expect("quota", DEGRADED, "/cg/mine'", "echo max | sudo tee");
	hide("/cg/mine/cpu.max");
	put("/cg/mine/cpu.cfs_quota_us", "20000\n");
	put("/cg/mine/cpu.cfs_period_us", "100000\n");
	scene->base.is_unified = false;
	expect("quota", DEGRADED, "allows 0.2 of 4", "cpu.cfs_quota_us");
}
END_TEST

START_TEST(a_quota_of_a_user_unit)
{
	put("/cg/user@4711.service/x.scope/cpu.max", "50000 100000\n");
	strcpy(scene->base.own, "user@4711.service/x.scope");
	expect("quota", DEGRADED, "x.scope'", "systemctl --user set-property --runtime 'x.scope'");
}
END_TEST

/* ---- choice ---- */

START_TEST(enforcers)
{
	expect("enforcer", OK, "cgroup2", "");
	expect("guarantee", OK, "cooperative: the kernel holds the budget", "");
	scene->enforcers.n_rungs = 0;
	rung(&scene->enforcers, "cgroup2", -EOPNOTSUPP, "it is on v1");
	rung(&scene->enforcers, "cgroup1", 0, "");
	expect("enforcer", OK, "cgroup1 (cgroup2: it is on v1)", "");
	scene->enforcers.n_rungs = scene->meters.n_rungs = 0;
	rung(&scene->enforcers, "signal", -EPERM, "not ours to send");
	expect("enforcer", BROKEN, "none works: signal: not ours", "-");
	expect("guarantee", BROKEN, "none", "-");
	expect("meter", BROKEN, "none, without an enforcer", "-");
}
END_TEST

static const struct {
	int error;
	bool is_booted;
	uid_t uid;
	const char *remedy;
} group_cases[] = {
	{-EROFS, false, 0, "podman run --security-opt unmask=/sys/fs/cgroup"},
	{-EXDEV, false, 0, "podman exec"},
	{-ECONNREFUSED, true, 0, "apt install dbus"},
	{-ECONNREFUSED, true, USER, "loginctl enable-linger 4711"},
	{-EOPNOTSUPP, true, USER, "printf '[Service]\\nDelegate=cpu memory pids\\n' | sudo tee "},
	{-EOPNOTSUPP, false, 0, "echo +cpu"},
	{-EACCES, false, USER, "sudo chown -R 4711"},
};

START_TEST(what_would_give_groups)
{
	no_groups(group_cases[_i].error, "why");
	scene->is_booted = group_cases[_i].is_booted;
	scene->uid = group_cases[_i].uid;
	expect("enforcer", DEGRADED, "signal (cgroup2: why", group_cases[_i].remedy);
}
END_TEST

START_TEST(what_would_give_groups_on_v1)
{
	no_groups(-EOPNOTSUPP, "it is on v1");
	scene->base.is_unified = false;
	expect("enforcer", DEGRADED, "signal", "mount -t cgroup -o cpu");
	scene->uid = USER;
	expect("enforcer", DEGRADED, "signal", "sudo coregov");
}
END_TEST

static const struct {
	int error;
	const char *remedy;
} meter_cases[] = {
	{-EPERM, "setcap cap_bpf,cap_perfmon+p"},
	{-EACCES, "setcap"},
	{-EOPNOTSUPP, "apt install clang bpftool"},
	{-EINVAL, "report it"},
};

START_TEST(meters)
{
	expect("meter", OK, "bpf", "");
	scene->meters.n_rungs = 0;
	rung(&scene->meters, "bpf", meter_cases[_i].error, "its reason");
	expect("meter", BROKEN, "none works: bpf: its reason", meter_cases[_i].remedy);
	rung(&scene->meters, "cgroup", 0, "");
	expect("meter", DEGRADED, "cgroup: CPU time", meter_cases[_i].remedy);
	expect("meter", DEGRADED, "(bpf: its reason)", meter_cases[_i].remedy);
	hide("/sys/kernel/btf/vmlinux");
	expect("meter", DEGRADED, "cgroup", "CONFIG_DEBUG_INFO_BTF");
	put("/sys/kernel/security/lockdown", "none integrity [confidentiality]\n");
	expect("meter", DEGRADED, "cgroup", "lockdown=integrity");
}
END_TEST

/* ---- runs ---- */

START_TEST(claims)
{
	expect("claims", OK, "no other run", "");
	scene->claimed_cpus = 1.5;
	strcpy(scene->claims, "coregov-7-9 (1.5)");
	expect("claims", OK, "1.5 of 4 CPUs are other runs': coregov-7-9 (1.5)", "");
	scene->claimed_cpus = 4;
	expect("claims", DEGRADED, "a new one is refused", "kill 7  # or wait");
	scene->uid = USER;
	expect("claims", DEGRADED, "a new one is refused", "sudo kill 7");
	scene->is_service_there = true;
	expect("claims", OK, "for 'coregov run'", "");
	scene->claims_error = -EIO;
	expect("claims", BROKEN, "coregov-7-9", "mount -t proc");
}
END_TEST

START_TEST(leftovers)
{
	expect("leftovers", OK, "none of dead runs", "");
	scene->n_leftovers = 2;
	strcpy(scene->leftovers, "coregov-7-9, coregov-8-9");
	expect("leftovers", DEGRADED, "dead runs: coregov-7-9, coregov-8-9",
		"| coregov bundle /dev/stdin");
	scene->n_leftovers = -EIO;
	expect("leftovers", BROKEN, "coregov-7-9", "mount -t proc");
}
END_TEST

START_TEST(no_processes_to_be_seen)
{
	scene->root = "/gone";
	expect("meddlers", BROKEN, "/proc", "mount -t proc");
	expect("threads", BROKEN, "/proc", "mount -t proc");
}
END_TEST

/* A process with four threads. */
static void put_process(const char *cgroup, const char *variables)
{
	put_environment("/proc/88/environ", variables);
	put("/proc/88/status", "Name:\tpython3\nThreads:\t4\n");
	put("/proc/88/cgroup", cgroup);
}

/* Process 88, of task `mlp` of a run, in a group below it, with four threads. */
static void put_task(const char *cgroup, const char *policy)
{
	put_process(cgroup, policy);
	put("/cg/home/coregov-7-9/3-mlp/cpu.max", "150000 100000\n");
	put("/cg/home/coregov-7-9/3-mlp/cpu.cfs_quota_us", "250000\n");
	put("/cg/home/coregov-7-9/3-mlp/cpu.cfs_period_us", "100000\n");
}

#define TASK_V2 "1:name=systemd:/\n0::/home/coregov-7-9/3-mlp/own\n"

START_TEST(threads_that_spin)
{
	expect("threads", OK, "no process of a task", "");
	put_task(TASK_V2, "PATH=/bin");
	expect("threads", DEGRADED,
		"task mlp of coregov-7-9: process 88 has 4 threads for 1.5 CPUs",
		"[task mlp]: environment = OMP_WAIT_POLICY=PASSIVE OMP_NUM_THREADS=1");
	put_task(TASK_V2, "OMP_WAIT_POLICY=ACTIVE");
	expect("threads", DEGRADED, "4 threads", "PASSIVE");
	put_task(TASK_V2, "OMP_WAIT_POLICY=passive");
	expect("threads", OK, "1 processes of tasks", "");
	put_task(TASK_V2, "PATH=/bin");
	put("/cg/home/coregov-7-9/3-mlp/cpu.max", "350000 100000\n");
	expect("threads", OK, "1 processes", "");
	put("/cg/home/coregov-7-9/3-mlp/cpu.max", "max 100000\n");
	expect("threads", OK, "no process of a task under a quota", "");
}
END_TEST

START_TEST(threads_on_v1)
{
	scene->base.is_unified = false;
	put_task("9:cpuset:/\n4:cpu,cpuacct:/home/coregov-7-9/3-mlp\n0::/\n", "PATH=/bin");
	hide("/cg/home/coregov-7-9/3-mlp/cpu.max");
	expect("threads", DEGRADED, "4 threads for 2.5 CPUs", "OMP_NUM_THREADS=2");
}
END_TEST

/* Where systemd made a scope for the run: its name stands in the path twice. */
START_TEST(threads_below_a_scope_of_the_run)
{
	put_process("0::/u.slice/coregov-7-9.scope/coregov-7-9/0-mlp\n", "PATH=/bin");
	put("/cg/u.slice/coregov-7-9.scope/coregov-7-9/0-mlp/cpu.max", "150000 100000\n");
	expect("threads", DEGRADED, "task mlp of coregov-7-9: process 88 has 4 threads for 1.5",
		"in the bundle, [task mlp]");
}
END_TEST

static struct scene_task governed[] = {
	{.pid = 88, .name = "mlp", .share_cpus = 1.5},
	{.pid = 99, .name = "svm", .share_cpus = 0.5},
};

static struct scene_governor *add_governor(const char *option, double budget_cpus, size_t n_tasks)
{
	struct scene_governor *governor = &scene->governors[scene->n_governors++];

	*governor = (struct scene_governor){
		.option = option,
		.pid = 66,
		.budget_cpus = budget_cpus,
		.tasks = governed,
		.n_tasks = n_tasks,
	};
	return governor;
}

#define SCOPE "/coregov.slice/coregov-mlp-3f09d2.scope"
#define OF_SERVICE "0::" SCOPE "/0-mlp\n"

/* Process 88 is task `mlp` of a coregovd under systemd. */
static void put_service(const char *variables)
{
	put_process(OF_SERVICE, variables);
	put("/cg/coregov.slice/cpu.max", "200000 100000\n");
	put("/cg" SCOPE "/cpu.max", "max 100000\n");
	put("/cg" SCOPE "/0-mlp/cpu.max", "150000 100000\n");
}

/* By its group alone: nothing is said of it in its environment, nor by a governor. */
START_TEST(threads_of_a_task_of_the_service)
{
	put_service("PATH=/bin");
	expect("threads", DEGRADED,
		"task mlp of coregov.slice: process 88 has 4 threads for 1.5 CPUs",
		"env OMP_WAIT_POLICY=PASSIVE OMP_NUM_THREADS=1 coregov run --threads 1 -- COMMAND");
	put_service("OMP_WAIT_POLICY=PASSIVE");
	expect("threads", OK, "1 processes of tasks", "");
	/* Let go of, so that the budget is its limit. */
	put_service("PATH=/bin");
	put("/cg" SCOPE "/0-mlp/cpu.max", "max 100000\n");
	expect("threads", DEGRADED, "4 threads for 2 CPUs", "OMP_NUM_THREADS=2");
	/* In the scope of a task, and no task. */
	put("/proc/88/cgroup", "0::" SCOPE "/refused\n");
	expect("threads", OK, "no process of a task", "");
	put("/proc/88/cgroup", "0::" SCOPE "\n");
	expect("threads", OK, "no process of a task", "");
	put("/proc/88/cgroup", "0::/coregov.slice/other.scope/0-mlp\n");
	expect("threads", OK, "no process of a task", "");
}
END_TEST

START_TEST(threads_of_a_task_of_a_users_governor)
{
	put_process("0::/u.slice/user@7.service" SCOPE "/0-mlp/deeper\n", "PATH=/bin");
	put("/cg/u.slice/user@7.service" SCOPE "/0-mlp/cpu.max", "150000 100000\n");
	expect("threads", DEGRADED, "task mlp of coregov.slice: process 88 has 4 threads for 1.5",
		"coregov run --threads 1");
}
END_TEST

START_TEST(threads_of_a_task_of_a_governor_without_systemd)
{
	put_process("0::/home/coregovd-7-9/3-mlp\n", "PATH=/bin");
	put("/cg/home/coregovd-7-9/3-mlp/cpu.max", "150000 100000\n");
	expect("threads", DEGRADED, "task mlp of coregovd-7-9: process 88 has 4 threads for 1.5",
		"coregov run --threads 1");
	scene->base.is_unified = false;
	put("/proc/88/cgroup", "4:cpu,cpuacct:/home/coregovd-7-9/3-mlp\n0::/\n");
	hide("/cg/home/coregovd-7-9/3-mlp/cpu.max");
	put("/cg/home/coregovd-7-9/3-mlp/cpu.cfs_quota_us", "250000\n");
	put("/cg/home/coregovd-7-9/3-mlp/cpu.cfs_period_us", "100000\n");
	expect("threads", DEGRADED, "4 threads for 2.5 CPUs", "coregov run --threads 2");
}
END_TEST

/* By signals there are no groups: the governor says what it has, a launcher's variable whose it is. */
START_TEST(threads_of_a_task_without_a_group)
{
	put_process("0::/\n", "COREGOV_TASK_PID=88");
	expect("threads", OK, "no process of a task", "");
	add_governor("", 2, 2);
	expect("threads", DEGRADED, "task mlp of a governor: process 88 has 4 threads for 1.5 CPUs",
		"coregov run --threads 1");
	scene->has_base = false;
	expect("threads", DEGRADED, "task mlp of a governor", "coregov run");
	put_process("0::/\n", "COREGOV_TASK_PID=99");
	expect("threads", DEGRADED, "task svm of a governor: process 88 has 4 threads for 0.5",
		"--threads 1");
	put_process("0::/\n", "COREGOV_TASK_PID=77");
	expect("threads", OK, "no process of a task", "");
}
END_TEST

/* Beside what the task may ever have: its threads, and the budget. */
START_TEST(threads_that_libraries_are_told_to_start)
{
	struct scene_governor *governor;

	put_service("COREGOV_TASK_PID=88 OMP_WAIT_POLICY=PASSIVE OMP_NUM_THREADS=2");
	expect("threads", OK, "1 processes", "");
	put_service("COREGOV_TASK_PID=88 OMP_WAIT_POLICY=PASSIVE OMP_NUM_THREADS=8,2");
	expect("threads", DEGRADED,
		"process 88 is told by OMP_NUM_THREADS=8 to start that many threads, and the task "
		"may have 2 CPUs at most",
		"env OMP_NUM_THREADS=2 coregov run --threads 2 -- COMMAND");
	put_service("COREGOV_TASK_PID=88 OMP_WAIT_POLICY=PASSIVE OMP_NUM_THREADS=1 "
		    "OPENBLAS_NUM_THREADS=3");
	expect("threads", DEGRADED, "OPENBLAS_NUM_THREADS=3", "env OPENBLAS_NUM_THREADS=2");
	put_service("COREGOV_TASK_PID=88 OMP_WAIT_POLICY=PASSIVE OMP_NUM_THREADS=many");
	expect("threads", OK, "1 processes", "");
	/* It was said to use one: the governor can be told otherwise while it runs. */
	governor = add_governor(" --system", 2, 1);
	governor->tasks[0].threads = 1;
	put_service("COREGOV_TASK_PID=88 OMP_WAIT_POLICY=PASSIVE OMP_NUM_THREADS=2");
	expect("threads", DEGRADED, "may have 1 CPUs at most", "coregov set mlp threads=2");
	put_service("COREGOV_TASK_PID=88 OMP_WAIT_POLICY=PASSIVE OMP_NUM_THREADS=3");
	expect("threads", DEGRADED, "may have 1 CPUs at most",
		"env OMP_NUM_THREADS=1 coregov run --threads 1");
	governor->tasks[0].threads = 0;
	/* Of a bundle its budget is known, too. */
	put_task(TASK_V2, "OMP_WAIT_POLICY=PASSIVE OMP_NUM_THREADS=9");
	expect("threads", OK, "1 processes", "");
	put("/cg/home/coregov-7-9/cpu.max", "300000 100000\n");
	expect("threads", DEGRADED, "may have 3 CPUs at most",
		"in the bundle, [task mlp]: environment = OMP_NUM_THREADS=3");
}
END_TEST

/* ---- a governor ---- */

START_TEST(no_governor)
{
	expect("governor", OK, "none is there", "");
}
END_TEST

START_TEST(a_governor_whose_budget_holds)
{
	add_governor(" --system", 2, 0);
	expect("governor", OK, "2 CPUs for 0 tasks", "");
	scene->governors[0].n_tasks = 2; /* one is gone */
	put_service("PATH=/bin");
	expect("governor", OK, "2 CPUs for 2 tasks, as '/coregov.slice' has it", "");
	scene->governors[0].budget_cpus = 2.0001; /* rounded */
	expect("governor", OK, "2.0001 CPUs for 2 tasks", "");
	/* Without a group there is nothing to be compared with. */
	put("/proc/88/cgroup", "0::/\n");
	scene->governors[0].budget_cpus = 1;
	expect("governor", OK, "1 CPUs for 2 tasks", "");
}
END_TEST

static const struct {
	const char *option;
	uid_t uid;
	const char *remedy;
} budget_cases[] = {
	{" --system", 0, "coregov budget --system 1.5cpu"},
	{" --system", USER, "sudo coregov budget --system 1.5cpu"},
	{" --user", USER, "coregov budget --user 1.5cpu"},
	{"", 0, "coregov budget 1.5cpu"},
};

START_TEST(a_budget_that_somebody_else_has_set)
{
	scene->uid = budget_cases[_i].uid;
	add_governor(budget_cases[_i].option, 1.5, 1);
	put_service("PATH=/bin");
	expect("governor", DEGRADED,
		"'/coregov.slice' has 2 CPUs, and the budget is 1.5 CPUs: somebody else has set "
		"CPUQuota= of coregov.slice",
		budget_cases[_i].remedy);
	ck_assert_str_eq(look("governor")->remedy, budget_cases[_i].remedy);
	put("/cg/coregov.slice/cpu.max", "max 100000\n");
	expect("governor", DEGRADED, "'/coregov.slice' has no limit", budget_cases[_i].remedy);
	put("/cg/coregov.slice/cpu.max", "150000 100000\n");
	expect("governor", OK, "1.5 CPUs for 1 tasks", "");
}
END_TEST

START_TEST(a_budget_of_a_group)
{
	add_governor("", 1.5, 1);
	put_process("0::/home/coregovd-7-9/3-mlp\n", "PATH=/bin");
	put("/cg/home/coregovd-7-9/3-mlp/cpu.max", "150000 100000\n");
	put("/cg/home/coregovd-7-9/cpu.max", "25000 100000\n");
	expect("governor", DEGRADED, "'/home/coregovd-7-9' has 0.25 CPUs, and the budget is 1.5",
		"coregov budget 1.5cpu");
	expect("governor", DEGRADED, "has set cpu.max", "");
	scene->base.is_unified = false;
	put("/proc/88/cgroup", "4:cpu,cpuacct:/home/coregovd-7-9/3-mlp\n0::/\n");
	hide("/cg/home/coregovd-7-9/cpu.max");
	put("/cg/home/coregovd-7-9/cpu.cfs_quota_us", "-1\n");
	put("/cg/home/coregovd-7-9/cpu.cfs_period_us", "100000\n");
	expect("governor", DEGRADED, "has no limit", "coregov budget 1.5cpu");
	expect("governor", DEGRADED, "has set cpu.cfs_quota_us", "");
	put("/cg/home/coregovd-7-9/cpu.cfs_quota_us", "150000\n");
	expect("governor", OK, "as '/home/coregovd-7-9' has it", "");
	/* A run of a bundle beside it is not its. */
	put("/proc/88/cgroup", "4:cpu:/home/coregov-7-9/3-mlp\n");
	expect("governor", OK, "1.5 CPUs for 1 tasks", "");
}
END_TEST

START_TEST(a_scope_that_somebody_else_limits)
{
	add_governor(" --user", 2, 1);
	put_service("PATH=/bin");
	put("/cg" SCOPE "/cpu.max", "10000 100000\n");
	expect("governor", DEGRADED,
		"task mlp: somebody else has set CPUQuota= of its scope, to 0.1 CPUs",
		"systemctl --user set-property --runtime 'coregov-mlp-3f09d2.scope' CPUQuota=");
	scene->uid = USER;
	scene->governors[0].option = " --system";
	expect("governor", DEGRADED, "task mlp",
		"sudo systemctl set-property --runtime 'coregov-mlp-3f09d2.scope' CPUQuota=");
}
END_TEST

START_TEST(a_governor_that_does_not_answer)
{
	struct scene_governor *governor = add_governor(" --system", 0, 0);

	governor->error = -ENOTCONN;
	strcpy(governor->why, "the governor does not answer");
	expect("governor", BROKEN, "process 66 is one, and does not answer", "kill -KILL 66");
	scene->is_booted = true;
	expect("governor", BROKEN, "process 66", "systemctl restart coregovd");
	governor->option = " --user";
	expect("governor", BROKEN, "process 66", "systemctl --user restart coregovd");
	/* The other one is well. */
	add_governor(" --system", 2, 0);
	expect("governor", BROKEN, "process 66", "systemctl --user restart coregovd");
	governor->error = 0;
	expect("governor", OK, "0 CPUs for 0 tasks; 2 CPUs for 0 tasks", "");
}
END_TEST

START_TEST(threads_of_processes_without_a_group)
{
	put_task("0::/home/coregov-7-9\n", "PATH=/bin");
	expect("threads", OK, "no process of a task", "");
	put_task("0::/\n", "PATH=/bin");
	expect("threads", OK, "no process of a task", "");
	put_task("nonsense\n", "PATH=/bin");
	expect("threads", OK, "no process of a task", "");
	hide("/proc/88/cgroup");
	expect("threads", OK, "no process of a task", "");
}
END_TEST

START_TEST(presets_without_a_folder)
{
	hide("/presets/mine.preset");
	ck_assert_int_eq(rmdir(below("/presets")), 0);
	expect("presets", DEGRADED, "is not there", "meson install");
}
END_TEST

/* ---- the report ---- */

START_TEST(bytes_that_no_terminal_should_get)
{
	struct finding finding = {.name = "x"};

	found_broken(&finding, "a\x1b[2Jb\nc\xff\xfe");
	found_remedy(&finding, "d\x7f\te\xc3\xa9");
	ck_assert_str_eq(finding.found, "a?[2Jb?c??");
	ck_assert_str_eq(finding.remedy, "d??e\xc3\xa9");
}
END_TEST

static const struct finding some[] = {
	{.name = "one", .state = FINDING_OK, .found = "well"},
	{.name = "second", .state = FINDING_DEGRADED, .found = "so so", .remedy = "do \"it\""},
	{.name = "three", .state = FINDING_BROKEN, .found = "bad", .remedy = "do \"it\""},
};

static void assert_printed(bool is_coloured, const char *expected)
{
	char text[1024] = "";
	FILE *to = fmemopen(text, sizeof(text), "w");

	findings_print(some, 3, is_coloured, to);
	ck_assert_int_eq(fclose(to), 0);
	ck_assert_str_eq(text, expected);
}

START_TEST(lines)
{
	assert_printed(false,
		"ok        one     well\n"
		"degraded  second  so so\n"
		"                  -> do \"it\"\n"
		"broken    three   bad\n"
		"                  -> as for second\n");
	assert_printed(true,
		"\x1b[32mok      \x1b[0m  one     well\n"
		"\x1b[33mdegraded\x1b[0m  second  so so\n"
		"                  -> do \"it\"\n"
		"\x1b[31mbroken  \x1b[0m  three   bad\n"
		"                  -> as for second\n");
	ck_assert_int_eq(findings_worst(some, 1), FINDING_OK);
	ck_assert_int_eq(findings_worst(some, 2), FINDING_DEGRADED);
	ck_assert_int_eq(findings_worst(some, 3), FINDING_BROKEN);
}
END_TEST

START_TEST(json)
{
	_cleanup_free_ char *text = findings_json(some, 2);

	ck_assert_str_eq(text,
		"{\"schema\":1,\"worst\":\"degraded\",\"checks\":["
		"{\"name\":\"one\",\"state\":\"ok\",\"found\":\"well\",\"remedy\":null},"
		"{\"name\":\"second\",\"state\":\"degraded\",\"found\":\"so so\","
		"\"remedy\":\"do \\\"it\\\"\"}]}");
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("doctor");
	TCase *tcase = tcase_create("all");

	tcase_add_checked_fixture(tcase, setup, teardown);
	tcase_add_test(tcase, a_machine_that_is_well);
	tcase_add_test(tcase, names_are_in_the_manual);
	tcase_add_loop_test(tcase, states_that_a_file_decides, 0, (int)ARRAY_LENGTH(file_cases));
	tcase_add_test(tcase, the_kernels_command_line);
	tcase_add_test(tcase, another_clock);
	tcase_add_test(tcase, in_a_service);
	tcase_add_test(tcase, sched_ext);
	tcase_add_test(tcase, limits);
	tcase_add_test(tcase, cgroups_on_v1_for_a_user);
	tcase_add_test(tcase, cgroups_where_cpu_is_switched_off);
	tcase_add_test(tcase, systemd);
	tcase_add_test(tcase, delegation_to_ourselves);
	tcase_add_test(tcase, delegation_that_ends_on_the_way);
	tcase_add_test(tcase, delegation_by_systemd);
	tcase_add_test(tcase, delegation_on_v1);
	tcase_add_test(tcase, quotas_around_us);
	tcase_add_test(tcase, quotas_of_groups_that_are_no_units);
	tcase_add_test(tcase, a_quota_of_a_user_unit);
	tcase_add_test(tcase, enforcers);
	tcase_add_loop_test(tcase, what_would_give_groups, 0, (int)ARRAY_LENGTH(group_cases));
	tcase_add_test(tcase, what_would_give_groups_on_v1);
	tcase_add_loop_test(tcase, meters, 0, (int)ARRAY_LENGTH(meter_cases));
	tcase_add_test(tcase, claims);
	tcase_add_test(tcase, leftovers);
	tcase_add_test(tcase, no_processes_to_be_seen);
	tcase_add_test(tcase, threads_that_spin);
	tcase_add_test(tcase, threads_on_v1);
	tcase_add_test(tcase, threads_below_a_scope_of_the_run);
	tcase_add_test(tcase, threads_of_a_task_of_the_service);
	tcase_add_test(tcase, threads_of_a_task_of_a_users_governor);
	tcase_add_test(tcase, threads_of_a_task_of_a_governor_without_systemd);
	tcase_add_test(tcase, threads_of_a_task_without_a_group);
	tcase_add_test(tcase, threads_that_libraries_are_told_to_start);
	tcase_add_test(tcase, no_governor);
	tcase_add_test(tcase, a_governor_whose_budget_holds);
	tcase_add_loop_test(
		tcase, a_budget_that_somebody_else_has_set, 0, (int)ARRAY_LENGTH(budget_cases));
	tcase_add_test(tcase, a_budget_of_a_group);
	tcase_add_test(tcase, a_scope_that_somebody_else_limits);
	tcase_add_test(tcase, a_governor_that_does_not_answer);
	tcase_add_test(tcase, threads_of_processes_without_a_group);
	tcase_add_test(tcase, presets_without_a_folder);
	tcase_add_test(tcase, bytes_that_no_terminal_should_get);
	tcase_add_test(tcase, lines);
	tcase_add_test(tcase, json);
	suite_add_tcase(suite, tcase);
	return suite_run(suite);
}
