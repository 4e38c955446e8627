/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

#include <glpk.h>

#include "fault.h"

/* GLPK, loaded where it is needed: every command would take longer to start with it, and `coregov run` is
 * started in front of each training. */

#define GLPK_FUNCTIONS(X)    \
	X(glp_add_cols)      \
	X(glp_add_rows)      \
	X(glp_create_prob)   \
	X(glp_delete_prob)   \
	X(glp_error_hook)    \
	X(glp_free_env)      \
	X(glp_init_iocp)     \
	X(glp_intopt)        \
	X(glp_ios_reason)    \
	X(glp_ios_terminate) \
	X(glp_mip_col_val)   \
	X(glp_mip_status)    \
	X(glp_set_col_bnds)  \
	X(glp_set_col_kind)  \
	X(glp_set_mat_row)   \
	X(glp_set_obj_coef)  \
	X(glp_set_obj_dir)   \
	X(glp_set_row_bnds)  \
	X(glp_term_hook)     \
	X(glp_term_out)

struct glpk {
#define GLPK_MEMBER(name) __typeof__(name) *name;
	GLPK_FUNCTIONS(GLPK_MEMBER)
#undef GLPK_MEMBER
};

/* The same each time; stays loaded. NULL where it is not there, or another one than at build time; the sentence
 * says what to install. */
const struct glpk *glpk_load(struct fault *fault);
