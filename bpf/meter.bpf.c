// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-or-later
#include "vmlinux.h"

#include <bpf/bpf_helpers.h>

#include <bpf/bpf_core_read.h>
#include <bpf/bpf_tracing.h>

#include "meter_layout.h"

/* Counts, for each metered group of the cpu controller, the CPU time of its threads, how long they
 * waited for a CPU, and how often they got one.
 *
 * The figures are the kernel's own: task_struct has the CPU time of a thread and its time in the run
 * queue, brought up to date before the tracepoint. What is counted is how much they have grown
 * while the thread was on the CPU, so that no clock is read, and the sums agree with cpuacct and
 * cpu.stat to the nanosecond:
 *
 *	      switch in            refresh()              switch out
 *	CPU   |--------------------|----------------------|
 *	      exec_ns = E0         cell += E1 - E0        cell += E2 - E1
 *	                           exec_ns = E1
 *
 * A thread that stays on its CPU makes no switch; refresh() runs a program on that CPU which counts
 * up to now. That program, and the switch, hold the CPU with interrupts off: nobody else touches the
 * first line of its state, and its cells only one who moves a thread, on that CPU, in one
 * instruction. So nothing of it needs to be atomic. The reader sees each counter at some moment of
 * the last switch or refresh.
 *
 * The group is task->sched_task_group: what the scheduler itself charges, changed in the moment in
 * which it starts to charge another. That is the group of the cpu controller on v1, hybrid and v2
 * alike, and where a v2 group has no cpu controller the one above it that has. Groups below a
 * metered one count to it. Finding out means to walk up the groups and to ask a hash map; each CPU
 * remembers the answer by the serial number of the group, which the kernel gives once and never
 * again, until the governor changes something (`generation`).
 *
 * A thread that is moved while it runs (cgroup_attach_task comes after the move, once for a
 * process): whoever moves it leaves a note for its CPU, with the thread's CPU time at that moment
 * (struct meter_split).
 *
 * The cost of a switch is nearly all the tracepoint's own. Wake-ups have one as well, which costs as
 * much again; how many threads are runnable is asked of the threads themselves instead, once for a
 * slot (`census`): it cannot drift either. */

char LICENSE[] SEC("license") = "Dual BSD/GPL";

#define GROUP_DEPTH_MAX 64
#define CPUS_MAX 4096

/* Set before the load. */
const volatile __u32 n_slots = 1;
const volatile __u32 n_cpus = 1;
const volatile __u32 memory_bits = 1; /* each CPU remembers 1 << memory_bits groups */
const volatile __u32 is_wrong = 0;    /* for a test: the verifier must refuse */

/* Changed by the governor. */
__u32 generation = 1; /* what is remembered of another generation is void */
__u32 look = 0;       /* number of the census */

__u64 n_moves = 0; /* processes that were moved from one group to another */

/* How far a thread has been counted. */
struct thread {
	__u64 exec_ns, delay_ns;
	__u64 n_runs;  /* how often it had been given a CPU then */
	__u64 n_moves; /* that of then */
	__u32 slot;
	__u32 unused;
};

struct remembered {
	__u64 serial;
	__u32 slot;
	__u32 generation;
};

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, METER_GROUPS_MAX);
	__type(key, __u64); /* id of a group's directory */
	__type(value, __u32);
} slots SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(map_flags, BPF_F_MMAPABLE);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct meter_cell);
} cells SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(map_flags, BPF_F_MMAPABLE);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct meter_cpu);
} cpus SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(map_flags, BPF_F_MMAPABLE);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct meter_runnable);
} runnable SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct remembered);
} memory SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_TASK_STORAGE);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, int);
	__type(value, struct thread);
} threads SEC(".maps");

/* What is read of a thread. The programs on tp_btf read the kernel's memory directly, those on
 * raw_tp through a helper; the rest is the same for both. */
struct seen {
	__u64 task;
	struct task_group *group;
	__u64 serial;
	__u64 exec_ns, delay_ns, n_runs;
};

static __always_inline struct seen see(struct task_struct *task)
{
	struct task_group *group = task->sched_task_group;

	return (struct seen){
		.task = (__u64)task,
		.group = group,
		.serial = group->css.serial_nr,
		.exec_ns = task->se.sum_exec_runtime,
		.delay_ns = task->sched_info.run_delay,
		.n_runs = task->sched_info.pcount,
	};
}

static __always_inline struct seen see_probed(struct task_struct *task)
{
	struct task_group *group = BPF_CORE_READ(task, sched_task_group);
	struct seen seen = {
		.task = (__u64)task,
		.group = group,
		.serial = BPF_CORE_READ(group, css.serial_nr),
		.exec_ns = BPF_CORE_READ(task, se.sum_exec_runtime),
	};

	if (bpf_core_field_exists(task->sched_info.run_delay)) {
		seen.delay_ns = BPF_CORE_READ(task, sched_info.run_delay);
		seen.n_runs = BPF_CORE_READ(task, sched_info.pcount);
	}
	return seen;
}

/* The slot of a group, or of the nearest above it that has one. */
static __noinline __u32 find_slot(struct task_group *group)
{
	for (int depth = 0; depth < GROUP_DEPTH_MAX && group; depth++) {
		struct cgroup *cgroup = BPF_CORE_READ(group, css.cgroup);
		__u32 *slot;
		__u64 id;

		if (!cgroup) /* an autogroup: below the root, and no directory */
			break;
		id = BPF_CORE_READ(cgroup, kn, id);
		slot = bpf_map_lookup_elem(&slots, &id);
		if (slot)
			return *slot;
		group = BPF_CORE_READ(group, parent);
	}
	return 0;
}

static __always_inline __u32 slot_of(__u32 cpu_number, const struct seen *seen)
{
	/* Serial numbers of one controller may lie apart by a power of two. */
	__u32 place = (seen->serial * 0x9e3779b97f4a7c15ULL) >> (64 - memory_bits);
	__u32 key = (cpu_number << memory_bits) + place;
	struct remembered *remembered = bpf_map_lookup_elem(&memory, &key);
	__u32 now = *(volatile __u32 *)&generation;

	if (!remembered)
		return 0;
	if (remembered->serial != seen->serial || remembered->generation != now) {
		remembered->slot = find_slot(seen->group);
		remembered->serial = seen->serial;
		remembered->generation = now;
	}
	return remembered->slot;
}

static __always_inline struct meter_cell *cell_of(__u32 cpu_number, __u32 slot)
{
	__u32 key = cpu_number * n_slots + slot;

	return bpf_map_lookup_elem(&cells, &key);
}

/* Counts what the thread has run in slots that it has left since; returns the one it is in. */
static __noinline __u32 take_splits(__u32 cpu_number, struct meter_cpu *cpu)
{
	__u32 slot;

	if (!cpu)
		return 0;
	slot = cpu->slot;
	for (int i = 0; i < METER_SPLITS; i++) {
		struct meter_split *split = &cpu->splits[cpu->n_splits_done & (METER_SPLITS - 1)];
		struct meter_cell *cell = cell_of(cpu_number, slot);

		if (cpu->n_splits_done == cpu->n_splits)
			break;
		cpu->n_splits_done++;
		if (split->run != cpu->run)
			continue;
		if (slot && cell && split->exec_ns > cpu->exec_ns)
			cell->cpu_ns += split->exec_ns - cpu->exec_ns;
		if (split->exec_ns > cpu->exec_ns)
			cpu->exec_ns = split->exec_ns;
		slot = split->slot;
	}
	cpu->slot = slot;
	return slot;
}

static __always_inline struct thread *thread_of(struct task_struct *task)
{
	return bpf_task_storage_get(&threads, task, NULL, BPF_LOCAL_STORAGE_GET_F_CREATE);
}

/* Counts the thread that runs on this CPU up to now. `task` is where what is known of the thread can
 * be kept, or NULL.
 *
 * Not all of it happens between two switches that are seen. A thread that is taken to another CPU
 * while it waits has its run delay brought up to date between two of its runs; and the kernel does
 * not show every switch (some of a busy machine's, one in a thousand, came to no program on 6.18). So
 * both are counted from where the thread was last counted, as long as that was here: in this slot, and
 * either no process has been moved since, or this is its next run. */
static __always_inline void count(
	__u32 cpu_number, struct meter_cpu *cpu, const struct seen *seen, struct task_struct *task)
{
	bool is_expected = cpu->task == seen->task;
	__u64 exec_ns, delay_ns, now_moves = *(volatile __u64 *)&n_moves;
	bool is_split = false;
	__u32 slot = cpu->slot;
	struct thread *thread = NULL;
	struct meter_cell *cell;

	if (!is_expected) {
		if (slot && !task)
			cpu->n_missed_switches++;
		slot = task ? slot_of(cpu_number, seen) : 0;
	} else if (cpu->n_splits_done != *(volatile __u32 *)&cpu->n_splits) {
		slot = take_splits(cpu_number, cpu);
		is_split = true;
	}
	if (!slot)
		return;
	cell = cell_of(cpu_number, slot);
	if (!cell)
		return;
	exec_ns = cpu->exec_ns;
	delay_ns = cpu->delay_ns;
	if (task) {
		thread = thread_of(task);
		if (!thread)
			cpu->n_missed_waits++;
	}
	if (thread && thread->slot == slot && !is_split &&
		(thread->n_moves == now_moves || seen->n_runs - thread->n_runs <= 1)) {
		exec_ns = thread->exec_ns;
		delay_ns = thread->delay_ns;
	} else if (!is_expected) {
		/* Its first run: all of it is here. */
		exec_ns = seen->n_runs <= 1 ? 0 : seen->exec_ns;
		delay_ns = seen->n_runs <= 1 ? 0 : seen->delay_ns;
		if (seen->n_runs > 1)
			cpu->n_missed_switches++;
	}
	if (seen->exec_ns > exec_ns)
		cell->cpu_ns += seen->exec_ns - exec_ns;
	if (!is_expected)
		cell->n_switches++;
	if (thread) {
		if (seen->delay_ns > delay_ns)
			cell->wait_ns += seen->delay_ns - delay_ns;
		thread->slot = slot;
		thread->n_moves = now_moves;
		thread->n_runs = seen->n_runs;
		thread->exec_ns = seen->exec_ns;
		thread->delay_ns = seen->delay_ns;
	}
}

/* From here on this thread runs on this CPU. */
static __always_inline void begin(struct meter_cpu *cpu, __u32 slot, const struct seen *seen)
{
	cpu->slot = slot;
	cpu->task = seen->task;
	cpu->exec_ns = seen->exec_ns;
	cpu->delay_ns = seen->delay_ns;
}

static __always_inline void switch_in(
	__u32 cpu_number, struct meter_cpu *cpu, const struct seen *seen)
{
	__u32 slot = slot_of(cpu_number, seen);

	cpu->run++;
	cpu->n_splits_done = *(volatile __u32 *)&cpu->n_splits; /* nothing of the one before */
	begin(cpu, slot, seen);
	if (slot) {
		struct meter_cell *cell = cell_of(cpu_number, slot);

		if (cell)
			cell->n_switches++;
	}
}

/* The thread that runs, counted in between. It may have been in no known place so far, and the
 * groups that are metered may have changed. */
static __always_inline void resume(__u32 cpu_number, struct meter_cpu *cpu, const struct seen *seen)
{
	if (cpu->task != seen->task)
		cpu->run++;
	begin(cpu, slot_of(cpu_number, seen), seen);
}

SEC("tp_btf/sched_switch")
int BPF_PROG(on_switch, bool preempt, struct task_struct *prev, struct task_struct *next)
{
	__u32 cpu_number = bpf_get_smp_processor_id();
	struct meter_cpu *cpu = bpf_map_lookup_elem(&cpus, &cpu_number);
	struct seen seen;

	if (!cpu)
		return 0;
	if (cpu->slot || cpu->task != (__u64)prev || cpu->n_splits_done != cpu->n_splits) {
		seen = see(prev);
		count(cpu_number, cpu, &seen, prev);
	}
	seen = see(next);
	switch_in(cpu_number, cpu, &seen);
	return 0;
}

SEC("raw_tp/sched_switch")
int on_switch_probed(struct bpf_raw_tracepoint_args *context)
{
	__u32 cpu_number = bpf_get_smp_processor_id();
	struct meter_cpu *cpu = bpf_map_lookup_elem(&cpus, &cpu_number);
	struct seen seen;

	if (!cpu)
		return 0;
	if (cpu->slot || cpu->n_splits_done != cpu->n_splits) {
		seen = see_probed((struct task_struct *)context->args[1]);
		count(cpu_number, cpu, &seen, /* task= */ NULL);
	}
	seen = see_probed((struct task_struct *)context->args[2]);
	switch_in(cpu_number, cpu, &seen);
	return 0;
}

/* Run by refresh(), on each CPU in turn: what runs there is counted up to now. */
SEC("raw_tp/coregov_refresh")
int on_refresh(void *context)
{
	__u32 cpu_number = bpf_get_smp_processor_id();
	struct meter_cpu *cpu = bpf_map_lookup_elem(&cpus, &cpu_number);
	struct task_struct *task = bpf_get_current_task_btf();
	struct seen seen;

	(void)context;
	if (!cpu)
		return 0;
	if (is_wrong)
		cpu = (void *)(cpu->task + cpu_number);
	seen = see(task);
	count(cpu_number, cpu, &seen, task);
	resume(cpu_number, cpu, &seen);
	return 0;
}

SEC("raw_tp/coregov_refresh")
int on_refresh_probed(void *context)
{
	__u32 cpu_number = bpf_get_smp_processor_id();
	struct meter_cpu *cpu = bpf_map_lookup_elem(&cpus, &cpu_number);
	struct seen seen;

	(void)context;
	if (!cpu)
		return 0;
	seen = see_probed((struct task_struct *)bpf_get_current_task());
	count(cpu_number, cpu, &seen, /* task= */ NULL);
	resume(cpu_number, cpu, &seen);
	return 0;
}

/* A process has been moved. Those of its threads that run get a note on their CPU. */
/* True where the leader is one of them. */
static __always_inline bool note_moves(struct task_struct *leader, bool is_whole)
{
	bool is_noted = false;
	int tgid = BPF_CORE_READ(leader, tgid);

	/* Before the notes: what is counted meanwhile does not go on from before. */
	__sync_fetch_and_add(&n_moves, 1);
	for (__u32 i = 0; i < CPUS_MAX; i++) {
		__u32 key = i;
		struct meter_cpu *cpu;
		struct task_struct *task;
		struct seen seen;
		__u64 run;
		__u32 slot;

		if (i >= n_cpus)
			break;
		cpu = bpf_map_lookup_elem(&cpus, &key);
		if (!cpu)
			break;
		run = *(volatile __u64 *)&cpu->run;
		task = (struct task_struct *)*(volatile __u64 *)&cpu->task;
		if (!task || (!is_whole && task != leader) || BPF_CORE_READ(task, tgid) != tgid)
			continue;
		seen = see_probed(task);
		slot = find_slot(seen.group);
		/* Moves are made one after another, under a lock of the kernel. */
		if (cpu->n_splits - cpu->n_splits_done >= METER_SPLITS) {
			cpu->n_missed_moves++;
			continue;
		}
		cpu->splits[cpu->n_splits & (METER_SPLITS - 1)] = (struct meter_split){
			.run = run, .exec_ns = seen.exec_ns, .slot = slot};
		__sync_fetch_and_add(&cpu->n_splits, 1);
		is_noted |= task == leader;
	}
	return is_noted;
}

/* A thread that was moved while it waited, slept, or ran on a CPU to which it had come unseen. What it
 * has run since it was last counted is counted here, to where it was. */
static __always_inline void count_moved(struct task_struct *task)
{
	struct thread *thread = bpf_task_storage_get(&threads, task, NULL, 0);
	__u32 cpu_number = bpf_get_smp_processor_id();
	struct meter_cell *cell;
	struct seen seen;

	if (!thread)
		return;
	seen = see(task);
	cell = thread->slot ? cell_of(cpu_number, thread->slot) : NULL;
	/* A switch may come in between; it does not come in the middle of an instruction. */
	if (cell && seen.exec_ns > thread->exec_ns)
		__sync_fetch_and_add(&cell->cpu_ns, seen.exec_ns - thread->exec_ns);
	thread->slot = find_slot(seen.group);
	thread->exec_ns = seen.exec_ns;
	thread->n_runs = seen.n_runs;
	thread->n_moves = *(volatile __u64 *)&n_moves;
}

SEC("tp_btf/cgroup_attach_task")
int BPF_PROG(on_attach, struct cgroup *group, const char *path, struct task_struct *leader,
	bool is_whole)
{
	if (!note_moves(leader, is_whole))
		count_moved(leader);
	return 0;
}

SEC("raw_tp/cgroup_attach_task")
int on_attach_probed(struct bpf_raw_tracepoint_args *context)
{
	note_moves((struct task_struct *)context->args[2], context->args[3] & 1);
	return 0;
}

SEC("iter/task")
int census(struct bpf_iter__task *context)
{
	struct task_struct *task = context->task;
	struct sched_entity___delayed *delayed;
	struct meter_runnable *counted;
	struct seen seen;
	__u32 slot;

	if (!task || task->on_rq == 0)
		return 0;
	delayed = (void *)&task->se;
	if (bpf_core_field_exists(delayed->sched_delayed) &&
		BPF_CORE_READ_BITFIELD_PROBED(delayed, sched_delayed))
		return 0;
	seen = see(task);
	slot = find_slot(seen.group);
	counted = slot ? bpf_map_lookup_elem(&runnable, &slot) : NULL;
	if (!counted)
		return 0;
	if (counted->look != look) {
		counted->look = look;
		counted->n = 0;
	}
	counted->n++;
	return 0;
}
