// SPDX-License-Identifier: GPL-2.0-or-later
#include "meter_bpf.h"

#include <errno.h>

/* The eBPF meter of a build that had no clang, bpftool or libbpf: the ladder says so, and goes on. */

static int absent(struct fault *fault)
{
	return fault_set(fault, -EOPNOTSUPP,
		"coregov was built without eBPF: build it with clang, bpftool, libbpf and libcap");
}

int meter_bpf_open(
	struct meter **ret_meter, const struct meter_bpf_setup *setup, struct fault *fault)
{
	(void)ret_meter, (void)setup;
	return absent(fault);
}

static int absent_probe(const struct enforcer *enforcer, struct fault *fault)
{
	(void)enforcer;
	return absent(fault);
}

static int absent_open(struct meter **ret_meter, uint32_t n_tasks_max, struct fault *fault)
{
	(void)ret_meter, (void)n_tasks_max;
	return absent(fault);
}

static int absent_task_add(
	struct meter *meter, uint32_t task, const struct place *place, struct fault *fault)
{
	(void)meter, (void)task, (void)place;
	return absent(fault);
}

static void absent_task_remove(struct meter *meter, uint32_t task)
{
	(void)meter, (void)task;
}

static void absent_refresh(struct meter *meter)
{
	(void)meter;
}

static int absent_read(struct meter *meter, uint32_t task, struct meter_reading *ret_reading)
{
	(void)meter, (void)task, (void)ret_reading;
	return -EOPNOTSUPP;
}

static struct meter *absent_close(struct meter *meter)
{
	(void)meter;
	return NULL;
}

const struct meter_ops meter_bpf = {
	.name = "bpf",
	.probe = absent_probe,
	.open = absent_open,
	.task_add = absent_task_add,
	.task_remove = absent_task_remove,
	.refresh = absent_refresh,
	.read = absent_read,
	.close = absent_close,
};
