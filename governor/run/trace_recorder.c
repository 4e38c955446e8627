// SPDX-License-Identifier: GPL-2.0-or-later
#include "trace_recorder.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>

/* Hands what the loop records to the trace, and nothing else: the trace knows no loop, the loop no
 * database. */

struct trace_recorder {
	struct recorder recorder;
	struct trace *trace;
};

static_assert(offsetof(struct trace_recorder, recorder) == 0, "the casts below");

static void record_slot(struct recorder *recorder, const struct slot_record *record)
{
	trace_slot(((struct trace_recorder *)recorder)->trace, record);
}

static void record_report(struct recorder *recorder, uint32_t task, const struct report *report)
{
	trace_report(((struct trace_recorder *)recorder)->trace, task, report);
}

static void record_event_of(struct recorder *recorder, uint64_t now_ns, uint32_t task,
	const char *kind, const char *text)
{
	trace_event(((struct trace_recorder *)recorder)->trace, now_ns, task, kind, text);
}

static const struct recorder_ops trace_recorder_ops = {
	.slot = record_slot,
	.report = record_report,
	.event = record_event_of,
};

int trace_recorder_new(struct trace_recorder **ret_recorder, const char *path,
	const struct trace_setup *setup, struct fault *fault)
{
	struct trace_recorder *self = calloc(1, sizeof(*self));
	int r;

	if (!self)
		return fault_errno(fault, -ENOMEM, "trace");
	self->recorder.ops = &trace_recorder_ops;
	r = trace_open(&self->trace, path, setup, fault);
	if (r < 0) {
		free(self);
		return r;
	}
	*ret_recorder = self;
	return 0;
}

struct recorder *trace_recorder_recorder(struct trace_recorder *self)
{
	return &self->recorder;
}

void trace_recorder_outcome(
	struct trace_recorder *self, uint32_t task, const struct task_status *status)
{
	trace_outcome(self->trace, task, status->outcome,
		status->was_started ? status->finish_ns : UINT64_MAX, status->cpu_ns,
		status->value);
}

int trace_recorder_close(struct trace_recorder *self, const char *result_json, struct fault *fault)
{
	int r = trace_close(self->trace, result_json, fault);

	free(self);
	return r;
}
