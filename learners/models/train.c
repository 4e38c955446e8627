// SPDX-License-Identifier: GPL-2.0-or-later
#include "train.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <time.h>

#include "coregov-progress.h"
#include "model.h"

/* The loop that every learner runs.  A line reads
 *
 *     step 120/1000 loss 0.532100917 cpu 1.234s
 *
 * with nine digits of the loss, so that a target chosen from a line is met at that line again, and
 * the process's own CPU time, from which the calibration script takes its speed.  CPU time includes
 * reading the data: that is part of what a task needs.  Lines are flushed one by one, since stdout
 * is a pipe more often than not. */

static double cpu_seconds(void)
{
	struct timespec used;

	(void)clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &used);
	return (double)used.tv_sec + (double)used.tv_nsec * 1e-9;
}

static int report(uint64_t step, uint64_t steps, double loss, struct fault *fault)
{
	/* Whoever listens; that nobody does is the usual case and no failure. */
	(void)coregov_report(step, "loss", loss);
	if (printf("step %" PRIu64 "/%" PRIu64 " loss %.9g cpu %.3fs\n", step, steps, loss,
		    cpu_seconds()) < 0 ||
		fflush(stdout) != 0)
		return fault_errno(fault, -EIO, "write to standard output");
	return 0;
}

static int run(const struct model *model, struct learner *learner, const struct options *options,
	struct fault *fault)
{
	int r;

	(void)coregov_total_steps(options->steps);
	r = report(0, options->steps, model->loss(learner), fault);
	for (uint64_t step = 1; r == 0 && step <= options->steps && !coregov_should_stop();
		step++) {
		model->step(learner);
		if (step % options->report_every == 0 || step == options->steps)
			r = report(step, options->steps, model->loss(learner), fault);
	}
	return r;
}

int train(const struct model *model, const struct options *options, struct fault *fault)
{
	struct learner *learner;
	int r;

	r = model->open(options, &learner, fault);
	if (r < 0)
		return fault_wrap(fault, r, "%s", model->name);
	r = run(model, learner, options, fault);
	model->close(learner);
	return r;
}
