// SPDX-License-Identifier: GPL-2.0-or-later
#include "drift_filter.h"
#include "due.h"
#include "give.h"
#include "line_fit.h"
#include "log_curve.h"
#include "order.h"
#include "policy_internal.h"

#include <assert.h>
#include <errno.h>
#include <math.h>
#include <stdlib.h>

/* LaiRA: J. Wang, X.-T. Liu, Z.-H. Zhou, "CoRE-Learning with Look-Ahead and Immediate Resource Allocation",
 * AAAI 2026, 40(31):26294-26301; the numbers of equations are those there. The loss is l(s) = a s^-b with
 * a and b that drift, so with X_n = (ln s_n, 1) and theta = (-b, ln a)
 *
 *	(2)	r_n = ln l(s_n) = X_n' theta_n + noise.
 *
 * In each slice of time, of M slots:
 *
 * Look-ahead. (3)-(7): a Kalman filter of theta, its speed and its acceleration (drift_filter.c). With D
 * reports still to come if the task had all that is left, (8): the line of F^D Theta, at the CPU time
 * that it would have then. It is feasible where that is at most the target.
 *
 * Immediate. (9): theta by discounted least squares with a ridge (line_fit.c), V its matrix.
 *
 *	(11)	rho  = (ln l_now - ln eps) / (ln(s + (d - t) N) - ln s)	what is needed
 *	(12)	rho^ = (ln l_now - r^) / (ln(s + M N) - ln s)		what is predicted, with
 *		r^ = X' theta - beta |X|_(V^-1)				an optimistic bound
 *	Theorem 1: beta = sqrt(ridge) S + R sqrt(2 ln(1/delta) + 2 ln(1 + L^2 (1 - g^2n) / (2 ridge (1 - g^2))))
 *
 * with L = |X_n| and g the discount. (13): the slice goes to the feasible task with the largest
 * rho^ / rho.
 *
 * Slice. (10) and what follows: with e the mean error of what was predicted for a slice,
 *
 *	M <- max(1, floor(M + Kp (e' - e'') + Kd (e' - 2 e'' + e''')))
 *
 * for the newest three errors; the first three slices have the first length. Good predictions are to
 * make M longer, says the source, so Kp and Kd have to be below 0; gain and gain-change are -Kp and -Kd.
 *
 * Here: s is CPU time in units of that of the first report, N what the task can use of the budget, B of the
 * source (data for a report) the mean distance of reports so far, a slice a whole number of slots. Where
 * the budget is more than the winner can use, the next ones win what is left, in order.
 *
 * Guessed, or different:
 *  - The constants; the longer version that has them is not at hand. Filter and least squares start from a
 *    line without slope through the first report (theta = 0 in units of the first loss): the source starts
 *    from theta = 0, too, in units that it does not name.
 *  - A task with fewer than check-reports reports is feasible without a check. One without a report has no
 *    rho^ at all; it comes first, the earlier deadline first, until it has used explore-part of its window
 *    as CPU time, and after that behind all feasible ones.
 *  - Errors are those of ln l, so that tasks with losses of another size can be averaged, of the tasks that
 *    won and have reported since: what got nothing has no error.
 *  - M is at most slice-most. A slice ends before its time where one that had won it has ended: else
 *    nobody's CPU time would be left to run on.
 *  - What the feasible cannot use goes to the others, by deadline; the source gives them nothing. So does
 *    a slice without any that is feasible.
 * Losses that are not positive have no logarithm: log_curve.h says what is done. */

#define SLICES_FIXED 3
#define SCORE_MOST 1e9
#define RATE_LEAST 1e-9 /* required rates below: its target is met, but for reports in a row */

enum {
	SLICE_FIRST,
	SLICE_MOST,
	GAIN,
	GAIN_CHANGE,
	DISCOUNT,
	RIDGE,
	SIZE,
	NOISE,
	DOUBT,
	STEP,
	WANDER,
	SPREAD_LINE,
	SPREAD_SPEED,
	SPREAD_CHANGE,
	CHECK_REPORTS,
	EXPLORE_PART,
	N_PARAMETERS,
};

/* The usual ones were chosen coarsely on 144 simulated bundles of recorded curves, one after the other, over
 * one to four orders of magnitude each. Mean kappa is 0.54 to 0.56 but for long first slices (0.50 with 10
 * slots) and for more check-reports (0.47 with 10: so many for each task are too long an exploration). */
/* clang-format off */
static const struct policy_parameter parameters[] = {
	[SLICE_FIRST] = { "slice-first",
	  "The length of the first slices, in slots.",
	  "", 1, 1000, 2 },
	[SLICE_MOST] = { "slice-most",
	  "The length of any slice at most, in slots.",
	  "", 1, 1000, 10 },
	[GAIN] = { "gain",
	  "How many slots shorter a slice gets for each unit that the error of ln(loss) has grown by.",
	  "", 0, 1000, 10 },
	[GAIN_CHANGE] = { "gain-change",
	  "The same for each unit by which that growth has grown.",
	  "", 0, 1000, 5 },
	[DISCOUNT] = { "discount",
	  "How much a report counts against the next one in the fit for the slice; less forgets sooner.",
	  "", 0.5, 0.9999, 0.95 },
	[RIDGE] = { "ridge",
	  "The weight of the squared fit itself, which keeps it flat while there are few reports.",
	  "", 1e-6, 100, 1 },
	[SIZE] = { "size",
	  "The bound of the fit's size, S of the source; more favours tasks that little is known of.",
	  "", 0, 10, 1 },
	[NOISE] = { "noise",
	  "The noise of ln(loss), a standard deviation, of the fit and of the filter.",
	  "", 1e-4, 1, 0.01 },
	[DOUBT] = { "doubt",
	  "The chance that the bound is wrong, delta of the source; less favours tasks that little is known of.",
	  "", 1e-6, 1, 0.1 },
	[STEP] = { "step",
	  "The filter's time between two reports; less trusts speed and acceleration less.",
	  "", 1e-4, 1, 0.01 },
	[WANDER] = { "wander",
	  "The variance that the filter adds to each of its numbers with a report.",
	  "", 0, 1, 1e-7 },
	[SPREAD_LINE] = { "spread-line",
	  "The variance of slope and level before the first report.",
	  "", 1e-6, 100, 1 },
	[SPREAD_SPEED] = { "spread-speed",
	  "The variance of how fast these drift.",
	  "", 0, 100, 0.1 },
	[SPREAD_CHANGE] = { "spread-change",
	  "The variance of how that changes.",
	  "", 0, 100, 1e-4 },
	[CHECK_REPORTS] = { "check-reports",
	  "How many reports there have to be before a task is found infeasible.",
	  "", 1, 1000, 1 },
	[EXPLORE_PART] = { "explore-part",
	  "The part of its window that a task without a report is put in front for.",
	  "", 0, 1, 0.05 },
	[N_PARAMETERS] = { .name = NULL },
};
/* clang-format on */
static_assert(N_PARAMETERS <= POLICY_PARAMETERS_MAX, "a value for each");

/* What comes first in a slice. */
enum class {
	CLASS_UNSEEN, /* nothing reported, its time to do so not over */
	CLASS_FEASIBLE,
	CLASS_SILENT, /* nothing reported */
	CLASS_INFEASIBLE,
	CLASS_LATER, /* came while the slice ran */
};

/* By id. */
struct fitted {
	struct log_curve curve;
	struct line_fit line;
	struct drift_filter filter;
	enum class class;
	uint32_t rank; /* in the slice, from 0 */
	bool is_ranked, is_winner;
	uint32_t n_taken;    /* when the slice began */
	double slope, level; /* of the line then */
};

/* By place in the view. */
struct rival {
	enum class class;
	double score;
	uint32_t place; /* by (deadline, name) while a slice begins; then in the slice */
};

struct policy_state {
	uint32_t n_bundle;
	double values[POLICY_PARAMETERS_MAX];
	struct drift_terms terms;
	uint64_t n_slices, end_ns; /* slices begun; when the one that runs is over */
	uint32_t n_winners;
	double length;    /* of the slice, in slots; whole */
	double errors[3]; /* of the slices before, the newest first */
	struct fitted *fitted;
	struct rival *rivals;
	uint32_t *order, *scratch;
};

static void laira_free(struct policy_state *state)
{
	if (!state)
		return;
	free(state->fitted);
	free(state->rivals);
	free(state->order);
	free(state->scratch);
	free(state);
}

static int laira_new(struct policy_state **ret_state, const struct policy_setup *setup)
{
	struct policy_state *state = calloc(1, sizeof(*state));
	size_t n = setup->n_bundle > 0 ? setup->n_bundle : 1;

	if (!state)
		return -ENOMEM;
	state->n_bundle = setup->n_bundle;
	policy_parameter_values(&policy_laira, setup->parameters, state->values);
	state->terms = (struct drift_terms){
		.step = state->values[STEP],
		.noise = state->values[NOISE] * state->values[NOISE],
		.wander = state->values[WANDER],
		.spread_line = state->values[SPREAD_LINE],
		.spread_speed = state->values[SPREAD_SPEED],
		.spread_change = state->values[SPREAD_CHANGE],
	};
	state->fitted = calloc(n, sizeof(state->fitted[0]));
	state->rivals = calloc(n, sizeof(state->rivals[0]));
	state->order = calloc(n, sizeof(state->order[0]));
	state->scratch = calloc(n, sizeof(state->scratch[0]));
	if (!state->fitted || !state->rivals || !state->order || !state->scratch) {
		laira_free(state);
		return -ENOMEM;
	}
	*ret_state = state;
	return 0;
}

static void laira_forget(struct policy_state *state, uint32_t id)
{
	assert(id < state->n_bundle);
	state->fitted[id] = (struct fitted){0};
}

static void take_news(
	const struct policy_state *state, struct fitted *fitted, const struct policy_task *task)
{
	bool is_anew;
	uint32_t at = log_curve_look(&fitted->curve, task, &is_anew);

	if (is_anew) {
		fitted->line = (struct line_fit){0};
		fitted->n_taken = 0;
		drift_filter_init(&fitted->filter, &state->terms);
	}
	for (; at < task->history->n_points; at++) {
		double x, r;

		log_curve_take(&fitted->curve, task, at, &x, &r);
		line_fit_take(&fitted->line, state->values[DISCOUNT], x, r);
		drift_filter_take(&fitted->filter, &state->terms, x, r);
	}
}

static double seconds_to_deadline(const struct policy_task *task, uint64_t now_ns)
{
	return task->deadline_ns > now_ns ? (double)(task->deadline_ns - now_ns) * 1e-9 : 0;
}

/* (8) */
static bool is_feasible(const struct policy_state *state, const struct fitted *fitted,
	const struct policy_task *task, double rest_s)
{
	const struct log_curve *curve = &fitted->curve;
	double between_s, n_steps;

	if (curve->n_taken < state->values[CHECK_REPORTS])
		return true;
	between_s = curve->n_taken > 1
		? (double)(curve->last_ns - curve->first_ns) * 1e-9 / (curve->n_taken - 1)
		: (double)curve->first_ns * 1e-9;
	n_steps = floor(rest_s / between_s);
	return drift_filter_ahead(&fitted->filter, &state->terms, n_steps,
		       log_curve_x(curve, (double)task->cpu_ns * 1e-9 + rest_s)) <= curve->target;
}

/* Theorem 1, its last term. */
static double bound(const struct policy_state *state, uint32_t n, double x)
{
	const double *values = state->values;
	double ridge = values[RIDGE], square = values[DISCOUNT] * values[DISCOUNT];
	double seen = (x * x + 1) * (1 - pow(square, n)) / (2 * ridge * (1 - square));

	return sqrt(ridge) * values[SIZE] +
		values[NOISE] * sqrt(2 * log(1 / values[DOUBT]) + 2 * log(1 + seen));
}

/* rho^ / rho by (11) and (12). */
static double score(const struct policy_state *state, struct fitted *fitted,
	const struct policy_task *task, double rest_s, double slice_s)
{
	const struct log_curve *curve = &fitted->curve;
	double ridge = state->values[RIDGE], cpu_s = (double)task->cpu_ns * 1e-9;
	double x = log_curve_x(curve, cpu_s), x_next = log_curve_x(curve, cpu_s + slice_s);
	double x_last = log_curve_x(curve, cpu_s + rest_s), next, required, predicted;

	if (!line_fit_solve(&fitted->line, ridge, &fitted->slope, &fitted->level))
		fitted->slope = 0, fitted->level = curve->now;
	if (!(x_next > x) || !(x_last > x))
		return -SCORE_MOST;
	next = fitted->slope * x_next + fitted->level -
		bound(state, curve->n_taken, log_curve_x(curve, (double)curve->last_ns * 1e-9)) *
			line_fit_width(&fitted->line, ridge, x_next);
	predicted = (curve->now - next) / (x_next - x);
	required = (curve->now - curve->target) / (x_last - x);
	if (required < RATE_LEAST)
		return SCORE_MOST;
	return fmin(fmax(predicted / required, -SCORE_MOST), SCORE_MOST);
}

static void judge(struct policy_state *state, const struct policy_view *view, uint32_t at)
{
	const struct policy_task *task = &view->tasks[at];
	struct fitted *fitted = &state->fitted[task->id];
	struct rival *rival = &state->rivals[at];
	double cpus = fmin(task->counted, view->budget_cpus);
	double rest_s = cpus * seconds_to_deadline(task, view->now_ns);
	double slice_s = cpus * state->length * (double)view->slot_ns * 1e-9;

	if (fitted->curve.n_taken == 0) {
		double window_s = (double)(task->deadline_ns - task->begin_ns) * 1e-9;

		rival->class = (double)task->cpu_ns * 1e-9 < state->values[EXPLORE_PART] * window_s
			? CLASS_UNSEEN
			: CLASS_SILENT;
		return;
	}
	rival->score = score(state, fitted, task, rest_s, slice_s);
	rival->class = is_feasible(state, fitted, task, rest_s) ? CLASS_FEASIBLE : CLASS_INFEASIBLE;
}

/* (10), of the slice that is over. */
static double mean_error(const struct policy_state *state, const struct policy_view *view)
{
	double sum = 0;
	uint32_t n = 0;

	for (uint32_t i = 0; i < view->n_tasks; i++) {
		const struct fitted *fitted = &state->fitted[view->tasks[i].id];
		double x;

		if (!fitted->is_winner || fitted->n_taken == 0 ||
			fitted->n_taken == fitted->curve.n_taken)
			continue;
		x = log_curve_x(&fitted->curve, (double)fitted->curve.last_ns * 1e-9);
		sum += fabs(fitted->slope * x + fitted->level - fitted->curve.now);
		n++;
	}
	return n > 0 ? sum / n : state->errors[0];
}

static void set_length(struct policy_state *state, double error)
{
	const double *values = state->values;
	double length;

	state->errors[2] = state->errors[1];
	state->errors[1] = state->errors[0];
	state->errors[0] = error;
	if (state->n_slices < SLICES_FIXED) {
		state->length = floor(fmin(values[SLICE_FIRST], values[SLICE_MOST]));
		return;
	}
	length = state->length - values[GAIN] * (error - state->errors[1]) -
		values[GAIN_CHANGE] * (error - 2 * state->errors[1] + state->errors[2]);
	state->length = floor(fmin(fmax(length, 1), values[SLICE_MOST]));
}

static bool wins_over(const void *context, uint32_t a, uint32_t b)
{
	const struct policy_state *state = context;
	const struct rival *one = &state->rivals[a], *other = &state->rivals[b];

	if (one->class != other->class)
		return one->class < other->class;
	if (one->class == CLASS_FEASIBLE &&
		(one->score < other->score || one->score > other->score))
		return one->score > other->score;
	return one->place < other->place;
}

static void begin_slice(struct policy_state *state, const struct policy_view *view)
{
	double left = view->budget_cpus;

	for (uint32_t i = 0; i < view->n_tasks; i++)
		take_news(state, &state->fitted[view->tasks[i].id], &view->tasks[i]);
	set_length(state, state->n_slices > 0 ? mean_error(state, view) : 0);
	due_order(view, state->order, state->scratch);
	for (uint32_t i = 0; i < view->n_tasks; i++) {
		state->rivals[state->order[i]].place = i;
		judge(state, view, state->order[i]);
	}
	order_sort(state->order, state->scratch, view->n_tasks, wins_over, state);
	for (uint32_t id = 0; id < state->n_bundle; id++)
		state->fitted[id].is_ranked = state->fitted[id].is_winner = false;
	state->n_winners = 0;
	for (uint32_t i = 0; i < view->n_tasks; i++) {
		const struct policy_task *task = &view->tasks[state->order[i]];
		struct fitted *fitted = &state->fitted[task->id];

		fitted->class = state->rivals[state->order[i]].class;
		fitted->rank = i;
		fitted->is_ranked = true;
		fitted->n_taken = fitted->curve.n_taken;
		fitted->is_winner = fitted->class <= CLASS_FEASIBLE && left > 0;
		state->n_winners += fitted->is_winner;
		left -= task->usable;
	}
	state->n_slices++;
	state->end_ns = view->now_ns + (uint64_t)state->length * view->slot_ns;
}

static bool is_over(const struct policy_state *state, const struct policy_view *view)
{
	uint32_t n_winners = 0;

	for (uint32_t i = 0; i < view->n_tasks; i++)
		n_winners += state->fitted[view->tasks[i].id].is_winner;
	return state->n_slices == 0 || view->now_ns >= state->end_ns ||
		n_winners < state->n_winners;
}

static bool is_ahead(const void *context, uint32_t a, uint32_t b)
{
	const struct policy_state *state = context;
	const struct rival *one = &state->rivals[a], *other = &state->rivals[b];

	if ((one->class == CLASS_LATER) != (other->class == CLASS_LATER))
		return other->class == CLASS_LATER;
	return one->place < other->place;
}

static void laira_plan(struct policy_state *state, const struct policy_view *view,
	double ret_shares[], enum why ret_why[])
{
	view_check(view);
	assert(view->n_bundle == state->n_bundle);
	if (!(view->budget_cpus > 0)) { /* nothing to win */
		give_in_order(view, /* order= */ NULL, 0, ret_shares, ret_why);
		return;
	}
	if (is_over(state, view))
		begin_slice(state, view);
	for (uint32_t i = 0; i < view->n_tasks; i++) {
		const struct fitted *fitted = &state->fitted[view->tasks[i].id];

		state->rivals[i].class = fitted->is_ranked ? fitted->class : CLASS_LATER;
		state->rivals[i].place = fitted->is_ranked ? fitted->rank : i;
	}
	order_init(state->order, view->n_tasks);
	order_sort(state->order, state->scratch, view->n_tasks, is_ahead, state);
	give_in_order(view, state->order, view->budget_cpus, ret_shares, ret_why);
	for (uint32_t i = 0; i < view->n_tasks; i++) {
		if (state->rivals[i].class == CLASS_INFEASIBLE)
			ret_why[i] = WHY_WRITTEN_OFF;
		else if (ret_shares[i] > 0 && state->rivals[i].class <= CLASS_FEASIBLE)
			ret_why[i] = WHY_CHOSEN;
	}
}

const struct policy policy_laira = {
	.name = "laira",
	.summary = "each slice to the feasible task that falls fastest for what it needs (LaiRA)",
	.parameters = parameters,
	.new = laira_new,
	.plan = laira_plan,
	.forget = laira_forget,
	.free = laira_free,
};
