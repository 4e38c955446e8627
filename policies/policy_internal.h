/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

#include "policy.h"

/* For the implementations of policies only. */

/* One instance each, in the file of its name. */
extern const struct policy policy_core, policy_edf, policy_edf_drop, policy_equal, policy_exclusive,
	policy_fifo, policy_fixed, policy_flowcon, policy_halving, policy_laira, policy_lara,
	policy_optimus, policy_oracle, policy_rr, policy_script, policy_slaq, policy_srpt,
	policy_tradl;

/* Asserts what policy.h promises of a view: a finite budget >= 0, at most as many tasks as the
 * bundle has, ids below that, finite threads > 0, counted and usable in
 * (0, threads], a finite target, a deadline after begin, a name
 * and a history. Linear. */
void view_check(const struct policy_view *view);
