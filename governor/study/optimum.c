// SPDX-License-Identifier: GPL-2.0-or-later
#include "optimum.h"

#include <assert.h>
#include <errno.h>
#include <inttypes.h>
#include <math.h>
#include <setjmp.h>
#include <stdlib.h>
#include <string.h>

#include "cleanup.h"
#include "fit_all.h"
#include "glpk_library.h"
#include "guard.h"
#include "nsec.h"

/* A mixed-integer program over the intervals between the moments at which something changes.
 *
 *	most	sum of y_k				y_k: 0 or 1, job k gets all it needs
 *	with	sum over i of x_ki  =  need_k y_k	x_ki >= 0: what it gets in interval i
 *		sum over k of x_ki  <=  budget_i length_i
 *		x_ki  <=  min(threads_k, budget_i) length_i y_k
 *
 * Within an interval amounts that keep to the last two can be given whatever the number of CPUs is: each job
 * runs at its mean rate (fluid), or is wrapped around the CPUs (McNaughton, Management Science 6, 1959).
 *
 * The solver calculates with floating point and tolerances, and what fits to the last nanosecond is common
 * where bundles are made by hand. So what it finds is tried once more in whole numbers; where that does not
 * fit, some jobs that cannot all be done are forbidden to be chosen all, and it is asked again. Jobs that
 * cannot be done alone are left out beforehand, and where all can be done nobody is asked.
 *
 * GLPK ends the process where it finds fault with what it is told, or has no memory; it is made to jump
 * instead, after which all that it has is given back as a whole. It prints, too, unless it is told not to. */

/* A larger table is not begun: a hundred jobs of which each has its own times take seconds, two hundred may
 * take minutes for a single step of the search. */
#define CELLS_MAX 20000u

/* More than this is had of no interval: 31 years of a CPU. So sums of a few stay whole numbers. */
#define AMOUNT_MAX UINT64_C(1000000000000000000)

struct search {
	size_t n_jobs, n_intervals; /* jobs that can be done alone */
	size_t *places;             /* of these, in the caller's array */
	uint64_t *need, *most, *room;
	struct fit_all *fit;
	bool *is_best, *is_tried, *conflict; /* by job */
	size_t n_best;
};

static void search_done(struct search *search)
{
	free(search->places);
	free(search->need);
	free(search->most);
	free(search->room);
	fit_all_free(search->fit);
	free(search->is_best);
	free(search->is_tried);
	free(search->conflict);
}

static int compare_moments(const void *a, const void *b)
{
	const uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

	return (x > y) - (x < y);
}

/* All at which something changes, sorted, each once; NULL without memory. */
static uint64_t *find_moments(const struct optimum_job jobs[], size_t n_jobs,
	const struct optimum_budget budget[], size_t n_steps, size_t *ret_n)
{
	uint64_t *moments = calloc(2 * n_jobs + n_steps, sizeof(moments[0]));
	size_t n = 0, n_each = 0;

	if (!moments)
		return NULL;
	for (size_t k = 0; k < n_jobs; k++) {
		moments[n++] = jobs[k].begin_ns;
		moments[n++] = jobs[k].deadline_ns;
	}
	for (size_t i = 0; i < n_steps; i++)
		moments[n++] = budget[i].from_ns;
	qsort(moments, n, sizeof(moments[0]), compare_moments);
	for (size_t i = 0; i < n; i++)
		if (i == 0 || moments[i] != moments[i - 1])
			moments[n_each++] = moments[i];
	*ret_n = n_each;
	return moments;
}

static double budget_at(const struct optimum_budget budget[], size_t n_steps, uint64_t at_ns)
{
	size_t i = n_steps - 1;

	while (i > 0 && budget[i].from_ns > at_ns)
		i--;
	return budget[i].cpus;
}

static uint64_t amount(double cpus, uint64_t span_ns)
{
	return cpus * (double)span_ns < (double)AMOUNT_MAX ? share_to_ns(cpus, span_ns)
							   : AMOUNT_MAX;
}

/* What one job can have from `from_ns` to `to_ns`, between two moments. */
static uint64_t most_of(
	const struct optimum_job *job, double cpus, uint64_t from_ns, uint64_t to_ns)
{
	if (job->begin_ns > from_ns || job->deadline_ns < to_ns)
		return 0;
	return amount(fmin(job->threads, cpus), to_ns - from_ns);
}

static int lay_out(struct search *search, const struct optimum_job jobs[], size_t n_jobs,
	const struct optimum_budget budget[], size_t n_steps)
{
	size_t n_moments = 0;
	_cleanup_free_ uint64_t *moments = find_moments(jobs, n_jobs, budget, n_steps, &n_moments);
	size_t n_intervals = n_moments > 0 ? n_moments - 1 : 0, room = n_jobs > 0 ? n_jobs : 1;

	if (!moments)
		return -ENOMEM;
	if (n_jobs > 0 && n_intervals > CELLS_MAX / n_jobs)
		return -E2BIG;
	search->n_intervals = n_intervals;
	search->places = calloc(room, sizeof(search->places[0]));
	search->need = calloc(room, sizeof(search->need[0]));
	search->is_best = calloc(room, sizeof(search->is_best[0]));
	search->is_tried = calloc(room, sizeof(search->is_tried[0]));
	search->conflict = calloc(room, sizeof(search->conflict[0]));
	search->room = calloc(n_intervals + 1, sizeof(search->room[0]));
	search->most = calloc(room * (n_intervals + 1), sizeof(search->most[0]));
	if (!search->places || !search->need || !search->is_best || !search->is_tried ||
		!search->conflict || !search->room || !search->most)
		return -ENOMEM;
	for (size_t i = 0; i < n_intervals; i++)
		search->room[i] = amount(
			budget_at(budget, n_steps, moments[i]), moments[i + 1] - moments[i]);
	for (size_t k = 0; k < n_jobs; k++) {
		uint64_t *most = &search->most[search->n_jobs * n_intervals], sum = 0;

		for (size_t i = 0; i < n_intervals; i++) {
			most[i] = most_of(&jobs[k], budget_at(budget, n_steps, moments[i]),
				moments[i], moments[i + 1]);
			if (sum < jobs[k].need_ns) /* or it might be too large a number */
				sum += most[i];
		}
		if (jobs[k].need_ns > sum || jobs[k].need_ns == UINT64_MAX)
			continue;
		search->need[search->n_jobs] = jobs[k].need_ns;
		search->places[search->n_jobs++] = k;
	}
	return fit_all_new(&search->fit, search->n_jobs, n_intervals, search->need, search->most,
		search->room);
}

/* A first answer: the shortest first, each that still fits. */
static int try_shortest_first(struct search *search)
{
	_cleanup_free_ size_t *order = calloc(search->n_jobs + 1, sizeof(order[0]));

	if (!order)
		return -ENOMEM;
	for (size_t k = 0; k < search->n_jobs; k++) {
		size_t to = k;

		for (; to > 0 && search->need[order[to - 1]] > search->need[k]; to--)
			order[to] = order[to - 1];
		order[to] = k;
	}
	for (size_t k = 0; k < search->n_jobs; k++)
		if (fit_all_add(search->fit, order[k], /* ret_conflict= */ NULL)) {
			search->is_best[order[k]] = true;
			search->n_best++;
		}
	return 0;
}

/* The program. Columns: y_k, then x_ki where job k can have something in interval i. */

#define COLUMN(k) ((int)(k) + 1)

struct program {
	const struct glpk *glpk;
	glp_prob *problem;
	int *columns; /* of x_ki, by cell; 0: none */
	/* The row in the making. */
	int n_entries;
	int *entry_columns;
	double *entry_values;
	int n_nodes_left;
	bool has_given_up;
};

static void program_done(struct program *program)
{
	free(program->columns);
	free(program->entry_columns);
	free(program->entry_values);
}

static int program_init(struct program *program, const struct search *search)
{
	size_t n_cells = search->n_jobs * search->n_intervals;
	size_t n_entries = n_cells + search->n_jobs + 2;

	program->columns = calloc(n_cells + 1, sizeof(program->columns[0]));
	program->entry_columns = calloc(n_entries, sizeof(program->entry_columns[0]));
	program->entry_values = calloc(n_entries, sizeof(program->entry_values[0]));
	return program->columns && program->entry_columns && program->entry_values ? 0 : -ENOMEM;
}

static void put(struct program *program, int column, double value)
{
	int at = ++program->n_entries; /* from 1, as GLPK counts */

	program->entry_columns[at] = column;
	program->entry_values[at] = value;
}

static void add_row(struct program *program, int kind, double bound)
{
	const struct glpk *glpk = program->glpk;
	int row = glpk->glp_add_rows(program->problem, 1);

	glpk->glp_set_row_bnds(program->problem, row, kind, bound, bound);
	glpk->glp_set_mat_row(program->problem, row, program->n_entries, program->entry_columns,
		program->entry_values);
	program->n_entries = 0;
}

static void add_columns(struct program *program, const struct search *search)
{
	const struct glpk *glpk = program->glpk;
	glp_prob *problem = program->problem;

	glpk->glp_set_obj_dir(problem, GLP_MAX);
	(void)glpk->glp_add_cols(problem, (int)search->n_jobs);
	for (size_t k = 0; k < search->n_jobs; k++) {
		glpk->glp_set_col_kind(problem, COLUMN(k), GLP_BV);
		glpk->glp_set_obj_coef(problem, COLUMN(k), 1);
	}
	for (size_t cell = 0; cell < search->n_jobs * search->n_intervals; cell++) {
		if (search->most[cell] == 0)
			continue;
		program->columns[cell] = glpk->glp_add_cols(problem, 1);
		glpk->glp_set_col_bnds(problem, program->columns[cell], GLP_DB, 0,
			nsec_to_seconds(search->most[cell]));
	}
}

static void add_rows(struct program *program, const struct search *search)
{
	size_t n_intervals = search->n_intervals;
	const int *columns = program->columns;

	for (size_t k = 0; k < search->n_jobs; k++) {
		put(program, COLUMN(k), -nsec_to_seconds(search->need[k]));
		for (size_t i = 0; i < n_intervals; i++)
			if (columns[k * n_intervals + i] > 0)
				put(program, columns[k * n_intervals + i], 1);
		add_row(program, GLP_FX, 0);
	}
	for (size_t i = 0; i < n_intervals; i++) {
		for (size_t k = 0; k < search->n_jobs; k++)
			if (columns[k * n_intervals + i] > 0)
				put(program, columns[k * n_intervals + i], 1);
		if (program->n_entries > 0)
			add_row(program, GLP_UP, nsec_to_seconds(search->room[i]));
	}
	/* Without these it would be right, too, and take longer. */
	for (size_t k = 0; k < search->n_jobs; k++)
		for (size_t i = 0; i < n_intervals; i++) {
			size_t cell = k * n_intervals + i;

			if (columns[cell] == 0 || search->most[cell] >= search->need[k])
				continue;
			put(program, columns[cell], 1);
			put(program, COLUMN(k), -nsec_to_seconds(search->most[cell]));
			add_row(program, GLP_UP, 0);
		}
}

static void watch_nodes(glp_tree *tree, void *data)
{
	struct program *program = data;

	if (program->glpk->glp_ios_reason(tree) != GLP_ISELECT || program->n_nodes_left-- > 0)
		return;
	program->has_given_up = true;
	program->glpk->glp_ios_terminate(tree);
}

static void forbid(struct program *program, const struct search *search)
{
	double n_all = 0;

	for (size_t k = 0; k < search->n_jobs; k++)
		if (search->conflict[k]) {
			put(program, COLUMN(k), 1);
			n_all++;
		}
	add_row(program, GLP_UP, n_all - 1);
}

/* Can all that the solver has chosen really be done? Then it is the best; where not, a conflict is forbidden. */
static bool check_answer(struct program *program, struct search *search)
{
	size_t n = 0;

	fit_all_clear(search->fit);
	for (size_t k = 0; k < search->n_jobs; k++) {
		search->is_tried[k] = program->glpk->glp_mip_col_val(program->problem, COLUMN(k)) >
			0.5;
		n += search->is_tried[k];
		if (search->is_tried[k] && !fit_all_add(search->fit, k, search->conflict)) {
			forbid(program, search);
			return false;
		}
	}
	if (n > search->n_best) {
		search->n_best = n;
		memcpy(search->is_best, search->is_tried, search->n_jobs * sizeof(bool));
	}
	return true;
}

static int solve(struct program *program, struct search *search, size_t *ret_n_bound)
{
	const struct glpk *glpk = program->glpk;
	glp_iocp control;

	glpk->glp_init_iocp(&control);
	control.msg_lev = GLP_MSG_OFF;
	control.presolve = GLP_ON;
	control.cb_func = watch_nodes;
	control.cb_info = program;
	for (;;) {
		int r = glpk->glp_intopt(program->problem, &control);

		if (program->has_given_up)
			return 0; /* the bound is what it was */
		if (r != 0 || glpk->glp_mip_status(program->problem) != GLP_OPT)
			return -EIO;
		if (check_answer(program, search)) {
			*ret_n_bound = search->n_best;
			return 0;
		}
	}
}

/* An error of GLPK's makes it speak again. */
static int say_nothing(void *context, const char *text)
{
	(void)context;
	(void)text;
	return 1;
}

static void jump(void *to)
{
	longjmp(*(jmp_buf *)to, 1);
}

/* Between here and the end GLPK may jump: nothing that has to be given back is had in there. */
static int ask_glpk(struct program *program, struct search *search, size_t *ret_n_bound)
{
	const struct glpk *glpk = program->glpk;
	jmp_buf back;
	int r;

	if (setjmp(back) != 0) {
		(void)program->glpk->glp_free_env();
		return -EIO;
	}
	(void)glpk->glp_term_out(GLP_OFF);
	glpk->glp_term_hook(say_nothing, NULL);
	glpk->glp_error_hook(jump, &back);
	program->problem = glpk->glp_create_prob();
	add_columns(program, search);
	add_rows(program, search);
	r = solve(program, search, ret_n_bound);
	glpk->glp_delete_prob(program->problem);
	glpk->glp_error_hook(NULL, NULL);
	(void)glpk->glp_free_env();
	return r;
}

static int ask(struct search *search, int n_nodes, size_t *ret_n_bound, struct fault *fault)
{
	_cleanup_(program_done) struct program program = {
		.glpk = glpk_load(fault), .n_nodes_left = n_nodes};

	if (!program.glpk)
		return -EIO;
	if (program_init(&program, search) < 0)
		return fault_errno(fault, -ENOMEM, "optimum of %zu tasks", search->n_jobs);
	if (ask_glpk(&program, search, ret_n_bound) < 0)
		return fault_set(fault, -EIO, "the solver of linear programs (GLPK) has given up");
	return 0;
}

int optimum_find(const struct optimum_job jobs[], size_t n_jobs,
	const struct optimum_budget budget[], size_t n_steps, int n_nodes,
	struct optimum *ret_optimum, bool ret_is_chosen[], struct fault *fault)
{
	_cleanup_(search_done) struct search search = {0};
	size_t n_bound;
	int r;

	assert(n_steps > 0);
	r = lay_out(&search, jobs, n_jobs, budget, n_steps);
	if (r == -E2BIG) {
		*ret_optimum = (struct optimum){.n_bound = n_jobs};
		if (ret_is_chosen)
			memset(ret_is_chosen, 0, n_jobs * sizeof(ret_is_chosen[0]));
		return 0;
	}
	if (r == 0)
		r = try_shortest_first(&search);
	if (r < 0)
		return fault_errno(fault, r, "optimum of %zu tasks", n_jobs);
	n_bound = search.n_jobs;
	if (search.n_best < n_bound) {
		r = ask(&search, n_nodes, &n_bound, fault);
		if (r < 0)
			return r;
	}
	*ret_optimum = (struct optimum){.n_best = search.n_best, .n_bound = n_bound};
	if (ret_is_chosen)
		memset(ret_is_chosen, 0, n_jobs * sizeof(ret_is_chosen[0]));
	for (size_t k = 0; ret_is_chosen && k < search.n_jobs; k++)
		ret_is_chosen[search.places[k]] = search.is_best[k];
	return 0;
}
