// SPDX-License-Identifier: GPL-2.0-or-later
#include "neighbours.h"

#include <sched.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>

#include "../unit/suite.h"
#include "crew.h"

/* Claims of several runs. Other runs may be on this machine while the test goes on: where that is
 * allowed it has a network namespace of its own, which abstract names belong to. Elsewhere they
 * meet, so that the capacity is far above anything real, and budgets are large shares of it. */

#define CAPACITY 900000.0

static bool is_alone;

static void set_up(void)
{
	is_alone = unshare(CLONE_NEWNET) == 0 || unshare(CLONE_NEWUSER | CLONE_NEWNET) == 0;
}

static int claim(const char *run, double budget_cpus, struct fault *fault)
{
	int fd, r = neighbours_claim(run, budget_cpus, CAPACITY, &fd, fault);

	return r < 0 ? r : fd;
}

START_TEST(a_sum_above_the_capacity_is_refused)
{
	struct fault fault = FAULT_INIT;
	int first, second;

	first = claim("coregov-1-1", 500000, &fault);
	ck_assert_msg(first >= 0, "%s", fault.text);
	ck_assert_int_eq(claim("coregov-1-2", 400000.5, &fault), -EDQUOT);
	ck_assert_ptr_nonnull(strstr(fault.text, "coregov-1-1 (500000)"));
	second = claim("coregov-1-2", 300000, &fault);
	ck_assert_msg(second >= 0, "%s", fault.text);
	ck_assert_int_eq(claim("coregov-1-3", 200000, &fault), -EDQUOT);
	ck_assert_ptr_nonnull(strstr(fault.text, "coregov-1-1 (500000)"));
	ck_assert_ptr_nonnull(strstr(fault.text, "coregov-1-2 (300000)"));
	/* What is given up is free at once. */
	close(first);
	first = claim("coregov-1-3", 200000, &fault);
	ck_assert_msg(first >= 0, "%s", fault.text);
	close(first);
	close(second);
}
END_TEST

START_TEST(a_claim_is_close_on_exec_and_outlives_its_maker_in_a_child)
{
	int gate[2], fd = claim("coregov-1-1", 600000, NULL);
	pid_t pid;
	char byte;

	ck_assert_int_ge(fd, 0);
	ck_assert_int_eq(fcntl(fd, F_GETFD), FD_CLOEXEC);
	ck_assert_int_eq(pipe2(gate, O_CLOEXEC), 0);
	pid = fork();
	if (pid == 0) {
		close(gate[1]);
		_exit(read(gate[0], &byte, 1) == 0 ? 0 : 1);
	}
	close(gate[0]);
	close(fd);
	ck_assert_int_eq(claim("coregov-1-2", 600000, NULL), -EDQUOT);
	close(gate[1]);
	ck_assert_int_eq(waitpid(pid, NULL, 0), pid);
	fd = claim("coregov-1-2", 600000, NULL);
	ck_assert_int_ge(fd, 0);
	close(fd);
}
END_TEST

START_TEST(a_run_inside_another_is_part_of_it)
{
	int outer = claim("coregov-1-1", 800000, NULL), inner;

	ck_assert_int_ge(outer, 0);
	ck_assert_int_eq(claim("coregov-1-2", 800000, NULL), -EDQUOT);
	setenv(RUN_ENVIRONMENT, "coregov-1-1", 1);
	inner = claim("coregov-1-2", 800000, NULL);
	ck_assert_int_ge(inner, 0);
	close(inner);
	close(outer);
}
END_TEST

START_TEST(what_is_no_claim_does_not_count)
{
	static const char *const names[] = {"coregov/budget/coregov-1-1",
		"coregov/budget//800000000000", "coregov/budget/coregov-1-1/",
		"coregov/budget/coregov-1-1/x", "coregov/budget/coregov-1-1/-1",
		"coregov/budget/coregov-1-1/800000000000x",
		"coregov/budget/coregov-1-1/99999999999999999999999",
		"coregov/budget/nobody/800000000000", "xcoregov/budget/coregov-1-1/800000000000"};
	int fds[ARRAY_LENGTH(names)], fd;

	for (size_t i = 0; i < ARRAY_LENGTH(names); i++) {
		struct sockaddr_un address = {.sun_family = AF_UNIX};

		strcpy(address.sun_path + 1, names[i]);
		fds[i] = socket(AF_UNIX, SOCK_DGRAM, 0);
		ck_assert_int_eq(bind(fds[i], (struct sockaddr *)&address,
					 (socklen_t)(offsetof(struct sockaddr_un, sun_path) + 1 +
						 strlen(names[i]))),
			0);
	}
	fd = claim("coregov-1-2", 800000, NULL);
	ck_assert_int_ge(fd, 0);
	close(fd);
	for (size_t i = 0; i < ARRAY_LENGTH(names); i++)
		close(fds[i]);
}
END_TEST

/* Eight at once, of which only two fit, again and again: never do three pass, and never fewer than
 * two, for whoever is refused was refused by claims that stood. */
START_TEST(two_claims_at_once_never_both_pass)
{
	enum { N = 8, ROUNDS = 25 };
	struct shared {
		unsigned n_ready, n_done;
		int results[N];
	} *shared = mmap(
		NULL, sizeof(*shared), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);

	for (int round = 0; round < ROUNDS; round++) {
		unsigned n_passed = 0;

		memset(shared, 0, sizeof(*shared));
		for (int i = 0; i < N; i++) {
			char run[RUN_NAME_MAX];

			if (fork() != 0)
				continue;
			snprintf(run, sizeof(run), "coregov-1-%d", i + 1);
			__atomic_add_fetch(&shared->n_ready, 1, __ATOMIC_SEQ_CST);
			while (__atomic_load_n(&shared->n_ready, __ATOMIC_SEQ_CST) < N)
				sched_yield();
			shared->results[i] = claim(run, 400000, NULL);
			__atomic_add_fetch(&shared->n_done, 1, __ATOMIC_SEQ_CST);
			while (__atomic_load_n(&shared->n_done, __ATOMIC_SEQ_CST) < N)
				crew_pause();
			_exit(0);
		}
		for (int i = 0; i < N; i++)
			ck_assert_int_gt(wait(NULL), 0);
		for (int i = 0; i < N; i++) {
			ck_assert(shared->results[i] >= 0 || shared->results[i] == -EDQUOT);
			n_passed += shared->results[i] >= 0;
		}
		ck_assert_uint_eq(n_passed, 2);
	}
}
END_TEST

START_TEST(a_lock_that_is_kept_is_an_error_in_the_end)
{
	static const char name[] = "\0coregov/lock";
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	int fd = socket(AF_UNIX, SOCK_DGRAM, 0);
	struct fault fault = FAULT_INIT;

	if (!is_alone) {
		fprintf(stderr, "skipped: a network namespace of our own is not allowed\n");
		return;
	}
	memcpy(address.sun_path, name, sizeof(name) - 1);
	ck_assert_int_eq(
		bind(fd, (struct sockaddr *)&address,
			(socklen_t)(offsetof(struct sockaddr_un, sun_path) + sizeof(name) - 1)),
		0);
	ck_assert_int_eq(claim("coregov-1-1", 1, &fault), -EBUSY);
	ck_assert_ptr_nonnull(strstr(fault.text, "@coregov/lock"));
	close(fd);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("neighbours");
	TCase *tcase = tcase_create("all");

	tcase_add_checked_fixture(tcase, set_up, NULL);
	tcase_set_timeout(tcase, 60);
	tcase_add_test(tcase, a_sum_above_the_capacity_is_refused);
	tcase_add_test(tcase, a_claim_is_close_on_exec_and_outlives_its_maker_in_a_child);
	tcase_add_test(tcase, a_run_inside_another_is_part_of_it);
	tcase_add_test(tcase, what_is_no_claim_does_not_count);
	tcase_add_test(tcase, two_claims_at_once_never_both_pass);
	tcase_add_test(tcase, a_lock_that_is_kept_is_an_error_in_the_end);
	suite_add_tcase(suite, tcase);
	return suite_run(suite);
}
