/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

#include "policy.h"

/* Fills order[n_tasks] with the tasks of the view by (deadline, name). scratch as in order.h. */
void due_order(const struct policy_view *view, uint32_t order[], uint32_t scratch[]);
