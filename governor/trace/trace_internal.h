/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

#include <stdint.h>

#include "fault.h"
#include "report.h"
#include "slot.h"
#include "trace.h"

/* What trace.c, trace_file.c and trace_rows.c share: how a trace lies in a SQLite database. All of
 * these block on the disk; none is for the loop. */

struct sqlite3;
struct sqlite3_stmt;

/* In the header of the database file, where file(1) looks: "corg". */
#define TRACE_APPLICATION_ID 0x636f7267
/* Of the tables; goes up when a reader of the older one would misread the newer. */
#define TRACE_SCHEMA_VERSION 1

/* The negative errno for a SQLite result code, and a sentence with SQLite's words. */
int trace_sql_fault(struct sqlite3 *db, int code, struct fault *fault, const char *doing);
/* One or more statements without a result. */
int trace_sql(struct sqlite3 *db, const char *sql, struct fault *fault);

/* One row on its way into a table: begin, put every column in the order of the statement, run. The
 * first failure is kept and ends in trace_insert_run(). */
struct trace_insert {
	struct sqlite3_stmt *statement; /* borrowed */
	int column;
	int code;
};

struct trace_insert trace_insert_begin(struct sqlite3_stmt *statement);
void trace_put_null(struct trace_insert *insert);
/* SQLite's integers are signed: larger values are cut to INT64_MAX. */
void trace_put_count(struct trace_insert *insert, uint64_t value);
void trace_put_real(struct trace_insert *insert, double value);     /* nan becomes NULL */
void trace_put_text(struct trace_insert *insert, const char *text); /* not copied; NULL: NULL */
int trace_insert_run(struct trace_insert *insert, struct fault *fault);

/* A trace's file: the database, and what keeps a second run from writing to it. */
struct trace_file {
	char *path;         /* owned; symbolic links resolved */
	int lock_fd;        /* holds the lock; closed after the database, because closing any
	                     * descriptor of a file drops the locks that SQLite has on it */
	struct sqlite3 *db; /* owned */
};

/* Makes the file with everything known at the start, see trace_open(). */
int trace_file_create(struct trace_file *ret_file, const char *path,
	const struct trace_setup *setup, struct fault *fault);
/* Brings all into the one file and closes it. 0 or a negative errno with a sentence. */
int trace_file_close(struct trace_file *file, struct fault *fault);

/* Takes back a file that was just created. */
void trace_file_discard(struct trace_file *file);

/* Makes the tables and fills those that do not change, in one transaction. */
int trace_schema_write(struct sqlite3 *db, const struct trace_setup *setup, struct fault *fault);

/* Prepared statements for the tables that grow. */
enum trace_row {
	TRACE_ROW_SLOT,
	TRACE_ROW_SLOT_TASK,
	TRACE_ROW_REPORT,
	TRACE_ROW_EVENT,
	TRACE_ROW_OUTCOME,
	TRACE_ROW_RESULT,
	_TRACE_ROW_MAX,
};

struct trace_rows {
	struct sqlite3 *db; /* borrowed */
	struct sqlite3_stmt *statements[_TRACE_ROW_MAX];
};

int trace_rows_init(struct trace_rows *rows, struct sqlite3 *db, struct fault *fault);
void trace_rows_done(struct trace_rows *rows); /* a zeroed one is fine */

/* Each inserts. 0 or a negative errno with a sentence. */
int trace_rows_slot(struct trace_rows *rows, const struct slot_record *record, struct fault *fault);
int trace_rows_report(
	struct trace_rows *rows, uint32_t task, const struct report *report, struct fault *fault);
int trace_rows_event(struct trace_rows *rows, uint64_t now_ns, uint32_t task, const char *kind,
	const char *text, struct fault *fault);
int trace_rows_outcome(struct trace_rows *rows, uint32_t task, enum outcome outcome,
	uint64_t finish_ns, uint64_t cpu_ns, double value, struct fault *fault);
int trace_rows_result(struct trace_rows *rows, const char *json, uint64_t n_dropped,
	uint64_t n_unwritten, struct fault *fault);
