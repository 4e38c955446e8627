// SPDX-License-Identifier: GPL-2.0-or-later
#include "outlook.h"

#include "nsec.h"

#define AGED_CPU_PART 3

static bool is_unheard(const struct outlook_look *look)
{
	if (!look->is_expected || look->n_reports > 0)
		return false;
	return look->cpu_ns >= look->unheard_cpu_ns ||
		(look->age_ns >= OUTLOOK_UNHEARD_AGE_NS &&
			look->cpu_ns >= look->unheard_cpu_ns / AGED_CPU_PART);
}

/* What is not known changes nothing of what was told. */
static bool has_changed(struct outlook *outlook, const struct outlook_look *look)
{
	bool is_unlikely = look->prospect == PROSPECT_UNLIKELY;

	outlook->n_steady = look->prospect == outlook->seen ? outlook->n_steady + 1 : 1;
	outlook->seen = look->prospect;
	return look->prospect != PROSPECT_UNKNOWN && is_unlikely != outlook->is_told_unlikely &&
		outlook->n_steady >= OUTLOOK_STEADY_LOOKS &&
		(outlook->told_ns == 0 ||
			nsec_sub(look->now_ns, outlook->told_ns) >= OUTLOOK_PAUSE_NS);
}

enum outlook_news outlook_look(struct outlook *outlook, const struct outlook_look *look)
{
	if (!outlook->is_unheard && is_unheard(look)) {
		outlook->is_unheard = true;
		return OUTLOOK_UNHEARD;
	}
	if (!has_changed(outlook, look))
		return OUTLOOK_NOTHING;
	outlook->is_told_unlikely = look->prospect == PROSPECT_UNLIKELY;
	outlook->told_ns = look->now_ns;
	return outlook->is_told_unlikely ? OUTLOOK_UNLIKELY : OUTLOOK_LIKELY;
}
