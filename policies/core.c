// SPDX-License-Identifier: GPL-2.0-or-later
#include "due.h"
#include "feasible.h"
#include "give.h"
#include "offer.h"
#include "order.h"
#include "policy_internal.h"

#include <assert.h>
#include <errno.h>
#include <math.h>
#include <stdlib.h>

/* Our psi: forecast, choose, run by deadline.
 *
 * 1. Each task's remaining need is forecast as a distribution (forecast.c), anew when it has news.
 * 2. Each task offers steps: so much more chance for so much more CPU time (offer.c).
 * 3. The best steps of all are taken in turn, as long as what has been taken can still all be given
 *    before the deadlines (feasible.c). A task whose next step does not fit is left at what it has; one
 *    that has nothing gets a part of its first step, where a part fits that is nearly as good.
 * 4. The chosen tasks, those with a step taken, get the budget by deadline, each up to what it can
 *    use; the more promising first where deadlines are equal; what they leave goes to the others,
 *    the most promising first. Where the budget is more than one task can use, work cannot be made
 *    up for at the end by giving it to one task: so a task that may need long is not due at its deadline
 *    but before, by a part of what it may need. With needs that are known, all of it would be right: least
 *    laxity first; with forecasts, a third.
 *
 * A slot's shares go by what the tasks can use in it, the plan behind them by their threads, or where
 * nobody knows these by what they have been seen to use for a while: what a task does in a slot says
 * little of the time until its deadline.
 *
 * Nothing is decided for good: a plan is made afresh every slot, without hysteresis, from the cached
 * forecasts. Being written off only means to come after the chosen; such a task runs on leftovers,
 * and a good report brings it back. A wrong "hopeless" costs more than anything else.
 *
 * The plan counts on capacity-part of the budget: slots and deadlines do not meet exactly.
 *
 * Ties go by deadline, then by name, so that neither the order of the tasks in the view nor their ids
 * decide. Steps are at most a score a task and most tasks have a few; the cost is that of sorting them
 * and of one pass over the deadlines for each that is tried. */

enum {
	CAPACITY_PART,
	CHARGE_UNUSED,
	CHARGE_DUE,
	CHANCE_POWER,
	ROOM_POWER,
	PART_SLOPE,
	UNSEEN_PART,
	UNSEEN_SPREAD,
	UNSEEN_CHANCE,
	NEVER_ODDS,
	LAXITY_PART,
	N_PARAMETERS,
};

/* What is usual was chosen on simulated bundles of recorded curves. How good a part of a step must be: on
 * 768 and 144 of them 0.9 is as good as no parts at all (kappa 0.6622 against 0.6620, and 0.6434 twice),
 * 0.5 costs 0.003 and 0.007. What parts are for is that a few milliseconds of noise in when a report was
 * made do not decide whether a task is written off.
 *
 * never-odds from 0.4 to 0.8 come to the same there, and with less than that the last of the three tasks of
 * examples/fig1c.bundle that can learn is lost more often to one that cannot, when reports come up to 65 ms late:
 * in 19, 3, and 5 of 200 runs with 0.5, 0.8, and 1.
 *
 * The ranges are those in which a plan is one: it counts on no more than there is, charges a task for no
 * less than it is expected to take and no more than its quota, and leaves none without a chance. */
/* clang-format off */
static const struct policy_parameter parameters[] = {
	[CAPACITY_PART] = { "capacity-part",
	  "The part of the budget that the plan counts on; less chooses fewer tasks, more surely.",
	  "", 0.5, 1, 0.97 },
	[CHARGE_UNUSED] = { "charge-unused",
	  "How much is charged of what a task is expected to leave of its quota; less chooses more tasks.",
	  "", 0, 1, 0.7 },
	[CHARGE_DUE] = { "charge-due",
	  "The part of the time to its deadline that is added to a step's cost; more puts off what can wait.",
	  "", 0, 1, 0.03 },
	[CHANCE_POWER] = { "chance-power",
	  "The exponent of the chance in a step's worth; less favours small steps, more sure ones.",
	  "", 0, 2, 0.9 },
	[ROOM_POWER] = { "room-power",
	  "The exponent of the room in a step's worth; more puts behind what needs nearly all its time.",
	  "", 0, 2, 0.1 },
	[PART_SLOPE] = { "part-slope",
	  "How good a part of a step that does not fit has to be, against the whole; with 1 none is taken.",
	  "", 0, 1, 0.9 },
	[UNSEEN_PART] = { "unseen-part",
	  "The part of its window that a task without a report needs, in the median; less tries it sooner.",
	  "", 0.01, 1, UNSEEN_PART_USUAL },
	[UNSEEN_SPREAD] = { "unseen-spread",
	  "The standard deviation of the logarithm of that need; more makes a little try cheaper.",
	  "", 0.1, 3, UNSEEN_SPREAD_USUAL },
	[UNSEEN_CHANCE] = { "unseen-chance",
	  "The chance that a task without a report gets there at all; less puts it behind the others.",
	  "", 0.1, 1, UNSEEN_CHANCE_USUAL },
	[NEVER_ODDS] = { "never-odds",
	  "What the odds that a task with reports never gets there are multiplied by; less gives up later.",
	  "", 0.1, 10, 0.8 },
	[LAXITY_PART] = { "laxity-part",
	  "How much sooner than its deadline a task is due, in parts of what it may need; 0 is by deadline.",
	  "", 0, 1, 0.35 },
	[N_PARAMETERS] = { .name = NULL },
};
/* clang-format on */
static_assert(N_PARAMETERS <= POLICY_PARAMETERS_MAX, "a value for each");

/* Of the chance, what is taken for "it may need so long". */
#define LONG_PART 0.9

struct seen {
	bool is_made;
	uint64_t n_reports, n_not_finite; /* when it was made */
	struct forecast forecast;
};

/* What the plan holds of an alive task, by its place in the view. */
struct stake {
	uint32_t rank; /* by (deadline, name) */
	double due_s, threads;
	double charge_s;    /* taken so far; 0: not chosen */
	double start_s;     /* when it is due to run, in the order of the chosen */
	double first_slope; /* of the offer: chance / charge; 0: nothing offered */
	bool is_closed;
};

struct policy_state {
	uint32_t n_bundle;
	double capacity_part, part_slope, never_odds, laxity_part;
	struct offer_terms terms;
	struct forecast_unseen unseen;
	struct seen *seen;               /* n_bundle, by id */
	struct stake *stakes;            /* n_bundle */
	struct feasible_moment *moments; /* n_bundle */
	struct step *steps;              /* FORECAST_POINTS_MAX a task */
	uint32_t *order, *scratch;       /* the same */
};

static void core_free(struct policy_state *state)
{
	if (!state)
		return;
	free(state->seen);
	free(state->stakes);
	free(state->moments);
	free(state->steps);
	free(state->order);
	free(state->scratch);
	free(state);
}

static void take_parameters(struct policy_state *state, const double given[])
{
	double values[POLICY_PARAMETERS_MAX];

	policy_parameter_values(&policy_core, given, values);
	state->capacity_part = values[CAPACITY_PART];
	state->part_slope = values[PART_SLOPE];
	state->never_odds = values[NEVER_ODDS];
	state->laxity_part = values[LAXITY_PART];
	state->terms = (struct offer_terms){
		.charge_unused = values[CHARGE_UNUSED],
		.charge_due = values[CHARGE_DUE],
		.chance_power = values[CHANCE_POWER],
		.room_power = values[ROOM_POWER],
	};
	state->unseen = (struct forecast_unseen){
		.part = values[UNSEEN_PART],
		.spread = values[UNSEEN_SPREAD],
		.chance = values[UNSEEN_CHANCE],
	};
}

static int core_new(struct policy_state **ret_state, const struct policy_setup *setup)
{
	struct policy_state *state = calloc(1, sizeof(*state));
	size_t n = setup->n_bundle > 0 ? setup->n_bundle : 1;

	if (!state)
		return -ENOMEM;
	state->n_bundle = setup->n_bundle;
	take_parameters(state, setup->parameters);
	state->seen = calloc(n, sizeof(state->seen[0]));
	state->stakes = calloc(n, sizeof(state->stakes[0]));
	state->moments = calloc(n, sizeof(state->moments[0]));
	state->steps = calloc(n * FORECAST_POINTS_MAX, sizeof(state->steps[0]));
	state->order = calloc(n * FORECAST_POINTS_MAX, sizeof(state->order[0]));
	state->scratch = calloc(n * FORECAST_POINTS_MAX, sizeof(state->scratch[0]));
	if (!state->seen || !state->stakes || !state->moments || !state->steps || !state->order ||
		!state->scratch) {
		core_free(state);
		return -ENOMEM;
	}
	*ret_state = state;
	return 0;
}

static void core_forget(struct policy_state *state, uint32_t id)
{
	assert(id < state->n_bundle);
	state->seen[id].is_made = false;
}

static const struct forecast *forecast_of(
	struct policy_state *state, const struct policy_task *task)
{
	struct seen *seen = &state->seen[task->id];
	const struct history *history = task->history;

	if (!seen->is_made || seen->n_reports != history->n_reports ||
		seen->n_not_finite != history->n_not_finite) {
		forecast_make(task, &state->unseen, &seen->forecast);
		if (seen->forecast.used_s > 0) /* of the others unseen-chance says it */
			forecast_doubt(&seen->forecast, state->never_odds);
		seen->is_made = true;
		seen->n_reports = history->n_reports;
		seen->n_not_finite = history->n_not_finite;
	}
	return &seen->forecast;
}

/* Ranks the tasks by deadline and lays out the moments. */
static void stakes_init(
	struct policy_state *state, const struct policy_view *view, struct feasible *feasible)
{
	due_order(view, state->order, state->scratch);
	feasible_init(feasible, state->moments);
	for (uint32_t i = 0; i < view->n_tasks; i++) {
		const struct policy_task *task = &view->tasks[state->order[i]];
		double due_s = (double)(task->deadline_ns - view->now_ns) * 1e-9;

		state->stakes[state->order[i]] = (struct stake){
			.rank = i,
			.due_s = due_s,
			.threads = fmin(task->counted, view->budget_cpus),
		};
		feasible_add_moment(feasible, due_s, state->capacity_part * view->budget_cpus);
	}
}

/* The moment by which the task is put in order: see 4 above. */
static double start_of(const struct policy_state *state, const struct policy_view *view,
	const struct policy_task *task, const struct stake *stake)
{
	double cap_s = stake->threads * stake->due_s;

	if (state->laxity_part <= 0 || stake->threads >= view->budget_cpus)
		return stake->due_s;
	return stake->due_s -
		state->laxity_part *
		forecast_quantile(&state->seen[task->id].forecast, (double)task->cpu_ns * 1e-9,
			cap_s, LONG_PART) /
		stake->threads;
}

static uint32_t collect_steps(struct policy_state *state, const struct policy_view *view)
{
	uint32_t n = 0;

	for (uint32_t i = 0; i < view->n_tasks; i++) {
		const struct policy_task *task = &view->tasks[i];
		struct stake *stake = &state->stakes[i];
		uint32_t n_more = offer_make(forecast_of(state, task), &state->terms,
			(double)task->cpu_ns * 1e-9, stake->due_s, stake->threads * stake->due_s, i,
			state->steps + n);

		if (n_more > 0)
			stake->first_slope = state->steps[n].chance / state->steps[n].charge_s;
		stake->start_s = start_of(state, view, task, stake);
		n += n_more;
	}
	return n;
}

static bool is_worth_more(const void *context, uint32_t a, uint32_t b)
{
	const struct policy_state *state = context;
	const struct step *one = &state->steps[a], *other = &state->steps[b];

	if (one->worth > other->worth || one->worth < other->worth)
		return one->worth > other->worth;
	return state->stakes[one->task].rank < state->stakes[other->task].rank;
}

static bool is_chosen(const struct stake *stake)
{
	return stake->charge_s > 0;
}

/* For a task that has nothing yet, and whose step does not fit: the most that does. */
static void take_part(struct policy_state *state, const struct policy_view *view,
	struct feasible *feasible, uint32_t task)
{
	struct stake *stake = &state->stakes[task];
	double charges_s[FORECAST_POINTS_MAX];
	uint32_t n = offer_parts(&state->seen[view->tasks[task].id].forecast, &state->terms,
		(double)view->tasks[task].cpu_ns * 1e-9, stake->threads * stake->due_s,
		state->part_slope * stake->first_slope, charges_s);

	while (n-- > 0)
		if (feasible_raise(feasible, stake->due_s, stake->threads, 0, charges_s[n])) {
			stake->charge_s = charges_s[n];
			return;
		}
}

static void take_steps(struct policy_state *state, const struct policy_view *view,
	struct feasible *feasible, uint32_t n_steps)
{
	order_init(state->order, n_steps);
	order_sort(state->order, state->scratch, n_steps, is_worth_more, state);
	for (uint32_t i = 0; i < n_steps; i++) {
		const struct step *step = &state->steps[state->order[i]];
		struct stake *stake = &state->stakes[step->task];

		if (stake->is_closed || step->charge_s <= stake->charge_s)
			continue;
		if (feasible_raise(feasible, stake->due_s, stake->threads, stake->charge_s,
			    step->charge_s)) {
			stake->charge_s = step->charge_s;
			continue;
		}
		stake->is_closed = true;
		if (!is_chosen(stake))
			take_part(state, view, feasible, step->task);
	}
}

static bool runs_before(const void *context, uint32_t a, uint32_t b)
{
	const struct policy_state *state = context;
	const struct stake *one = &state->stakes[a], *other = &state->stakes[b];

	if (is_chosen(one) != is_chosen(other))
		return is_chosen(one);
	if (is_chosen(one) && (one->start_s < other->start_s || one->start_s > other->start_s))
		return one->start_s < other->start_s;
	if (one->first_slope > other->first_slope || one->first_slope < other->first_slope)
		return one->first_slope > other->first_slope;
	return one->rank < other->rank;
}

static void core_plan(struct policy_state *state, const struct policy_view *view,
	double ret_shares[], enum why ret_why[])
{
	struct feasible feasible;

	view_check(view);
	assert(view->n_bundle == state->n_bundle);
	if (!(view->budget_cpus > 0)) { /* nothing to plan with, nobody to write off */
		give_in_order(view, /* order= */ NULL, 0, ret_shares, ret_why);
		return;
	}
	stakes_init(state, view, &feasible);
	take_steps(state, view, &feasible, collect_steps(state, view));
	order_init(state->order, view->n_tasks);
	order_sort(state->order, state->scratch, view->n_tasks, runs_before, state);
	give_in_order(view, state->order, view->budget_cpus, ret_shares, ret_why);
	for (uint32_t i = 0; i < view->n_tasks; i++) {
		if (!is_chosen(&state->stakes[i]))
			ret_why[i] = WHY_WRITTEN_OFF;
		else if (ret_shares[i] > 0)
			ret_why[i] = WHY_CHOSEN;
	}
}

const struct policy policy_core = {
	.name = "core",
	.summary = "forecasts every learning curve, and runs the set that promises most",
	.parameters = parameters,
	.new = core_new,
	.plan = core_plan,
	.forget = core_forget,
	.free = core_free,
};
