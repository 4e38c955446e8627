/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "bundle.h"
#include "enforcer.h"
#include "fault.h"
#include "keeper.h"
#include "meter.h"
#include "stage.h"

struct preset_set;
struct governor;
struct sd_event;

/* The stage of a real run: every task is a process that the keeper starts, in a place that the
 * enforcer makes, heard through a progress page, its output or a file that it writes. */

struct stage_process_setup {
	const struct bundle *bundle; /* resolved; all are kept by pointer */
	struct keeper *keeper;
	struct enforcer *enforcer;
	struct meter *meter;
	const struct preset_set *presets;
	struct sd_event *event;        /* polls the streams */
	const char *learner_directory; /* added to PATH for argv[0]; where the replay learner is */
	const char *output_directory;  /* for NAME.out and NAME.err, NULL: not kept */
	bool is_verbose;               /* output also to our stderr, with a prefix */
};

struct stage_process;

/* 0 or -ENOMEM. */
int stage_process_new(struct stage_process **ret_stage, const struct stage_process_setup *setup,
	struct fault *fault);
/* Kills and removes what still runs. NULL is fine. */
struct stage_process *stage_process_free(struct stage_process *stage);

/* The bundle starts now: CLOCK_MONOTONIC. Before the first slot. */
void stage_process_begin(struct stage_process *stage, uint64_t start_ns);

struct stage *stage_process_stage(struct stage_process *stage);

/* What the keeper told, for the task it is about: drains its streams, tells the governor. */
void stage_process_event(struct stage_process *stage, struct governor *governor,
	const struct keeper_event *event, uint64_t now_ns);

/* The last lines a task has written, "" where none are known. */
const char *stage_process_last_words(const struct stage_process *stage, uint32_t task);
/* Bytes of its output that could not be kept (a full disk), and the first reason as a negative errno
 * where there are any. */
uint64_t stage_process_lost_bytes(const struct stage_process *stage, uint32_t task, int *ret_error);
