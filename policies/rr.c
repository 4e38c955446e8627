// SPDX-License-Identifier: GPL-2.0-or-later
#include "give.h"
#include "order.h"
#include "policy_internal.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>

/* Round robin, the classic of time-sharing (Kleinrock 1964): the tasks stand in a queue in order of arrival;
 * those in front have all they can use, as many of them as the budget carries at once, the last of these what
 * is left; who has had its turn goes to the end of the queue, behind who has come meanwhile.
 *
 * A turn is so many slots of all that the task can use, and lasts longer where it has less: who is the last
 * of those in front has used up as much of its turn as it was given of what it can use, and goes on in the
 * next slot, then in front. So turns are the same CPU time for tasks of the same threads.
 *
 * A place in the queue is a number that a task draws when it is first seen, and anew behind each turn. The
 * slot before is accounted for when the next one is planned: what is planned again within a slot, as a share
 * has come free or an answer is only repeated, takes nobody's turn away. */

enum { TURN, N_PARAMETERS };

/* clang-format off */
static const struct policy_parameter parameters[] = {
	[TURN] = { "turn",
	  "How many slots a turn is; more lets tasks run longer at a stretch, and wait longer.",
	  "", 1, 1000, 1 },
	[N_PARAMETERS] = { .name = NULL },
};
/* clang-format on */

struct place {
	uint64_t ticket; /* its number in the queue; 0: it has none yet */
	double had;      /* of its turn, in slots */
	double part;     /* of what it can use, in the last planned slot */
};

struct policy_state {
	uint32_t n_bundle;
	double turn;
	uint64_t next_ticket;
	uint64_t slot; /* of the last plan */
	const struct policy_view *view;
	uint32_t *order, *scratch; /* n_bundle */
	struct place places[];     /* n_bundle, by id */
};

static void rr_free(struct policy_state *state)
{
	if (!state)
		return;
	free(state->order);
	free(state->scratch);
	free(state);
}

static int rr_new(struct policy_state **ret_state, const struct policy_setup *setup)
{
	double values[POLICY_PARAMETERS_MAX];
	size_t n = setup->n_bundle > 0 ? setup->n_bundle : 1;
	struct policy_state *state = calloc(1, sizeof(*state) + n * sizeof(state->places[0]));

	if (!state)
		return -ENOMEM;
	policy_parameter_values(&policy_rr, setup->parameters, values);
	state->n_bundle = setup->n_bundle;
	state->turn = values[TURN];
	state->next_ticket = 1;
	state->order = calloc(n, sizeof(state->order[0]));
	state->scratch = calloc(n, sizeof(state->scratch[0]));
	if (!state->order || !state->scratch) {
		rr_free(state);
		return -ENOMEM;
	}
	*ret_state = state;
	return 0;
}

static void rr_forget(struct policy_state *state, uint32_t id)
{
	assert(id < state->n_bundle);
	state->places[id] = (struct place){0};
}

static struct place *place_of(const struct policy_state *state, uint32_t at)
{
	return (struct place *)&state->places[state->view->tasks[at].id];
}

static bool is_before(const void *context, uint32_t a, uint32_t b)
{
	return place_of(context, a)->ticket < place_of(context, b)->ticket;
}

/* Who has come gets a place, in order of arrival: that of the view. */
static void queue_up(struct policy_state *state)
{
	for (uint32_t i = 0; i < state->view->n_tasks; i++) {
		struct place *place = place_of(state, i);

		if (place->ticket == 0)
			place->ticket = state->next_ticket++;
	}
}

static void sort_queue(struct policy_state *state)
{
	order_init(state->order, state->view->n_tasks);
	order_sort(state->order, state->scratch, state->view->n_tasks, is_before, state);
}

/* The slot before is over: who has had its turn goes to the end, in the order of the queue. */
static void end_turns(struct policy_state *state)
{
	sort_queue(state);
	for (uint32_t i = 0; i < state->view->n_tasks; i++) {
		struct place *place = place_of(state, state->order[i]);

		place->had += place->part;
		place->part = 0;
		if (place->had < state->turn - 1e-9)
			continue;
		place->had = 0;
		place->ticket = state->next_ticket++;
	}
}

static void rr_plan(struct policy_state *state, const struct policy_view *view, double ret_shares[],
	enum why ret_why[])
{
	view_check(view);
	assert(view->n_bundle == state->n_bundle);
	state->view = view;
	queue_up(state);
	if (view->slot != state->slot)
		end_turns(state);
	state->slot = view->slot;
	sort_queue(state);
	give_in_order(view, state->order, view->budget_cpus, ret_shares, ret_why);
	for (uint32_t i = 0; i < view->n_tasks; i++)
		place_of(state, i)->part = ret_shares[i] / view->tasks[i].usable;
	state->view = NULL;
}

const struct policy policy_rr = {
	.name = "rr",
	.summary = "round robin: each all it can use, in turns",
	.parameters = parameters,
	.new = rr_new,
	.plan = rr_plan,
	.forget = rr_forget,
	.free = rr_free,
};
