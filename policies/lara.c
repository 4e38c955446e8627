// SPDX-License-Identifier: GPL-2.0-or-later
#include "due.h"
#include "feasible.h"
#include "line_fit.h"
#include "log_curve.h"
#include "order.h"
#include "policy_internal.h"

#include <assert.h>
#include <errno.h>
#include <math.h>
#include <stdlib.h>

/* LARA: J. Wang, M. Yu, P. Zhao, Z.-H. Zhou, "Learning with Adaptive Resource Allocation", ICML 2024 (PMLR
 * 235:52099-52116). From its abstract, and from what J. Wang, X.-T. Liu, Z.-H. Zhou (AAAI 2026, see
 * laira.c) say of it.
 *
 * Estimator. The loss is a negative power of the amount of data s, l(s) = a s^-b, a line in logarithms:
 * ln l = ln a - b ln s, with weighted least squares,
 *
 *	min over (b, ln a) of sum over i of discount^(n-i) (ln a - b ln s_i - ln l_i)^2,
 *
 * in closed form from sums that take in each report once. It predicts the amount that the target eps
 * needs, s* = (a / eps)^(1/b); never where b <= 0. The amount of data is CPU time here.
 *
 * Allocation. Given the predicted needs, as many tasks as possible are to meet theirs before their
 * deadlines. The search is guessed, what it finds is not: tasks are tried the shortest need first, and one
 * is kept where all that are kept can still be done (feasible.c). On one CPU that is the largest set: take
 * any largest set that has all that have been kept so far and not the next, which is feasible with them;
 * of its others, all of them longer, replace the one due first by the next, and before each deadline the
 * load is that of the kept and the next alone, or no more than it was. On several CPUs with tasks of few
 * threads it is a good set. The kept run in the order of their deadlines, and everything is estimated and
 * allocated anew in every slot.
 *
 * Balance. A fixed phase of exploration, with the even part of the budget, comes before exploitation.
 * How long it is in the source is not known; it is a part of each task's own window here, since tasks
 * arrive at any time.
 *
 * Guessed besides: a task which by its estimate had met its target before now needs a slot (of one CPU)
 * more; what the chosen leave goes to the others, by deadline (psi conserves work; the source gives them
 * nothing, and by need they make less of it). So does a task that has fewer than two reports after its
 * exploration: it has no line and no predicted need. Losses that are not positive have no
 * logarithm: log_curve.h says what is done. */

#define REPORTS_LEAST 2 /* for a line */
#define EXPONENT_MOST 600

enum {
	DISCOUNT,
	EXPLORE_PART,
	N_PARAMETERS,
};

/* The usual ones were chosen coarsely on 144 simulated bundles of recorded curves: of discounts from 0.8 to 1
 * all are within 0.004 in mean kappa; without exploration it is as good, with a fifth of the window 0.545. */
/* clang-format off */
static const struct policy_parameter parameters[] = {
	[DISCOUNT] = { "discount",
	  "How much a report counts against the next one; less forgets sooner.",
	  "", 0.5, 1, 0.95 },
	[EXPLORE_PART] = { "explore-part",
	  "The first part of its window in which a task has the even part of the budget.",
	  "", 0, 1, 0.02 },
	[N_PARAMETERS] = { .name = NULL },
};
/* clang-format on */
static_assert(N_PARAMETERS <= POLICY_PARAMETERS_MAX, "a value for each");

/* By id. */
struct fitted {
	struct log_curve curve;
	struct line_fit line;
};

/* By place in the view. */
struct candidate {
	uint32_t rank; /* by (deadline, name) */
	double due_s, threads;
	double need_s; /* INFINITY: never */
	bool is_explored, is_chosen;
};

struct policy_state {
	uint32_t n_bundle;
	double discount, explore_part;
	struct fitted *fitted;
	struct candidate *candidates;
	struct feasible_moment *moments;
	uint32_t *order, *scratch;
};

static void lara_free(struct policy_state *state)
{
	if (!state)
		return;
	free(state->fitted);
	free(state->candidates);
	free(state->moments);
	free(state->order);
	free(state->scratch);
	free(state);
}

static int lara_new(struct policy_state **ret_state, const struct policy_setup *setup)
{
	struct policy_state *state = calloc(1, sizeof(*state));
	size_t n = setup->n_bundle > 0 ? setup->n_bundle : 1;
	double values[POLICY_PARAMETERS_MAX];

	if (!state)
		return -ENOMEM;
	policy_parameter_values(&policy_lara, setup->parameters, values);
	*state = (struct policy_state){
		.n_bundle = setup->n_bundle,
		.discount = values[DISCOUNT],
		.explore_part = values[EXPLORE_PART],
		.fitted = calloc(n, sizeof(state->fitted[0])),
		.candidates = calloc(n, sizeof(state->candidates[0])),
		.moments = calloc(n, sizeof(state->moments[0])),
		.order = calloc(n, sizeof(state->order[0])),
		.scratch = calloc(n, sizeof(state->scratch[0])),
	};
	if (!state->fitted || !state->candidates || !state->moments || !state->order ||
		!state->scratch) {
		lara_free(state);
		return -ENOMEM;
	}
	*ret_state = state;
	return 0;
}

static void lara_forget(struct policy_state *state, uint32_t id)
{
	assert(id < state->n_bundle);
	state->fitted[id] = (struct fitted){0};
}

static void take_news(
	const struct policy_state *state, struct fitted *fitted, const struct policy_task *task)
{
	bool is_anew;
	uint32_t at = log_curve_look(&fitted->curve, task, &is_anew);

	if (is_anew)
		fitted->line = (struct line_fit){0};
	for (; at < task->history->n_points; at++) {
		double x, r;

		log_curve_take(&fitted->curve, task, at, &x, &r);
		line_fit_take(&fitted->line, state->discount, x, r);
	}
}

/* How much more CPU time than it has used. */
static double need_of(const struct fitted *fitted, const struct policy_task *task, double slot_s)
{
	double slope, level, x, need_s;

	if (fitted->curve.n_taken < REPORTS_LEAST ||
		!line_fit_solve(&fitted->line, /* ridge= */ 0, &slope, &level) || !(slope < 0))
		return INFINITY;
	x = (fitted->curve.target - level) / slope;
	if (!(x < EXPONENT_MOST))
		return INFINITY;
	need_s = ((double)fitted->curve.first_ns * exp(x) - (double)task->cpu_ns) * 1e-9;
	return fmax(need_s, slot_s);
}

static bool is_explored(
	const struct policy_state *state, const struct policy_task *task, uint64_t now_ns)
{
	double window = (double)(task->deadline_ns - task->begin_ns);
	double since = now_ns > task->begin_ns ? (double)(now_ns - task->begin_ns) : 0;

	return since < state->explore_part * window;
}

static void look(
	struct policy_state *state, const struct policy_view *view, struct feasible *feasible)
{
	due_order(view, state->order, state->scratch);
	feasible_init(feasible, state->moments);
	for (uint32_t i = 0; i < view->n_tasks; i++) {
		uint32_t at = state->order[i];
		const struct policy_task *task = &view->tasks[at];
		struct fitted *fitted = &state->fitted[task->id];
		double due_s = task->deadline_ns > view->now_ns
			? (double)(task->deadline_ns - view->now_ns) * 1e-9
			: 0;

		take_news(state, fitted, task);
		state->candidates[at] = (struct candidate){
			.rank = i,
			.due_s = due_s,
			.threads = fmin(task->counted, view->budget_cpus),
			.need_s = need_of(fitted, task, (double)view->slot_ns * 1e-9),
			.is_explored = is_explored(state, task, view->now_ns),
		};
		feasible_add_moment(feasible, due_s, view->budget_cpus);
	}
}

static bool needs_less(const void *context, uint32_t a, uint32_t b)
{
	const struct policy_state *state = context;
	const struct candidate *one = &state->candidates[a], *other = &state->candidates[b];

	if (one->need_s < other->need_s || one->need_s > other->need_s)
		return one->need_s < other->need_s;
	return one->rank < other->rank;
}

static void choose(
	struct policy_state *state, const struct policy_view *view, struct feasible *feasible)
{
	order_init(state->order, view->n_tasks);
	order_sort(state->order, state->scratch, view->n_tasks, needs_less, state);
	for (uint32_t i = 0; i < view->n_tasks; i++) {
		struct candidate *own = &state->candidates[state->order[i]];

		if (own->is_explored || own->need_s > own->threads * own->due_s)
			continue;
		own->is_chosen = feasible_raise(feasible, own->due_s, own->threads, 0, own->need_s);
	}
}

static bool runs_before(const void *context, uint32_t a, uint32_t b)
{
	const struct policy_state *state = context;
	const struct candidate *one = &state->candidates[a], *other = &state->candidates[b];

	if (one->is_chosen != other->is_chosen)
		return one->is_chosen;
	return one->rank < other->rank;
}

/* First its even part to each that is explored, then all it can use to each in the order. */
static void give(struct policy_state *state, const struct policy_view *view, double ret_shares[],
	enum why ret_why[])
{
	double even = view->n_tasks > 0 ? view->budget_cpus / view->n_tasks : 0;
	double left = view->budget_cpus;

	for (uint32_t i = 0; i < view->n_tasks; i++) {
		ret_shares[i] = 0;
		if (state->candidates[i].is_explored)
			ret_shares[i] = fmin(fmin(even, view->tasks[i].usable), left);
		left -= ret_shares[i];
	}
	order_init(state->order, view->n_tasks);
	order_sort(state->order, state->scratch, view->n_tasks, runs_before, state);
	for (uint32_t i = 0; i < view->n_tasks; i++) {
		uint32_t at = state->order[i];
		const struct candidate *own = &state->candidates[at];
		double usable = view->tasks[at].usable;
		double more = fmin(usable - ret_shares[at], fmax(left, 0));

		ret_shares[at] = fmin(ret_shares[at] + more, usable);
		left -= more;
		if (own->is_explored)
			ret_why[at] = WHY_EQUAL;
		else if (!own->is_chosen)
			ret_why[at] = WHY_WRITTEN_OFF;
		else
			ret_why[at] = ret_shares[at] > 0 ? WHY_CHOSEN : WHY_NONE_LEFT;
	}
}

static void lara_plan(struct policy_state *state, const struct policy_view *view,
	double ret_shares[], enum why ret_why[])
{
	struct feasible feasible;

	view_check(view);
	assert(view->n_bundle == state->n_bundle);
	look(state, view, &feasible);
	choose(state, view, &feasible);
	give(state, view, ret_shares, ret_why);
}

const struct policy policy_lara = {
	.name = "lara",
	.summary = "explores, then runs the most tasks that a power law lets succeed (LARA)",
	.parameters = parameters,
	.new = lara_new,
	.plan = lara_plan,
	.forget = lara_forget,
	.free = lara_free,
};
