// SPDX-License-Identifier: GPL-2.0-or-later
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "../unit/suite.h"
#include "busy.h"
#include "cgroup.h"
#include "choose.h"
#include "cleanup.h"
#include "enforcer.h"
#include "fault.h"
#include "leftover.h"
#include "meter.h"
#include "nsec.h"

/* The ladder of meters where the best is full: more groups than the tables of the eBPF meter hold. No
 * run has so many tasks, so this is asked of the ladder itself, on the groups of a real enforcer. */

#define N_TASKS 4097
#define LAST (N_TASKS - 1)

static char run[RUN_NAME_MAX], said[FAULT_TEXT_MAX];
static struct enforcer *enforcer;
static struct meter *meter;
static struct busy busy = {.gate_fd = -EBADF};
static struct fault fault;

static void chosen(void *unused, const char *sentence)
{
	(void)unused;
	(void)snprintf(said, sizeof(said), "%s", sentence);
	printf("# %s\n", said);
}

static const struct choose_listener listener = {.chosen = chosen, .warned = chosen};

/* 0, or why there is no enforcer that makes groups. */
static int open_enforcer(void)
{
	const struct enforcer_setup setup = {
		.run = run,
		.n_tasks_max = N_TASKS,
		.budget_cpus = 1,
		.capacity_cpus = 1,
		.is_dry = true,
		.task_uid = getuid(),
	};
	int r = choose_enforcer(&enforcer, &setup, NULL, NULL, &fault);

	if (r == 0 && strncmp(enforcer->ops->name, "cgroup", 6) != 0) {
		enforcer = enforcer->ops->close(enforcer);
		return fault_set(&fault, -EOPNOTSUPP, "no groups can be made here");
	}
	return r;
}

static void setup(void)
{
	ck_assert_int_ge(cgroup_run_end(run, &fault), 0); /* of a test that has failed */
	ck_assert_msg(open_enforcer() == 0, "%s", fault.text);
}

static void teardown(void)
{
	busy_end(&busy);
	if (meter)
		meter = meter->ops->close(meter);
	enforcer = enforcer->ops->close(enforcer);
}

START_TEST(the_next_one_counts_where_the_best_is_full)
{
	const uint64_t end_ns = busy_clock_ns() + 30 * NSEC_PER_SEC;
	struct meter_reading reading = {0};

	ck_assert_msg(choose_meter(&meter, enforcer, N_TASKS, NULL, &listener, &fault) == 0, "%s",
		fault.text);
	ck_assert_str_eq(meter->ops->name, "cgroup");
	ck_assert_ptr_nonnull(strstr(said, "meter cgroup (bpf: it counts at most 4096 groups"));
	ck_assert_ptr_nonnull(strstr(said, "divide them among several runs"));

	busy = busy_start();
	ck_assert_int_eq(
		enforcer->ops->task_add(enforcer, LAST, "last", /* scope= */ NULL, &fault), 0);
	ck_assert_int_eq(enforcer->ops->task_attach(enforcer, LAST, busy.pid, &fault), 0);
	ck_assert_int_eq(meter->ops->task_add(
				 meter, LAST, enforcer->ops->task_place(enforcer, LAST), &fault),
		0);
	busy_release(&busy);
	while (reading.cpu_ns < 10 * NSEC_PER_MSEC && busy_clock_ns() < end_ns) {
		busy_sleep_until(busy_clock_ns() + NSEC_PER_MSEC);
		meter->ops->refresh(meter);
		ck_assert_int_eq(meter->ops->read(meter, LAST, &reading), 0);
	}
	ck_assert_uint_ge(reading.cpu_ns, 10 * NSEC_PER_MSEC);
}
END_TEST

START_TEST(the_one_asked_for_is_not_replaced)
{
	ck_assert_int_eq(choose_meter(&meter, enforcer, N_TASKS, "bpf", &listener, &fault), -E2BIG);
	ck_assert_ptr_null(meter);
	ck_assert_ptr_nonnull(strstr(fault.text, "at most 4096 groups"));
	ck_assert_str_eq(said, "");
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("ladder");
	TCase *tcase = tcase_create("full");
	int r;

	setvbuf(stdout, NULL, _IOLBF, 0);
	if (run_name_make(run, &fault) < 0)
		return EXIT_FAILURE;
	if (open_enforcer() < 0) {
		printf("1..0 # SKIP %s\n", fault.text);
		return EXIT_SUCCESS;
	}
	enforcer = enforcer->ops->close(enforcer);
	tcase_add_checked_fixture(tcase, setup, teardown);
	tcase_set_timeout(tcase, 60);
	tcase_add_test(tcase, the_next_one_counts_where_the_best_is_full);
	tcase_add_test(tcase, the_one_asked_for_is_not_replaced);
	suite_add_tcase(suite, tcase);
	r = suite_run(suite);
	if (cgroup_run_end(run, &fault) != 0)
		fprintf(stderr, "ended what a test had left behind\n");
	return r;
}
