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

/* The object file as one string. */
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Woverlength-strings"
#include "meter.skel.h"
#pragma GCC diagnostic pop

/* Loads the programs of bpf/meter.bpf.c, tells them which groups are metered, and reads what they
 * count.
 *
 * The counters lie in memory that is mapped: read() adds up one cell for each CPU, without a system
 * call. What runs at the moment has not been counted since it was switched in; refresh() has each
 * CPU that runs a metered thread count it (one interrupt there), and leaves the others alone.
 *
 * A group is known to the kernel by the inode number of its directory. Slot task + 1 is the task's;
 * cells are never cleared: what a slot held when the task came is taken off.
 *
 * Everything is held by descriptors, all close-on-exec: when this process ends, however it ends, the
 * kernel unloads the programs. */

struct metered {
	uint64_t group_id; /* 0: no such task */
	struct meter_cell begin, last;
};

struct meter_bpf {
	struct meter meter;
	struct meter_programs *programs;
	enum meter_bpf_variant variant;
	struct bpf_link *census;
	uint32_t n_slots, n_cpus;
	const struct meter_cell *cells;        /* [n_cpus][n_slots] */
	const struct meter_cpu *cpus;          /* [n_cpus] */
	const struct meter_runnable *runnable; /* [n_slots] */
	int refresh_fd;                        /* the program; the skeleton's */
	struct metered *tasks;                 /* [n_slots - 1] */
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
	if (error == -ESRCH || (error != -EPERM && !exists(root, "/sys/kernel/btf/vmlinux")))
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

static int set_size(struct bpf_map *map, uint64_t n)
{
	return n > UINT32_MAX ? -E2BIG : bpf_map__set_max_entries(map, (uint32_t)n);
}

/* Four places for each group, so that few share one; at most 64 KiB for each CPU. */
static uint32_t memory_bits(uint32_t n_slots)
{
	uint32_t bits = 6;

	while (bits < 12 && (1U << bits) < 4 * n_slots)
		bits++;
	return bits;
}

static int prepare(struct meter_bpf *self, const struct meter_bpf_setup *setup)
{
	struct meter_programs *p = self->programs;
	bool is_direct = self->variant == METER_BPF_DIRECT;
	uint32_t bits = memory_bits(self->n_slots);
	int r;

	p->rodata->n_slots = self->n_slots;
	p->rodata->n_cpus = self->n_cpus;
	p->rodata->memory_bits = bits;
	p->rodata->is_wrong = setup->is_wrong;
	(void)bpf_program__set_autoload(p->progs.on_switch, is_direct);
	(void)bpf_program__set_autoload(p->progs.on_refresh, is_direct);
	(void)bpf_program__set_autoload(p->progs.on_attach, is_direct);
	(void)bpf_program__set_autoload(p->progs.census, is_direct);
	(void)bpf_program__set_autoload(p->progs.on_switch_probed, !is_direct);
	(void)bpf_program__set_autoload(p->progs.on_refresh_probed, !is_direct);
	(void)bpf_program__set_autoload(p->progs.on_attach_probed, !is_direct);
	(void)bpf_map__set_autocreate(p->maps.threads, is_direct);
	r = set_size(p->maps.cells, (uint64_t)self->n_cpus * self->n_slots);
	if (r == 0)
		r = set_size(p->maps.cpus, self->n_cpus);
	if (r == 0)
		r = set_size(p->maps.runnable, self->n_slots);
	if (r == 0)
		r = set_size(p->maps.memory, (uint64_t)self->n_cpus << bits);
	return r;
}

/* libbpf is asked for each link: the program on refresh is run, never attached. */
static int attach(struct meter_bpf *self)
{
	struct meter_programs *p = self->programs;
	bool is_direct = self->variant == METER_BPF_DIRECT;

	p->links.on_attach = bpf_program__attach(
		is_direct ? p->progs.on_attach : p->progs.on_attach_probed);
	if (!p->links.on_attach)
		return -errno;
	if (is_direct) {
		self->census = bpf_program__attach_iter(p->progs.census, NULL);
		if (!self->census)
			return -errno;
	}
	p->links.on_switch = bpf_program__attach(
		is_direct ? p->progs.on_switch : p->progs.on_switch_probed);
	return p->links.on_switch ? 0 : -errno;
}

static const void *map_memory(struct bpf_map *map)
{
	size_t size = (size_t)bpf_map__max_entries(map) * bpf_map__value_size(map);
	void *memory = mmap(NULL, size, PROT_READ, MAP_SHARED, bpf_map__fd(map), 0);

	return memory == MAP_FAILED ? NULL : memory;
}

static void unmap_memory(const void *memory, const struct bpf_map *map)
{
	if (memory)
		(void)munmap((void *)memory,
			(size_t)bpf_map__max_entries(map) * bpf_map__value_size(map));
}

static void unload(struct meter_bpf *self)
{
	if (!self->programs)
		return;
	unmap_memory(self->cells, self->programs->maps.cells);
	unmap_memory(self->cpus, self->programs->maps.cpus);
	unmap_memory(self->runnable, self->programs->maps.runnable);
	self->cells = NULL;
	self->cpus = NULL;
	self->runnable = NULL;
	(void)bpf_link__destroy(self->census);
	self->census = NULL;
	meter_programs__destroy(self->programs);
	self->programs = NULL;
}

static int load(struct meter_bpf *self, const struct meter_bpf_setup *setup)
{
	LIBBPF_OPTS(bpf_object_open_opts, options, .btf_custom_path = setup->btf_path);
	struct meter_programs *p;
	int r;

	self->programs = p = meter_programs__open_opts(&options);
	if (!p)
		return -errno;
	r = prepare(self, setup);
	if (r == 0)
		r = meter_programs__load(p);
	if (r < 0)
		return r;
	self->cells = map_memory(p->maps.cells);
	self->cpus = map_memory(p->maps.cpus);
	self->runnable = map_memory(p->maps.runnable);
	if (!self->cells || !self->cpus || !self->runnable)
		return -errno;
	self->refresh_fd = bpf_program__fd(self->variant == METER_BPF_DIRECT
			? p->progs.on_refresh
			: p->progs.on_refresh_probed);
	return attach(self);
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

static int load_variant(
	struct meter_bpf *self, const struct meter_bpf_setup *setup, enum meter_bpf_variant variant)
{
	int r;

	self->variant = variant;
	said[0] = '\0';
	r = load(self, setup);
	if (r < 0)
		unload(self);
	return r;
}

int meter_bpf_open(
	struct meter **ret_meter, const struct meter_bpf_setup *setup, struct fault *fault)
{
	struct meter_bpf *self;
	libbpf_print_fn_t say;
	int n_cpus, r;

	if (setup->n_tasks_max > METER_GROUPS_MAX)
		return fault_set(fault, -E2BIG,
			"it counts at most %d groups, and there are %" PRIu32
			" tasks: divide them among "
			"several runs",
			METER_GROUPS_MAX, setup->n_tasks_max);
	self = calloc(1, sizeof(*self));
	if (!self)
		return fault_errno(fault, -ENOMEM, "open the meter");
	self->meter.ops = &meter_bpf;
	self->n_slots = setup->n_tasks_max + 1;
	self->tasks = calloc(self->n_slots, sizeof(*self->tasks));
	n_cpus = libbpf_num_possible_cpus();
	if (!self->tasks || n_cpus < 0) {
		(void)bpf_close(&self->meter);
		return fault_errno(fault, n_cpus < 0 ? n_cpus : -ENOMEM, "open the meter");
	}
	self->n_cpus = (uint32_t)n_cpus;

	say = libbpf_set_print(keep_what_is_said);
	capability_raise_bpf();
	if (setup->variant != METER_BPF_BEST) {
		r = load_variant(self, setup, setup->variant);
	} else {
		r = load_variant(self, setup, METER_BPF_DIRECT);
		if (r < 0 && r != -EPERM)
			r = load_variant(self, setup, METER_BPF_PROBED);
	}
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

/* Counts what runs on a CPU up to now. One that is offline runs nothing. */
static void refresh_cpu(struct meter_bpf *self, uint32_t cpu)
{
	LIBBPF_OPTS(bpf_test_run_opts, options, .flags = BPF_F_TEST_RUN_ON_CPU, .cpu = cpu);

	(void)bpf_prog_test_run_opts(self->refresh_fd, &options);
}

/* What the CPUs remember of the groups is void from now on; what runs is looked up again. */
static void forget(struct meter_bpf *self)
{
	__atomic_add_fetch(&self->programs->data->generation, 1, __ATOMIC_SEQ_CST);
	for (uint32_t cpu = 0; cpu < self->n_cpus; cpu++)
		refresh_cpu(self, cpu);
}

static struct meter_cell sum(const struct meter_bpf *self, uint32_t task)
{
	struct meter_cell sum = {0};

	for (uint32_t cpu = 0; cpu < self->n_cpus; cpu++) {
		const struct meter_cell *cell =
			&self->cells[(size_t)cpu * self->n_slots + task + 1];

		sum.cpu_ns += __atomic_load_n(&cell->cpu_ns, __ATOMIC_RELAXED);
		sum.wait_ns += __atomic_load_n(&cell->wait_ns, __ATOMIC_RELAXED);
		sum.n_switches += __atomic_load_n(&cell->n_switches, __ATOMIC_RELAXED);
	}
	return sum;
}

static int bpf_task_add(
	struct meter *meter, uint32_t task, const struct place *place, struct fault *fault)
{
	struct meter_bpf *self = of(meter);
	struct metered *metered = &self->tasks[task];
	int fd = place->cpu1_fd >= 0 ? place->cpu1_fd : place->cgroup2_fd;
	uint32_t slot = task + 1;
	struct stat group;
	uint64_t id;
	int r;

	assert(task < self->n_slots - 1 && metered->group_id == 0);
	if (fd < 0)
		return fault_set(fault, -EOPNOTSUPP, "the task has no group of the cpu controller");
	if (fstat(fd, &group) < 0)
		return fault_errno(fault, -errno, "look at the task's group");
	id = group.st_ino;
	forget(self);
	metered->begin = sum(self, task);
	metered->last = (struct meter_cell){0};
	r = bpf_map_update_elem(bpf_map__fd(self->programs->maps.slots), &id, &slot, BPF_NOEXIST);
	if (r == -E2BIG)
		return fault_set(
			fault, r, "%d groups are counted, and no more fit", METER_GROUPS_MAX);
	if (r < 0)
		return fault_errno(fault, r, "count the task's group");
	metered->group_id = id;
	forget(self);
	return 0;
}

static void bpf_task_remove(struct meter *meter, uint32_t task)
{
	struct meter_bpf *self = of(meter);
	struct metered *metered = &self->tasks[task];

	assert(task < self->n_slots - 1);
	if (metered->group_id == 0)
		return;
	(void)bpf_map_delete_elem(bpf_map__fd(self->programs->maps.slots), &metered->group_id);
	*metered = (struct metered){.group_id = 0};
	forget(self);
}

/* Asks all threads whether they are runnable: the program does it while the file is read. */
static void take_census(struct meter_bpf *self)
{
	_cleanup_close_ int fd = bpf_iter_create(bpf_link__fd(self->census));
	char byte;
	ssize_t n;

	if (fd < 0)
		return;
	self->programs->bss->look++;
	do /* it prints nothing; -EAGAIN: there are more threads than it looks at in one go */
		n = read(fd, &byte, sizeof(byte));
	while (n > 0 || (n < 0 && errno == EAGAIN));
}

static void bpf_refresh(struct meter *meter)
{
	struct meter_bpf *self = of(meter);

	for (uint32_t cpu = 0; cpu < self->n_cpus; cpu++) {
		if (__atomic_load_n(&self->cpus[cpu].slot, __ATOMIC_RELAXED) != 0)
			refresh_cpu(self, cpu);
	}
	if (self->census)
		take_census(self);
}

static uint64_t at_least(uint64_t last, uint64_t now)
{
	return now > last ? now : last;
}

static int bpf_read(struct meter *meter, uint32_t task, struct meter_reading *ret_reading)
{
	struct meter_bpf *self = of(meter);
	struct metered *metered = &self->tasks[task];
	const struct meter_runnable *runnable = &self->runnable[task + 1];
	struct meter_cell now = sum(self, task);

	assert(task < self->n_slots - 1 && metered->group_id != 0);
	metered->last.cpu_ns = at_least(
		metered->last.cpu_ns, nsec_sub(now.cpu_ns, metered->begin.cpu_ns));
	metered->last.wait_ns = at_least(
		metered->last.wait_ns, nsec_sub(now.wait_ns, metered->begin.wait_ns));
	metered->last.n_switches = now.n_switches - metered->begin.n_switches;
	*ret_reading = (struct meter_reading){.cpu_ns = metered->last.cpu_ns};
	if (self->variant != METER_BPF_DIRECT)
		return 0;
	ret_reading->has_wait = true;
	ret_reading->wait_ns = metered->last.wait_ns;
	ret_reading->n_switches = metered->last.n_switches;
	if (runnable->look == self->programs->bss->look)
		ret_reading->n_runnable = runnable->n;
	return 0;
}

enum meter_bpf_variant meter_bpf_variant(const struct meter *meter)
{
	return ((const struct meter_bpf *)meter)->variant;
}

void meter_bpf_missed(const struct meter *meter, struct meter_bpf_missed *ret_missed)
{
	const struct meter_bpf *self = (const struct meter_bpf *)meter;
	struct meter_bpf_missed missed = {0};

	for (uint32_t cpu = 0; cpu < self->n_cpus; cpu++) {
		missed.n_switches += self->cpus[cpu].n_missed_switches;
		missed.n_waits += self->cpus[cpu].n_missed_waits;
		missed.n_moves += self->cpus[cpu].n_missed_moves;
	}
	*ret_missed = missed;
}

const struct meter_ops meter_bpf = {
	.name = "bpf",
	.probe = bpf_probe,
	.open = bpf_open,
	.task_add = bpf_task_add,
	.task_remove = bpf_task_remove,
	.refresh = bpf_refresh,
	.read = bpf_read,
	.close = bpf_close,
};
