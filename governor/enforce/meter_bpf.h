/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "fault.h"
#include "meter.h"

/* The eBPF meter beside its seam (meter.h): how it can be made to work differently, for tests. */

struct meter_bpf_setup {
	uint32_t n_tasks_max;
	bool is_wrong;        /* a program that the verifier must refuse */
	bool is_loop_wrong;   /* the same, in the census since Linux 6.7 only */
	bool is_old;          /* a census as before Linux 6.7 */
	const char *btf_path; /* the kernel's types, instead of its own; or NULL */
	const char *root;     /* where /sys is looked for, to tell why it failed; NULL: / */
};

/* 0, or a negative errno and a sentence: why the kernel does not take it, and what would help. */
int meter_bpf_open(
	struct meter **ret_meter, const struct meter_bpf_setup *setup, struct fault *fault);
