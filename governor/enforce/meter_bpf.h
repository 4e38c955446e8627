/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "fault.h"
#include "meter.h"

/* The eBPF meter beside its seam (meter.h): how it can be made to work differently, for tests, and
 * what it could not count. */

enum meter_bpf_variant {
	METER_BPF_BEST,   /* the first that loads */
	METER_BPF_DIRECT, /* on tp_btf */
	METER_BPF_PROBED, /* on raw_tp: knows CPU time only */
};

struct meter_bpf_setup {
	uint32_t n_tasks_max;
	enum meter_bpf_variant variant;
	bool is_wrong;        /* a program that the verifier must refuse */
	const char *btf_path; /* the kernel's types, instead of its own; or NULL */
	const char *root;     /* where /sys is looked for, to tell why it failed; NULL: / */
};

/* 0, or a negative errno and a sentence: why the kernel does not take it, and what would help. */
int meter_bpf_open(
	struct meter **ret_meter, const struct meter_bpf_setup *setup, struct fault *fault);

enum meter_bpf_variant meter_bpf_variant(const struct meter *meter);

/* What could not be counted since it was opened; all 0 unless something is very wrong. */
struct meter_bpf_missed {
	uint64_t n_switches; /* the CPU time between two switches is missing */
	uint64_t n_waits;    /* no memory for a thread: some of its waiting may be missing */
	uint64_t n_moves;    /* CPU time went to a group that the thread had left meanwhile */
};
void meter_bpf_missed(const struct meter *meter, struct meter_bpf_missed *ret_missed);
