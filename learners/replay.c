// SPDX-License-Identifier: GPL-2.0-or-later
#include <errno.h>
#include <inttypes.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sysexits.h>
#include <time.h>

#include "coregov-progress.h"
#include "curve.h"
#include "fault.h"

/* The replay learner: a process that learns like a recorded curve.  It burns CPU and reports a row
 * (c, l) of the curve once its own CPU clock has passed c, so a policy sees in a real run what it
 * sees in a simulation of the same curve.  Rows that are nan or inf are reported as they are: a
 * diverging training does that.  After the last row it ends with success, like a training that has
 * made its last step.
 *
 * The clock is CLOCK_PROCESS_CPUTIME_ID, which stands still while the process is throttled, frozen
 * or waiting for a CPU, and which counts the start of the program too, as every meter does.  Reading
 * it is a system call, so burning goes in chunks: the first ones double until one takes CHUNK_NS,
 * and later ones are scaled by the speed of the last, so that a row comes at most a chunk late
 * whatever the CPU's frequency does meanwhile. */

#define CHUNK_NS 100000u
#define ITERATIONS_FIRST 64u
#define ITERATIONS_MOST (1u << 24)

#define NS_PER_S UINT64_C(1000000000)

static uint64_t cpu_now_ns(void)
{
	struct timespec used;

	(void)clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &used);
	return (uint64_t)used.tv_sec * NS_PER_S + (uint64_t)used.tv_nsec;
}

/* Work that a compiler cannot drop and that touches no memory. */
static void burn(uint64_t iterations)
{
	uint64_t state = iterations;

	while (iterations-- > 0) {
		state = state * UINT64_C(6364136223846793005) + 1;
		__asm__ volatile("" : "+r"(state));
	}
}

/* Burns until the process has used until_ns, or is asked to stop. Returns what it has used.
 * `iterations` is how many make a chunk, kept between calls. */
static uint64_t burn_until(uint64_t until_ns, uint64_t *iterations)
{
	uint64_t used_ns = cpu_now_ns();

	while (used_ns < until_ns && !coregov_should_stop()) {
		uint64_t before_ns = used_ns, left_ns = until_ns - used_ns, took_ns;
		uint64_t n = left_ns < CHUNK_NS ? 1 + *iterations * left_ns / CHUNK_NS
						: *iterations;

		burn(n);
		used_ns = cpu_now_ns();
		took_ns = used_ns - before_ns;
		if (n == *iterations && took_ns < CHUNK_NS / 2 && *iterations < ITERATIONS_MOST)
			*iterations *= 2;
		else if (n == *iterations && took_ns > 2 * CHUNK_NS && *iterations > 1)
			*iterations /= 2;
	}
	return used_ns;
}

static int report(size_t row, size_t n_rows, double loss, uint64_t used_ns, struct fault *fault)
{
	struct coregov_target_info target;

	/* A curve's value stands for the target's metric, whatever that is called. Whoever listens;
	 * that nobody does is the usual case and no failure. */
	(void)coregov_report(row, coregov_target(&target) == 1 ? target.metric : "loss", loss);
	if (printf("step %zu/%zu loss %.9g cpu %" PRIu64 ".%06" PRIu64 "s\n", row, n_rows, loss,
		    used_ns / NS_PER_S, used_ns % NS_PER_S / 1000) < 0 ||
		fflush(stdout) != 0)
		return fault_errno(fault, -EIO, "write to standard output");
	return 0;
}

static int replay(const struct curve *curve, struct fault *fault)
{
	uint64_t iterations = ITERATIONS_FIRST;
	int r = 0;

	(void)coregov_total_steps(curve->n_rows);
	for (size_t i = 0; i < curve->n_rows && r == 0; i++) {
		uint64_t used_ns = burn_until(curve->rows[i].cpu_ns, &iterations);

		if (coregov_should_stop())
			break;
		r = report(i + 1, curve->n_rows, curve->rows[i].loss, used_ns, fault);
	}
	return r;
}

int main(int argc, char *argv[])
{
	struct fault fault = FAULT_INIT;
	struct curve curve;
	int r;

	if (argc != 2 || argv[1][0] == '-') {
		bool asked = argc == 2 && strcmp(argv[1], "--help") == 0;

		(void)fprintf(asked ? stdout : stderr,
			"usage: coregov-replay CURVE.csv\n"
			"Burns CPU and reports the rows `cpu_seconds,loss` of the curve as its own "
			"CPU "
			"clock passes them.\n");
		return asked ? EXIT_SUCCESS : EX_USAGE;
	}
	r = curve_read(argv[1], &curve, &fault);
	if (r < 0) {
		(void)fprintf(stderr, "coregov-replay: %s\n", fault.text);
		return EX_DATAERR;
	}
	r = replay(&curve, &fault);
	curve_done(&curve);
	if (r < 0) {
		(void)fprintf(stderr, "coregov-replay: %s\n", fault.text);
		return EXIT_FAILURE;
	}
	return EXIT_SUCCESS;
}
