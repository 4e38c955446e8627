/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "json_line.h"
#include "metric.h"
#include "report.h"

/* Shared by follow.c (paths), follow_file.c (one file) and follow_csv.c (its rows). */

#define FOLLOW_BUFFER 131072 /* a line or record that does not fit is stepped over */
#define FOLLOW_READS 4       /* buffers per file and call */

/* What all files of one feed have in common. */
struct followed {
	const struct target *target;
	struct metric_choice choice; /* the key or tag that stands for the metric */
	struct json_line_reader *json;
	struct progress_facts facts;
	uint8_t *buffer; /* FOLLOW_BUFFER bytes */

	/* Where this call's reports go. */
	uint64_t now_ns;
	struct report *reports;
	size_t n_reports, n_max;
};

#define CSV_COLUMNS_MAX 256

/* Which column is what; -1: none. */
struct csv_columns {
	bool is_read; /* a header was seen */
	char separator;
	int value, step, epoch;
};

enum file_kind {
	FILE_UNKNOWN,
	FILE_CSV,
	FILE_JSON,
	FILE_TFEVENTS,
};

#define MARK_BYTES 64

struct follow_file {
	char *path; /* owned */
	int fd;
	uint64_t device, inode;
	enum file_kind kind;
	uint64_t offset;   /* everything before it is done */
	bool is_skipping;  /* in the middle of a line that is too long */
	uint64_t bad_head; /* offset + 1 of a record's head that was counted as malformed */
	uint8_t head[MARK_BYTES], tail[MARK_BYTES]; /* the first and last bytes that are done */
	size_t n_head, n_tail;
	struct csv_columns columns;

	/* The reports made so far, by their hashes, so that a file written anew is not reported
	 * anew. */
	uint64_t *made;
	size_t n_made_max; /* room in `made` */
	uint64_t n_made;   /* reports ever, of this writing of the file */
	uint64_t index;    /* where the reading is; < n_made while reading again */
};

void follow_file_init(struct follow_file *file);
void follow_file_done(struct follow_file *file);
/* Reads what is new, up to the bounds. Returns false where it stopped because the reports are
 * full. */
bool follow_file_read(struct follow_file *file, struct followed *all);

/* Hands on a report unless it was made at the same place in an earlier reading. */
void follow_file_report(
	struct follow_file *file, struct followed *all, const struct report *report);

/* One row, without its line end. */
void follow_csv_row(struct follow_file *file, struct followed *all, const char *row, size_t length);
