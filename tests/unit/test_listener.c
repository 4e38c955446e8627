// SPDX-License-Identifier: GPL-2.0-or-later
#include "listener.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "nsec.h"
#include "suite.h"

static struct preset_set *set;
static struct target target;
static struct listener listener;
static struct report reports[LISTENER_REPORTS];

static void begin(void)
{
	const char *directories[] = {getenv("COREGOV_PRESETS"), NULL};

	ck_assert_ptr_nonnull(directories[0]);
	ck_assert_int_eq(preset_set_read(&set, directories, NULL), 0);
	target = (struct target){.metric = "loss", .in_a_row = 1};
	listener_init(&listener, set, &target, NULL);
}

static void finish(void)
{
	set = preset_set_free(set);
}

static void hear_at(const char *line, uint64_t now_ns)
{
	listener_line(&listener, line, strlen(line), now_ns);
}

static void hear(const char *line)
{
	hear_at(line, NSEC_PER_SEC);
}

static size_t take(void)
{
	return listener_read(&listener, reports, LISTENER_REPORTS);
}

START_TEST(a_framework_replaces_the_generic_preset)
{
	hear("using loss 0.9");
	ck_assert_str_eq(listener.locked, "generic");
	hear("[0]\ttrain-logloss:0.5");
	ck_assert_str_eq(listener.locked, "xgboost");
	hear("using loss 0.9");
	ck_assert_uint_eq(take(), 2);
	ck_assert_double_eq_tol(reports[1].value, 0.5, 1e-12);
}
END_TEST

START_TEST(a_framework_does_not_replace_another)
{
	hear("[0]\ttrain-logloss:0.5");
	hear("Iteration 1, loss = 0.75");
	ck_assert_str_eq(listener.locked, "xgboost");
	ck_assert_uint_eq(take(), 1);
}
END_TEST

START_TEST(our_own_line_is_believed_at_any_time)
{
	for (int i = 0; i < 1500; i++)
		hear("loss: 0.5");
	(void)take();
	hear("[0]\ttrain-logloss:0.5");
	ck_assert_str_eq(listener.locked, "generic");
	hear("{\"core\":1,\"step\":3,\"total\":9,\"loss\":0.25,\"epoch\":1.5}");
	ck_assert_str_eq(listener.locked, "core");
	hear("loss: 0.5");
	ck_assert_uint_eq(take(), 1);
	ck_assert_uint_eq(reports[0].step, 3);
	ck_assert_uint_eq(listener.facts.steps_total, 9);
	ck_assert_double_eq_tol(listener.facts.epoch, 1.5, 1e-12);
}
END_TEST

START_TEST(a_bar_and_a_dictionary_share_a_line)
{
	hear("Train:   2%|x| 1/60 [00:01<01:02,  1.05s/it]");
	ck_assert_ptr_null(listener.locked);
	hear("Train:   2%|x| 1/60 [00:01<01:02,  1.05s/it]{'loss': '0.6647', 'epoch': '0.08'}");
	ck_assert_str_eq(listener.locked, "huggingface");
	hear("{'train_runtime': 172.8523, 'train_loss': 1.91, 'epoch': 0.32}");
	ck_assert_uint_eq(take(), 1);
	ck_assert_uint_eq(listener.facts.steps_total, 60);
}
END_TEST

START_TEST(several_ranks_print)
{
	for (int step = 1; step <= 4; step++)
		for (int rank = 0; rank < 4; rank++) {
			char line[64];

			snprintf(line, sizeof(line), "Iteration %d, loss = 0.%d", step, 9 - step);
			hear(line);
		}
	/* A rank that lags behind. */
	hear("Iteration 3, loss = 0.1");
	ck_assert_uint_eq(take(), 4);
	ck_assert_uint_eq(listener.facts.n_refused, 13);
}
END_TEST

START_TEST(steps_that_start_again)
{
	for (int fold = 0; fold < 3; fold++) {
		hear("Iteration 1, loss = 0.5");
		hear("Iteration 2, loss = 0.4");
	}
	ck_assert_uint_eq(take(), 6);
}
END_TEST

START_TEST(a_training_goes_back_to_a_checkpoint)
{
	char line[64];

	hear("Iteration 1, loss = 0.9");
	hear("Iteration 1000, loss = 0.5");
	for (int step = 500; step < 600; step++) {
		snprintf(line, sizeof(line), "Iteration %d, loss = 0.6", step);
		hear(line);
	}
	ck_assert_uint_eq(take(), 2 + 100 - 64);
}
END_TEST

START_TEST(batches_count_over_epochs)
{
	hear("Epoch 1/3");
	hear("10/100 - 0s - loss: 0.5");
	ck_assert_uint_eq(listener.facts.steps_done, 10);
	ck_assert_uint_eq(listener.facts.steps_total, 300);
	hear("Epoch 3/3");
	hear("10/100 - 0s - loss: 0.4");
	ck_assert_uint_eq(listener.facts.steps_done, 210);
	ck_assert_uint_eq(take(), 2);
}
END_TEST

START_TEST(absurd_numbers_are_not_known)
{
	hear("{\"core\":1,\"step\":1e300,\"total\":-5,\"loss\":0.5}");
	hear("Train Epoch: 999999999 [9999999999999999999/9999999999999999999 (1%)]\tLoss: 0.5");
	ck_assert_uint_eq(listener.facts.steps_done, 0);
	ck_assert_uint_eq(take(), 1);
}
END_TEST

START_TEST(divergence_is_reported)
{
	hear("Iteration 1, loss = nan");
	hear("Iteration 2, loss = -inf");
	ck_assert_uint_eq(take(), 2);
	ck_assert(isnan(reports[0].value));
	ck_assert(isinf(reports[1].value));
}
END_TEST

START_TEST(another_metric)
{
	strcpy(target.metric, "val_loss");
	hear("iter 1: loss 2.3456, time 1ms");
	ck_assert_ptr_null(listener.locked);
	hear("step 2: train loss 1.9000, val loss 2.0100");
	ck_assert_str_eq(listener.locked, "nanogpt");
	ck_assert_uint_eq(take(), 1);
	ck_assert_double_eq_tol(reports[0].value, 2.01, 1e-12);
}
END_TEST

/* 20000 lines within one reading of the clock: 5000 are looked at, then 5000 a second. */
START_TEST(listening_is_rationed)
{
	for (int i = 0; i < 20000; i++)
		hear("Iteration, loss 0.5");
	ck_assert_uint_eq(listener.n_lines, 5000);
	ck_assert_uint_eq(listener.facts.n_dropped, 15000 + 5000 - LISTENER_REPORTS);
	for (int i = 0; i < 1000; i++)
		hear_at("Iteration, loss 0.5", NSEC_PER_SEC + NSEC_PER_SEC / 10);
	ck_assert_uint_eq(listener.n_lines, 5500);
}
END_TEST

/* As many reports as the target asks for in a row, seen from outside the ring and by the reader. */
static void count(uint32_t *n_in_a_row, bool *is_met, double value)
{
	*n_in_a_row = target_is_met(&target, value) ? *n_in_a_row + 1 : 0;
	if (*n_in_a_row >= target.in_a_row)
		*is_met = true;
}

static unsigned draw(unsigned *seed, unsigned below)
{
	*seed = *seed * 1664525 + 1013904223;
	return (*seed >> 8) % below;
}

/* Reports of 0 and 1 in runs, read at any time: a row that met the target is known at the next
 * reading, however many reports came, and no row is made up by the gaps. */
START_TEST(a_row_is_neither_lost_nor_made_up)
{
	static const uint32_t in_a_row[] = {1, 2, 5, 100, 300};
	unsigned seed = (unsigned)_i + 1, run = 0, is_low = 0;
	uint32_t n_heard = 0, n_read = 0;
	bool is_met = false, is_known = false;

	target.value = 0.5;
	target.in_a_row = in_a_row[_i % 5];
	for (unsigned i = 0; i < 3000 && !is_met; i++) {
		if (run-- == 0) {
			is_low = draw(&seed, 4) == 0;
			run = draw(&seed, is_low ? target.in_a_row + 1 : 700);
		}
		hear_at(is_low ? "loss 0" : "loss 1", i * NSEC_PER_SEC);
		count(&n_heard, &is_met, is_low ? 0 : 1);
		if (draw(&seed, 400) > 0 && i < 2999 && !(is_met && draw(&seed, 2)))
			continue;
		for (unsigned more = is_met ? draw(&seed, 600) : 0; more > 0; more--)
			hear_at("loss 1", i * NSEC_PER_SEC);
		for (size_t n; (n = listener_read(&listener, reports, 64)) > 0;)
			for (size_t k = 0; k < n; k++)
				count(&n_read, &is_known, reports[k].value);
		ck_assert_msg(
			is_known == is_met, "after %u reports, %u in a row", i, target.in_a_row);
	}
}
END_TEST

START_TEST(a_percentage_is_progress)
{
	hear("Progress:  12.5%  words/sec/thread: 12345  lr: 0.043  loss: 2.1  eta: 0h1m");
	ck_assert_uint_eq(listener.facts.steps_done, 125);
	ck_assert_uint_eq(listener.facts.steps_total, 1000);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("listener");
	TCase *tcase = tcase_create("all");

	tcase_set_timeout(tcase, 30);
	tcase_add_checked_fixture(tcase, begin, finish);
	tcase_add_test(tcase, a_framework_replaces_the_generic_preset);
	tcase_add_test(tcase, a_framework_does_not_replace_another);
	tcase_add_test(tcase, our_own_line_is_believed_at_any_time);
	tcase_add_test(tcase, a_bar_and_a_dictionary_share_a_line);
	tcase_add_test(tcase, several_ranks_print);
	tcase_add_test(tcase, steps_that_start_again);
	tcase_add_test(tcase, a_training_goes_back_to_a_checkpoint);
	tcase_add_test(tcase, batches_count_over_epochs);
	tcase_add_test(tcase, absurd_numbers_are_not_known);
	tcase_add_test(tcase, divergence_is_reported);
	tcase_add_test(tcase, another_metric);
	tcase_add_test(tcase, listening_is_rationed);
	tcase_add_loop_test(tcase, a_row_is_neither_lost_nor_made_up, 0, 200);
	tcase_add_test(tcase, a_percentage_is_progress);
	suite_add_tcase(suite, tcase);
	return suite_run(suite);
}
