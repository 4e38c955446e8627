// SPDX-License-Identifier: GPL-2.0-or-later
#include "trace.h"

#include <assert.h>
#include <inttypes.h>
#include <pthread.h>
#include <semaphore.h>
#include <signal.h>
#include <sqlite3.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cleanup.h"
#include "trace_internal.h"
#include "trace_queue.h"

/* The loop's side of the trace and its writer thread.
 *
 * The loop copies each record into a queue of fixed size (trace_queue.h) and goes on; it never
 * waits and never allocates. The writer takes what is queued, everything in one transaction: a
 * commit costs more than a row. It is woken once a slot, by the slot's own record, so that reports
 * and events ride along; they wake it themselves only when the queue is half full.
 *
 * What can go wrong is never the loop's affair. A record that finds the queue full is dropped, a
 * transaction that fails is rolled back: both are counted, the first failure keeps its sentence,
 * and the next transaction tries again, for a full disk may have room later. trace_lost() tells
 * while the run lasts, trace_close() and the table `result` tell at the end. A patient loop, whose time is
 * simulated and runs faster than any disk, waits for room instead of dropping a record.
 *
 * Only the writer ever touches the file, from its creation on, and it blocks all signals: they are
 * the loop's. That includes SIGXFSZ, so that a write beyond RLIMIT_FSIZE is one more failed write
 * and does not end the program. */

/* How many slots with all tasks alive the queue holds beside reports and events: at 1 s slots, half
 * a minute in which the disk may do nothing. */
#define QUEUE_SLOTS 32
#define QUEUE_BASE_BYTES ((size_t)1 << 20)
#define QUEUE_MOST_BYTES ((size_t)64 << 20)
/* Never less than this many slots, however large they are. */
#define QUEUE_LEAST_SLOTS 4
/* Rows wait in memory until the commit. */
#define BATCH_RECORDS_MAX 4096

#define EVENT_KIND_MAX 32
#define EVENT_TEXT_MAX FAULT_TEXT_MAX

enum record_kind {
	RECORD_SLOT,
	RECORD_REPORT,
	RECORD_EVENT,
	RECORD_OUTCOME,
};

/* Behind a slot come its tasks, behind an event its text. */
struct record {
	enum record_kind kind;
	union {
		struct slot_record slot; /* without .tasks */
		struct {
			uint32_t task;
			struct report report;
		} report;
		struct {
			uint64_t now_ns;
			uint32_t task;
			char kind[EVENT_KIND_MAX];
		} event;
		struct {
			uint32_t task;
			enum outcome outcome;
			uint64_t finish_ns, cpu_ns;
			double value;
		} outcome;
	};
};

/* What trace_open() waits for, on its stack. */
struct opening {
	const char *path;
	const struct trace_setup *setup;
	int result;
	struct fault *fault;
	sem_t done;
};

struct trace {
	struct trace_queue queue;
	sem_t wake;
	bool is_patient;
	sem_t room;              /* posted where the loop waits for it */
	_Atomic bool is_waiting; /* the loop, for room */
	pthread_t writer;
	_Atomic bool is_closing;
	_Atomic uint64_t n_dropped;   /* found the queue full; written by the loop only */
	_Atomic uint64_t n_unwritten; /* lost by a failed transaction; by the writer only */
	struct opening *opening;      /* until its `done` is posted */
	const char *result_json;      /* set before is_closing */

	/* The writer's, until it has ended. */
	struct trace_file file;
	struct trace_rows rows;
	int error; /* the first failure, and its sentence */
	struct fault fault;
};

static void wait_for(sem_t *semaphore)
{
	while (sem_wait(semaphore) < 0)
		assert(errno == EINTR);
}

static int write_record(struct trace *trace, const struct record *record, struct fault *fault)
{
	struct slot_record slot;

	switch (record->kind) {
	case RECORD_SLOT:
		slot = record->slot;
		slot.tasks = (const struct slot_task *)(record + 1);
		return trace_rows_slot(&trace->rows, &slot, fault);
	case RECORD_REPORT:
		return trace_rows_report(
			&trace->rows, record->report.task, &record->report.report, fault);
	case RECORD_EVENT:
		return trace_rows_event(&trace->rows, record->event.now_ns, record->event.task,
			record->event.kind, (const char *)(record + 1), fault);
	case RECORD_OUTCOME:
		return trace_rows_outcome(&trace->rows, record->outcome.task,
			record->outcome.outcome, record->outcome.finish_ns, record->outcome.cpu_ns,
			record->outcome.value, fault);
	}
	assert(false);
	return -EINVAL;
}

/* Ends the transaction that `r` is the result of. */
static int commit(sqlite3 *db, int r, struct fault *fault)
{
	if (r == 0)
		r = trace_sql(db, "COMMIT", fault);
	/* After some failures SQLite has rolled back by itself. */
	if (r < 0 && !sqlite3_get_autocommit(db))
		(void)trace_sql(db, "ROLLBACK", /* fault= */ NULL);
	return r;
}

static void keep_first_failure(struct trace *trace, int r, const struct fault *fault)
{
	if (r == 0 || trace->error < 0)
		return;
	trace->error = r;
	trace->fault = *fault;
}

static void write_batch(struct trace *trace)
{
	struct fault fault = FAULT_INIT;
	const struct record *record;
	uint64_t n_records = 0;
	int r;

	r = trace_sql(trace->file.db, "BEGIN", &fault);
	while (n_records < BATCH_RECORDS_MAX && (record = trace_queue_front(&trace->queue))) {
		if (r == 0)
			r = write_record(trace, record, &fault);
		trace_queue_pop(&trace->queue);
		n_records++;
	}
	r = commit(trace->file.db, r, &fault);
	if (r < 0)
		atomic_fetch_add(&trace->n_unwritten, n_records);
	keep_first_failure(trace, r, &fault);
	if (atomic_exchange(&trace->is_waiting, false))
		(void)sem_post(&trace->room);
}

/* The last transaction: how the run ended, and what is missing above. */
static void write_result(struct trace *trace)
{
	struct fault fault = FAULT_INIT;
	int r;

	r = trace_sql(trace->file.db, "BEGIN", &fault);
	if (r == 0)
		r = trace_rows_result(&trace->rows, trace->result_json,
			atomic_load(&trace->n_dropped), atomic_load(&trace->n_unwritten), &fault);
	r = commit(trace->file.db, r, &fault);
	keep_first_failure(trace, r, &fault);
}

static void finish(struct trace *trace)
{
	struct fault fault = FAULT_INIT;
	int r;

	write_result(trace);
	trace_rows_done(&trace->rows);
	r = trace_file_close(&trace->file, &fault);
	keep_first_failure(trace, r, &fault);
}

static int create(struct trace *trace, const struct opening *opening)
{
	int r;

	r = trace_file_create(&trace->file, opening->path, opening->setup, opening->fault);
	if (r < 0)
		return r;
	r = trace_rows_init(&trace->rows, trace->file.db, opening->fault);
	if (r < 0)
		trace_file_discard(&trace->file);
	return r;
}

static void *writer_main(void *argument)
{
	struct trace *trace = argument;
	struct opening *opening = TAKE_PTR(trace->opening);
	bool is_closing;
	int r;

	r = create(trace, opening);
	opening->result = r;
	(void)sem_post(&opening->done);
	if (r < 0)
		return NULL;
	do {
		wait_for(&trace->wake);
		/* Asked before the queue is emptied: all that was pushed before is seen then. */
		is_closing = atomic_load(&trace->is_closing);
		while (trace_queue_front(&trace->queue))
			write_batch(trace);
	} while (!is_closing);
	finish(trace);
	return NULL;
}

static int start_writer(struct trace *trace)
{
	sigset_t all, before;
	int error;

	(void)sigfillset(&all);
	(void)pthread_sigmask(SIG_SETMASK, &all, &before);
	error = pthread_create(&trace->writer, /* attr= */ NULL, writer_main, trace);
	(void)pthread_sigmask(SIG_SETMASK, &before, /* oldset= */ NULL);
	if (error == 0)
		(void)pthread_setname_np(trace->writer, "coregov-trace");
	return -error;
}

static size_t queue_bytes(size_t n_tasks)
{
	size_t slot_bytes = sizeof(struct record) + n_tasks * sizeof(struct slot_task);
	size_t size_bytes = QUEUE_BASE_BYTES + QUEUE_SLOTS * slot_bytes;

	if (size_bytes > QUEUE_MOST_BYTES)
		size_bytes = QUEUE_MOST_BYTES;
	if (size_bytes < QUEUE_LEAST_SLOTS * slot_bytes)
		size_bytes = QUEUE_LEAST_SLOTS * slot_bytes;
	return size_bytes;
}

static struct trace *trace_new(size_t n_tasks)
{
	struct trace *trace = calloc(1, sizeof(*trace));

	if (!trace || trace_queue_init(&trace->queue, queue_bytes(n_tasks)) < 0) {
		free(trace);
		return NULL;
	}
	(void)sem_init(&trace->wake, /* pshared= */ 0, 0);
	(void)sem_init(&trace->room, /* pshared= */ 0, 0);
	return trace;
}

/* The writer has ended, or was never there. */
static void trace_free(struct trace *trace)
{
	trace_queue_done(&trace->queue);
	(void)sem_destroy(&trace->wake);
	(void)sem_destroy(&trace->room);
	free(trace);
}

int trace_open(struct trace **ret_trace, const char *path, const struct trace_setup *setup,
	struct fault *fault)
{
	struct opening opening = {.path = path, .setup = setup, .fault = fault};
	struct trace *trace = trace_new(setup->bundle->n_tasks);
	int r;

	if (!trace)
		return fault_errno(fault, -ENOMEM, "trace '%s'", path);
	(void)sem_init(&opening.done, /* pshared= */ 0, 0);
	trace->opening = &opening;
	trace->is_patient = setup->is_patient;
	r = start_writer(trace);
	if (r < 0) {
		r = fault_errno(fault, r, "trace '%s': start its writer", path);
	} else {
		wait_for(&opening.done);
		r = opening.result;
		if (r < 0)
			(void)pthread_join(trace->writer, /* retval= */ NULL);
	}
	(void)sem_destroy(&opening.done);
	if (r < 0) {
		trace_free(trace);
		return r;
	}
	*ret_trace = trace;
	return 0;
}

/* Waits for room, unless it could never be enough. A post that was meant for an earlier wait only makes it
 * look once more. */
static struct record *reserve_patiently(struct trace *trace, size_t size_bytes)
{
	for (;;) {
		bool is_empty = trace_queue_used_bytes(&trace->queue) == 0;
		struct record *record = trace_queue_reserve(&trace->queue, size_bytes);

		if (record || is_empty)
			return record;
		/* Once more behind the flag: what the writer has popped before it saw that is not missed. */
		atomic_store(&trace->is_waiting, true);
		record = trace_queue_reserve(&trace->queue, size_bytes);
		if (record)
			return record;
		(void)sem_post(&trace->wake);
		wait_for(&trace->room);
	}
}

static struct record *reserve(struct trace *trace, enum record_kind kind, size_t more_bytes)
{
	size_t size_bytes = sizeof(struct record) + more_bytes;
	struct record *record = trace->is_patient ? reserve_patiently(trace, size_bytes)
						  : trace_queue_reserve(&trace->queue, size_bytes);

	if (record)
		record->kind = kind;
	else
		atomic_fetch_add(&trace->n_dropped, 1);
	return record;
}

static void push(struct trace *trace, bool is_end_of_slot)
{
	trace_queue_push(&trace->queue);
	if (is_end_of_slot || trace_queue_used_bytes(&trace->queue) > trace->queue.size_bytes / 2)
		(void)sem_post(&trace->wake);
}

void trace_slot(struct trace *trace, const struct slot_record *slot)
{
	size_t tasks_bytes = slot->n_tasks * sizeof(*slot->tasks);
	struct record *record = reserve(trace, RECORD_SLOT, tasks_bytes);

	if (!record)
		return;
	record->slot = *slot;
	if (tasks_bytes > 0)
		memcpy(record + 1, slot->tasks, tasks_bytes);
	push(trace, /* is_end_of_slot= */ true);
}

void trace_report(struct trace *trace, uint32_t task, const struct report *report)
{
	struct record *record = reserve(trace, RECORD_REPORT, 0);

	if (!record)
		return;
	record->report.task = task;
	record->report.report = *report;
	push(trace, /* is_end_of_slot= */ false);
}

void trace_event(
	struct trace *trace, uint64_t now_ns, uint32_t task, const char *kind, const char *text)
{
	size_t length = strnlen(text, EVENT_TEXT_MAX - 1);
	struct record *record = reserve(trace, RECORD_EVENT, length + 1);
	char *copy;

	if (!record)
		return;
	record->event.now_ns = now_ns;
	record->event.task = task;
	(void)snprintf(record->event.kind, sizeof(record->event.kind), "%s", kind);
	copy = (char *)(record + 1);
	memcpy(copy, text, length);
	copy[length] = '\0';
	push(trace, /* is_end_of_slot= */ false);
}

void trace_outcome(struct trace *trace, uint32_t task, enum outcome outcome, uint64_t finish_ns,
	uint64_t cpu_ns, double value)
{
	struct record *record = reserve(trace, RECORD_OUTCOME, 0);

	if (!record)
		return;
	record->outcome.task = task;
	record->outcome.outcome = outcome;
	record->outcome.finish_ns = finish_ns;
	record->outcome.cpu_ns = cpu_ns;
	record->outcome.value = value;
	push(trace, /* is_end_of_slot= */ false);
}

uint64_t trace_lost(const struct trace *trace)
{
	return atomic_load(&trace->n_dropped) + atomic_load(&trace->n_unwritten);
}

int trace_close(struct trace *trace, const char *result_json, struct fault *fault)
{
	uint64_t n_dropped, n_unwritten;
	int r = 0;

	if (!trace)
		return 0;
	trace->result_json = result_json;
	atomic_store(&trace->is_closing, true);
	(void)sem_post(&trace->wake);
	(void)pthread_join(trace->writer, /* retval= */ NULL);
	n_dropped = atomic_load(&trace->n_dropped);
	n_unwritten = atomic_load(&trace->n_unwritten);
	if (trace->error < 0)
		r = fault_set(fault, trace->error,
			"the trace is not complete (%" PRIu64 " records not written, %" PRIu64
			" dropped): %s",
			n_unwritten, n_dropped, trace->fault.text);
	else if (n_dropped > 0)
		r = fault_set(fault, -ENOBUFS,
			"the trace is not complete: %" PRIu64
			" records were dropped because the disk was slower than the run",
			n_dropped);
	trace_free(trace);
	return r;
}
