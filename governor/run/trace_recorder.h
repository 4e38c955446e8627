/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

#include "governor.h"
#include "record.h"
#include "trace.h"

/* The trace as a recorder of the loop. */

struct trace_recorder;

int trace_recorder_new(struct trace_recorder **ret_recorder, const char *path,
	const struct trace_setup *setup, struct fault *fault);
struct recorder *trace_recorder_recorder(struct trace_recorder *recorder);
void trace_recorder_outcome(
	struct trace_recorder *recorder, uint32_t task, const struct task_status *status);
/* As trace_close(); frees the recorder. */
int trace_recorder_close(
	struct trace_recorder *recorder, const char *result_json, struct fault *fault);
