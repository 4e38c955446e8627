// SPDX-License-Identifier: GPL-2.0-or-later
#include "fit_all.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "cleanup.h"

/* Augmenting paths, shortest first (Edmonds and Karp, JACM 19, 1972), for one job after the other: what is in
 * stays in, and moves to other intervals where that makes room. Where no path is left for a job, those that were
 * reached on the way are the jobs on its side of a minimal cut: together they need more than is to be had. */

#define NONE SIZE_MAX

struct fit_all {
	size_t n_jobs, n_intervals;
	const uint64_t *need, *most;
	const uint64_t *room;
	uint64_t *given;      /* as most */
	uint64_t *left;       /* of room */
	size_t *reached_from; /* interval -> the job it was reached from, or NONE */
	size_t *reached_over; /* job -> the interval it was reached over, or NONE */
	bool *is_reached;     /* job */
	size_t *queue;        /* of jobs */
};

struct fit_all *fit_all_free(struct fit_all *fit)
{
	if (!fit)
		return NULL;
	free(fit->given);
	free(fit->left);
	free(fit->reached_from);
	free(fit->reached_over);
	free(fit->is_reached);
	free(fit->queue);
	free(fit);
	return NULL;
}

static void *room_for(size_t n, size_t size)
{
	return calloc(n > 0 ? n : 1, size);
}

int fit_all_new(struct fit_all **ret_fit, size_t n_jobs, size_t n_intervals, const uint64_t need[],
	const uint64_t most[], const uint64_t room[])
{
	struct fit_all *fit = calloc(1, sizeof(*fit));

	if (!fit)
		return -ENOMEM;
	*fit = (struct fit_all){
		.n_jobs = n_jobs,
		.n_intervals = n_intervals,
		.need = need,
		.most = most,
		.room = room,
		.given = room_for(n_jobs * n_intervals, sizeof(fit->given[0])),
		.left = room_for(n_intervals, sizeof(fit->left[0])),
		.reached_from = room_for(n_intervals, sizeof(fit->reached_from[0])),
		.reached_over = room_for(n_jobs, sizeof(fit->reached_over[0])),
		.is_reached = room_for(n_jobs, sizeof(fit->is_reached[0])),
		.queue = room_for(n_jobs, sizeof(fit->queue[0])),
	};
	if (!fit->given || !fit->left || !fit->reached_from || !fit->reached_over ||
		!fit->is_reached || !fit->queue) {
		fit_all_free(fit);
		return -ENOMEM;
	}
	fit_all_clear(fit);
	*ret_fit = fit;
	return 0;
}

void fit_all_clear(struct fit_all *fit)
{
	memset(fit->given, 0, fit->n_jobs * fit->n_intervals * sizeof(fit->given[0]));
	memcpy(fit->left, fit->room, fit->n_intervals * sizeof(fit->left[0]));
}

static uint64_t *given(struct fit_all *fit, size_t job, size_t interval)
{
	return &fit->given[job * fit->n_intervals + interval];
}

static uint64_t more_of(struct fit_all *fit, size_t job, size_t interval)
{
	return fit->most[job * fit->n_intervals + interval] - *given(fit, job, interval);
}

static void reach(struct fit_all *fit, size_t job, size_t over, size_t *n_queued)
{
	fit->is_reached[job] = true;
	fit->reached_over[job] = over;
	fit->queue[(*n_queued)++] = job;
}

/* The nearest interval with room to which something of the job can go, perhaps by moving others; NONE. */
static size_t find_room(struct fit_all *fit, size_t job)
{
	size_t n_queued = 0;

	memset(fit->is_reached, 0, fit->n_jobs * sizeof(fit->is_reached[0]));
	for (size_t i = 0; i < fit->n_intervals; i++)
		fit->reached_from[i] = NONE;
	reach(fit, job, NONE, &n_queued);
	for (size_t at = 0; at < n_queued; at++) {
		size_t from = fit->queue[at];

		for (size_t i = 0; i < fit->n_intervals; i++) {
			if (fit->reached_from[i] != NONE || more_of(fit, from, i) == 0)
				continue;
			fit->reached_from[i] = from;
			if (fit->left[i] > 0)
				return i;
			for (size_t other = 0; other < fit->n_jobs; other++)
				if (!fit->is_reached[other] && *given(fit, other, i) > 0)
					reach(fit, other, i, &n_queued);
		}
	}
	return NONE;
}

static uint64_t least(uint64_t a, uint64_t b)
{
	return a < b ? a : b;
}

/* Along the path that find_room() has left. Returns how much. */
static uint64_t push(struct fit_all *fit, size_t to, uint64_t wanted)
{
	uint64_t amount = least(wanted, fit->left[to]);

	for (size_t i = to; i != NONE;) {
		size_t job = fit->reached_from[i], over = fit->reached_over[job];

		amount = least(amount, more_of(fit, job, i));
		if (over != NONE)
			amount = least(amount, *given(fit, job, over));
		i = over;
	}
	fit->left[to] -= amount;
	for (size_t i = to; i != NONE;) {
		size_t job = fit->reached_from[i], over = fit->reached_over[job];

		*given(fit, job, i) += amount;
		if (over != NONE)
			*given(fit, job, over) -= amount;
		i = over;
	}
	return amount;
}

static void take_out(struct fit_all *fit, size_t job)
{
	for (size_t i = 0; i < fit->n_intervals; i++) {
		fit->left[i] += *given(fit, job, i);
		*given(fit, job, i) = 0;
	}
}

bool fit_all_add(struct fit_all *fit, size_t job, bool ret_conflict[])
{
	uint64_t missing = fit->need[job];

	assert(job < fit->n_jobs);
	while (missing > 0) {
		size_t to = find_room(fit, job);

		if (to == NONE) {
			if (ret_conflict)
				memcpy(ret_conflict, fit->is_reached,
					fit->n_jobs * sizeof(ret_conflict[0]));
			take_out(fit, job);
			return false;
		}
		missing -= push(fit, to, missing);
	}
	return true;
}
