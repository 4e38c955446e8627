/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

#include <stdio.h>

#include "bundle.h"
#include "policy.h"
#include "summary.h"

/* One bundle in simulated time under one policy. */

enum simulate_form {
	SIMULATE_NONE,  /* the figures only */
	SIMULATE_LINE,  /* a line */
	SIMULATE_TABLE, /* a line for each task, and a line of sums */
	SIMULATE_JSON,  /* the object of coregov.bundle(5) on a line */
};

struct simulate_setup {
	const struct bundle *bundle; /* resolved for a simulation */
	const struct policy *policy;
	const double *parameters; /* of the policy */
	double kappa_star;        /* of the bundle; nan where not known */
	const char *trace_path;   /* every slot goes there; NULL: nowhere */
	enum simulate_form form;
};

/* Runs it and writes the result to `to`. ret_to_target: for each task of the bundle, the figures have it by
 * pointer. 0 or a negative errno with a sentence. */
int simulate_one(const struct simulate_setup *setup, FILE *to, double ret_to_target[],
	struct summary_figures *ret_figures, struct fault *fault);
