// SPDX-License-Identifier: GPL-2.0-or-later
#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "cleanup.h"
#include "digits.h"
#include "exact.h"
#include "matrix.h"
#include "model.h"
#include "net.h"
#include "numbers.h"
#include "options.h"
#include "ratings.h"
#include "rng.h"
#include "suite.h"
#include "text.h"

/* The example learners: every model's gradient against finite differences, determinism, falling
 * losses, the arithmetic that makes runs equal everywhere, and bad data and options. */

/* The models with smaller nets than their defaults, so that a step is short under sanitizers. */
static const struct model_case {
	const struct model *model;
	const char *arguments[8];
} cases[] = {
	{&model_boost, {"--depth", "2", "--learning-rate", "0.1"}},
	{&model_factors, {"--rank", "4", "--decay", "0.1", "--learning-rate", "0.01"}},
	{&model_gru, {"--hidden", "8", "--window", "6", "--batch", "3"}},
	{&model_mlp, {"--hidden", "8", "--layers", "2", "--batch", "9"}},
	{&model_mlp, {"--hidden", "8", "--activation", "logistic", "--learning-rate", "0.1"}},
	{&model_ngram, {"--hidden", "8", "--context", "3", "--batch", "7"}},
	{&model_softmax, {"--decay", "0.01", "--learning-rate", "0.02"}},
};

static const char *data(void)
{
	const char *folder = getenv("COREGOV_DATA");

	ck_assert_ptr_nonnull(folder);
	return folder;
}

static struct learner *open_case(const struct model_case *model_case, const char *seed)
{
	char *argv[16] = {(char *)model_case->model->name, (char *)"--seed", (char *)seed};
	struct fault fault = FAULT_INIT;
	struct learner *learner;
	struct options options;
	int argc = 3;

	for (size_t i = 0; i < ARRAY_LENGTH(model_case->arguments) && model_case->arguments[i]; i++)
		argv[argc++] = (char *)model_case->arguments[i];
	ck_assert_int_eq(options_parse(model_case->model, argc, argv, &options, &fault), 0);
	options.data = data();
	ck_assert_msg(model_case->model->open(&options, &learner, &fault) == 0, "%s", fault.text);
	return learner;
}

/* A central difference of step h is off by about h^2 (the third derivative) and 1e-16 / h
 * (cancellation): 1e-5 makes both some 1e-10. */
#define STEP 1e-5
#define TOLERANCE 1e-7
#define WEIGHTS_TRIED 60
/* For what must be equal: the macros of check want a tolerance above 0. */
#define SAME 1e-15

START_TEST(gradient_is_the_slope)
{
	const struct model_case *model_case = &cases[_i];
	const struct model *model = model_case->model;
	struct learner *learner = open_case(model_case, "7");
	_cleanup_free_ double *gradient = NULL, *ignored = NULL;
	double steepest = 0;

	gradient = calloc(learner->n_weights + 1, sizeof(double));
	ignored = calloc(learner->n_weights + 1, sizeof(double));
	for (int i = 0; i < 3; i++) /* away from a start that may be symmetric */
		model->step(learner);
	if (isnan(model->probe(learner, gradient))) {
		ck_assert_ptr_eq(model, &model_boost);
		model->close(learner);
		return;
	}
	for (size_t i = 0; i < WEIGHTS_TRIED; i++) {
		size_t at = i * (learner->n_weights - 1) / (WEIGHTS_TRIED - 1);
		double kept = learner->weights[at], above, below;

		learner->weights[at] = kept + STEP;
		above = model->probe(learner, ignored);
		learner->weights[at] = kept - STEP;
		below = model->probe(learner, ignored);
		learner->weights[at] = kept;
		ck_assert_double_eq_tol((above - below) / (2 * STEP), gradient[at], TOLERANCE);
		steepest = fmax(steepest, fabs(gradient[at]));
	}
	ck_assert_double_gt(steepest, 100 * TOLERANCE);
	model->close(learner);
}
END_TEST

START_TEST(loss_falls)
{
	const struct model *model = cases[_i].model;
	struct learner *learner = open_case(&cases[_i], "1");
	double first = model->loss(learner);

	for (int i = 0; i < 40; i++)
		model->step(learner);
	ck_assert_double_lt(model->loss(learner), 0.995 * first);
	model->close(learner);
}
END_TEST

START_TEST(same_seed_same_bits)
{
	const struct model *model = cases[_i].model;
	struct learner *one = open_case(&cases[_i], "5"), *other = open_case(&cases[_i], "5");

	for (int i = 0; i < 20; i++) {
		double loss;

		model->step(one);
		model->step(other);
		loss = model->loss(one);
		ck_assert_mem_eq(&loss, &(double){model->loss(other)}, sizeof(loss));
		/* Looking changes nothing. */
		ck_assert_mem_eq(&loss, &(double){model->loss(one)}, sizeof(loss));
	}
	model->close(one);
	model->close(other);
}
END_TEST

START_TEST(other_seed_other_run)
{
	const struct model *model = cases[_i].model;
	struct learner *one = open_case(&cases[_i], "5"), *other = open_case(&cases[_i], "6");
	bool is_seedless = model == &model_boost || model == &model_softmax;
	double one_loss, other_loss;

	for (int i = 0; i < 3; i++) {
		model->step(one);
		model->step(other);
	}
	one_loss = model->loss(one);
	other_loss = model->loss(other);
	ck_assert_int_eq(memcmp(&one_loss, &other_loss, sizeof(one_loss)) == 0, is_seedless);
	model->close(one);
	model->close(other);
}
END_TEST

/* One set of bits, wherever this runs: recorded once, on x86-64 with gcc 12 at -O3. A compiler or
 * machine that reorders or fuses shows here. */
START_TEST(same_bits_everywhere)
{
	static const uint64_t recorded[ARRAY_LENGTH(cases)] = {
		0x3fdc1f1c6cdaa1e8,
		0x3ff3999442d4dfdd,
		0x400e30cd7bd7a8a2,
		0x4002673b6bafc3b4,
		0x4000e290eceadc19,
		0x400ec3c04be6abf4,
		0x3ffbeffc7c3c4b5d,
	};
	const struct model *model = cases[_i].model;
	struct learner *learner = open_case(&cases[_i], "3");
	uint64_t bits;

	for (int i = 0; i < 25; i++)
		model->step(learner);
	bits = 0;
	memcpy(&bits, &(double){model->loss(learner)}, sizeof(bits));
	ck_assert_msg(bits == recorded[_i], "%s: 0x%016jx instead of 0x%016jx", model->name,
		(uintmax_t)bits, (uintmax_t)recorded[_i]);
	model->close(learner);
}
END_TEST

START_TEST(exact_functions_are_right)
{
	for (double x = -700; x <= 700; x += 0.37) {
		double exponential = exp(x);

		ck_assert_double_eq_tol(exact_exp(x) / exponential, 1, 1e-14);
		ck_assert_double_eq_tol(exact_log(exponential), x, 1e-13);
		ck_assert_double_eq_tol(exact_tanh(x / 50), tanh(x / 50), 1e-15);
		ck_assert_double_eq_tol(exact_logistic(x / 50), 1 / (1 + exp(-x / 50)), 1e-15);
	}
	ck_assert_double_eq_tol(exact_log(1 + 1e-9), log1p(1e-9), 1e-16);
	ck_assert(isinf(exact_exp(710)));
	ck_assert(exact_exp(-1e300) <= 0 && exact_exp(-INFINITY) <= 0);
	ck_assert(isnan(exact_exp(NAN)));
	ck_assert_double_eq_tol(exact_tanh(-1e9), -1, SAME);
	ck_assert_double_eq_tol(exact_tanh(1e9), 1, SAME);
}
END_TEST

START_TEST(matrix_products)
{
	static const double a[] = {1, 2, 3, 4, 5, 6}, b[] = {1, -1, 2, 0, 3, 1, 0, 2, 1, 1, 4, -2};
	double ab[2 * 4] = {0}, atb[3 * 3] = {0}, abt[3 * 1] = {100, 100, 100}, sum[3] = {0};

	matrix_ab(ab, a, b, 2, 3, 4); /* (2 x 3) (3 x 4) */
	ck_assert_double_eq_tol(ab[0], 1 * 1 + 2 * 3 + 3 * 1, SAME);
	ck_assert_double_eq_tol(ab[7], 4 * 0 + 5 * 2 + 6 * -2, SAME);
	matrix_atb(atb, a, a, 2, 3, 3);
	ck_assert_double_eq_tol(atb[0 * 3 + 1], 1 * 2 + 4 * 5, SAME);
	ck_assert_double_eq_tol(atb[2 * 3 + 2], 9 + 36, SAME);
	matrix_abt(abt, b, a, 1, 1, 6); /* along rows of six: four lanes and two left */
	ck_assert_double_eq_tol(abt[0], 100 + 1 - 2 + 6 + 0 + 15 + 6, SAME);
	matrix_add_rows(sum, a, 2, 3);
	ck_assert_double_eq_tol(sum[2], 9, SAME);
}
END_TEST

START_TEST(rng_is_even)
{
	uint32_t order[100];
	struct rng rng;
	double sum = 0;
	bool seen[100] = {false};

	rng_init(&rng, 0);
	ck_assert_uint_eq(
		rng_next(&rng), UINT64_C(0xe220a8397b1dcdaf)); /* the published sequence */
	for (int i = 0; i < 10000; i++) {
		double x = rng_uniform(&rng, -1, 3);

		ck_assert(x >= -1 && x < 3);
		sum += x;
	}
	ck_assert_double_eq_tol(sum / 10000, 1, 0.05);
	for (uint32_t i = 0; i < 100; i++)
		order[i] = i;
	rng_shuffle(&rng, order, 100);
	for (size_t i = 0; i < 100; i++) {
		ck_assert(!seen[order[i]]);
		seen[order[i]] = true;
	}
}
END_TEST

START_TEST(softmax_survives_extremes)
{
	double values[] = {1000, -1000, 0, 1000, -1000, 0};
	static const uint8_t labels[] = {0, 1};

	/* The second row gives its label a probability of 0: a large loss, not an infinite one. */
	ck_assert_double_eq_tol(net_softmax(values, labels, 2, 3), 690.8, 0.1);
	ck_assert_double_eq_tol(values[0], 1, SAME);
}
END_TEST

START_TEST(data_sets_are_whole)
{
	struct digits digits;
	struct ratings ratings;
	struct text text;
	size_t images_of[DIGITS_CLASSES] = {0};

	ck_assert_int_eq(digits_read(data(), &digits, NULL), 0);
	ck_assert_uint_eq(digits.train.n, 1348);
	ck_assert_uint_eq(digits.held_out.n, 449);
	for (size_t i = 0; i < digits.train.n; i++)
		images_of[digits.train.labels[i]]++;
	for (size_t i = 0; i < DIGITS_CLASSES; i++)
		ck_assert_uint_gt(images_of[i], 100);
	digits_done(&digits);
	ck_assert_int_eq(ratings_read(data(), &ratings, NULL), 0);
	ck_assert_uint_eq(ratings.n_train + ratings.n_held_out, 73421);
	ck_assert_uint_eq(ratings.n_students, 2972);
	ck_assert_uint_eq(ratings.n_lecturers, 1128);
	ck_assert_double_eq_tol(ratings.mean, 3.2057, 0.01);
	ratings_done(&ratings);
	ck_assert_int_eq(text_read(data(), &text, NULL), 0);
	ck_assert_uint_gt(text.n, 500000);
	ck_assert_uint_eq(text.n_symbols, 46);
	text_done(&text);
}
END_TEST

/* A folder of the test's own, with one file. */
static void make_folder(char folder[static 64], const char *name, const char *contents)
{
	_cleanup_fclose_ FILE *file = NULL;
	char path[128];

	ck_assert_ptr_nonnull(mkdtemp(suite_template(folder)));
	snprintf(path, sizeof(path), "%s/%s", folder, name);
	file = fopen(path, "we");
	ck_assert_ptr_nonnull(file);
	ck_assert_int_ge(fputs(contents, file), 0);
}

static void remove_folder(const char *folder, const char *name)
{
	char path[128];

	snprintf(path, sizeof(path), "%s/%s", folder, name);
	ck_assert_int_eq(unlink(path), 0);
	ck_assert_int_eq(rmdir(folder), 0);
}

static const struct bad_table {
	const char *contents, *sentence;
} bad_tables[] = {
	{"", "no rows"},
	{"a,b,c\n", "no rows"},
	{"a,b,c\n1,2,3\n1,2\n", "ratings.csv:3: expected 3 whole numbers"},
	{"a,b,c\n1,2,3,4\n", "ratings.csv:2: expected 3 whole numbers"},
	{"a,b,c\n1,2,-3\n", "ratings.csv:2: expected 3 whole numbers"},
	{"a,b,c\n1, 2,3\n", "ratings.csv:2: expected 3 whole numbers"},
	{"a,b,c\n1,2,3 \n", "ratings.csv:2: expected 3 whole numbers"},
	{"a,b,c\n1,2,\n", "ratings.csv:2: expected 3 whole numbers"},
	{"a,b,c\n\n", "ratings.csv:2: expected 3 whole numbers"},
	{"a,b,c\n1,99999999999999999999,3\n", "ratings.csv:2: expected 3 whole numbers"},
	{"a,b,c\n1,10000,3\n", "ratings.csv:2: expected 3 whole numbers"},
	{"a,b,c\n1,2,6\n", "ratings.csv:2: a rating is 1 to 5, not 6"},
	{"a,b,c\n1,2,3\n", "too few ratings"},
};

START_TEST(bad_tables_are_refused)
{
	struct fault fault = FAULT_INIT;
	struct ratings ratings;
	char folder[64];

	make_folder(folder, "ratings.csv", bad_tables[_i].contents);
	ck_assert_int_eq(ratings_read(folder, &ratings, &fault), -EBADMSG);
	ck_assert_msg(strstr(fault.text, bad_tables[_i].sentence), "%s", fault.text);
	remove_folder(folder, "ratings.csv");
}
END_TEST

START_TEST(missing_and_odd_data_are_refused)
{
	struct fault fault = FAULT_INIT;
	struct digits digits;
	struct text text;
	char folder[64];

	ck_assert_int_eq(digits_read("/nowhere", &digits, &fault), -ENOENT);
	ck_assert_str_eq(fault.text, "read '/nowhere/digits.csv': No such file or directory");
	ck_assert_int_eq(text_read("/nowhere", &text, NULL), -ENOENT);
	make_folder(folder, "opticks.txt", "light\n");
	ck_assert_int_eq(text_read(folder, &text, &fault), -EBADMSG);
	ck_assert_msg(strstr(fault.text, "shorter than"), "%s", fault.text);
	remove_folder(folder, "opticks.txt");
}
END_TEST

static const struct bad_option {
	const char *arguments[3], *sentence;
} bad_options[] = {
	{{"--hiden", "3"}, "mlp has no option '--hiden' (see mlp --help)"},
	{{"--rank", "3"}, "mlp has no option '--rank' (see mlp --help)"},
	{{"hidden"}, "'hidden' is not an option (see mlp --help)"},
	{{"--hidden"}, "--hidden needs a value"},
	{{"--data"}, "--data needs a value"},
	{{"--hidden", "x"}, "--hidden: 'x' is not a number"},
	{{"--hidden", ""}, "--hidden: '' is not a number"},
	{{"--hidden", "nan"}, "--hidden: 'nan' is not a number"},
	{{"--hidden", "3.5"}, "--hidden: '3.5' is not a whole number"},
	{{"--hidden", "0"}, "--hidden: '0' is not in 1 to 4096"},
	{{"--hidden=5000"}, "--hidden: '5000' is not in 1 to 4096"},
	{{"--steps", "0"}, "--steps: '0' is not in 1 to 1e+12"},
	{{"--seed", "-1"}, "--seed: '-1' is not in 0 to 1000000000"},
	{{"--learning-rate", "1e-3x"}, "--learning-rate: '1e-3x' is not a number"},
	{{"--activation", "relu"}, "--activation: 'relu' is none of: tanh, logistic"},
};

START_TEST(bad_options_are_refused)
{
	char *argv[4] = {(char *)"mlp"};
	struct fault fault = FAULT_INIT;
	struct options options;
	int argc = 1;

	while (argc < 4 && bad_options[_i].arguments[argc - 1]) {
		argv[argc] = (char *)bad_options[_i].arguments[argc - 1];
		argc++;
	}
	ck_assert_int_eq(options_parse(&model_mlp, argc, argv, &options, &fault), -EINVAL);
	ck_assert_str_eq(fault.text, bad_options[_i].sentence);
}
END_TEST

START_TEST(options_are_taken)
{
	char *argv[] = {(char *)"mlp", (char *)"--hidden=5", (char *)"--seed", (char *)"9",
		(char *)"--activation", (char *)"logistic", (char *)"--data=here"};
	char *help[] = {(char *)"mlp", (char *)"--help"};
	struct options options;

	ck_assert_int_eq(options_parse(&model_mlp, ARRAY_LENGTH(argv), argv, &options, NULL), 0);
	ck_assert_uint_eq(options.seed, 9);
	ck_assert_uint_eq(options.steps, model_mlp.steps);
	ck_assert_str_eq(options.data, "here");
	for (size_t i = 0; i < model_mlp.n_settings; i++) {
		const struct setting *setting = &model_mlp.settings[i];
		double expected = setting->standard;

		if (strcmp(setting->name, "hidden") == 0)
			expected = 5;
		if (strcmp(setting->name, "activation") == 0)
			expected = NET_LOGISTIC;
		ck_assert_double_eq_tol(options.values[i], expected, SAME);
	}
	ck_assert_int_eq(options_parse(&model_mlp, 2, help, &options, NULL), OPTIONS_E_HELP);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("learners");
	TCase *tcase = tcase_create("all");

	tcase_set_timeout(tcase, 30);
	tcase_add_loop_test(tcase, gradient_is_the_slope, 0, ARRAY_LENGTH(cases));
	tcase_add_loop_test(tcase, loss_falls, 0, ARRAY_LENGTH(cases));
	tcase_add_loop_test(tcase, same_seed_same_bits, 0, ARRAY_LENGTH(cases));
	tcase_add_loop_test(tcase, other_seed_other_run, 0, ARRAY_LENGTH(cases));
	tcase_add_loop_test(tcase, same_bits_everywhere, 0, ARRAY_LENGTH(cases));
	tcase_add_test(tcase, exact_functions_are_right);
	tcase_add_test(tcase, matrix_products);
	tcase_add_test(tcase, rng_is_even);
	tcase_add_test(tcase, softmax_survives_extremes);
	tcase_add_test(tcase, data_sets_are_whole);
	tcase_add_loop_test(tcase, bad_tables_are_refused, 0, ARRAY_LENGTH(bad_tables));
	tcase_add_test(tcase, missing_and_odd_data_are_refused);
	tcase_add_loop_test(tcase, bad_options_are_refused, 0, ARRAY_LENGTH(bad_options));
	tcase_add_test(tcase, options_are_taken);
	suite_add_tcase(suite, tcase);
	return suite_run(suite);
}
