/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

#include "bundle.h"
#include "fault.h"

/* kappa* of a bundle whose tasks all have curves, resolved for a simulation: the share of its tasks that could
 * have learned in time, see optimum.h; nan where it has no tasks, or where it was not found. 0 or -ENOMEM. */
int bundle_optimum(const struct bundle *bundle, double *ret_kappa_star, struct fault *fault);
