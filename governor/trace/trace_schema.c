// SPDX-License-Identifier: GPL-2.0-or-later
#include "trace_internal.h"

#include <assert.h>
#include <json-c/json.h>
#include <sqlite3.h>
#include <stdio.h>

#include "cleanup.h"
#include "policy.h"

/* The tables of a trace, and the rows that are known at its start. coregov.trace(5) describes every
 * column; a test compares the two.
 *
 * Times are nanoseconds from the start of the bundle, spans and CPU time are nanoseconds, as in the
 * code; whoever draws divides. Words rather than numbers stand for phases, reasons and outcomes: a
 * trace outlives the program that wrote it. A table is STRICT, so that a column holds what it
 * says. SQLite has no nan: NULL stands for it.
 *
 * Everything that a simulation of the same bundle needs is inside, curves too: the files that the
 * bundle names may have changed when the trace is read. */

static const char schema[] =
	"CREATE TABLE run ("
	" bundle TEXT NOT NULL, directory TEXT NOT NULL, policy TEXT NOT NULL,"
	" enforcer TEXT NOT NULL, meter TEXT NOT NULL, guarantee TEXT NOT NULL,"
	" capacity_cpus REAL NOT NULL, slot_ns INTEGER NOT NULL, n_tasks INTEGER NOT NULL,"
	" started_realtime_ns INTEGER NOT NULL) STRICT;"
	"CREATE TABLE parameters ("
	" name TEXT PRIMARY KEY, value REAL NOT NULL) STRICT, WITHOUT ROWID;"
	"CREATE TABLE timeline ("
	" what TEXT NOT NULL, from_ns INTEGER NOT NULL, cpus REAL NOT NULL,"
	" PRIMARY KEY (what, from_ns)) STRICT, WITHOUT ROWID;"
	"CREATE TABLE schedule ("
	" slot INTEGER NOT NULL, task INTEGER NOT NULL, cpus REAL NOT NULL) STRICT;"
	"CREATE TABLE tasks ("
	" task INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE, command TEXT, curve TEXT,"
	" directory TEXT, environment TEXT, begin_ns INTEGER NOT NULL,"
	" deadline_ns INTEGER NOT NULL, metric TEXT NOT NULL, direction TEXT NOT NULL,"
	" target REAL NOT NULL, in_a_row INTEGER NOT NULL, threads REAL NOT NULL,"
	" feed TEXT NOT NULL, feed_preset TEXT, feed_path TEXT, on_target TEXT NOT NULL,"
	" on_deadline TEXT NOT NULL, grace_ns INTEGER NOT NULL) STRICT;"
	"CREATE TABLE curves ("
	" task INTEGER NOT NULL, cpu_ns INTEGER NOT NULL, loss REAL,"
	" PRIMARY KEY (task, cpu_ns)) STRICT, WITHOUT ROWID;"
	"CREATE TABLE slots ("
	" slot INTEGER PRIMARY KEY, now_ns INTEGER NOT NULL, late_ns INTEGER NOT NULL,"
	" slot_ns INTEGER NOT NULL, budget_ns INTEGER NOT NULL, granted_ns INTEGER NOT NULL,"
	" used_ns INTEGER NOT NULL, excess_ns INTEGER NOT NULL, n_writes INTEGER NOT NULL,"
	" n_unchanged INTEGER NOT NULL, n_foreign INTEGER NOT NULL,"
	" n_gone INTEGER NOT NULL) STRICT;"
	"CREATE TABLE slot_tasks ("
	" slot INTEGER NOT NULL, task INTEGER NOT NULL, phase TEXT NOT NULL,"
	" cpu_ns INTEGER NOT NULL, used_ns INTEGER NOT NULL, n_new_reports INTEGER NOT NULL,"
	" value REAL, best REAL, steps_done INTEGER NOT NULL, steps_total INTEGER NOT NULL,"
	" share_cpus REAL NOT NULL, why TEXT NOT NULL, granted_ns INTEGER NOT NULL,"
	" quota_us INTEGER NOT NULL, period_us INTEGER NOT NULL,"
	" wait_ns INTEGER, n_runnable INTEGER, usable_cpus REAL NOT NULL,"
	" PRIMARY KEY (slot, task)) STRICT, WITHOUT ROWID;"
	"CREATE TABLE reports ("
	" task INTEGER NOT NULL, stamp_ns INTEGER NOT NULL, step INTEGER NOT NULL, value REAL,"
	" cpu_ns INTEGER NOT NULL) STRICT;"
	"CREATE TABLE events ("
	" now_ns INTEGER NOT NULL, task INTEGER, kind TEXT NOT NULL,"
	" text TEXT NOT NULL) STRICT;"
	"CREATE TABLE outcomes ("
	" task INTEGER PRIMARY KEY, outcome TEXT NOT NULL, finish_ns INTEGER,"
	" cpu_ns INTEGER NOT NULL, value REAL) STRICT;"
	"CREATE TABLE result ("
	" json TEXT, n_dropped INTEGER NOT NULL, n_unwritten INTEGER NOT NULL) STRICT;";

/* No journal: the file has its real name only when it is complete. */
static const char *const before = "PRAGMA journal_mode = OFF";

static const char *const at_end_words[] = {
	[AT_END_DEFAULT] = "default",
	[AT_END_STOP] = "stop",
	[AT_END_YIELD] = "yield",
};

static const char *const feed_words[] = {
	[FEED_AUTO] = "auto",
	[FEED_SHM] = "shm",
	[FEED_OUTPUT] = "output",
	[FEED_FILE] = "file",
	[FEED_NONE] = "none",
};

static void free_statement(sqlite3_stmt **statement)
{
	(void)sqlite3_finalize(*statement); /* repeats the error of the last step */
}

static void free_json(struct json_object **object)
{
	(void)json_object_put(*object);
}

static int prepare(sqlite3 *db, const char *sql, sqlite3_stmt **ret_statement, struct fault *fault)
{
	int code = sqlite3_prepare_v2(db, sql, -1, ret_statement, /* pzTail= */ NULL);

	return code == SQLITE_OK ? 0 : trace_sql_fault(db, code, fault, "prepare");
}

static int write_run(sqlite3 *db, const struct trace_setup *setup, struct fault *fault)
{
	_cleanup_(free_statement) sqlite3_stmt *statement = NULL;
	struct trace_insert row;
	int r;

	r = prepare(db, "INSERT INTO run VALUES (?,?,?,?,?,?,?,?,?,?)", &statement, fault);
	if (r < 0)
		return r;
	row = trace_insert_begin(statement);
	trace_put_text(&row, setup->bundle->path);
	trace_put_text(&row, setup->bundle->directory);
	trace_put_text(&row, setup->policy);
	trace_put_text(&row, setup->enforcer);
	trace_put_text(&row, setup->meter);
	trace_put_text(&row, setup->guarantee);
	trace_put_real(&row, setup->capacity_cpus);
	trace_put_count(&row, setup->bundle->slot_ns);
	trace_put_count(&row, setup->bundle->n_tasks);
	trace_put_count(&row, setup->started_realtime_ns);
	return trace_insert_run(&row, fault);
}

static int write_parameters(sqlite3 *db, const struct trace_setup *setup, struct fault *fault)
{
	const struct policy *policy = policy_find(setup->policy);
	_cleanup_(free_statement) sqlite3_stmt *statement = NULL;
	double values[POLICY_PARAMETERS_MAX];
	struct trace_insert row;
	int r;

	if (!policy)
		return 0;
	policy_parameter_values(policy, setup->parameters, values);
	r = prepare(db, "INSERT INTO parameters VALUES (?,?)", &statement, fault);
	for (uint32_t i = 0; i < policy_n_parameters(policy) && r == 0; i++) {
		row = trace_insert_begin(statement);
		trace_put_text(&row, policy->parameters[i].name);
		trace_put_real(&row, values[i]);
		r = trace_insert_run(&row, fault);
	}
	return r;
}

static int write_timeline(
	sqlite3 *db, const char *what, const struct timeline *timeline, struct fault *fault)
{
	_cleanup_(free_statement) sqlite3_stmt *statement = NULL;
	struct trace_insert row;
	int r;

	r = prepare(db, "INSERT INTO timeline VALUES (?,?,?)", &statement, fault);
	for (size_t i = 0; i < timeline->n_steps && r == 0; i++) {
		row = trace_insert_begin(statement);
		trace_put_text(&row, what);
		trace_put_count(&row, timeline->steps[i].from_ns);
		trace_put_real(&row, timeline->steps[i].share.number);
		r = trace_insert_run(&row, fault);
	}
	return r;
}

static int write_schedule(sqlite3 *db, const struct bundle *bundle, struct fault *fault)
{
	_cleanup_(free_statement) sqlite3_stmt *statement = NULL;
	struct trace_insert row;
	int r;

	r = prepare(db, "INSERT INTO schedule VALUES (?,?,?)", &statement, fault);
	for (size_t i = 0; i < bundle->n_schedule && r == 0; i++) {
		row = trace_insert_begin(statement);
		trace_put_count(&row, bundle->schedule[i].slot);
		trace_put_count(&row, bundle->schedule[i].task);
		trace_put_real(&row, bundle->schedule[i].cpus);
		r = trace_insert_run(&row, fault);
	}
	return r;
}

/* A NULL-ended list of strings as a JSON array, or NULL where there is no list. */
static int strings_to_json(char *const strings[], struct json_object **ret_json)
{
	struct json_object *array, *string;

	if (!strings) {
		*ret_json = NULL;
		return 0;
	}
	array = json_object_new_array();
	for (size_t i = 0; array && strings[i]; i++) {
		string = json_object_new_string(strings[i]);
		if (!string || json_object_array_add(array, string) < 0) {
			(void)json_object_put(string);
			(void)json_object_put(array);
			array = NULL;
		}
	}
	if (!array)
		return -ENOMEM;
	*ret_json = array;
	return 0;
}

static void put_json(struct trace_insert *row, struct json_object *json)
{
	if (json)
		trace_put_text(row, json_object_to_json_string_ext(json, JSON_C_TO_STRING_PLAIN));
	else
		trace_put_null(row);
}

static int write_task(
	sqlite3_stmt *statement, size_t number, const struct bundle_task *task, struct fault *fault)
{
	_cleanup_(free_json) struct json_object *command = NULL, *environment = NULL;
	struct trace_insert row = trace_insert_begin(statement);

	if (strings_to_json(task->argv, &command) < 0 ||
		strings_to_json(task->environment, &environment) < 0)
		return fault_errno(fault, -ENOMEM, "task %s", task->name);
	trace_put_count(&row, number);
	trace_put_text(&row, task->name);
	put_json(&row, command);
	trace_put_text(&row, task->curve_path);
	trace_put_text(&row, task->directory);
	put_json(&row, environment);
	trace_put_count(&row, task->begin_ns);
	trace_put_count(&row, task->deadline_ns);
	trace_put_text(&row, task->target.metric);
	trace_put_text(&row, task->target.is_raised ? ">=" : "<=");
	trace_put_real(&row, task->target.value);
	trace_put_count(&row, task->target.in_a_row);
	trace_put_real(&row, task->threads);
	trace_put_text(&row, feed_words[task->feed]);
	trace_put_text(&row, task->feed_preset);
	trace_put_text(&row, task->feed_path);
	trace_put_text(&row, at_end_words[task->on_target]);
	trace_put_text(&row, at_end_words[task->on_deadline]);
	trace_put_count(&row, task->grace_ns);
	return trace_insert_run(&row, fault);
}

static int write_curve(
	sqlite3_stmt *statement, size_t number, const struct curve *curve, struct fault *fault)
{
	struct trace_insert row;
	int r = 0;

	for (size_t i = 0; i < curve->n_rows && r == 0; i++) {
		row = trace_insert_begin(statement);
		trace_put_count(&row, number);
		trace_put_count(&row, curve->rows[i].cpu_ns);
		trace_put_real(&row, curve->rows[i].loss);
		r = trace_insert_run(&row, fault);
	}
	return r;
}

static int write_tasks(sqlite3 *db, const struct bundle *bundle, struct fault *fault)
{
	_cleanup_(free_statement) sqlite3_stmt *task = NULL, *curve = NULL;
	int r;

	r = prepare(db, "INSERT INTO tasks VALUES (?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?)", &task,
		fault);
	if (r == 0)
		r = prepare(db, "INSERT INTO curves VALUES (?,?,?)", &curve, fault);
	for (size_t i = 0; i < bundle->n_tasks && r == 0; i++) {
		r = write_task(task, i, &bundle->tasks[i], fault);
		if (r == 0)
			r = write_curve(curve, i, &bundle->tasks[i].curve, fault);
	}
	return r;
}

int trace_schema_write(sqlite3 *db, const struct trace_setup *setup, struct fault *fault)
{
	char version[128];
	int r;

	(void)snprintf(version, sizeof(version),
		"PRAGMA application_id = %d; PRAGMA user_version = %d", TRACE_APPLICATION_ID,
		TRACE_SCHEMA_VERSION);
	if ((r = trace_sql(db, before, fault)) < 0 || (r = trace_sql(db, "BEGIN", fault)) < 0 ||
		(r = trace_sql(db, version, fault)) < 0 || (r = trace_sql(db, schema, fault)) < 0 ||
		(r = write_run(db, setup, fault)) < 0 ||
		(r = write_parameters(db, setup, fault)) < 0 ||
		(r = write_timeline(db, "capacity", &setup->bundle->capacity, fault)) < 0 ||
		(r = write_timeline(db, "budget", &setup->bundle->budget, fault)) < 0 ||
		(r = write_schedule(db, setup->bundle, fault)) < 0 ||
		(r = write_tasks(db, setup->bundle, fault)) < 0)
		return r;
	return trace_sql(db, "COMMIT", fault);
}
