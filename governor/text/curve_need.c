// SPDX-License-Identifier: GPL-2.0-or-later
#include "curve.h"

/* Where a recorded curve meets a target. Apart from the reader of curves, which knows no targets. */

uint64_t curve_need(const struct curve *curve, const struct target *target)
{
	uint32_t n_in_a_row = 0;

	for (size_t i = 0; i < curve->n_rows; i++) {
		n_in_a_row = target_is_met(target, curve->rows[i].loss) ? n_in_a_row + 1 : 0;
		if (n_in_a_row == target->in_a_row)
			return curve->rows[i].cpu_ns;
	}
	return UINT64_MAX;
}
