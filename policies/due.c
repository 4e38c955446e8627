// SPDX-License-Identifier: GPL-2.0-or-later
#include "due.h"

#include <string.h>

#include "order.h"

/* The order of deadlines. Names break ties and are unique, so it is total: it depends neither on the
 * tasks' places in the view nor on their ids. */

static bool is_due_before(const void *context, uint32_t a, uint32_t b)
{
	const struct policy_view *view = context;
	const struct policy_task *one = &view->tasks[a], *other = &view->tasks[b];

	if (one->deadline_ns != other->deadline_ns)
		return one->deadline_ns < other->deadline_ns;
	return strcmp(one->name, other->name) < 0;
}

void due_order(const struct policy_view *view, uint32_t order[], uint32_t scratch[])
{
	order_init(order, view->n_tasks);
	order_sort(order, scratch, view->n_tasks, is_due_before, view);
}
