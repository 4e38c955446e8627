// SPDX-License-Identifier: GPL-2.0-or-later
#include "feasible.h"

/* The exact condition for schedules that share CPUs fluidly and may interrupt, of tasks that have all
 * arrived: for every moment T, what must be done before T fits into what there is before T,
 *
 *	sum over the tasks of max(0, amount - threads * max(0, due - T)) <= cpus * T
 *
 * (max-flow min-cut: a task can put off at most threads * (due - T) until after T). In T the left side
 * is a sum of ramps: each starts at due - amount / threads and ends at `due`, and is flat elsewhere.
 * What is left of the right side therefore has its minima where a ramp ends: at a deadline. (At T = 0
 * it is 0, since no task is given more than it can use.) So only deadlines need to be kept, each with
 * its slack, and raising one amount lowers the slack of those that come after its latest start.
 *
 * With threads >= cpus for all this is the one-machine condition of Moore and Hodgson. */

#define ROUNDING_S 1e-9

void feasible_init(struct feasible *feasible, struct feasible_moment *moments)
{
	feasible->n_moments = 0;
	feasible->moments = moments;
}

void feasible_add_moment(struct feasible *feasible, double due_s, double cpus)
{
	uint32_t n = feasible->n_moments;

	if (n > 0 && feasible->moments[n - 1].due_s >= due_s)
		return;
	feasible->moments[n] = (struct feasible_moment){.due_s = due_s, .slack_s = cpus * due_s};
	feasible->n_moments = n + 1;
}

/* How much of an amount cannot be put off beyond a moment; no fmax(3), which is a call. */
static double before(double amount_s, double can_wait_s)
{
	return amount_s > can_wait_s ? amount_s - can_wait_s : 0;
}

static double can_wait(const struct feasible_moment *moment, double due_s, double threads)
{
	return moment->due_s < due_s ? threads * (due_s - moment->due_s) : 0;
}

bool feasible_raise(
	struct feasible *feasible, double due_s, double threads, double from_s, double to_s)
{
	struct feasible_moment *moments = feasible->moments;
	uint32_t first = feasible->n_moments;

	while (first > 0) {
		double can_wait_s = can_wait(&moments[first - 1], due_s, threads);

		if (to_s <= can_wait_s)
			break;
		first--;
		if (before(to_s, can_wait_s) - before(from_s, can_wait_s) >
			moments[first].slack_s + ROUNDING_S)
			return false;
	}
	for (uint32_t i = first; i < feasible->n_moments; i++) {
		double can_wait_s = can_wait(&moments[i], due_s, threads);

		moments[i].slack_s -= before(to_s, can_wait_s) - before(from_s, can_wait_s);
	}
	return true;
}

void feasible_take_out(struct feasible *feasible, double due_s, double threads, double amount_s)
{
	struct feasible_moment *moments = feasible->moments;

	for (uint32_t i = feasible->n_moments; i-- > 0;) {
		double can_wait_s = can_wait(&moments[i], due_s, threads);

		if (amount_s <= can_wait_s)
			return;
		moments[i].slack_s += before(amount_s, can_wait_s);
	}
}
