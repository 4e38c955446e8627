/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-or-later */
#pragma once

/* The kernel's types, as far as the programs of this room touch them. The offsets are those of the
 * running kernel: libbpf relocates each access at load time, by name (CO-RE). So it does not matter
 * what is left out here, and a build needs no kernel with type information (BTF). */

typedef unsigned char __u8;
typedef unsigned short __u16;
typedef unsigned int __u32;
typedef unsigned long long __u64;
typedef signed char __s8;
typedef short __s16;
typedef int __s32;
typedef long long __s64;
typedef __u16 __be16;
typedef __u32 __be32;
typedef __u32 __wsum;
typedef _Bool bool;

#define NULL ((void *)0)

enum {
	false = 0,
	true = 1,
};

enum bpf_map_type {
	BPF_MAP_TYPE_HASH = 1,
	BPF_MAP_TYPE_ARRAY = 2,
	BPF_MAP_TYPE_TASK_STORAGE = 29,
};

enum {
	BPF_ANY = 0,
	BPF_NOEXIST = 1,
};

enum {
	BPF_F_NO_PREALLOC = 1U << 0,
	BPF_F_MMAPABLE = 1U << 10,
};

enum {
	BPF_LOCAL_STORAGE_GET_F_CREATE = 1ULL << 0,
};

/* What a program on raw_tp gets: the arguments of the tracepoint. */
struct bpf_raw_tracepoint_args {
	__u64 args[4];
};

#pragma clang attribute push(__attribute__((preserve_access_index)), apply_to = record)

struct list_head {
	struct list_head *next;
};

struct kernfs_node {
	__u64 id;
};

struct cgroup {
	struct kernfs_node *kn;
};

struct cgroup_subsys_state {
	struct cgroup *cgroup;
};

struct task_group {
	struct cgroup_subsys_state css;
	struct task_group *parent;
};

struct sched_info {
	unsigned long pcount;
	unsigned long long run_delay;
};

struct sched_entity {
	__u64 sum_exec_runtime;
};

/* Threads that sleep may stay in the queue for a while since 152e11f6df29 (6.12). */
struct sched_entity___delayed {
	unsigned char sched_delayed;
};

struct signal_struct {
	struct list_head thread_head;
};

struct task_struct {
	unsigned int flags;
	int on_rq;
	__u32 pid;
	struct sched_entity se;
	struct task_group *sched_task_group;
	struct sched_info sched_info;
	__u64 start_time;
	struct signal_struct *signal;
	struct list_head thread_node;
};

struct bpf_iter__task {
	struct task_struct *task;
};

#pragma clang attribute pop

#define PF_EXITING 0x00000004

/* All threads in a loop, since c68a78ffe2cb (6.7). */

struct bpf_iter_task {
	__u64 opaque[3];
};

enum {
	BPF_TASK_ITER_ALL_THREADS = 1,
};

extern int bpf_iter_task_new(struct bpf_iter_task *iterator, struct task_struct *task,
	unsigned int flags) __attribute__((section(".ksyms")));
extern struct task_struct *bpf_iter_task_next(struct bpf_iter_task *iterator)
	__attribute__((section(".ksyms")));
extern void bpf_iter_task_destroy(struct bpf_iter_task *iterator)
	__attribute__((section(".ksyms")));
