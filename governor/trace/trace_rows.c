// SPDX-License-Identifier: GPL-2.0-or-later
#include "trace_internal.h"

#include <sqlite3.h>

/* The rows that come in while the run lasts. Statements are prepared once; one that failed is reset
 * and serves the next row, so that a disk which was full for a while costs only the rows of that
 * while. */

struct trace_insert trace_insert_begin(sqlite3_stmt *statement)
{
	return (struct trace_insert){.statement = statement, .code = SQLITE_OK};
}

static void keep_first(struct trace_insert *insert, int code)
{
	if (insert->code == SQLITE_OK)
		insert->code = code;
}

void trace_put_null(struct trace_insert *insert)
{
	keep_first(insert, sqlite3_bind_null(insert->statement, ++insert->column));
}

void trace_put_count(struct trace_insert *insert, uint64_t value)
{
	sqlite3_int64 cut = value > INT64_MAX ? INT64_MAX : (sqlite3_int64)value;

	keep_first(insert, sqlite3_bind_int64(insert->statement, ++insert->column, cut));
}

void trace_put_real(struct trace_insert *insert, double value)
{
	keep_first(insert, sqlite3_bind_double(insert->statement, ++insert->column, value));
}

void trace_put_text(struct trace_insert *insert, const char *text)
{
	keep_first(insert,
		sqlite3_bind_text(insert->statement, ++insert->column, text, -1, SQLITE_STATIC));
}

int trace_insert_run(struct trace_insert *insert, struct fault *fault)
{
	int code = insert->code, r = 0;

	if (code == SQLITE_OK)
		code = sqlite3_step(insert->statement);
	if (code != SQLITE_DONE)
		r = trace_sql_fault(sqlite3_db_handle(insert->statement), code, fault, "write");
	(void)sqlite3_reset(insert->statement); /* repeats the error of the step */
	(void)sqlite3_clear_bindings(insert->statement);
	return r;
}

static const char *const inserts[_TRACE_ROW_MAX] = {
	[TRACE_ROW_SLOT] = "INSERT INTO slots VALUES (?,?,?,?,?,?,?,?,?,?,?,?)",
	[TRACE_ROW_SLOT_TASK] =
		"INSERT INTO slot_tasks VALUES (?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?)",
	[TRACE_ROW_REPORT] = "INSERT INTO reports VALUES (?,?,?,?,?)",
	[TRACE_ROW_EVENT] = "INSERT INTO events VALUES (?,?,?,?)",
	[TRACE_ROW_OUTCOME] = "INSERT OR REPLACE INTO outcomes VALUES (?,?,?,?,?)",
	[TRACE_ROW_RESULT] = "INSERT INTO result VALUES (?,?,?)",
};

int trace_rows_init(struct trace_rows *rows, sqlite3 *db, struct fault *fault)
{
	int code;

	*rows = (struct trace_rows){.db = db};
	for (size_t i = 0; i < _TRACE_ROW_MAX; i++) {
		code = sqlite3_prepare_v3(db, inserts[i], -1, SQLITE_PREPARE_PERSISTENT,
			&rows->statements[i], /* pzTail= */ NULL);
		if (code != SQLITE_OK) {
			code = trace_sql_fault(db, code, fault, "prepare");
			trace_rows_done(rows);
			return code;
		}
	}
	return 0;
}

void trace_rows_done(struct trace_rows *rows)
{
	for (size_t i = 0; i < _TRACE_ROW_MAX; i++) {
		(void)sqlite3_finalize(rows->statements[i]);
		rows->statements[i] = NULL;
	}
}

static void put_known(struct trace_insert *row, bool is_known, uint64_t value)
{
	if (is_known)
		trace_put_count(row, value);
	else
		trace_put_null(row);
}

static int put_slot_task(
	struct trace_rows *rows, uint64_t slot, const struct slot_task *task, struct fault *fault)
{
	struct trace_insert row = trace_insert_begin(rows->statements[TRACE_ROW_SLOT_TASK]);

	trace_put_count(&row, slot);
	trace_put_count(&row, task->seen.task);
	trace_put_text(&row, phase_to_string(task->seen.phase));
	trace_put_count(&row, task->seen.cpu_ns);
	trace_put_count(&row, task->seen.used_ns);
	trace_put_count(&row, task->seen.n_new_reports);
	trace_put_real(&row, task->seen.value);
	trace_put_real(&row, task->seen.best);
	trace_put_count(&row, task->seen.steps_done);
	trace_put_count(&row, task->seen.steps_total);
	trace_put_real(&row, task->share_cpus);
	trace_put_text(&row, why_to_string(task->why));
	trace_put_count(&row, task->grant.cpu_ns);
	trace_put_count(&row, task->grant.quota_us);
	trace_put_count(&row, task->grant.period_us);
	put_known(&row, task->seen.has_wait, task->seen.wait_ns);
	put_known(&row, task->seen.has_wait, task->seen.n_runnable);
	trace_put_real(&row, task->seen.usable_cpus);
	return trace_insert_run(&row, fault);
}

int trace_rows_slot(struct trace_rows *rows, const struct slot_record *record, struct fault *fault)
{
	struct trace_insert row = trace_insert_begin(rows->statements[TRACE_ROW_SLOT]);
	int r;

	trace_put_count(&row, record->slot);
	trace_put_count(&row, record->now_ns);
	trace_put_count(&row, record->late_ns);
	trace_put_count(&row, record->slot_ns);
	trace_put_count(&row, record->budget_ns);
	trace_put_count(&row, record->granted_ns);
	trace_put_count(&row, record->used_ns);
	trace_put_count(&row, record->excess_ns);
	trace_put_count(&row, record->enforced.n_writes);
	trace_put_count(&row, record->enforced.n_unchanged);
	trace_put_count(&row, record->enforced.n_foreign);
	trace_put_count(&row, record->enforced.n_gone);
	r = trace_insert_run(&row, fault);
	for (size_t i = 0; i < record->n_tasks && r == 0; i++)
		r = put_slot_task(rows, record->slot, &record->tasks[i], fault);
	return r;
}

int trace_rows_report(
	struct trace_rows *rows, uint32_t task, const struct report *report, struct fault *fault)
{
	struct trace_insert row = trace_insert_begin(rows->statements[TRACE_ROW_REPORT]);

	trace_put_count(&row, task);
	trace_put_count(&row, report->stamp_ns);
	trace_put_count(&row, report->step);
	trace_put_real(&row, report->value);
	trace_put_count(&row, report->cpu_ns);
	return trace_insert_run(&row, fault);
}

int trace_rows_event(struct trace_rows *rows, uint64_t now_ns, uint32_t task, const char *kind,
	const char *text, struct fault *fault)
{
	struct trace_insert row = trace_insert_begin(rows->statements[TRACE_ROW_EVENT]);

	trace_put_count(&row, now_ns);
	if (task != RECORD_NO_TASK)
		trace_put_count(&row, task);
	else
		trace_put_null(&row);
	trace_put_text(&row, kind);
	trace_put_text(&row, text);
	return trace_insert_run(&row, fault);
}

int trace_rows_outcome(struct trace_rows *rows, uint32_t task, enum outcome outcome,
	uint64_t finish_ns, uint64_t cpu_ns, double value, struct fault *fault)
{
	struct trace_insert row = trace_insert_begin(rows->statements[TRACE_ROW_OUTCOME]);

	trace_put_count(&row, task);
	trace_put_text(&row, outcome_to_string(outcome));
	if (finish_ns != UINT64_MAX)
		trace_put_count(&row, finish_ns);
	else
		trace_put_null(&row);
	trace_put_count(&row, cpu_ns);
	trace_put_real(&row, value);
	return trace_insert_run(&row, fault);
}

int trace_rows_result(struct trace_rows *rows, const char *json, uint64_t n_dropped,
	uint64_t n_unwritten, struct fault *fault)
{
	struct trace_insert row = trace_insert_begin(rows->statements[TRACE_ROW_RESULT]);

	trace_put_text(&row, json);
	trace_put_count(&row, n_dropped);
	trace_put_count(&row, n_unwritten);
	return trace_insert_run(&row, fault);
}
