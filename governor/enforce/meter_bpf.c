// SPDX-License-Identifier: GPL-2.0-or-later
#include "meter_bpf.h"

#include <assert.h>
#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>

#include "../../bpf/meter_layout.h"
#include "capability.h"
#include "cleanup.h"
#include "nsec.h"

/* The object files, each as one string, and functions, of which those for the first are used. */
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Woverlength-strings"
#pragma GCC diagnostic ignored "-Wunused-function"
#include "meter.skel.h"
#include "meter_old.skel.h"
#pragma GCC diagnostic pop

/* Loads the programs of bpf/meter.bpf.c, tells them which groups are metered, and reads what they
 * count: refresh() has them ask all threads, and read() looks into memory that is mapped.
 *
 * A group is known to the kernel by the inode number of its directory. Cell task + 1 is the task's.
 *
 * Everything is held by descriptors, all close-on-exec: when this process ends, however it ends, the
 * kernel unloads the programs. */

#define BTF_PATH "/sys/kernel/btf/vmlinux"

struct metered {
	uint64_t group_id;                    /* 0: no such task */
	uint64_t cpu_ns, wait_ns, n_switches; /* the last reading */
};

struct meter_bpf {
	struct meter meter;
	struct meter_programs *programs;
	bool is_old; /* the programs for kernels before 6.7 */
	uint32_t n_tasks_max;
	uint32_t n_metered;
	uint32_t turn;                  /* of the cell that was given last */
	const struct meter_cell *cells; /* [1 + n_tasks_max] */
	struct metered *tasks;          /* [n_tasks_max] */
};

static struct meter_bpf *of(struct meter *meter)
{
	return (struct meter_bpf *)meter;
}

/* The end of what libbpf had to say, which is where the verifier gives its reason. */
static char said[4096];

__attribute__((format(printf, 2, 0))) static int keep_what_is_said(
	enum libbpf_print_level level, const char *format, va_list arguments)
{
	_cleanup_free_ char *text = NULL;
	size_t length, kept = strlen(said), room;

	if (level == LIBBPF_DEBUG || vasprintf(&text, format, arguments) < 0)
		return 0;
	length = strlen(text);
	if (length >= sizeof(said)) {
		memcpy(said, text + length - sizeof(said) + 1, sizeof(said));
		return 0;
	}
	room = sizeof(said) - 1 - length;
	if (kept > room) {
		memmove(said, said + kept - room, room);
		kept = room;
	}
	memcpy(said + kept, text, length + 1);
	return 0;
}

/* ---- why it does not load ---- */

static bool exists(const char *root, const char *path)
{
	char full[4096];
	int n = snprintf(full, sizeof(full), "%s%s", root ? root : "", path);

	return n > 0 && (size_t)n < sizeof(full) && access(full, F_OK) == 0;
}

/* True where the kernel is locked down so far that it keeps its memory to itself. */
static bool is_locked_down(const char *root)
{
	char path[4096], text[128] = "";
	_cleanup_close_ int fd = -EBADF;
	int n = snprintf(path, sizeof(path), "%s/sys/kernel/security/lockdown", root ? root : "");

	if (n < 0 || (size_t)n >= sizeof(path))
		return false;
	fd = open(path, O_RDONLY | O_CLOEXEC);
	return fd >= 0 && read(fd, text, sizeof(text) - 1) > 0 &&
		strstr(text, "[confidentiality]") != NULL;
}

/* The verifier's reason is the line before its last ones, which count what it did. */
static const char *verifier_reason(char *text)
{
	char *end = strstr(text, "\nprocessed "), *line;

	if (!end)
		return NULL;
	*end = '\0';
	line = strrchr(text, '\n');
	return line ? line + 1 : text;
}

static int say_why(int error, const char *root, struct fault *fault)
{
	const char *reason;

	/* First: with all capabilities it is the verifier that says no, and not why. */
	if (is_locked_down(root))
		return fault_set(fault, error,
			"the kernel is locked down (confidentiality): it lets no program read its "
			"memory; boot with lockdown=integrity, or without lockdown");
	if (error == -ESRCH || (error != -EPERM && !exists(root, BTF_PATH)))
		return fault_set(fault, error,
			"the kernel does not tell its types (no /sys/kernel/btf/vmlinux, or not a "
			"whole one): one built with CONFIG_DEBUG_INFO_BTF is needed, as the "
			"kernels "
			"of Debian 11 and later are");
	reason = verifier_reason(said);
	if (reason)
		return fault_set(fault, error,
			"the kernel's verifier refuses the program: %s; please report it with what "
			"uname -r prints",
			reason);
	if (error == -EPERM || error == -EACCES)
		return fault_set(fault, error,
			"loading eBPF programs needs CAP_BPF and CAP_PERFMON (or CAP_SYS_ADMIN): "
			"run as root, give them to the program by setcap, or to the container or "
			"service that it runs in");
	reason = strstr(said, "libbpf: ");
	if (reason) {
		said[strcspn(said, "\n")] = '\0';
		return fault_errno(fault, error, "load the eBPF programs: %s", said);
	}
	return fault_errno(fault, error, "load the eBPF programs");
}

/* ---- loading ---- */

/* Does a file have this word, with a NUL before and after it? */
static bool has_name(const char *path, const char *name)
{
	const size_t length = strlen(name) + 2;
	_cleanup_free_ char *text = NULL;
	char whole[64] = "";
	_cleanup_close_ int fd = open(path, O_RDONLY | O_CLOEXEC);
	struct stat status;
	size_t n = 0;
	ssize_t r = 1;

	if (fd < 0 || fstat(fd, &status) < 0 || status.st_size <= 0 || length > sizeof(whole))
		return false;
	text = malloc((size_t)status.st_size);
	if (!text)
		return false;
	strcpy(whole + 1, name);
	while (r > 0 && n < (size_t)status.st_size) {
		r = read(fd, text + n, (size_t)status.st_size - n);
		n += r > 0 ? (size_t)r : 0;
	}
	return memmem(text, n, whole, length) != NULL;
}

/* A program of this kernel can go through all threads by itself. What the types are called lies side by
 * side; to take the types themselves apart, as libbpf will anyway, takes a hundred milliseconds. */
static bool knows_task_loops(const char *btf_path)
{
	return has_name(btf_path ? btf_path : BTF_PATH, "bpf_iter_task_new");
}

/* The programs for this kernel. Those for old kernels are the same but for how a census is taken: by name
 * they have the same programs, maps and variables. */
static int open_programs(struct meter_bpf *self, const struct meter_bpf_setup *setup)
{
	LIBBPF_OPTS(bpf_object_open_opts, options, .btf_custom_path = setup->btf_path);
	struct meter_programs *p = calloc(1, sizeof(*p));
	int r;

	if (!p)
		return -ENOMEM;
	self->programs = p;
	r = meter_programs__create_skeleton(p);
	if (r == 0 && self->is_old)
		p->skeleton->data = meter_old_programs__elf_bytes(&p->skeleton->data_sz);
	return r < 0 ? r : bpf_object__open_skeleton(p->skeleton, &options);
}

static int prepare(struct meter_bpf *self, const struct meter_bpf_setup *setup)
{
	struct meter_programs *p = self->programs;

	p->rodata->is_wrong = setup->is_wrong;
	p->rodata->is_loop_wrong = setup->is_loop_wrong;
	p->bss->generation = 1;
	return bpf_map__set_max_entries(p->maps.cells, self->n_tasks_max + 1);
}

static int attach_census(struct meter_bpf *self)
{
	struct meter_programs *p = self->programs;
	union bpf_iter_link_info info = {.task.tid = (uint32_t)getpid()};
	LIBBPF_OPTS(
		bpf_iter_attach_opts, options, .link_info = &info, .link_info_len = sizeof(info));

	p->links.census = bpf_program__attach_iter(p->progs.census, self->is_old ? NULL : &options);
	return p->links.census ? 0 : -errno;
}

static int attach_one(struct bpf_link **ret_link, const struct bpf_program *program)
{
	*ret_link = bpf_program__attach(program);
	return *ret_link ? 0 : -errno;
}

/* libbpf is asked for each link, in the order in which nothing is lost that the last one shows. */
static int attach(struct meter_bpf *self)
{
	struct meter_programs *p = self->programs;
	int r = attach_census(self);

	if (r == 0)
		r = attach_one(&p->links.on_gone, p->progs.on_gone);
	if (r == 0)
		r = attach_one(&p->links.on_notify, p->progs.on_notify);
	if (r == 0)
		r = attach_one(&p->links.on_exit, p->progs.on_exit);
	if (r == 0)
		r = attach_one(&p->links.on_attach, p->progs.on_attach);
	return r < 0 ? r : attach_one(&p->links.on_new, p->progs.on_new);
}

static size_t cells_size(const struct meter_bpf *self)
{
	return (size_t)(self->n_tasks_max + 1) * sizeof(struct meter_cell);
}

static void unload(struct meter_bpf *self)
{
	if (self->cells)
		(void)munmap((void *)self->cells, cells_size(self));
	self->cells = NULL;
	meter_programs__destroy(self->programs);
	self->programs = NULL;
}

static int load_these(struct meter_bpf *self, const struct meter_bpf_setup *setup)
{
	struct meter_programs *p;
	void *memory;
	int r = open_programs(self, setup);

	p = self->programs;
	if (r == 0)
		r = prepare(self, setup);
	if (r == 0)
		r = meter_programs__load(p);
	if (r < 0)
		return r;
	memory = mmap(NULL, cells_size(self), PROT_READ, MAP_SHARED, bpf_map__fd(p->maps.cells), 0);
	if (memory == MAP_FAILED)
		return -errno;
	self->cells = memory;
	return attach(self);
}

/* A kernel that knows the means of the new programs may still refuse them, for a reason of its own. */
static int load(struct meter_bpf *self, const struct meter_bpf_setup *setup)
{
	self->is_old = setup->is_old || !knows_task_loops(setup->btf_path);
	if (!self->is_old) {
		if (load_these(self, setup) == 0)
			return 0;
		unload(self);
		said[0] = '\0';
		self->is_old = true;
	}
	return load_these(self, setup);
}

/* ---- the seam ---- */

static int bpf_probe(const struct enforcer *enforcer, struct fault *fault)
{
	const char *name = enforcer->ops->name;

	if (strcmp(name, "cgroup1") == 0 || strcmp(name, "cgroup2") == 0)
		return 0;
	return fault_set(fault, -EOPNOTSUPP,
		"the enforcer %s makes no groups whose CPU time could be counted", name);
}

static struct meter *bpf_close(struct meter *meter)
{
	if (!meter)
		return NULL;
	unload(of(meter));
	free(of(meter)->tasks);
	free(of(meter));
	return NULL;
}

int meter_bpf_open(
	struct meter **ret_meter, const struct meter_bpf_setup *setup, struct fault *fault)
{
	struct meter_bpf *self;
	libbpf_print_fn_t say;
	int r;

	if (setup->n_tasks_max > METER_GROUPS_MAX)
		return fault_set(fault, -E2BIG,
			"it counts at most %d groups, and there are %" PRIu32
			" tasks: divide them among several runs",
			METER_GROUPS_MAX, setup->n_tasks_max);
	self = calloc(1, sizeof(*self));
	if (!self)
		return fault_errno(fault, -ENOMEM, "open the meter");
	self->meter.ops = &meter_bpf;
	self->n_tasks_max = setup->n_tasks_max;
	self->tasks = calloc(self->n_tasks_max, sizeof(*self->tasks));
	if (!self->tasks) {
		free(self);
		return fault_errno(fault, -ENOMEM, "open the meter");
	}
	said[0] = '\0';
	say = libbpf_set_print(keep_what_is_said);
	capability_raise_bpf();
	r = load(self, setup);
	capability_lower_bpf();
	(void)libbpf_set_print(say);
	if (r < 0) {
		(void)bpf_close(&self->meter);
		return say_why(r, setup->root, fault);
	}
	*ret_meter = &self->meter;
	return 0;
}

static int bpf_open(struct meter **ret_meter, uint32_t n_tasks_max, struct fault *fault)
{
	const struct meter_bpf_setup setup = {.n_tasks_max = n_tasks_max};

	return meter_bpf_open(ret_meter, &setup, fault);
}

/* Has all threads counted up to now: the program does it while the file is read. */
static void take_census(struct meter_bpf *self)
{
	_cleanup_close_ int fd = bpf_iter_create(bpf_link__fd(self->programs->links.census));
	char byte;
	ssize_t n;

	if (fd < 0)
		return;
	self->programs->bss->number++;
	do /* it prints nothing; -EAGAIN: there are more threads than it looks at in one go */
		n = read(fd, &byte, sizeof(byte));
	while (n > 0 || (n < 0 && errno == EAGAIN));
}

/* True where nothing can be in a group that was looked at, nor below it. */
static bool is_empty_group(int fd, const struct stat *group)
{
	_cleanup_close_ int procs = openat(fd, "cgroup.procs", O_RDONLY | O_CLOEXEC);
	char byte;

	return group->st_nlink <= 2 && procs >= 0 && read(procs, &byte, sizeof(byte)) == 0;
}

static int bpf_task_add(
	struct meter *meter, uint32_t task, const struct place *place, struct fault *fault)
{
	struct meter_bpf *self = of(meter);
	struct meter_programs *p = self->programs;
	int fd = place->cpu1_fd >= 0 ? place->cpu1_fd : place->cgroup2_fd;
	uint32_t number = task + 1;
	struct meter_cell cell = {.turn = self->turn + 1};
	uint64_t known_as = METER_PLACE(number, cell.turn);
	struct stat group;
	int r;

	assert(task < self->n_tasks_max && self->tasks[task].group_id == 0);
	if (fd < 0)
		return fault_set(fault, -EOPNOTSUPP, "the task has no group of the cpu controller");
	if (fstat(fd, &group) < 0)
		return fault_errno(fault, -errno, "look at the task's group");
	r = bpf_map_update_elem(bpf_map__fd(p->maps.cells), &number, &cell, BPF_ANY);
	if (r == 0)
		r = bpf_map_update_elem(
			bpf_map__fd(p->maps.places), &group.st_ino, &known_as, BPF_NOEXIST);
	if (r < 0)
		return fault_errno(fault, r, "count the task's group");
	self->turn = cell.turn;
	p->bss->generation++;
	self->tasks[task] = (struct metered){.group_id = group.st_ino};
	self->n_metered++;
	if (!is_empty_group(fd, &group))
		take_census(self);
	return 0;
}

static void bpf_task_remove(struct meter *meter, uint32_t task)
{
	struct meter_bpf *self = of(meter);
	struct metered *metered = &self->tasks[task];
	const struct meter_cell nobodys = {0};
	uint32_t number = task + 1;

	assert(task < self->n_tasks_max);
	if (metered->group_id == 0)
		return;
	(void)bpf_map_delete_elem(bpf_map__fd(self->programs->maps.places), &metered->group_id);
	(void)bpf_map_update_elem(
		bpf_map__fd(self->programs->maps.cells), &number, &nobodys, BPF_ANY);
	self->programs->bss->generation++;
	*metered = (struct metered){0};
	self->n_metered--;
}

/* Nobody's threads need not be asked. */
static void bpf_refresh(struct meter *meter)
{
	if (of(meter)->n_metered > 0)
		take_census(of(meter));
}

static uint64_t at_least(uint64_t last, uint64_t now)
{
	return now > last ? now : last;
}

static int bpf_read(struct meter *meter, uint32_t task, struct meter_reading *ret_reading)
{
	struct meter_bpf *self = of(meter);
	const struct meter_cell *cell = &self->cells[task + 1];
	struct metered *last = &self->tasks[task];

	assert(task < self->n_tasks_max);
	if (last->group_id == 0)
		return -ENOENT;
	last->cpu_ns = at_least(last->cpu_ns, __atomic_load_n(&cell->cpu_ns, __ATOMIC_RELAXED));
	last->wait_ns = at_least(last->wait_ns, __atomic_load_n(&cell->wait_ns, __ATOMIC_RELAXED));
	last->n_switches = at_least(
		last->n_switches, __atomic_load_n(&cell->n_switches, __ATOMIC_RELAXED));
	*ret_reading = (struct meter_reading){
		.cpu_ns = last->cpu_ns,
		.has_wait = self->programs->bss->has_waits,
		.wait_ns = last->wait_ns,
		.n_switches = last->n_switches,
		.n_runnable = cell->census == self->programs->bss->number ? cell->n_runnable : 0,
	};
	return 0;
}

static uint64_t bpf_n_missed(const struct meter *meter)
{
	const struct meter_programs *p = ((const struct meter_bpf *)meter)->programs;

	return p->bss->n_missed_threads + p->bss->n_missed_moves;
}

const struct meter_ops meter_bpf = {
	.name = "bpf",
	.probe = bpf_probe,
	.open = bpf_open,
	.task_add = bpf_task_add,
	.task_remove = bpf_task_remove,
	.refresh = bpf_refresh,
	.read = bpf_read,
	.n_missed = bpf_n_missed,
	.close = bpf_close,
};
