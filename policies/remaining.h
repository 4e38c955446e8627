/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

#include "fit.h"

/* How much CPU time a task still needs, by the fit of Optimus (Peng et al., EuroSys 2018, section 3.1):
 *
 *	loss = 1 / (b0 k + b1) + b2,   b0, b1, b2 >= 0,
 *
 * k the amount of training, here the CPU time; non-negative least squares, in which later thirds of the
 * reports weigh more, as in the authors' program. Their program also smooths away single outliers first and
 * divides by the greatest loss; the fit here is scaled by itself.
 *
 * b2 >= 0 is a statement about losses. A metric to be raised, and one of which a value or the target is
 * negative, has nothing of the kind at 0: there the floor may be as far below the least value, or the
 * target, as the values range. */

struct remaining {
	uint64_t n_reports; /* when it was made; 0: never. A zeroed one is a task without a past */
	struct fit fit;
};

/* Anew where the task has news; linear in its points. */
void remaining_learn(
	struct remaining *remaining, const struct policy_task *task, double third_weight);

/* CPU-seconds to the target from what it has used, INFINITY where the fit, which is not FIT_NONE, never gets
 * there. At least one more report's: the target has not been met by those so far. */
double remaining_need(const struct remaining *remaining, const struct policy_task *task);

/* A value of the task's metric as the loss that is fitted: one to be raised is negated. */
double remaining_loss(const struct policy_task *task, double value);
