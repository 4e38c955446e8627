// SPDX-License-Identifier: MIT
#include "put.h"

#include <math.h>

/* The stores of a report, in the order that layout.h promises to whoever reads the page meanwhile.
 * Some twenty of them, and no system call. */

static void put_mark(struct coregov_mark *mark, const struct coregov_mark *value)
{
	put_word(&mark->step, value->step);
	put_word(&mark->stamp_ns, value->stamp_ns);
	put_double(&mark->value, value->value);
	__atomic_store_n(&mark->number, value->number, __ATOMIC_RELEASE);
}

static void put_best(struct coregov_task_side *task, const struct coregov_mark *mark)
{
	const uint64_t sequence = task->best_sequence | 1;

	put_word(&task->best_sequence, sequence);
	__atomic_thread_fence(__ATOMIC_RELEASE);
	put_mark(&task->best, mark);
	__atomic_store_n(&task->best_sequence, sequence + 1, __ATOMIC_RELEASE);
}

/* A report of the target's metric: is it the best, is the target met? */
static void judge(struct coregov_writer *writer, struct coregov_task_side *task,
	const struct coregov_mark *mark)
{
	const double value = mark->value;

	if (__builtin_expect(!isfinite(value), 0)) {
		writer->n_met_in_a_row = 0;
		return;
	}
	if (task->best.number == 0 ||
		(writer->is_raised ? value > task->best.value : value < task->best.value))
		put_best(task, mark);
	if (writer->is_raised ? value < writer->target_value : value > writer->target_value) {
		writer->n_met_in_a_row = 0;
		return;
	}
	if (writer->n_met_in_a_row < writer->in_a_row)
		writer->n_met_in_a_row++;
	if (writer->n_met_in_a_row >= writer->in_a_row && task->first_met.number == 0)
		put_mark(&task->first_met, mark);
}

static void put_row(struct coregov_row *row, uint64_t step, uint64_t stamp_ns, double value)
{
	put_word(&row->step, step);
	put_word(&row->stamp_ns, stamp_ns);
	put_double(&row->value, value);
	__atomic_store_n(&row->n_reports, row->n_reports + 1, __ATOMIC_RELEASE);
}

/* Puts the report into the ring; see layout.h for the order of the stores. */
static void put_entry(struct coregov_task_side *task, const struct coregov_mark *mark,
	uint32_t mask, const double values[])
{
	struct coregov_entry *entry = &task->ring[(mark->number - 1) % COREGOV_RING_LENGTH];

	put_word(&entry->sequence, 0);
	__atomic_thread_fence(__ATOMIC_RELEASE);
	put_word(&entry->step, mark->step);
	put_word(&entry->stamp_ns, mark->stamp_ns);
	__atomic_store_n(&entry->mask, mask, __ATOMIC_RELAXED);
	put_double(&entry->values[0], mark->value);
	for (unsigned i = 1; mask >> i != 0; i++)
		if ((mask >> i & 1) != 0)
			put_double(&entry->values[i], values[i]);
	__atomic_store_n(&entry->sequence, mark->number, __ATOMIC_RELEASE);
	__atomic_store_n(&task->n_ring, mark->number, __ATOMIC_RELEASE);
}

void put_report(struct coregov_writer *writer, struct coregov_task_side *task, uint64_t step,
	uint64_t stamp_ns, uint32_t mask, const double values[])
{
	for (unsigned i = 1; mask >> i != 0; i++)
		if ((mask >> i & 1) != 0)
			put_row(&task->others[i - 1], step, stamp_ns, values[i]);
	if ((mask & 1) != 0) {
		const struct coregov_mark mark = {
			.number = task->n_ring + 1,
			.step = step,
			.stamp_ns = stamp_ns,
			.value = values[0],
		};

		/* Before the entry: a reader that sees the entry sees what it means. */
		judge(writer, task, &mark);
		put_entry(task, &mark, mask, values);
	}
	put_word(&task->steps_done, step);
	__atomic_store_n(&task->n_reports, task->n_reports + 1, __ATOMIC_RELEASE);
}
