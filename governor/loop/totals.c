// SPDX-License-Identifier: GPL-2.0-or-later
#include <stddef.h>

#include "governor_internal.h"

/* The sums of a run. A result counts the slots until the last task had its outcome; a task that
 * yields may run on long after. So the sums go on, and each outcome takes a copy of them: the last
 * copy is the result's. */

void totals_miss(struct governor *governor, uint64_t slot)
{
	const struct bundle *bundle = governor->setup.bundle;

	/* Nobody was there who could have missed them; or it was not us, but the governor before. */
	if (governor->setup.is_open && (governor->n_seated == 0 || governor->n_slots == 0) &&
		governor->n_slots < slot)
		governor->n_slots = slot;
	for (; governor->n_slots < slot; governor->n_slots++) {
		uint64_t start_ns = governor->n_slots * bundle->slot_ns;
		double budget_cpus = timeline_least(
			&bundle->budget, start_ns, start_ns + bundle->slot_ns);

		governor->budget_ns += share_to_ns(budget_cpus, bundle->slot_ns);
		governor->n_late++;
	}
}

void totals_count(struct governor *governor, const struct slot_record *slot)
{
	double granted_cpus = (double)slot->granted_ns / (double)slot->slot_ns;

	governor->budget_ns += slot->budget_ns;
	if (granted_cpus > governor->granted_cpus_max)
		governor->granted_cpus_max = granted_cpus;
	if (slot_is_late(slot->late_ns, slot->slot_ns))
		governor->n_late++;
	if (slot->late_ns > governor->worst_late_ns)
		governor->worst_late_ns = slot->late_ns;
}

void totals_settle(struct governor *governor)
{
	if (!governor->has_unsettled)
		return;
	governor->has_unsettled = false;
	governor->settled.n_slots = governor->n_slots;
	governor->settled.used_ns = governor->used_ns;
	governor->settled.budget_ns = governor->budget_ns;
}

void governor_totals(const struct governor *governor, struct governor_totals *ret_totals)
{
	bool is_settled = !governor->has_unsettled;

	*ret_totals = (struct governor_totals){
		.n_slots = is_settled ? governor->settled.n_slots : governor->n_slots,
		.n_late = governor->n_late,
		.worst_late_ns = governor->worst_late_ns,
		.used_ns = is_settled ? governor->settled.used_ns : governor->used_ns,
		.budget_ns = is_settled ? governor->settled.budget_ns : governor->budget_ns,
		.granted_cpus_max = governor->granted_cpus_max,
		.excess_ns = governor->excess_ns,
		.n_excess_slots = governor->n_excess_slots,
		.n_foreign = governor->n_foreign,
		.n_grant_changes = governor->n_grant_changes,
	};
}
