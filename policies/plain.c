// SPDX-License-Identifier: GPL-2.0-or-later
#include "plain.h"

#include <errno.h>
#include <stdlib.h>

/* The plain policies decide from the view alone; all they keep between slots is the room to sort in,
 * so that a plan allocates nothing. */

int plain_new(struct policy_state **ret_state, const struct policy_setup *setup)
{
	size_t n = setup->n_bundle;
	struct policy_state *state = malloc(sizeof(*state) + 2 * n * sizeof(state->order[0]));

	if (!state)
		return -ENOMEM;
	state->n_bundle = setup->n_bundle;
	state->scratch = state->order + n;
	*ret_state = state;
	return 0;
}

void plain_free(struct policy_state *state)
{
	free(state);
}
