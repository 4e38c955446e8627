/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

#include "fault.h"
#include "options.h"

struct model;

/* Trains to the last step, or until coregov asks to stop. Reports the held-out loss at the start,
 * every options->report_every steps and at the end: through the progress page, where there is one,
 * and as a line on stdout. 0, or a negative errno. */
int train(const struct model *model, const struct options *options, struct fault *fault);
