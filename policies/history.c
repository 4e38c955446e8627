// SPDX-License-Identifier: GPL-2.0-or-later
#include "history.h"

#include <math.h>

/* A bounded record of a learning curve.
 *
 * The newest reports carry the slope and the noise, the oldest ones the shape; so when the record
 * is full every second point of its older half goes, and the newer half stays as it is. Repeated,
 * this spaces old points ever wider and keeps recent ones whole. Thinning costs HISTORY_MAX / 2
 * moves once every HISTORY_MAX / 4 reports. */

static void thin(struct history *history)
{
	uint32_t half = history->n_points / 2, to = 1;

	for (uint32_t from = 2; from < history->n_points; from++) {
		if (from < half && from % 2 == 1)
			continue;
		history->cpu_ns[to] = history->cpu_ns[from];
		history->value[to] = history->value[from];
		to++;
	}
	history->n_dropped += history->n_points - to;
	history->n_points = to;
}

void history_add(struct history *history, uint64_t cpu_ns, double value)
{
	uint32_t n = history->n_points;

	if (!isfinite(value)) {
		history->n_not_finite++;
		return;
	}
	history->n_reports++;
	if (n > 0 && cpu_ns <= history->cpu_ns[n - 1]) {
		history->value[n - 1] = value;
		return;
	}
	if (n == HISTORY_MAX) {
		thin(history);
		n = history->n_points;
	}
	history->cpu_ns[n] = cpu_ns;
	history->value[n] = value;
	history->n_points = n + 1;
}
