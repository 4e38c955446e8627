// SPDX-License-Identifier: GPL-2.0-or-later
#include "share_told.h"

#include <math.h>

#include "nsec.h"

#define WORTH_TELLING_CPUS 0.01

bool shares_differ(double a_cpus, double b_cpus)
{
	return (a_cpus > 0) != (b_cpus > 0) || fabs(a_cpus - b_cpus) >= WORTH_TELLING_CPUS;
}

bool share_told_differs(const struct share_told *told, double share_cpus)
{
	return told->is_told ? shares_differ(told->cpus, share_cpus) : share_cpus > 0;
}

bool share_told_is_due(
	const struct share_told *told, double share_cpus, uint64_t now_ns, uint64_t pause_ns)
{
	if (!told->is_told)
		return true;
	return share_told_differs(told, share_cpus) && nsec_sub(now_ns, told->at_ns) >= pause_ns;
}
