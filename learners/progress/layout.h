/* SPDX-License-Identifier: MIT */
#pragma once

#include <assert.h>
#include <stddef.h>
#include <stdint.h>

/* The progress page: what a governor and one task share, in one sealed memfd.
 *
 * Finding it. The task's environment has COREGOV_PROGRESS=FD:PATH:TOKEN, for example
 * `199:/proc/812/fd/9:5f0c64d1a2b3e907`. FD is the descriptor the task inherited (-1: none), PATH
 * opens the same page from any of its descendants (programs that start others often close
 * descriptors, as Python's subprocess does), TOKEN is the page's own, in hexadecimal. FD is tried
 * first, then PATH. Either is taken only if it has the seals F_SEAL_SHRINK and F_SEAL_GROW (so that
 * no access can fault), the size that the header states, and the magic, version and token.
 *
 * Byte order and alignment are the machine's. Every field has its natural alignment and is read and
 * written in one piece. The governor never reads its own side back, and believes nothing that
 * stands on the task's side.
 *
 * One writer. A process becomes the writer by changing `owner` from 0, or from the pid of a process
 * that is gone, to its own pid, with a compare-and-swap. It holds an exclusive fcntl(2) record lock
 * (F_SETLK) on the first 8 bytes of the memfd while it does so, because not every language has a
 * compare-and-swap. Whoever finds a living owner adds 1 to `n_others` and writes nothing else.
 *
 * Until a task speaks for itself, somebody who reads what it prints may report for it: `owner` is
 * then COREGOV_STAND_IN + its pid, which no pid can be, so that whoever claims the page takes it for
 * the pid of a process that is gone. The stand-in holds the record lock during each of its reports
 * and looks at `owner` under it, so the two never write at once.
 *
 * The ring. Report number n (from 1) is entry (n - 1) % COREGOV_RING_LENGTH. The writer stores
 *     sequence = 0, then the entry, then sequence = n, then n_ring = n,
 * each visible before the next. A reader takes entry n only if `sequence` was n before and after it
 * copied the entry; anything else is torn, or already overwritten.
 *
 * The ring is for the reports that carry the target's metric: a task that is judged by a held-out
 * loss, once an epoch, may report the loss of each minibatch as well without pushing out what
 * matters. Values that are reported together with it stand in the same entry. Reports without it
 * only update their row in `others`. */

#define COREGOV_PROGRESS_VARIABLE "COREGOV_PROGRESS"
#define COREGOV_PAGE_MAGIC UINT64_C(0x65676150766f4743) /* "CGovPage" in little-endian order */
#define COREGOV_PAGE_VERSION UINT32_C(1)
#define COREGOV_METRIC_NAME_MAX 64 /* with the final NUL */
#define COREGOV_METRICS_MAX 8      /* the target's and seven others */
#define COREGOV_RING_LENGTH 128
#define COREGOV_PID_MAX UINT64_C(0x7fffffff)
#define COREGOV_STAND_IN (UINT64_C(1) << 32)

/* A report that is remembered by itself; number 0: there is none. */
struct coregov_mark {
	uint64_t number;   /* of the report, as in the ring */
	uint64_t step;     /* as reported */
	uint64_t stamp_ns; /* CLOCK_MONOTONIC */
	double value;
};

/* Written by the governor only. */
struct coregov_governor_side {
	uint64_t magic;
	uint32_t version;
	uint32_t size; /* of the page, in bytes */
	uint64_t token;
	uint64_t deadline_ns; /* CLOCK_MONOTONIC; 0: none */
	double share_cpus;    /* granted now, >= 0 */
	uint32_t threads;     /* advised, >= 1 */
	uint32_t should_stop; /* 1: "please stop" */
	double target_value;  /* finite; this is learned well */
	uint32_t target_is_raised;
	uint32_t target_in_a_row; /* reports in a row that must meet it, >= 1 */
	char target_metric[COREGOV_METRIC_NAME_MAX];
	uint64_t reserved[48]; /* 0 */
};

/* What is known of a metric other than the target's. */
struct coregov_row {
	char name[COREGOV_METRIC_NAME_MAX]; /* empty: free; else never changes */
	uint64_t n_reports;                 /* 0 while the name is being written */
	uint64_t step;                      /* of the last report */
	uint64_t stamp_ns;
	double value;
};

struct coregov_entry {
	uint64_t sequence;
	uint64_t step;
	uint64_t stamp_ns; /* CLOCK_MONOTONIC, never less than that of the report before */
	uint32_t mask;     /* bit i: values[i] was reported */
	uint32_t reserved;
	double values[COREGOV_METRICS_MAX]; /* 0: the target's metric; i: others[i - 1] */
	uint64_t padding[4];
};

/* Written by the task only. */
struct coregov_task_side {
	uint64_t owner;      /* pid of the writer as it sees itself; 0: nobody; or a stand-in */
	uint64_t n_others;   /* processes that found another owner */
	uint64_t n_lost;     /* reports that could not be written: too many names, writer busy */
	uint64_t n_reports;  /* ever made, with the target's metric or without */
	uint64_t n_ring;     /* of these, put into the ring */
	uint64_t steps_done; /* step of the last report */
	uint64_t steps_total;
	uint64_t samples_seen;
	double epoch;
	uint64_t best_sequence; /* odd while `best` is being written */
	struct coregov_mark best;
	struct coregov_mark first_met; /* the report that first met the target, in a row as asked;
	                                * `number` is written last, and once */
	uint64_t reserved[10];         /* 0 */
	struct coregov_row others[COREGOV_METRICS_MAX - 1];
	struct coregov_entry ring[COREGOV_RING_LENGTH];
};

struct coregov_page {
	struct coregov_governor_side governor;
	struct coregov_task_side task;
};

static_assert(sizeof(double) == 8, "values are IEEE 754 doubles");
static_assert(sizeof(struct coregov_mark) == 32, "layout of the page");
static_assert(sizeof(struct coregov_row) == 96, "layout of the page");
static_assert(sizeof(struct coregov_entry) == 128, "two cache lines an entry");
static_assert(offsetof(struct coregov_entry, values) == 32, "layout of the page");
static_assert(offsetof(struct coregov_governor_side, token) == 16, "layout of the page");
static_assert(offsetof(struct coregov_governor_side, target_metric) == 64, "layout of the page");
static_assert(sizeof(struct coregov_governor_side) == 512, "layout of the page");
static_assert(offsetof(struct coregov_task_side, best) == 80, "layout of the page");
static_assert(offsetof(struct coregov_task_side, first_met) == 112, "layout of the page");
static_assert(offsetof(struct coregov_task_side, others) == 224, "layout of the page");
static_assert(offsetof(struct coregov_task_side, ring) == 896, "layout of the page");
static_assert(sizeof(struct coregov_page) == 512 + 896 + 128 * 128, "layout of the page");
