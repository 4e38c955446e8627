// SPDX-License-Identifier: GPL-2.0-or-later
#include "prior.h"

#include <math.h>
#include <string.h>

#include "cleanup.h"
#include "suite.h"

#define LOSS(at_most)                                               \
	{                                                           \
		.metric = "loss", .value = (at_most), .in_a_row = 1 \
	}
#define ACCURACY(at_least)                                                                  \
	{                                                                                   \
		.metric = "accuracy", .is_raised = true, .value = (at_least), .in_a_row = 1 \
	}
#define IN_A_ROW(at_most, n)                                          \
	{                                                             \
		.metric = "loss", .value = (at_most), .in_a_row = (n) \
	}

static const struct {
	struct prior_run run;
	struct target wanted;
	bool says_something;
	double enough_s, tried_s;
} cases[] = {
	/* Reached: what is as hard, or easier. */
	{{LOSS(0.1), OUTCOME_LEARNED, 5}, LOSS(0.1), true, 5, 0},
	{{LOSS(0.1), OUTCOME_LEARNED, 5}, LOSS(0.2), true, 5, 0},
	{{LOSS(0.1), OUTCOME_LEARNED, 5}, LOSS(0.09), false, 0, 0},
	{{ACCURACY(0.9), OUTCOME_LEARNED, 5}, ACCURACY(0.8), true, 5, 0},
	{{ACCURACY(0.9), OUTCOME_LEARNED, 5}, ACCURACY(0.95), false, 0, 0},
	{{IN_A_ROW(0.1, 3), OUTCOME_LEARNED, 5}, LOSS(0.1), true, 5, 0},
	{{LOSS(0.1), OUTCOME_LEARNED, 5}, IN_A_ROW(0.1, 3), false, 0, 0},
	/* Not reached: what is as hard, or harder. */
	{{LOSS(0.1), OUTCOME_MISSED_DEADLINE, 5}, LOSS(0.1), true, 0, 5},
	{{LOSS(0.1), OUTCOME_MISSED_DEADLINE, 5}, LOSS(0.05), true, 0, 5},
	{{LOSS(0.1), OUTCOME_MISSED_DEADLINE, 5}, LOSS(0.2), false, 0, 0},
	{{LOSS(0.1), OUTCOME_MISSED_TARGET, 5}, LOSS(0.1), true, 0, INFINITY},
	{{ACCURACY(0.9), OUTCOME_MISSED_TARGET, 5}, ACCURACY(0.8), false, 0, 0},
	/* Nothing. */
	{{LOSS(0.1), OUTCOME_CANCELLED, 5}, LOSS(0.1), false, 0, 0},
	{{LOSS(0.1), OUTCOME_FAILED, 5}, LOSS(0.1), false, 0, 0},
	{{LOSS(0.1), OUTCOME_LEARNED, 0}, LOSS(0.1), false, 0, 0},
	{{LOSS(0.1), OUTCOME_LEARNED, 5}, ACCURACY(0.1), false, 0, 0},
};

START_TEST(an_earlier_run_says)
{
	struct prior prior;

	ck_assert(prior_of_run(&cases[_i].run, &cases[_i].wanted, &prior) ==
		cases[_i].says_something);
	ck_assert_double_eq(prior.enough_s, cases[_i].enough_s);
	ck_assert_double_eq(prior.tried_s, cases[_i].tried_s);
}
END_TEST

START_TEST(with_what_is_left)
{
	const struct prior none = {0}, enough = {.enough_s = 5}, tried = {.tried_s = 5},
			   never = {.tried_s = INFINITY};

	ck_assert_int_eq(prior_prospect(&none, 100), PROSPECT_UNKNOWN);
	ck_assert_int_eq(prior_prospect(&enough, 5), PROSPECT_LIKELY);
	ck_assert_int_eq(prior_prospect(&enough, INFINITY), PROSPECT_LIKELY);
	ck_assert_int_eq(prior_prospect(&enough, 4.9), PROSPECT_UNLIKELY);
	ck_assert_int_eq(prior_prospect(&tried, 5), PROSPECT_UNLIKELY);
	ck_assert_int_eq(prior_prospect(&tried, 5.1), PROSPECT_UNKNOWN);
	ck_assert_int_eq(prior_prospect(&never, INFINITY), PROSPECT_UNLIKELY);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("prior");
	TCase *tcase = tcase_create("prior");

	tcase_add_loop_test(tcase, an_earlier_run_says, 0, (int)ARRAY_LENGTH(cases));
	tcase_add_test(tcase, with_what_is_left);
	suite_add_tcase(suite, tcase);
	return suite_run(suite);
}
