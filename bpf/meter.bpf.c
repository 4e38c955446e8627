// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-or-later
#include "vmlinux.h"

#include <bpf/bpf_helpers.h>

#include <bpf/bpf_core_read.h>
#include <bpf/bpf_tracing.h>

#include "meter_layout.h"

/* Counts, for each metered group of the cpu controller, the CPU time of its threads, how long they
 * waited for a CPU, how often they got one, and how many want one now.
 *
 * The figures are the kernel's own: the scheduler keeps the CPU time of each thread, its time in the
 * run queue and the number of its runs, and the sums over a group's threads agree with cpuacct and
 * cpu.stat to the nanosecond. So nothing needs to be done when threads are switched, which is the most
 * frequent thing there is: an empty program on sched_switch makes a pipe ping-pong on one CPU 4 %
 * slower. The threads are asked instead, all of them once for a slot (`census`), and each for itself
 * where it begins, ends and is gone. It is kept for each thread how far it has been counted; what has
 * grown since goes to the cell of its group, whoever sees it first:
 *
 *	      on_new        census        on_attach      census         on_exit, on_gone
 *	thread  |--------------|--------------|-------------|-----------------|
 *	        exec_ns = 0    cell A += d1   note          cell A += d2      cell B += d4
 *	                                                    cell B += d3
 *
 * Two CPUs may count the same thread at once (a census, and its exit). Each takes what the other has
 * left in exec_ns and leaves its own there, in one instruction, and adds the difference, which is
 * negative for the one that came later with the older figure: the sum is always that of the last one.
 *
 * The kernel does not show every event on a busy machine (of sched_switch and sched_process_free some in
 * a thousand came to no program on 6.18, several in a row). So none is relied on: a census finds a thread
 * that has begun unseen, and one that goes unseen lacks what it used after it was last counted. Since 6.16
 * on_exit comes before the process gives its memory back, which may be most of what it does; that is why
 * it is counted again when its parent is told (on_notify), after which there is little left to do.
 *
 * This is compiled twice: with METER_OLD for the kernels before 6.7, with another way to take a census.
 *
 * The group is task->sched_task_group: what the scheduler itself charges. That is the group of the
 * cpu controller on v1, hybrid and v2 alike, and where a v2 group has no cpu controller the one above it
 * that has. Groups below a metered one count to it. */

char LICENSE[] SEC("license") = "Dual BSD/GPL";

#define GROUP_DEPTH_MAX 64
#define THREADS_MAX (1U << 22) /* PID_MAX_LIMIT */
#define SLEEPERS_MAX (1U << 14)

/* For a test, set before the load: the verifier must refuse all, or the loop that new kernels know. */
const volatile __u32 is_wrong = 0, is_loop_wrong = 0;

__u32 number = 0;           /* of the last census; set by the governor */
__u64 generation = 0;       /* of `places`, from 1; set by the governor whenever they are others */
__u64 n_missed_threads = 0; /* gone, and what they used since they were last counted is nowhere */
__u64 n_missed_moves = 0; /* there was no room: what they used since the last census is elsewhere */
__u64 n_noted = 0, n_followed = 0; /* moves */
bool has_waits = false; /* the kernel keeps the time in the run queue; known after a census */

/* The group that was looked for last: often the next thread's, too. That of a census is not on the stack:
 * what lies there the verifier follows through every turn of the loop, which takes it half a second. */
struct found {
	__u64 group, place;
};
__u64 found_last[2] = {0};

/* What a thread has used. */
struct usage {
	uint64_t exec_ns, delay_ns, n_runs;
};

/* How far a thread has been counted, and where it belongs. */
struct thread {
	struct usage counted;
	uint64_t place;
	uint64_t group;      /* the address of the task_group that has led to this place, */
	uint64_t generation; /* and which places there were then; 0: it is new, nothing holds yet */
};

/* A thread that was moved since it was last counted: from where it was before, up to `left`; in `place`
 * from `came` on. What lies between was counted when it was moved again. */
struct move {
	struct usage left, came;
	uint64_t place;
	uint64_t start_time; /* the thread's: addresses are used again */
};

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, METER_GROUPS_MAX);
	__type(key, __u64);   /* id of a group's directory */
	__type(value, __u64); /* place */
} places SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(map_flags, BPF_F_MMAPABLE);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct meter_cell);
} cells SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_TASK_STORAGE);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, int);
	__type(value, struct thread);
} threads SEC(".maps");

/* A thread that slept when a census came to it, and has been counted up to `exec_ns`, or is nobody's. */
struct sleeper {
	uint64_t task; /* the address of its task_struct */
	uint64_t exec_ns;
	uint64_t generation;
};

/* By thread id; one with the same lowest bits takes the place, and both are counted each time. Most
 * threads sleep, and what is kept for a thread lies far apart in memory: this is side by side. */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, SLEEPERS_MAX);
	__type(key, __u32);
	__type(value, struct sleeper);
} sleepers SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, METER_MOVES_MAX);
	__type(key, __u64); /* address of the thread's task_struct */
	__type(value, struct move);
} moves SEC(".maps");

/* What reads the kernel's memory comes twice: DIRECT where the kernel has given a pointer with its type,
 * PROBED where it has not, which is slower. */
#define DIRECT(from, member) ((from)->member)
#define PROBED(from, member) BPF_CORE_READ(from, member)

/* A way up from a group, to the nearest that has a place. */
struct climb {
	struct task_group *group;
	__u64 place;
};

/* The place of a group, or of the nearest above it that has one. */
#define DEFINE_FIND_PLACE(name, READ)                                             \
	static int name##_next(__u32 index, struct climb *climb)                  \
	{                                                                         \
		struct task_group *group = climb->group;                          \
		struct cgroup *cgroup;                                            \
		struct kernfs_node *directory;                                    \
		__u64 *place;                                                     \
		__u64 id;                                                         \
                                                                                  \
		if (!group)                                                       \
			return 1;                                                 \
		cgroup = READ(group, css.cgroup);                                 \
		if (!cgroup) /* an autogroup: below the root, and no directory */ \
			return 1;                                                 \
		directory = READ(cgroup, kn);                                     \
		id = READ(directory, id);                                         \
		place = bpf_map_lookup_elem(&places, &id);                        \
		if (place) {                                                      \
			climb->place = *place;                                    \
			return 1;                                                 \
		}                                                                 \
		climb->group = READ(group, parent);                               \
		return 0;                                                         \
	}                                                                         \
                                                                                  \
	static __noinline __u64 name(struct task_group *group)                    \
	{                                                                         \
		struct climb climb = {.group = group};                            \
                                                                                  \
		bpf_loop(GROUP_DEPTH_MAX, name##_next, &climb, 0);                \
		return climb.place;                                               \
	}
DEFINE_FIND_PLACE(find_place, DIRECT)
DEFINE_FIND_PLACE(find_place_probed, PROBED)

static __always_inline struct meter_cell *cell_at(__u64 place)
{
	__u32 key = METER_PLACE_CELL(place);
	struct meter_cell *cell = key ? bpf_map_lookup_elem(&cells, &key) : NULL;

	return cell && cell->turn == METER_PLACE_TURN(place) ? cell : NULL;
}

#define DEFINE_USAGE_OF(name, READ)                                                \
	static __always_inline struct usage name(struct task_struct *task)         \
	{                                                                          \
		struct usage usage = {.exec_ns = READ(task, se.sum_exec_runtime)}; \
                                                                                   \
		if (bpf_core_field_exists(task->sched_info.run_delay)) {           \
			usage.delay_ns = READ(task, sched_info.run_delay);         \
			usage.n_runs = READ(task, sched_info.pcount);              \
		}                                                                  \
		return usage;                                                      \
	}
DEFINE_USAGE_OF(usage_of, DIRECT)
DEFINE_USAGE_OF(usage_of_probed, PROBED)

static __always_inline void grow(uint64_t *counter, uint64_t *counted, uint64_t now)
{
	uint64_t before;

	if (*(volatile uint64_t *)counted == now)
		return;
	before = __sync_lock_test_and_set(counted, now);
	if (counter)
		__sync_fetch_and_add(counter, now - before);
}

/* What has grown since goes to the cell, or nowhere where there is none. */
static __always_inline void count(
	struct meter_cell *cell, struct usage *counted, const struct usage *now)
{
	grow(cell ? &cell->cpu_ns : NULL, &counted->exec_ns, now->exec_ns);
	grow(cell ? &cell->wait_ns : NULL, &counted->delay_ns, now->delay_ns);
	grow(cell ? &cell->n_switches : NULL, &counted->n_runs, now->n_runs);
}

static __always_inline struct move *move_of(struct task_struct *task)
{
	__u64 key = (__u64)task;
	struct move *move;

	if (*(volatile __u64 *)&n_noted == *(volatile __u64 *)&n_followed)
		return NULL;
	move = bpf_map_lookup_elem(&moves, &key);
	return move && move->start_time == task->start_time ? move : NULL;
}

static __always_inline void forget_move(struct task_struct *task)
{
	__u64 key = (__u64)task;

	if (bpf_map_delete_elem(&moves, &key) == 0)
		__sync_fetch_and_add(&n_followed, 1);
}

/* A thread is seen for the first time, in this place. */
static __always_inline void begin(struct task_struct *task, struct thread *thread, __u64 place)
{
	struct meter_cell *cell = cell_at(place);

	if (cell && cell->since_ns == 0)
		cell->since_ns = bpf_ktime_get_ns();
	if (!cell || task->start_time < cell->since_ns)
		thread->counted = usage_of(task);
	thread->place = place;
}

/* A group's address is not used again while a thread is in it. */
static __always_inline bool is_still_there(
	const struct thread *thread, const struct task_group *group)
{
	return thread->group == (__u64)group && thread->generation == generation;
}

static __always_inline __u64 find_again(struct task_group *group, struct found *found)
{
	if (found->group != (__u64)group) {
		found->place = find_place(group);
		found->group = (__u64)group;
	}
	return found->place;
}

/* Counts a thread up to now; the cell that it is in, or NULL.
 *
 * Nothing is kept of a thread that has never been in a metered group. Also where there is no memory,
 * and before 6.2 where what runs on this CPU was interrupted while it asked for its own: then the next
 * who counts this thread counts it up to there. */
static __noinline struct meter_cell *count_thread(
	struct task_struct *task, struct found *found, bool is_last)
{
	struct thread *thread = bpf_task_storage_get(&threads, task, NULL, 0);
	struct task_group *group = task->sched_task_group;
	__u64 before = generation, place;
	struct move *move = move_of(task);
	struct meter_cell *cell;
	struct usage now;

	place = thread && !move && is_still_there(thread, group) ? thread->place
								 : find_again(group, found);
	if (!thread && place)
		thread = bpf_task_storage_get(&threads, task, NULL, BPF_LOCAL_STORAGE_GET_F_CREATE);
	if (!thread) {
		if (place && is_last)
			__sync_fetch_and_add(&n_missed_threads, 1);
		if (!place && move)
			forget_move(task);
		return NULL;
	}
	if (thread->generation == 0)
		begin(task, thread, place);
	else if (move)
		count(cell_at(thread->place), &thread->counted, &move->left);
	if (move) {
		thread->counted = move->came;
		thread->place = move->place;
		forget_move(task);
	}
	now = usage_of(task);
	cell = cell_at(thread->place);
	count(cell, &thread->counted, &now);
	if (thread->place != place) { /* moved unseen */
		thread->place = place;
		cell = cell_at(place);
	}
	thread->group = (__u64)group;
	thread->generation = before;
	return cell;
}

/* Of each thread, the kernel's own for io_uring and vhost, too; no lock is held yet. */
SEC("tp_btf/task_newtask")
int BPF_PROG(on_new, struct task_struct *task)
{
	if (is_wrong)
		return *(volatile int *)bpf_get_current_task();
	count_thread(task, &(struct found){0}, false);
	return 0;
}

SEC("tp_btf/sched_process_exit")
int BPF_PROG(on_exit, struct task_struct *task)
{
	count_thread(task, &(struct found){0}, false);
	return 0;
}

/* The parent is told, by the last thread that exits. */
SEC("tp_btf/signal_generate")
int BPF_PROG(on_notify)
{
	struct task_struct *task = bpf_get_current_task_btf();

	if (task->flags & PF_EXITING)
		count_thread(task, &(struct found){0}, false);
	return 0;
}

SEC("tp_btf/sched_process_free")
int BPF_PROG(on_gone, struct task_struct *task)
{
	count_thread(task, &(struct found){0}, true);
	return 0;
}

/* Runs or waits for a CPU? */
static __always_inline bool is_runnable(struct task_struct *task)
{
	struct sched_entity___delayed *entity = (void *)&task->se;

	if (task->on_rq == 0)
		return false;
	return !bpf_core_field_exists(entity->sched_delayed) ||
		!BPF_CORE_READ_BITFIELD(entity, sched_delayed);
}

static __always_inline void look_at(struct task_struct *task, struct found *found)
{
	/* As it is before it is counted: if it runs meanwhile, the next census finds another. */
	struct sleeper now = {
		.task = (__u64)task,
		.exec_ns = task->se.sum_exec_runtime,
		.generation = generation,
	};
	__u32 key = task->pid & (SLEEPERS_MAX - 1);
	struct sleeper *before = bpf_map_lookup_elem(&sleepers, &key);
	bool is_asleep = task->on_rq == 0;
	struct meter_cell *cell;

	if (is_asleep && before && before->task == now.task && before->exec_ns == now.exec_ns &&
		before->generation == now.generation && !move_of(task))
		return;
	if (is_asleep && before)
		*before = now;
	cell = count_thread(task, found, false);
	has_waits = bpf_core_field_exists(task->sched_info.run_delay);
	if (!cell || !is_runnable(task))
		return;
	if (cell->census != number) {
		cell->census = number;
		cell->n_runnable = 0;
	}
	cell->n_runnable++;
}

#ifndef METER_OLD
/* All threads, one after the other, in one go: the kernels since 6.7 have the means. The iterator is told
 * to go to one process, the governor's own, and so this is called once for each time that its file is read,
 * and once more at the end, with no task. (One over the elements of a map would do, too, but there are
 * kernels that refuse those.) */
SEC("iter/task")
int census(struct bpf_iter__task *context)
{
	struct found *found = (struct found *)found_last;
	struct bpf_iter_task iterator;
	struct task_struct *task;

	if (is_loop_wrong)
		return *(volatile int *)bpf_get_current_task();
	if (!context->task)
		return 0;
	found->group = 0; /* the address may be another's by now */
	bpf_iter_task_new(&iterator, NULL, BPF_TASK_ITER_ALL_THREADS);
	while ((task = bpf_iter_task_next(&iterator)))
		look_at(task, found);
	bpf_iter_task_destroy(&iterator);
	return 0;
}

#else
/* The same, called for each thread, which takes several times as long. */
SEC("iter/task")
int census(struct bpf_iter__task *context)
{
	struct task_struct *task = context->task;

	if (task)
		look_at(task, &(struct found){0});
	return 0;
}
#endif

/* Not through the thread's own storage, which wants to be given by the kernel, and not taken from a
 * list: a note is left, which the next one follows who counts it. */
static __always_inline void note_move(struct task_struct *task)
{
	__u64 key = (__u64)task, start_time = BPF_CORE_READ(task, start_time);
	struct move *move = bpf_map_lookup_elem(&moves, &key);
	struct move new = {
		.left = usage_of_probed(task),
		.place = find_place_probed(BPF_CORE_READ(task, sched_task_group)),
		.start_time = start_time,
	};

	if (move && move->start_time == start_time) {
		count(cell_at(move->place), &move->came, &new.left);
		move->place = new.place;
		return;
	}
	new.came = new.left;
	/* One that is there is of a thread that went unseen. */
	if (bpf_map_update_elem(&moves, &key, &new, BPF_ANY) < 0)
		__sync_fetch_and_add(&n_missed_moves, 1);
	else if (!move)
		__sync_fetch_and_add(&n_noted, 1);
}

/* A walk along the kernel's list of a process's threads. */
struct walk {
	struct list_head *next, *end;
};

static __always_inline struct list_head *after(const struct list_head *node)
{
	return BPF_CORE_READ(node, next);
}

static int note_next(__u32 index, struct walk *walk)
{
	if (!walk->next || walk->next == walk->end)
		return 1;
	note_move((void *)walk->next - bpf_core_field_offset(struct task_struct, thread_node));
	walk->next = after(walk->next);
	return 0;
}

SEC("raw_tp/cgroup_attach_task")
int on_attach(struct bpf_raw_tracepoint_args *context)
{
	struct task_struct *task = (void *)context->args[2];
	bool is_whole_process = context->args[3] & 1;
	struct walk walk;

	if (!is_whole_process) {
		note_move(task);
		return 0;
	}
	walk.end = (void *)BPF_CORE_READ(task, signal) +
		bpf_core_field_offset(struct signal_struct, thread_head);
	walk.next = after(walk.end);
	bpf_loop(THREADS_MAX, note_next, &walk, 0);
	return 0;
}
