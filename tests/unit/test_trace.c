// SPDX-License-Identifier: GPL-2.0-or-later
#include "trace.h"

#include <errno.h>
#include <fcntl.h>
#include <math.h>
#include <signal.h>
#include <sqlite3.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "cleanup.h"
#include "failing_vfs.h"
#include "nsec.h"
#include "policy.h"
#include "suite.h"

/* Each test has a folder of its own; the trace is "run.trace" in it. */

static char folder[SUITE_PATH_MAX];
static char path[sizeof(folder) + 16];

static void setup_folder(void)
{
	failing_vfs_install();
	ck_assert_ptr_nonnull(mkdtemp(suite_template(folder)));
	(void)snprintf(path, sizeof(path), "%s/run.trace", folder);
}

static void remove_folder(void)
{
	ck_assert_int_eq(suite_remove(folder), 0);
}

/* How many files are in the folder. */
static unsigned count_files(void)
{
	_cleanup_closedir_ DIR *dir = opendir(folder);
	unsigned n_files = 0;

	ck_assert_ptr_nonnull(dir);
	while (readdir(dir))
		n_files++;
	return n_files - 2;
}

/* A bundle owns its strings, so they are not literals. */
#define TEXT(text) ((char[]){text})

static char *mlp_argv[] = {TEXT("mlp"), TEXT("--hidden"), TEXT("64 \"x\""), NULL};
static char *mlp_environment[] = {TEXT("OMP_NUM_THREADS=1"), NULL};
static struct curve_row rows[] = {
	{.cpu_ns = NSEC_PER_SEC, .loss = 2.5},
	{.cpu_ns = 2 * NSEC_PER_SEC, .loss = NAN},
	{.cpu_ns = 3 * NSEC_PER_SEC, .loss = INFINITY},
};
static struct bundle_task tasks[] = {
	{
		.name = TEXT("mlp"),
		.argv = mlp_argv,
		.directory = TEXT("/data"),
		.environment = mlp_environment,
		.deadline_ns = 90 * NSEC_PER_SEC,
		.target = {.metric = "accuracy", .is_raised = true, .value = 0.9, .in_a_row = 3},
		.threads = 2,
		.feed = FEED_OUTPUT,
		.feed_preset = TEXT("keras"),
		.on_target = AT_END_YIELD,
		.grace_ns = 10 * NSEC_PER_SEC,
	},
	{
		.name = TEXT("replayed"),
		.curve_path = TEXT("a.csv"),
		.curve = {.rows = rows, .n_rows = 3},
		.begin_ns = 5 * NSEC_PER_SEC,
		.deadline_ns = 60 * NSEC_PER_SEC,
		.target = {.metric = "loss", .value = 0.35, .in_a_row = 1},
		.threads = 1,
	},
};
static struct timeline_step capacity_steps[] = {{.share = {.number = 2}}};
static struct timeline_step budget_steps[] = {
	{.share = {.number = 1.5}},
	{.from_ns = 60 * NSEC_PER_SEC, .share = {.number = 0.5}},
};
static struct schedule_row schedule[] = {{.slot = 3, .task = 1, .cpus = 0.25}};
static struct bundle bundle = {
	.path = TEXT("x.bundle"),
	.directory = TEXT("/data"),
	.slot_ns = NSEC_PER_SEC,
	.has_capacity = true,
	.capacity = {.steps = capacity_steps, .n_steps = 1},
	.budget = {.steps = budget_steps, .n_steps = 2},
	.policy = TEXT("core"),
	.schedule = schedule,
	.n_schedule = 1,
	.tasks = tasks,
	.n_tasks = 2,
};
static const struct trace_setup setup = {
	.bundle = &bundle,
	.policy = "edf",
	.enforcer = "cgroup1",
	.meter = "proc",
	.guarantee = "kernel",
	.capacity_cpus = 2,
	.started_realtime_ns = 1700000000 * NSEC_PER_SEC,
};

static int open_trace(struct trace **ret_trace, struct fault *fault)
{
	return trace_open(ret_trace, path, &setup, fault);
}

static struct trace *must_open(void)
{
	struct fault fault = FAULT_INIT;
	struct trace *trace = NULL;
	int r = open_trace(&trace, &fault);

	ck_assert_msg(r == 0, "%s", fault.text);
	return trace;
}

static void must_close(struct trace *trace, const char *json)
{
	struct fault fault = FAULT_INIT;
	int r = trace_close(trace, json, &fault);

	ck_assert_msg(r == 0, "%s", fault.text);
}

static void write_slot(struct trace *trace, uint64_t slot)
{
	const struct slot_task both[] = {
		{
			.seen = {.task = 0,
				.phase = PHASE_ALIVE,
				.cpu_ns = 700,
				.used_ns = 300,
				.n_new_reports = 4,
				.value = 0.5,
				.best = 0.75,
				.steps_done = 10,
				.steps_total = 100,
				.has_wait = true,
				.wait_ns = 41,
				.n_runnable = 3,
				.usable_cpus = 1.5},
			.share_cpus = 0.625,
			.why = WHY_REST,
			.grant = {.task = 0, .period_us = 100000, .quota_us = 62500, .cpu_ns = 625},
		},
		{
			.seen = {.task = 1,
				.phase = PHASE_STOPPING,
				.value = NAN,
				.best = NAN,
				.steps_done = UINT64_MAX,
				.usable_cpus = 1},
			.why = WHY_NONE_LEFT,
			.grant = {.task = 1},
		},
	};
	const struct slot_record record = {
		.slot = slot,
		.now_ns = slot * NSEC_PER_SEC,
		.late_ns = 5,
		.slot_ns = NSEC_PER_SEC,
		.budget_ns = 1500,
		.granted_ns = 1400,
		.used_ns = 1300,
		.excess_ns = 7,
		.enforced = {.n_writes = 1, .n_unchanged = 2, .n_foreign = 3, .n_gone = 4},
		.n_tasks = ARRAY_LENGTH(both),
		.tasks = both,
	};

	trace_slot(trace, &record);
}

/* The rows that a query gives, one a line, columns joined by '|'; NULL is empty. */
static void query(sqlite3 *db, const char *sql, char *ret_text, size_t size)
{
	sqlite3_stmt *statement = NULL;
	size_t length = 0;
	const char *cell;
	int code;

	ret_text[0] = '\0';
	code = sqlite3_prepare_v2(db, sql, -1, &statement, NULL);
	ck_assert_msg(code == SQLITE_OK, "%s: %s", sql, sqlite3_errmsg(db));
	while ((code = sqlite3_step(statement)) == SQLITE_ROW)
		for (int i = 0; i < sqlite3_column_count(statement); i++) {
			cell = (const char *)sqlite3_column_text(statement, i);
			length += (size_t)snprintf(ret_text + length, size - length, "%s%c",
				cell ? cell : "",
				i + 1 < sqlite3_column_count(statement) ? '|' : '\n');
			ck_assert_uint_lt(length, size);
		}
	ck_assert_msg(code == SQLITE_DONE, "%s: %s", sql, sqlite3_errmsg(db));
	ck_assert_int_eq(sqlite3_finalize(statement), SQLITE_OK);
}

static sqlite3 *open_reader(void)
{
	sqlite3 *db = NULL;

	ck_assert_int_eq(sqlite3_open_v2(path, &db, SQLITE_OPEN_READWRITE, NULL), SQLITE_OK);
	/* A writer that opens or closes its log keeps readers out for a moment. */
	(void)sqlite3_busy_timeout(db, 10000);
	return db;
}

static void expect(const char *sql, const char *expected)
{
	sqlite3 *db = open_reader();
	char text[4096];

	query(db, sql, text, sizeof(text));
	ck_assert_str_eq(text, expected);
	ck_assert_int_eq(sqlite3_close(db), SQLITE_OK);
}

START_TEST(holds_what_was_known_at_the_start)
{
	must_close(must_open(), NULL);
	expect("PRAGMA application_id", "1668248167\n");
	expect("PRAGMA user_version", "1\n");
	expect("SELECT * FROM run",
		"x.bundle|/data|edf|cgroup1|proc|kernel|2.0|1000000000|2|1700000000000000000\n");
	expect("SELECT * FROM timeline ORDER BY what, from_ns",
		"budget|0|1.5\nbudget|60000000000|0.5\ncapacity|0|2.0\n");
	expect("SELECT * FROM schedule", "3|1|0.25\n");
	expect("SELECT * FROM tasks",
		"0|mlp|[\"mlp\",\"--hidden\",\"64 \\\"x\\\"\"]||/data|[\"OMP_NUM_THREADS=1\"]|0|"
		"90000000000|accuracy|>=|0.9|3|2.0|output|keras||yield|default|10000000000\n"
		"1|replayed||a.csv|||5000000000|60000000000|loss|<=|0.35|1|1.0|auto|||default|"
		"default|0\n");
	expect("SELECT * FROM curves", "1|1000000000|2.5\n1|2000000000|\n1|3000000000|Inf\n");
	expect("SELECT * FROM result", "|0|0\n");
}
END_TEST

START_TEST(holds_all_parameters_of_the_policy)
{
	const struct policy *core = policy_find("core");
	double values[POLICY_PARAMETERS_MAX];
	struct trace_setup with = setup;
	struct trace *trace = NULL;

	policy_parameter_values(core, NULL, values);
	values[policy_parameter_find(core, "capacity-part") - core->parameters] = 0.75;
	with.policy = "core";
	with.parameters = values;
	ck_assert_int_eq(trace_open(&trace, path, &with, NULL), 0);
	must_close(trace, NULL);
	expect("SELECT * FROM parameters WHERE name IN ('capacity-part', 'charge-unused')",
		"capacity-part|0.75\ncharge-unused|0.7\n");
	expect("SELECT count(*) FROM parameters", "11\n");
	must_close(must_open(), NULL); /* of `edf`, which has none */
	expect("SELECT count(*) FROM parameters", "0\n");
}
END_TEST

START_TEST(holds_what_happened)
{
	const struct report plain = {.stamp_ns = 11, .step = 12, .value = 0.25, .cpu_ns = 10};
	const struct report broken = {.stamp_ns = 13, .value = NAN, .has_cpu = true, .cpu_ns = 14};
	struct trace *trace = must_open();

	trace_report(trace, 1, &plain);
	trace_report(trace, 0, &broken);
	trace_event(trace, 15, 1, "start", "begun");
	trace_event(trace, 16, RECORD_NO_TASK, "a kind that is longer than it may be", "x");
	write_slot(trace, 7);
	trace_outcome(trace, 0, OUTCOME_LEARNED, 17, 18, 0.95);
	trace_outcome(trace, 1, OUTCOME_FAILED, UINT64_MAX, 0, NAN);
	ck_assert_uint_eq(trace_lost(trace), 0);
	must_close(trace, "{\"kappa\":0.5}");

	expect("SELECT * FROM reports", "1|11|12|0.25|10\n0|13|0||14\n");
	expect("SELECT * FROM events", "15|1|start|begun\n16||a kind that is longer than it m|x\n");
	expect("SELECT * FROM slots", "7|7000000000|5|1000000000|1500|1400|1300|7|1|2|3|4\n");
	expect("SELECT * FROM slot_tasks",
		"7|0|alive|700|300|4|0.5|0.75|10|100|0.625|rest|625|62500|100000|41|3|1.5\n"
		"7|1|stopping|0|0|0|||9223372036854775807|0|0.0|none-left|0|0|0|||1.0\n");
	expect("SELECT * FROM outcomes", "0|learned|17|18|0.95\n1|failed||0|\n");
	expect("SELECT * FROM result", "{\"kappa\":0.5}|0|0\n");
	ck_assert_uint_eq(count_files(), 1);
}
END_TEST

START_TEST(an_empty_bundle_is_fine)
{
	struct bundle empty = {.path = TEXT(""), .directory = TEXT(""), .policy = TEXT("")};
	const struct trace_setup nothing = {
		.bundle = &empty, .policy = "", .enforcer = "", .meter = "", .guarantee = ""};
	const struct slot_record slot = {.slot = 0};
	struct trace *trace = NULL;

	ck_assert_int_eq(trace_open(&trace, path, &nothing, NULL), 0);
	trace_slot(trace, &slot);
	must_close(trace, NULL);
	expect("SELECT slot FROM slots", "0\n");
	ck_assert_int_eq(trace_close(NULL, NULL, NULL), 0);
}
END_TEST

/* coregov.trace(5) and the tables say the same: the page has every column of every table, below the
 * table's name and in its order, and no other. */
START_TEST(the_page_has_every_column)
{
	static const char columns[] =
		"SELECT group_concat(line, '') FROM (SELECT '.Ss ' || m.name || char(10) ||"
		" group_concat('.It Va ' || c.name || char(10), '') AS line"
		" FROM sqlite_schema AS m, pragma_table_info(m.name) AS c WHERE m.type = 'table'"
		" GROUP BY m.name ORDER BY m.rowid)";
	char page_path[4096], line[1024], page[16384] = "", tables[16384];
	_cleanup_fclose_ FILE *file = NULL;
	sqlite3 *db;

	(void)snprintf(page_path, sizeof(page_path), "%s/coregov.trace.5", getenv("COREGOV_MAN"));
	file = fopen(page_path, "re");
	ck_assert_msg(file != NULL, "%s", page_path);
	while (fgets(line, sizeof(line), file))
		if (strncmp(line, ".Ss ", 4) == 0 || strncmp(line, ".It Va ", 7) == 0) {
			ck_assert_uint_lt(strlen(page) + strlen(line) + 2, sizeof(page));
			(void)strcat(page, line);
		}
	(void)strcat(page, "\n");
	must_close(must_open(), NULL);
	db = open_reader();
	query(db, columns, tables, sizeof(tables));
	ck_assert_int_eq(sqlite3_close(db), SQLITE_OK);
	ck_assert_str_eq(page, tables);
}
END_TEST

/* Waits until a reader sees a row; the suite's timeout is the deadline. */
static void await(const char *sql, const char *expected)
{
	sqlite3 *db = open_reader();
	char text[4096];

	do {
		query(db, sql, text, sizeof(text));
		(void)usleep(1000);
	} while (strcmp(text, expected) != 0);
	ck_assert_int_eq(sqlite3_close(db), SQLITE_OK);
}

static mode_t mode_of(const char *suffix)
{
	char name[sizeof(path) + 8];
	struct stat status;

	(void)snprintf(name, sizeof(name), "%s%s", path, suffix);
	ck_assert_msg(stat(name, &status) == 0, "%s", name);
	return status.st_mode & 07777;
}

START_TEST(is_private_whatever_the_umask)
{
	struct trace *trace;

	(void)umask(0);
	trace = must_open();
	write_slot(trace, 0);
	await("SELECT slot FROM slots", "0\n");
	ck_assert_uint_eq(mode_of(""), 0600);
	ck_assert_uint_eq(mode_of("-wal"), 0600);
	ck_assert_uint_eq(mode_of("-shm"), 0600);
	must_close(trace, NULL);
	ck_assert_uint_eq(mode_of(""), 0600);
}
END_TEST

START_TEST(can_be_read_while_it_is_written)
{
	struct trace *trace = must_open();
	sqlite3 *reader = open_reader();
	char text[64];

	write_slot(trace, 0);
	await("SELECT slot FROM slots", "0\n");
	ck_assert_int_eq(sqlite3_exec(reader, "BEGIN", NULL, NULL, NULL), SQLITE_OK);
	query(reader, "SELECT count(*) FROM slots", text, sizeof(text));
	ck_assert_str_eq(text, "1\n");
	/* The reader stays in its transaction; the writer goes on all the same. */
	write_slot(trace, 1);
	await("SELECT slot FROM slots", "0\n1\n");
	query(reader, "SELECT count(*) FROM slots", text, sizeof(text));
	ck_assert_str_eq(text, "1\n");
	must_close(trace, NULL);
	ck_assert_int_eq(sqlite3_close(reader), SQLITE_OK);
	expect("SELECT count(*) FROM result", "1\n");
}
END_TEST

static void expect_refusal(int expected, const char *words)
{
	struct fault fault = FAULT_INIT;
	struct trace *trace = NULL;

	ck_assert_int_eq(open_trace(&trace, &fault), expected);
	ck_assert_ptr_null(trace);
	ck_assert_msg(strstr(fault.text, words), "%s", fault.text);
	ck_assert_msg(strstr(fault.text, path), "%s", fault.text);
}

static void put_file(const char *name, const void *bytes, size_t n_bytes)
{
	_cleanup_close_ int fd = open(name, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);

	ck_assert_int_ge(fd, 0);
	ck_assert_int_eq(write(fd, bytes, n_bytes), (ssize_t)n_bytes);
}

START_TEST(refuses_what_is_not_a_trace)
{
	struct stat status;
	sqlite3 *db = NULL;

	put_file(path, "my thesis", 9);
	expect_refusal(-EEXIST, "not a trace");
	ck_assert_int_eq(stat(path, &status), 0);
	ck_assert_int_eq(status.st_size, 9);

	ck_assert_int_eq(unlink(path), 0);
	ck_assert_int_eq(sqlite3_open(path, &db), SQLITE_OK);
	ck_assert_int_eq(sqlite3_exec(db, "CREATE TABLE t (x)", NULL, NULL, NULL), SQLITE_OK);
	ck_assert_int_eq(sqlite3_close(db), SQLITE_OK);
	expect_refusal(-EEXIST, "not a trace");

	ck_assert_int_eq(unlink(path), 0);
	ck_assert_int_eq(mkfifo(path, 0600), 0);
	expect_refusal(-EINVAL, "not a regular file");

	ck_assert_int_eq(unlink(path), 0);
	ck_assert_int_eq(mkdir(path, 0700), 0);
	expect_refusal(-EISDIR, "a directory");
	ck_assert_uint_eq(count_files(), 1);
}
END_TEST

START_TEST(refuses_where_it_cannot_write)
{
	bool is_root = geteuid() == 0;

	must_close(must_open(), NULL);
	ck_assert_int_eq(chmod(path, 0444), 0);
	ck_assert_int_eq(chmod(folder, 0555), 0);
	ck_assert(!is_root || seteuid(65534) == 0);
	expect_refusal(-EACCES, "Permission denied");
	ck_assert(!is_root || seteuid(0) == 0);
	ck_assert_int_eq(unlink(path), is_root ? 0 : -1);
	ck_assert(!is_root || seteuid(65534) == 0);
	if (is_root)
		expect_refusal(-EACCES, "Permission denied");
	ck_assert(!is_root || seteuid(0) == 0);
	ck_assert_int_eq(chmod(folder, 0700), 0);

	(void)snprintf(path, sizeof(path), "%s/no/x", folder);
	expect_refusal(-ENOENT, "No such file");
}
END_TEST

START_TEST(replaces_a_trace_and_an_empty_file)
{
	char target[sizeof(path) + 8];

	(void)snprintf(target, sizeof(target), "%s/real", folder);
	put_file(target, "", 0);
	ck_assert_int_eq(symlink("real", path), 0);
	for (uint64_t i = 0; i < 2; i++) {
		struct trace *trace = must_open();

		write_slot(trace, i);
		must_close(trace, NULL);
	}
	expect("SELECT slot FROM slots", "1\n");
	ck_assert_uint_eq(count_files(), 2); /* the link stayed a link */
	ck_assert_uint_eq(mode_of(""), 0600);
}
END_TEST

/* A child that opens the trace, writes a slot, sees it in the file and is killed. */
static void leave_a_killed_run(void)
{
	pid_t pid = fork();

	ck_assert_int_ge(pid, 0);
	if (pid == 0) {
		write_slot(must_open(), 99);
		await("SELECT slot FROM slots", "99\n");
		(void)kill(getpid(), SIGKILL);
	}
	ck_assert_int_eq(waitpid(pid, NULL, 0), pid);
}

START_TEST(a_killed_run_leaves_what_it_wrote)
{
	leave_a_killed_run();
	expect("SELECT slot FROM slots", "99\n");
	expect("SELECT count(*) FROM result", "0\n");
}
END_TEST

START_TEST(the_log_of_a_killed_run_does_not_spoil_the_next)
{
	char name[sizeof(path) + 8];
	struct trace *trace;

	leave_a_killed_run();
	(void)snprintf(name, sizeof(name), "%s-wal", path);
	ck_assert_int_eq(access(name, F_OK), 0);
	trace = must_open();
	write_slot(trace, 1);
	must_close(trace, NULL);
	expect("SELECT slot FROM slots", "1\n");
	expect("PRAGMA integrity_check", "ok\n");
	ck_assert_uint_eq(count_files(), 1);
}
END_TEST

START_TEST(one_run_at_a_time)
{
	struct trace *trace = must_open();
	int status;
	pid_t pid;

	pid = fork();
	ck_assert_int_ge(pid, 0);
	if (pid == 0) {
		expect_refusal(-EBUSY, "another run");
		_exit(0);
	}
	ck_assert_int_eq(waitpid(pid, &status, 0), pid);
	ck_assert_int_eq(status, 0);
	write_slot(trace, 5);
	must_close(trace, NULL);
	expect("SELECT slot FROM slots", "5\n");
}
END_TEST

START_TEST(drops_and_counts_when_the_writer_is_held_up)
{
	struct trace *trace = must_open();
	struct fault fault = FAULT_INIT;
	sqlite3 *holder = open_reader();
	char text[64], expected[64];
	uint64_t n_lost;

	/* Another writer holds the database: ours waits a second at a time. */
	ck_assert_int_eq(sqlite3_exec(holder, "BEGIN IMMEDIATE", NULL, NULL, NULL), SQLITE_OK);
	for (uint64_t i = 0; trace_lost(trace) == 0; i++)
		write_slot(trace, i);
	ck_assert_int_eq(sqlite3_exec(holder, "ROLLBACK", NULL, NULL, NULL), SQLITE_OK);
	ck_assert_int_eq(sqlite3_close(holder), SQLITE_OK);
	n_lost = trace_lost(trace);
	ck_assert_int_lt(trace_close(trace, NULL, &fault), 0);
	ck_assert_msg(strstr(fault.text, "not complete"), "%s", fault.text);
	(void)snprintf(expected, sizeof(expected), "%llu\n", (unsigned long long)n_lost);
	holder = open_reader();
	query(holder, "SELECT n_dropped + n_unwritten FROM result", text, sizeof(text));
	ck_assert_int_eq(sqlite3_close(holder), SQLITE_OK);
	ck_assert_str_eq(text, expected);
}
END_TEST

/* More than the queue holds, faster than a disk: in simulated time the loop waits for the writer. */
START_TEST(a_patient_loop_drops_nothing)
{
	struct trace_setup patient = setup;
	struct fault fault = FAULT_INIT;
	struct trace *trace = NULL;

	patient.is_patient = true;
	ck_assert_int_eq(trace_open(&trace, path, &patient, &fault), 0);
	for (uint64_t slot = 0; slot < 20000; slot++)
		write_slot(trace, slot);
	ck_assert_uint_eq(trace_lost(trace), 0);
	must_close(trace, NULL);
	expect("SELECT count(*) FROM slot_tasks", "40000\n");
	expect("SELECT n_dropped, n_unwritten FROM result", "0|0\n");
}
END_TEST

START_TEST(a_file_size_limit_ends_the_trace_and_not_the_program)
{
	struct rlimit limit;
	struct trace *trace = must_open();
	struct fault fault = FAULT_INIT;

	write_slot(trace, 0);
	await("SELECT slot FROM slots", "0\n");
	ck_assert_int_eq(getrlimit(RLIMIT_FSIZE, &limit), 0);
	limit.rlim_cur = 128 << 10;
	ck_assert_int_eq(setrlimit(RLIMIT_FSIZE, &limit), 0);
	for (uint64_t i = 1; trace_lost(trace) == 0; i++)
		write_slot(trace, i);
	ck_assert_int_lt(trace_close(trace, "{}", &fault), 0); /* SQLite loses EFBIG on some ways */
	ck_assert_msg(strstr(fault.text, "not complete"), "%s", fault.text);
	limit.rlim_cur = limit.rlim_max;
	ck_assert_int_eq(setrlimit(RLIMIT_FSIZE, &limit), 0);
	expect("PRAGMA integrity_check", "ok\n");
	expect("SELECT min(slot) FROM slots", "0\n");
}
END_TEST

/* One run with an error armed; checks what must hold whatever failed. Returns false when the error
 * was not reached. */
static bool run_with_failure(enum failing_vfs_mode mode, long n)
{
	struct fault fault = FAULT_INIT;
	struct trace *trace = NULL;
	bool was_reached;
	int r;

	failing_vfs_arm(mode, n);
	r = open_trace(&trace, &fault);
	if (r < 0) {
		failing_vfs_arm(mode, -1);
		ck_assert_msg(strstr(fault.text, path), "%s", fault.text);
		ck_assert_uint_eq(count_files(), 0);
		return true;
	}
	for (uint64_t i = 0; i < 3; i++)
		write_slot(trace, i);
	trace_outcome(trace, 0, OUTCOME_LEARNED, 1, 2, 3);
	r = trace_close(trace, "{}", &fault);
	was_reached = failing_vfs_count() > n;
	failing_vfs_arm(mode, -1);

	expect("PRAGMA integrity_check", "ok\n");
	expect("SELECT count(*) FROM tasks", "2\n");
	if (r == 0) {
		expect("SELECT count(*) FROM slots", "3\n");
		expect("SELECT count(*) FROM outcomes", "1\n");
		expect("SELECT * FROM result", "{}|0|0\n");
	} else {
		ck_assert_str_ne(fault.text, "");
	}
	/* No row of a slot without the slot: a transaction is whole or not there. */
	expect("SELECT count(*) FROM slot_tasks WHERE slot NOT IN (SELECT slot FROM slots)", "0\n");
	ck_assert_int_eq(unlink(path), 0);
	return was_reached;
}

START_TEST(survives_a_failure_of_every_call)
{
	static const enum failing_vfs_mode modes[] = {
		FAILING_VFS_ONCE, FAILING_VFS_FULL, FAILING_VFS_FOREVER};
	long n = 0;

	while (run_with_failure(modes[_i], n))
		n++;
	ck_assert_int_gt(n, 20); /* it did get into the run */
}
END_TEST

START_TEST(a_failed_replacement_keeps_the_old_trace)
{
	struct fault fault = FAULT_INIT;
	struct trace *trace = must_open();

	write_slot(trace, 42);
	must_close(trace, NULL);
	for (long n = 0; n < 10; n++) {
		failing_vfs_arm(FAILING_VFS_FOREVER, n);
		ck_assert_int_lt(open_trace(&trace, &fault), 0);
		failing_vfs_arm(FAILING_VFS_FOREVER, -1);
		expect("SELECT slot FROM slots", "42\n");
		ck_assert_uint_eq(count_files(), 1);
	}
}
END_TEST

START_TEST(goes_on_when_the_disk_has_room_again)
{
	struct trace *trace;
	struct fault fault = FAULT_INIT;

	trace = must_open();
	failing_vfs_arm(FAILING_VFS_FULL, 0);
	write_slot(trace, 0);
	while (trace_lost(trace) == 0)
		(void)usleep(1000);
	failing_vfs_arm(FAILING_VFS_FULL, -1);
	write_slot(trace, 1);
	ck_assert_int_eq(trace_close(trace, "{}", &fault), -ENOSPC);
	ck_assert_msg(strstr(fault.text, "full"), "%s", fault.text);
	expect("SELECT slot FROM slots", "1\n");
	expect("SELECT * FROM result", "{}|0|1\n");
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("trace");
	TCase *tcase = tcase_create("all");

	tcase_set_timeout(tcase, 100);
	tcase_add_checked_fixture(tcase, setup_folder, remove_folder);
	tcase_add_test(tcase, holds_what_was_known_at_the_start);
	tcase_add_test(tcase, holds_all_parameters_of_the_policy);
	tcase_add_test(tcase, holds_what_happened);
	tcase_add_test(tcase, an_empty_bundle_is_fine);
	tcase_add_test(tcase, the_page_has_every_column);
	tcase_add_test(tcase, is_private_whatever_the_umask);
	tcase_add_test(tcase, can_be_read_while_it_is_written);
	tcase_add_test(tcase, refuses_what_is_not_a_trace);
	tcase_add_test(tcase, refuses_where_it_cannot_write);
	tcase_add_test(tcase, replaces_a_trace_and_an_empty_file);
	tcase_add_test(tcase, a_killed_run_leaves_what_it_wrote);
	tcase_add_test(tcase, the_log_of_a_killed_run_does_not_spoil_the_next);
	tcase_add_test(tcase, one_run_at_a_time);
	tcase_add_test(tcase, drops_and_counts_when_the_writer_is_held_up);
	tcase_add_test(tcase, a_patient_loop_drops_nothing);
	tcase_add_test(tcase, a_file_size_limit_ends_the_trace_and_not_the_program);
	tcase_add_loop_test(tcase, survives_a_failure_of_every_call, 0, 3);
	tcase_add_test(tcase, a_failed_replacement_keeps_the_old_trace);
	tcase_add_test(tcase, goes_on_when_the_disk_has_room_again);
	suite_add_tcase(suite, tcase);
	return suite_run(suite);
}
