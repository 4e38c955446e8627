// SPDX-License-Identifier: GPL-2.0-or-later
#include "crew.h"

#include <errno.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "suite.h"

/* Work that takes any time and comes in order, fails, or dies; and that nothing is left of. */

#define NOBODY SIZE_MAX

struct trial {
	/* In memory that the workers share. */
	struct {
		_Atomic size_t n_begun;
		_Atomic pid_t last;
	} * shared;
	size_t length; /* of a result, more than a number */
	size_t bad, dead, endless, signal_at;
	size_t n_taken, n_looked;
	bool was_bad;
	char sentence[256];
};

static struct trial trial;
static struct crew_signals signals;
static struct fault fault;
static int signo;

static void set_up(void)
{
	trial = (struct trial){
		.bad = NOBODY, .dead = NOBODY, .endless = NOBODY, .signal_at = NOBODY};
	trial.shared = mmap(NULL, sizeof(*trial.shared), PROT_READ | PROT_WRITE,
		MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	ck_assert_ptr_ne(trial.shared, MAP_FAILED);
	ck_assert_int_eq(crew_signals_init(&signals, &fault), 0);
}

static void tear_down(void)
{
	crew_signals_done(&signals);
	/* Whatever has happened, no process is left. */
	ck_assert_int_eq(waitpid(-1, NULL, WNOHANG), -1);
	ck_assert_int_eq(errno, ECHILD);
}

static int make(void *context, size_t item, FILE *to, struct fault *why)
{
	struct trial *of = context;
	struct timespec a_while = {.tv_nsec = (long)(item * 7919 % 13) * 200000};

	of->shared->n_begun++;
	of->shared->last = getpid();
	(void)nanosleep(&a_while, NULL);
	if (item == of->dead)
		(void)raise(SIGKILL);
	while (item == of->endless)
		(void)pause();
	if (item == of->bad)
		return fault_set(why, -EDOM, "number %zu is bad", item);
	(void)fprintf(to, "%zu", item);
	for (size_t i = 0; i < of->length; i++)
		(void)fputc('.', to);
	return 0;
}

static int take(
	void *context, size_t item, int result, const char *bytes, size_t length, struct fault *why)
{
	struct trial *of = context;

	ck_assert_uint_eq(item, of->n_taken);
	of->n_taken++;
	if (result < 0) {
		of->was_bad = true;
		(void)snprintf(of->sentence, sizeof(of->sentence), "%s", bytes);
		return fault_set(why, result, "taken: %s", bytes);
	}
	ck_assert_uint_eq(strtoul(bytes, NULL, 10), item);
	ck_assert_uint_eq(length, strspn(bytes, "0123456789") + of->length);
	if (item == of->signal_at)
		(void)raise(SIGTERM);
	return 0;
}

static void look(void *context, size_t n_made)
{
	struct trial *of = context;

	ck_assert_uint_ge(n_made, of->n_looked);
	of->n_looked = n_made;
}

static int run(size_t n_items, unsigned n_workers)
{
	const struct crew_work work = {
		.n_items = n_items, .context = &trial, .make = make, .take = take, .look = look};

	return crew_run(&work, n_workers, &signals, &signo, &fault);
}

START_TEST(takes_all_in_order)
{
	static const unsigned n_workers[] = {1, 2, 7, 100};

	ck_assert_int_eq(run(200, n_workers[_i]), 0);
	ck_assert_int_eq(signo, 0);
	ck_assert_uint_eq(trial.n_taken, 200);
	ck_assert_uint_eq(trial.n_looked, 200);
	ck_assert_uint_eq(trial.shared->n_begun, 200);
}
END_TEST

START_TEST(of_nothing)
{
	ck_assert_int_eq(run(0, 3), 0);
	ck_assert_uint_eq(trial.n_taken, 0);
}
END_TEST

/* More than a pipe takes, and than may be held at once. */
START_TEST(takes_large_results)
{
	trial.length = 3 << 20;
	ck_assert_int_eq(run(60, 4), 0);
	ck_assert_uint_eq(trial.n_taken, 60);
}
END_TEST

START_TEST(a_failure_comes_in_its_turn)
{
	static const unsigned n_workers[] = {1, 4};

	trial.bad = 50;
	ck_assert_int_eq(run(10000, n_workers[_i]), -EDOM);
	ck_assert_uint_eq(trial.n_taken, 51);
	ck_assert_str_eq(trial.sentence, "number 50 is bad");
	ck_assert_str_eq(fault.text, "taken: number 50 is bad");
	/* What was handed out already was made. */
	ck_assert_uint_le(trial.shared->n_begun, 50 + 100);
}
END_TEST

START_TEST(a_death_is_told_with_what_it_happened_in)
{
	trial.dead = 20;
	ck_assert_int_eq(run(10000, 1 + (unsigned)_i), -ECHILD);
	ck_assert_uint_eq(trial.n_taken, 21);
	ck_assert_str_eq(trial.sentence, "the process that ran it was killed by signal 9 (Killed)");
}
END_TEST

START_TEST(a_signal_ends_it)
{
	trial.signal_at = 30;
	ck_assert_int_eq(run(100000, 3), 0);
	ck_assert_int_eq(signo, SIGTERM);
	ck_assert_uint_ge(trial.n_taken, 31);
	ck_assert_uint_lt(trial.n_taken, 100000);
}
END_TEST

START_TEST(a_signal_ends_what_never_would)
{
	trial.endless = 0;
	ck_assert_int_eq(raise(SIGINT), 0);
	ck_assert_int_eq(run(1, 2), 0);
	ck_assert_int_eq(signo, SIGINT);
}
END_TEST

START_TEST(what_is_ignored_stays_ignored)
{
	crew_signals_done(&signals);
	(void)signal(SIGINT, SIG_IGN);
	ck_assert_int_eq(crew_signals_init(&signals, &fault), 0);
	ck_assert_int_eq(raise(SIGINT), 0);
	ck_assert_int_eq(crew_signals_next(&signals), 0);
	ck_assert_int_eq(raise(SIGTERM), 0);
	ck_assert_int_eq(crew_signals_next(&signals), SIGTERM);
	ck_assert_int_eq(crew_signals_next(&signals), 0);
}
END_TEST

/* By the kernel, which the caller does not have to be alive for. */
START_TEST(workers_end_with_the_caller)
{
	pid_t caller = fork();
	time_t until = time(NULL) + 20;

	if (caller == 0) {
		trial.endless = 0;
		(void)run(1, 1);
		_exit(0);
	}
	while (trial.shared->last == 0 && time(NULL) < until)
		(void)usleep(1000);
	ck_assert_int_eq(kill(trial.shared->last, 0), 0);
	ck_assert_int_eq(kill(caller, SIGKILL), 0);
	ck_assert_int_eq(waitpid(caller, NULL, 0), caller);
	/* It is a child of whoever takes orphans, and may be a zombie there. */
	while (time(NULL) < until) {
		char path[64], text[256] = "";
		FILE *file;

		(void)snprintf(path, sizeof(path), "/proc/%d/stat", trial.shared->last);
		file = fopen(path, "r");
		if (!file)
			return;
		(void)fread(text, 1, sizeof(text) - 1, file);
		(void)fclose(file);
		if (strstr(text, ") Z") || strstr(text, ") X") || text[0] == '\0')
			return;
		(void)usleep(1000);
	}
	ck_abort_msg("process %d is left", trial.shared->last);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("crew");
	TCase *tcase = tcase_create("all");

	tcase_set_timeout(tcase, 30);
	tcase_add_checked_fixture(tcase, set_up, tear_down);
	tcase_add_loop_test(tcase, takes_all_in_order, 0, 4);
	tcase_add_test(tcase, of_nothing);
	tcase_add_test(tcase, takes_large_results);
	tcase_add_loop_test(tcase, a_failure_comes_in_its_turn, 0, 2);
	tcase_add_loop_test(tcase, a_death_is_told_with_what_it_happened_in, 0, 3);
	tcase_add_test(tcase, a_signal_ends_it);
	tcase_add_test(tcase, a_signal_ends_what_never_would);
	tcase_add_test(tcase, what_is_ignored_stays_ignored);
	tcase_add_test(tcase, workers_end_with_the_caller);
	suite_add_tcase(suite, tcase);
	return suite_run(suite);
}
