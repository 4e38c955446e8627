/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

#include "policy.h"

/* The state of the plain policies: room to sort the alive set, and no memory of earlier slots. */
struct policy_state {
	uint32_t n_bundle;
	uint32_t *scratch; /* n_bundle, behind order */
	uint32_t order[];  /* n_bundle */
};

int plain_new(struct policy_state **ret_state, const struct policy_setup *setup);
void plain_free(struct policy_state *state);
